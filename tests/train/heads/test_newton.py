import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from plt.errors import FailedError
from plt.train.heads.newton import Problems, maximise
from plt.train.method import FloatArray
from plt.train.solvers.forms import Dual, Paired, Primal
from tests.train.problems import differences, only, planted


def solve(problems: Problems, l2: float) -> FloatArray:
    heads = np.zeros((len(problems.sizes), problems.features.shape[1]))
    for block in problems.blocks():
        form = problems.form(block)
        heads[block.groups] = form.weights(
            maximise(form, block, np.full(len(block), l2)).coordinates
        )
    return heads


def gradient(problems: Problems, group: int, head: FloatArray, l2: float) -> FloatArray:
    one = only(problems, group)
    x = differences(one)
    return np.asarray(x.T @ (one.weight * (one.label - expit(x @ head))) - l2 * head)


@given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=6),
    log_l2=st.floats(-4, 3),
    d=st.integers(1, 20),
)
@settings(max_examples=40, deadline=None)
def test_every_head_is_the_maximum(seed: int, sizes: list[int], log_l2: float, d: int) -> None:
    problems, _ = planted(seed, sizes, d)
    l2 = 10.0**log_l2
    heads = solve(problems, l2)
    for group in range(len(sizes)):
        assert np.abs(gradient(problems, group, heads[group], l2)).max() < 1e-6


def test_agrees_with_scikit_learn_in_both_forms() -> None:
    problems, _ = planted(1, [8, 200], d=12)
    hard = replace(problems, label=(problems.label > 0.5).astype(np.float64))
    heads = solve(hard, 0.7)
    for group in (0, 1):
        one = only(hard, group)
        reference = LogisticRegression(
            C=1 / 0.7, fit_intercept=False, solver="newton-cg", tol=1e-10, max_iter=1000
        ).fit(differences(one), one.label)
        assert np.allclose(heads[group], reference.coef_[0], rtol=0, atol=1e-6)


def test_dual_and_primal_are_the_same_posterior() -> None:
    problems, _ = planted(2, [10, 10, 10], d=10)
    block = problems.block(np.arange(3))
    x = problems.padded(block)
    l2 = np.array([0.01, 1.0, 50.0])
    dual, primal = Dual(x), Primal(x)
    by_rows, by_features = maximise(dual, block, l2), maximise(primal, block, l2)
    assert np.allclose(dual.weights(by_rows.coordinates), by_features.coordinates, atol=1e-9)
    evidence = by_rows.log_evidence(dual, l2), by_features.log_evidence(primal, l2)
    assert np.allclose(*evidence, atol=1e-9)


def test_evidence_is_the_integral_over_heads_in_one_dimension() -> None:
    problems, _ = planted(3, [400], d=1)
    block = problems.block(np.array([0]))
    l2 = np.array([0.5])
    form = problems.form(block)
    evidence = maximise(form, block, l2).log_evidence(form, l2)[0]
    grid = np.linspace(-10, 10, 4_001)
    margin = problems.padded(block)[0] * grid
    label = block.label[0][:, None]
    log_likelihood = -(label * np.logaddexp(0, -margin) + (1 - label) * np.logaddexp(0, margin))
    log_prior = -0.5 * l2 * grid**2 + 0.5 * np.log(l2 / (2 * np.pi))
    total = log_likelihood.sum(axis=0) + log_prior
    exact = np.log(np.sum(np.exp(total - total.max())) * (grid[1] - grid[0])) + total.max()
    # Laplace's error is of the order of one over the number of rows.
    assert abs(evidence - exact) < 0.01


def test_solved_together_or_one_by_one() -> None:
    problems, _ = planted(4, [5, 40, 0, 17, 300, 17, 1, 40], d=12)
    together = solve(problems, 0.3)
    alone = np.concatenate([solve(only(problems, group), 0.3) for group in range(8)])
    assert np.abs(together - alone).max() < 1e-8
    assert np.array_equal(together[2], np.zeros(12))


def test_who_is_solved_beside_a_group_changes_no_bit() -> None:
    """Of groups padded to the same width; the neighbour takes more or fewer Newton steps."""
    problems, _ = planted(5, [30, 30], d=40)
    block = problems.block(np.array([0, 1]))
    form = Dual(problems.padded(block))
    heads = []
    for neighbour in (1e3, 1.0, 1e-8):
        fit = maximise(form, block, np.array([0.1, neighbour]))
        heads.append(form.weights(fit.coordinates)[0])
    assert np.array_equal(heads[0], heads[1])
    assert np.array_equal(heads[0], heads[2])


