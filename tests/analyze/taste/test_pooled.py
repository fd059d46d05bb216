"""The pooled model: antisymmetry, bends, and the logistic fit under it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, special

from plt.analyze.taste.logistic import logistic
from plt.analyze.taste.pooled import Choices, fit_pooled


def choices(n: int = 400, seed: int = 0) -> Choices:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n, 3))
    a[:, 2], b[:, 2] = a[:, 2] > 1, b[:, 2] > 1
    margin = np.tanh(2 * a[:, 0]) - np.tanh(2 * b[:, 0]) + a[:, 2] - b[:, 2]
    prefers_a = (rng.random(n) < special.expit(3 * margin)).astype(float)
    users = rng.integers(0, 9, n)
    return Choices(a, b, rng.normal(size=(n, 1)), prefers_a, users, np.arange(n))


def test_logistic_is_the_penalised_maximum() -> None:
    rng = np.random.default_rng(1)
    design = rng.normal(size=(60, 4))
    outcomes = (rng.random(60) < special.expit(design @ [1, -1, 0.5, 0])).astype(float)
    weights = rng.integers(1, 5, 60).astype(float)

    def loss(found: np.ndarray) -> float:
        margin = np.where(outcomes > 0, 1, -1) * (design @ found)
        return float(-(weights * special.log_expit(margin)).sum() + found @ found / 2)

    reference = optimize.minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-9}).x
    assert np.allclose(logistic(design, outcomes, weights), reference, atol=1e-6)


def test_logistic_of_separable_rows_is_finite() -> None:
    found = logistic(np.array([[1.0], [2.0]]), np.ones(2))
    assert np.isfinite(found).all()
    assert found[0] > 0


def test_logistic_without_rows_is_zero() -> None:
    assert np.array_equal(logistic(np.zeros((0, 3)), np.zeros(0)), np.zeros(3))


def test_turning_rows_round_changes_nothing() -> None:
    rows = choices()
    turned = np.random.default_rng(2).random(rows.users.size) < 0.5
    other = Choices(
        np.where(turned[:, None], rows.b, rows.a),
        np.where(turned[:, None], rows.a, rows.b),
        rows.context,
        np.where(turned, 1 - rows.prefers_a, rows.prefers_a),
        rows.users,
        rows.groups,
    )
    margin, moved = fit_pooled(rows).margin(rows), fit_pooled(other).margin(other)
    assert np.allclose(moved, np.where(turned, -margin, margin), atol=1e-8)


def test_qualities_of_sources_sum_to_zero_and_are_shrunk_in_log_odds() -> None:
    rng = np.random.default_rng(3)
    n, quality = 40_000, np.array([1.0, 0.0, -0.5, -0.5])
    sources = rng.integers(-1, 4, (n, 2))
    known = np.where(sources >= 0, quality[sources], 0.0)
    prefers_a = (rng.random(n) < special.expit(known[:, 0] - known[:, 1])).astype(float)
    nothing = np.zeros((n, 0))
    rows = Choices(nothing, nothing, nothing, prefers_a, np.arange(n) % 9, np.arange(n), sources)
    model = fit_pooled(rows)
    assert model.weights == pytest.approx(quality, abs=0.06)
    everywhere = fit_pooled(rows.where((sources >= 0).all(axis=1))).weights
    assert everywhere == pytest.approx(quality, abs=0.06)
    assert everywhere.sum() == pytest.approx(0, abs=1e-9)
    # The oracle: the penalised likelihood written out.
    both = sources[:400]
    few = rows.where(np.arange(n) < 400)

    def loss(found: np.ndarray) -> float:
        each = np.where(both >= 0, found[both], 0.0)
        margin = np.where(few.prefers_a > 0, 1, -1) * (each[:, 0] - each[:, 1])
        return float(-special.log_expit(margin).sum() + found @ found / 2)

    reference = optimize.minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-9}).x
    assert np.allclose(fit_pooled(few).weights, reference, atol=1e-6)
    stranger = replace(few, sources=np.full((400, 2), [4, -1]))
    assert np.array_equal(model.margin(stranger), np.zeros(400))


def test_units_of_features_change_nothing() -> None:
    rows = choices()
    scaled = Choices(
        7 * rows.a + 3, 7 * rows.b + 3, rows.context / 9, rows.prefers_a, rows.users, rows.groups
    )
    assert np.allclose(fit_pooled(rows).margin(rows), fit_pooled(scaled).margin(scaled), atol=1e-8)


def test_it_bends_where_a_line_cannot() -> None:
    learned, tried = choices(20_000), choices(20_000, seed=1)
    truth = 3 * (
        np.tanh(2 * tried.a[:, 0]) - np.tanh(2 * tried.b[:, 0]) + tried.a[:, 2] - tried.b[:, 2]
    )
    margin = fit_pooled(learned).margin(tried)
    line = np.polyfit(tried.a[:, 0] - tried.b[:, 0], truth, 1)
    straight = np.polyval(line, tried.a[:, 0] - tried.b[:, 0])
    assert np.mean((margin - truth) ** 2) < 0.1 * np.mean((straight - truth) ** 2)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6])
def test_a_constant_feature_counts_for_nothing(constant: float) -> None:
    rows = choices()
    column = np.full((rows.users.size, 1), constant)
    more = Choices(
        np.hstack([rows.a, column]),
        np.hstack([rows.b, column]),
        np.hstack([rows.context, column]),
        rows.prefers_a,
        rows.users,
        rows.groups,
    )
    assert np.allclose(fit_pooled(more).margin(more), fit_pooled(rows).margin(rows), atol=1e-6)
