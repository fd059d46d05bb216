"""The two-way bootstrap: agreement with what is known exactly, determinism, degenerate data."""

from typing import Any

import numpy as np
import pytest

from plt.analyze.intervals import bootstrap
from plt.analyze.intervals.bootstrap import Resampling, two_way_bootstrap
from plt.analyze.intervals.uncertainty import influence_interval, mean_interval

RNG = np.random.default_rng(3)
USERS = np.repeat(np.arange(15), 20)
GROUPS = np.tile(np.arange(20), 15)
LABELS = (RNG.random(300) < 0.5).astype(float)
SCORES = LABELS * (
    0.8 + RNG.normal(0, 0.4, 15)[USERS] + RNG.normal(0, 0.4, 20)[GROUPS]
) + RNG.normal(size=300)
VALUES = RNG.normal(size=300) + RNG.normal(size=15)[USERS] + RNG.normal(size=20)[GROUPS]


def weighted_mean(weights: np.ndarray) -> np.ndarray:
    return weights @ VALUES / weights.sum(axis=1)


def weighted_auc(weights: np.ndarray) -> np.ndarray:
    """P(score of a positive row > score of a negative one) under row weights; no tied scores."""
    order = np.argsort(SCORES)
    weights, labels = weights[:, order], LABELS[order]
    positive, negative = weights * labels, weights * (1 - labels)
    with np.errstate(invalid="ignore"):
        return (positive * np.cumsum(negative, axis=1)).sum(axis=1) / (
            positive.sum(axis=1) * negative.sum(axis=1)
        )


def auc_influence() -> tuple[float, np.ndarray]:
    above = (SCORES[:, None] > SCORES[None, :]).astype(float)
    positive, negative = LABELS == 1, LABELS == 0
    auc = above[np.ix_(positive, negative)].mean()
    influence = np.empty(300)
    influence[positive] = (above[np.ix_(positive, negative)].mean(axis=1) - auc) / positive.sum()
    influence[negative] = (above[np.ix_(positive, negative)].mean(axis=0) - auc) / negative.sum()
    return float(auc), influence


@pytest.mark.parametrize("target", ["population", "these-users"])
def test_mean_agrees_with_the_formula(target: Any) -> None:
    plan = Resampling(n_boot=4000)
    got = two_way_bootstrap(weighted_mean, USERS, GROUPS, plan, target=target)
    exact = mean_interval(VALUES, USERS, GROUPS, target=target)
    # 4,000 replicates give a standard deviation to 1.1 %, three of them combined to about 2 %.
    assert got.value == pytest.approx(exact.value)
    assert got.se == pytest.approx(exact.se, rel=0.06)
    assert (got.df, got.n_users, got.n_groups) == (exact.df, exact.n_users, exact.n_groups)
    prefix = "two-way" if target == "population" else "group"
    assert got.label == f"{target}: {prefix} bootstrap t"


@pytest.mark.parametrize("target", ["population", "these-users"])
def test_auc_agrees_with_its_influences(target: Any) -> None:
    auc, influence = auc_influence()
    got = two_way_bootstrap(
        weighted_auc, USERS, GROUPS, Resampling(n_boot=3000), target=target, bounds=(0, 1)
    )
    smooth = influence_interval(auc, influence, USERS, GROUPS, target=target, bounds=(0, 1))
    assert got.value == pytest.approx(auc)
    assert got.se == pytest.approx(smooth.se, rel=0.08)
    assert got.n_undefined == 0


def test_pigeonhole_is_wider_than_the_cluster_bootstrap() -> None:
    pigeonhole = two_way_bootstrap(
        weighted_auc, USERS, GROUPS, Resampling(n_boot=2000, interval="percentile")
    )
    cluster = two_way_bootstrap(weighted_auc, USERS, GROUPS, Resampling(n_boot=2000))
    assert pigeonhole.kind == "two-way bootstrap percentile"
    assert pigeonhole.high is not None
    assert cluster.high is not None
    ratio = (pigeonhole.high - pigeonhole.low) / (cluster.high - cluster.low)
    assert 1.05 < ratio < 1.8


def test_basic_mirrors_percentile() -> None:
    percentile = two_way_bootstrap(
        weighted_mean, USERS, GROUPS, Resampling(interval="percentile", seed=4)
    )
    basic = two_way_bootstrap(weighted_mean, USERS, GROUPS, Resampling(interval="basic", seed=4))
    assert basic.low == pytest.approx(2 * percentile.value - percentile.high)
    assert basic.high == pytest.approx(2 * percentile.value - percentile.low)


