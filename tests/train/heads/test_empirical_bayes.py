import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from plt.train.heads import empirical_bayes as module
from plt.train.heads.empirical_bayes import (
    Prior,
    fit_prior,
    leading_directions,
    shrunken_heads,
)
from plt.train.heads.newton import Problems
from plt.train.heads.ridge import fit_ridge
from plt.train.method import FloatArray
from tests.train.problems import differences, only, planted


def direct_map(
    problems: Problems, mean: FloatArray, precision: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Newton with d x d matrices: the head and the posterior covariance of one group."""
    x, label = differences(problems), problems.label
    head = mean.copy()
    for _ in range(100):
        p = expit(x @ head)
        hessian = x.T @ ((p * (1 - p))[:, None] * x) + precision
        head = head + np.linalg.solve(hessian, x.T @ (label - p) - precision @ (head - mean))
    return head, np.linalg.inv(hessian)


@pytest.mark.parametrize(("n_texts", "few_texts"), [(60, 100), (60, 10), (4, 100), (4, 3)])
def test_one_em_step_is_the_textbook_one(
    n_texts: int, few_texts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against explicit d x d posteriors, with users of fewer and of more rows than features.

    Summed by texts and by rows; with four texts, whose differences leave directions unseen.
    """
    monkeypatch.setattr(module, "FEW_TEXTS", few_texts)
    sizes = [3, 20, 8, 0, 5, 14]
    problems, _ = planted(0, sizes, d=6, n_texts=n_texts)
    rng = np.random.default_rng(1)
    start = Prior(rng.normal(size=6) / 4, rng.normal(size=(6, 6)) / 3)
    precision = np.linalg.inv(start.factor @ start.factor.T)
    found = [direct_map(only(problems, u), start.mean, precision) for u in range(len(sizes))]
    heads = np.array([head for head, _ in found])
    assert np.allclose(shrunken_heads(problems, start), heads, atol=1e-8)
    mean = heads.mean(axis=0)
    covariance = np.cov(heads.T, bias=True) + np.mean([cov for _, cov in found], axis=0)
    after = fit_prior(problems, start, 1)
    assert np.allclose(after.mean, mean, atol=1e-8)
    assert np.allclose(after.factor @ after.factor.T, covariance, atol=1e-8)


def test_later_steps_begin_where_the_last_ended_and_end_the_same() -> None:
    """Ten EM steps in one call are ten calls of one, which know nothing of each other."""
    problems, _ = planted(7, [3, 30, 12, 9, 40], d=8)
    start = Prior(np.zeros(8), np.eye(8) / 3)
    together, one_by_one = fit_prior(problems, start, 10), start
    for _ in range(10):
        one_by_one = fit_prior(problems, one_by_one, 1)
    assert np.allclose(together.mean, one_by_one.mean, atol=1e-7)
    assert np.allclose(
        together.factor @ together.factor.T, one_by_one.factor @ one_by_one.factor.T, atol=1e-7
    )


def test_leading_directions_are_the_eigenvectors_of_the_second_moment() -> None:
    rng = np.random.default_rng(8)
    problems, _ = planted(8, [40, 60], d=60, n_texts=90)
    problems = replace(
        problems,
        features=(problems.features * 0.6 ** np.arange(60)).astype(np.float32),
        weight=rng.random(100) + 0.5,
    )
    x = differences(problems)
    sizes, vectors = np.linalg.eigh(x.T @ (problems.weight[:, None] * x))
    found, share = leading_directions(problems, 5, seed=0)
    top = vectors[:, ::-1][:, :5]
    assert np.allclose(found @ found.T, top @ top.T, atol=1e-6)
    assert share == pytest.approx(sizes[::-1][:5].sum() / sizes.sum(), rel=1e-6)


def test_no_variance_is_the_shared_head_and_much_variance_is_everybody_alone() -> None:
    problems, _ = planted(2, [25, 40, 10], d=8)
    mean = np.arange(8.0) / 10
    none = Prior(mean, np.zeros((8, 8)))
    assert np.array_equal(shrunken_heads(problems, none), np.tile(mean, (3, 1)))
    after = fit_prior(problems, none, 5)
    assert np.array_equal(after.mean, mean)
    assert not after.factor.any()
    l2 = 1e-4
    scale = problems.scales()
    for user in range(3):
        # An individual head's penalty is on features that its own scale divides.
        wide = Prior(np.zeros(8), np.eye(8) / scale[user] / np.sqrt(l2))
        alone = fit_ridge(only(problems, user), l2).weights[0]
        assert np.allclose(shrunken_heads(problems, wide)[user], alone, atol=1e-7)


def test_a_user_without_rows_is_the_mean() -> None:
    problems, _ = planted(3, [4, 0], d=5)
    prior = Prior(np.ones(5), np.eye(5))
    assert np.array_equal(shrunken_heads(problems, prior)[1], np.ones(5))


def test_finds_the_population_that_was_planted() -> None:
    """300 users x 40 rows, heads that vary along two of six directions."""
    rng = np.random.default_rng(4)
    problems, _ = planted(4, [40] * 300, d=6, n_texts=400)
    mean, factor = np.array([1.0, 0, 0, -0.5, 0, 0]), np.zeros((6, 6))
    factor[0, 0], factor[1, 1] = 1.5, 1.0
    heads = mean + rng.normal(size=(300, 6)) @ factor.T
    margin = np.einsum("nd,nd->n", differences(problems), np.repeat(heads, 40, axis=0))
    problems.label[:] = rng.random(len(margin)) < expit(margin)
    prior = fit_prior(problems, Prior(np.zeros(6), np.eye(6)), 25)
    covariance = prior.factor @ prior.factor.T
    assert np.allclose(prior.mean, mean, atol=0.25)
    assert covariance[0, 0] == pytest.approx(2.25, rel=0.4)
    assert covariance[1, 1] == pytest.approx(1.0, rel=0.4)
    assert np.abs(covariance[2:, 2:]).max() < 0.15


def test_84_users_x_50_rows_x_384_features() -> None:
    problems, _ = planted(5, [50] * 84, d=384, n_texts=400)
    start = time.process_time()
    prior = fit_prior(problems, Prior(np.zeros(384), np.eye(384) / 20), 10)
    shrunken_heads(problems, prior)
    assert time.process_time() - start < 20


@pytest.mark.slow
def test_5000_users_with_few_rows() -> None:
    problems, _ = planted(6, [8] * 5000, d=384, n_texts=2000)
    start = time.process_time()
    prior = fit_prior(problems, Prior(np.zeros(384), np.eye(384) / 20), 10)
    heads = shrunken_heads(problems, prior)
    assert heads.shape == (5000, 384)
    assert np.isfinite(heads).all()
    assert time.process_time() - start < 120
