"""Posteriors of people: against scipy, sampling, and what more answers must do."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize
from scipy.special import expit, softmax

from plt.train.heads.empirical_bayes import Prior, shrunken_heads
from plt.train.heads.newton import Problems
from plt.train.heads.posterior import (
    Dense,
    Reduced,
    gaussian_posterior,
    logit_posterior,
    simplex_posterior,
)
from plt.train.method import FloatArray
from tests.train.problems import differences, only, planted

WIDE = 70
"""Coordinates of which no matrix a user is held."""


def a_prior(seed: int, d: int, k: int | None = None) -> Prior:
    rng = np.random.default_rng(seed)
    return Prior(rng.normal(size=d) / d, rng.normal(size=(d, k or d)) / np.sqrt(d))


def log_posterior(problems: Problems, prior: Prior, z: FloatArray, simplex: bool) -> float:
    """Of one person, in coordinates in which the prior is standard normal."""
    at = prior.mean + prior.factor @ z
    margin = differences(problems) @ (softmax(at) if simplex else at)
    label, weight = problems.label, problems.weight
    parts = label * np.logaddexp(0, -margin) + (1 - label) * np.logaddexp(0, margin)
    return float(-(weight * parts).sum() - z @ z / 2)


def numerical_hessian(function: Callable[[FloatArray], float], at: FloatArray) -> FloatArray:
    step = 1e-4
    n = len(at)
    found = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            e_i, e_j = step * np.eye(n)[i], step * np.eye(n)[j]
            four = [function(at + s * e_i + t * e_j) * s * t for s in (1, -1) for t in (1, -1)]
            found[i, j] = sum(four) / (4 * step**2)
    return found


@pytest.mark.parametrize("simplex", [False, True])
def test_mode_and_covariance_are_those_of_a_generic_optimiser(simplex: bool) -> None:
    problems, _ = planted(0, [0, 1, 5, 30], d=4)
    prior = a_prior(1, 4)
    if simplex:
        mean, covariance = logit_posterior(problems, prior)
    else:
        placed = gaussian_posterior(problems, prior)
        mean, covariance = placed.mean, placed.spread.covariance()
    for person in range(4):
        mine = only(problems, person)

        def loss(z: FloatArray, mine: Problems = mine) -> float:
            return -log_posterior(mine, prior, z, simplex)

        found = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-9})
        inverse = np.linalg.inv(numerical_hessian(loss, found.x))
        assert mean[person] == pytest.approx(prior.mean + prior.factor @ found.x, abs=2e-5)
        expected = prior.factor @ inverse @ prior.factor.T
        assert covariance[person] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("d", [3, WIDE])
def test_no_slope_is_left_and_the_mean_is_the_shrunken_head(scale: float, d: int) -> None:
    """RM-12 (b). `planted` has ties and soft labels."""
    problems, _ = planted(2, [0, 1, 2, 40, 200], d=d)
    problems = replace(problems, features=problems.features * np.float32(scale))
    prior = a_prior(3, d)
    placed = gaussian_posterior(problems, prior)
    assert placed.mean == pytest.approx(shrunken_heads(problems, prior), abs=1e-9)
    for person in range(5):
        mine = only(problems, person)
        z = np.linalg.solve(prior.factor, placed.mean[person] - prior.mean)
        x = differences(mine)
        pull = mine.weight * (mine.label - expit(x @ placed.mean[person]))
        assert np.abs(pull @ x @ prior.factor - z).max() < 1e-8


def test_the_logits_have_no_slope_left() -> None:
    problems, _ = planted(4, [1, 3, 50, 150], d=5, scale=8.0)
    prior = a_prior(5, 5)
    logits, _ = logit_posterior(problems, prior)
    precision = np.linalg.inv(prior.factor @ prior.factor.T)
    for person, here in enumerate(logits):
        mine = only(problems, person)
        x, weights = differences(mine), softmax(here)
        pull = (mine.label - expit(x @ weights)) @ x
        slope = weights * (pull - weights @ pull) - precision @ (here - prior.mean)
        assert np.abs(slope).max() < 1e-8


def grid_moments(problems: Problems, prior: Prior) -> tuple[FloatArray, FloatArray]:
    """Exact mean and covariance of two coordinates, by summation over a fine grid."""
    ticks = np.linspace(-6, 6, 121)
    z = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)
    w = prior.mean + z @ prior.factor.T
    margin = w @ differences(problems).T
    loss = np.logaddexp(0, margin) - problems.label * margin
    log = -(loss @ problems.weight) - (z * z).sum(axis=1) / 2
    share = np.exp(log - log.max())
    share /= share.sum()
    mean = share @ w
    return mean, (w - mean).T @ ((w - mean) * share[:, None])


def test_the_approximation_is_good_where_it_can_be_summed() -> None:
    """Laplace's mode is not the mean: of few answers it lies within a third of a deviation."""
    problems, _ = planted(6, [0, 1, 5, 20, 300], d=2)
    prior = Prior(np.array([0.3, -0.2]), np.array([[1.0, 0.0], [0.4, 0.8]]))
    placed = gaussian_posterior(problems, prior)
    covariance = placed.spread.covariance()
    for person, (near, alike) in enumerate(
        [(1e-9, 1e-6), (0.35, 0.15), (0.35, 0.3), (0.35, 0.3), (0.1, 0.05)]
    ):
        mean, exact = grid_moments(only(problems, person), prior)
        deviation = np.sqrt(np.diag(exact))
        assert np.abs((placed.mean[person] - mean) / deviation).max() <= near
        ratio = np.diag(covariance[person]) / np.diag(exact)
        assert np.abs(ratio - 1).max() <= alike


