"""Room: how much more a predictor could get right if it knew each person, as a bracket.

One answer for everybody is at best the majority's. Counting the own vote among the majority
flatters it (no predictor sees the vote it predicts), leaving it out slights it (one voter fewer).
The best one answer lies between, so the room lies between the ceiling minus either.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from plt.analyze.intervals.figures import without_interval
from plt.analyze.intervals.uncertainty import (
    ROUNDING,
    Interval,
    Target,
    influence_interval,
    mean_interval,
)
from plt.analyze.repeats.consistency import BELOW_CHANCE, ceiling_upper_bound
from plt.analyze.repeats.repeated_cells import SharedCells, shared_cells
from plt.analyze.votes.divergence import NO_SHARED_PAIR
from plt.analyze.votes.votes import FloatArray, Votes

NO_REPEATS = "no repeated judgement is on a shared pair, so the ceiling is unknown"
MAY_BE_BELOW_CHANCE = (
    "the repeated judgements cannot rule out a self-agreement below one half, where the ceiling has"
    " no finite slope"
)
ASSUMED_CONSISTENCY = (0.8, 0.9, 1.0)


@dataclass(frozen=True)
class Room:
    """Figures of judgements, each counted once (target as in the intervals).

    Attributes:
        low: `ceiling_upper_bound` of the self-agreement minus `own_vote_majority`.
        high: The same minus `leave_one_out_majority`.
        own_vote_majority: How often the majority, own vote counted, is right; ties earn one half.
        leave_one_out_majority: The same with the majority of the others.
        n_judgments: Judgements behind the figures: the repeated cells on shared pairs or, without
            any, all votes on shared pairs.
        if_consistency: Without repeats: assumed self-agreement to the bracket it would give.
    """

    low: Interval
    high: Interval
    own_vote_majority: Interval
    leave_one_out_majority: Interval
    n_judgments: int
    if_consistency: dict[float, tuple[float, float]] = field(default_factory=dict)

    @property
    def is_positive(self) -> bool | None:
        """Whether even the lower end of the interval of the lower end is above 0."""
        if self.low.value is None:
            return None
        return self.low.low is not None and self.low.low > 0


def room(votes: Votes, *, intervals: bool = True) -> Room:
    """How much better than the majority a predictor that knows each person could be, at most.

    All figures are means over the same repeated cells on shared pairs, so that hard pairs, asked
    again more often, cannot feign a gap. The ceiling takes every pair to be equally noisy; where
    pairs differ it is too high and so is the room (see `ceiling_upper_bound`). Where all cells
    agree alike, the ceiling is as uncertain as their interval without an exception says; where that
    reaches below one half, the room has no interval.

    Args:
        votes: The judgements.
        intervals: Whether intervals are wanted.

    Returns:
        The bracket; without repeated judgements of shared pairs, what it would be for assumed
        values of consistency.
    """
    cells = shared_cells(votes)
    if cells.n_cells == 0:
        return _without_repeats(votes)
    n = cells.n_others + 1
    same = np.where(cells.first_a, votes.for_a[cells.pairs], n - votes.for_a[cells.pairs])
    own = (np.sign(2 * same - n) + 1) / 2
    others = (np.sign(2 * same - n - 1) + 1) / 2
    target = cells.target
    return Room(
        low=_gap(cells, own, target, intervals),
        high=_gap(cells, others, target, intervals),
        own_vote_majority=_mean(cells, own, target, intervals),
        leave_one_out_majority=_mean(cells, others, target, intervals),
        n_judgments=cells.n_cells,
    )


def _without_repeats(votes: Votes) -> Room:
    leads = votes.lead_counts.sum(axis=0)
    total = int(leads.sum())
    if total == 0:
        null = without_interval(None, NO_SHARED_PAIR)
        return Room(null, null, null, null, 0)
    own = (leads[1] / 2 + leads[2:].sum()) / total
    others = (leads[2] / 2 + leads[3:].sum()) / total
    ceilings = {a: ceiling_upper_bound(a) for a in ASSUMED_CONSISTENCY}
    unknown = without_interval(None, NO_REPEATS)
    return Room(
        low=unknown,
        high=unknown,
        own_vote_majority=without_interval(float(own), NO_REPEATS),
        leave_one_out_majority=without_interval(float(others), NO_REPEATS),
        n_judgments=total,
        if_consistency={a: (float(c - own), float(c - others)) for a, c in ceilings.items()},
    )


def _mean(cells: SharedCells, earned: FloatArray, target: Target, intervals: bool) -> Interval:
    if not intervals:
        return without_interval(float(earned.mean()), target=target)
    return mean_interval(earned, cells.users, cells.groups, bounds=(0.0, 1.0))


def _gap(cells: SharedCells, earned: FloatArray, target: Target, intervals: bool) -> Interval:
    """The ceiling minus a mean over the same cells; the ceiling's slope carries its share."""
    agreement = float(cells.alike.mean())
    if agreement < 0.5 - ROUNDING:
        return without_interval(None, BELOW_CHANCE, target)
    value = ceiling_upper_bound(agreement) - float(earned.mean())
    if not intervals:
        return without_interval(value, target=target)
    if agreement <= 0.5 + ROUNDING:
        reason = "at a self-agreement of one half the ceiling has no finite slope"
        return without_interval(value, reason, target)
    again = _mean(cells, cells.alike, target, True)
    if again.low is not None and again.low < 0.5:
        return without_interval(value, MAY_BE_BELOW_CHANCE, target)
    if cells.alike.min() == cells.alike.max():
        return _gap_without_variation(cells, value, earned, target)
    slope = 0.5 / np.sqrt(2 * agreement - 1)
    influence = slope * (cells.alike - agreement) - (earned - earned.mean())
    return influence_interval(
        value,
        influence / cells.n_cells,
        cells.users,
        cells.groups,
        bounds=(-1.0, 1.0),
    )


def _gap_without_variation(
    cells: SharedCells, value: float, earned: FloatArray, target: Target
) -> Interval:
    """The gap where all cells agree alike, so that the ceiling has no influences.

    That does not make the ceiling certain: it takes the ends of the self-agreement's interval (see
    the text of `plt.analyze.intervals.uncertainty`), minus the opposite end of the majority's: an
    end of the gap is wrong only where one of the two is.
    """
    again = _mean(cells, cells.alike, target, True)
    majority = _mean(cells, earned, target, True)
    if again.low is None or again.high is None or majority.low is None or majority.high is None:
        # Both rest on the same clusters, so they lack their ends for the same reason.
        return replace(again, value=value, low=None, high=None)
    low = ceiling_upper_bound(again.low) - majority.high
    high = ceiling_upper_bound(again.high) - majority.low
    return replace(again, value=value, low=low, high=high, these_users=None)
