"""How much of a person's taste stays within a budget, in Python."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from plt.api.answer import Answer
from plt.api.runs import Run
from plt.api.tables import Data, read

if TYPE_CHECKING:
    from plt.study.costs.dose import DosedRun
    from plt.train.method import Progress


def dose(
    run: Run | str | Path,
    *,
    max_tax: float,
    bench: Data = "rewardbench",
    base: Run | str | Path | None = None,
    users: int | str = 100,
    compat: str = "official",
    out: str | Path | None = None,
    folder: str | Path | None = None,
    device: str = "auto",
    dtype: str = "float32",
    batch_size: int = 32,
    force: bool = False,
    seed: int = 0,
    report: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> Answer[DosedRun]:
    """The largest share of each person's taste that stays within a budget of tax: ``plt dose``.

    Args:
        run: A run whose base and users can be mixed, what `train` returned, or its directory.
        max_tax: Points that the upper bound of every section's loss may reach.
        bench: ``rewardbench``, ``rewardbench2``, ``rm-bench``, a path, or a frame of preferences.
        base: A run of heads on the same features; None is the generic user.
        users: How many users are scored, or ``all``.
        compat: ``official``, or ``s0``: RewardBench as Dong et al. 2025 read it.
        out: Folder of the run that is made.
        folder: Folder that runs are made in; by default ``$PLT_RUNS``, else ``runs``.
        device: ``auto``, ``cpu``, ``cuda``, ...
        dtype: Of the backbone.
        batch_size: Texts a forward pass.
        force: Do again what is done.
        seed: Of the draw of users.
        report: Takes the sentences that the command says on stderr.
        progress: Called as progress(what, done, total).

    Returns:
        The finished run (`found.path` is what `load`, `tax` and `compare` take), and its frontier.

    Raises:
        PltError: An argument is not understood, the benchmark cannot be read, or the run cannot be
            mixed with its base.
    """
    from plt.cli.pages.dose import dose_blocks
    from plt.data.identity import GIVEN
    from plt.settings import check_whole
    from plt.study.compute import compute_options
    from plt.study.costs.benchmark import find_benchmark
    from plt.study.costs.dose import Asked, dose_run, own_test_rows
    from plt.study.costs.scored_users import parse_users
    from plt.study.make_run import Session
    from plt.train.method import silent, unheard

    check_whole(0, seed=seed)
    check_whole(1, batch_size=batch_size)
    report = report or unheard
    path = run.path if isinstance(run, Run) else Path(run)
    against = None if base is None else str(base.path if isinstance(base, Run) else base)
    named = str(bench) if isinstance(bench, str | Path) else GIVEN
    benchmark = find_benchmark(named, compat, report, None if named != GIVEN else read(bench))
    arguments = {"bench": named} | ({} if against is None else {"base": against})
    session = Session(
        prefs=benchmark.prefs,
        people=None,
        compute=compute_options(device, dtype, batch_size, progress or silent),
        seed=int(seed),
        runs=Path(folder or os.environ.get("PLT_RUNS") or "runs"),
        report=report,
        inputs={"bench": benchmark.content},
        arguments=arguments,
        out=None if out is None else Path(out),
        force=force,
    )
    asked = Asked(float(max_tax), against, parse_users(str(users)))
    found = dose_run(path, asked, benchmark, session, own_test_rows(path, read, report))
    return Answer(found, found.to_json(), dose_blocks(found))