def test_the_truth_lies_in_nine_of_ten_regions() -> None:
    """2,000 people drawn from the prior and their answers from them, standard error .007.

    Laplace's regions are a little small after few answers, since the posterior is skewed then.
    """
    rng = np.random.default_rng(7)
    n_people, d = 2000, 3
    prior = a_prior(8, d)
    truth = prior.mean + rng.normal(size=(n_people, d)) @ prior.factor.T
    for n_answers, expected in [(1, 0.88), (3, 0.86), (15, 0.85), (60, 0.88)]:
        features = 2 * rng.normal(size=(n_people * n_answers + 1, d))
        features[-1] = 0
        a = np.arange(n_people * n_answers)
        margin = np.einsum("nd,nd->n", features[a], np.repeat(truth, n_answers, axis=0))
        label = (rng.random(len(a)) < expit(margin)).astype(np.float64)
        starts = np.arange(0, len(a) + 1, n_answers)
        problems = Problems(features, a, np.full(len(a), len(a)), label, np.ones(len(a)), starts)
        placed = gaussian_posterior(problems, prior)
        off = truth - placed.mean
        inverse = np.linalg.inv(placed.spread.covariance())
        distance = np.einsum("ui,uij,uj->u", off, inverse, off)
        # The 90 % point of chi-squared with 3 degrees of freedom.
        assert (distance <= 6.2514).mean() == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("d", [3, WIDE])
def test_both_forms_agree_with_dense_algebra(d: int) -> None:
    problems, _ = planted(9, [0, 1, 4, 90], d=d)
    prior = a_prior(10, d)
    placed = gaussian_posterior(problems, prior)
    spread = placed.spread
    assert isinstance(spread, Dense if d == 3 else Reduced)
    covariance = spread.covariance()
    rng = np.random.default_rng(11)
    x, own = rng.normal(size=(7, d)), rng.normal(size=(4, 5, d))
    expected = np.einsum("pi,uij,pj->up", x, covariance, x)
    assert spread.variances(x) == pytest.approx(expected, rel=1e-8, abs=1e-10)
    expected = np.einsum("uni,uij,unj->un", own, covariance, own)
    assert spread.own_variances(own) == pytest.approx(expected, rel=1e-8, abs=1e-10)
    people = np.array([3, 0, 3])
    assert spread.of(people).covariance() == pytest.approx(covariance[people], abs=1e-12)
    curvature = np.array([0.25, 0.1, 0.0, 0.2])
    asked = own[:, 0]
    after = spread.after(asked, curvature)
    # Woodbury against an inverse of the sum.
    for person in range(4):
        more = curvature[person] * np.outer(asked[person], asked[person])
        expected = np.linalg.inv(np.linalg.inv(covariance[person]) + more)
        assert after.covariance()[person] == pytest.approx(expected, rel=1e-6, abs=1e-9)
    # RM-12 (c): an answer never makes a margin less certain.
    assert (after.variances(x) <= spread.variances(x) + 1e-12).all()
    assert after.variances(x) == pytest.approx(
        np.einsum("pi,uij,pj->up", x, after.covariance(), x), rel=1e-8, abs=1e-10
    )


def test_a_factor_of_few_directions_moves_nobody_out_of_them() -> None:
    problems, _ = planted(12, [5, 10], d=6)
    prior = a_prior(13, 6, k=2)
    placed = gaussian_posterior(problems, prior)
    outside = np.linalg.svd(prior.factor)[0][:, 2:]
    assert (placed.mean - prior.mean) @ outside == pytest.approx(0, abs=1e-12)
    assert placed.spread.variances(outside.T) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("d", [3, WIDE])
