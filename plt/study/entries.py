"""Runs, folders of runs and scores tables as the entries of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plt.errors import ArtifactError, PltError, UsageError
from plt.study.run_facts import (
    check_untouched,
    condition_of,
    cost_of,
    refuse_other_data,
    runs_below,
)

if TYPE_CHECKING:
    import polars as pl

    from plt.analyze.comparison.entries import Condition, Cost, Entry
    from plt.data.run import Run
    from plt.data.tables.table import Meta, Source


@dataclass(frozen=True)
class Gathered:
    """What a report is made of.

    Attributes:
        compared: Finished runs and scores tables, in the order given.
        apart: Command to its runs, for commands whose runs were to be kept apart, and for runs
            that scored nobody's judgements.
    """

    compared: tuple[Run | Source | pl.DataFrame, ...]
    apart: Mapping[str, tuple[Run, ...]] = field(default_factory=dict)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs among what is compared."""
        from plt.data.run import Run

        return tuple(each for each in self.compared if isinstance(each, Run))


def gather(
    sources: Sequence[Source | pl.DataFrame],
    report: Callable[[str], None],
    apart: Sequence[str] = (),
) -> Gathered:
    """The runs and tables behind what was named; a folder of runs stands for all that lie in it.

    Runs that did not finish, such as failed cells of a sweep that ``runs/*`` names too, are left
    out and named, and so is what else lies in a folder; one that is asked for alone is an error.

    Args:
        sources: Run directories, folders of them, and paths, bytes or frames of scores tables.
        report: Takes one sentence of each run that is left out.
        apart: Commands whose runs are kept apart from what is compared.

    Raises:
        UsageError: There are none.
        ArtifactError: A path leads nowhere, no run that is named finished, or one is damaged.
    """
    from plt.data.run import MANIFEST, SCORES_FILE, Run, load_run

    if not sources:
        raise UsageError("there is no run to report on", hint="plt report runs/*")
    compared: list[Run | Source | pl.DataFrame] = []
    others: dict[str, tuple[Run, ...]] = {}
    unfinished: list[Path] = []
    for source in sources:
        inside = isinstance(source, Path) and source.is_dir() and not (source / MANIFEST).exists()
        for each in _inside(source, report) if inside else [source]:
            found = _opened(each, report if inside else None)
            if isinstance(found, Run) and not found.finished:
                unfinished.append(found.path)
            elif isinstance(found, Run) and (
                found.identity.command in apart or not (found.path / SCORES_FILE).exists()
            ):
                command = found.identity.command
                others[command] = (*others.get(command, ()), found)
            elif found is not None:
                compared.append(found)
    for path in unfinished:
        if not compared and not others:
            load_run(path)  # raises, and says what to type
        report(f"{path} is left out: it did not finish")
    return Gathered(tuple(compared), others)


def _inside(folder: Any, report: Callable[[str], None]) -> list[Path]:
    found = runs_below(folder)
    if not found:
        raise ArtifactError(
            f"{folder} is no run, and holds none and no scores table", hint="ls runs"
        )
    report(f"{folder}: {len(found)} runs and scores tables lie in it")
    return found


def _opened(
    source: Source | pl.DataFrame, lenient: Callable[[str], None] | None
) -> Run | Source | pl.DataFrame | None:
    """A run where the source is a folder, else the source; with `lenient` it is told of damage."""
    from plt.data.run import load_manifest

    if not isinstance(source, Path):
        return source
    if not source.exists():
        raise ArtifactError(f"{source} does not exist", hint="ls runs")
    if not source.is_dir():
        return source
    try:
        return load_manifest(source)
    except PltError as error:
        if lenient is None:
            raise
        lenient(f"{source} is left out: {error.message}")
        return None


def load_entries(
    sources: Sequence[Source | pl.DataFrame], report: Callable[[str], None]
) -> list[Entry]:
    """The scores tables behind runs, folders and scores files, named for a table.

    Args:
        sources: As `gather`.
        report: As `gather`, and of scores given twice.

    Raises:
        UsageError: There are none.
        ArtifactError: As `gather`; or the scores of a run are not what it wrote.
        DataError: A file is no scores table, or the runs are of different data or splits.
    """
    return entries_of(gather(sources, report), report)


