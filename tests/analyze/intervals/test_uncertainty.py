"""Intervals of means and shares: worked values, invariants, degenerate data."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plt.analyze.intervals.uncertainty import (
    KIND_GROUPS,
    KIND_NO_EXCEPTION,
    KIND_ROWS,
    Average,
    Interval,
    Target,
    default_target,
    influence_interval,
    mean_interval,
    ratio_interval,
)

T_2 = 4.302652729911275  # 97.5 % point of Student's t with 2 degrees of freedom, from a table

# The table of the module's docstring: user effects + group effects.
WORKED = np.array([-2, -1, 0, -1, 0, 1, 0, 1, 2], dtype=float)
WORKED_USERS = np.repeat(np.arange(3), 3)
WORKED_GROUPS = np.tile(np.arange(3), 3)
DELETED = (1 / 3 - 0.6) ** 2 + (2 / 3 - 0.6) ** 2 + (3 / 4 - 0.6) ** 2


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values on a coarse grid with users and groups, at least two of each."""
    n = draw(st.integers(4, 40))
    values = draw(hnp.arrays(np.int64, n, elements=st.integers(-8, 8))) / 4
    users = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 6)))
    groups = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 9)))
    users[:2], groups[:2] = (0, 1), (0, 1)
    return values, users, groups


def spread(interval: Interval) -> float:
    assert interval.se is not None
    return interval.se


def same(left: Interval, right: Interval) -> None:
    assert (left.kind, left.n_users, left.n_groups, left.target, left.reason) == (
        right.kind, right.n_users, right.n_groups, right.target, right.reason,
    )  # fmt: skip
    for name in ("value", "low", "high", "se", "df"):
        one, other = getattr(left, name), getattr(right, name)
        assert (one is None) == (other is None)
        if one is not None:
            assert one == pytest.approx(other, rel=1e-9, abs=1e-12)


def test_worked_two_way_table() -> None:
    interval = mean_interval(WORKED, WORKED_USERS, WORKED_GROUPS, target="population")
    assert interval.value == 0
    assert interval.se == pytest.approx(math.sqrt(1 / 2))
    assert interval.df == 2
    assert interval.low == pytest.approx(-T_2 * math.sqrt(1 / 2))
    assert interval.high == pytest.approx(T_2 * math.sqrt(1 / 2))
    assert (interval.n_rows, interval.n_users, interval.n_groups) == (9, 3, 3)
    assert interval.label == "population: two-way cluster t"


def test_worked_floor() -> None:
    """Users 1,1,1 and 1,0,0: V(user) 1/9, V(group) 1/36, V(cell) 2/45; their sum is below 1/9."""
    values, users, groups = np.array([1, 1, 1, 1, 0, 0]), np.repeat([0, 1], 3), np.tile(range(3), 2)
    interval = mean_interval(values, users, groups, target="population")
    assert interval.se == pytest.approx(1 / 3)


def test_worked_group_share() -> None:
    """Shares 2/2, 1/2, 0/1: share 3/5, and 1/3, 2/3, 3/4 without each; 2.8 effective groups."""
    shares = np.array([2, 1, 0]), np.array([2, 2, 1]), np.array([5, 6, 7])
    interval = ratio_interval(*shares, target="groups")
    assert interval.value == pytest.approx(0.6)
    assert interval.se == pytest.approx(math.sqrt(2 / 3 * DELETED))
    assert (interval.target, interval.kind) == ("groups", KIND_GROUPS)
    assert interval.df == pytest.approx(25 / 9 - 1)
    assert (interval.low, interval.high) == (0.0, 1.0)
    default = ratio_interval(*shares)
    assert (default.low, default.target) == (None, "these-judgements")
    assert default.reason == "2.8 effective groups are too few to speak of others"


@given(tables(), st.sampled_from(["pair", "user"]), st.randoms(use_true_random=False))
def test_names_and_order_change_nothing(table: Any, average: Any, random: Any) -> None:
    values, users, groups = table
    names = list(range(100))
    random.shuffle(names)
    rows = list(range(len(values)))
    random.shuffle(rows)
    renamed = np.array(names)
    # Codes like hashes take the path that closes gaps; so must small ones with gaps.
    far = renamed[groups][rows].astype(np.uint64) * np.uint64(2**50) + np.uint64(3)
    targets: tuple[Target, ...] = ("population", "these-users")
    for target in targets:
        before = mean_interval(values, users, groups, average=average, target=target)
        after = mean_interval(
            values[rows],
            renamed[users][rows].astype(np.uint32),
            far,
            average=average,
            target=target,
        )
        same(before, after)


