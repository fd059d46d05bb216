"""What a table could have seen: in simulation, and what more users or prompts would change."""

import numpy as np
import pytest

from plt.analyze.comparison.power import NO_END, NO_GAIN, Power, _shares, power
from plt.analyze.intervals.simultaneous import Judged, simultaneous


def drawn(
    users: int,
    groups: int,
    rng: np.random.Generator,
    spread: tuple[float, float, float],
    gain: float,
) -> tuple[np.ndarray, Judged]:
    """Everybody answers every prompt: user, prompt and row effects of given sizes."""
    whose, which = np.repeat(np.arange(users), groups), np.tile(np.arange(groups), users)
    of_user, of_group, of_row = spread
    by_user, by_group = of_user * rng.normal(size=users), of_group * rng.normal(size=groups)
    values = gain + by_user[whose] + by_group[which] + of_row * rng.normal(size=whose.size)
    return values, Judged(whose, which, "population", "user", None)


def found(values: np.ndarray, judged: Judged) -> Power | None:
    (difference,) = simultaneous([values], judged)
    return power(difference, values, judged)


def test_shares_are_those_of_the_effects() -> None:
    rng = np.random.default_rng(0)
    for spread, expected in (
        ((1.0, 0.0, 0.1), (1.0, 0.0, 0.0)),
        ((0.0, 1.0, 0.1), (0.0, 1.0, 0.0)),
    ):
        shares = _shares(*drawn(40, 40, rng, spread, 0.0))
        assert shares == pytest.approx(expected, abs=0.02)
        assert sum(shares) == pytest.approx(1)


def test_more_of_what_does_not_vary_does_not_help() -> None:
    rng = np.random.default_rng(1)
    values, judged = drawn(20, 200, rng, (1.0, 0.05, 0.1), 0.0)
    plan = found(values - values.mean() + 0.2, judged)
    assert plan is not None
    assert plan.groups is None
    assert plan.groups_reason == NO_END
    assert plan.users is not None
    # The variance must fall by (gain / smallest)^2, and users carry nearly all of it.
    assert 20 + plan.users == pytest.approx(20 * (plan.smallest / 0.2) ** 2, rel=0.05)


def test_no_gain_is_no_plan_and_a_gain_beyond_chance_needs_none() -> None:
    rng = np.random.default_rng(2)
    values, judged = drawn(20, 20, rng, (1.0, 1.0, 1.0), 0.0)
    none = found(values - values.mean() - 0.1, judged)
    assert none is not None
    assert (none.gain, none.users_reason, none.groups_reason) == (None, NO_GAIN, NO_GAIN)
    assert found(values - values.mean() + 9, judged) is None
    assert found(np.zeros(400), judged) is None


@pytest.mark.slow
def test_the_smallest_gain_is_seen_in_four_of_five_tables() -> None:
    """And so is the gain that was planned for, once the users that the plan names are there."""
    spread = (0.5, 0.3, 1.0)
    seen, planned = 0, 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        smallest = 0.374  # (2.093 + 0.861) x the true standard error of 20 users, 40 prompts
        values, judged = drawn(20, 40, rng, spread, smallest)
        (one,) = simultaneous([values], judged)
        seen += one is not None and one.p is not None and one.p < 0.05
        more, wider = drawn(60, 40, rng, spread, 0.237)  # (2.023 + 0.851) x that of 60
        (other,) = simultaneous([more], wider)
        planned += other is not None and other.p is not None and other.p < 0.05
    assert seen / 300 == pytest.approx(0.8, abs=0.07)
    assert planned / 300 == pytest.approx(0.8, abs=0.1)
