"""Runs in Python: made, loaded, compared."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from plt.api.answer import Answer
from plt.api.tables import Data, read
from plt.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from plt.analyze.comparison.compare import Comparison
    from plt.cli.shell.streams import Block
    from plt.data.tables.table import Source
    from plt.study.outcome import Outcome
    from plt.study.reports.report import Report
    from plt.train.method import Progress
    from plt.train.runs.fitted_run import FittedRun


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run.

    Attributes:
        path: The run directory.
    """

    path: Path

    @cached_property
    def fitted(self) -> FittedRun:
        """The run with its method, loaded when it is first asked for."""
        from plt.data.cache import cache_dir
        from plt.train.method import Compute
        from plt.train.runs.fitted_run import load_fitted_run

        return load_fitted_run(self.path, Compute(cache_dir=cache_dir()))

    @property
    def scores(self) -> pl.DataFrame:
        """The `scores/1` table of the run, controls included."""
        from plt.data.run import SCORES_FILE
        from plt.data.tables.schema import SCORES
        from plt.data.tables.table import read_table

        return read_table(self.path / SCORES_FILE, SCORES)[0]

    @property
    def metrics(self) -> pl.DataFrame:
        """The `metrics/1` table of the run."""
        from plt.data.run import METRICS_FILE
        from plt.data.tables.schema import METRICS_TABLE
        from plt.data.tables.table import read_table

        return read_table(self.path / METRICS_FILE, METRICS_TABLE)[0]

    def score(self, data: Data, as_user: str | None = None) -> pl.DataFrame:
        """A `scores/1` table of every judgement in `data`, as ``plt score`` makes it.

        Args:
            data: Whose pairs; labels are not needed.
            as_user: Score every row as this user; ``population`` is nobody in particular.

        Raises:
            UsageError: The run does not know `as_user`.
        """
        return self.fitted.score(read(data), as_user).frame

    def __repr__(self) -> str:
        """Where it lies."""
        return f"Run({str(self.path)!r})"


@dataclass(frozen=True, repr=False)
class Runs(Sequence[Run]):
    """The runs that one call of `train` made or found, in the order that was asked for.

    Attributes:
        outcome: With accuracies and gains, and what failed or was left out.
    """

    outcome: Outcome

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
        """The documented object that ``plt train --json`` prints."""
        return self.outcome.to_json()

    def __repr__(self) -> str:
        """A line a run, and a line a failure."""
        from plt.cli.shell.render import to_markdown

        return to_markdown(self._blocks())

    def _repr_html_(self) -> str:
        from plt.cli.shell.render import to_html

        return to_html(self._blocks())

    def _blocks(self) -> tuple[Block, ...]:
        from plt.cli.pages.runs import outcome_blocks

        return outcome_blocks(self.outcome)


def load(run: str | Path) -> Run:
    """A finished run, loaded so that it scores.

    Raises:
        ArtifactError: It is no finished run.
    """
    found = Run(Path(run))
    _ = found.fitted  # what is wrong with it is said now
    return found


def compare(
    *runs: Run | Sequence[Run] | str | Path | Data,
    baseline: str | None = None,
    split: str = "test",
    users: str = "seen",
    margin: float | None = None,
    pivot: str = "auto",
) -> Answer[Any]:
    """Runs side by side on the judgements that all of them scored: ``plt report``.

    Runs of `adapt` are compared by the number of answers; all are such runs, or none is. What is
    found is a `Comparison`, or of these an `Adaptation`.

    Args:
        runs: Runs, what `train` returned, run directories, scores files, or frames of scores.
        baseline: Name or method that gains are over; by default ``bradley-terry``, else the first.
        split: ``train``, ``val`` or ``test``.
        users: ``seen``, ``unseen`` or ``all``.
        margin: Points within which a run is as good as the baseline, if that is asked.
        pivot: Columns of a sweep: ``auto``, ``train-size``, ``model`` or ``none``.

    Raises:
        UsageError: An argument is not understood, or some runs are runs of `adapt`.
        DataError: The runs share no judgement.
    """
    from plt.analyze.comparison.sweep import PIVOTS
    from plt.cli.pages.report.parts import adaptation_part
    from plt.data.remarks import warn
    from plt.data.tables.schema import SPLITS
    from plt.study.reports.report import Asked, find

    for name, value, known in (
        ("split", split, SPLITS), ("users", users, ("seen", "unseen", "all")),
        ("pivot", pivot, PIVOTS),
    ):  # fmt: skip
        if value not in known:
            raise UsageError(f"{name} is {value!r}; known are {', '.join(known)}")
    asked = Asked(
        baseline=baseline,
        split=split,
        users=None if users == "all" else users,
        margin=None if margin is None else margin / 100,
        pivot=next(known for known in PIVOTS if known == pivot),
    )
    found = find([source for each in runs for source in _sources(each)], asked, warn)
    if found.adaptation is not None:
        if found.report is not None:
            raise UsageError(
                "some of these runs are runs of adapt, which stand beside each other only",
                problems=[curve.name for curve in found.adaptation.curves],
                hint='plt.compare("runs/adapt-lore-1a2b", "runs/adapt-pref-3c4d")',
            )
        part = adaptation_part(found.adaptation)
        return Answer(found.adaptation, part.data, part.blocks)
    if found.report is None:
        raise UsageError(
            "runs of plt tax have no accuracies of people to compare",
            hint="plt.tax(RUN), typed again, shows what it found",
        )
    return _side_by_side(found.report)


