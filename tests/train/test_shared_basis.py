"""The factorised fit against derivatives, the singular value decomposition and planted factors."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from plt.train.methods.pref import svd_start, weight_prior
from plt.train.shared_basis import Rows, SharedBasis, choose_l2, fit_shared_basis


def planted(
    n_users: int = 84, n_pairs: int = 400, rank: int = 4, size: float = 2.0, seed: int = 0
) -> tuple[Rows, np.ndarray]:
    """Everybody's vote on every pair; a pair is its own feature. And the true margins (U, P)."""
    rng = np.random.default_rng(seed)
    margins = rng.normal(size=(n_users, rank)) @ rng.normal(size=(rank, n_pairs))
    margins *= size / margins.std()
    votes = (rng.random(margins.shape) < expit(margins)).astype(np.float64)
    row, pair = (axis.ravel() for axis in np.indices(margins.shape))
    rows = Rows(np.eye(n_pairs), pair, row, votes.ravel(), np.ones(votes.size), n_users)
    return rows, margins


def auc(score: np.ndarray, won: np.ndarray) -> float:
    order = np.argsort(score)
    ranks = np.empty(len(score))
    ranks[order] = np.arange(1, len(score) + 1)
    n = won.sum()
    return float((ranks[won].sum() - n * (n + 1) / 2) / (n * (~won).sum()))


@pytest.mark.parametrize("simplex", [False, True])
@pytest.mark.parametrize("basis_fixed", [False, True])
def test_a_fit_is_a_stationary_point_of_the_penalised_loss(
    simplex: bool, basis_fixed: bool
) -> None:
    rng = np.random.default_rng(1)
    n = 200
    rows = Rows(
        rng.normal(size=(30, 6)), rng.integers(0, 30, n), rng.integers(0, 5, n), rng.random(n),
        rng.random(n) + 0.5, 5,
    )  # fmt: skip
    start = SharedBasis(rng.normal(size=(3, 6)), rng.normal(size=(5, 3)), simplex)
    found = fit_shared_basis(rows, start, 0.7, basis_fixed=basis_fixed)

    def loss(model: SharedBasis) -> float:
        away = model.weights - start.weights if basis_fixed else model.weights
        penalty = (away**2).sum() + (0 if basis_fixed else (model.basis**2).sum())
        return rows.loss(model.margins(rows)) + 0.35 * float(penalty)

    assert loss(found) < loss(start)
    for name in ("weights",) if basis_fixed else ("weights", "basis"):
        values = getattr(found, name)
        for place in [(0, 0), (1, 2), (2, 1)]:
            step = np.zeros_like(values)
            step[place] = 1e-5
            slope = loss(replace(found, **{name: values + step})) - loss(
                replace(found, **{name: values - step})
            )
            assert abs(slope / 2e-5) < 0.05
    if basis_fixed:
        assert np.array_equal(found.basis, start.basis)


def test_centred_votes_show_their_factors_and_raw_votes_do_not() -> None:
    rows, margins = planted()
    fresh = np.random.default_rng(9).random(margins.shape) < expit(margins)
    rng = np.random.default_rng(0)
    centred_basis, centred_weights = svd_start(rows, 4, rng)
    shifted = replace(rows, label=rows.label + 0.5)  # as if nothing were subtracted
    raw_basis, raw_weights = svd_start(shifted, 4, rng)
    centred = auc((centred_weights @ centred_basis).ravel(), fresh.ravel())
    raw = auc((raw_weights @ raw_basis - 0.0).ravel(), fresh.ravel())
    # Published simulation of the reference: .819 against .786.
    assert centred == pytest.approx(0.819, abs=0.02)
    assert centred > raw + 0.015


def test_the_fit_recovers_the_matrix_of_margins() -> None:
    rows, margins = planted()
    basis, weights = svd_start(rows, 4, np.random.default_rng(0))
    found = fit_shared_basis(rows, SharedBasis(basis, weights), 1.0)
    reconstructed = found.weights @ found.basis
    assert np.corrcoef(reconstructed.ravel(), margins.ravel())[0, 1] > 0.9
    # Only the product is identified: turning both factors changes no score.
    turn = np.random.default_rng(3).normal(size=(4, 4))
    turned = SharedBasis(turn @ found.basis, found.weights @ np.linalg.inv(turn))
    assert np.allclose(turned.margins(rows), found.margins(rows), atol=1e-8)


def test_a_table_with_few_users_has_few_singular_vectors() -> None:
    rows, _ = planted(n_users=3, n_pairs=20, rank=2)
    basis, weights = svd_start(rows, 8, np.random.default_rng(0))
    assert basis.shape == (2, 20)
    assert weights.shape == (3, 2)
    alone, _ = planted(n_users=1, n_pairs=20, rank=1)
    assert svd_start(alone, 8, np.random.default_rng(0))[0].shape == (0, 20)


def test_opposite_people_need_two_rewards_when_weights_are_shares() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 5))
    taste = rng.normal(size=5)
    row, pair = (axis.ravel() for axis in np.indices((2, 60)))
    sign = np.where(row == 0, 1.0, -1.0)
    label = (sign * (x @ taste)[pair] > 0).astype(np.float64)
    rows = Rows(x, pair, row, label, np.ones(120), 2)
    right = []
    for size in (1, 2):
        start = SharedBasis(0.1 * rng.normal(size=(size, 5)), rng.normal(size=(2, size)), True)
        found = fit_shared_basis(rows, start, 0.01)
        right.append(float(((found.margins(rows) > 0) == (label > 0.5)).mean()))
    assert right[0] == pytest.approx(0.5, abs=0.02)
    assert right[1] > 0.95


def test_shares_move_with_what_all_rewards_gain() -> None:
    rng = np.random.default_rng(0)
    model = SharedBasis(rng.normal(size=(3, 4)), rng.normal(size=(2, 3)), simplex=True)
    moved = replace(model, basis=model.basis + np.array([1.0, -2.0, 0.5, 3.0]))
    gained = moved.mixture @ moved.basis - model.mixture @ model.basis
    assert np.allclose(gained, [1.0, -2.0, 0.5, 3.0])
    order = [2, 0, 1]
    renamed = SharedBasis(model.basis[order], model.weights[:, order], simplex=True)
    assert np.allclose(renamed.mixture @ renamed.basis, model.mixture @ model.basis)


def test_few_validation_rows_choose_nothing() -> None:
    rows, _ = planted(n_users=6, n_pairs=30)
    start = SharedBasis(np.full((2, 30), 0.1), np.full((6, 2), 0.1))
    few = replace(rows, pair=rows.pair[:20], row=rows.row[:20], label=rows.label[:20],
                  weight=rows.weight[:20])  # fmt: skip
    assert choose_l2(rows, few, start, None)[2] == "the default"
    assert choose_l2(rows, few, start, 2.0)[1:] == (2.0, "as set")
    assert "validation rows" in choose_l2(rows, rows, start, None)[2]


def test_the_prior_of_weights_is_their_mean_and_covariance() -> None:
    weights = np.array([[1.0, 0.0], [3.0, 0.0], [2.0, 3.0], [2.0, -3.0]])
    prior = weight_prior(weights)
    covariance = prior.factor @ prior.factor.T
    assert prior.mean.tolist() == [2.0, 0.0]
    assert covariance == pytest.approx(np.diag([0.5, 4.5]) + 0.025 * np.eye(2))
