"""Differences of one table together: against scipy's multivariate t, by hand, and in simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from plt.analyze.intervals.distributions import t_quantile
from plt.analyze.intervals.significance import paired_difference
from plt.analyze.intervals.simultaneous import Judged, correlations, simultaneous
from plt.analyze.intervals.uncertainty import default_target


def crossed(rng: np.random.Generator, users: int = 12, groups: int = 15, n: int = 20) -> Judged:
    whose = np.repeat(np.arange(users), n)
    return Judged(whose, rng.integers(0, groups, whose.size), "population", "user")


def test_one_difference_alone_is_its_own_interval() -> None:
    rng = np.random.default_rng(0)
    judged = crossed(rng)
    values = rng.choice([-1.0, 0.0, 1.0], judged.groups.size)
    (found,) = simultaneous([values], judged)
    alone = paired_difference(
        values, np.zeros(values.size), judged.users, judged.groups,
        target="population", average="user", bounds=(-1, 1),
    )  # fmt: skip
    assert found is not None
    assert found.interval == alone.interval
    assert (found.low, found.high, found.p) == (
        alone.interval.low,
        alone.interval.high,
        alone.p_value,
    )


def test_the_critical_value_is_that_of_the_multivariate_t() -> None:
    rng = np.random.default_rng(1)
    judged = crossed(rng)
    shared = rng.normal(0, 1, judged.groups.size)
    values = [np.clip(shared + rng.normal(0, s, shared.size), -9, 9) / 9 for s in (0.5, 1, 2)]
    found = [each for each in simultaneous(values, judged) if each is not None]
    df = min(float(each.interval.df or 0) for each in found)
    oracle = stats.multivariate_t(shape=correlations(values, judged), df=df)
    critical = found[0].critical
    assert critical is not None
    inside = oracle.cdf([critical] * 3, lower_limit=[-critical] * 3, random_state=0)
    assert inside == pytest.approx(0.95, abs=0.004)


@pytest.mark.parametrize("target", ["population", "these-users", "these-prompts"])
def test_correlations_are_those_of_literal_cluster_sums(target: str) -> None:
    rng = np.random.default_rng(2)
    judged = Judged(np.arange(40) % 5, np.arange(40) % 8, target, "user")  # type: ignore[arg-type]
    a, b = rng.normal(size=(2, 40))
    b = a + b
    users, groups = judged.users, judged.groups
    assert users is not None
    total = np.zeros((2, 2))
    for kind, codes in (("group", groups), ("user", users)):
        if kind == {"these-users": "user", "these-prompts": "group"}.get(target):
            continue
        sums = []
        for values in (a, b):
            centre = np.array([values[users == u].mean() for u in users])
            if target != "these-users":
                centre = np.full(40, np.mean([values[users == u].mean() for u in range(5)]))
            residual = (values - centre) / (5 * 8)
            sums.append([residual[codes == c].sum() for c in np.unique(codes)])
        n = len(sums[0])
        total += n / (n - 1) * np.array(sums) @ np.array(sums).T
    expected = total[0, 1] / np.sqrt(total[0, 0] * total[1, 1])
    assert correlations([a, b], judged)[0, 1] == pytest.approx(expected)


@given(st.integers(0, 10_000), st.integers(2, 6))
@settings(max_examples=15, deadline=None)
def test_p_and_interval_say_the_same_and_lie_below_bonferroni(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    judged = crossed(rng)
    shared = rng.choice([-1.0, 0.0, 1.0], judged.groups.size)
    values = [np.where(rng.random(shared.size) < 0.5, shared, 0.0) + 0.0 for _ in range(n)]
    found = [each for each in simultaneous(values, judged) if each is not None]
    for each in found:
        assert each.p is not None
        assert each.p_value is not None
        assert each.low is not None
        assert each.high is not None
        assert each.critical is not None
        assert each.p >= each.p_value
        df = min(float(one.interval.df or 0) for one in found)
        assert t_quantile(df, 0.975) <= each.critical <= t_quantile(df, 1 - 0.025 / n)
        if abs(each.p - 0.05) > 1e-3:
            assert (each.low > 0 or each.high < 0) == (each.p < 0.05)


def test_a_copy_costs_nothing_and_the_same_answers_are_no_test() -> None:
    rng = np.random.default_rng(3)
    judged = crossed(rng)
    values = rng.choice([-1.0, 0.0, 1.0], judged.groups.size, p=[0.2, 0.4, 0.4])
    (alone,) = simultaneous([values], judged)
    one, nothing, two, copy, unknown = simultaneous(
        [values, None, np.zeros(values.size), values.copy(), np.full(values.size, np.nan)], judged
    )
    assert alone is not None
    assert one is not None
    assert copy is not None
    assert two is not None
    assert (nothing, unknown) == (None, None)
    assert (one.n_family, copy.n_family) == (2, 2)
    assert one.p == pytest.approx(alone.p, abs=0.01)
    assert one.critical == pytest.approx(alone.critical, abs=0.02)
    assert two.same_answers
    assert (two.interval.value, two.interval.low, two.p_value, two.p) == (0.0, None, None, None)


def test_a_difference_without_variation_takes_its_share_of_the_error() -> None:
    rng = np.random.default_rng(4)
    judged = crossed(rng)
    values = rng.choice([-1.0, 0.0, 1.0], judged.groups.size)
    always, other = simultaneous([np.ones(values.size), values], judged)
    assert always is not None
    assert other is not None
    assert always.interval.se is None
    assert always.p_value is not None
    assert always.p == pytest.approx(2 * always.p_value)
    assert always.low is not None
    assert always.interval.low is not None
    assert always.low < always.interval.low
    assert other.critical is not None
    assert other.critical > t_quantile(float(other.interval.df or 0), 0.975)


def wrongly_called(world: tuple[int, int, int, int], seed: int) -> tuple[bool, bool]:
    """Whether any of several correlated nulls is called; whether a gain of 24 points is."""
    users, groups, n, methods = world
    rng = np.random.default_rng(seed)
    whose = np.repeat(np.arange(users), n)
    which = rng.integers(0, groups, whose.size)
    target = default_target(users, groups)
    judged = Judged(whose, which, target, "user")
    spread = 0.4 if target == "population" else 0.0

    def effect() -> np.ndarray:
        own = spread * rng.normal(size=users)[whose] + 0.4 * rng.normal(size=groups)[which]
        return np.asarray(own)

    common, row = effect(), rng.normal(size=whose.size)
    right = [
        0.3 + np.sqrt(0.5) * (common + effect() + row + rng.normal(size=whose.size)) > 0
        for _ in range(methods + 1)
    ]
    values = [each * 1.0 - right[0] for each in right[1:]]
    null = any(each is not None and (each.p or 0) < 0.05 for each in simultaneous(values, judged))
    values[0] = np.where(rng.random(whose.size) < 0.6, 1.0 - right[0], values[0])
    real = simultaneous(values, judged)[0]
    return null, real is not None and (real.p or 0) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    "world", [(12, 20, 20, 6), (30, 15, 30, 6), (60, 40, 15, 10), (5, 30, 30, 6)]
)
def test_the_family_errs_as_rarely_as_it_says(world: tuple[int, int, int, int]) -> None:
    found = np.array([wrongly_called(world, seed) for seed in range(250)])
    assert found[:, 0].mean() <= 0.06 + 2 * np.sqrt(0.05 * 0.95 / 250)
    if world[0] >= 30:
        assert found[:, 1].mean() > 0.5