def _side_by_side(report: Report) -> Answer[Comparison]:
    from plt.cli.pages.comparison import comparison_blocks, sweep_blocks
    from plt.cli.pages.report.document import Wanted, report_json

    # The verdict stays last: it is what an answer says in short.
    *blocks, verdict = comparison_blocks(report.comparison)
    shown = (*blocks, *sweep_blocks(report.sweep), verdict)
    return Answer(report.comparison, report_json(report, Wanted()), shown)


def _sources(runs: Any) -> list[Source | pl.DataFrame]:
    from plt.data.reading.frames import as_polars

    if isinstance(runs, Run):
        return [runs.path]
    if isinstance(runs, str | Path):
        return [Path(runs)]
    if isinstance(runs, Sequence):
        return [source for each in runs for source in _sources(each)]
    frame = as_polars(runs)
    if frame is None:
        raise UsageError(
            f"a {type(runs).__name__} is neither a run nor a scores table",
            hint='plt.compare("runs/lore-1a2b", "runs/bradley-terry-3c4d")',
        )
    return [frame]


def train(
    data: Data = None,
    method: str | Sequence[str] = "bradley-terry",
    *,
    model: str | Sequence[str] | None = None,
    tune: str | None = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    max_length: int | None = None,
    settings: Mapping[str, Any] | None = None,
    train_size: int | str | Sequence[int | str] | None = None,
    train_size_of: str = "total",
    sham: str | None = None,
    baseline: bool = True,
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
) -> Runs:
    """Fits, scores and measures: the runs that ``plt train`` makes, or finds where they are done.

    Args:
        data: As `read`; a table without a split is divided by the default. None is the embedded
            population: ``synthetic:length`` for policies, else ``synthetic:attributes``.
        method: One or several, or ``all``.
        model: One or several backbones.
        tune: ``head``, ``lora`` or ``full``.
        epochs: Passes over the data.
        learning_rate: Of the optimiser.
        max_length: Tokens of a text.
        settings: What ``--set`` takes: setting to value.
        train_size: Training rows: numbers and ``all``.
        train_size_of: ``total``, or ``user``: rows of each user.
        sham: ``train``, ``score`` or ``none``.
        baseline: Fit vanilla for the gain.
        out: Folder of the only run.
        runs: Folder that runs are made in; by default ``$PLT_RUNS``, else ``runs``.
        users: A `users/1` table: a path or a frame.
        device: ``auto``, ``cpu``, ``cuda``, ...
        dtype: Of the backbone.
        batch_size: Texts a forward pass.
        force: Do again what is done.
        seed: Of the runs.
        report: Takes the sentences that the command says on stderr; `print` shows them.
        progress: Called as progress(what, done, total).

    Raises:
        PltError: An argument is not understood, or the only run failed. Where several are asked
            for, one that fails stops no other and stands in `outcome.failed`.
    """
    from plt.data.tables.content import input_hashes
    from plt.settings import check_whole
    from plt.study.compute import compute_options
    from plt.study.execute import execute
    from plt.study.make_run import Session
    from plt.study.plan import (
        Asked,
        default_data,
        method_names,
        on_device,
        plan,
        split_if_needed,
    )
    from plt.train.method import silent, unheard

    check_whole(0, seed=seed)
    check_whole(1, batch_size=batch_size)
    report = report or unheard
    shared = {"tune": tune, "epochs": epochs, "learning_rate": learning_rate,
              "max_length": max_length}  # fmt: skip
    typed = [f"{key}={_text(value)}" for key, value in (settings or {}).items()]
    models = None if model is None else _text(model)
    sizes = None if train_size is None else _text(train_size)
    asked = Asked(_text(method), models, shared, typed, sizes, train_size_of, sham)
    names, _ = method_names(asked.methods)
    if data is None:
        data = default_data(names)
        report(f"no data given: using the embedded population {data}")
    asked = on_device(asked, device)
    prefs = split_if_needed(read(data), seed, report)
    people = None if users is None else users_table(users)
    cells = plan(asked, prefs, people is not None and "profile" in people.columns)
    arguments = {"data": argument(data)} | ({} if users is None else {"users": argument(users)})
    session = Session(
        prefs=prefs,
        people=people,
        compute=compute_options(device, dtype, batch_size, progress or silent),
        seed=int(seed),
        runs=Path(runs or os.environ.get("PLT_RUNS") or "runs"),
        report=report,
        inputs=input_hashes(prefs, people),
        arguments=arguments,
        out=None if out is None else Path(out),
        force=force,
    )
    return Runs(execute(cells, session, fit_baseline=baseline))


def argument(data: Data) -> str:
    """What was given as data, as a run's configuration names it."""
    from plt.data.identity import GIVEN

    return str(data) if isinstance(data, str | Path) else GIVEN


def _text(value: Any) -> str:
    """A value as it is typed: several with commas, and ``auto`` for None."""
    if value is None:
        return "auto"
    if isinstance(value, str) or not isinstance(value, Sequence):
        return str(value)
    return ",".join(map(_text, value))


def users_table(users: Data) -> pl.DataFrame:
    """A `users/1` table from a path or a frame."""
    from plt.data.reading.frames import as_polars
    from plt.data.tables.schema import USERS, conform
    from plt.data.tables.table import check, read_table

    if isinstance(users, str | Path):
        return read_table(Path(users), USERS)[0]
    frame = as_polars(users)
    if frame is None:
        raise UsageError(
            f"users is a {type(users).__name__}; a path or a frame of people is wanted",
            hint='users="people.users.parquet"',
        )
    frame = conform(frame, USERS)
    check(frame, USERS, "users")
    return frame
