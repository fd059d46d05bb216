"""Runs side by side on the same judgements, with paired differences and an honest verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from plt.analyze.comparison.entries import Entry
from plt.analyze.comparison.majority_reference import majority_reference
from plt.analyze.intervals.proportions import user_intervals
from plt.analyze.intervals.significance import PairedDifference, holm, paired_difference
from plt.analyze.intervals.uncertainty import Average, Interval
from plt.analyze.registry import METRICS
from plt.analyze.scores.evaluation import (
    JUDGEMENT,
    EvaluationRows,
    compute,
    evaluation_rows,
    select_rows,
)
from plt.analyze.scores.made_worse import made_worse
from plt.analyze.scores.novelty import KINDS
from plt.errors import DataError

ALPHA = 0.05
SILENT = 0.1
"""Share of margins that are exactly 0 from which a verdict says so."""
BASELINE = "bradley-terry"
SHAMS = ("wrong-user", "shuffled-ids")


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
        zero_margins: Share of judgements whose margin is exactly 0 (counted as wrong).
        gain: Paired difference of macro accuracy to the baseline; None for the baseline itself,
            and where no baseline was trained on as many rows.
        gain_p: Its p value, Holm-adjusted over the rows of the comparison.
        wrong_user: Paired difference to the baseline when scored as another user, if known.
        shuffled_ids: The same when fitted on shuffled ids, if known.
        made_worse: Share of users served worse than by the baseline, noise taken out.
    """

    entry: Entry
    macro: Interval
    pooled: Interval
    worst: Interval
    worst_decile: Interval
    minority: Interval
    log_loss: Interval
    auc: Interval
    zero_margins: float | None
    gain: PairedDifference | None = None
    gain_p: float | None = None
    wrong_user: PairedDifference | None = None
    shuffled_ids: PairedDifference | None = None
    made_worse: Interval | None = None


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
        novelty: Kind of novelty to number of shared judgements with a side; empty where no table
            says what was new, or where they differ.
        verdict: One sentence.
    """

    rows: tuple[Compared, ...]
    baseline: str | None
    majority: dict[str, Interval]
    n_shared: int
    n_left_out: int
    n_ties: int
    verdict: str
    novelty: dict[str, int] = field(default_factory=dict)


def compare(
    entries: Sequence[Entry],
    *,
    baseline: str | None = None,
    splits: Sequence[str] = ("test",),
    user_split: str | None = "seen",
) -> Comparison:
    """Compares scores tables on the judgements that all of them hold.

    Args:
        entries: At least one.
        baseline: Name or method of the entry that gains are over; by default ``bradley-terry``
            where it is there, else the first. Where several answer to it, as in a sweep, each run
            is compared with the one of its own training size, model and tuning.
        splits: As `select_rows`.
        user_split: As `select_rows`.

    Raises:
        DataError: The tables share no judgement, or disagree about a label.
    """
    parts = [select_rows(entry.scores, splits, user_split) for entry in entries]
    shared, left_out = _shared(entries, parts)
    rows = [evaluation_rows(_restrict(part, shared)) for part in parts]
    if rows[0].margin.size == 0:
        raise DataError("there is no judgement with a side to compare on", hint="plt report RUN")
    references = _references(entries, baseline)
    compared = []
    for entry, row, reference in zip(entries, rows, references, strict=True):
        found = _measure(entry, row)
        if reference is not None:
            shams = [
                _sham_gain(entry, sham, shared, parts[reference], splits, user_split)
                for sham in SHAMS
            ]
            found = replace(
                found,
                gain=_difference(row, rows[reference]),
                made_worse=made_worse(row, rows[reference]),
                wrong_user=shams[0],
                shuffled_ids=shams[1],
            )
        compared.append(found)
    compared = _adjusted(compared)
    name = _baseline_name(entries, references)
    return Comparison(
        rows=tuple(compared),
        baseline=name,
        majority=majority_reference(rows[0], _restrict(parts[0], shared)),
        n_shared=shared.height,
        n_left_out=left_out,
        n_ties=rows[0].n_ties,
        verdict=_verdict(compared, name),
        novelty=_novelty(rows),
    )


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


def _sham_gain(
    entry: Entry,
    control: str,
    shared: pl.DataFrame,
    baseline: pl.DataFrame,
    splits: Sequence[str],
    user_split: str | None,
) -> PairedDifference | None:
    """The paired difference to the baseline of the scores under a sham, where there are any.

    Only on the judgements that have a score under it: a person without training rows cannot be
    scored as somebody else, and must not take the sham from everybody else.
    """
    sham = entry.scores.filter(pl.col("control").cast(pl.String) == control)
    sham = select_rows(sham.with_columns(control=None), splits, user_split)
    both = shared.join(sham.select(JUDGEMENT), on=JUDGEMENT, how="semi", nulls_equal=True)
    if both.height == 0:
        return None
    return _difference(
        evaluation_rows(_restrict(sham, both)), evaluation_rows(_restrict(baseline, both))
    )


def _difference(rows: EvaluationRows, baseline: EvaluationRows) -> PairedDifference:
    """The paired difference of accuracies, over users where there are any."""
    found = paired_difference(
        rows.correct,
        baseline.correct,
        rows.users,
        rows.groups,
        average="user" if rows.users is not None else "pair",
        bounds=(-1.0, 1.0),
    )
    return replace(found, interval=rows.named(found.interval))


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
        zero_margins=float(np.mean(rows.margin == 0)) if rows.margin.size else None,
    )


def _adjusted(compared: list[Compared]) -> list[Compared]:
    """Holm's correction over the gains of one table."""
    raw = [c.gain.p_value if c.gain is not None else None for c in compared]
    adjusted = holm(np.array([np.nan if p is None else p for p in raw], dtype=np.float64))
    return [
        c if p is None else replace(c, gain_p=float(q))
        for c, p, q in zip(compared, raw, adjusted, strict=True)
    ]


