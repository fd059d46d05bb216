"""Runs side by side on the same judgements, with paired differences and an honest verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from plt.analyze.evaluation import (
    JUDGEMENT,
    EvaluationRows,
    compute,
    evaluation_rows,
    select_rows,
)
from plt.analyze.majority_reference import majority_reference
from plt.analyze.proportions import user_intervals
from plt.analyze.registry import METRICS
from plt.analyze.significance import PairedDifference, holm, paired_difference
from plt.analyze.uncertainty import Average, Interval
from plt.errors import DataError

ALPHA = 0.05
SILENT = 0.1
"""Share of margins that are exactly 0 from which a verdict says so."""
BASELINE = "bradley-terry"


@dataclass(frozen=True)
class Entry:
    """One scores table of a comparison.

    Attributes:
        name: How it is called: the method, and the run id where methods repeat.
        method: Registry name.
        run_id: The run.
        scores: Its `scores/1` table, controls included.
        footnote: What a reader must know about its split: a paper's protocol that leaks.
    """

    name: str
    method: str
    run_id: str
    scores: pl.DataFrame
    footnote: str | None = None


@dataclass(frozen=True)
class Compared:
    """One row of a comparison.

    Attributes:
        entry: What was compared.
        macro: Accuracy averaged over users.
        pooled: Accuracy over judgements.
        worst: Lowest accuracy of any user.
        log_loss: Over judgements.
        auc: Over judgements.
        zero_margins: Share of judgements whose margin is exactly 0 (counted as wrong).
        gain: Paired difference of macro accuracy to the baseline; None for the baseline itself.
        gain_p: Its p value, Holm-adjusted over the rows of the comparison.
        wrong_user: Paired difference to the baseline when scored as another user, if known.
    """

    entry: Entry
    macro: Interval
    pooled: Interval
    worst: Interval
    log_loss: Interval
    auc: Interval
    zero_margins: float | None
    gain: PairedDifference | None = None
    gain_p: float | None = None
    wrong_user: PairedDifference | None = None


@dataclass(frozen=True)
class Comparison:
    """Several runs on the judgements that they share.

    Attributes:
        rows: One an entry, in the order given.
        baseline: Name of the entry that gains are over; None when there is one entry only.
        majority: Accuracy of the majority's vote on the same rows: name of the form to interval.
        n_shared: Judgements that every entry scored, ties included.
        n_left_out: Judgements that only some entries scored.
        n_ties: Ties among the shared ones.
        verdict: One sentence.
    """

    rows: tuple[Compared, ...]
    baseline: str | None
    majority: dict[str, Interval]
    n_shared: int
    n_left_out: int
    n_ties: int
    verdict: str


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
            where it is there, else the first.
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
    reference = _baseline_index(entries, baseline)
    compared = []
    for i, (entry, row) in enumerate(zip(entries, rows, strict=True)):
        if i == reference:
            compared.append(_measure(entry, row, None, None))
            continue
        sham = _wrong_user_gain(entry, shared, parts[reference], splits, user_split)
        compared.append(_measure(entry, row, _difference(row, rows[reference]), sham))
    compared = _adjusted(compared)
    name = entries[reference].name if len(entries) > 1 else None
    return Comparison(
        rows=tuple(compared),
        baseline=name,
        majority=majority_reference(rows[0], _restrict(parts[0], shared)),
        n_shared=shared.height,
        n_left_out=left_out,
        n_ties=rows[0].n_ties,
        verdict=_verdict(compared, name),
    )


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


def _baseline_index(entries: Sequence[Entry], wanted: str | None) -> int:
    for i, entry in enumerate(entries):
        if (wanted or BASELINE) in (entry.name, entry.method, entry.run_id):
            return i
    if wanted is not None:
        known = ", ".join(entry.name for entry in entries)
        raise DataError(f"there is no run '{wanted}' to be the baseline", problems=[known])
    return 0


def _wrong_user_gain(
    entry: Entry,
    shared: pl.DataFrame,
    baseline: pl.DataFrame,
    splits: Sequence[str],
    user_split: str | None,
) -> PairedDifference | None:
    """The paired difference to the baseline of the scores as another user, where there are any.

    Only on the judgements that have a score as another user: a person without training rows has
    none, and must not take the sham from everybody else.
    """
    sham = entry.scores.filter(pl.col("control").cast(pl.String) == "wrong-user")
    sham = select_rows(sham.with_columns(control=None), splits, user_split)
    both = shared.join(sham.select(JUDGEMENT), on=JUDGEMENT, how="semi", nulls_equal=True)
    if both.height == 0:
        return None
    return _difference(
        evaluation_rows(_restrict(sham, both)), evaluation_rows(_restrict(baseline, both))
    )


def _difference(rows: EvaluationRows, baseline: EvaluationRows) -> PairedDifference:
    """The paired difference of accuracies, over users where there are any."""
    return paired_difference(
        rows.correct,
        baseline.correct,
        rows.users,
        rows.groups,
        target=rows.target,
        average="user" if rows.users is not None else "pair",
        bounds=(-1.0, 1.0),
    )


def _measure(
    entry: Entry,
    rows: EvaluationRows,
    gain: PairedDifference | None,
    wrong_user: PairedDifference | None,
) -> Compared:
    average: Average = "user" if rows.users is not None else "pair"
    return Compared(
        entry=entry,
        macro=compute(METRICS["accuracy"], rows, average),
        pooled=compute(METRICS["accuracy"], rows, "pair"),
        worst=compute(METRICS["worst_user_accuracy"], rows, "user"),
        log_loss=compute(METRICS["log_loss"], rows, "pair"),
        auc=compute(METRICS["auc"], rows, "pair"),
        zero_margins=float(np.mean(rows.margin == 0)) if rows.margin.size else None,
        gain=gain,
        wrong_user=wrong_user,
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
