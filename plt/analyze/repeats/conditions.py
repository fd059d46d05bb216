"""Whether a person's two answers are independent, where the table says how they were asked.

Self-agreement says something about taste only if the second answer is an act of judging of its own.
Two things break that and can be seen. Where the time is known, remembered answers agree more often
after a short while. Where the order of the two responses is known, a habit of choosing the first
agrees more often in the same order than the other way round. Where all had the same order there is
nothing to compare with: then it is asked whether anybody chooses what is seen first more often than
not, or less often; habits of single persons may cancel in the mean.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from plt.analyze.intervals.uncertainty import Interval, influence_interval, mean_interval
from plt.analyze.permutation.exchange import hashed
from plt.analyze.permutation.signs import cross_product_p_value
from plt.analyze.votes.votes import BoolArray, FloatArray, Repeats, Votes

Condition: TypeAlias = Literal["order", "memory"]

MIN_CELLS = 20
"""Fewer repeats on either side are not compared."""
HABITS = 0.025
"""A p value of habits at or below this is one."""
N_BINS = 40
N_SIGNS = 999
SEED = 53


@dataclass(frozen=True)
class Check:
    """One condition of the repeats, tested.

    Attributes:
        condition: `order` or `memory`.
        contrast: Self-agreement in the same order minus in the other, or after a shorter while
            than the median minus after a longer one; where all repeats had the same order, the
            share of answers for what was seen first, minus one half.
        fails: Whether the contrast is above 0 (for the last: other than 0, or there are habits).
        n_trusted: Repeats that the condition leaves: those in the other order, or after long.
        trusted: Which of the cells these are, [C].
        habits: Where all repeats had the same order: p value of "nobody has a habit of choosing
            what is seen first, or last".
    """

    condition: Condition
    contrast: Interval
    fails: bool
    n_trusted: int
    trusted: BoolArray
    habits: float | None = None

    @property
    def is_untested(self) -> bool:
        """Whether all repeats had the same order, and no habit is seen: there may be one."""
        return self.condition == "order" and not self.fails and self.n_trusted < MIN_CELLS


def check_conditions(votes: Votes) -> tuple[Check, ...]:
    """The tests that the columns `shown_first` and `judged_at` allow; none without them.

    A cell is compared by its first two judgements.

    Args:
        votes: The judgements.

    Returns:
        Order, then memory; a test with fewer than `MIN_CELLS` cells on a side is left out.
    """
    repeats = votes.repeats
    if repeats.n_cells == 0:
        return ()
    first = np.flatnonzero(repeats.occasions == 0)
    alike = (repeats.prefers_a[first] == repeats.prefers_a[first + 1]).astype(np.float64)
    found = []
    if repeats.shown_a is not None:
        found.append(_order(votes, alike, first, repeats.shown_a))
    if repeats.judged_at is not None:
        one, other = repeats.judged_at[first], repeats.judged_at[first + 1]
        known = (one >= 0) & (other >= 0)
        gap = np.abs(other - one)
        middle = np.median(gap[known]) if known.any() else 0
        found.append(
            _compare("memory", votes, alike, known & (gap <= middle), known & (gap > middle))
        )
    return tuple(check for check in found if check is not None)


def trusted_votes(votes: Votes, checks: tuple[Check, ...]) -> tuple[Votes, tuple[Check, ...]]:
    """The judgements with those repeats alone that memory and order touch least.

    They decide whether a check fails or not: one that does not fail may have been too weak to see
    what is there. Only where too few would be left, and no check fails, all repeats stay.

    Args:
        votes: The judgements.
        checks: What `check_conditions` says of them.

    Returns:
        The judgements, and the checks whose repeats were left out.
    """
    used = tuple(check for check in checks if check.fails or check.n_trusted >= MIN_CELLS)
    mask = np.ones(votes.repeats.n_cells, dtype=np.bool_)
    for check in used:
        mask &= check.trusted
    enough = np.count_nonzero(mask) >= MIN_CELLS or any(check.fails for check in used)
    if not (used and enough):
        return votes, ()
    return replace(votes, repeats=votes.repeats.where(mask)), used


def _order(votes: Votes, alike: FloatArray, first: np.ndarray, shown_a: np.ndarray) -> Check | None:
    one, other = shown_a[first], shown_a[first + 1]
    known = (one >= 0) & (other >= 0)
    same, turned = known & (one == other), known & (one != other)
    if np.count_nonzero(turned) >= MIN_CELLS:
        return _compare("order", votes, alike, same, turned)
    if np.count_nonzero(same) < MIN_CELLS:
        return None
    repeats = votes.repeats
    rows = np.flatnonzero((shown_a >= 0) & same[repeats.cells])
    cells = repeats.cells[rows]
    chose_first = (repeats.prefers_a[rows] == (shown_a[rows] == 1)) - 0.5
    share = mean_interval(
        chose_first,
        repeats.users[cells],
        votes.groups[repeats.pairs[cells]],
        bounds=(-0.5, 0.5),
    )
    habits = _habits(votes, chose_first, cells)
    fails = share.excludes(0.0) or (habits is not None and habits <= HABITS)
    return Check("order", share, fails, int(turned.sum()), ~same, habits)


def _habits(votes: Votes, chose_first: FloatArray, cells: np.ndarray) -> float | None:
    """P(persons lean as much in other groups towards what is seen first, or last, by chance)."""
    repeats = votes.repeats
    pairs, users = repeats.pairs[cells], repeats.users[cells]
    groups = votes.groups[pairs]
    least = np.full(int(groups.max()) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(least, groups, votes.pair_ids[pairs])
    # Named by their pairs, so that nothing depends on the order of the table.
    bins = (hashed(least)[groups] % np.uint64(N_BINS)).astype(np.intp)
    width = int(users.max()) + 1
    leans = np.bincount(bins * width + users, chose_first, N_BINS * width).astype(np.float64)
    generator = np.random.default_rng(SEED)
    found = cross_product_p_value(leans.reshape(N_BINS, width), N_SIGNS, generator)
    return None if isinstance(found, str) else found


def _compare(
    condition: Condition, votes: Votes, alike: FloatArray, near: BoolArray, far: BoolArray
) -> Check | None:
    """Self-agreement of some cells minus that of others, each mean with its own influences."""
    n_near, n_far = int(near.sum()), int(far.sum())
    if min(n_near, n_far) < MIN_CELLS:
        return None
    repeats: Repeats = votes.repeats
    means = float(alike[near].mean()), float(alike[far].mean())
    weights = near / n_near + far / n_far
    influence = near * (alike - means[0]) / n_near - far * (alike - means[1]) / n_far
    contrast = influence_interval(
        means[0] - means[1],
        influence,
        repeats.users,
        votes.groups[repeats.pairs],
        bounds=(-1.0, 1.0),
        weights=weights,
    )
    fails = contrast.low is not None and contrast.low > 0
    return Check(condition, contrast, fails, n_far, ~near)
