"""Agreement between persons on the pairs they share."""

from dataclasses import dataclass

import numpy as np

from plt.analyze.intervals.figures import without_interval
from plt.analyze.intervals.uncertainty import Interval, influence_interval, ratio_interval
from plt.analyze.votes.divergence import NO_SHARED_PAIR
from plt.analyze.votes.votes import IntArray, Votes


@dataclass(frozen=True)
class Agreement:
    """How often two persons choose the same response.

    Attributes:
        pairwise: Over all pairs of judgements of a shared pair, pooled: a pair with ten votes
            weighs 45 times as much as one with two.
        item_mean: Mean over the shared pairs of the agreement on each.
    """

    pairwise: Interval
    item_mean: Interval


def agreement(votes: Votes, *, intervals: bool = True) -> Agreement:
    """How often two persons choose the same response.

    A pair with n votes, s of them for `a`, has C(n, 2) pairs of judgements, C(s, 2) + C(n - s, 2)
    of which agree. Votes (a, a, b) and (a, a): pairwise (1 + 1) / (3 + 1) = 0.5, item mean
    (1/3 + 1) / 2 = 0.667.

    Args:
        votes: The judgements.
        intervals: Whether intervals are wanted.

    Returns:
        Both figures; null where there is no shared pair.
    """
    if votes.shared.size == 0:
        null = without_interval(None, NO_SHARED_PAIR)
        return Agreement(null, null)
    if not intervals:
        n, s, pairs = votes.outcomes
        same, of = _agreeing(n, s)
        pooled = int((same * pairs).sum()) / int((of * pairs).sum())
        item_mean = float(np.average(same / of, weights=pairs))
        return Agreement(without_interval(pooled), without_interval(item_mean))
    n, s = votes.shared_counts
    same, of = _agreeing(n, s)
    groups = votes.groups[votes.shared]
    return Agreement(
        ratio_interval(same, of, groups), ratio_interval(same / of, np.ones(n.size), groups)
    )


def _agreeing(n: IntArray, s: IntArray) -> tuple[IntArray, IntArray]:
    """Pairs of judgements that agree, and all of them, of pairs with n votes, s for `a`."""
    return (s * (s - 1) + (n - s) * (n - s - 1)) // 2, n * (n - 1) // 2


def krippendorff_alpha(votes: Votes, *, intervals: bool = True) -> Interval:
    """Nominal alpha: 1 - observed / expected disagreement of two votes.

    Krippendorff (2011, Computing Krippendorff's alpha-reliability). With n votes and s for `a` on
    a shared pair, and N votes on shared pairs in all,

        observed = sum over pairs of 2 s (n - s) / (n - 1), over N
        expected = (sum of 2 s (n - s) + (N^2 - sum of n^2) / 2) / (N (N - 1)).

    The second takes any two votes: those on one pair differ as seen, those on different pairs in
    half of all orientations. Two pairs with votes (a, b) and (a, a): observed 2/4, expected
    (2 + (16 - 8) / 2) / 12 = 0.5, alpha 0.

    Args:
        votes: The judgements.
        intervals: Whether an interval is wanted.

    Returns:
        Alpha, at most 1 (everybody agrees), 0 at chance; null where there is no shared pair, and
        where one pair is all there is and its votes agree. Target `groups`.
    """
    if votes.shared.size == 0:
        return without_interval(None, NO_SHARED_PAIR)
    n, s, pairs = votes.outcomes
    total = int((n * pairs).sum())
    opposed = 2 * s * (n - s)
    expected = int((opposed * pairs).sum()) + (total**2 - int((n * n * pairs).sum())) / 2
    if expected == 0:
        return without_interval(None, "a single pair on which all agree")
    seen = float((opposed / (n - 1) * pairs).sum())
    alpha = 1 - (total - 1) * seen / expected
    if not intervals:
        return without_interval(alpha)
    n, s = votes.shared_counts
    opposed = 2 * s * (n - s)
    # The expected disagreement hardly moves when a pair is drawn once more: it is one half.
    influence = -(total - 1) / expected * (opposed / (n - 1) - seen / total * n)
    if seen == 0 or np.array_equal(opposed, n * (n - 1)):
        influence[:] = 0.0
    return influence_interval(
        alpha, influence, None, votes.groups[votes.shared], bounds=(-1.0, 1.0)
    )
