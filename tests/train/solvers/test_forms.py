"""The forms of a Newton step against dense linear algebra that knows nothing of them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from plt.train.heads.newton import Problems, maximise
from plt.train.method import FloatArray
from plt.train.solvers.forms import Dual, Paired, Primal, inverse_lower
from tests.train.problems import differences, planted


def general(problems: Problems, l2: float) -> FloatArray:
    """The optimum by a general optimiser on dense differences."""
    x, label, weight = differences(problems), problems.label, problems.weight

    def loss(head: FloatArray) -> tuple[float, FloatArray]:
        margin = x @ head
        value = weight @ (np.logaddexp(0, margin) - label * margin) + l2 / 2 * head @ head
        return float(value), x.T @ (weight * (expit(margin) - label)) + l2 * head

    found = minimize(loss, np.zeros(x.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-9})
    return np.asarray(found.x)


@pytest.mark.parametrize("n_texts", [15, 400])
def test_pairs_of_texts_are_solved_without_their_rows(n_texts: int) -> None:
    """By the graph Laplacian where texts recur, by blocks of rows where they do not."""
    problems, _ = planted(1, [150], d=7, n_texts=n_texts)
    problems = replace(problems, weight=np.linspace(0.5, 3, 150))
    block, l2 = problems.block(np.array([0])), np.array([0.3])
    form = Paired(problems.features, problems.a, problems.b)
    x = differences(problems)
    curvature = np.random.default_rng(0).random(150)
    assert np.allclose(form.curved(curvature), x.T @ (curvature[:, None] * x), atol=1e-10)
    some = np.random.default_rng(1).normal(size=(7, 2))
    assert np.allclose(
        form.curved_times(curvature, some), x.T @ (curvature[:, None] * (x @ some)), atol=1e-10
    )
    assert np.allclose(form.pull(curvature), x.T @ curvature, atol=1e-10)
    fit = maximise(form, block, l2)
    assert np.allclose(form.weights(fit.coordinates)[0], general(problems, 0.3), atol=1e-6)
    dense = Primal(problems.padded(block))
    same = maximise(dense, block, l2)
    assert np.allclose(fit.coordinates, same.coordinates, atol=1e-8)
    assert np.allclose(fit.log_evidence(form, l2), same.log_evidence(dense, l2), atol=1e-8)


def test_an_older_hessian_leads_to_the_same_end() -> None:
    """Along a path of penalties, and from a start far away, where it is of no use."""
    problems, _ = planted(2, [300], d=5, n_texts=20, scale=8.0)
    block = problems.block(np.array([0]))
    form, start = Paired(problems.features, problems.a, problems.b), None
    for l2 in (100.0, 1.0, 0.01):
        fit = maximise(form, block, np.array([l2]), start=start)
        start = fit.coordinates
        assert np.allclose(fit.coordinates[0], general(problems, l2), atol=1e-5)
    far = maximise(form, block, np.array([0.01]), start=np.full((1, 5), -30.0))
    assert np.allclose(far.coordinates, start, atol=1e-7)


@pytest.mark.parametrize("form", [Dual, Primal])
def test_a_step_promises_its_gain_to_second_order(form: type[Dual] | type[Primal]) -> None:
    problems, _ = planted(3, [6, 4], d=5)
    block = problems.block(np.arange(2))
    x = problems.padded(block)
    rows, l2 = form(x), np.array([0.5, 2.0])
    here = np.zeros((2, rows.n_coordinates))
    slope = block.weight * (block.label - 0.5)
    step, image, promised = rows.step(here, slope, block.weight / 4, l2)
    for u in range(2):
        hessian = x[u].T @ (block.weight[u, :, None] / 4 * x[u]) + l2[u] * np.eye(5)
        gradient = x[u].T @ slope[u]
        newton = np.linalg.solve(hessian, gradient)
        assert np.allclose(rows.weights(step)[u], newton, atol=1e-10)
        assert np.allclose(image[u], x[u] @ newton, atol=1e-10)
        assert promised[u] == pytest.approx(gradient @ newton)


@pytest.mark.parametrize("n", [1, 2, 31, 33, 70, 131])
def test_triangles_are_inverted(n: int) -> None:
    rng = np.random.default_rng(n)
    lower = np.tril(rng.normal(size=(3, n, n))) / np.sqrt(n) + 2 * np.eye(n)
    assert np.allclose(inverse_lower(lower), np.linalg.inv(lower), atol=1e-10)
