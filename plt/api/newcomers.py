"""Runs adapted to new people, in Python."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from plt.api.runs import Run, argument, users_table
from plt.api.tables import Data, read
from plt.errors import UsageError

if TYPE_CHECKING:
    from plt.analyze.adaptation.curves import Adaptation
    from plt.cli.shell.streams import Block
    from plt.study.newcomers.adapt import AdaptOutcome
    from plt.train.method import Progress

N_SHOTS = (0, 5, 10, 30, 100, 300)


@dataclass(frozen=True, repr=False)
class AdaptedRuns(Sequence[Run]):
    """The runs that one call of `adapt` made or found.

    Attributes:
        outcome: With what failed.
        found: Their learning curves; None where no run was made.
    """

    outcome: AdaptOutcome
    found: Adaptation | None

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Run]: ...
    def __getitem__(self, index: int | slice) -> Run | Sequence[Run]:
        """One run, or several."""
        return [Run(made.path) for made in self.outcome.made][index]

    def __len__(self) -> int:
        """How many finished."""
        return len(self.outcome.made)

    def to_json(self) -> dict[str, Any]:
        """The documented object that ``plt adapt --json`` prints."""
        from plt.cli.pages.adaptation import adaptation_json

        curves = None if self.found is None else adaptation_json(self.found)
        return self.outcome.to_json() | {"adaptation": curves}

    def __repr__(self) -> str:
        """The learning curves as Markdown."""
        from plt.cli.shell.render import to_markdown

        return to_markdown(self._blocks())

    def _repr_html_(self) -> str:
        from plt.cli.shell.render import to_html

        return to_html(self._blocks())

    def _blocks(self) -> tuple[Block, ...]:
        from plt.cli.pages.adaptation import adaptation_blocks

        return () if self.found is None else adaptation_blocks(self.found)


def adapt(
    run: Run | str | Path | Sequence[Run | str | Path],
    data: Data = None,
    *,
    n_shots: Sequence[int] = N_SHOTS,
    draws: int = 5,
    apart: str = "auto",
    select: str = "random",
    baselines: bool = True,
    out: str | Path | None = None,
    runs: str | Path | None = None,
    users: Data = None,
    device: str = "auto",
    dtype: str = "float32",
    batch_size: int = 32,
    force: bool = False,
    seed: int = 0,
    report: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> AdaptedRuns:
    """Adapts runs to new people from n of their answers: the runs that ``plt adapt`` makes.

    Args:
        run: One or several trained runs.
        data: Table of the new people, as `read`; None takes those that the run's own table keeps
            unseen.
        n_shots: Answers of each person; 0 is always among what is scored.
        draws: How often the answers of each number are drawn.
        apart: What shots and questions of a person do not share: ``auto``, ``group``,
            ``response`` or ``pair``.
        select: Who chooses the answers: ``random``, or a criterion of the run's own,
            ``uncertainty``, ``weighted``, ``d-optimal`` or ``information``.
        baselines: Adapt what heads are measured by too, fitted where it is not there.
        out: Folder of the only run.
        runs: Folder that runs are made in; by default ``$PLT_RUNS``, else ``runs``.
        users: A `users/1` table: what the new people say of themselves.
        device: ``auto``, ``cpu``, ``cuda``, ...
        dtype: Of the backbone.
        batch_size: Texts a forward pass.
        force: Do again what is done.
        seed: Of the draws.
        report: Takes the sentences that the command says on stderr.
        progress: Called as progress(what, done, total).

    Raises:
        PltError: An argument is not understood, the table has no unseen people, or the only run
            failed or cannot adapt.
    """
    from plt.data.run import load_run
    from plt.data.splitting.shots import check_apart, check_shots
    from plt.data.tables.content import input_hashes
    from plt.settings import check_whole
    from plt.study.compute import compute_options
    from plt.study.make_run import Session
    from plt.study.newcomers.adapt import Asked, described
    from plt.study.newcomers.adapt import adapt as adapt_all
    from plt.study.newcomers.baselines import with_baselines
    from plt.study.newcomers.tables import other_table, own_table
    from plt.train.heads.selection import check_criterion
    from plt.train.method import silent, unheard

    check_whole(0, seed=seed, **{f"n_shots[{i}]": n for i, n in enumerate(n_shots)})
    check_whole(1, draws=draws, batch_size=batch_size)
    say = report or unheard
    check_shots(n_shots)
    sizes = tuple(sorted({int(n) for n in n_shots}))
    asked = Asked(sizes, int(draws), check_apart(apart), check_criterion(select))
    paths = _paths(run)
    trained = [load_run(path) for path in paths]
    if data is None:
        prefs, people, arguments = own_table(trained, read, users_table, say)
    else:
        prefs = other_table(read(data), trained, say)
        people, arguments = None, {"data": argument(data)}
    if users is not None:
        people, arguments = users_table(users), arguments | {"users": argument(users)}
    session = Session(
        prefs=prefs,
        people=people,
        compute=compute_options(device, dtype, batch_size, progress or silent),
        seed=int(seed),
        runs=Path(runs or os.environ.get("PLT_RUNS") or "runs"),
        report=say,
        inputs=input_hashes(prefs, people),
        arguments=arguments,
        out=None if out is None else Path(out),
        force=force,
    )
    if baselines and data is None and out is None:
        paths = with_baselines(trained, session)
    outcome = adapt_all(paths, asked, session)
    return AdaptedRuns(outcome, described(outcome, say))


def _paths(run: Run | str | Path | Sequence[Run | str | Path]) -> list[Path]:
    given = [run] if isinstance(run, Run | str | Path) else list(run)
    if not given:
        raise UsageError("there is no run to adapt", hint='plt.adapt("runs/pref-1a2b")')
    paths = [each.path if isinstance(each, Run) else Path(each) for each in given]
    return list(dict.fromkeys(paths))
