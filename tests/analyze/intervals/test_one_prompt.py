"""A table whose judgements share one prompt: users vary, and nothing is said of other prompts."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import special

from plt.analyze.dataset.statistics import DatasetStatistics, dataset_statistics
from plt.analyze.intervals.bootstrap import Resampling, two_way_bootstrap
from plt.analyze.intervals.significance import paired_difference
from plt.analyze.intervals.uncertainty import (
    KIND_NO_EXCEPTION,
    KIND_USERS,
    Interval,
    default_target,
    mean_interval,
)
from plt.analyze.scores.evaluation import evaluation_rows, measure
from plt.data.tables.table import Meta
from tests.analyze.populations_of_voters import camps, one_truth, sampled_votes
from tests.analyze.score_tables import scores

QUICK, SLOW = 400, 3000
SIZES = [(QUICK, 0.905), pytest.param(SLOW, 0.926, marks=pytest.mark.slow)]
CONSTANT, BY_USER, BY_PROMPT, BY_PAIR = 0.4, 0.4, 0.6, 0.5
N_PAIRS, JUDGED = 60, 20


class Prompt:
    """One prompt whose pairs are shared; every user judges some of them, drawn at random."""

    def __init__(self, n_users: int, rng: np.random.Generator) -> None:
        self.effects = BY_PROMPT * rng.normal() + BY_PAIR * rng.normal(size=N_PAIRS)
        self.users = np.repeat(np.arange(n_users), JUDGED)
        drawn = [rng.choice(N_PAIRS, JUDGED, replace=False) for _ in range(n_users)]
        self.pairs = np.concatenate(drawn)
        self.groups = np.zeros(self.users.size, dtype=int)
        self.personal = BY_USER * rng.normal(size=n_users)[self.users]
        self.personal += rng.normal(size=self.users.size)

    @property
    def right(self) -> np.ndarray:
        return CONSTANT + self.effects[self.pairs] + self.personal > 0

    @property
    def truth(self) -> float:
        """The share of right answers of all users, on these pairs."""
        level = (CONSTANT + self.effects) / np.sqrt(1 + BY_USER**2)
        return float(special.ndtr(level).mean())

    def interval(self, average: Any) -> Interval:
        target = default_target(np.unique(self.users).size, 1)
        return mean_interval(
            self.right, self.users, self.groups, target=target, average=average, bounds=(0, 1)
        )


def holds(interval: Interval, truth: float) -> bool:
    assert interval.low is not None, interval.reason
    assert interval.high is not None
    return interval.low <= truth <= interval.high


@pytest.mark.parametrize(("n", "lowest"), SIZES)
@pytest.mark.parametrize("n_users", [10, 40])
@pytest.mark.parametrize("average", ["pair", "user"])
def test_coverage_of_other_users_on_these_prompts(
    n: int, lowest: float, n_users: int, average: str
) -> None:
    """And only of them: the share on all prompts is held far less often."""
    rng = np.random.default_rng(1)
    variance = 1 + BY_USER**2 + BY_PROMPT**2 + BY_PAIR**2
    everywhere = float(special.ndtr(CONSTANT / np.sqrt(variance)))
    found = []
    for _ in range(n):
        prompt = Prompt(n_users, rng)
        interval = prompt.interval(average)
        found.append((holds(interval, prompt.truth), holds(interval, everywhere)))
    here, elsewhere = np.mean(found, axis=0)
    assert lowest <= here <= 0.985
    assert elsewhere < 0.7


@pytest.mark.parametrize("n_users", [10, 40])
def test_false_alarms_of_differences_on_one_prompt(n_users: int) -> None:
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(QUICK):
        prompt = Prompt(n_users, rng)
        gap = prompt.personal + (prompt.effects - prompt.effects.mean())[prompt.pairs]
        zero = np.zeros(gap.size)
        found = paired_difference(
            gap, zero, prompt.users, prompt.groups, target="these-prompts", average="user"
        )
        assert found.p_value is not None
        alarms += found.p_value < 0.05
    assert 0.02 <= alarms / QUICK <= 0.09


def test_the_variance_is_that_of_users_alone() -> None:
    """Users 1, 1 / 0, 1 / 0, 0: means 1, 1/2, 0; V = 3/2 (1/36 + 1/36) x 4 = 1/12."""
    values, users, groups = np.array([1, 1, 0, 1, 0, 0]), np.repeat([0, 1, 2], 2), np.zeros(6, int)
    found = mean_interval(values, users, groups, target="these-prompts")
    assert (found.value, found.kind, found.df) == (0.5, KIND_USERS, 2)
    assert found.label == "these-prompts: user cluster t"
    assert found.se == pytest.approx(np.sqrt(1.5 * (1 / 6) ** 2 * 2))
    assert (found.n_rows, found.n_users, found.n_groups) == (6, 3, 1)
    spread = mean_interval(values, users, np.arange(6), target="these-prompts")
    assert spread.se == found.se  # whatever the groups are: they are fixed


def test_what_one_prompt_does_not_give() -> None:
    users, groups = np.repeat(np.arange(9), 2), np.zeros(18, dtype=int)
    values = users % 2
    few = mean_interval(values, users, groups)
    assert (few.low, few.target) == (None, "these-judgements")
    asked = mean_interval(values, users, groups, target="population")
    assert (asked.low, asked.reason) == (None, "one group only")
    alone = mean_interval(values, groups, groups, target="these-prompts")
    assert (alone.low, alone.reason) == (None, "one user only")
    nobody = mean_interval(values, None, groups, target="these-prompts")
    assert (nobody.low, nobody.target) == (None, "groups")
    assert [default_target(10, n) for n in (1, 3, 4, None)] == [
        "these-prompts", "these-prompts", "population", "population",
    ]  # fmt: skip


def test_no_exception_among_users_is_not_certain() -> None:
    users = np.repeat(np.arange(12), 3)
    found = mean_interval(
        np.ones(36), users, np.zeros(36, int), target="these-prompts", bounds=(0, 1)
    )
    assert (found.kind, found.n_effective) == (KIND_NO_EXCEPTION, pytest.approx(12))
    assert found.low == pytest.approx(0.025 ** (1 / 12))


def test_the_bootstrap_draws_users_alone() -> None:
    prompt = Prompt(40, np.random.default_rng(3))
    right = prompt.right.astype(float)

    def mean(weights: np.ndarray) -> np.ndarray:
        return np.asarray(weights @ right / weights.sum(axis=1))

    drawn = two_way_bootstrap(
        mean, prompt.users, prompt.groups, Resampling(n_boot=2000), target="these-prompts"
    )
    assert drawn.label == "these-prompts: user bootstrap t"
    exact = prompt.interval("pair")
    assert exact.se is not None
    assert drawn.df == exact.df == 39
    assert drawn.se == pytest.approx(exact.se, rel=0.08)


def test_metrics_of_a_scores_table_of_one_prompt_have_intervals() -> None:
    rng = np.random.default_rng(4)
    prompt = Prompt(12, rng)
    label = rng.integers(0, 2, prompt.users.size).astype(float)
    margin = np.where(prompt.right, 1, -1) * (2 * label - 1) * rng.uniform(0.5, 2, label.size)
    names: list[str | None] = [f"u{user}" for user in prompt.users]
    one = scores(label, margin, names, prompt.pairs.tolist(), group="the prompt")
    assert evaluation_rows(one).target == "these-prompts"
    found = measure(one, command="test").filter(metric="accuracy")
    assert found["interval"].to_list() == ["these-prompts: user cluster t"] * 2
    assert found["ci_low"].null_count() == 0
    two = scores(label, margin, names, prompt.pairs.tolist())
    assert evaluation_rows(two).target == "population"


def statistics_of(q: np.ndarray, rng: np.random.Generator, voters: int) -> DatasetStatistics:
    votes = sampled_votes(q, rng, voters=voters, repeated=0.5).with_columns(group=pl.lit("g"))
    return dataset_statistics(votes, Meta(dataset="toy"))


def test_opposed_camps_on_one_prompt_have_tastes() -> None:
    """Also where no two persons judged the same pairs, so that whole persons are no block."""
    rng = np.random.default_rng(5)
    for voters in (8, 40):
        found = statistics_of(camps(40, 60, rng), rng, voters)
        assert found.verdict.finding in ("taste", "differences")
        assert found.self_and_others is not None
        assert found.self_and_others.exchanged.p_value == pytest.approx(1 / 400)
        assert found.self_and_others.difference.target == "these-prompts"
    assert "other users on these prompts" in found.verdict.sentence
    assert found.divergence.divergent.reason == (
        "1.0 effective groups are too few to speak of others"  # it is a figure of pairs
    )


@pytest.mark.parametrize("kind", ["margins", "mixed"])
def test_noise_on_one_prompt_is_no_taste(kind: str) -> None:
    rng = np.random.default_rng(6)
    alarms = 0
    for _ in range(20):
        found = statistics_of(one_truth(kind, 12, 30, rng), rng, voters=8)
        alarms += found.verdict.finding in ("taste", "differences")
    assert alarms <= 2
