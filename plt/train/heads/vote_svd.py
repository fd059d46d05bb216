"""Where PReF starts: the singular vectors of the matrix of votes, regressed on the features."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds

from plt.errors import UsageError
from plt.train.heads.factor_fit import Factors
from plt.train.heads.newton import Problems
from plt.train.method import FloatArray, IntArray
from plt.train.solvers.forms import Paired

FIRST_ORDER = 4.0
"""logit(1/2 + v) = 4 v + O(v^3): centred votes times 4 are margins to first order."""
INIT_RIDGE = 1.0
"""Of the regression on features of mean square 1: the weight of one vote."""
DENSE_SIDE = 500
"""Up to this many users or pairs the matrix of their products is decomposed instead."""
NEGLIGIBLE = 1e-7
"""Singular values below this share of the largest are 0: squared, they are rounding."""
MAX_FILLED = 100_000_000
IMPUTED_RANK = 100
"""Of the reconstruction that fills missing votes, as in the reference code of PReF."""


@dataclass(frozen=True)
class VoteMatrix:
    """Users by distinct pairs; several votes of one user on one pair count as their mean.

    Attributes:
        votes: Mean label minus one half, shape (U, P), only where somebody voted.
        n_votes: How many votes an entry stands for, shape (U, P).
        a: Text of response a of each pair, shape (P,).
        b: Text of response b of each pair, shape (P,).
    """

    votes: csr_array
    n_votes: csr_array
    a: IntArray
    b: IntArray

    @classmethod
    def of(cls, problems: Problems) -> "VoteMatrix":
        """From one group of rows a user."""
        n_texts = len(problems.features)
        codes, pair = np.unique(problems.a * n_texts + problems.b, return_inverse=True)
        where = (np.repeat(np.arange(len(problems.sizes)), problems.sizes), pair.reshape(-1))
        shape = (len(problems.sizes), len(codes))
        counts = csr_array((problems.weight, where), shape=shape)
        # Ties are votes too: entries of 0 are kept, so that both matrices have the same entries.
        sums = csr_array((problems.weight * (problems.label - 0.5), where), shape=shape)
        sums.data /= counts.data
        return cls(sums, counts, codes // n_texts, codes % n_texts)


def vote_factors(
    matrix: VoteMatrix,
    rank: int,
    rng: np.random.Generator,
    *,
    centred: bool = True,
    imputations: int = 0,
) -> tuple[FloatArray, FloatArray]:
    """User factors Q S^1/2 and pair factors R S^1/2 of the best rank-k approximation Q S R'.

    Args:
        matrix: Of U users and P pairs.
        rank: k at most; there are min(U, P) singular vectors.
        rng: Where the iterative decomposition of a large matrix starts.
        centred: Missing votes are 0, the centre, and a vote 1 is +2, a vote 0 is -2: to first
            order its margin. False takes votes 0, 1/2, 1 as they are and 1/2 where missing, as the
            reference code does; the first singular vector is then the constant.
        imputations: How often missing votes are replaced by a reconstruction (rank 100), which
            needs the whole matrix in memory.

    Returns:
        Shapes (U, k) and (P, k), largest singular value first.

    Raises:
        UsageError: The matrix is too large to be filled.
    """
    shape = matrix.votes.shape
    if imputations or not centred:
        if shape[0] * shape[1] > MAX_FILLED:
            raise UsageError(
                f"the matrix of {shape[0]:,} users and {shape[1]:,} pairs is too large to fill in"
                " missing votes",
                hint="--set impute=0 --set compat=none",
            )
        filled = _filled(matrix, 0.0 if centred else 0.5, imputations)
        left, sizes, right = np.linalg.svd(filled, full_matrices=False)
    elif min(shape) <= DENSE_SIDE or rank >= min(shape):
        left, sizes, right = _by_products(matrix.votes)
    else:
        left, sizes, right = svds(matrix.votes, k=rank, v0=rng.normal(size=min(shape)))
    order = np.argsort(-sizes, kind="stable")[:rank]
    root = np.sqrt(sizes[order] * (FIRST_ORDER if centred else 1.0))
    return left[:, order] * root, right[order].T * root


def _by_products(votes: csr_array) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The singular value decomposition from the smaller side's matrix of inner products."""
    wide = votes.shape[0] <= votes.shape[1]
    matrix = votes if wide else csr_array(votes.T)
    squares, vectors = np.linalg.eigh((matrix @ matrix.T).toarray())
    sizes = np.sqrt(np.maximum(squares, 0.0))
    real = sizes > NEGLIGIBLE * sizes.max(initial=0.0)
    sizes = np.where(real, sizes, 0.0)
    other = (matrix.T @ vectors) * np.where(real, 1 / np.where(real, sizes, 1.0), 0.0)
    return (vectors, sizes, other.T) if wide else (other, sizes, vectors.T)


def regressed(
    matrix: VoteMatrix, problems: Problems, scale: float, targets: FloatArray
) -> FloatArray:
    """The basis (k, d) that predicts pair factors (P, k) from feature differences by ridge.

    Args:
        matrix: A pair weighs as much as it has votes.
        problems: Has the features.
        scale: What features are divided by.
        targets: Shape (P, k).
    """
    rows = Paired(problems.features, matrix.a, matrix.b)
    weight = np.asarray(matrix.n_votes.sum(axis=0), dtype=np.float64).reshape(-1)
    gram = rows.curved(weight) / scale**2
    gram[np.diag_indices_from(gram)] += INIT_RIDGE
    pulls = np.stack([rows.pull(weight * target) for target in targets.T], axis=1)
    return np.asarray(np.linalg.solve(gram, pulls / scale).T)


def with_vote_factors(
    start: Factors, user_factors: FloatArray, basis: FloatArray | None
) -> Factors:
    """A start whose first k dimensions are the singular ones; the rest stay as they were drawn.

    A table of few users or pairs has fewer singular vectors than the model has factors.
    """
    coordinates, vectors = start.coordinates.copy(), start.basis.copy()
    coordinates[:, : user_factors.shape[1]] = user_factors
    if basis is not None:
        vectors[: len(basis)] = basis
    return Factors(vectors, coordinates, simplex=False)


def _filled(matrix: VoteMatrix, missing: float, imputations: int) -> FloatArray:
    seen = matrix.n_votes.toarray() > 0
    # Votes lie in [0, 1]: around the centre they are half a unit to each side of 0.
    low, high = missing - 0.5, missing + 0.5
    votes = np.where(seen, matrix.votes.toarray() + missing, missing)
    filled = votes
    for _ in range(imputations):
        left, sizes, right = np.linalg.svd(filled, full_matrices=False)
        k = min(IMPUTED_RANK, len(sizes))
        guess = (left[:, :k] * sizes[:k]) @ right[:k]
        filled = np.clip(np.where(seen, votes, guess), low, high)
    return np.asarray(filled)
