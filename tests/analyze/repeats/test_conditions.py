"""Repeats that are remembered, or shown in the same order, where the table tells how they were."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

from plt.analyze.dataset.statistics import DatasetStatistics, dataset_statistics
from plt.analyze.repeats.conditions import check_conditions, trusted_votes
from plt.analyze.votes.votes import read_rows
from plt.data.tables.table import Meta
from tests.analyze.populations_of_voters import camps, crowd, one_truth

START = datetime(2025, 1, 1, tzinfo=UTC)


def asked(
    q: np.ndarray,
    rng: np.random.Generator,
    *,
    bias: float = 0.0,
    same_order: float = 0.5,
    remembered: float = 0.0,
) -> pl.DataFrame:
    """Crowd work with times and orders.

    Half of the repeats come after a minute, and `remembered` of those are copies; the rest a week
    later. A share of the repeats has the order of the first time; what is seen first wins `bias` of
    the judgements whatever it is.
    """
    votes = crowd(q, rng, per_group=5, voters=6, repeated=0.6).sort(
        "user_id", "pair_id", "occurrence"
    )
    again = votes["occurrence"].to_numpy() > 0
    first = np.maximum(np.arange(votes.height) - again, 0)
    shown_a = rng.random(votes.height) < 0.5
    same = rng.random(votes.height) < same_order
    shown_a = np.where(again, shown_a[first] == same, shown_a)
    label = votes["label"].to_numpy() > 0.5
    label = np.where(rng.random(votes.height) < bias, shown_a, label)
    soon = rng.random(votes.height) < 0.5
    copied = again & soon & (rng.random(votes.height) < remembered)
    label = np.where(copied, label[first], label)
    gap = np.where(soon, 60.0, 604_800.0) * rng.uniform(0.8, 1.2, votes.height)
    at = [START + timedelta(seconds=float(gap[i]) if again[i] else 0.0) for i in range(gap.size)]
    return votes.with_columns(
        label=pl.Series(label.astype(np.float32)),
        shown_first=pl.Series(np.where(shown_a, "a", "b"), dtype=pl.Enum(["a", "b"])),
        judged_at=pl.Series(at, dtype=pl.Datetime("ms", "UTC")),
    )


def statistics_of(votes: pl.DataFrame) -> DatasetStatistics:
    return dataset_statistics(votes, Meta(dataset="toy"))


def test_contrasts_are_those_of_a_slow_reader() -> None:
    rng = np.random.default_rng(0)
    votes = asked(one_truth("margins", 20, 100, rng), rng, bias=0.2, remembered=0.4)
    order, memory = check_conditions(read_rows(votes))
    cells = votes.group_by("user_id", "pair_id").agg(pl.all().sort_by("occurrence"))
    twice = cells.filter(pl.col("label").list.len() == 2)
    alike = np.array([one == other for one, other in twice["label"].to_list()])
    same = np.array([one == other for one, other in twice["shown_first"].to_list()])
    gap = np.array([(other - one).total_seconds() for one, other in twice["judged_at"].to_list()])
    assert order.contrast.value == pytest.approx(alike[same].mean() - alike[~same].mean())
    short = gap <= np.median(gap)
    assert memory.contrast.value == pytest.approx(alike[short].mean() - alike[~short].mean())
    assert (order.n_trusted, memory.n_trusted) == ((~same).sum(), (~short).sum())


def test_remembered_answers_are_seen_and_left_out() -> None:
    rng = np.random.default_rng(1)
    votes = asked(one_truth("margins", 30, 300, rng), rng, remembered=0.6)
    found = statistics_of(votes)
    assert [check.condition for check in found.checks if check.fails] == ["memory"]
    assert found.self_and_others is not None
    assert found.self_and_others.difference.low is not None
    assert found.self_and_others.difference.low > 0
    assert found.verdict.finding == "none found"
    assert "they are remembered" in found.verdict.sentence


def test_a_habit_of_choosing_the_first_is_seen_and_left_out() -> None:
    rng = np.random.default_rng(2)
    votes = asked(one_truth("margins", 30, 300, rng), rng, bias=0.5)
    found = statistics_of(votes)
    assert "order" in [check.condition for check in found.checks if check.fails]
    assert found.verdict.finding not in ("taste", "differences")
    assert "shown the other way round" in found.verdict.sentence


def test_where_all_repeats_had_the_same_order_a_habit_spoils_them_all() -> None:
    rng = np.random.default_rng(3)
    votes = asked(one_truth("margins", 30, 300, rng), rng, bias=0.4, same_order=1.0)
    found = statistics_of(votes)
    assert found.self_and_others is not None
    assert found.self_and_others.difference.low is not None
    assert found.self_and_others.difference.low > 0
    assert found.verdict.finding == "cannot tell"
    assert "all had the same order" in found.verdict.sentence


def own_habits(rng: np.random.Generator, spread: float) -> pl.DataFrame:
    """One taste; everybody leans to what is seen first, or last, and repeats had the same order."""
    n_users, n_pairs = 20, 200
    votes = crowd(np.full((n_users, n_pairs), 0.5), rng, per_group=2, voters=5, repeated=0.4)
    pair = votes["pair_id"].to_numpy().astype(np.intp)
    user = votes["user_id"].str.slice(1).cast(pl.Int64).to_numpy()
    first = rng.choice([-1, 1], (n_users, n_pairs))[user, pair]
    margin = rng.normal(0, 1.5, n_pairs)[pair] + first * rng.normal(0, spread, n_users)[user]
    return votes.with_columns(
        label=pl.Series(rng.random(pair.size) < expit(margin)).cast(pl.Float32),
        shown_first=pl.Series(np.where(first > 0, "a", "b"), dtype=pl.Enum(["a", "b"])),
    )


def test_habits_that_cancel_in_the_mean_are_seen() -> None:
    """Only the mean was asked for a habit, and 87 of 100 such tables were called taste."""
    rng = np.random.default_rng(7)
    for _ in range(10):
        found = statistics_of(own_habits(rng, 1.5))
        assert found.verdict.finding == "cannot tell"
        assert "all had the same order" in found.verdict.sentence


def test_where_all_had_the_same_order_taste_is_said_with_that_caveat() -> None:
    rng = np.random.default_rng(8)
    votes = asked(camps(30, 300, rng, share=0.4), rng, same_order=1.0)
    found = statistics_of(votes)
    (order,) = (check for check in found.checks if check.condition == "order")
    assert order.is_untested
    assert order.habits is not None
    assert order.habits > 0.025
    assert found.verdict.finding == "taste"
    assert "all repeats had the order of the first time" in found.verdict.sentence


def test_without_habits_the_test_of_habits_is_uniform() -> None:
    rng = np.random.default_rng(9)
    low = 0
    for _ in range(100):
        (order,) = check_conditions(read_rows(own_habits(rng, 0.0)))
        assert order.habits is not None
        low += order.habits <= 0.2
    assert 8 <= low <= 34


def test_where_the_order_sways_answers_camps_are_not_no_taste() -> None:
    """Repeats the other way round understate how far people agree with themselves."""
    rng = np.random.default_rng(10)
    for _ in range(5):
        votes = asked(camps(20, 200, rng, share=0.4), rng, bias=0.7).drop("judged_at")
        found = statistics_of(votes)
        assert "order" in [check.condition for check in found.checks if check.fails]
        assert found.verdict.finding != "none found"


def test_tastes_are_found_in_spite_of_memory_and_order() -> None:
    rng = np.random.default_rng(4)
    votes = asked(camps(30, 300, rng, share=0.4), rng, bias=0.2, remembered=0.5)
    found = statistics_of(votes)
    assert found.verdict.finding == "taste"
    assert "this rests on the " in found.verdict.sentence


def test_nothing_is_said_of_what_is_not_known() -> None:
    rng = np.random.default_rng(5)
    votes = asked(camps(10, 40, rng), rng)
    assert check_conditions(read_rows(votes.drop("shown_first", "judged_at"))) == ()
    unknown = votes.with_columns(
        shown_first=pl.lit(None, dtype=pl.Enum(["a", "b"])),
        judged_at=pl.lit(None, dtype=pl.Datetime("ms", "UTC")),
    )
    coded = read_rows(unknown)
    assert check_conditions(coded) == ()
    assert trusted_votes(coded, ()) == (coded, ())
    few = asked(camps(6, 4, rng), rng)
    assert check_conditions(read_rows(few)) == ()


@pytest.mark.slow
def test_independent_repeats_are_rarely_suspected() -> None:
    rng = np.random.default_rng(6)
    failed = np.zeros(2)
    for _ in range(200):
        votes = asked(camps(20, 100, rng, share=0.4), rng)
        failed += [check.fails for check in check_conditions(read_rows(votes))]
    assert (failed / 200 <= 0.025 + 2 * 0.011).all()


@pytest.mark.slow
@pytest.mark.parametrize("how", [{"remembered": 0.3}, {"bias": 0.3}])
def test_what_is_too_weak_to_be_seen_is_not_called_taste(how: dict[str, float]) -> None:
    """A check that does not fail is no proof; the repeats that are touched least decide."""
    called = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        votes = asked(one_truth("margins", 30, 300, rng), rng, **how)
        called += statistics_of(votes).verdict.finding in ("taste", "differences")
    assert called / 60 <= 0.05 + 2 * 0.028
