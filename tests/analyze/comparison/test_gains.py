"""Whose a gain is, whom it is about, and what is said where there is nothing to say."""

import json
import warnings
from typing import Any

import numpy as np
import polars as pl
import pytest

from plt.analyze.comparison.compare import Comparison, compare
from plt.analyze.comparison.entries import Entry
from plt.cli.pages.comparison import comparison_blocks, comparison_json
from plt.cli.shell.render import to_markdown
from plt.errors import UsageError
from tests.analyze.score_tables import scores


def judged(
    n_users: int,
    n_pairs: int,
    seed: int = 0,
    *,
    groups: int | None = None,
    label: float | None = None,
) -> pl.DataFrame:
    """Everybody judges every pair; `groups` prompts hold them, or each is its own."""
    users = [f"u{u:02d}" for u in range(n_users) for _ in range(n_pairs)]
    pairs = [p for _ in range(n_users) for p in range(n_pairs)]
    sides = np.random.default_rng(seed).integers(0, 2, len(users)).astype(float)
    table = scores(sides if label is None else np.full(len(users), label), sides, users, pairs)
    if groups is None:
        return table
    return table.with_columns(group=pl.format("g{}", pl.col("pair_id") % groups))


def run(name: str, table: pl.DataFrame, right: Any, **controls: Any) -> Entry:
    """A run that is right where `right` says, and under each control where that says."""
    side = np.where(table["label"].to_numpy() > 0.5, 1.0, -1.0)

    def answered(where: Any, control: str | None) -> pl.DataFrame:
        margin = pl.Series(np.where(where, side, -side))
        kind = pl.lit(control, dtype=pl.String).cast(table.schema["control"])
        return table.with_columns(margin=margin, control=kind, run_id=pl.lit(name))

    parts = [answered(right, None)]
    parts += [answered(where, what.replace("_", "-")) for what, where in controls.items()]
    return Entry(name, name, name, pl.concat(parts))


def gain_of(found: Comparison, place: int = 1) -> Any:
    assert found.rows[place].gain is not None
    return found.rows[place].gain


def test_a_gain_that_shuffled_ids_keep_is_not_called_the_users() -> None:
    table, rng = judged(30, 40), np.random.default_rng(1)
    coin, kept, personal = (rng.random(table.height) < p for p in (0.5, 0.65, 0.8))
    base = run("random", table, coin)
    part = run("part", table, personal, wrong_user=coin, shuffled_ids=kept)
    none = run("none", table, kept, wrong_user=kept, shuffled_ids=kept)
    found = compare([base, part, none, run("blind", table, personal)])
    assert [gain_of(found, i).whose for i in (1, 2, 3)] == ["personal", "user-blind", "unknown"]
    assert "Better than random by personalization: part (+" in found.verdict
    assert "shuffled ids keep +1" in found.verdict
    assert "which is not the user's" in found.verdict
    assert "Better than random: none (+" in found.verdict
    assert found.verdict.endswith("about other users and prompts of this kind.")


def test_a_gain_that_the_wrong_user_keeps_is_not_shown_to_be_personal() -> None:
    table, rng = judged(30, 40), np.random.default_rng(2)
    own, wrong = rng.random((2, table.height)) < 0.75
    found = compare(
        [run("a", table, rng.random(table.height) < 0.5), run("b", table, own, wrong_user=wrong)]
    )
    assert gain_of(found).whose == "not shown"
    assert "Better than a, but not shown to be by personalization: b (+" in found.verdict
    assert "as the wrong user +2" in found.verdict
    assert "Better than a by personalization" not in found.verdict


def opposed(seed: int) -> tuple[pl.DataFrame, Any, Any]:
    """Ten users: three whom the baseline gets wrong and the run right, seven for whom nothing."""
    table = judged(10, 30, seed)
    rng = np.random.default_rng(seed)
    three = np.repeat(np.arange(10) < 3, 30)
    draw = rng.random((2, 300))
    return table, draw[0] < np.where(three, 0.05, 0.6), draw[1] < np.where(three, 0.95, 0.58)


