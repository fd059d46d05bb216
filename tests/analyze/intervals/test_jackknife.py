"""Variances by deletion, against literal deletion in loops and against pyfixest."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plt.analyze.intervals.clusters import kish_size
from plt.analyze.intervals.uncertainty import (
    KIND_ROWS,
    Average,
    Interval,
    Target,
    influence_interval,
    mean_interval,
    ratio_interval,
)

AVERAGES: tuple[Average, ...] = ("pair", "user")


def pooled(values: np.ndarray, users: np.ndarray) -> float:
    return float(values.mean())


def over_users(values: np.ndarray, users: np.ndarray) -> float:
    return float(np.mean([values[users == user].mean() for user in np.unique(users)]))


MEANS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {"pair": pooled, "user": over_users}


def deleted(values: np.ndarray, users: np.ndarray, codes: np.ndarray, average: str) -> float:
    """The variance by leaving out one cluster after the other, literally."""
    figure = MEANS[average]
    whole = figure(values, users)
    names = np.unique(codes)
    moved = [figure(values[codes != c], users[codes != c]) - whole for c in names]
    return (names.size - 1) / names.size * sum(each**2 for each in moved)


def literal(
    values: np.ndarray, users: np.ndarray, groups: np.ndarray, average: str, target: str
) -> float:
    by_group = deleted(values, users, groups, average)
    by_user = deleted(values, users, users, average)
    if target != "population":
        return by_group if target == "these-users" else by_user
    by_cell = deleted(values, users, users * 1000 + groups, average)
    return max(by_user + by_group - by_cell, by_user, by_group)


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users of one row and of many, and groups that are large, small and some user's only one."""
    n = draw(st.integers(4, 40))
    values = draw(hnp.arrays(np.int64, n, elements=st.integers(-8, 8))) / 4
    users = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 6)))
    groups = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 9)))
    if draw(st.booleans()):
        groups[n // 3 :] = 1
    users[:2], groups[:2] = (0, 1), (0, 1)
    return values, users, groups


@settings(max_examples=200)
@given(
    tables(),
    st.sampled_from(["pair", "user"]),
    st.sampled_from(["population", "these-users", "these-prompts"]),
)
def test_array_operations_are_literal_deletion(table: Any, average: Any, target: Any) -> None:
    values, users, groups = table
    found = mean_interval(values, users, groups, average=average, target=target)
    assert found.value == pytest.approx(MEANS[average](values, users), abs=1e-12)
    variance = literal(values, users, groups, average, target)
    if found.se is None or found.kind == KIND_ROWS:
        assert variance == pytest.approx(0, abs=1e-18)
    else:
        assert found.se == pytest.approx(math.sqrt(variance), rel=1e-9)


@given(tables(), st.sampled_from(["pair", "user"]))
def test_effective_numbers_are_those_of_the_weights(table: Any, average: Any) -> None:
    values, users, groups = table
    found = mean_interval(values, users, groups, average=average, target="population")
    counts = np.bincount(users)[users]
    weights = np.ones(values.size) if average == "pair" else 1 / counts
    assert found.effective_users == pytest.approx(kish_size(np.bincount(users, weights)))
    assert found.effective_groups == pytest.approx(kish_size(np.bincount(groups, weights)))
    if found.df is not None:
        smaller = min(found.effective_users, found.effective_groups)
        assert found.df == pytest.approx(max(smaller - 1, 1))


def test_a_worked_person_who_leaves() -> None:
    """u: 1 in group 0 and 0 in group 1; v: 1 in group 0; w: 0 in group 1. Mean (1/2 + 1 + 0) / 3.

    Without group 0 the mean is that of u and w, 0, and without group 1 that of u and v, 1. Without
    u it stays 1/2, without v 1/4, without w 3/4. Without a cell of u 1/3 and 2/3, of v 1/4, of w
    3/4.
    """
    values, users, groups = np.array([1, 0, 1, 0]), np.array([0, 0, 1, 2]), np.array([0, 1, 0, 1])
    found = mean_interval(values, users, groups, average="user", target="population")
    by_group, by_user = 1 / 2 * (1 / 4 + 1 / 4), 2 / 3 * (2 / 16)
    by_cell = 3 / 4 * (2 / 36 + 2 / 16)
    assert by_user + by_group - by_cell < by_group
    assert found.se == pytest.approx(math.sqrt(by_group))
    fixed = mean_interval(values, users, groups, average="user", target="these-prompts")
    assert fixed.se == pytest.approx(math.sqrt(by_user))


def uneven() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The table of the golden values."""
    rng = np.random.default_rng(7)
    users = rng.choice(12, 200, p=np.arange(1, 13) / 78)
    groups = rng.choice(9, 200, p=np.array([9, 4, 3, 2, 2, 1, 1, 1, 1]) / 24)
    values = rng.normal(size=200) + 0.5 * rng.normal(size=12)[users]
    return np.round(values + 0.5 * rng.normal(size=9)[groups], 6), users, groups


# pyfixest 0.60.0: feols("y ~ 1", data=..., vcov={"CRV3": code}, ssc=ssc(k_adj=False, G_adj=False))
# ._vcov, where data holds the rows of `uneven()` and the code of each (user, group) cell. Beside it
# the number of clusters.
GOLDEN = {
    "user": (0.0549901334521361, 12),
    "group": (0.024279529547919128, 9),
    "cell": (0.012643523043024997, 72),
}


def test_the_terms_of_a_pooled_mean_are_those_of_pyfixest() -> None:
    """Up to the jackknife's (C - 1) / C, by which its factors turned off are too large."""
    values, users, groups = uneven()
    one_way = {"user": users, "group": groups, "cell": users * 9 + groups}
    terms = {name: (c - 1) / c * sum_of_squares for name, (sum_of_squares, c) in GOLDEN.items()}
    for name, codes in one_way.items():
        found = mean_interval(values, None, codes, target="groups")
        assert found.se is not None
        assert found.se**2 == pytest.approx(terms[name], rel=1e-12)
    both = mean_interval(values, users, groups, target="population")
    expected = terms["user"] + terms["group"] - terms["cell"]
    assert both.se == pytest.approx(math.sqrt(expected), rel=1e-12)


def test_a_share_of_counts_is_deleted_literally() -> None:
    rng = np.random.default_rng(3)
    groups, bottom = rng.integers(0, 7, 60), rng.integers(0, 9, 60)
    top = rng.binomial(bottom, 0.4)
    found = ratio_interval(top, bottom, groups)
    whole = top.sum() / bottom.sum()
    moved = [top[groups != g].sum() / bottom[groups != g].sum() - whole for g in range(7)]
    assert found.se == pytest.approx(math.sqrt(6 / 7 * np.square(moved).sum()))
    assert found.effective_groups == pytest.approx(kish_size(np.bincount(groups, bottom)))


def test_influences_with_weights_are_deleted_like_a_weighted_mean() -> None:
    rng = np.random.default_rng(4)
    users, groups = rng.integers(0, 12, 90), rng.integers(0, 8, 90)
    values, weights = rng.normal(size=90), rng.choice([0.0, 1.0, 5.0], 90)

    def figure(rows: np.ndarray) -> float:
        return float(np.average(values[rows], weights=weights[rows]))

    whole = figure(np.arange(90))
    found = influence_interval(
        whole, weights * (values - whole) / weights.sum(), users, groups, weights=weights,
        target="these-users",
    )  # fmt: skip
    moved = [figure(np.flatnonzero(groups != g)) - whole for g in range(8)]
    assert found.se == pytest.approx(math.sqrt(7 / 8 * np.square(moved).sum()))
    assert found.effective_users == pytest.approx(kish_size(np.bincount(users, weights)))


def test_weights_that_cannot_be_used() -> None:
    codes = np.arange(5), np.arange(5)
    nothing = influence_interval(0.5, np.zeros(5), *codes, weights=np.zeros(5), bounds=(0, 1))
    assert (nothing.low, nothing.reason) == (None, "no row has a weight")
    for weights in (np.ones(4), np.array([1, 1, 1, 1, -1.0]), np.array([1, 1, 1, 1, np.nan])):
        with pytest.raises(ValueError, match="weights"):
            influence_interval(0.5, np.zeros(5), *codes, weights=weights)


@pytest.mark.parametrize("average", AVERAGES)
def test_balanced_tables_keep_their_width(average: Average) -> None:
    """Deleting one of C equal clusters is C / (C - 1) times their squared sums, as ever."""
    rng = np.random.default_rng(5)
    users, groups = (codes.ravel() for codes in np.indices((20, 15)))
    values = rng.normal(size=300) + rng.normal(size=20)[users] + rng.normal(size=15)[groups]
    found = mean_interval(values, users, groups, average=average)
    residual = (values - values.mean()) / values.size
    cells = 300 / 299 * float(residual @ residual)
    by_user = 20 / 19 * float(np.square(np.bincount(users, residual)).sum())
    by_group = 15 / 14 * float(np.square(np.bincount(groups, residual)).sum())
    assert found.df == pytest.approx(14)
    assert found.se is not None
    if average == "pair":
        assert found.se == pytest.approx(math.sqrt(by_user + by_group - cells))
    else:  # each user's mean is taken out of the cells, which differ by 1/20 and 1/15
        assert found.se == pytest.approx(math.sqrt(by_user + by_group - cells), rel=0.02)


def spread(found: Interval) -> float:
    assert found.low is not None
    assert found.high is not None
    return found.high - found.low


def test_both_claims_are_there_where_they_differ() -> None:
    """Ten users of opposed tastes: beyond doubt for these, open for others."""
    rng = np.random.default_rng(6)
    level = np.array([1.0, 0.9, 0.8, 0.9, 1.0, 0.7, 0.9, -0.6, -0.7, -0.6])
    users, groups = (codes.ravel() for codes in np.indices((10, 40)))
    gap = level[users] + 0.5 * rng.normal(size=400)
    found = mean_interval(gap, users, groups, average="user")
    assert found.target == "population"
    assert not found.excludes()
    assert found.these_users is not None
    assert found.these_users[0] > 0
    assert found.only_these_users()
    fixed = mean_interval(gap, users, groups, average="user", target="these-users")
    assert found.these_users == (fixed.low, fixed.high)
    assert fixed.these_users is None
    assert fixed.excludes()
    assert not fixed.only_these_users()
    unknown = mean_interval(gap[:3], users[:3], users[:3])
    assert not unknown.excludes()
    assert not unknown.only_these_users()


def test_large_clusters_are_named() -> None:
    users = np.array([0] * 60 + list(range(1, 41)))
    groups = np.array([2**60] * 30 + list(range(70)))
    values = np.arange(100) % 2
    found = mean_interval(values, users, groups, average="user")
    assert [(each.kind, each.code, each.share) for each in found.dominant] == [
        ("user", 0, 0.6),
        ("group", 2**60, 0.3),
    ]
    assert mean_interval(values, np.arange(100) % 4, np.arange(100)).dominant == ()
    assert ratio_interval(values, np.ones(100), groups).dominant[0].kind == "group"


EDGES: dict[str, tuple[np.ndarray, np.ndarray]] = {
    "one user": (np.zeros(40, dtype=int), np.arange(40)),
    "one prompt": (np.arange(40) % 20, np.zeros(40, dtype=int)),
    "two prompts": (np.arange(40) % 20, np.arange(40) % 2),
    "one judgement a user": (np.arange(40), np.arange(40) % 8),
    "one judgement a user, one prompt": (np.arange(40), np.zeros(40, dtype=int)),
    "one user, one prompt": (np.zeros(40, dtype=int), np.zeros(40, dtype=int)),
    "one row": (np.zeros(1, dtype=int), np.zeros(1, dtype=int)),
    "a prompt each": (np.arange(40), np.arange(40)),
}
TARGETS: dict[str, Target] = {
    "one user": "these-users",
    "one prompt": "these-prompts",
    "two prompts": "these-prompts",
    "one judgement a user": "population",
    "one judgement a user, one prompt": "these-prompts",
    "one user, one prompt": "these-judgements",
    "one row": "these-judgements",
    "a prompt each": "population",
}


@pytest.mark.parametrize("name", EDGES)
@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("values", ["mixed", "equal", "zero"])
def test_edges_give_numbers_or_a_reason(name: str, average: Average, values: str) -> None:
    users, groups = EDGES[name]
    made = {"mixed": np.arange(users.size) % 3 - 1, "equal": np.ones(users.size)}
    rows = made.get(values, np.zeros(users.size))
    for target in (None, "population", "these-users", "these-prompts", "these-judgements"):
        chosen: Any = target
        found = mean_interval(rows, users, groups, average=average, target=chosen, bounds=(-1, 1))
        assert found.target == (target or TARGETS[name])
        figures = [
            found.value,
            found.low,
            found.high,
            found.se,
            found.df,
            *(found.these_users or ()),
        ]
        assert all(np.isfinite(each) for each in figures if each is not None)
        assert (found.low is None) == (found.high is None) == (found.reason is not None)
        assert found.target != "these-judgements" or found.low is None
        if found.low is not None:
            assert spread(found) > 0
