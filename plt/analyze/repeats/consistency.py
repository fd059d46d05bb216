"""Consistency: what people say when they are asked the same thing again."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from plt.analyze.intervals.clusters import kish_size
from plt.analyze.intervals.figures import without_interval
from plt.analyze.intervals.uncertainty import (
    ROUNDING,
    Bounds,
    Interval,
    default_target,
    mean_interval,
)
from plt.analyze.votes.votes import FloatArray, Repeats, Votes

BELOW_CHANCE = "self-agreement is below one half, so no flip rate explains it"
NO_AGREEMENT = "the self-agreement, or the lower end of its interval, is 0"

MIN_REPEATS = 20
"""From so many repeated cells on, agreement without an exception or below chance is remarkable."""


@dataclass(frozen=True)
class Consistency:
    """Figures of the repeated cells (person, pair), each counted once.

    Attributes:
        self_agreement: Share of the pairs of judgements within a cell that agree.
        cronbach_alpha: Reliability of the sum of a cell's first two judgements.
        flip_rate: The probability of answering against one's own preference that the
            self-agreement implies if it is the same for everybody and every pair.
        ceiling_upper_bound: The accuracy that a predictor who knows each person's preference
            reaches at most; exact only if every pair is equally noisy.
        n_repeated: Cells.
        n_users: Persons with one.
    """

    self_agreement: Interval
    cronbach_alpha: Interval
    flip_rate: Interval
    ceiling_upper_bound: Interval
    n_repeated: int
    n_users: int


def consistency(votes: Votes, *, intervals: bool = True) -> Consistency | None:
    """How far people agree with themselves, and what that allows a predictor.

    Args:
        votes: The judgements.
        intervals: Whether intervals are wanted.

    Returns:
        The figures, or None when nobody judged a pair twice. With a self-agreement below one half
        flip rate and ceiling are null.
    """
    cells = votes.repeats
    if cells.n_cells == 0:
        return None
    again = _mean(self_agreement(cells), votes, intervals)
    first = np.flatnonzero(np.append(True, cells.cells[1:] != cells.cells[:-1]))
    scores = np.stack((cells.prefers_a[first], cells.prefers_a[first + 1]), axis=1)
    twice = _mean(scores[:, 0] == scores[:, 1], votes, intervals)
    # About the midpoint, alpha of two binary scores is 2 - 1 / (share of cells that agree).
    alpha = _transformed(twice, lambda a: 2 - 1 / a if a > 0 else -np.inf, 0.0, NO_AGREEMENT)
    return Consistency(
        self_agreement=again,
        cronbach_alpha=replace(alpha, value=cronbach_alpha(scores, midpoint=0.5)),
        flip_rate=_transformed(again, lambda a: 1 - ceiling_upper_bound(a), 0.5, BELOW_CHANCE),
        ceiling_upper_bound=_transformed(again, ceiling_upper_bound, 0.5, BELOW_CHANCE),
        n_repeated=cells.n_cells,
        n_users=int(np.count_nonzero(np.bincount(cells.users))),
    )


def self_agreement(cells: Repeats) -> FloatArray:
    """Share of the pairs of judgements of each cell that agree, [C]: 1 or 0 for two judgements."""
    k, for_a = cells.sizes, cells.for_a
    agreeing: FloatArray = (for_a * (for_a - 1) + (k - for_a) * (k - for_a - 1)) / (k * (k - 1))
    return agreeing


def copies_caveat(agreement: float | None, n_repeated: int) -> str | None:
    """What to think of where nobody ever changes their mind: rows may have been copied.

    Args:
        agreement: Self-agreement.
        n_repeated: The cells that it is a mean of.

    Returns:
        A clause, or None where the self-agreement is below 1 or of fewer than `MIN_REPEATS` cells.
    """
    if agreement != 1 or n_repeated < MIN_REPEATS:
        return None
    return (
        f"every one of {n_repeated:,} repeats says the same: if rows were copied, drop them with"
        " dataset-convert --duplicates drop"
    )


def ceiling_upper_bound(agreement: float) -> float:
    """The accuracy (1 + sqrt(2 a - 1)) / 2 of one truth seen through flips with self-agreement a.

    With P(a) = q on a pair, a = E[q^2 + (1 - q)^2] = (1 + E[x^2]) / 2, x = 2 q - 1, and the best
    predictor is right in E[max(q, 1 - q)] = (1 + E|x|) / 2 of cases, which is at most this and at
    least a itself (Jensen). Self-agreement 0.8 gives 0.887.

    Args:
        agreement: Self-agreement in [0.5, 1].
    """
    excess = 2 * agreement - 1
    # The root would magnify the last bit of a mean of one half.
    return float((1 + np.sqrt(excess if excess > ROUNDING else 0.0)) / 2)


def cronbach_alpha(scores: np.ndarray, *, midpoint: float | None = None) -> float | None:
    """Reliability of the sum of k repeated scores, k / (k - 1) (1 - sum of variances / variance).

    Cronbach (1951, Psychometrika 16). For parallel scores with correlation r it is
    k r / (1 + (k - 1) r).

    Args:
        scores: One row a case, one column an occasion, [cases, k].
        midpoint: Deviations are taken from it instead of the column means. Votes for `a` or `b`
            have the midpoint 0.5 whatever the data, because each pair could be turned round.

    Returns:
        Alpha; None where the sums do not vary.
    """
    k = scores.shape[1]
    centred = scores - (scores.mean(axis=0) if midpoint is None else midpoint)
    of_sum = float(np.mean(centred.sum(axis=1) ** 2))
    if of_sum == 0:
        return None
    within = float(np.mean(centred**2, axis=0).sum())
    return float(k / (k - 1) * (1 - within / of_sum))


def _mean(cell_values: np.ndarray, votes: Votes, intervals: bool) -> Interval:
    """Mean over cells, clustered by person and group."""
    cells = votes.repeats
    groups = votes.groups[cells.pairs]
    if not intervals:
        sizes = (kish_size(np.bincount(codes)) for codes in (cells.users, groups))
        return without_interval(float(cell_values.mean()), target=default_target(*sizes))
    return mean_interval(cell_values, cells.users, groups, bounds=(0.0, 1.0))


def _transformed(
    found: Interval, function: Callable[[float], float], smallest: float, reason: str
) -> Interval:
    """A monotone function of a figure and of the ends of its interval, cut to its domain."""
    if found.value is None or found.value < smallest - ROUNDING:
        return without_interval(None, reason, found.target)
    value = function(found.value)
    if found.low is None or found.high is None:
        return replace(found, value=value, se=None, df=None)
    low, high = _ends((found.low, found.high), function, smallest)
    if not np.isfinite((low, high)).all():
        return without_interval(value, NO_AGREEMENT, found.target)
    these = found.these_users and _ends(found.these_users, function, smallest)
    return replace(found, value=value, low=low, high=high, se=None, df=None, these_users=these)


def _ends(ends: Bounds, function: Callable[[float], float], smallest: float) -> Bounds:
    low, high = sorted(function(max(end, smallest)) for end in ends)
    return low, high
