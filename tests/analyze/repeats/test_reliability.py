from collections import Counter

import numpy as np
import pytest
from scipy.special import expit

from plt.analyze.dataset.statistics import dataset_statistics
from plt.analyze.repeats.reliability import (
    MAX_KAPPA,
    relative_reliability,
    reliability_influence,
)
from plt.analyze.repeats.repeated_cells import CellVotes
from plt.analyze.repeats.self_and_others import CARE_UNKNOWN, self_and_others
from plt.analyze.votes.votes import read_rows
from plt.data.tables.table import Meta
from tests.analyze.populations_of_voters import camps, crowd, one_truth


def crossed_votes(sides: np.ndarray, per_group: int = 1) -> CellVotes:
    """Votes of all users (rows) on all pairs (columns), pair by pair."""
    n_users, n_pairs = sides.shape
    pairs = np.repeat(np.arange(n_pairs), n_users)
    return CellVotes(
        users=np.tile(np.arange(n_users), n_pairs),
        pairs=pairs,
        groups=pairs // per_group,
        prefers_a=sides.T.ravel() > 0,
        cell=np.full(pairs.size, -1),
        place=pairs,
        n_places=n_pairs,
    )


def left_out_kappa(sides: np.ndarray, weight: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """kappa of each user without each group when the votes have weights, by sums over persons."""
    n_users, n_pairs = sides.shape
    kappa = np.zeros((n_users, n_pairs))
    for u, left in np.ndindex(n_users, n_pairs):
        top = bottom = 0.0
        others = [w for w in range(n_users) if w != u]
        for p in np.flatnonzero(groups != groups[left]):
            v, w = sides[others, p], weight[others, p]
            products, weights = np.outer(v, v), np.outer(w, w)
            np.fill_diagonal(weights, 0)
            top += weight[u, p] * sides[u, p] * (v @ w) / w.sum()
            bottom += weight[u, p] * (products * weights).sum() / weights.sum()
        kappa[u, left] = top / bottom
    return kappa


def test_kappa_and_its_influences_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    care = np.array([0.95, 0.9, 0.85, 0.6, 0.75])
    sides = np.where(rng.random((5, 12)) < care[:, None], 1, -1) * rng.choice([-1, 1], 12)
    groups = np.arange(12) // 2
    rows = crossed_votes(sides, per_group=2)
    found = relative_reliability(rows, rows.groups)
    ones = np.ones(sides.shape)
    kappa = left_out_kappa(sides, ones, groups)
    assert pytest.approx(kappa) == found.kappa.reshape(12, 5).T
    assert ((kappa > 0) & (kappa < MAX_KAPPA)).all()
    weights = rng.normal(size=sides.shape)
    step = 1e-6
    slopes = np.zeros(sides.shape)
    for u, p in np.ndindex(*sides.shape):
        bumped = ones.copy()
        bumped[u, p] += step
        moved = left_out_kappa(sides, bumped, groups) - kappa
        slopes[u, p] = (weights * moved).sum() / step
    influence = reliability_influence(rows, found, weights.T.ravel())
    assert pytest.approx(slopes, abs=1e-4) == influence.reshape(12, 5).T


def test_relative_care_is_recovered() -> None:
    rng = np.random.default_rng(1)
    c = np.array([0.9, 0.8, 0.6, 0.3, 0.0])
    y = rng.choice([-1, 1], 200_000) * rng.uniform(0.2, 1, 200_000)
    sides = np.where(rng.random((5, 200_000)) < (1 + c[:, None] * y) / 2, 1, -1)
    rows = crossed_votes(sides)
    kappa = relative_reliability(rows, rows.groups).kappa[:5]
    # Of the others, who agree with one another by the mean product of two of their c.
    for u in range(5):
        others = np.delete(c, u)
        products = np.outer(others, others)
        among = (products.sum() - np.trace(products)) / 12
        assert kappa[u] == pytest.approx(c[u] * others.mean() / among, rel=0.05, abs=0.02)


def test_where_the_others_do_not_agree_there_is_no_reliability_to_speak_of() -> None:
    sides = np.array([[1, 1, 1], [1, 1, 1], [-1, -1, -1]])
    rows = crossed_votes(sides)
    found = relative_reliability(rows, rows.groups)
    # u's others are opposed; w is against both.
    assert found.kappa.tolist() == [1.0, 1.0, 0.0] * 3
    assert (reliability_influence(rows, found, np.ones(9)) == 0).all()


@pytest.mark.parametrize("repeated", [0.1, 1.0])
def test_camps_of_unequal_size_are_not_care(repeated: float) -> None:
    rng = np.random.default_rng(2)
    for _ in range(8):
        q = camps(20, 300, rng, share=0.3)
        found = self_and_others(read_rows(crowd(q, rng, per_group=25, voters=4, repeated=repeated)))
        assert found is not None
        assert found.beyond_reliability.low is not None
        assert found.beyond_reliability.low > 0


def test_with_few_votes_of_each_person_care_is_not_known() -> None:
    """Four votes each tell nobody's care, and what is left of it was called taste in one of five.

    Judged by weights that follow its noise, what unequal care leaves was above 0.
    """
    rng, findings = np.random.default_rng(3), Counter[str]()
    for seed in range(10):
        margin = rng.normal(0, 2, 200)
        q = expit(np.exp(rng.normal(0, 1.2, 200))[:, None] * margin)
        votes = crowd(q, rng, per_group=4, voters=4, repeated=0.3)
        found = dataset_statistics(votes, Meta(), seed=seed)
        assert found.self_and_others is not None
        if found.self_and_others.beyond_reliability.value is None:
            assert found.self_and_others.beyond_reliability.reason == CARE_UNKNOWN
            assert "10 on other pairs would help" in found.verdict.sentence or (
                found.verdict.finding != "differences"
            )
        findings[found.verdict.finding] += 1
    assert findings["taste"] == 0
    assert findings["differences"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["careless", "spammers", "half spammers", "temperatures"])
def test_care_leaves_nothing_beyond_itself(kind: str) -> None:
    """A half of coin tossers gives the others a reliability of two: it must not be cut."""
    rng = np.random.default_rng(3)
    above = 0
    for _ in range(100):
        q = one_truth(kind, 20, 300, rng)
        found = self_and_others(read_rows(crowd(q, rng, per_group=25, voters=4, repeated=0.3)))
        assert found is not None
        low = found.beyond_reliability.low
        above += low is not None and low > 0
    assert above / 100 <= 0.025 + 2 * 0.016
