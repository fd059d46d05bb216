"""Measured coverage and false alarms of the intervals, against populations whose truth is known.

The answers are probit: user u is right on pair p of group g when the sum of a constant, a user, a
group and a pair effect and noise, all normal, is above 0. The population's share of right answers
is then exactly Phi(constant / sd of the sum). Effects of pairs and groups are shared by the users
who judge them, as when everybody judges the same list.

With n simulations a coverage of 0.95 is measured to +-3 * sqrt(0.95 * 0.05 / n): 0.033 for the
400 of the quick tests, 0.012 for the 3,000 of the slow ones. The bands add 0.02 above (Student's t
with the fewer clusters is cautious when only one kind varies) and 0.012 below.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy import special

from plt.analyze.intervals.bootstrap import Resampling, two_way_bootstrap
from plt.analyze.intervals.significance import paired_difference
from plt.analyze.intervals.uncertainty import Interval, influence_interval, mean_interval

QUICK, SLOW = 400, 3000
SIZES = [(QUICK, 0.905), pytest.param(SLOW, 0.926, marks=pytest.mark.slow)]
CONSTANT = 0.4


@dataclass(frozen=True)
class Design:
    """Who judges what, and the standard deviations of the effects (the noise has 1)."""

    users: np.ndarray
    groups: np.ndarray
    pairs: np.ndarray
    by_user: float = 0.4
    by_group: float = 0.6
    by_pair: float = 0.3

    @property
    def truth(self) -> float:
        variance = 1 + self.by_user**2 + self.by_group**2 + self.by_pair**2
        return float(special.ndtr(CONSTANT / np.sqrt(variance)))

    def effects(self, rng: np.random.Generator, users: np.ndarray | None = None) -> np.ndarray:
        """The sum of effects and noise of each row; user effects are drawn unless given."""
        if users is None:
            users = self.by_user * rng.normal(size=self.users.max() + 1)
        groups = self.by_group * rng.normal(size=self.groups.max() + 1)
        pairs = self.by_pair * rng.normal(size=self.pairs.max() + 1)
        noise = rng.normal(size=self.users.size)
        return users[self.users] + groups[self.groups] + pairs[self.pairs] + noise


def crossed(n_users: int, n_groups: int, pairs_per_group: int = 2, **effects: float) -> Design:
    """Every user judges every pair of every group."""
    users, groups, pair = np.indices((n_users, n_groups, pairs_per_group)).reshape(3, -1)
    return Design(users, groups, groups * pairs_per_group + pair, **effects)


def nested(n_users: int, most_groups: int, pairs_per_group: int = 2) -> Design:
    """Conversations: each group has one user, and users have 1 to `most_groups` of them."""
    groups_of = 1 + np.arange(n_users) * most_groups // n_users
    groups = np.repeat(np.arange(groups_of.sum()), pairs_per_group)
    users = np.repeat(np.repeat(np.arange(n_users), groups_of), pairs_per_group)
    return Design(users, groups, np.arange(users.size))


def scattered(n_users: int, n_groups: int, judges: int = 4) -> Design:
    """Each group of two pairs is judged by a few users, some of whom judge far more than others."""
    rng = np.random.default_rng(11)
    share = np.arange(1, n_users + 1) / np.arange(1, n_users + 1).sum()
    users = np.concatenate(
        [np.repeat(rng.choice(n_users, judges, replace=False, p=share), 2) for _ in range(n_groups)]
    )
    groups = np.repeat(np.arange(n_groups), 2 * judges)
    return Design(users, groups, groups * 2 + np.tile([0, 1], judges * n_groups))


DESIGNS = {
    "12 x 40": crossed(12, 40),
    "30 x 30": crossed(30, 30),
    "100 x 50": crossed(100, 50),
    "nested": nested(40, 8),
    "scattered": scattered(40, 150),
}
# Differences of two models: small between users, large between the groups that all users share.
DIFFERENCES = {
    "12 x 40": crossed(12, 40, by_user=0.1),
    "30 x 30": crossed(30, 30, by_user=0.1),
    "100 x 50": crossed(100, 50, by_user=0.1),
}


def answers(design: Design, n: int, seed: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    for _ in range(n):
        yield design.effects(rng) + CONSTANT > 0


def holds(interval: Interval, truth: float) -> bool:
    assert interval.low is not None, interval.reason
    assert interval.high is not None
    return interval.low <= truth <= interval.high


def check_coverage(design: Design, n: int, lowest: float, highest: float) -> None:
    covered = [
        holds(mean_interval(right, design.users, design.groups, bounds=(0, 1)), design.truth)
        for right in answers(design, n, seed=1)
    ]
    assert lowest <= np.mean(covered) <= highest


@pytest.mark.parametrize("name", DESIGNS)
def test_population_coverage(name: str) -> None:
    check_coverage(DESIGNS[name], QUICK, 0.905, 1.0 if name == "nested" else 0.99)


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_population_coverage_slow(name: str) -> None:
    check_coverage(DESIGNS[name], SLOW, 0.926, 0.982)


@pytest.mark.slow
@pytest.mark.parametrize("effects", [(0, 0, 0), (0.7, 0, 0), (0, 0.7, 0.3), (0.1, 0.1, 0)])
def test_population_coverage_when_a_source_is_absent(effects: tuple[float, float, float]) -> None:
    by_user, by_group, by_pair = effects
    design = crossed(30, 30, by_user=by_user, by_group=by_group, by_pair=by_pair)
    check_coverage(design, SLOW, 0.926, 0.982)


@pytest.mark.parametrize(("n", "lowest"), SIZES)
def test_coverage_of_the_average_over_users(n: int, lowest: float) -> None:
    """Users with unequal numbers of answers, each counting alike."""
    for name in ("nested", "scattered"):
        design = DESIGNS[name]
        covered = [
            holds(
                mean_interval(right, design.users, design.groups, average="user", bounds=(0, 1)),
                design.truth,
            )
            for right in answers(design, n, seed=2)
        ]
        assert lowest <= np.mean(covered) <= 0.985


@pytest.mark.parametrize(("n", "lowest"), SIZES)
@pytest.mark.parametrize("average", ["pair", "user"])
def test_coverage_for_these_users(n: int, lowest: float, average: Any) -> None:
    """Five users who stay the same while the groups are drawn anew."""
    design = crossed(5, 40)
    levels = np.array([-1.0, -0.2, 0.0, 0.5, 1.2])
    sd = np.sqrt(1 + design.by_group**2 + design.by_pair**2)
    truth = float(special.ndtr((CONSTANT + levels) / sd).mean())
    rng = np.random.default_rng(3)
    covered = []
    for _ in range(n):
        right = design.effects(rng, levels) + CONSTANT > 0
        interval = mean_interval(
            right, design.users, design.groups,
            target="these-users", average=average, bounds=(0, 1),
        )  # fmt: skip
        covered.append(holds(interval, truth))
    assert lowest <= np.mean(covered) <= 0.985


@pytest.mark.parametrize("n_rows", [8, 20, 50])
def test_coverage_near_the_edge(n_rows: int) -> None:
    """Shares near 1, where all answers are often right: Student's t alone would give [1, 1]."""
    rng = np.random.default_rng(4)
    own = np.arange(n_rows)
    for truth in (0.9, 0.95, 0.99):
        covered = [
            holds(mean_interval(rng.random(n_rows) < truth, own, own, bounds=(0, 1)), truth)
            for _ in range(QUICK)
        ]
        assert np.mean(covered) >= 0.86


