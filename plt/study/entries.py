"""Runs and scores tables as the entries of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plt.errors import ArtifactError, UsageError

if TYPE_CHECKING:
    import polars as pl

    from plt.analyze.comparison.entries import Condition, Entry
    from plt.data.identity import Identity
    from plt.data.tables.table import Meta, Source


def load_entries(
    sources: Sequence[Source | pl.DataFrame], report: Callable[[str], None]
) -> list[Entry]:
    """The scores tables behind run directories and scores files, named for a table.

    Runs that did not finish, such as failed cells of a sweep that ``runs/*`` names too, are left
    out and named; one that is asked for alone is an error.

    Args:
        sources: Run directories, and paths, bytes or frames of scores tables.
        report: Takes one sentence of each run that is left out, and of scores given twice.

    Raises:
        UsageError: There are none.
        ArtifactError: A path leads nowhere, no run that is named finished, or one is damaged.
        DataError: A file is no scores table.
    """
    from plt.analyze.comparison.entries import Condition, Entry, named
    from plt.data.run import SCORES_FILE, load_manifest, load_run

    if not sources:
        raise UsageError("there is no run to report on", hint="plt report runs/*")
    found: list[Entry] = []
    unfinished: list[Path] = []
    left_out = 0
    for source in sources:
        condition = Condition()
        if isinstance(source, Path) and not source.exists():
            raise ArtifactError(f"{source} does not exist", hint="ls runs")
        if isinstance(source, Path) and source.is_dir():
            run = load_manifest(source)
            if not run.finished:
                unfinished.append(source)
                continue
            if run.identity.command == "tax":
                report(f"{source} is left out: it holds scores of a benchmark (plt tax)")
                left_out += 1
                continue
            condition = _condition(run.identity, run.record)
            source = source / SCORES_FILE
        table, meta, name = _read(source)
        footnote = _footnote(meta.split, table, name)
        for part in table.partition_by("run_id", maintain_order=True):
            first = part.row(0, named=True)
            about = (str(first["method"]), str(first["run_id"]))
            entry = Entry("", *about, part, footnote, condition)
            if any(entry.run_id == e.run_id and part.equals(e.scores) for e in found):
                report("the same scores are given twice; they are shown once")
            else:
                found.append(entry)
    for path in unfinished:
        if not found:
            load_run(path)  # raises, and says what to type
        report(f"{path} is left out: it did not finish")
    if left_out and not found:
        raise UsageError(
            "runs of plt tax have no accuracies of people to compare",
            hint="plt tax RUN --bench rewardbench, typed again, shows what it found",
        )
    return named(found)


def _read(source: Source | pl.DataFrame) -> tuple[pl.DataFrame, Meta, str]:
    """A scores table, its metadata, and what it is called in messages."""
    from plt.data.tables.schema import SCORES, conform
    from plt.data.tables.table import Meta, check, read_table, source_name

    if isinstance(source, Path | bytes):
        return *read_table(source, SCORES), source_name(source)
    frame = conform(source, SCORES)
    check(frame, SCORES, "the frame")
    return frame, Meta(), "the frame"


def _condition(identity: Identity, record: Mapping[str, Any]) -> Condition:
    """What a run was made under, as its manifest has it."""
    from plt.analyze.comparison.entries import Condition

    settings = identity.config.get("set", {})
    return Condition(
        model=settings.get("model"),
        tune=settings.get("tune"),
        train_size=identity.config.get("train_size"),
        train_size_of=identity.config.get("train_size_of"),
        rows_a_user=record.get("training", {}).get("rows_a_user"),
        select=identity.config.get("select"),
    )


def _footnote(split: Mapping[str, Any] | None, scores: pl.DataFrame, name: str) -> str | None:
    if scores["split"].null_count() == scores.height:
        return f"{name} has no split: every judgement counts, perhaps some that were learnt from"
    if not split or not split.get("leaks"):
        return None
    return f"the split is the protocol {split.get('protocol')}, which leaks: {split.get('why')}"
