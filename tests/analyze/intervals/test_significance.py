"""Paired differences, exact binomial tests, corrections for many tests."""

from fractions import Fraction
from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plt.analyze.intervals.significance import (
    benjamini_hochberg,
    binomial_below_half,
    holm,
    paired_difference,
)
from plt.analyze.intervals.uncertainty import mean_interval

P_VALUES = hnp.arrays(
    np.float64, st.integers(0, 30), elements=st.one_of(st.floats(0, 1), st.just(np.nan))
)


def test_exact_binomial_worked_values() -> None:
    got = binomial_below_half(np.array([0, 1, 5, 10]), np.array([10, 10, 10, 10]))
    assert got == pytest.approx([1 / 1024, 11 / 1024, 638 / 1024, 1.0])


@given(st.integers(1, 400), st.data())
def test_exact_binomial_is_the_exact_sum(n: int, data: st.DataObject) -> None:
    won = data.draw(st.integers(0, n))
    exact = Fraction(sum(comb(n, k) for k in range(won + 1)), 2**n)
    got = float(binomial_below_half(np.array(won), np.array(n)))
    assert got == pytest.approx(float(exact), rel=1e-9)


def test_exact_binomial_edges() -> None:
    assert np.isnan(binomial_below_half(np.array([0, 0]), np.array([0, 3]))).tolist() == [
        True,
        False,
    ]
    for won, n, message in ((0.5, 3, "whole"), (4, 3, "between"), (-1, 3, "between")):
        with pytest.raises(ValueError, match=message):
            binomial_below_half(np.array([won]), np.array([n]))


def test_benjamini_hochberg_worked_values() -> None:
    p = np.array([0.01, 0.04, 0.03, 0.005, 0.8])
    assert benjamini_hochberg(p) == pytest.approx([0.025, 0.05, 0.05, 0.025, 0.8])


def test_holm_worked_values() -> None:
    p = np.array([0.01, 0.04, 0.03, 0.005, 0.8])
    assert holm(p) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.8])


@given(P_VALUES)
def test_corrections(p: np.ndarray) -> None:
    tested = ~np.isnan(p)
    q, adjusted = benjamini_hochberg(p), holm(p)
    for corrected in (q, adjusted):
        assert (np.isnan(corrected) == np.isnan(p)).all()
        # What cannot be tested is no part of the count.
        alone = (benjamini_hochberg if corrected is q else holm)(p[tested])
        assert np.array_equal(corrected[tested], alone)
        order = np.argsort(p[tested], kind="stable")
        assert (np.diff(corrected[tested][order]) >= 0).all()
        assert (corrected[tested] >= p[tested]).all()
        assert (corrected[tested] <= 1).all()
    assert (q[tested] <= adjusted[tested] + 1e-15).all()


@given(P_VALUES)
def test_benjamini_hochberg_calls_what_the_step_up_rule_calls(p: np.ndarray) -> None:
    ordered = np.sort(p[~np.isnan(p)])
    for rate in (0.05, 0.3):
        passing = np.flatnonzero(ordered * ordered.size <= rate * np.arange(1, ordered.size + 1))
        calls = 0 if passing.size == 0 else int(passing[-1]) + 1
        got = benjamini_hochberg(p)
        assert abs(int((got <= rate).sum()) - calls) <= int(np.isclose(got, rate, rtol=1e-12).sum())


def test_p_values_outside_the_unit_interval_are_refused() -> None:
    for correct in (benjamini_hochberg, holm):
        with pytest.raises(ValueError, match="between 0 and 1"):
            correct(np.array([0.5, 1.5]))


def test_paired_difference_is_the_interval_of_the_difference() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 60)) < 0.6
    users, groups = np.arange(60) % 5, np.arange(60) // 6
    got = paired_difference(a, b, users, groups, average="user", bounds=(-1, 1))
    expected = mean_interval(a * 1.0 - b, users, groups, average="user", bounds=(-1, 1))
    assert got.interval == expected


@given(
    hnp.arrays(np.int64, 24, elements=st.integers(-3, 3)),
    st.sampled_from([0.5, 0.8, 0.95, 0.99]),
    st.booleans(),
)
def test_p_value_and_interval_say_the_same(gap: np.ndarray, level: float, bounded: bool) -> None:
    users, groups = np.arange(24) % 4, np.arange(24) % 6
    bounds: Any = (-3, 3) if bounded else None
    got = paired_difference(gap, np.zeros(24), users, groups, level=level, bounds=bounds)
    if got.interval.low is None or not gap.any():
        assert got.p_value is None
        return
    assert got.p_value is not None
    assert got.interval.high is not None
    if abs(got.p_value - (1 - level)) > 1e-9:
        excluded = got.interval.low > 1e-12 or got.interval.high < -1e-12
        assert excluded == (got.p_value < 1 - level)
    swapped = paired_difference(np.zeros(24), gap, users, groups, level=level, bounds=bounds)
    assert swapped.p_value == pytest.approx(got.p_value, rel=1e-9)


def test_always_better_is_the_sign_test_on_clusters() -> None:
    users = np.repeat(np.arange(6), 50)
    got = paired_difference(
        np.ones(300), np.zeros(300), users, np.arange(300), target="population", bounds=(-1, 1)
    )
    assert got.p_value == pytest.approx(2 * 0.5**6)


def test_identical_runs() -> None:
    own = np.arange(30)
    same = np.linspace(0, 1, 30)
    bounded = paired_difference(same, same, own, own, bounds=(-1, 1))
    assert (bounded.interval.value, bounded.p_value) == (0.0, None)
    assert bounded.interval.low is not None
    unbounded = paired_difference(same, same, own, own)
    assert (unbounded.interval.low, unbounded.p_value) == (None, None)


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="one length"):
        paired_difference(np.ones(3), np.ones(1), np.arange(3), np.arange(3))
