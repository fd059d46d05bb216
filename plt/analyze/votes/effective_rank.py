"""Effective rank: how many directions the agreement between persons has.

A_uw is the share of their shared pairs on which u and w vote alike (1 on the diagonal). The
eigenvalues of A, those below 0 taken as 0, over their sum are a distribution; the effective rank is
the exponential of its entropy (Roy & Vetterli 2007, EUSIPCO). It is 1 when all vote alike, near 2
for two opposed camps, and noise alone raises it towards the number of persons: it means something
only beside its value when votes are exchanged between the persons of a pair
(`plt.analyze.permutation`), which keeps every pair's counts and all noise, and removes everything
that belongs to a person.

Where a person's judgements of a group hang together (pairs made of one list of ratings) and cannot
be exchanged as a block, exchanges make too little noise. So a second line asks whether the
agreement of two persons in one group, minus what all voters of those pairs have, returns in other
groups: cross-products of different groups, under random signs of the groups.
"""

from dataclasses import dataclass

import numpy as np

from plt.analyze.intervals.clusters import kish_size
from plt.analyze.intervals.figures import NOT_ASKED
from plt.analyze.intervals.uncertainty import ROUNDING
from plt.analyze.permutation.exchange import Rows, exchange
from plt.analyze.permutation.signs import cross_product_p_value
from plt.analyze.votes.votes import FloatArray, IntArray, Votes, combinations

MIN_EFFECTIVE_GROUPS = 4
MIN_SHARED = 20
MIN_USERS = 3
"""Exchanging the votes of a pair between two persons never changes their agreement."""
MAX_USERS = 200
MAX_VOTES = 100_000
N_PERMUTATIONS = 199
N_SIGNS = 999
N_BINS = 40
CHUNK_PAIRS = 8192
CELLS_PER_PRODUCT = 60
"""Cells of a matrix product that take as long as one product of two listed votes."""


@dataclass(frozen=True)
class EffectiveRank:
    """The effective rank of the persons who share enough pairs with one another.

    Attributes:
        value: The effective rank.
        permuted_mean: Its mean under exchanged votes; None without exchanges.
        permuted_low: The lowest 2.5 % of these.
        permuted_high: The highest 2.5 %.
        p_value: Share of exchanges, what was seen among them, with a rank as low: small when it
            matters who votes, be it for taste or for care.
        share_moved: Share of the votes that could become another person's.
        reason: Why nothing was exchanged; None where it was.
        p_across_groups: Whether agreement beyond that of the pair returns in other groups; None
            where there are too few groups, or none was asked for.
        users: Codes of the persons used, ascending, [users].
        agreement: The matrix A, [users, users].
        n_candidates: Persons with votes on enough shared pairs, from whom they were drawn.
        n_pairs: Pairs used.
    """

    value: float
    permuted_mean: float | None
    permuted_low: float | None
    permuted_high: float | None
    p_value: float | None
    share_moved: float | None
    reason: str | None
    p_across_groups: float | None
    users: IntArray
    agreement: FloatArray
    n_candidates: int
    n_pairs: int


def effective_rank(
    votes: Votes, *, permutations: int = N_PERMUTATIONS, seed: int = 0
) -> EffectiveRank | str:
    """The effective rank of the agreement between persons, beside its value under permuted labels.

    Persons are used who share at least `MIN_SHARED` pairs with each of the others used: whoever
    lacks most is left out until that holds. Of more than `MAX_USERS` candidates a seeded sample is
    drawn first, and of more than `MAX_VOTES` votes a seeded sample of pairs.

    Args:
        votes: The judgements.
        permutations: How often labels are permuted; 0 gives the value alone.
        seed: Of the samples and permutations.

    Returns:
        The figures, or why there are none.
    """
    generator = np.random.default_rng(seed)
    candidates = np.flatnonzero(votes.lead_counts.sum(axis=1) >= MIN_SHARED)
    if candidates.size < MIN_USERS:
        return f"fewer than {MIN_USERS} users have {MIN_SHARED} votes on shared pairs"
    drawn = candidates
    if drawn.size > MAX_USERS:
        drawn = np.sort(generator.choice(drawn, MAX_USERS, replace=False))
    crossing = _crossing(votes, drawn, generator)
    shared = crossing.products(np.ones(crossing.sides.size))
    kept = _sharing_enough(shared)
    if kept.size < MIN_USERS:
        among = f", among {MAX_USERS} drawn" if drawn.size < candidates.size else ""
        return f"no {MIN_USERS} users share {MIN_SHARED} pairs with one another{among}"
    crossing = crossing.only(kept)
    shared = crossing.products(np.ones(crossing.sides.size))
    agreement = _agreement(crossing.products(crossing.sides), shared)
    value = exp_entropy(agreement)
    exchanged = _exchanged(crossing, shared, votes, permutations, generator)
    permuted, moved = (np.zeros(0), None) if isinstance(exchanged, str) else exchanged
    at_most = int(np.count_nonzero(permuted <= value + ROUNDING))
    ends = np.quantile(permuted, (0.025, 0.975)).tolist() if permuted.size else (None, None)
    return EffectiveRank(
        value=value,
        permuted_mean=float(permuted.mean()) if permuted.size else None,
        permuted_low=ends[0],
        permuted_high=ends[1],
        p_value=(1 + at_most) / (1 + permuted.size) if permuted.size else None,
        share_moved=moved,
        reason=exchanged if isinstance(exchanged, str) else None,
        p_across_groups=_across_groups(crossing, votes, permutations, generator),
        users=drawn[kept],
        agreement=agreement,
        n_candidates=candidates.size,
        n_pairs=int(crossing.pairs.max()) + 1,
    )


