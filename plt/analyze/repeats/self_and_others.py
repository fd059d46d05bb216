"""Does it matter who votes? Self-agreement minus agreement with others, on the same pairs.

Write q for the probability that a person prefers `a` on a pair, and x = 2 q - 1. Two independent
answers of one person agree with probability (1 + x^2) / 2, answers of persons u and w with
(1 + x_u x_w) / 2. On one pair, averaged over persons, the difference is half the variance of x
between persons: 0 when all have the same q, however noisy the pair, and never below 0. Every
repeated cell (person, pair) is therefore compared with the votes of the others on the very same
pair; that keeps noise which differs between pairs from looking like taste.

It assumes that a person's two answers are independent given the pair. If a share s of them is
copied from memory, self-agreement rises by s (1 - self-agreement) without any taste; all of the
difference is explained by s = (self - others) / (1 - others), which is `remembered`.

Two guards stand beside the interval of the difference. Where few answers ever change, Student's t
is wrong because the rare self-disagreements may all be missing, so judgements are exchanged between
persons (`plt.analyze.repeats.exchange`). And persons who are merely less careful than others differ
in q as well; `beyond_reliability` takes that out (`plt.analyze.repeats.reliability`).
"""

from dataclasses import dataclass

import numpy as np

from plt.analyze.intervals.figures import NOT_ASKED, without_interval
from plt.analyze.intervals.uncertainty import Interval, influence_interval, mean_interval
from plt.analyze.repeats.exchange import ExchangeTest, exchange_test
from plt.analyze.repeats.reliability import (
    MIN_VOTES,
    relative_reliability,
    reliability_influence,
)
from plt.analyze.repeats.repeated_cells import CellVotes, SharedCells, cell_votes, shared_cells
from plt.analyze.votes.votes import FloatArray, Votes
from plt.analyze.votes.weighted_votes import drawn_pairs

NO_THIRD_VOTER = "no repeated judgement is on a pair with three voters"
CARE_UNKNOWN = f"nobody who repeated one has {MIN_VOTES} votes on other such pairs"


@dataclass(frozen=True)
class SelfAndOthers:
    """Figures of the repeated cells on shared pairs, each cell counted once.

    Attributes:
        self_agreement: Agreement of a person with themselves.
        between_persons: Agreement of the same judgements with the votes of the others on the pair.
        difference: The first minus the second; 0 if it does not matter who votes and a person's
            two answers are independent given the pair.
        exchanged: Exchanging judgements between the persons of a pair.
        beyond_reliability: What is left of the difference when persons may differ in reliability,
            a mean in which a person whom care would have to make very reliable weighs less.
        above_one: Share of the persons whose reliability is above that of the others. Where most
            are, a few pull the agreement down, by carelessness or because they form a camp.
        remembered: Share of copied answers that would explain the whole difference; None where
            nothing is to be explained.
        n_cells: Repeated cells on shared pairs.
        n_users: Persons with one.
    """

    self_agreement: Interval
    between_persons: Interval
    difference: Interval
    exchanged: ExchangeTest
    beyond_reliability: Interval
    above_one: float | None
    remembered: float | None
    n_cells: int
    n_users: int


def self_and_others(votes: Votes, *, intervals: bool = True, seed: int = 0) -> SelfAndOthers | None:
    """Whether it matters who votes, from the repeated judgements on shared pairs.

    If u answers a pair with (a, again a) and w with (b, again b), each agrees with itself and not
    with the other: difference 1. If both change, (a, b) and (b, a), each agrees with itself never
    and in one of two answers with the other's vote: -0.5.

    Args:
        votes: The judgements.
        intervals: Whether intervals and the test are wanted.
        seed: Of the exchanges.

    Returns:
        The figures, or None when no repeated cell lies on a shared pair.
    """
    cells = shared_cells(votes)
    if cells.n_cells == 0:
        return None
    rows = cell_votes(votes, cells)
    ones = np.ones(cells.n_cells)
    value, influence = _difference(cells, rows, ones, ones)
    beyond, above_one = _beyond_reliability(votes, cells, intervals)
    others = float(cells.with_others.mean())
    return SelfAndOthers(
        self_agreement=_mean(cells.alike, cells, intervals),
        between_persons=_mean(cells.with_others, cells, intervals),
        difference=_interval(value, influence, cells, rows, ones, intervals),
        exchanged=(
            exchange_test(votes, cells, rows, seed)
            if intervals
            else ExchangeTest(None, reason=NOT_ASKED)
        ),
        beyond_reliability=beyond,
        above_one=above_one,
        remembered=value / (1 - others) if value > 0 else None,
        n_cells=cells.n_cells,
        n_users=cells.n_users,
    )