def test_a_start_from_which_newton_overshoots_ends_at_the_maximum() -> None:
    problems, _ = planted(12, [40], d=3)
    block = problems.block(np.array([0]))
    l2 = np.array([1e-6])
    form = problems.form(block)
    near = maximise(form, block, l2).coordinates
    far = maximise(form, block, l2, start=np.full_like(near, -20.0)).coordinates
    assert np.allclose(near, far, atol=1e-6)


def test_a_weight_is_a_repetition_and_a_soft_label_a_share_of_votes() -> None:
    problems, _ = planted(6, [20], d=5)
    rows = np.repeat(np.arange(20), 4)
    hard = np.tile([1.0, 1.0, 1.0, 0.0], 20)
    repeated = replace(
        problems, a=problems.a[rows], b=problems.b[rows], label=hard, weight=np.ones(80),
        starts=np.array([0, 80]),
    )  # fmt: skip
    weighted = replace(problems, label=np.full(20, 0.75), weight=np.full(20, 4.0))
    assert np.allclose(solve(repeated, 0.2), solve(weighted, 0.2), atol=1e-9)


def test_separable_rows_converge_under_a_tiny_penalty() -> None:
    features = np.array([[0.0], [1.0]], dtype=np.float32)
    ones = np.ones(5)
    problems = Problems(
        features, np.ones(5, dtype=np.int64), np.zeros(5, dtype=np.int64), ones, ones,
        np.array([0, 5]),
    )  # fmt: skip
    head = solve(problems, 1e-9)[0, 0]
    assert abs(5 * expit(-head) - 1e-9 * head) < 1e-9


def test_an_offset_is_margin_that_needs_no_explaining() -> None:
    problems, heads = planted(7, [3000], d=4)
    block = problems.block(np.array([0]))
    offset = (problems.padded(block)[0] @ heads[0])[None]
    form = problems.form(block)
    fit = maximise(form, block, np.array([1e-3]), offset)
    free = maximise(form, block, np.array([1e-3]))
    assert np.abs(fit.coordinates).max() < 0.5
    assert np.allclose(fit.coordinates[0] + heads[0], free.coordinates[0], atol=0.01)


@pytest.mark.parametrize("form", [Dual, Primal, None])
def test_features_that_are_no_numbers_are_refused(form: type[Dual] | type[Primal] | None) -> None:
    problems, _ = planted(8, [6], d=3)
    problems.features[problems.a[0]] = np.nan
    block = problems.block(np.array([0]))
    if form is None:
        rows: Dual | Primal | Paired = Paired(problems.features, problems.a, problems.b)
    else:
        rows = form(problems.padded(block))
    with pytest.raises(FailedError, match="not finite"):
        maximise(rows, block, np.array([1.0]))


def test_batches_hold_every_group_once_and_similar_sizes() -> None:
    problems, _ = planted(9, [0, 3, 200, 4, 90, 3, 0, 150], d=6)
    blocks = list(problems.blocks())
    assert sorted(np.concatenate([block.groups for block in blocks]).tolist()) == list(range(8))
    for block in blocks:
        sizes = np.maximum(problems.sizes[block.groups], 1)
        assert block.rows.shape[1] <= 1.25 * sizes.min()


def test_scale_is_the_root_of_the_weighted_mean_square() -> None:
    problems, _ = planted(10, [7, 0, 5], d=6)
    problems = replace(problems, weight=np.arange(1.0, 13.0))
    norms = (differences(problems) ** 2).sum(axis=1)
    first = np.sqrt(np.average(norms[:7], weights=problems.weight[:7]))
    assert np.allclose(problems.scales()[[0, 1]], [first, 1.0])
    assert np.isclose(problems.pooled_scale(), np.sqrt(np.average(norms, weights=problems.weight)))


def test_many_users_take_seconds() -> None:
    """1,000 users x 50 rows x 384 features at one penalty."""
    problems, _ = planted(11, [50] * 1000, d=384, n_texts=500)
    start = time.process_time()
    heads = solve(problems, 1.0)
    assert time.process_time() - start < 10
    assert np.abs(gradient(problems, 999, heads[999], 1.0)).max() < 1e-6
