"""One person's accuracy: Wilson's interval on the effective number of groups."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from plt.analyze.intervals.clusters import kish_size
from plt.analyze.intervals.proportions import user_intervals, wilson_interval


def test_wilson_worked_values() -> None:
    """Newcombe (1998, Statistics in Medicine 17), table I, method 3."""
    low, high = wilson_interval(np.array([81, 15, 0, 1]), np.array([263, 148, 20, 29]))
    assert low == pytest.approx([0.2553, 0.0624, 0.0000, 0.0061], abs=5e-5)
    assert high == pytest.approx([0.3662, 0.1605, 0.1611, 0.1718], abs=5e-5)


@given(st.integers(1, 500), st.data())
def test_wilson_ends_solve_the_score_equation(n: int, data: st.DataObject) -> None:
    won = data.draw(st.integers(0, n))
    low, high = (float(end) for end in wilson_interval(np.array(won), np.array(n)))
    assert 0 <= low <= won / n <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            score = (won / n - end) ** 2 / (end * (1 - end) / n)
            assert score == pytest.approx(special.ndtri(0.975) ** 2, rel=1e-6)
    mirrored_low, mirrored_high = wilson_interval(np.array(n - won), np.array(n))
    assert low == pytest.approx(1 - mirrored_high, abs=1e-12)
    assert high == pytest.approx(1 - mirrored_low, abs=1e-12)


def test_wilson_takes_the_effective_size() -> None:
    clustered = wilson_interval(np.array([60.0]), np.array([80]), np.array([20.0]))
    plain = wilson_interval(np.array([15.0]), np.array([20]))
    assert np.allclose(clustered, plain)


def test_wilson_without_trials_is_nan() -> None:
    low, high = wilson_interval(np.array([0, 1]), np.array([0, 2]))
    assert np.isnan(low[0])
    assert np.isnan(high[0])
    assert not np.isnan(low[1])
    with pytest.raises(ValueError, match="successes"):
        wilson_interval(np.array([3]), np.array([2]))


def test_kish_size() -> None:
    assert kish_size(np.array([4, 4, 4, 0])) == pytest.approx(3)
    assert kish_size(np.array([9])) == 1
    assert kish_size(np.array([3, 1])) == pytest.approx(16 / 10)
    assert kish_size(np.array([], dtype=int)) == 0


def test_user_intervals_are_each_users_own() -> None:
    rng = np.random.default_rng(0)
    users = rng.integers(0, 12, 300) * 5_000 + 17  # far apart: codes of a larger table
    groups = rng.integers(0, 40, 300)
    correct = rng.integers(0, 3, 300) / 2
    got = user_intervals(correct, users, groups)
    assert got.users.tolist() == sorted(set(users.tolist()))
    for place, user in enumerate(got.users):
        mine = users == user
        size = kish_size(np.unique(groups[mine], return_counts=True)[1])
        low, high = wilson_interval(
            np.array(correct[mine].sum()), np.array(mine.sum()), np.array(size)
        )
        assert got.value[place] == pytest.approx(correct[mine].mean())
        assert got.n_rows[place] == mine.sum()
        assert got.n_effective[place] == pytest.approx(size)
        assert (got.low[place], got.high[place]) == pytest.approx((float(low), float(high)))


def test_one_conversation_is_one_answer() -> None:
    got = user_intervals(np.ones(50), np.zeros(50, dtype=int), np.zeros(50, dtype=int))
    assert got.n_effective.tolist() == [1.0]
    assert got.low[0] == pytest.approx(float(wilson_interval(np.array(1), np.array(1))[0]))


def test_no_rows_no_users() -> None:
    none = np.array([], dtype=int)
    got = user_intervals(none, none, none)
    assert got.users.size == got.value.size == got.low.size == got.n_rows.size == 0


def test_values_outside_the_unit_interval_are_refused() -> None:
    one = np.array([0])
    with pytest.raises(ValueError, match="between 0 and 1"):
        user_intervals(np.array([1.5]), one, one)
    with pytest.raises(ValueError, match="between 0 and 1"):
        user_intervals(np.array([np.nan]), one, one)
