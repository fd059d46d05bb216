"""What runs of `plt adapt` said about new people, by the number of answers, over all draws.

Draws of one person's shots are no further people: what is measured of a judgement is its mean over
the draws, and the intervals are over users and groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plt.analyze.comparison.entries import Entry
from plt.analyze.intervals.clusters import FloatArray
from plt.analyze.intervals.uncertainty import Interval, influence_interval, mean_interval
from plt.analyze.scores.calibration import AucInfluence, auc_influence, confidence
from plt.analyze.scores.evaluation import JUDGEMENT, EvaluationRows, evaluation_rows
from plt.data.tables.schema import UNDECIDED
from plt.errors import DataError

ALL_ANSWERS = "all answers"
"""Stands for a number of answers: all that a person gave."""

Size: TypeAlias = int | str


@dataclass(frozen=True)
class Answers:
    """One run after one number of answers, on the judgements of a table of them.

    Attributes:
        margins: Log-odds that response_a is preferred, [draws, rows]; NaN where a person has too
            few answers.
        wrong_user: The same as another person of the same draw; None without such scores.
    """

    margins: FloatArray
    wrong_user: FloatArray | None = None

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which judgements have a score in every draw, [rows]."""
        return np.asarray(~np.isnan(self.margins).any(axis=0))


@dataclass(frozen=True)
class Learner:
    """One run of `plt adapt`.

    Attributes:
        name: What it is called.
        method: Registry name.
        seeds: Those of its shots.
        after: Number of answers to what it said; 0 is always there.
        flat: Whether no answer changes anything; a run that was shown none may learn from some.
    """

    name: str
    method: str
    seeds: tuple[int, ...]
    after: dict[Size, Answers]
    flat: bool = False


def is_adapted(entry: Entry) -> bool:
    """Whether a scores table is one of `plt adapt`."""
    return entry.scores["draw"].null_count() < entry.scores.height


def shared_rows(entries: Sequence[Entry]) -> tuple[pl.DataFrame, EvaluationRows]:
    """The judgements with a side that every run was asked before any answer was shown.

    Returns:
        Their keys and labels, and the rows of the first entry on them; groups and people are
        numbered by these.

    Raises:
        DataError: There are none, or two runs disagree about a label.
    """
    shared = _generic(entries[0])
    for entry in entries[1:]:
        other = _generic(entry).select(*JUDGEMENT, other="label")
        shared = shared.join(other, on=JUDGEMENT, how="inner", maintain_order="left")
        if (shared["label"] != shared["other"]).any():
            raise DataError(
                f"{entries[0].name} and {entry.name} disagree about a label of one judgement",
                hint="adapt both on the same table: plt adapt RUN RUN --data DATA",
            )
        shared = shared.drop("other")
    judged = shared.filter(pl.col("label").is_not_null())
    rows = evaluation_rows(judged)
    if not rows.margin.size:
        raise DataError(
            "the runs share no judgement with a side of a new person",
            hint="plt adapt RUN RUN --n-shots 0,5,10",
        )
    return judged.filter(pl.col("label") != 0.5).select(*JUDGEMENT), rows


def _generic(entry: Entry) -> pl.DataFrame:
    own = entry.scores.filter(pl.col("control").is_null(), pl.col("n_shots") == 0)
    if not own.height:
        raise DataError(
            f"{entry.name} has no scores without answers, so there is nothing to compare with",
            hint="plt adapt RUN --n-shots 0,5,10",
        )
    return own.sort(JUDGEMENT)


def read_learner(entry: Entry, keys: pl.DataFrame) -> Learner:
    """A run's scores on the judgements in `keys`."""
    scores = entry.scores.with_columns(
        size=pl.when(pl.col("variant").is_null()).then(pl.col("n_shots").cast(pl.String)).otherwise(
            pl.col("variant")
        )
    )  # fmt: skip
    after: dict[Size, Answers] = {}
    for (size,), part in sorted(scores.partition_by("size", as_dict=True).items(), key=_order):
        own = part.filter(pl.col("control").is_null())
        sham = part.filter(pl.col("control").cast(pl.String) == "wrong-user")
        wrong = _margins(sham, keys) if sham.height else None
        after[int(size) if str(size).isdecimal() else str(size)] = Answers(
            _margins(own, keys), wrong
        )
    seeds = tuple(sorted(int(seed) for seed in scores["seed"].unique()))
    flat = entry.personal is False and set(after) == {0}
    return Learner(entry.name, entry.method, seeds, after, flat)


