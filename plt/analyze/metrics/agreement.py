"""Agreement between persons on the pairs they share."""

from dataclasses import dataclass

import numpy as np

from plt.analyze.figures import without_interval
from plt.analyze.metrics.divergence import NO_SHARED_PAIR
from plt.analyze.metrics.votes import IntArray, Votes
from plt.analyze.uncertainty import Interval, ratio_interval


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
