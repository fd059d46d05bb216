"""Tables in which one prompt or a few users hold much of the judgements: coverage and nulls.

Right answers are probit: a constant, a user and a group effect and noise, all normal, above 0; a
user judges prompts drawn at random. With 400 tables a coverage of .95 is measured to +-.033 (three
standard errors), with 3,000 to +-.012. Squared cluster sums with min(users, groups) - 1 degrees of
freedom held the truth of the worlds below in 85, 68 and 23 % (one prompt of .36, .53 and .77) and
in 94, 88 and 92 % (12, 30 and 76 users of whom some answer far more); they rejected a true null in
15, 37 and 79 %.
"""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from plt.analyze.intervals.significance import paired_difference
from plt.analyze.intervals.uncertainty import Average, Interval, Target, mean_interval, score_ends
from tests.analyze.judged_worlds import World

QUICK, SLOW = 400, 3000
SIZES = [(QUICK, 0.917), pytest.param(SLOW, 0.93, marks=pytest.mark.slow)]
AVERAGES: tuple[Average, ...] = ("pair", "user")
CONSTANT = 0.4


def one_large_prompt(share: float) -> World:
    """60 users with four answers each on 40 prompts, and more on one that everybody judges."""
    rng = np.random.default_rng(1)
    small = 240
    large = round(share * small / (1 - share))
    users = np.concatenate([np.repeat(np.arange(60), 4), np.arange(large) % 60])
    groups = np.concatenate([1 + rng.integers(0, 40, small), np.zeros(large, dtype=int)])
    return World(users, groups)


def heavy_users(n_users: int) -> World:
    """Activities are log-normal: the most active of 76 answers a hundred times as much as most."""
    activity = np.ceil(6 * np.exp(1.2 * np.random.default_rng(n_users).normal(size=n_users)))
    users = np.repeat(np.arange(n_users), activity.astype(int))
    groups = np.random.default_rng(2).integers(0, 60, users.size)
    return World(users, groups, by_user=0.8, by_group=0.4)


def holds(interval: Interval, truth: float) -> bool:
    assert interval.low is not None, interval.reason
    assert interval.high is not None
    return interval.low <= truth <= interval.high


def coverage(
    world: World,
    average: Average,
    n: int,
    target: Target | None = None,
    constant: float = CONSTANT,
) -> tuple[float, Counter[Target]]:
    """How often the interval holds the truth of its own target, and which targets it had."""
    rng, world = np.random.default_rng(3), replace(world, constant=constant)
    covered, targets = 0, Counter[Target]()
    for _ in range(n):
        drawn = world.draw(rng)
        right = world.quality(drawn) > 0
        found = mean_interval(
            right, world.users, world.groups, target=target, average=average, bounds=(0, 1)
        )
        targets[found.target] += 1
        covered += holds(found, world.truth(found.target, average, drawn))
    return covered / n, targets


@pytest.mark.parametrize(("n", "lowest"), SIZES)
@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize(
    ("share", "target"), [(0.36, "population"), (0.53, "these-prompts"), (0.77, "these-prompts")]
)
def test_one_large_prompt(
    n: int, lowest: float, average: Average, share: float, target: Target
) -> None:
    """Few effective prompts are no population of prompts: the claim is about these."""
    held, targets = coverage(one_large_prompt(share), average, n)
    assert set(targets) == {target}
    assert lowest <= held <= 0.985


@pytest.mark.parametrize(("n", "lowest"), SIZES)
@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("n_users", [12, 30, 76])
def test_users_of_very_unequal_activity(
    n: int, lowest: float, average: Average, n_users: int
) -> None:
    held, _ = coverage(heavy_users(n_users), average, n, target="population")
    assert lowest <= held <= 0.985
    held, targets = coverage(heavy_users(n_users), average, n)
    assert lowest <= held <= 0.99
    few = n_users == 12 and average == "pair"  # 6.7 effective users
    assert set(targets) == {"these-users" if few else "population"}


@pytest.mark.parametrize(
    ("n", "highest"), [(QUICK, 0.083), pytest.param(SLOW, 0.06, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("share", [0.1, 0.36, 0.53, 0.77])
def test_false_alarms_of_differences_with_one_large_prompt(
    n: int, highest: float, average: Average, share: float
) -> None:
    """The null of the target: other prompts where that is claimed, else these prompts alone."""
    world, rng, alarms = one_large_prompt(share), np.random.default_rng(4), 0
    zero = np.zeros(world.users.size)
    weights = None if average == "pair" else 1 / np.bincount(world.users)[world.users]
    for _ in range(n):
        drawn = world.draw(rng)
        users, groups = drawn.users[world.users], drawn.groups[world.groups]
        if share > 0.5:
            groups = groups - np.average(groups, weights=weights)
        found = paired_difference(
            users + groups + drawn.noise, zero, world.users, world.groups, average=average
        )
        assert found.interval.target == ("these-prompts" if share > 0.5 else "population")
        assert found.p_value is not None
        alarms += found.p_value < 0.05
    assert alarms / n <= highest


def everybody_and_every_prompt() -> World:
    """12 users by 6 prompts."""
    return World(np.repeat(np.arange(12), 6), np.tile(np.arange(6), 12), by_user=0.5, by_group=0.5)


def prompts_of_their_own(activity: np.ndarray) -> World:
    """Users who each judge prompts that nobody else does."""
    users = np.repeat(np.arange(activity.size), activity)
    return World(users, np.arange(users.size), by_user=0.5, by_group=0.5)


NEAR_AN_END = {
    "crossed": everybody_and_every_prompt(),
    "nested": prompts_of_their_own(np.full(30, 2)),
    "zipf": prompts_of_their_own(np.maximum(1, 94 // np.arange(1, 41))),
}


@pytest.mark.parametrize(("n", "lowest"), SIZES)
@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("constant", [2.0, 2.9])
@pytest.mark.parametrize("world", NEAR_AN_END)
def test_shares_near_an_end(
    world: str, constant: float, average: Average, n: int, lowest: float
) -> None:
    """Right in .95 or .99: exceptions are few, and Student's t alone held .78 to .93."""
    held, _ = coverage(NEAR_AN_END[world], average, n, "population", constant)
    assert lowest <= held


def test_score_ends_are_where_the_score_test_just_rejects() -> None:
    for share, variance, t in [(0.9, 0.009, 2.262), (0.02, 1e-4, 1.96), (0.5, 0.01, 3.0)]:
        n = share * (1 - share) / variance
        for end in score_ends(share, variance, t):
            assert abs(share - end) == pytest.approx(t * np.sqrt(end * (1 - end) / n))


def test_one_exception_of_a_busy_user_leaves_room_for_one_of_a_rare_one() -> None:
    """Its row weighs a thousandth; a wrong answer of one who answered once would weigh a tenth."""
    users = np.concatenate([np.zeros(100, dtype=int), np.arange(1, 10)])
    right = np.ones(users.size)
    right[0] = 0
    found = mean_interval(right, users, np.arange(users.size), average="user", bounds=(0, 1))
    assert found.value == pytest.approx(0.999)
    assert found.low is not None
    assert found.low < 0.95