@given(tables(), st.sampled_from(["pair", "user"]), st.integers(-20, 20), st.integers(1, 9))
def test_shift_and_scale(table: Any, average: Any, shift: int, scale: int) -> None:
    values, users, groups = table
    before = mean_interval(values, users, groups, average=average)
    after = mean_interval(shift + scale * values, users, groups, average=average)
    assert before.kind == after.kind
    assert after.value == pytest.approx(shift + scale * before.value, abs=1e-9)
    if before.low is not None:
        assert after.low == pytest.approx(shift + scale * before.low, abs=1e-8)
        assert after.high == pytest.approx(shift + scale * before.high, abs=1e-8)


@given(hnp.arrays(np.float64, st.integers(2, 60), elements=st.floats(-100, 100, width=32)))
def test_rows_of_their_own_give_the_textbook_error(values: np.ndarray) -> None:
    own = np.arange(values.size)
    interval = mean_interval(values, own, own, target="population")
    if values.min() == values.max():
        assert interval.low is None
        return
    expected = values.std(ddof=1) / math.sqrt(values.size)
    assert interval.se == pytest.approx(expected, rel=1e-6)
    assert interval.df == values.size - 1


def test_averages_differ_as_they_say() -> None:
    values = np.array([1, 1, 1, 1, 0, 0])
    users = np.array([0, 0, 0, 0, 1, 1])
    groups = np.arange(6)
    assert mean_interval(values, users, groups).value == pytest.approx(4 / 6)
    assert mean_interval(values, users, groups, average="user").value == pytest.approx(1 / 2)


def test_fixed_users_take_their_own_level_out() -> None:
    """Users who differ a lot and groups that hardly do: only the population is uncertain."""
    level = np.array([0.0, 10.0, 20.0, 30.0])
    users, groups = np.repeat(np.arange(4), 6), np.tile(np.arange(6), 4)
    values = level[users] + np.array([-1, 1, -1, 1, -1, 1])[groups] / 10
    these = mean_interval(values, users, groups, target="these-users", average="user")
    population = mean_interval(values, users, groups, average="user", target="population")
    assert population.these_users == (these.low, these.high)
    assert (these.target, these.kind) == ("these-users", KIND_GROUPS)
    assert these.df == pytest.approx(5)
    assert spread(these) < 0.1
    assert spread(population) > 5
    assert population.df == 3


def test_data_without_users_vary_by_group() -> None:
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    values = np.array([1, 1, 0, 1, 0, 0, 1, 0])
    interval = mean_interval(values, None, groups, bounds=(0, 1))
    assert (interval.target, interval.kind, interval.n_users) == ("groups", KIND_GROUPS, None)
    same(interval, mean_interval(values, None, groups, target="these-users", bounds=(0, 1)))
    with pytest.raises(ValueError, match="needs users"):
        mean_interval(values, None, groups, average="user")


def test_no_rows() -> None:
    none = np.array([], dtype=int)
    for interval in (
        mean_interval(none, none, none),
        mean_interval(none, None, none),
        ratio_interval(none, none, none),
        ratio_interval(np.array([0]), np.array([0]), np.array([1])),
    ):
        assert (interval.value, interval.low, interval.high) == (None, None, None)
        assert interval.reason is not None
        assert "no rows" in interval.reason
        assert interval.n_rows == 0


def test_one_cluster_gives_a_value_without_bounds() -> None:
    values, one, many = np.array([1.0, 0.0, 1.0, 1.0]), np.zeros(4, dtype=int), np.arange(4)
    targets: tuple[Target, ...] = ("population", "these-users")
    for target in targets:
        interval = mean_interval(values, many, one, target=target)
        assert (interval.value, interval.low, interval.reason) == (0.75, None, "one group only")
    interval = mean_interval(values, one, many, target="population")
    assert (interval.value, interval.low, interval.reason) == (0.75, None, "one user only")
    fixed = mean_interval(values, one, many)
    assert fixed.low is not None
    assert fixed.target == "these-users"
    assert ratio_interval(values, np.ones(4), one, target="groups").reason == "one group only"
    weights = np.array([1.0, 1.0, 0.0, 0.0])
    held = influence_interval(
        0.5, values - 0.75, many, one + np.array([0, 0, 1, 1]), weights=weights, target="population"
    )
    assert (held.low, held.reason) == (None, "one user or group holds all the weight")


