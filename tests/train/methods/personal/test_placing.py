"""Where people stand among prototypes, experts and hidden units: many at once."""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import softmax

from plt.train.heads.empirical_bayes import Prior
from plt.train.heads.newton import Problems
from plt.train.method import FloatArray
from plt.train.methods.personal.conditional_network import IdNetwork, Meets
from plt.train.methods.personal.pal_network import (
    Distance,
    IdealPoints,
    IdealPointShape,
    Variant,
)
from plt.train.methods.personal.pal_people import Hinge, curve_of
from plt.train.methods.personal.placing import (
    Curve,
    Logistic,
    Loss,
    Mixture,
    PaddedRows,
    placed,
    population_of_mixtures,
)

N_TEXTS, RANK = 30, 3
PRIOR = Prior(np.array([0.3, -0.2, -0.1]), np.tril(np.full((RANK, RANK), 0.3)) + np.eye(RANK))


def people(sizes: list[int], seed: int = 0) -> Problems:
    """Random answers, some of them ties or soft."""
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    label = rng.choice([0.0, 1.0, 0.5, 0.8], size=n, p=[0.4, 0.4, 0.1, 0.1])
    a = rng.integers(0, N_TEXTS, n)
    b = (a + rng.integers(1, N_TEXTS, n)) % N_TEXTS
    nothing = np.zeros((N_TEXTS, 0), dtype=np.float32)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    return Problems(nothing, a, b, label, np.ones(n), starts)


def mixture() -> Curve:
    return partial(Mixture, 2 * np.random.default_rng(1).normal(size=(N_TEXTS, RANK)))


def towards(distance: Distance, variant: Variant = "a", inverted: bool = False) -> Curve:
    shape = IdealPointShape(5, 4, 3, RANK, variant, distance, "logistic", inverted, None)
    rng = np.random.default_rng(2)
    net = IdealPoints(shape, np.zeros((1, RANK)), rng).requires_grad_(False)
    width = 10 if variant == "b" else 5
    phi = torch.from_numpy(rng.normal(size=(N_TEXTS, width)))
    phi[:, 5:] = phi[0, 5:]
    return curve_of(net, phi)


def meets() -> Curve:
    rng = np.random.default_rng(3)
    net = IdNetwork(5, RANK, rng.normal(size=(4, 6)), rng).requires_grad_(False)
    net.outer.copy_(torch.tensor([2.0, -1.0, 1.5]))
    return partial(Meets, net, net.read(torch.from_numpy(rng.normal(size=(N_TEXTS, 5)))))


CURVES: dict[str, Callable[[], Curve]] = {
    "mixture": mixture,
    "squared": lambda: towards("squared"),
    "inverted": lambda: towards("squared", inverted=True),
    "unsquared": lambda: towards("unsquared"),
    "angle": lambda: towards("angle"),
    "angle by question": lambda: towards("angle", "b"),
    "hidden units": meets,
}
EVERY = pytest.mark.parametrize("curve", [make() for make in CURVES.values()], ids=list(CURVES))


def whole(problems: Problems, group: int) -> PaddedRows:
    own = slice(problems.starts[group], problems.starts[group + 1])
    return PaddedRows(
        problems.a[None, own], problems.b[None, own], problems.label[None, own],
        problems.weight[None, own],
    )  # fmt: skip


def cost(curve: Curve, rows: PaddedRows, z: FloatArray, loss: Loss) -> float:
    """What a person pays at z, written down once more."""
    away = np.linalg.solve(PRIOR.factor, z - PRIOR.mean)
    lost = loss.value(rows.label, curve(rows).margins(z[None]))
    return float((rows.weight * lost).sum() + away @ away / 2)


@EVERY
def test_slopes_are_the_derivatives_of_margins(curve: Curve) -> None:
    block, z = curve(whole(people([12]), 0)), np.array([[0.4, -0.5, 0.2]])
    found = block.slopes(z)[0]
    for axis in range(RANK):
        by = np.eye(RANK)[axis] * 1e-6
        expected = (block.margins(z + by) - block.margins(z - by))[0] / 2e-6
        assert found[:, axis] == pytest.approx(expected, abs=1e-6)