def exp_entropy(matrix: FloatArray) -> float:
    """The exponential entropy of the eigenvalues over their sum, those below 0 taken as 0."""
    eigenvalues = np.maximum(np.linalg.eigvalsh(matrix), 0.0)
    share = eigenvalues[eigenvalues > 0] / eigenvalues.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


@dataclass(frozen=True)
class _Crossing:
    """Votes of a few users on the pairs that several of them judged, the rows of a pair together.

    Attributes:
        users: Place of the user of each vote, 0..k-1, [rows].
        pairs: Place of its pair, 0..p-1, non-decreasing, [rows].
        codes: Code of each pair, [p].
        sides: +1 for `a`, -1 for `b`, [rows].
        n_users: k.
    """

    users: IntArray
    pairs: IntArray
    codes: IntArray
    sides: FloatArray
    n_users: int

    def products(self, sides: FloatArray) -> FloatArray:
        """Sum over shared pairs of the product of the sides of two users, 0 diagonal, [k, k]."""
        n = np.bincount(self.pairs)
        k = self.n_users
        total: FloatArray = np.zeros((k, k))
        if (n * (n - 1)).sum() * CELLS_PER_PRODUCT > n.size * k * k:
            for start in range(0, n.size, CHUNK_PAIRS):
                mine = (self.pairs >= start) & (self.pairs < start + CHUNK_PAIRS)
                dense = np.zeros((min(CHUNK_PAIRS, n.size - start), k), dtype=np.float32)
                dense[self.pairs[mine] - start, self.users[mine]] = sides[mine]
                total += dense.T @ dense
        else:
            one, other = combinations(n)
            key = self.users[one] * k + self.users[other]
            half = np.bincount(key, sides[one] * sides[other], minlength=k * k)
            total = np.asarray(half, dtype=np.float64).reshape(k, k)
            total = total + total.T
        np.fill_diagonal(total, 0.0)
        return total

    def only(self, kept: IntArray) -> "_Crossing":
        """The votes of the kept users on pairs that at least two of them judged."""
        place = np.full(self.n_users, -1)
        place[kept] = np.arange(kept.size)
        mine = place[self.users] >= 0
        mine &= np.bincount(self.pairs[mine], minlength=self.codes.size)[self.pairs] >= 2
        codes, pairs = np.unique(self.pairs[mine], return_inverse=True)
        return _Crossing(
            place[self.users[mine]], pairs, self.codes[codes], self.sides[mine], kept.size
        )


def _crossing(votes: Votes, drawn: IntArray, generator: np.random.Generator) -> _Crossing:
    """The votes of the drawn users on pairs that several of them judged, or a sample of these."""
    place = np.full(votes.n_users, -1)
    place[drawn] = np.arange(drawn.size)
    rows = votes.rows_of(drawn)
    pairs = np.searchsorted(np.cumsum(votes.n_votes), rows, side="right")
    n = np.bincount(pairs, minlength=votes.pair_ids.size)
    wanted = np.flatnonzero(n >= 2)
    if n[wanted].sum() > MAX_VOTES:
        by_name = wanted[np.argsort(votes.pair_ids[wanted])]
        shuffled = by_name[generator.permutation(by_name.size)]
        wanted = shuffled[np.cumsum(n[shuffled]) <= MAX_VOTES]
    marked = np.zeros(votes.pair_ids.size, dtype=np.bool_)
    marked[wanted] = True
    rows, pairs = rows[marked[pairs]], pairs[marked[pairs]]
    codes, local = np.unique(pairs, return_inverse=True)
    sides = np.where(votes.prefers_a[rows], 1.0, -1.0)
    return _Crossing(place[votes.users[rows]], local, codes, sides, drawn.size)


