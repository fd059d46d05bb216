"""Win rates worked out by hand: both orders, both ways to count a tie, winners by person."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plt.analyze.comparison.win_rate import outcomes, win_rates
from plt.data.tables.schema import VERDICTS, conform

Row = tuple[str | None, int, str | None, str | None]


def table(rows: list[Row], reasons: dict[int, str] | None = None) -> pl.DataFrame:
    """(user, prompt, order, verdict) rows of one judge."""
    found: list[dict[str, Any]] = [
        {
            "user_id": user,
            "prompt_id": prompt,
            "group": f"g{prompt}",
            "sample": 0,
            "system_1": "one",
            "system_2": "two",
            "judge": "j",
            "order": order,
            "verdict": verdict,
            "reason": (reasons or {}).get(i),
        }
        for i, (user, prompt, order, verdict) in enumerate(rows)
    ]
    types = {column.name: column.dtype for column in VERDICTS.columns}
    return conform(pl.DataFrame(found, schema={name: types[name] for name in found[0]}), VERDICTS)


def both(user: str | None, prompt: int, one: str | None, two: str | None) -> list[Row]:
    return [(user, prompt, "1-first", one), (user, prompt, "2-first", two)]


def test_ties_as_halves_and_as_wins_for_both() -> None:
    """u: win, win, tie; v: loss, win, loss, loss. By user (5/6 + 1/4) / 2, pooled 3.5 / 7."""
    rows = [
        *both("u", 0, "1", "1"), *both("u", 1, "1", "1"), *both("u", 2, "tie", "tie"),
        *both("v", 0, "2", "2"), *both("v", 1, "1", "1"), *both("v", 2, "2", "2"),
        *both("v", 3, "2", "2"),
    ]  # fmt: skip
    (found,) = win_rates(table(rows))
    assert (found.total.wins, found.total.ties, found.total.losses) == (3, 1, 3)
    assert found.by_user.value == pytest.approx((5 / 6 + 1 / 4) / 2)
    assert found.pooled.value == pytest.approx(0.5)
    assert found.total.both == pytest.approx((4 / 7, 4 / 7))
    assert found.winners == {"1": 1, "2": 1, "tie": 0}
    assert found.both_by_user == (0.5, 0.5)
    assert (found.n_asked, found.disagreement, found.missing) == (7, 0.0, {})
    assert found.pooled.target == "these-judgements"
    assert found.pooled.reason == (
        "2.0 effective users and 3.8 effective groups are too few to speak of others"
    )


def test_orders_that_disagree_are_a_tie_and_are_counted() -> None:
    """Agreed, opposite, side against tie, agreed; the text shown first wins 5 of 7."""
    rows = [
        *both("u", 0, "1", "1"), *both("u", 1, "1", "2"), *both("u", 2, "1", "tie"),
        *both("u", 3, "2", "2"),
    ]  # fmt: skip
    (found,) = win_rates(table(rows))
    assert (found.total.wins, found.total.ties, found.total.losses) == (1, 2, 1)
    assert found.disagreement == 0.5
    assert found.first_wins == pytest.approx(5 / 7)
    assert found.no_judge is None  # a coin does no worse


def test_a_judge_that_always_prefers_the_first_finds_nothing_but_ties() -> None:
    rows = [row for p in range(20) for row in both(f"u{p % 4}", p, "1", "2")]
    (found,) = win_rates(table(rows))
    assert (found.total.ties, found.total.half, found.disagreement) == (20, 0.5, 1.0)
    assert (found.first_wins, found.total.both) == (1.0, (1.0, 1.0))
    assert found.winners == {"1": 0, "2": 0, "tie": 4}
    assert found.both_by_user == (1.0, 1.0)
    assert found.no_judge is not None
    assert "answered A in 100 % whatever the order" in found.no_judge
    assert "in 100 % of the 20 contests" in found.no_judge


def test_a_judge_that_always_prefers_the_second_is_found_out_too() -> None:
    rows = [row for p in range(20) for row in both("u", p, "2", "1")]
    (found,) = win_rates(table(rows))
    assert found.no_judge is not None
    assert "answered B in 100 % whatever the order" in found.no_judge


def test_a_judge_that_reads_the_texts_is_not_complained_of() -> None:
    rows = [row for p in range(20) for row in both("u", p, "1", "1")]
    (found,) = win_rates(table(rows))
    assert found.no_judge is None


def test_a_contest_without_one_of_its_verdicts_is_left_out_with_its_reason() -> None:
    rows: list[Row] = [
        *both("u", 0, "1", None), *both("u", 1, None, None), *both("u", 2, "2", "2"),
        ("u", 3, "1-first", "1"),
    ]  # fmt: skip
    (found,) = win_rates(table(rows, {1: "timed out", 2: "refused", 3: "timed out"}))
    assert found.missing == {"timed out": 1, "refused": 1, "read in one order only": 1}
    assert (found.total.n, found.total.losses) == (1, 1)


def test_nothing_judged_is_null_and_not_zero() -> None:
    (found,) = win_rates(table(both("u", 0, None, None), {0: "refused", 1: "refused"}))
    assert found.pooled.value is None
    assert found.total.half is None
    assert found.both_by_user is None
    assert found.disagreement is None
    assert found.missing == {"refused": 1}


def test_contests_of_nobody_have_a_pooled_rate_only() -> None:
    rows: list[Row] = [(None, p, None, "1" if p else "2") for p in range(4)]
    (found,) = win_rates(table(rows))
    assert found.pooled.value == 0.75
    assert (found.by_user.value, found.by_user.reason) == (
        None, "no contest with a verdict names a user",
    )  # fmt: skip
    assert (found.users, found.pooled.target, found.n_asked) == ({}, "groups", 0)
    mixed: list[Row] = [*rows, ("u", 9, None, "1")]
    (found,) = win_rates(table(mixed))
    assert (found.total.n, found.without_user) == (1, 4)


def test_many_users_on_many_prompts_speak_of_other_users() -> None:
    rng = np.random.default_rng(0)
    rows: list[Row] = [
        (f"u{u:02d}", p, None, str(rng.choice(["1", "2"], p=[0.7, 0.3])))
        for u in range(12)
        for p in range(15)
    ]
    (found,) = win_rates(table(rows))
    assert found.by_user.target == "population"
    assert found.by_user.low is not None
    assert found.by_user.high is not None
    assert found.by_user.low < 0.7 < found.by_user.high
    assert list(found.users) == sorted(found.users)
    assert found.intervals is not None
    assert found.intervals.value == pytest.approx([t.half for t in found.users.values()])


@given(st.lists(st.sampled_from(["1", "2", "tie", None]), min_size=2, max_size=40))
def test_exchanging_the_systems_exchanges_the_figures(said: list[str | None]) -> None:
    other = {"1": "2", "2": "1", "tie": "tie", None: None}
    rows: list[Row] = []
    turned: list[Row] = []
    for i, verdict in enumerate(said):
        user, prompt, order = f"u{i // 2 % 3}", i // 2, ("1-first", "2-first")[i % 2]
        rows.append((user, prompt, order, verdict))
        turned.append((user, prompt, ("2-first", "1-first")[i % 2], other[verdict]))
    (one,), (two,) = win_rates(table(rows)), win_rates(table(turned))
    assert (one.total.wins, one.total.ties) == (two.total.losses, two.total.ties)
    assert one.disagreement == two.disagreement
    assert one.first_wins == two.first_wins
    if one.pooled.value is not None:
        assert two.pooled.value == pytest.approx(1 - one.pooled.value)
    assert outcomes(table(rows)).height == len({row[1] for row in rows})


def test_the_decided_stand_beside_where_a_habit_makes_ties() -> None:
    """u: 2 won, 1 lost, 3 ties of order; v: 1 won, 3 ties. Decided: (2/3 + 1) / 2; half: .62."""
    rows = [
        *both("u", 0, "1", "1"), *both("u", 1, "1", "1"), *both("u", 2, "2", "2"),
        *both("u", 3, "1", "2"), *both("u", 4, "1", "2"), *both("u", 5, "1", "2"),
        *both("v", 0, "1", "1"), *both("v", 1, "1", "2"), *both("v", 2, "1", "2"),
        *both("v", 3, "1", "2"),
    ]  # fmt: skip
    (found,) = win_rates(table(rows))
    assert found.decided.value == pytest.approx((2 / 3 + 1) / 2)
    assert found.by_user.value == pytest.approx((3.5 / 6 + 2.5 / 4) / 2)
    assert found.decided.n_rows == 4
    (tied,) = win_rates(table([*both("u", 0, "1", "2"), *both("v", 0, "tie", "tie")]))
    assert (tied.decided.value, tied.decided.reason) == (None, "no contest was decided")


def test_a_position_bias_pulls_halves_to_one_half_and_not_the_decided() -> None:
    rng = np.random.default_rng(0)
    rates = []
    for habit in (0.0, 0.7):
        rows: list[Row] = []
        for user, prompt in np.ndindex(20, 30):
            winner = "1" if rng.random() < 0.7 else "2"
            seen = [first if rng.random() < habit else winner for first in ("1", "2")]
            rows += both(f"u{user:02d}", prompt, *seen)
        (found,) = win_rates(table(rows))
        rates.append((found.by_user.value or 0.0, found.decided.value or 0.0))
    assert rates[0][0] == pytest.approx(0.7, abs=0.04)
    assert abs(rates[1][0] - 0.5) < 0.1
    assert rates[1][1] == pytest.approx(0.7, abs=0.1)