def test_all_right_is_not_certain() -> None:
    own = np.arange(5)
    exact = 0.025 ** (1 / 5)  # Clopper and Pearson, five of five
    for interval in (
        mean_interval(np.ones(5), own, own, bounds=(0, 1)),
        mean_interval(np.ones(5), own, own, bounds=(0, 1), target="these-users"),
        mean_interval(np.ones(5), own, own, bounds=(0, 1), average="user"),
        ratio_interval(np.ones(5), np.ones(5), own),
    ):
        assert interval.kind == KIND_NO_EXCEPTION
        assert interval.value == 1
        assert interval.low == pytest.approx(exact)
        assert interval.high == 1
    unbounded = mean_interval(np.ones(5), own, own)
    assert (unbounded.value, unbounded.low) == (1.0, None)
    assert unbounded.reason is not None
    assert "no variation" in unbounded.reason


def test_all_right_counts_clusters_not_rows() -> None:
    users, groups = np.repeat([0, 1, 2], 100), np.tile(np.arange(50), 6)
    population = mean_interval(np.ones(300), users, groups, bounds=(0, 1), target="population")
    these = mean_interval(np.ones(300), users, groups, bounds=(0, 1), target="these-users")
    assert population.n_effective == pytest.approx(3)
    assert population.low == pytest.approx(0.025 ** (1 / 3))
    assert these.low == pytest.approx(0.025 ** (1 / 50))
    # One user with nearly all rows is nearly one user, unless users count alike.
    lopsided = np.array([0] * 96 + [1, 2, 3, 4])
    own = np.arange(100)
    pooled, averaged = (
        mean_interval(
            np.ones(100), lopsided, own, bounds=(0, 1), target="population", average=average
        )
        for average in ("pair", "user")
    )
    assert pooled.n_effective == pytest.approx(100**2 / (96**2 + 4))
    assert averaged.n_effective == pytest.approx(5)


def test_no_difference_anywhere_is_a_narrow_interval_around_it() -> None:
    own = np.arange(400)
    interval = mean_interval(np.zeros(400), own, own, bounds=(-1, 1))
    broken = 1 - 0.025 ** (1 / 400)
    assert interval.low == pytest.approx(-broken)
    assert interval.high == pytest.approx(broken)


@pytest.mark.parametrize("constant", [0.1, 1e8 + 0.1, -3e-7])
def test_rounding_is_not_variation(constant: float) -> None:
    users = np.arange(10_000) % 7
    groups = np.arange(10_000) % 501
    values = np.full(10_000, constant)
    averages: tuple[Average, ...] = ("pair", "user")
    for average in averages:
        interval = mean_interval(values, users, groups, average=average)
        assert (interval.value, interval.low) == (constant, None)
    each = constant * (1 + users)  # every user constant, users differ
    fixed = mean_interval(each, users, groups, average="user", target="these-users")
    assert fixed.reason is not None
    third = ratio_interval(np.full(10_000, 1), np.full(10_000, 3), groups)
    assert third.kind == KIND_NO_EXCEPTION


def test_cluster_sums_that_cancel_do_not_make_certainty() -> None:
    values, users, groups = np.array([1, 0, 0, 1]), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    interval = mean_interval(values, users, groups, bounds=(0, 1), target="population")
    assert interval.kind == KIND_ROWS
    assert interval.se == pytest.approx(math.sqrt(1 / 3 / 4))
    assert (interval.low, interval.high) == (0.0, 1.0)


def test_intervals_stay_within_bounds() -> None:
    rng = np.random.default_rng(1)
    values = rng.random(40) < 0.95
    codes = np.arange(40) % 4, np.arange(40) % 10
    clipped = mean_interval(values, *codes, bounds=(-1, 1), target="population")
    free = mean_interval(values, *codes, target="population")
    assert free.high is not None
    assert free.high > 1
    assert clipped.high == 1
    assert clipped.low == free.low