def test_both_claims_are_said_where_these_users_and_the_population_differ() -> None:
    table, base, right = opposed(0)
    found = compare([run("a", table, base), run("b", table, right)])
    assert found.verdict.startswith("No detectable gain over a, about other users and prompts")
    assert "For these 10 users, on other prompts, b is better than a: +" in found.verdict
    assert gain_of(found).own.p > 0.05
    assert gain_of(found).these_users.p < 0.001


def test_with_few_users_the_verdict_is_about_these() -> None:
    table, rng = judged(5, 60), np.random.default_rng(3)
    base, right = rng.random(table.height) < 0.5, rng.random(table.height) < 0.8
    found = compare([run("a", table, base), run("b", table, right)])
    assert found.verdict.endswith("about these 5 users, on other prompts.")


def test_the_same_answers_are_said_and_not_tested() -> None:
    table, rng = judged(12, 20), np.random.default_rng(4)
    coin, good = rng.random(table.height) < 0.5, rng.random(table.height) < 0.9
    found = compare(
        [run(n, table, r) for n, r in zip("abcd", (coin, coin, good, good), strict=True)]
    )
    assert found.same_answers == (("a", "b"), ("c", "d"))
    assert gain_of(found, 1).own.p is None
    assert gain_of(found, 2).own.n_family == 2
    assert "b gives the same answers as a." in found.verdict
    page = to_markdown(comparison_blocks(found))
    assert "same answers" in page
    assert "+0.0 [" not in page
    assert "c, d give the same answers on every judgement." in page


def test_margins_that_are_no_opinion_are_half_right_and_counted() -> None:
    table = judged(12, 20)
    silent = run("silent", table, np.ones(table.height, dtype=bool))
    tiny = silent.scores.with_columns(margin=pl.col("margin") * 1e-9)
    right = run("right", table, np.random.default_rng(5).random(table.height) < 0.5)
    found = compare([right, Entry("silent", "silent", "silent", tiny)])
    assert found.rows[1].macro.value == 0.5
    assert found.rows[1].undecided == 1.0
    assert "undecided on 100.0 % of judgements" in to_markdown(comparison_blocks(found))


def test_equivalence_is_shown_or_not() -> None:
    table, rng = judged(30, 60), np.random.default_rng(6)
    base = rng.random(table.height) < 0.7
    near = np.where(rng.random(table.height) < 0.05, rng.random(table.height) < 0.7, base)
    far = rng.random(table.height) < 0.7
    runs = [run("a", table, base), run("near", table, near), run("far", table, far)]
    found = compare(runs, margin=0.02)
    assert (
        "Shown to be within 2 points of a, by both one-sided tests: near; no other" in found.verdict
    )
    rows = comparison_json(found)["rows"]
    assert [row["equivalent"] for row in rows] == [None, True, False]
    assert "No run is shown to be within 0.1 points" in compare(runs, margin=0.001).verdict
    for wrong in (0.0, -0.02, 1.0, float("nan")):
        with pytest.raises(UsageError, match="not between 0 and 100"):
            compare(runs, margin=wrong)