@EVERY
def test_everybody_is_at_an_optimum(curve: Curve) -> None:
    """No step of another program, from there, leads anywhere cheaper."""
    problems = people([1, 7, 20, 33])
    found = placed(problems, curve, PRIOR).coordinates
    for group in range(4):
        own = partial(cost, curve, whole(problems, group), loss=Logistic())
        better = minimize(own, found[group], method="Nelder-Mead", options={"maxiter": 400})
        assert better.fun >= own(found[group]) - 1e-9


def test_a_hinge_is_climbed_too() -> None:
    problems, curve = people([7, 20]), mixture()
    found = placed(problems, curve, PRIOR, Hinge()).coordinates
    for group in range(2):
        own = partial(cost, curve, whole(problems, group), loss=Hinge())
        best = minimize(own, PRIOR.mean, method="Nelder-Mead", options={"maxiter": 2000})
        assert own(found[group]) <= best.fun + 1e-2


@EVERY
def test_nobody_depends_on_who_else_comes(curve: Curve) -> None:
    """To the bit, however many answers the others gave."""
    sizes = [4, 1, 19, 0, 150, 4]
    problems = people(sizes)
    together = placed(problems, curve, PRIOR)
    for group, size in enumerate(sizes):
        own = slice(problems.starts[group], problems.starts[group + 1])
        alone = Problems(
            problems.features, problems.a[own], problems.b[own], problems.label[own],
            problems.weight[own], np.array([0, size]),
        )  # fmt: skip
        assert np.array_equal(
            placed(alone, curve, PRIOR).coordinates[0], together.coordinates[group]
        )


def test_without_an_answer_one_is_the_population() -> None:
    found = placed(people([0, 3]), mixture(), PRIOR)
    assert np.array_equal(found.coordinates[0], PRIOR.mean)
    assert found.covariance[0] == pytest.approx(PRIOR.factor @ PRIOR.factor.T)
    assert (
        np.linalg.eigvalsh(found.covariance[1]).max()
        <= np.linalg.eigvalsh(PRIOR.factor @ PRIOR.factor.T).max() + 1e-12
    )
    certain = Prior(PRIOR.mean, np.zeros((RANK, RANK)))
    assert np.array_equal(placed(people([9]), mixture(), certain).coordinates[0], PRIOR.mean)


def test_the_population_is_the_mean_of_the_weights() -> None:
    problems = people([10] * 12)
    prior, found = population_of_mixtures(
        problems, mixture(), softmax(np.random.default_rng(0).normal(size=(12, RANK)), axis=1)
    )
    mean = softmax(found.coordinates, axis=1).mean(axis=0)
    assert softmax(prior.mean) == pytest.approx(mean)
    # The same rows under another name end where the user ended, up to the last step of EM.
    again = softmax(placed(problems, mixture(), prior).coordinates, axis=1)
    assert np.abs(again - softmax(found.coordinates, axis=1)).max() < 0.05


def test_a_person_costs_no_more_where_there_are_many() -> None:
    seconds = {}
    for n in (50, 2000):
        problems = people([50] * n)
        placed(problems, mixture(), PRIOR)
        start = time.process_time()
        placed(problems, mixture(), PRIOR)
        seconds[n] = (time.process_time() - start) / n
    assert seconds[2000] <= 1.2 * seconds[50]


def test_hidden_units_bend_as_differences_of_slopes_say() -> None:
    rows, z = whole(people([12]), 0), np.array([[0.4, -0.5, 0.2]])
    block, pull = meets()(rows), np.random.default_rng(4).normal(size=(1, 12))
    found = block.bend(z, pull)
    assert found is not None
    for axis in range(RANK):
        by = np.eye(RANK)[axis] * 1e-6
        change = (block.slopes(z + by) - block.slopes(z - by))[0] / 2e-6
        expected = pull[0] @ change
        assert expected[axis] == pytest.approx(found[0, axis], abs=1e-6)
        assert np.delete(expected, axis) == pytest.approx(0, abs=1e-6)