def _sharing_enough(shared: FloatArray) -> IntArray:
    """Users each of whom shares enough pairs with all others: who lacks most goes first."""
    partners = (shared >= MIN_SHARED).sum(axis=1)
    kept = np.flatnonzero(partners >= MIN_USERS - 1)
    while kept.size > 1:
        among = shared[np.ix_(kept, kept)]
        lacking = (among < MIN_SHARED).sum(axis=1) - 1  # the diagonal is 0
        if lacking.max() == 0:
            break
        kept = np.delete(kept, np.lexsort((among.sum(axis=1), -lacking))[0])
    return kept


def _agreement(products: FloatArray, shared: FloatArray) -> FloatArray:
    """Shares of equal votes from sums of products, 1 on the diagonal."""
    with np.errstate(divide="ignore", invalid="ignore"):
        agreement: FloatArray = 0.5 + 0.5 * products / shared
    np.fill_diagonal(agreement, 1.0)
    return agreement


def _exchanged(
    crossing: _Crossing,
    shared: FloatArray,
    votes: Votes,
    permutations: int,
    generator: np.random.Generator,
) -> tuple[FloatArray, float] | str:
    """Effective ranks when votes are exchanged between the users of a pair, [permutations].

    Returns:
        The ranks and the share of votes that could move, or why nothing is exchanged.
    """
    if permutations == 0:
        return NOT_ASKED
    groups = _units(crossing, votes)
    rows = Rows(
        persons=crossing.users,
        occasions=np.zeros_like(crossing.users),
        pairs=crossing.pairs,
        groups=groups[crossing.pairs],
        prefers_a=crossing.sides > 0,
        counted=np.ones(crossing.pairs.size, dtype=np.bool_),
    )
    way = exchange(rows, votes.pair_ids[crossing.codes])
    if isinstance(way, str):
        return way
    ranks = [
        exp_entropy(_agreement(crossing.products(crossing.sides[way.shuffled(generator)]), shared))
        for _ in range(permutations)
    ]
    return np.array(ranks), way.share


def _units(crossing: _Crossing, votes: Votes) -> IntArray:
    """What hangs together in one person's answers: the group of each pair, [p].

    With very few groups the prompts are fixed, and each pair is one of its own.
    """
    groups = votes.groups[crossing.codes]
    if kish_size(np.bincount(groups)) < MIN_EFFECTIVE_GROUPS:
        return np.argsort(np.argsort(votes.pair_ids[crossing.codes]))
    # Numbered by their first pair, so that draws do not depend on the order of the table.
    least = np.full(int(groups.max()) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(least, groups, votes.pair_ids[crossing.codes])
    return np.unique(least[groups], return_inverse=True)[1]


def _across_groups(
    crossing: _Crossing, votes: Votes, n_resamples: int, generator: np.random.Generator
) -> float | None:
    """Whether agreement of two users beyond that of the pair's voters returns in other groups."""
    if n_resamples == 0:
        return None
    n = np.bincount(crossing.pairs)
    lean = np.bincount(crossing.pairs, crossing.sides)
    common = (lean**2 - n) / (n * (n - 1))
    one, other = combinations(n)
    pair, k = crossing.pairs[one], crossing.n_users
    excess = crossing.sides[one] * crossing.sides[other] - common[pair]
    u, w = crossing.users[one], crossing.users[other]
    couple = np.minimum(u, w) * k + np.maximum(u, w)
    # A few bins of whole groups are as independent as the groups, and far fewer.
    units = _units(crossing, votes)
    bins = generator.permutation(int(units.max()) + 1) % N_BINS
    key = bins[units[pair]] * (k * k) + couple
    scores = np.bincount(key, excess, (int(bins.max()) + 1) * k * k).astype(np.float64)
    found = cross_product_p_value(scores.reshape(-1, k * k), N_SIGNS, generator)
    return None if isinstance(found, str) else found