def odd_tables() -> dict[str, tuple[list[Entry], str]]:
    rng = np.random.default_rng(7)

    def pair(table: pl.DataFrame, one: float = 0.5, other: float = 0.95) -> list[Entry]:
        draw = rng.random((3, table.height))
        return [
            run("a", table, draw[0] < one),
            run("b", table, draw[1] < other, wrong_user=draw[2] < 0.5),
        ]

    own_pair = judged(20, 20).filter(
        pl.col("pair_id") == pl.col("user_id").str.slice(1).cast(pl.UInt64)
    )
    nobody = judged(12, 20).with_columns(
        user_id=pl.lit(None, dtype=pl.String), pair_id=pl.int_range(240).cast(pl.UInt64)
    )
    return {
        "one user": (pair(judged(1, 40)), "this user"),
        "one prompt": (pair(judged(12, 20, groups=1)), "on these prompts"),
        "two prompts": (pair(judged(12, 20, groups=2)), "a"),
        "three users, one prompt": (pair(judged(3, 20, groups=1)), "No verdict on b: "),
        "one user, one prompt": (pair(judged(1, 20, groups=1)), "No verdict on b: "),
        "one judgement each": (pair(own_pair), "about other users and prompts"),
        "one side": (pair(judged(12, 20, label=1.0)), "Better than a"),
        "always against never": (pair(judged(12, 20), 0.0, 1.0), "Better than a"),
        "without users": (pair(nobody), "about other prompts of this kind"),
        "one run": (pair(judged(3, 3))[:1], "One run: nothing to compare it with."),
    }


@pytest.mark.parametrize("name", odd_tables())
def test_odd_tables_get_a_sentence_and_no_p_value_of_nothing(name: str) -> None:
    runs, said = odd_tables()[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare(runs)
        page = to_markdown(comparison_blocks(found))
    assert said in found.verdict
    json.dumps(comparison_json(found), allow_nan=False)
    assert "nan" not in page
    for row in found.rows:
        if row.gain is not None and row.gain.own.low is None:
            assert row.gain.own.p is None
            assert row.gain.own.interval.reason


def test_what_the_table_could_have_seen_stands_beside_no_gain() -> None:
    table, rng = judged(30, 40), np.random.default_rng(8)
    base, right = rng.random((2, table.height)) < 0.6
    right = np.where(rng.random(table.height) < 0.04, True, right)
    found = compare([run("a", table, base), run("b", table, right)])
    power = gain_of(found).power
    assert power is not None
    assert gain_of(found).own.interval.value < power.smallest
    assert "in 80 % of cases this table would have seen a gain of" in found.verdict
    assert "this table sees gains from" in to_markdown(comparison_blocks(found))


@pytest.mark.slow
def test_no_claim_of_personalization_is_false_more_often_than_it_says() -> None:
    """Five methods: some gain nothing, some gain but not by the user; both nulls at once."""
    false = 0
    for seed in range(150):
        table, rng = judged(20, 20, seed), np.random.default_rng(seed)

        def drawn(p: float, common: Any, rng: np.random.Generator = rng) -> Any:
            own = rng.random(common.size) < p
            return np.where(rng.random(common.size) < 0.5, common, own)

        common = rng.random(table.height) < 0.6
        runs = [run("a", table, drawn(0.6, common))]
        for k in range(3):
            runs.append(
                run(f"n{k}", table, drawn(0.6, common), wrong_user=rng.random(table.height) < 0.4)
            )
        better = rng.random(table.height) < 0.8
        for k in range(3):
            runs.append(run(f"b{k}", table, drawn(0.8, better), wrong_user=drawn(0.8, better)))
        false += "by personalization: " in compare(runs).verdict.replace("to be by", "")
    assert false / 150 <= 0.06 + 2 * np.sqrt(0.05 * 0.95 / 150)


@pytest.mark.slow
def test_false_alarms_about_these_users_and_about_the_population() -> None:
    """Nothing to find, ten users: each claim is false in about 5 % (two-sided) of tables."""
    alarms = np.zeros(2)
    for seed in range(200):
        table, rng = judged(12, 30, seed), np.random.default_rng(seed)
        own = 0.15 * rng.normal(size=(2, 12))
        p = np.clip(0.6 + own - own.mean(axis=1, keepdims=True), 0, 1).repeat(30, axis=1)
        base, right = rng.random((2, table.height)) < p
        gain = gain_of(compare([run("a", table, base), run("b", table, right)]))
        alarms += [gain.own.p < 0.05, gain.these_users.p < 0.05]
    assert (alarms / 200 <= 0.06 + 2 * np.sqrt(0.05 * 0.95 / 200)).all()
