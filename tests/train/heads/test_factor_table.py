"""Placing newcomers in a basis."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, softmax

from plt.errors import UsageError
from plt.train.heads.empirical_bayes import Prior
from plt.train.heads.factor_fit import FactorRows, Factors, Penalties, fit_factors, random_factors
from plt.train.heads.factor_table import (
    FactorTable,
    factor_table,
    learnt_prior,
    on_basis,
    place_on_simplex,
    refuse_factorisation,
)
from plt.train.heads.newton import Problems
from plt.train.method import FloatArray
from tests.train.problems import differences, only, planted


def fitted(problems: Problems, rank: int, simplex: bool, prior: Prior) -> FactorTable:
    shape = (len(problems.sizes), rank, problems.features.shape[1])
    start = random_factors(np.random.default_rng(0), shape, simplex)
    found = fit_factors(FactorRows(problems, 2.0), start, Penalties(1.0, 1.0)).factors
    users = [f"user {u}" for u in range(len(problems.sizes))]
    return factor_table(found, users, 2.0, found.weights.mean(axis=0), prior)


def slope(
    problems: Problems, basis: FloatArray, prior: Prior, simplex: bool, here: FloatArray
) -> FloatArray:
    """Gradient of one newcomer's penalised loss."""
    z = differences(problems) @ basis.T
    weights = softmax(here) if simplex else here
    pull = problems.weight * (expit(z @ weights) - problems.label)
    by_weights = pull @ z
    if simplex:
        by_weights = weights * (by_weights - weights @ by_weights)
    covariance = prior.factor @ prior.factor.T
    return np.asarray(by_weights + np.linalg.solve(covariance, here - prior.mean))


@pytest.mark.parametrize("simplex", [False, True])
def test_a_newcomer_is_at_the_optimum(simplex: bool) -> None:
    """RM-12 (b): no slope is left but what rounding hides; of free weights there is one optimum.

    A log posterior of size 20 is known to 1e-14 or so, and a climber sees no better place nearer
    than that: half g' C g, with the prior's covariance C, is at least what is left to climb, and a
    slope of 1e-8 leaves 1e-15.
    """
    rng = np.random.default_rng(1)
    prior = Prior(rng.normal(size=3), np.tril(rng.normal(size=(3, 3))) + 2 * np.eye(3))
    problems, _ = planted(0, [20, 25, 30, 1])
    table = fitted(problems, 3, simplex, prior)
    placed = table.placed(problems)
    covariance = prior.factor @ prior.factor.T
    for group, here in enumerate(placed):
        gradient = slope(only(problems, group), table.basis, prior, simplex, here)
        assert gradient @ covariance @ gradient / 2 < 1e-14


def test_the_optimum_of_free_weights_does_not_depend_on_a_start() -> None:
    prior = Prior(np.array([0.5, -1.0]), np.eye(2))
    problems, _ = planted(0, [20, 25])
    table = fitted(problems, 2, simplex=False, prior=prior)
    placed = table.placed(problems)
    x = differences(only(problems, 1)) @ table.basis.T
    label = only(problems, 1).label

    def loss(here: FloatArray) -> float:
        margin = x @ here
        away = here - prior.mean
        return float((np.logaddexp(0, margin) - label * margin).sum() + away @ away / 2)

    for start in ([9.0, 9.0], [-9.0, 3.0], [0.0, 0.0]):
        found = minimize(loss, np.array(start), method="BFGS", options={"gtol": 1e-7})
        assert np.allclose(found.x, placed[1], atol=1e-5)


