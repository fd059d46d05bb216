"""Does it matter who votes? Self-agreement minus agreement with others, on the same pairs.

Write q for the probability that a person prefers `a` on a pair, and x = 2 q - 1. Two answers of one
person agree with probability (1 + x^2) / 2, answers of persons u and w with (1 + x_u x_w) / 2. On
one pair, averaged over persons, the difference is half the variance of x between persons: 0 when
all have the same q, however noisy the pair, and never below 0. Every repeated cell (person, pair)
is therefore compared with the votes of the others on the very same pair; that keeps noise which
differs between pairs from looking like taste.

Two guards stand beside the interval of the difference. Where few answers ever change, Student's t
is wrong because the rare self-disagreements may all be missing, so an exact test exchanges
judgements between persons (`plt.analyze.votes.exchange`). And persons who are merely less careful
than others differ in q as well; `beyond_reliability` takes that out
(`plt.analyze.votes.self_and_others`).
"""

from dataclasses import dataclass

import numpy as np

from plt.analyze.intervals.figures import without_interval
from plt.analyze.intervals.uncertainty import Interval, Target, influence_interval, mean_interval
from plt.analyze.votes.exchange import exchange_p_value
from plt.analyze.votes.repeated_cells import CellVotes, SharedCells, cell_votes, shared_cells
from plt.analyze.votes.votes import FloatArray, Votes

NO_THIRD_VOTER = "no repeated judgement is on a pair with three voters"


@dataclass(frozen=True)
class SelfAndOthers:
    """Figures of the repeated cells on shared pairs, each cell counted once.

    Attributes:
        self_agreement: Agreement of a person with themselves.
        between_persons: Agreement of the same judgements with the votes of the others on the pair.
        difference: The first minus the second; above 0 only if it matters who votes.
        p_value: One-sided, by exchanging judgements between the persons of a pair; None where the
            interval alone decides.
        beyond_reliability: What is left of the difference when persons may differ in reliability.
        n_cells: Repeated cells on shared pairs.
        n_users: Persons with one.
    """

    self_agreement: Interval
    between_persons: Interval
    difference: Interval
    p_value: float | None
    beyond_reliability: Interval
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
    target = cells.target
    difference, influence = _difference(cells, rows, np.ones(cells.n_cells))
    return SelfAndOthers(
        self_agreement=_mean(cells.alike, cells, target, intervals),
        between_persons=_mean(cells.with_others, cells, target, intervals),
        difference=_interval(difference, influence, cells, rows, target, intervals),
        p_value=exchange_p_value(votes, cells, rows, seed) if intervals else None,
        beyond_reliability=_beyond_reliability(votes, cells, target, intervals),
        n_cells=cells.n_cells,
        n_users=cells.n_users,
    )


def _mean(values: FloatArray, cells: SharedCells, target: Target, intervals: bool) -> Interval:
    if not intervals:
        return without_interval(float(values.mean()), target=target)
    return mean_interval(values, cells.users, cells.groups, bounds=(0.0, 1.0))


def _difference(cells: SharedCells, rows: CellVotes, kappa: FloatArray) -> tuple[float, FloatArray]:
    """Mean over cells of ((2 alike - 1) - kappa (2 with_others - 1)) / 2, and its influences.

    The influence of a cell is its own deviation. That of a vote is what the cells of the others on
    its pair would lose if it counted more; these sum to 0 within each cell.

    Returns:
        The mean, and the influences of the cells followed by those of the votes.
    """
    each = 0.5 * ((2 * cells.alike - 1) - kappa * (2 * cells.with_others - 1))
    own = rows.cell >= 0
    mine = rows.cell[own]
    of_cell = np.zeros((3, rows.users.size))
    of_cell[:, own] = kappa[mine] * np.stack(
        (np.ones(mine.size), cells.share_a[mine], cells.with_others[mine])
    )
    total, for_a, expected = (rows.of_others(part) for part in of_cell)
    agreeing = np.where(rows.prefers_a, for_a, total - for_a)
    n_others = np.bincount(rows.place)[rows.place] - 1
    as_other = -(agreeing - expected) / n_others
    value = float(each.mean())
    return value, np.concatenate((each - value, as_other)) / each.size


def _interval(
    value: float,
    influence: FloatArray,
    cells: SharedCells,
    rows: CellVotes,
    target: Target,
    intervals: bool,
) -> Interval:
    if not intervals:
        return without_interval(value, target=target)
    users = np.concatenate((cells.users, rows.users))
    groups = np.concatenate((cells.groups, rows.groups))
    # The figure is a mean over the cells; the votes of others only move it.
    weights = np.concatenate((np.ones(cells.n_cells), np.zeros(rows.users.size)))
    return influence_interval(value, influence, users, groups, bounds=(-1.0, 1.0), weights=weights)


def _beyond_reliability(
    votes: Votes, cells: SharedCells, target: Target, intervals: bool
) -> Interval:
    """The difference when the others' agreement is scaled to each person's reliability."""
    cells = cells.where(cells.n_others >= 2)
    if cells.n_cells == 0:
        return without_interval(None, NO_THIRD_VOTER, target)
    rows = cell_votes(votes, cells)
    lost = np.bincount(cells.users, 2 * cells.with_others - 1, minlength=votes.n_users)
    kappa, moved = relative_reliability(rows, -0.5 * lost / cells.n_cells)
    value, influence = _difference(cells, rows, kappa[cells.users])
    influence[cells.n_cells :] += moved
    return _interval(value, influence, cells, rows, target, intervals)


MAX_KAPPA = 3.0


def relative_reliability(rows: CellVotes, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Kappa of each person, and how the votes move a weighted sum of them.

    kappa_u is the ratio of sums over the votes of u of t = v L / m and o = (L^2 - m) / (m (m - 1)),
    where m others voted on the pair and L is the sum of their signed votes: t is the mean product
    with the others, o the mean product among these. It is cut to 0..MAX_KAPPA, and 1 where the
    others do not agree with one another, so that there is no reliability to speak of.

    Args:
        rows: Votes on pairs that each have at least three.
        weights: w of each person, [U].

    Returns:
        kappa, [U]; and the influence of each vote on sum of w_u kappa_u, [rows], 0 where kappa is
        cut.
    """
    m = np.bincount(rows.place)[rows.place] - 1
    v = np.where(rows.prefers_a, 1.0, -1.0)
    lean = rows.of_others(v)
    t = v * lean / m
    o = (lean**2 - m) / (m * (m - 1))
    top, bottom = (np.bincount(rows.users, part, minlength=weights.size) for part in (t, o))
    positive = bottom > 0
    raw = np.divide(top, bottom, out=np.ones_like(top), where=positive)
    kappa = np.clip(raw, 0.0, MAX_KAPPA)
    free = positive & (kappa == raw)
    slope = np.divide(weights, bottom, out=np.zeros_like(top), where=free)[rows.users]
    k = slope * kappa[rows.users]
    own = slope * t - k * o
    # As one of the others of u, a vote changes t_u by (v_u v - t_u) / m and o_u by
    # 2 (v (lean_u - v) / (m - 1) - o_u) / m, where lean_u is the sum of all but u's.
    in_t = v * rows.of_others(slope * v) - rows.of_others(slope * t)
    in_o = v * ((lean + v) * rows.of_others(k) - rows.of_others(k * v)) - rows.of_others(k)
    moved: FloatArray = own + (in_t - 2 * (in_o / (m - 1) - rows.of_others(k * o))) / m
    return kappa, moved