@pytest.mark.parametrize("interval", ["cluster-t", "percentile"])
def test_seed_decides_and_chunks_do_not(interval: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Resampling(n_boot=200, seed=7, interval=interval)
    whole = two_way_bootstrap(weighted_auc, USERS, GROUPS, plan)
    monkeypatch.setattr(bootstrap, "CHUNK_WEIGHTS", 7 * 300)
    chunked = two_way_bootstrap(weighted_auc, USERS, GROUPS, plan)
    # The order of summation may differ with the width of a matrix product, the draws may not.
    assert (chunked.low, chunked.high) == pytest.approx((whole.low, whole.high), rel=1e-12)
    other = two_way_bootstrap(
        weighted_auc, USERS, GROUPS, Resampling(n_boot=200, seed=8, interval=interval)
    )
    assert other.low != whole.low


def test_gaps_in_codes_change_nothing() -> None:
    plan = Resampling(n_boot=100)
    assert two_way_bootstrap(weighted_mean, USERS, GROUPS, plan) == two_way_bootstrap(
        weighted_mean, USERS * 3 + 2, GROUPS.astype(np.uint64) * np.uint64(2**40), plan
    )


def test_weights_are_products_of_multiplicities() -> None:
    seen: list[np.ndarray] = []

    def spy(weights: np.ndarray) -> np.ndarray:
        seen.append(weights)
        return weights[:, 0]

    two_way_bootstrap(spy, USERS, GROUPS, Resampling(n_boot=50, interval="percentile"))
    assert (seen[0] == 1).all()
    tables = np.concatenate(seen[1:]).reshape(50, 15, 20)
    assert tables.shape[0] == 50
    for table in tables:
        # A product of margins that each sum to their number of clusters.
        by_user, by_group = table.sum(axis=1) / 20, table.sum(axis=0) / 15
        assert np.allclose(table, np.outer(by_user, by_group))
        assert by_user.sum() == pytest.approx(15)
        assert by_group.sum() == pytest.approx(20)


def test_data_without_users_draw_groups() -> None:
    got = two_way_bootstrap(weighted_mean, None, GROUPS, Resampling(n_boot=200))
    fixed = two_way_bootstrap(
        weighted_mean, USERS, GROUPS, Resampling(n_boot=200), target="these-users"
    )
    assert (got.target, got.kind, got.n_users) == ("groups", "group bootstrap t", None)
    assert (got.low, got.high) == (fixed.low, fixed.high)


def first_user_only(weights: np.ndarray) -> np.ndarray:
    """A statistic that is undefined in the replicates without user 0: (14/15)^15 = 36 %."""
    with np.errstate(invalid="ignore"):
        return weights[:, :20] @ VALUES[:20] / weights[:, :20].sum(axis=1)


@pytest.mark.parametrize("interval", ["cluster-t", "percentile"])
def test_undefined_replicates_are_counted_against_the_interval(interval: Any) -> None:
    got = two_way_bootstrap(
        first_user_only, USERS, GROUPS, Resampling(n_boot=400, interval=interval)
    )
    assert got.value == pytest.approx(VALUES[:20].mean())
    assert got.low is None
    assert 100 < got.n_undefined < 190
    assert got.reason == f"undefined in {got.n_undefined} of 400 replicates"


def test_a_few_undefined_replicates_push_the_percentiles_out() -> None:
    def sometimes(share: float) -> Any:
        def statistic(weights: np.ndarray) -> np.ndarray:
            figures = weighted_mean(weights)
            figures[np.abs(figures * 1e6) % 1 < share] = np.nan
            return np.where(len(figures) == 1, weighted_mean(weights), figures)

        return statistic

    plan = Resampling(n_boot=1000, interval="percentile")
    full = two_way_bootstrap(sometimes(0), USERS, GROUPS, plan)
    holed = two_way_bootstrap(sometimes(0.006), USERS, GROUPS, plan)
    assert full.n_undefined == 0
    assert 0 < holed.n_undefined < 15
    assert holed.low < full.low
    assert holed.high > full.high


def test_degenerate_data() -> None:
    none, one = np.array([], dtype=int), np.zeros(300, dtype=int)
    plan = Resampling(n_boot=20)
    empty = two_way_bootstrap(weighted_mean, none, none, plan)
    assert (empty.value, empty.reason) == (None, "no rows")
    for target in ("population", None):
        fixed = two_way_bootstrap(weighted_mean, USERS, one, plan, target=target)
        if target is None:
            assert fixed.low is not None
            assert fixed.target == "these-prompts"
        else:
            assert fixed.reason == "one group only"
    alone = two_way_bootstrap(weighted_mean, one, GROUPS, plan, target="population")
    assert alone.reason == "one user only"
    fixed = two_way_bootstrap(weighted_mean, one, GROUPS, plan)
    assert fixed.low is not None
    assert fixed.target == "these-users"
    neither = two_way_bootstrap(weighted_mean, one, one, plan)
    assert (neither.low, neither.target) == (None, "these-judgements")
    undefined = two_way_bootstrap(lambda w: np.full(len(w), np.nan), USERS, GROUPS, plan)
    assert (undefined.value, undefined.reason) == (None, "undefined on these rows")
    for interval in ("cluster-t", "percentile"):
        still = two_way_bootstrap(
            lambda w: np.full(len(w), 1.0), USERS, GROUPS, Resampling(200, interval=interval)
        )
        assert (still.value, still.low) == (1.0, None)
        assert still.reason == "no variation between replicates"


def test_too_few_replicates_are_refused_or_said() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        two_way_bootstrap(weighted_mean, USERS, GROUPS, Resampling(n_boot=1))
    few = two_way_bootstrap(
        weighted_mean, USERS, GROUPS, Resampling(n_boot=20, interval="percentile")
    )
    assert few.low is None
    assert few.reason is not None
    assert "20 replicates do not reach" in few.reason


def test_statistics_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        two_way_bootstrap(lambda w: w, USERS, GROUPS, Resampling(n_boot=5))


def test_bounds_clip() -> None:
    got = two_way_bootstrap(
        weighted_mean, USERS, GROUPS, Resampling(n_boot=100), bounds=(-0.01, 10)
    )
    assert got.low is not None
    assert got.low >= -0.01
