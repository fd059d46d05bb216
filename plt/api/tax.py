"""What personalization costs, in Python."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from plt.api.answer import Answer
from plt.api.runs import Run
from plt.api.tables import Data, read
from plt.errors import UsageError

if TYPE_CHECKING:
    from plt.study.costs.tax import TaxOutcome
    from plt.train.method import Progress


def tax(
    *runs: Run | Sequence[Run] | str | Path,
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
) -> Answer[TaxOutcome]:
    """The change of each section of a benchmark from a base to a run: ``plt tax``.

    Args:
        runs: Runs, what `train` returned, or run directories.
        bench: ``rewardbench``, ``rewardbench2``, ``rm-bench``, a path, or a frame of preferences.
        base: A run or a reward model; None takes the run's own.
        users: How many users are scored, or ``all``.
        compat: ``official``, or ``s0``: RewardBench as Dong et al. 2025 read it.
        out: Folder of the only run that is made.
        folder: Folder that runs are made in; by default ``$PLT_RUNS``, else ``runs``.
        device: ``auto``, ``cpu``, ``cuda``, ...
        dtype: Of the backbone.
        batch_size: Texts a forward pass.
        force: Do again what is done.
        seed: Of the draw of users.
        report: Takes the sentences that the command says on stderr.
        progress: Called as progress(what, done, total).

    Raises:
        PltError: An argument is not understood, the benchmark cannot be read, or the only run
            failed. Where several are asked for, one that fails stops no other and stands in
            `failed` of the result.
    """
    from plt.cli.pages.tax import outcome_json, tax_blocks
    from plt.cli.shell.streams import Line
    from plt.data.identity import GIVEN
    from plt.settings import check_whole
    from plt.study.compute import compute_options
    from plt.study.costs.benchmark import find_benchmark
    from plt.study.costs.scored_users import parse_users
    from plt.study.costs.tax import Asked, tax_runs
    from plt.study.make_run import Session
    from plt.train.method import silent, unheard

    check_whole(0, seed=seed)
    check_whole(1, batch_size=batch_size)
    report = report or unheard
    named = str(bench) if isinstance(bench, str | Path) else GIVEN
    given = None if named != GIVEN else read(bench)
    benchmark = find_benchmark(named, compat, report, given)
    against = base.path if isinstance(base, Run) else base
    asked = Asked(None if against is None else str(against), parse_users(str(users)))
    arguments = {"bench": named, "users": asked.typed_users, "compat": compat}
    session = Session(
        prefs=benchmark.prefs,
        people=None,
        compute=compute_options(device, dtype, batch_size, progress or silent),
        seed=int(seed),
        runs=Path(folder or os.environ.get("PLT_RUNS") or "runs"),
        report=report,
        inputs={"bench": benchmark.content},
        arguments=arguments if asked.base is None else arguments | {"base": asked.base},
        out=None if out is None else Path(out),
        force=force,
    )
    found = tax_runs(_paths(runs), asked, benchmark, session)
    blocks = tuple(block for each in found.made for block in tax_blocks(each))
    return Answer(found, outcome_json(found), blocks or (Line("No run was scored."),))


def _paths(runs: Sequence[object]) -> list[Path]:
    found: list[Path] = []
    for each in runs:
        if isinstance(each, Run):
            found.append(each.path)
        elif isinstance(each, str | Path):
            found.append(Path(each))
        elif isinstance(each, Sequence):
            found += _paths(each)
        else:
            raise UsageError(f"a {type(each).__name__} is no run", hint='plt.tax("runs/lore-1a2b")')
    return found