@pytest.mark.parametrize("simplex", [False, True])
def test_newcomers_do_not_depend_on_each_other_and_move_nobody(simplex: bool) -> None:
    prior = Prior(np.zeros(3), np.eye(3))
    problems, _ = planted(0, [20, 25, 30])
    table = fitted(problems, 3, simplex, prior)
    new, _ = planted(5, [8, 40])
    both = table.with_newcomers(new, ["x", "a"])
    alone = table.with_newcomers(only(new, 0), ["x"])
    assert both.users == ("user 0", "user 1", "user 2", "x", "a")
    assert np.allclose(both.weights[3], alone.weights[3], atol=1e-9)
    assert np.array_equal(both.table.heads[:3], table.table.heads)
    assert np.array_equal(both.coordinates[:3], table.coordinates)
    assert np.array_equal(both.table.population, table.table.population)
    assert np.allclose(both.table.heads, both.weights @ both.basis, atol=1e-12)
    if simplex:
        assert np.allclose(both.weights.sum(axis=1), 1)


@pytest.mark.parametrize("simplex", [False, True])
def test_without_rows_or_variance_a_newcomer_has_the_mean(simplex: bool) -> None:
    problems, _ = planted(0, [20, 0])
    mean = np.array([0.3, -0.2])
    table = fitted(problems, 2, simplex, Prior(mean, np.eye(2)))
    assert np.allclose(table.placed(problems)[1], mean, atol=1e-12)
    rigid = fitted(problems, 2, simplex, Prior(mean, np.zeros((2, 2))))
    assert np.allclose(rigid.placed(problems), mean)


def test_more_answers_bring_shares_to_the_truth() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([0.7, 0.2, 0.1])
    features = rng.normal(size=(4000, 3)).astype(np.float32) * 5
    a, b = np.arange(0, 4000, 2), np.arange(1, 4000, 2)
    margin = (features[a] - features[b]).astype(np.float64) @ truth
    label = (rng.random(2000) < expit(margin)).astype(np.float64)
    errors = []
    for n in (10, 100, 2000):
        problem = Problems(features, a[:n], b[:n], label[:n], np.ones(n), np.array([0, n]))
        logits = place_on_simplex(problem, Prior(np.zeros(3), np.eye(3)))
        errors.append(float(np.abs(softmax(logits[0]) - truth).max()))
    assert errors[2] < 0.05
    assert errors[2] < errors[0]


def test_the_learnt_prior_has_the_mean_of_the_weights_and_more_than_their_covariance() -> None:
    problems, _ = planted(0, [30] * 40)
    scale, l2 = 2.0, 1.5
    shape = (40, 2, 12)
    start = random_factors(np.random.default_rng(0), shape, simplex=False)
    rows = FactorRows(problems, scale)
    found = fit_factors(rows, start, Penalties(l2, l2), tolerance=1e-15).factors
    prior = learnt_prior(problems, found, scale, l2)
    assert np.allclose(prior.mean, found.weights.mean(axis=0), atol=1e-4)
    # What is added is the mean of the posterior covariances.
    spread = np.cov(found.weights.T, bias=True)
    inverses = np.zeros((2, 2))
    on_phi = on_basis(problems, found.basis / scale)
    for group in range(40):
        z = differences(only(on_phi, group))
        margin = z @ found.weights[group]
        curvature = expit(margin) * expit(-margin)
        inverses += np.linalg.inv((z * curvature[:, None]).T @ z + l2 * np.eye(2))
    covariance = prior.factor @ prior.factor.T
    assert np.allclose(covariance, spread + inverses / 40, atol=1e-3)


def test_identity_weights_are_a_head_a_user() -> None:
    """RM-05 (b): as many clusters as users, each user one of them, no softmax."""
    heads = np.random.default_rng(0).normal(size=(4, 6))
    factors = Factors(heads, np.eye(4), simplex=False)
    prior = Prior(np.zeros(4), np.eye(4))
    table = factor_table(factors, ["a", "b", "c", "d"], 1.0, np.eye(4)[0], prior)
    assert np.array_equal(table.table.heads, heads)
    assert np.array_equal(table.table.population, heads[0])


def test_every_wrong_setting_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        refuse_factorisation("pref", "factors", 0, ["'impute' is -1"])
    assert len(caught.value.problems) == 2
    assert caught.value.hint == "plt ls methods pref"
    refuse_factorisation("pref", "factors", 1, [])