def _order(item: tuple[tuple[object, ...], pl.DataFrame]) -> tuple[bool, int]:
    size = str(item[0][0])
    return not size.isdecimal(), int(size) if size.isdecimal() else 0


def _margins(scores: pl.DataFrame, keys: pl.DataFrame) -> FloatArray:
    """Margins of shape [draws, rows], NaN where there is no score."""
    draws = []
    for part in scores.partition_by("draw", maintain_order=True):
        found = keys.join(
            part.select(*JUDGEMENT, "margin"), on=JUDGEMENT, how="left", maintain_order="left"
        )
        draws.append(found["margin"].fill_null(np.nan).to_numpy())
    return np.stack(draws)


def right(margins: FloatArray, rows: EvaluationRows) -> FloatArray:
    """The share of draws in which each answer is right, [rows]; an undecided one is half right."""
    won = np.where(np.abs(margins) < UNDECIDED, 0.5, rows.prefers_a == (margins > 0))
    return np.asarray(np.where(np.isnan(margins), np.nan, won).mean(axis=0))


def loss(margins: FloatArray, rows: EvaluationRows) -> FloatArray:
    """The mean over draws of -log sigma(margin of the preferred response), [rows]."""
    signed = np.where(rows.prefers_a, margins, -margins)
    with np.errstate(invalid="ignore"):  # who has too few answers has no margin
        return np.asarray(np.logaddexp(0.0, -signed).mean(axis=0))


def mean_auc(margins: FloatArray, rows: EvaluationRows) -> AucInfluence | None:
    """The mean over draws of the area under the curve; None where all rows are of one side."""
    each = [auc_influence(draw, rows.prefers_a) for draw in margins]
    known = [one for one in each if one is not None]
    if not known:
        return None
    value = float(np.mean([one.value for one in known]))
    influence = np.mean([one.influence for one in known], axis=0)
    return AucInfluence(value, influence, known[0].weights)


@dataclass(frozen=True)
class Figures:
    """What a run is worth on some judgements.

    Attributes:
        accuracy: Over users.
        auc: Over judgements.
        log_loss: Over users.
        overconfidence: Over users.
    """

    accuracy: Interval
    auc: Interval
    log_loss: Interval
    overconfidence: Interval


def figures(margins: FloatArray, rows: EvaluationRows) -> Figures:
    """The figures of margins without gaps, [draws, rows]."""
    correct = right(margins, rows)
    users, groups = rows.users, rows.groups
    area = mean_auc(margins, rows)
    excess = confidence(margins).mean(axis=0) - correct
    return Figures(
        accuracy=rows.named(
            mean_interval(correct, users, groups, average="user", bounds=(0.0, 1.0))
        ),
        auc=one_sided(rows) if area is None else area_interval(area, rows, (0.0, 1.0)),
        log_loss=mean_interval(
            loss(margins, rows), users, groups, average="user", bounds=(0.0, np.inf)
        ),
        overconfidence=mean_interval(excess, users, groups, average="user", bounds=(-1.0, 1.0)),
    )


def area_interval(
    found: AucInfluence, rows: EvaluationRows, bounds: tuple[float, float]
) -> Interval:
    """The interval of an area under the curve, or of a difference of two."""
    return influence_interval(
        found.value, found.influence, rows.users, rows.groups, bounds=bounds, weights=found.weights
    )


def one_sided(rows: EvaluationRows) -> Interval:
    """Where every judgement has one side, there is no area under a curve."""
    return Interval(
        None, None, None, rows.target, "none", 0.95, reason="every judgement has one side"
    )
