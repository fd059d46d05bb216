"""What votes alone reach: each vote predicted from the votes of like-minded others.

The room for personalization is an upper bound that nobody need reach. Beside it stands what the
simplest personal predictor gets: the others' votes on the same pair, each weighted by how far that
person agreed with this one on *other groups*. Against it stands the unweighted majority of the same
others. A model that reads the texts may do better or worse.
"""

from dataclasses import dataclass

import numpy as np

from plt.analyze.intervals.uncertainty import Interval, mean_interval
from plt.analyze.permutation.exchange import hashed
from plt.analyze.votes.votes import FloatArray, IntArray, Votes, combinations

PRIOR_PAIRS = 10
"""Pairs that two persons' agreement is drawn towards everybody's by."""
MAX_COUPLINGS = 400_000
"""Pairs of votes on the same pair that are looked at; of more, those of groups drawn by hash."""
UNDECIDED = 1e-6
NO_OVERLAP = "no two users share pairs of two groups, so nobody's agreement is known elsewhere"


@dataclass(frozen=True)
class WeightedVotes:
    """How often votes are predicted from others' votes, on the same judgements.

    Attributes:
        weighted: Others' votes weighted by agreement with this person on other groups.
        majority: The unweighted majority of the same others; a tie earns one half in both.
        gain: The first minus the second.
        n_judgements: Votes with another voter who shares pairs of other groups.
    """

    weighted: Interval
    majority: Interval
    gain: Interval
    n_judgements: int


def weighted_votes(votes: Votes) -> WeightedVotes | str:
    """Predicts each vote from the others', cross-validated by group.

    The weight of w for u on a pair of group g is (S + k m) / (N + k): S the sum over the N pairs
    outside g that both judged of +1 for agreement and -1 for disagreement, m the mean of all such
    products outside g, k = `PRIOR_PAIRS`. Negative weights are votes for the other side.

    Args:
        votes: The judgements.

    Returns:
        The figures, or why there are none.
    """
    if votes.shared.size == 0:
        return NO_OVERLAP
    drawn = drawn_pairs(votes)
    lengths = votes.n_votes[drawn]
    pairs = np.repeat(drawn, lengths)
    starts = np.cumsum(votes.n_votes)[drawn] - lengths
    rows = np.arange(pairs.size) + np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
    one, other = combinations(lengths)
    users, groups = votes.users[rows].astype(np.int64), votes.groups[pairs]
    sides = np.where(votes.prefers_a[rows], 1.0, -1.0)
    weight, known = _weights(users, groups, sides, one, other, votes.n_users)
    testable = np.zeros(rows.size, dtype=np.bool_)
    testable[one[known]] = testable[other[known]] = True
    if not testable.any():
        return NO_OVERLAP
    earned = []
    for each in (weight, np.ones(one.size)):
        lean = np.bincount(one, each * sides[other], rows.size)
        lean += np.bincount(other, each * sides[one], rows.size)
        toward = (lean * sides)[testable]
        earned.append(np.where(np.abs(toward) < UNDECIDED, 0.5, toward > 0))
    clusters = users[testable], groups[testable]
    weighted, majority = earned
    return WeightedVotes(
        weighted=mean_interval(weighted, *clusters, bounds=(0.0, 1.0)),
        majority=mean_interval(majority, *clusters, bounds=(0.0, 1.0)),
        gain=mean_interval(weighted - majority, *clusters, bounds=(-1.0, 1.0)),
        n_judgements=int(testable.sum()),
    )


def drawn_pairs(votes: Votes) -> IntArray:
    """Codes of the shared pairs of as many whole groups as `MAX_COUPLINGS` allows, ascending."""
    n, _ = votes.shared_counts
    couplings = n * (n - 1) // 2
    if couplings.sum() <= MAX_COUPLINGS:
        return votes.shared
    groups = votes.groups[votes.shared]
    size = np.bincount(groups, couplings)
    least = np.full(size.size, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(least, groups, votes.pair_ids[votes.shared])
    by_hash = np.argsort(hashed(least))
    taken = np.zeros(size.size, dtype=np.bool_)
    taken[by_hash[np.cumsum(size[by_hash]) <= MAX_COUPLINGS]] = True
    return votes.shared[taken[groups]]


def _weights(
    users: IntArray, groups: IntArray, sides: FloatArray, one: IntArray, other: IntArray, n: int
) -> tuple[FloatArray, np.ndarray]:
    """Weight of each coupling for its two votes, and whether the two share other groups."""
    u, w = users[one], users[other]
    couple = np.unique(np.minimum(u, w) * n + np.maximum(u, w), return_inverse=True)[1]
    group = np.unique(groups[one], return_inverse=True)[1]
    both = np.unique(couple * (int(group.max(initial=0)) + 1) + group, return_inverse=True)[1]
    product = sides[one] * sides[other]
    agreed = np.bincount(couple, product)[couple] - np.bincount(both, product)[both]
    shared = np.bincount(couple)[couple] - np.bincount(both)[both]
    of_group, size = np.bincount(group, product), np.bincount(group)
    elsewhere = np.maximum(product.size - size, 1)
    common = ((product.sum() - of_group) / elsewhere)[group]
    weight: FloatArray = (agreed + PRIOR_PAIRS * common) / (shared + PRIOR_PAIRS)
    return weight, shared > 0
