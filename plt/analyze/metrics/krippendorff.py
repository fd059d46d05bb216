"""Krippendorff's alpha of votes for `a` or `b`, with missing votes.

Which response is called `a` is decided by a hash, so a vote for `a` on one pair has nothing in
common with a vote for `a` on another. The disagreement expected by chance is therefore averaged
over all orientations of the pairs, each turned round with probability one half. This is exact, and
makes alpha independent of the orientation; the textbook's figure on the columns as they stand
differs from it by chance, of the order of one over the number of pairs.
"""

import numpy as np

from plt.analyze.figures import without_interval
from plt.analyze.metrics.divergence import NO_SHARED_PAIR
from plt.analyze.metrics.votes import Votes
from plt.analyze.uncertainty import Interval, influence_interval


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
