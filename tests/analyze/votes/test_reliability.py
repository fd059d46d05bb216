import numpy as np
import pytest

from plt.analyze.votes.repeated_cells import CellVotes
from plt.analyze.votes.self_and_others import MAX_KAPPA, relative_reliability


def crossed_votes(sides: np.ndarray) -> CellVotes:
    """Votes of all users (rows) on all pairs (columns), pair by pair."""
    n_users, n_pairs = sides.shape
    pairs = np.repeat(np.arange(n_pairs), n_users)
    return CellVotes(
        users=np.tile(np.arange(n_users), n_pairs),
        pairs=pairs,
        groups=pairs,
        prefers_a=sides.T.ravel() > 0,
        cell=np.full(pairs.size, -1),
        place=pairs,
        n_places=n_pairs,
    )


def weighted_kappa(sides: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """kappa of each user when the votes have weights, written as sums over persons."""
    n_users, n_pairs = sides.shape
    kappa = np.zeros(n_users)
    for u in range(n_users):
        top = bottom = 0.0
        others = [w for w in range(n_users) if w != u]
        for p in range(n_pairs):
            v, w = sides[others, p], weight[others, p]
            products, weights = np.outer(v, v), np.outer(w, w)
            np.fill_diagonal(weights, 0)
            top += weight[u, p] * sides[u, p] * (v @ w) / w.sum()
            bottom += weight[u, p] * (products * weights).sum() / weights.sum()
        kappa[u] = top / bottom
    return kappa


def test_kappa_and_its_influences_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    care = np.array([0.95, 0.9, 0.85, 0.6, 0.75])
    sides = np.where(rng.random((5, 12)) < care[:, None], 1, -1) * rng.choice([-1, 1], 12)
    weights = rng.normal(size=5)
    kappa, moved = relative_reliability(crossed_votes(sides), weights)
    ones = np.ones(sides.shape)
    assert kappa == pytest.approx(weighted_kappa(sides, ones))
    assert ((kappa > 0) & (kappa < MAX_KAPPA)).all()
    step = 1e-6
    slopes = np.zeros(sides.shape)
    for u, p in np.ndindex(*sides.shape):
        bumped = ones.copy()
        bumped[u, p] += step
        slopes[u, p] = weights @ (weighted_kappa(sides, bumped) - kappa) / step
    by_user_and_pair = moved.reshape(12, 5).T
    assert by_user_and_pair == pytest.approx(slopes, abs=1e-4)


def test_relative_care_is_recovered() -> None:
    rng = np.random.default_rng(1)
    c = np.array([0.9, 0.8, 0.6, 0.3, 0.0])
    y = rng.choice([-1, 1], 200_000) * rng.uniform(0.2, 1, 200_000)
    sides = np.where(rng.random((5, 200_000)) < (1 + c[:, None] * y) / 2, 1, -1)
    kappa, _ = relative_reliability(crossed_votes(sides), np.ones(5))
    # Of the others, who agree with one another by the mean product of two of their c.
    for u in range(5):
        others = np.delete(c, u)
        products = np.outer(others, others)
        among = (products.sum() - np.trace(products)) / 12
        assert kappa[u] == pytest.approx(c[u] * others.mean() / among, rel=0.05, abs=0.02)


def test_where_the_others_do_not_agree_there_is_no_reliability_to_speak_of() -> None:
    sides = np.array([[1, 1, 1], [1, 1, 1], [-1, -1, -1]])
    kappa, moved = relative_reliability(crossed_votes(sides), np.ones(3))
    assert kappa.tolist() == [1.0, 1.0, 0.0]  # u's others are opposed; w is against both
    assert (moved == 0).all()
