"""Singular vectors of votes: what centring, imputation and size do (oracle O-4)."""

from dataclasses import replace

import numpy as np
import pytest

from plt.errors import UsageError
from plt.train.heads import vote_svd as module
from plt.train.heads.factor_fit import Factors, random_factors
from plt.train.heads.head_table import Problems
from plt.train.heads.vote_svd import VoteMatrix, regressed, vote_factors, with_vote_factors
from tests.train.low_rank import auc, matrix_problem, planted_margins, votes

RNG = np.random.default_rng(0)


def test_centred_votes_show_their_factors_and_raw_votes_do_not() -> None:
    """O-4 (i): fresh-label AUC of a rank-4 reconstruction, .819 centred against .786 raw."""
    margins = planted_margins()
    matrix = VoteMatrix.of(matrix_problem(votes(margins, 1)))
    fresh = votes(margins, 2)
    quality = {}
    for centred in (True, False):
        users, pairs = vote_factors(matrix, 4, RNG, centred=centred)
        quality[centred] = auc(users @ pairs.T, fresh)
    assert quality[True] == pytest.approx(0.819, abs=0.02)
    assert quality[False] == pytest.approx(0.786, abs=0.02)
    raw_users, _ = vote_factors(matrix, 1, RNG, centred=False)
    # The first raw component is the constant: everybody has the same of it.
    assert raw_users.std() < 0.1 * np.abs(raw_users.mean())


def test_the_factors_are_the_best_approximation_of_four_times_the_votes() -> None:
    margins = planted_margins(12, 30, rank=2)
    labels = votes(margins, 1)
    users, pairs = vote_factors(VoteMatrix.of(matrix_problem(labels)), 12, RNG)
    assert np.allclose(users @ pairs.T, 4 * (labels - 0.5), atol=1e-10)
    # Both factors have the same share of every singular value.
    assert np.allclose((users**2).sum(axis=0), (pairs**2).sum(axis=0))
    assert (np.diff((users**2).sum(axis=0)) <= 1e-9).all()


def test_large_and_small_matrices_are_decomposed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = VoteMatrix.of(matrix_problem(votes(planted_margins(), 1)))
    small = vote_factors(matrix, 4, RNG)
    monkeypatch.setattr(module, "DENSE_SIDE", 10)
    large = vote_factors(matrix, 4, RNG)
    assert np.allclose(small[0] @ small[1].T, large[0] @ large[1].T, atol=1e-8)


@pytest.mark.parametrize("shape", [(5, 40), (40, 5), (3, 3)])
def test_the_products_of_the_smaller_side_are_enough(shape: tuple[int, int]) -> None:
    """Against the whole decomposition, with a user who always answers as another."""
    labels = votes(planted_margins(*shape, rank=2), 1)
    labels[-1] = labels[0]
    left, sizes, right = np.linalg.svd(4 * (labels - 0.5), full_matrices=False)
    k = min(shape) - 1
    users, pairs = vote_factors(VoteMatrix.of(matrix_problem(labels)), k, RNG)
    assert np.allclose(users @ pairs.T, (left[:, :k] * sizes[:k]) @ right[:k], atol=1e-7)
    assert np.allclose(np.linalg.norm(users, axis=0) ** 2, sizes[:k], atol=1e-7)


def test_several_votes_on_a_pair_are_their_mean_and_ties_are_votes() -> None:
    features = np.eye(4, dtype=np.float32)
    a, b = np.array([0, 0, 2, 2]), np.array([1, 1, 3, 3])
    label = np.array([1.0, 0.0, 0.5, 1.0])
    problems = Problems(features, a, b, label, np.ones(4), np.array([0, 3, 4]))
    matrix = VoteMatrix.of(problems)
    assert matrix.votes.toarray().tolist() == [[0.0, 0.0], [0.0, 0.5]]
    assert matrix.n_votes.toarray().tolist() == [[2.0, 1.0], [0.0, 1.0]]
    assert (matrix.a.tolist(), matrix.b.tolist()) == ([0, 2], [1, 3])


def test_imputation_fills_what_is_missing() -> None:
    """With half of the votes missing, reconstruction from the others is nearer to the truth."""
    margins = planted_margins(60, 120, rank=2, size=6.0)
    labels = votes(margins, 1)
    labels[np.random.default_rng(3).random(labels.shape) < 0.5] = np.nan
    matrix = VoteMatrix.of(matrix_problem(labels))
    quality = []
    for imputations in (0, 10):
        users, pairs = vote_factors(matrix, 2, RNG, imputations=imputations)
        quality.append(auc(users @ pairs.T, (margins > 0).astype(np.float64)))
    assert quality[1] >= quality[0] - 0.002
    raw_users, raw_pairs = vote_factors(matrix, 2, RNG, centred=False, imputations=10)
    assert np.isfinite(raw_users @ raw_pairs.T).all()


def test_a_matrix_that_cannot_be_filled_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = VoteMatrix.of(matrix_problem(votes(planted_margins(12, 30), 1)))
    monkeypatch.setattr(module, "MAX_FILLED", 100)
    with pytest.raises(UsageError, match="12 users and 30 pairs is too large") as caught:
        vote_factors(matrix, 2, RNG, imputations=1)
    assert caught.value.hint == "--set impute=0 --set compat=none"


def test_the_regression_finds_a_basis_that_predicts() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(80, 5)).astype(np.float32)
    a, b = np.arange(0, 80, 2), np.arange(1, 80, 2)
    problems = Problems(features, a, b, rng.random(40), np.ones(40), np.array([0, 40]))
    matrix = VoteMatrix.of(problems)
    truth = rng.normal(size=(3, 5))
    x = (features[matrix.a].astype(np.float64) - features[matrix.b]) / 2
    basis = regressed(matrix, problems, 2.0, x @ truth.T)
    # The ridge of one vote shrinks, the more the fewer votes there are.
    assert np.corrcoef(basis.ravel(), truth.ravel())[0, 1] > 0.99
    often = replace(problems, weight=np.full(40, 1e9))
    assert np.allclose(regressed(VoteMatrix.of(often), often, 2.0, x @ truth.T), truth, atol=1e-6)


def test_a_table_with_few_users_has_few_singular_vectors() -> None:
    problems = matrix_problem(votes(planted_margins(3, 20, rank=2), 1))
    users, pairs = vote_factors(VoteMatrix.of(problems), 8, RNG)
    assert (users.shape, pairs.shape) == ((3, 3), (20, 3))
    start = random_factors(RNG, (3, 8, 20), simplex=False)
    begun: Factors = with_vote_factors(start, users, pairs.T)
    assert np.array_equal(begun.coordinates[:, :3], users)
    assert np.array_equal(begun.basis[3:], start.basis[3:])
    only_users = with_vote_factors(start, users, None)
    assert np.array_equal(only_users.basis, start.basis)