def test_edges(d: int) -> None:
    """No answer, nobody, ties alone, one side alone, contradictions, and a prior that is sure."""
    prior = a_prior(14, d)
    whole = prior.factor @ prior.factor.T
    problems, _ = planted(15, [0, 4], d=d)
    none = gaussian_posterior(problems, prior)
    assert none.mean[0] == pytest.approx(prior.mean)
    assert none.spread.covariance()[0] == pytest.approx(whole)
    nobody = gaussian_posterior(planted(15, [], d=d)[0], prior)
    assert nobody.mean.shape == (0, d)
    assert nobody.spread.variances(np.zeros((2, d))).shape == (0, 2)
    centred = replace(prior, mean=np.zeros(d))
    ties = gaussian_posterior(replace(problems, label=np.full(4, 0.5)), centred)
    assert ties.mean == pytest.approx(0, abs=1e-12)
    assert np.trace(ties.spread.covariance()[1]) < np.trace(whole)
    sided = gaussian_posterior(replace(problems, label=np.ones(4)), prior)
    assert np.isfinite(sided.mean).all()
    point = gaussian_posterior(problems, replace(prior, factor=np.zeros((d, d))))
    assert point.mean == pytest.approx(np.tile(prior.mean, (2, 1)))
    assert not point.spread.covariance().any()


def test_a_tie_is_half_an_answer_each_way() -> None:
    problems, _ = planted(16, [1], d=3)
    tie = replace(problems, label=np.array([0.5]))
    both = Problems(
        problems.features,
        np.repeat(problems.a, 2),
        np.repeat(problems.b, 2),
        np.array([0.0, 1.0]),
        np.full(2, 0.5),
        np.array([0, 2]),
    )
    prior = a_prior(17, 3)
    one, other = gaussian_posterior(tie, prior), gaussian_posterior(both, prior)
    assert one.mean == pytest.approx(other.mean, abs=1e-10)
    assert one.spread.covariance() == pytest.approx(other.spread.covariance(), abs=1e-10)


def test_whoever_is_placed_beside_others_stands_where_they_would_alone() -> None:
    problems, _ = planted(18, [3, 20, 0, 7], d=4)
    prior = a_prior(19, 4)
    for posterior in (gaussian_posterior, simplex_posterior):
        together = posterior(problems, prior)
        for person in range(4):
            alone = posterior(only(problems, person), prior)
            assert together.mean[person] == pytest.approx(alone.mean[0], abs=1e-9)
            assert together.spread.covariance()[person] == pytest.approx(
                alone.spread.covariance()[0], abs=1e-9
            )


def test_mixture_weights_spread_inside_the_simplex_alone() -> None:
    """Covariance of softmax by the delta method, against finite differences of softmax."""
    problems, _ = planted(20, [0, 8, 40], d=3)
    prior = Prior(np.array([0.5, 0.0, -0.5]), np.eye(3))
    logits, covariance = logit_posterior(problems, prior)
    placed = simplex_posterior(problems, prior, ("x", "y", "z"))
    assert placed.users == ("x", "y", "z")
    assert placed.mean.sum(axis=1) == pytest.approx(1)
    found = placed.spread.covariance()
    assert found.sum(axis=2) == pytest.approx(0, abs=1e-12)
    for person in range(3):
        slopes = approx_fprime(logits[person], softmax)
        expected = slopes @ covariance[person] @ slopes.T
        assert found[person] == pytest.approx(expected, abs=1e-6)
    # A pair on which all basis rewards agree is certain, whatever the weights.
    assert placed.spread.variances(np.ones((1, 3))) == pytest.approx(0, abs=1e-12)


def test_one_basis_reward_and_a_sure_prior_leave_nothing_to_learn() -> None:
    problems, _ = planted(21, [0, 8], d=1)
    alone = simplex_posterior(problems, Prior(np.zeros(1), np.eye(1)))
    assert alone.mean.tolist() == [[1.0], [1.0]]
    assert not alone.spread.covariance().any()
    problems, _ = planted(22, [0, 8], d=2)
    sure = simplex_posterior(problems, Prior(np.array([1.0, 0.0]), np.zeros((2, 2))))
    assert sure.mean == pytest.approx(np.tile(softmax([1.0, 0.0]), (2, 1)))
    assert not sure.spread.covariance().any()