def false_alarms(design: Design, n: int, *, users_only: bool) -> float:
    """Share of p < 0.05 where the mean difference is 0 but users and groups differ."""
    rng = np.random.default_rng(5)
    zero = np.zeros(design.users.size)
    found = 0
    for _ in range(n):
        gap = design.effects(rng)
        users, groups = (None, design.users) if users_only else (design.users, design.groups)
        p_value = paired_difference(gap, zero, users, groups).p_value
        assert p_value is not None
        found += p_value < 0.05
    return found / n


@pytest.mark.parametrize("name", DIFFERENCES)
def test_false_alarms_of_paired_differences(name: str) -> None:
    """Two-way intervals keep the level; clusters of users alone lose it by tens of per cent."""
    assert 0.01 <= false_alarms(DIFFERENCES[name], QUICK, users_only=False) <= 0.095
    assert false_alarms(DIFFERENCES[name], QUICK, users_only=True) > 0.25


@pytest.mark.slow
@pytest.mark.parametrize("name", DIFFERENCES)
def test_false_alarms_of_paired_differences_slow(name: str) -> None:
    assert 0.018 <= false_alarms(DIFFERENCES[name], SLOW, users_only=False) <= 0.074


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_false_alarms_where_users_differ_slow(name: str) -> None:
    assert 0.018 <= false_alarms(DESIGNS[name], SLOW, users_only=False) <= 0.074


