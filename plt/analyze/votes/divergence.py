"""Divergence: on how many shared pairs people disagree, and how much of it flips alone would make.

Every additional person on a pair makes disagreement more likely, noise or not: with five people
who each flip one answer in ten, 41 % of the pairs are divergent though all want the same. The
share must therefore be read beside `divergence_from_flips`.
"""

from dataclasses import dataclass

import numpy as np

from plt.analyze.intervals.distributions import binomial_cdf
from plt.analyze.intervals.figures import without_interval
from plt.analyze.intervals.uncertainty import Interval, ratio_interval
from plt.analyze.votes.votes import BoolArray, IntArray, Votes

NO_SHARED_PAIR = "no pair has votes of two users"


@dataclass(frozen=True)
class Divergence:
    """Shares of the shared pairs; target `groups`: other pairs, the same way of judging them.

    Attributes:
        divergent: Any two votes differ.
        highly_divergent: At least 30 % of the votes are against the majority.
    """

    divergent: Interval
    highly_divergent: Interval


def divergence(votes: Votes, *, intervals: bool = True) -> Divergence:
    """How many shared pairs are divergent, and highly divergent.

    A pair with n votes, s of them for `a`, is divergent when 0 < s < n, and highly divergent when
    10 min(s, n - s) >= 3 n, in integers, so that 3 of 10 count. Dong et al. 2025, section 3.

    Args:
        votes: The judgements.
        intervals: Whether intervals are wanted.

    Returns:
        Both shares; null where there is no shared pair.
    """
    if votes.shared.size == 0:
        null = without_interval(None, NO_SHARED_PAIR)
        return Divergence(null, null)
    if not intervals:
        n, s, pairs = votes.outcomes
        marks = ((s > 0) & (s < n), is_highly_divergent(n, s))
        return Divergence(*(without_interval(int(pairs[m].sum()) / pairs.sum()) for m in marks))
    n, s = votes.shared_counts
    ones, groups = np.ones(n.size), votes.groups[votes.shared]
    return Divergence(
        ratio_interval((s > 0) & (s < n), ones, groups),
        ratio_interval(is_highly_divergent(n, s), ones, groups),
    )


def is_highly_divergent(n: IntArray, s: IntArray) -> BoolArray:
    """Whether at least 30 % of n votes, s of them on one side, are in the minority."""
    marked: BoolArray = 10 * np.minimum(s, n - s) >= 3 * n
    return marked


@dataclass(frozen=True)
class DivergenceFromFlips:
    """Shares to expect on the same pairs if all wanted the same and only flipped by accident."""

    divergent: float
    highly_divergent: float


def divergence_from_flips(votes: Votes, flip_rate: float) -> DivergenceFromFlips | None:
    """The divergence that noise alone would make: one truth a pair, each vote flipped at one rate.

    With n votes and flip rate e, P(divergent) = 1 - e^n - (1 - e)^n; P(highly divergent) sums
    binomial(n, e) over ceil(0.3 n) .. n - ceil(0.3 n). Averaged over the shared pairs with their
    own n. At a rate of 0.1 and n = 5: 0.4095 and 0.0810 (k = 2, 3).

    Args:
        votes: The judgements.
        flip_rate: Probability that a vote is not what the person wants, in [0, 0.5].

    Returns:
        Both shares, or None where there is no shared pair.
    """
    n, _, pairs = votes.outcomes
    if n.size == 0:
        return None
    least = (3 * n + 9) // 10
    any_two = 1 - flip_rate**n - (1 - flip_rate) ** n
    many = binomial_cdf(n - least, n, flip_rate) - binomial_cdf(least - 1, n, flip_rate)
    return DivergenceFromFlips(
        float(np.average(any_two, weights=pairs)), float(np.average(many, weights=pairs))
    )