def _verdict(compared: Sequence[Compared], baseline: str | None) -> str:
    """What the differences say, in one sentence."""
    if baseline is None:
        return "One run: nothing to compare it with."
    gains = [c for c in compared if c.gain is not None]
    certain = [c for c in gains if c.gain_p is not None and c.gain_p < ALPHA and _value(c) > 0]
    worse = [c for c in gains if c.gain_p is not None and c.gain_p < ALPHA and _value(c) < 0]
    names = ", ".join(f"{c.entry.name} ({_points(c)})" for c in certain)
    text = (
        f"Better than {baseline} beyond chance: {names}."
        if certain
        else f"No detectable gain over {baseline}: no gain is above 0 beyond chance"
        f" (Holm's correction over {len(gains)})."
    )
    if worse:
        text += f" Worse: {', '.join(f'{c.entry.name} ({_points(c)})' for c in worse)}."
    return text


def _value(compared: Compared) -> float:
    assert compared.gain is not None
    assert compared.gain.interval.value is not None
    return compared.gain.interval.value


def _points(compared: Compared) -> str:
    said = f"{100 * _value(compared):+.1f} points"
    silent = compared.zero_margins or 0.0
    # A margin of 0 counts as wrong: who has no opinion looks worse than a coin.
    return said if silent < SILENT else f"{said}, without an opinion on {100 * silent:.0f} %"


def user_table(entry: Entry, splits: Sequence[str], user_split: str | None) -> pl.DataFrame:
    """The accuracy of each user with its Wilson interval on the effective number of groups.

    Returns:
        Columns `user_id`, `accuracy`, `ci_low`, `ci_high`, `n_judgements`, sorted by user; empty
        for data without users.
    """
    rows = evaluation_rows(select_rows(entry.scores, splits, user_split))
    if rows.users is None:
        return pl.DataFrame({"user_id": []}, schema={"user_id": pl.String})
    found = user_intervals(rows.correct, rows.users, rows.groups)
    return pl.DataFrame(
        {
            "user_id": rows.user_names.cast(pl.String).gather(pl.Series(found.users)),
            "accuracy": found.value,
            "ci_low": found.low,
            "ci_high": found.high,
            "n_judgements": found.n_rows,
        }
    )