def _mean(values: FloatArray, cells: SharedCells, intervals: bool) -> Interval:
    if not intervals:
        return without_interval(float(values.mean()), target=cells.target)
    return mean_interval(values, cells.users, cells.groups, bounds=(0.0, 1.0))


def _each_difference(cells: SharedCells, kappa: FloatArray) -> FloatArray:
    """((2 alike - 1) - kappa (2 with_others - 1)) / 2 of each cell."""
    return np.asarray(0.5 * ((2 * cells.alike - 1) - kappa * (2 * cells.with_others - 1)))


def _difference(
    cells: SharedCells, rows: CellVotes, kappa: FloatArray, weights: FloatArray
) -> tuple[float, FloatArray]:
    """The weighted mean over cells of their differences, and its influences.

    The influence of a cell is its own deviation. That of a vote is what the cells of the others on
    its pair would lose if it counted more; these sum to 0 within each cell.

    Returns:
        The mean, and the influences of the cells followed by those of the votes.
    """
    each = _each_difference(cells, kappa)
    own = rows.cell >= 0
    mine = rows.cell[own]
    of_cell = np.zeros((3, rows.users.size))
    of_cell[:, own] = (weights * kappa)[mine] * np.stack(
        (np.ones(mine.size), cells.share_a[mine], cells.with_others[mine])
    )
    total, for_a, expected = (rows.of_others(part) for part in of_cell)
    agreeing = np.where(rows.prefers_a, for_a, total - for_a)
    n_others = np.bincount(rows.place)[rows.place] - 1
    as_other = -(agreeing - expected) / n_others
    sum_of_weights = float(weights.sum())
    value = float(weights @ each) / sum_of_weights
    return value, np.concatenate((weights * (each - value), as_other)) / sum_of_weights


def _interval(
    value: float,
    influence: FloatArray,
    cells: SharedCells,
    rows: CellVotes,
    weights: FloatArray,
    intervals: bool,
) -> Interval:
    if not intervals:
        return without_interval(value, target=cells.target)
    users = np.concatenate((cells.users, rows.users))
    groups = np.concatenate((cells.groups, rows.groups))
    # The figure is a mean over the cells; the votes of others only move it.
    of_rows = np.concatenate((weights, np.zeros(rows.users.size)))
    return influence_interval(value, influence, users, groups, bounds=(-1.0, 1.0), weights=of_rows)


def _beyond_reliability(
    votes: Votes, cells: SharedCells, intervals: bool
) -> tuple[Interval, float | None]:
    """The difference when the others' agreement is scaled to each person's reliability.

    A cell weighs 1 / (1 + kappa^2), the inverse of how its noise grows: camps of unequal size give
    the larger camp a large kappa, and in its cells nothing is left to see. Cells of persons whose
    kappa is not known do not count.

    Returns:
        The figure, and the share of the persons with cells whose kappa is above 1 (in the mean).
    """
    target = cells.target
    cells = cells.where(cells.n_others >= 2)
    if cells.n_cells == 0:
        return without_interval(None, NO_THIRD_VOTER, target), None
    # Care shows in all votes on pairs with three voters, also where nobody was asked again.
    others = drawn_pairs(votes)
    rows = cell_votes(votes, cells, others[votes.n_votes[others] >= 3])
    held = rows.place if cells.are_few_groups else rows.groups
    found = relative_reliability(rows, held)
    own = np.flatnonzero(rows.cell >= 0)
    of_cell = np.empty(cells.n_cells, dtype=np.intp)
    of_cell[rows.cell[own]] = own
    kappa, known = found.kappa[of_cell], found.known[of_cell]
    if not known.any():
        return without_interval(None, CARE_UNKNOWN, target), None
    weights = known / (1 + kappa**2)
    value, influence = _difference(cells, rows, kappa, weights)
    each = _each_difference(cells, kappa)
    slope = -0.5 * weights * (2 * cells.with_others - 1)
    slope += -2 * kappa * weights**2 * (each - value)
    per_row = np.zeros(rows.users.size)
    per_row[of_cell] = slope / weights.sum()
    influence[cells.n_cells :] += reliability_influence(rows, found, per_row)
    n = np.bincount(cells.users[known])
    typical = np.bincount(cells.users[known], kappa[known])[n > 0] / n[n > 0]
    above_one = float((typical > 1).mean())
    return _interval(value, influence, cells, rows, weights, intervals), above_one
