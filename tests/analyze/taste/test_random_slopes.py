"""Slopes of one's own: recovered variances, folds without leaks, gains only where taste differs."""

from dataclasses import replace

import numpy as np
import pytest

from plt.analyze.taste.conversations import find_cells
from plt.analyze.taste.pooled import Choices
from plt.analyze.taste.random_slopes import (
    N_FOLDS,
    NO_SLOPES,
    _folds,
    _non_negative,
    _predict,
    random_slope_gain,
    slope_variances,
)
from tests.analyze.taste.taste_worlds import World


def test_variances_by_hand() -> None:
    # Two users of two cells each, one feature. Information 2 and 1; 3 and 1. Scores 2, 1; -3, -1.
    x = np.array([[2.0], [1.0], [3.0], [1.0]])
    variance = np.array([0.5, 1.0, 1 / 3, 1.0])
    residual = np.array([1.0, 1.0, -1.0, -1.0])
    cells = find_cells(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 3]))
    tau2, phi = slope_variances(x, residual, variance, cells)
    # Cross-products of scores 2 (2 + 3) = 10, of information 2 (2 + 3) = 10.
    assert tau2.tolist() == [1.0]
    # Squares of scores 4 + 1 + 9 + 1 = 15, of information 15 tau2: nothing is left, so 1.
    assert phi == 1.0


def test_negative_variances_are_left_out() -> None:
    moments = np.array([[2.0, 1.0], [1.0, 2.0]])
    assert _non_negative(moments, np.array([4.0, 5.0])) == pytest.approx([1, 2])
    assert _non_negative(moments, np.array([4.0, -2.0])) == pytest.approx([2, 0])
    assert _non_negative(moments, np.array([-1.0, -2.0])).tolist() == [0, 0]
    assert _non_negative(np.zeros((2, 2)), np.ones(2)).tolist() == [0, 0]


def test_pairs_that_share_a_response_are_dispersion_not_slopes() -> None:
    rows = World(by_conversation=0.8).draw(400, np.random.default_rng(0), k=2)
    x = rows.a - rows.b
    residual, variance = rows.prefers_a - 0.5, np.full(rows.users.size, 0.25)
    cells = find_cells(rows.users, rows.groups)
    centred = residual - variance * (x @ np.linalg.lstsq(x, 4 * residual)[0])
    tau2, phi = slope_variances(x, centred, variance, cells)
    assert (np.sqrt(tau2) < 0.2).all()
    assert phi > 1.5


def test_folds_hold_whole_groups_and_part_the_groups_of_a_user() -> None:
    rows = World().draw(50, np.random.default_rng(0), k=1)
    fold = _folds(rows, seed=1)
    pairs = np.unique(np.stack([rows.groups, fold]), axis=1)
    assert pairs.shape[1] == np.unique(rows.groups).size
    for user in np.unique(rows.users):
        mine = rows.users == user
        n_groups = np.unique(rows.groups[mine]).size
        assert np.unique(fold[mine]).size == min(N_FOLDS, n_groups)


def test_predictions_do_not_depend_on_held_out_answers() -> None:
    rows = World(tau=0.5).draw(40, np.random.default_rng(0), k=2)
    held_out = _folds(rows, seed=0) == 0
    learned, tried = rows.where(~held_out), rows.where(held_out)
    flipped = replace(tried, prefers_a=1 - tried.prefers_a)
    for one, other in zip(_predict(learned, tried), _predict(learned, flipped), strict=True):
        assert np.array_equal(one, other)


def test_slopes_gain_where_taste_differs() -> None:
    rows = World(tau=0.6).draw(150, np.random.default_rng(1), k=2)
    found = random_slope_gain(rows, seed=0)
    assert found.log_loss.low is not None
    assert found.log_loss.low > 0
    assert found.accuracy.value is not None
    assert found.accuracy.value > 0.01
    assert found.log_loss.target == "population"
    assert 0.5 < found.pooled_accuracy < 1


def test_shuffled_users_gain_nothing() -> None:
    rng = np.random.default_rng(2)
    rows = World(tau=0.6).draw(150, rng, k=2)
    _, first, group = np.unique(rows.groups, return_index=True, return_inverse=True)
    strangers = replace(rows, users=rng.permutation(rows.users[first])[group])
    found = random_slope_gain(strangers, seed=0)
    assert found.log_loss.low is None or found.log_loss.low <= 0


def test_no_slopes_is_said() -> None:
    # Every conversation holds both answers to one choice: nothing is left over anywhere.
    users = np.repeat(np.arange(20), 8)
    ones = np.ones((users.size, 1))
    nothing = np.zeros((users.size, 0))
    prefers_a = np.tile([1.0, 0.0], users.size // 2)
    rows = Choices(ones, 0 * ones, nothing, prefers_a, users, np.arange(users.size) // 2)
    found = random_slope_gain(rows, seed=0)
    for figure in (found.log_loss, found.accuracy):
        assert (figure.value, figure.low, figure.reason) == (0.0, None, NO_SLOPES)


def test_users_with_one_group_are_not_scored() -> None:
    rows = World(tau=0.6).draw(60, np.random.default_rng(3), k=2)
    lonely = World().draw(60, np.random.default_rng(4), k=2)
    single = replace(lonely, users=lonely.groups + 1000, groups=lonely.groups + 1000)
    names = ("a", "b", "context", "prefers_a", "users", "groups")
    both = Choices(*(np.concatenate([getattr(rows, n), getattr(single, n)]) for n in names))
    n_scored = int((np.bincount(find_cells(rows.users, rows.groups).users)[rows.users] >= 2).sum())
    assert random_slope_gain(both, seed=0).accuracy.n_rows == n_scored