def entries_of(found: Gathered, report: Callable[[str], None]) -> list[Entry]:
    """As `load_entries`, of what is gathered already."""
    from plt.analyze.comparison.entries import Condition, Cost, named
    from plt.data.run import SCORES_FILE, Run

    if not found.compared:
        raise UsageError(
            "these runs scored nobody's judgements, so there is nothing to compare",
            hint="plt report runs/*",
        )
    refuse_other_data(found.runs)
    entries: list[Entry] = []
    for each in found.compared:
        condition, cost, shared = Condition(), Cost(), None
        source: Source | pl.DataFrame
        if isinstance(each, Run):
            check_untouched(each, SCORES_FILE)
            condition, cost = condition_of(each), cost_of(each)
            shared = "; ".join(filter(None, (_may_share(each), _few_answers(each)))) or None
            source = each.path / SCORES_FILE
        else:
            source = each
        for entry in _entries(source, condition, cost, shared):
            if any(entry.run_id == e.run_id and entry.scores.equals(e.scores) for e in entries):
                report("the same scores are given twice; they are shown once")
            else:
                entries.append(entry)
    return named(entries)


def _entries(
    source: Source | pl.DataFrame, condition: Condition, cost: Cost, shared: str | None
) -> Iterable[Entry]:
    """One entry for each run in a scores table."""
    from plt.analyze.comparison.entries import Entry
    from plt.train.registry import METHODS

    table, meta, name = _read(source)
    footnotes = [_footnote(meta.split, table, name), shared]
    footnote = "; ".join(each for each in footnotes if each) or None
    for part in table.partition_by("run_id", maintain_order=True):
        first = part.row(0, named=True)
        about = (str(first["method"]), str(first["run_id"]))
        card = METHODS.get(about[0])
        personal = None if card is None else card.personal
        yield Entry("", *about, part, footnote, condition, cost, personal)


def _may_share(run: Run) -> str | None:
    """What the answers that a run of `plt adapt` was shown were not kept apart from questions by.

    An answer that holds a question's very responses tells a model that remembers what to say.
    """
    apart = run.record.get("apart")
    if run.identity.command != "adapt" or apart is None:
        return None
    shared = [f"{unit}s" for unit in ("group", "response") if unit not in apart]
    if not shared:
        return None
    return (
        f"answers that were shown of a person may share {' and '.join(shared)} with that person's"
        " questions, so what is gained may be memory"
    )


def _few_answers(run: Run) -> str | None:
    """What the card of an adapted method says of few answers, where it is no good news."""
    from plt.train.registry import METHODS

    card = METHODS.get(run.identity.method)
    if run.identity.command != "adapt" or card is None or card.few_answers:
        return None
    if not card.personal or card.backbone == "none":
        return None
    if card.few_answers is None:
        return "whether a few answers do its new people harm has not been measured for this method"
    return (
        "after few answers this method is too sure: on simulated people its log loss was above"
        " that of its own generic user"
    )


def _read(source: Source | pl.DataFrame) -> tuple[pl.DataFrame, Meta, str]:
    """A scores table, its metadata, and what it is called in messages."""
    from plt.data.tables.schema import SCORES, conform
    from plt.data.tables.table import Meta, check, read_table, source_name

    if isinstance(source, Path | bytes):
        return *read_table(source, SCORES), source_name(source)
    frame = conform(source, SCORES)
    check(frame, SCORES, "the frame")
    return frame, Meta(), "the frame"


def _footnote(split: Mapping[str, Any] | None, scores: pl.DataFrame, name: str) -> str | None:
    if scores["split"].null_count() == scores.height:
        return f"{name} has no split: every judgement counts, perhaps some that were learnt from"
    if not split or not split.get("leaks"):
        return None
    return f"the split is the protocol {split.get('protocol')}, which leaks: {split.get('why')}"
