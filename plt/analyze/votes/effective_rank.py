"""Effective rank: how many directions the agreement between persons has.

A_uw is the share of their shared pairs on which u and w vote alike (1 on the diagonal). The
eigenvalues of A, those below 0 taken as 0, over their sum are a distribution; the effective rank is
the exponential of its entropy (Roy & Vetterli 2007, EUSIPCO). It is 1 when all vote alike, near 2
for two opposed camps, and noise alone raises it towards the number of persons: it means something
only beside its value when votes are exchanged between the persons of a pair, which keeps every
pair's counts and all noise, and removes everything that belongs to a person.
"""

from dataclasses import dataclass

import numpy as np

from plt.analyze.intervals.uncertainty import ROUNDING
from plt.analyze.votes.exchange import exchangeable_blocks
from plt.analyze.votes.votes import FloatArray, IntArray, Votes

MIN_SHARED = 20
MIN_USERS = 3
"""Exchanging the votes of a pair between two persons never changes their agreement."""
MAX_USERS = 200
MAX_VOTES = 100_000
N_PERMUTATIONS = 99
CHUNK_PAIRS = 8192
CELLS_PER_PRODUCT = 60
"""Cells of a matrix product that take as long as one product of two listed votes."""


@dataclass(frozen=True)
class EffectiveRank:
    """The effective rank of the persons who share enough pairs with one another.

    Attributes:
        value: The effective rank.
        permuted_mean: Its mean under permuted labels; None when no permutation was asked for.
        permuted_low: The lowest 2.5 % of these.
        permuted_high: The highest 2.5 %.
        p_value: Share of permutations, what was seen among them, with a rank as low: small when it
            matters who votes, be it for taste or for care.
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
    permuted = np.sort(_permuted(crossing, shared, votes, permutations, generator))
    at_most = int(np.count_nonzero(permuted <= value + ROUNDING))
    low, high = np.quantile(permuted, (0.025, 0.975)) if permutations else (None, None)
    return EffectiveRank(
        value=value,
        permuted_mean=float(permuted.mean()) if permutations else None,
        permuted_low=None if low is None else float(low),
        permuted_high=None if high is None else float(high),
        p_value=(1 + at_most) / (1 + permutations) if permutations else None,
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
            one, other = _combinations(n)
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


def _combinations(lengths: IntArray) -> tuple[IntArray, IntArray]:
    """All pairs of rows of the same run, for runs of these lengths."""
    run_end = np.repeat(np.cumsum(lengths), lengths)
    row = np.arange(run_end.size)
    after = run_end - row - 1
    one = np.repeat(row, after)
    step = np.arange(one.size) - np.repeat(np.cumsum(after) - after, after)
    return one, one + 1 + step


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


def _permuted(
    crossing: _Crossing,
    shared: FloatArray,
    votes: Votes,
    permutations: int,
    generator: np.random.Generator,
) -> FloatArray:
    """Effective ranks when votes are exchanged between the users of a pair, [permutations]."""
    if permutations == 0:
        return np.zeros(0)
    codes = crossing.codes
    blocks = exchangeable_blocks(
        votes.groups[codes][crossing.pairs], crossing.users, crossing.pairs, votes.pair_ids[codes]
    )
    ranks = [
        exp_entropy(
            _agreement(crossing.products(crossing.sides[blocks.shuffled(generator)]), shared)
        )
        for _ in range(permutations)
    ]
    return np.array(ranks)