class Auc:
    """One draw of a score whose accuracy differs by user and group, and its AUC."""

    def __init__(self, design: Design, rng: np.random.Generator) -> None:
        positive = rng.random(design.users.size) < 0.5
        scores = np.where(positive, 0.5, -0.5) * (0.8 + design.effects(rng))
        self.order = np.argsort(scores)
        self.labels = positive[self.order].astype(float)

    def figure(self, weights: np.ndarray) -> np.ndarray:
        weights = weights[:, self.order]
        positive, negative = weights * self.labels, weights * (1 - self.labels)
        won = (positive * np.cumsum(negative, axis=1)).sum(axis=1)
        return won / (positive.sum(axis=1) * negative.sum(axis=1))

    def influence(self) -> tuple[float, np.ndarray]:
        n_positive, n_negative = self.labels.sum(), (1 - self.labels).sum()
        below = np.cumsum(1 - self.labels) / n_negative
        above = 1 - np.cumsum(self.labels) / n_positive
        auc = float(below @ self.labels / n_positive)
        placed = np.where(self.labels == 1, (below - auc) / n_positive, (above - auc) / n_negative)
        influence = np.empty_like(placed)
        influence[self.order] = placed
        return auc, influence

    @staticmethod
    def truth(design: Design) -> float:
        variance = 1 + design.by_user**2 + design.by_group**2 + design.by_pair**2
        return float(special.ndtr(0.8 / np.sqrt(0.5 * variance)))


AUC_DESIGN = crossed(30, 30, pairs_per_group=1, by_user=0.3, by_group=0.3, by_pair=0)


def test_coverage_of_an_auc_by_its_influences() -> None:
    rng, truth, covered = np.random.default_rng(6), Auc.truth(AUC_DESIGN), []
    for _ in range(QUICK):
        value, influence = Auc(AUC_DESIGN, rng).influence()
        interval = influence_interval(value, influence, AUC_DESIGN.users, AUC_DESIGN.groups)
        covered.append(holds(interval, truth))
    assert 0.905 <= np.mean(covered) <= 0.985


@pytest.mark.slow
def test_coverage_of_the_bootstraps_for_an_auc() -> None:
    """The default keeps its level; the pigeonhole bootstrap is safe and needlessly wide."""
    rng, truth = np.random.default_rng(6), Auc.truth(AUC_DESIGN)
    covered: dict[str, list[bool]] = {"cluster-t": [], "percentile": []}
    widths: dict[str, list[float]] = {"cluster-t": [], "percentile": []}
    for seed in range(200):
        draw = Auc(AUC_DESIGN, rng)
        for kind in ("cluster-t", "percentile"):
            plan: Any = Resampling(n_boot=150, seed=seed, interval=kind)
            interval = two_way_bootstrap(draw.figure, AUC_DESIGN.users, AUC_DESIGN.groups, plan)
            covered[kind].append(holds(interval, truth))
            assert interval.low is not None
            assert interval.high is not None
            widths[kind].append(interval.high - interval.low)
    assert 0.895 <= np.mean(covered["cluster-t"]) <= 0.99
    assert np.mean(covered["percentile"]) >= 0.96
    assert np.mean(widths["percentile"]) > 1.15 * np.mean(widths["cluster-t"])
