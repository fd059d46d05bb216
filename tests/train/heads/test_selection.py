"""Which pair is asked next: against a loop over people, brute force and quadrature."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import entr, expit
from scipy.stats import chisquare, norm

from plt.train.heads.empirical_bayes import Prior
from plt.train.heads.newton import Problems
from plt.train.heads.posterior import Dense, Reduced, gaussian_posterior
from plt.train.heads.selection import (
    CRITERIA,
    Criterion,
    answered,
    doubt,
    next_batch,
    next_own,
    next_pairs,
    value,
)
from plt.train.method import FloatArray, IntArray, Placement
from tests.train.problems import planted

INFORMED = [criterion for criterion in CRITERIA if criterion != "random"]


def people(seed: int, n: int, j: int, size: float = 1.0) -> Placement:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n, j, j))
    matrices = size * root @ root.transpose(0, 2, 1) / j
    return Placement(tuple(map(str, range(n))), rng.normal(size=(n, j)), Dense(matrices))


def nothing(n: int) -> IntArray:
    return np.full((n, 0), -1)


def keys(n: int) -> np.ndarray:
    return np.random.default_rng(99).integers(0, 2**63, n).astype(np.uint64)


def entropy(p: float) -> float:
    return float(entr(p) + entr(max(1 - p, 0.0)))


def integrated(criterion: Criterion, margin: float, variance: float) -> float:
    margin, deviation = -abs(margin), np.sqrt(variance)

    def mean(function: Callable[[float], float]) -> float:
        points = [] if abs(margin) > 12 * deviation else [-margin / deviation]
        ends = {"limit": 400, "points": points} if points else {"limit": 400}

        def density(t: float) -> float:
            return float(norm.pdf(t)) * function(float(expit(margin + deviation * t)))

        return float(quad(density, -12, 12, **ends)[0])

    if criterion == "uncertainty":
        return variance
    if criterion == "weighted":
        return float(expit(margin) * expit(-margin)) * variance
    if criterion == "d-optimal":
        return mean(lambda p: float(np.log1p(p * (1 - p) * variance)))
    return entropy(mean(lambda p: p)) - mean(entropy)


@pytest.mark.parametrize("criterion", INFORMED)
def test_a_criterion_is_the_integral_that_it_says(criterion: Criterion) -> None:
    for margin in (-3.0, 0.0, 1.02, 5.0, 40.0):
        for variance in (1e-6, 0.01, 1.03, 25.0, 100.0, 300.0):
            found = value(criterion, np.array([margin]), np.array([variance]))
            expected = integrated(criterion, margin, variance)
            assert found[0] == pytest.approx(expected, rel=2e-3, abs=1e-9)
        assert value(criterion, np.array([margin]), np.zeros(1)) == pytest.approx(0, abs=1e-12)


def test_at_its_mode_alone_d_optimality_is_the_weighted_order() -> None:
    rng = np.random.default_rng(0)
    margin, variance = rng.normal(size=500), rng.gamma(1.0, size=500)
    gain = np.log1p(expit(margin) * expit(-margin) * variance)
    assert np.argsort(gain).tolist() == np.argsort(value("weighted", margin, variance)).tolist()


@pytest.mark.parametrize("criterion", INFORMED)
def test_everybody_gets_what_a_loop_would_give_them(criterion: Criterion) -> None:
    n = 150 if criterion == "weighted" else 15
    placement, rng = people(1, n, 3), np.random.default_rng(2)
    pool = rng.normal(size=(9000, 3))
    asked = rng.integers(-1, len(pool), size=(n, 4))
    found = next_pairs(placement, pool, criterion, asked, keys(n))
    covariance = placement.spread.covariance()
    for person in range(n):
        variance = np.einsum("pi,ij,pj->p", pool, covariance[person], pool)
        worth = value(criterion, pool @ placement.mean[person], variance)
        worth[asked[person][asked[person] >= 0]] = -np.inf
        assert found[person] == np.argmax(worth)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_pool_of_ones_own_is_a_pool(criterion: Criterion) -> None:
    problems, _ = planted(3, [12, 0, 5, 40], d=3)
    placement = people(4, 4, 3)
    free = np.ones(57, dtype=bool)
    free[[2, 13]] = False
    found = next_own(placement, problems, criterion, free, keys(4))
    x = (problems.features[problems.a] - problems.features[problems.b]).astype(np.float64)
    for person in range(4):
        first, last = problems.starts[person : person + 2]
        mine = Placement(("x",), placement.mean[[person]], placement.spread.of(np.array([person])))
        taken = np.flatnonzero(~free[first:last])[None]
        pick = next_pairs(mine, x[first:last], criterion, taken, keys(4)[[person]])
        assert found[person] == (first + pick[0] if pick[0] >= 0 else -1)
    assert found[1] == -1
    assert (next_own(placement, problems, criterion, ~np.ones(57, bool), keys(4)) == -1).all()


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_pool_is_asked_once_and_then_no_more(criterion: Criterion) -> None:
    placement = people(5, 3, 2)
    pool = np.random.default_rng(6).normal(size=(4, 2))
    found = next_batch(placement, pool, criterion, nothing(3), keys(3), 6)
    assert np.sort(found[:, :4]).tolist() == [[0, 1, 2, 3]] * 3
    assert (found[:, 4:] == -1).all()


def test_equal_pairs_go_by_their_place_and_swapping_responses_changes_nothing() -> None:
    placement = people(7, 50, 4)
    pool = np.random.default_rng(8).normal(size=(30, 4))
    both = np.concatenate([pool, -pool, pool])
    for criterion in INFORMED:
        found = next_pairs(placement, pool, criterion, nothing(50), keys(50))
        again = next_pairs(placement, both, criterion, nothing(50), keys(50))
        assert found.tolist() == again.tolist()


def test_other_coordinates_ask_the_same() -> None:
    """RM-12 (a): (R^-T lambda, R phi) are the same rewards."""
    placement, rng = people(9, 40, 3), np.random.default_rng(10)
    pool, turn = rng.normal(size=(60, 3)), rng.normal(size=(3, 3))
    back = np.linalg.inv(turn)
    moved = Placement(
        placement.users,
        placement.mean @ back,
        Dense(back.T @ placement.spread.covariance() @ back),
    )
    for criterion in INFORMED:
        one = next_pairs(placement, pool, criterion, nothing(40), keys(40))
        other = next_pairs(moved, pool @ turn.T, criterion, nothing(40), keys(40))
        assert one.tolist() == other.tolist()


def test_a_batch_is_the_greedy_choice_of_determinants() -> None:
    """Against determinants of all information so far, and with each pair there twice."""
    placement, pool = people(11, 5, 3, size=9.0), np.random.default_rng(12).normal(size=(15, 3))
    twice = np.repeat(pool, 2, axis=0)
    found = next_batch(placement, twice, "weighted", nothing(5), keys(5), 4)
    covariance = placement.spread.covariance()
    for person in range(5):
        margin = twice @ placement.mean[person]
        share = expit(margin) * expit(-margin)
        information = np.linalg.inv(covariance[person])
        left = np.ones(30, dtype=bool)
        for pick in found[person]:
            more = information + share[:, None, None] * twice[:, :, None] * twice[:, None]
            gain = np.where(left, np.linalg.slogdet(more)[1], -np.inf)
            assert pick // 2 == np.argmax(gain) // 2
            information = more[pick]
            left[pick] = False


def test_a_batch_beats_the_pairs_that_are_best_alone() -> None:
    placement, rng = people(13, 200, 4, size=4.0), np.random.default_rng(14)
    centres = rng.normal(size=(6, 4))
    pool = np.repeat(centres, 20, axis=0) + 0.01 * rng.normal(size=(120, 4))
    batch = next_batch(placement, pool, "weighted", nothing(200), keys(200), 4)
    alone = nothing(200)
    for _ in range(4):
        pick = next_pairs(placement, pool, "weighted", alone, keys(200))
        alone = np.concatenate([alone, pick[:, None]], axis=1)
    left = []
    for picks in (batch, alone):
        after = placement
        for pick in picks.T:
            after = answered(after, pool[pick], pick >= 0)
        left.append(np.linalg.slogdet(after.spread.covariance())[1].mean())
    assert left[0] < left[1] - 1


def test_chance_is_a_permutation_of_ones_own() -> None:
    placement, pool = people(15, 600, 2), np.random.default_rng(16).normal(size=(10, 2))
    found = next_batch(placement, pool, "random", nothing(600), keys(600), 10)
    assert np.sort(found).tolist() == [list(range(10))] * 600
    for place in (0, 1, 9):
        assert chisquare(np.bincount(found[:, place], minlength=10)).pvalue > 0.001
    some = np.array([17, 400])
    mine = Placement(("x", "y"), placement.mean[some], placement.spread.of(some))
    again = next_batch(mine, pool, "random", nothing(2), keys(600)[some], 10)
    assert again.tolist() == found[some].tolist()


def test_doubt_is_the_expected_share_of_other_sides() -> None:
    placement, rng = people(17, 3, 3), np.random.default_rng(18)
    pool = rng.normal(size=(9000, 3))
    found = doubt(placement, pool)
    for person in range(3):
        root = np.linalg.cholesky(placement.spread.covariance()[person])
        drawn = placement.mean[person] + rng.normal(size=(400, 3)) @ root.T
        here = pool[:500] @ placement.mean[person] > 0
        sampled = ((pool[:500] @ drawn.T > 0) != here[:, None]).mean()
        mine = doubt(
            Placement(("x",), placement.mean[[person]], placement.spread.of(np.array([person]))),
            pool[:500],
        )
        assert mine[0] == pytest.approx(sampled, abs=0.02)
        assert found[person] == pytest.approx(sampled, abs=0.05)
    sure = Placement(("x",), np.ones((1, 3)), Dense(np.zeros((1, 3, 3))))
    assert doubt(sure, np.array([[1.0, 0, 0], [-2, 0, 0]])).tolist() == [0.0]
    assert doubt(sure, np.array([[1.0, -1, 0]])).tolist() == [0.5]


@pytest.mark.parametrize("wide", [False, True])
def test_memory_does_not_grow_with_people_times_pairs(wide: bool) -> None:
    """1,000 people x 20,000 pairs x 8 coordinates would be 1.3 GB, people x pairs 160 MB."""
    rng = np.random.default_rng(19)
    n, j = 1000, 8
    placement = people(20, n, j)
    if wide:
        rows = rng.normal(size=(n, j)) / 10
        placement = Placement(
            placement.users, placement.mean, Reduced(np.eye(j), rows, np.arange(n + 1))
        )
    pool = rng.normal(size=(20_000, j))
    tracemalloc.start()
    next_pairs(placement, pool, "weighted", nothing(n), keys(n))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80e6


def test_an_answer_that_is_taken_back_leaves_no_trace() -> None:
    """What a live session needs: the next pair follows from the answers, whatever came between."""
    prior = Prior(np.array([0.5, 0.0, 0.0]), np.eye(3))
    pool = np.random.default_rng(21).normal(size=(80, 3))

    def upon(answers: list[tuple[int, float]]) -> tuple[int, FloatArray]:
        pair = np.array([pick for pick, _ in answers], dtype=np.int64)
        features = np.concatenate([pool, np.zeros((1, 3))])
        label = np.array([label for _, label in answers], dtype=np.float64)
        n = len(answers)
        problems = Problems(
            features, pair, np.full(n, len(pool)), label, np.ones(n), np.array([0, n])
        )
        placed = gaussian_posterior(problems, prior)
        return int(next_pairs(placed, pool, "weighted", pair[None], keys(1))[0]), placed.mean

    answers: list[tuple[int, float]] = []
    for label in (1.0, 0.0, 0.5, 1.0):
        first, mean = upon(answers)
        tried, _ = upon([*answers, (first, 1 - label)])
        assert tried != first
        again, same = upon(answers)
        assert again == first
        assert same.tobytes() == mean.tobytes()
        answers.append((first, label))
