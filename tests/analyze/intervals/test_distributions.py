"""Every function against scipy's."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import special

from plt.analyze.intervals.distributions import (
    binomial_cdf,
    incomplete_beta,
    normal_cdf,
    normal_quantile,
    t_cdf,
    t_quantile,
)

DF = [1, 2, 3, 4, 5, 7, 9, 10, 29, 83, 100, 499, 999, 1000, 1001, 5000, 10_000, 1_234_567, 10**7]


@pytest.mark.parametrize("df", DF)
def test_student_t(df: int) -> None:
    for p in (0.5, 0.6, 0.9, 0.95, 0.975, 0.99, 0.995, 0.9995, 1 - 1e-9, 0.2, 0.025, 1e-6):
        assert t_quantile(df, p) == pytest.approx(special.stdtrit(df, p), rel=1e-9, abs=1e-12)
    for t in (-40.0, -8.5, -3.2, -1.96, -0.3, 0.0, 0.7, 2.5, 12.0):
        # scipy's own tails lose digits at many degrees of freedom.
        assert t_cdf(df, t) == pytest.approx(special.stdtr(df, t), rel=1e-8)


def test_student_t_with_one_and_two_degrees_has_closed_forms() -> None:
    assert t_quantile(1, 0.975) == pytest.approx(np.tan(np.pi * 0.475), rel=1e-13)
    for p in (0.6, 0.975, 0.9999):
        closed = (2 * p - 1) * np.sqrt(2 / (4 * p * (1 - p)))
        assert t_quantile(2, p) == pytest.approx(closed, rel=1e-12)


def test_many_degrees_are_normal() -> None:
    assert t_quantile(1e12, 0.975) == pytest.approx(normal_quantile(0.975), rel=1e-11)


def test_normal() -> None:
    for z in (-9.0, -1.96, -0.1, 0.0, 0.4, 3.0):
        assert normal_cdf(z) == pytest.approx(special.ndtr(z), rel=1e-13)
    for p in (1e-9, 0.025, 0.5, 0.975, 0.9999):
        assert normal_quantile(p) == pytest.approx(special.ndtri(p), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("p", [0.5, 0.05, 0.1, 0.2, 0.37])
def test_binomial(p: float) -> None:
    n = np.array([1, 2, 3, 8, 20, 143, 1000, 12_000])[:, None]
    k = np.floor(n * np.array([0, 0.1, 0.35, 0.5, 0.8, 1.0]))
    expected = special.bdtr(k, n, p)
    assert np.allclose(binomial_cdf(k, n, p), expected, rtol=1e-9, atol=1e-300)


def test_few_trials_are_exact() -> None:
    for size, k, p in ((10, 7, 0.05), (7, 3, 0.2), (60, 20, 0.5), (33, 2, 0.1)):
        q = Fraction(p)
        exact = sum(math.comb(size, i) * q**i * (1 - q) ** (size - i) for i in range(k + 1))
        found = binomial_cdf(np.array([k]), np.array([size]), p)[0]
        assert found == pytest.approx(float(exact), rel=2e-15)


def test_binomial_at_the_ends() -> None:
    assert binomial_cdf(np.array([-1, 0, 3]), np.array([3]), 0.2).tolist()[0] == 0.0
    assert binomial_cdf(np.array([3]), np.array([3]), 0.2).tolist() == [1.0]
    assert binomial_cdf(np.array([0, 2]), np.array([3]), 0.0).tolist() == [1.0, 1.0]
    assert binomial_cdf(np.array([0, 2]), np.array([3]), 1.0).tolist() == [0.0, 0.0]


def test_incomplete_beta() -> None:
    rng = np.random.default_rng(0)
    for a, b, x in zip(
        *10 ** rng.uniform(-1, 3, size=(2, 500)), rng.uniform(size=500), strict=True
    ):
        found = incomplete_beta(a, b, x, 1 - x)
        assert found == pytest.approx(special.betainc(a, b, x), rel=1e-9, abs=1e-14)
    assert incomplete_beta(1.0, 1.0, 0.0, 1.0) == 0.0
    assert incomplete_beta(1.0, 1.0, 1.0, 0.0) == 1.0