def test_influences_of_a_mean_give_the_interval_of_the_mean() -> None:
    influence = (WORKED - WORKED.mean()) / WORKED.size
    same(
        influence_interval(0.0, influence, WORKED_USERS, WORKED_GROUPS),
        mean_interval(WORKED, WORKED_USERS, WORKED_GROUPS),
    )
    still = influence_interval(1.0, np.zeros(9), WORKED_USERS, WORKED_GROUPS, bounds=(0, 1))
    assert still.low is None  # a perfect AUC, say: unlike for a mean, its bounds do not help


def test_level() -> None:
    codes = WORKED_USERS, WORKED_GROUPS
    wide = mean_interval(WORKED, *codes, level=0.99, target="population")
    narrow = mean_interval(WORKED, *codes, level=0.5, target="population")
    assert wide.high == pytest.approx(9.924843200918293 * math.sqrt(1 / 2))
    assert narrow.high == pytest.approx(0.816496580927726 * math.sqrt(1 / 2))
    with pytest.raises(ValueError, match="level"):
        mean_interval(WORKED, WORKED_USERS, WORKED_GROUPS, level=95)


def test_default_target() -> None:
    assert [default_target(n) for n in (1, 9, 10, 1500)] == [
        "these-users", "these-users", "population", "population",
    ]  # fmt: skip
    assert [default_target(u, g) for u in (9.9, 10, None) for g in (3.9, 4)] == [
        "these-judgements", "these-users", "these-prompts", "population",
        "these-judgements", "groups",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": np.array([1.0, np.nan, 0.0])}, "finite"),
        ({"values": np.array([1.0, np.inf, 0.0])}, "finite"),
        ({"values": np.array([1.0, 2.0, 0.0]), "bounds": (0, 1)}, "outside their bounds"),
        ({"users": np.array([0, -1, 1])}, "negative"),
        ({"users": np.array([0.0, 1.0, 2.0])}, "integer"),
        ({"groups": np.array([0, 1])}, "shape"),
        ({"target": "everybody"}, "target"),
    ],
)
def test_what_cannot_be_used_is_refused(change: dict[str, Any], message: str) -> None:
    given_ = {"values": np.ones(3), "users": np.arange(3), "groups": np.arange(3)} | change
    with pytest.raises(ValueError, match=message):
        mean_interval(**given_)


def test_shares_must_be_shares() -> None:
    with pytest.raises(ValueError, match="numerator"):
        ratio_interval(np.array([2, 0]), np.array([1, 1]), np.array([0, 1]))
    with pytest.raises(ValueError, match="length"):
        ratio_interval(np.array([1, 0]), np.array([1, 1]), np.array([0, 1, 2]))


def test_groups_without_denominator_do_not_count() -> None:
    full = ratio_interval(np.array([1, 0, 1]), np.array([1, 1, 2]), np.array([0, 1, 2]))
    padded = ratio_interval(np.array([1, 0, 1, 0]), np.array([1, 1, 2, 0]), np.array([0, 1, 2, 3]))
    same(full, padded)
    assert padded.n_groups == 3


@settings(max_examples=30)
@given(tables())
def test_million_cell_layout_agrees_with_the_small_one(table: Any) -> None:
    """Few rows in a wide user-by-group space are summed by sorting instead of counting."""
    values, users, groups = table
    same(mean_interval(values, users, groups), mean_interval(values, users * 30, groups * 90))


@pytest.mark.parametrize(("own_groups", "refused"), [(1, True), (2, True), (3, False)])
def test_a_third_of_the_people_with_two_answers_is_no_basis(own_groups: int, refused: bool) -> None:
    """Gains of three people, the last on few prompts; of four, nobody weighs so much."""
    rng = np.random.default_rng(0)
    for n_users in (3, 4):
        users = np.concatenate([np.repeat(np.arange(n_users - 1), 20), [n_users - 1] * own_groups])
        groups = np.concatenate([np.tile(np.arange(20), n_users - 1), np.arange(own_groups)])
        gains = rng.integers(-1, 2, users.size).astype(float)
        interval = mean_interval(gains, users, groups, average="user", bounds=(-1, 1))
        assert (interval.low is None) == (refused and n_users == 3)
        if interval.low is None:
            assert interval.reason is not None
            assert "one of 3 users judged in" in interval.reason
        # Pooled, such a user weighs no more than their answers do.
        assert mean_interval(gains, users, groups, bounds=(-1, 1)).low is not None
