"""Runs side by side on the same judgements, with paired differences and an honest verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from plt.analyze.comparison.entries import Entry
from plt.analyze.comparison.gains import Gain, gains, read_run
from plt.analyze.comparison.majority_reference import majority_reference
from plt.analyze.comparison.verdict import verdict
from plt.analyze.intervals.claims import Ground, ground
from plt.analyze.intervals.uncertainty import Average, Interval
from plt.analyze.registry import METRICS
from plt.analyze.scores.evaluation import (
    JUDGEMENT,
    EvaluationRows,
    compute,
    evaluation_rows,
    select_rows,
)
from plt.analyze.scores.novelty import KINDS
from plt.data.tables.table import content_hash
from plt.errors import DataError, UsageError

BASELINE = "bradley-terry"


@dataclass(frozen=True)
class Compared:
    """One row of a comparison.

    Attributes:
        entry: What was compared.
        macro: Accuracy averaged over users.
        pooled: Accuracy over judgements.
        worst: Lowest accuracy of any user.
        worst_decile: Accuracy of the least served tenth of the users, noise taken out.
        minority: Accuracy for minority users; null, with the reason, where there are none.
        log_loss: Over judgements.
        auc: Over judgements.
        undecided: Share of judgements whose margin is no opinion (earning one half).
        gain: What it has over the baseline; None for the baseline itself, and where no baseline
            was trained on as many rows.
    """

    entry: Entry
    macro: Interval
    pooled: Interval
    worst: Interval
    worst_decile: Interval
    minority: Interval
    log_loss: Interval
    auc: Interval
    undecided: float | None
    gain: Gain | None = None


@dataclass(frozen=True)
class Comparison:
    """Several runs on the judgements that they share.

    Attributes:
        rows: One an entry, in the order given.
        baseline: Name of the entry that gains are over, or its method where each training size
            and model has one of its own; None when there is one entry only.
        majority: Accuracy of the majority's vote on the same rows: name of the form to interval.
        n_shared: Judgements that every entry scored, ties included.
        n_left_out: Judgements that only some entries scored.
        n_ties: Ties among the shared ones.
        ground: What stands behind the figures.
        same_answers: Names of runs that give the very same answers, one group each.
        margin: The difference that equivalence was asked for, if it was.
        novelty: Kind of novelty to number of shared judgements with a side; empty where no table
            says what was new, or where they differ.
        verdict: What may be claimed.
        test_rows: SHA-256 of the judgements that are compared, ties included (`content_hash`).
        answers: What each entry answers on the shared judgements with a side, in the same order.
    """

    rows: tuple[Compared, ...]
    baseline: str | None
    majority: dict[str, Interval]
    n_shared: int
    n_left_out: int
    n_ties: int
    ground: Ground
    verdict: str
    same_answers: tuple[tuple[str, ...], ...] = ()
    margin: float | None = None
    novelty: dict[str, int] = field(default_factory=dict)
    test_rows: str = ""
    answers: tuple[EvaluationRows, ...] = field(default=(), repr=False, compare=False)


def compare(
    entries: Sequence[Entry],
    *,
    baseline: str | None = None,
    splits: Sequence[str] = ("test",),
    user_split: str | None = "seen",
    margin: float | None = None,
) -> Comparison:
    """Compares scores tables on the judgements that all of them hold.

    Args:
        entries: At least one.
        baseline: Name or method of the entry that gains are over; by default ``bradley-terry``
            where it is there, else the first. Where several answer to it, as in a sweep, each run
            is compared with the one of its own training size, model and tuning.
        splits: As `select_rows`.
        user_split: As `select_rows`.
        margin: Difference of accuracies, above 0, up to which runs are called equivalent.

    Raises:
        UsageError: The margin is not between 0 and 1.
        DataError: The tables share no judgement, or disagree about a label.
    """
    if margin is not None and not 0 < margin < 1:
        raise UsageError(
            f"a margin of {100 * margin:g} points is not between 0 and 100", hint="--margin 2"
        )
    parts = [select_rows(entry.scores, splits, user_split) for entry in entries]
    shared, left_out = _shared(entries, parts)
    rows = [evaluation_rows(_restrict(part, shared)) for part in parts]
    if rows[0].margin.size == 0:
        raise DataError("there is no judgement with a side to compare on", hint="plt report RUN")
    references = _references(entries, baseline)
    first = _restrict(parts[0], shared)
    keys = first.filter(pl.col("label").is_not_null(), pl.col("label") != 0.5).select(JUDGEMENT)
    runs = [
        read_run(entry, each, keys, splits, user_split)
        for entry, each in zip(entries, rows, strict=True)
    ]
    measured = [_measure(entry, each) for entry, each in zip(entries, rows, strict=True)]
    first_figure = measured[0].macro if rows[0].users is not None else measured[0].pooled
    stands_on = ground(first_figure)
    over = gains(runs, references, stands_on.target)
    compared = [replace(each, gain=gain) for each, gain in zip(measured, over, strict=True)]
    name = _baseline_name(entries, references)
    return Comparison(
        rows=tuple(compared),
        baseline=name,
        majority=majority_reference(rows[0], first),
        n_shared=shared.height,
        n_left_out=left_out,
        n_ties=rows[0].n_ties,
        ground=stands_on,
        verdict=verdict(over, name, stands_on, margin),
        same_answers=_same_answers(entries, rows),
        margin=margin,
        novelty=_novelty(rows),
        test_rows=content_hash(first),
        answers=tuple(rows),
    )


def _same_answers(
    entries: Sequence[Entry], rows: Sequence[EvaluationRows]
) -> tuple[tuple[str, ...], ...]:
    """Names of the runs whose answers are the same on every judgement, in the order given."""
    groups: dict[bytes, list[str]] = {}
    for entry, each in zip(entries, rows, strict=True):
        groups.setdefault(each.correct.tobytes(), []).append(entry.name)
    return tuple(tuple(names) for names in groups.values() if len(names) > 1)


def _novelty(rows: Sequence[EvaluationRows]) -> dict[str, int]:
    """How many judgements are of each kind of novelty, where all entries agree on that."""
    first = rows[0].novelty
    if first is None:
        return {}
    for row in rows[1:]:
        if row.novelty is None or not np.array_equal(row.novelty, first):
            return {}
    counts = {kind: int((first == code).sum()) for code, kind in enumerate(KINDS)}
    return {kind: count for kind, count in counts.items() if count}


def _shared(entries: Sequence[Entry], parts: Sequence[pl.DataFrame]) -> tuple[pl.DataFrame, int]:
    """The judgements of every part, and how many only some have."""
    keys = [
        part.filter(pl.col("label").is_not_null()).select(*JUDGEMENT, "label") for part in parts
    ]
    shared = keys[0]
    everything = shared.select(JUDGEMENT)
    for entry, other in zip(entries[1:], keys[1:], strict=True):
        both = shared.join(other, on=JUDGEMENT, how="inner", suffix="_other", nulls_equal=True)
        if (both["label"] != both["label_other"]).any():
            raise DataError(
                f"{entries[0].name} and {entry.name} disagree about a label of one judgement",
                hint="score both on the same table: plt score RUN DATA",
            )
        shared = both.drop("label_other")
        everything = pl.concat([everything, other.select(JUDGEMENT)]).unique()
    if shared.height == 0:
        raise DataError(
            "the runs share no judgement in the chosen split",
            problems=[
                f"{e.name}: {k.height} judgements" for e, k in zip(entries, keys, strict=True)
            ],
            hint="plt report RUN... --split test --users all",
        )
    return shared.select(JUDGEMENT).sort(JUDGEMENT), everything.height - shared.height


def _restrict(part: pl.DataFrame, shared: pl.DataFrame) -> pl.DataFrame:
    return shared.join(part, on=JUDGEMENT, how="left", maintain_order="left", nulls_equal=True)


def _references(entries: Sequence[Entry], wanted: str | None) -> list[int | None]:
    """For each entry the one that its gain is over; None for a baseline itself."""
    found = [
        i
        for i, entry in enumerate(entries)
        if (wanted or BASELINE) in (entry.name, entry.method, entry.run_id)
    ]
    if not found and wanted is not None:
        known = ", ".join(entry.name for entry in entries)
        raise DataError(f"there is no run '{wanted}' to be the baseline", problems=[known])
    # Without one the first entry is the baseline, and in a sweep the other runs of its method.
    found = found or [i for i, e in enumerate(entries) if e.method == entries[0].method]
    nearest = [_nearest(entries, i, found) for i in range(len(entries))]
    if len(found) > 1 and any(reference is not None for reference in nearest):
        return nearest
    return [None if i == found[0] else found[0] for i in range(len(entries))]


def _nearest(entries: Sequence[Entry], i: int, baselines: list[int]) -> int | None:
    """The first baseline of the same training size, if possible of the same model and tuning."""
    mine = entries[i].condition
    same_size = [b for b in baselines if entries[b].condition.size == mine.size]

    def unlike(b: int) -> tuple[bool, bool]:
        other = entries[b].condition
        return other.model != mine.model, other.tune != mine.tune

    best = min(same_size, key=unlike, default=None)
    return None if best == i else best


def _baseline_name(entries: Sequence[Entry], references: Sequence[int | None]) -> str | None:
    used = {entries[reference].name for reference in references if reference is not None}
    if len(used) > 1:
        return next(entries[r].method for r in references if r is not None)
    return next(iter(used), None)


def _measure(entry: Entry, rows: EvaluationRows) -> Compared:
    average: Average = "user" if rows.users is not None else "pair"
    return Compared(
        entry=entry,
        macro=compute(METRICS["accuracy"], rows, average),
        pooled=compute(METRICS["accuracy"], rows, "pair"),
        worst=compute(METRICS["worst_user_accuracy"], rows, "user"),
        worst_decile=compute(METRICS["worst_decile_accuracy"], rows, "user"),
        minority=compute(METRICS["minority_accuracy"], rows, average),
        log_loss=compute(METRICS["log_loss"], rows, "pair"),
        auc=compute(METRICS["auc"], rows, "pair"),
        undecided=float(np.mean(rows.undecided)) if rows.margin.size else None,
    )
