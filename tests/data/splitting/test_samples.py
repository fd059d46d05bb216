"""Samples of training rows: nested, seeded, proportional in validation; the test never changes."""

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plt.data.splitting.samples import Sample, check_samples, draw_sample, training_size
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import Preferences
from plt.errors import UsageError
from tests.data.made_tables import crossed

KEY = ["user_id", "pair_id", "occurrence"]


@pytest.fixture(scope="module")
def people() -> Preferences:
    """8 of 10 users seen; 30 train, 10 val and 10 test pairs each."""
    plan = SplitPlan(by="pair", fractions=(60, 20, 20), unseen_users=0.2)
    return split(crossed(10, 50), plan)


def rows(prefs: Preferences, part: str) -> set[tuple[object, ...]]:
    seen = prefs.votes.filter(pl.col("split") == part, pl.col("user_split") == "seen")
    return set(seen.select(KEY).rows())


@given(st.integers(1, 240), st.integers(1, 240), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_totals_are_nested_exact_and_proportional(
    people: Preferences, one: int, other: int, seed: int
) -> None:
    small, large = sorted((one, other))
    less, more = (draw_sample(people, Sample(n, "total"), seed) for n in (small, large))
    assert len(rows(less, "train")) == small
    assert len(rows(less, "val")) == 80 * small // 240
    assert rows(less, "train") <= rows(more, "train") <= rows(people, "train")
    assert rows(less, "val") <= rows(more, "val")
    assert rows(less, "test") == rows(people, "test")
    unseen = [p.votes.filter(user_split="unseen").height for p in (less, people)]
    assert unseen[0] == unseen[1]


def test_each_user_has_the_size_and_draws_alone(people: Preferences) -> None:
    drawn = draw_sample(people, Sample(7, "user"), 3)
    seen = drawn.votes.filter(pl.col("user_split") == "seen")
    counts = seen.group_by("user_id", "split").len().pivot("split", index="user_id")
    assert counts["train"].to_list() == [7] * 8
    assert counts["val"].to_list() == [10 * 7 // 30] * 8
    alone = people.filter(pl.col("user_id").cast(pl.String) == seen["user_id"].cast(pl.String)[0])
    mine = rows(draw_sample(alone, Sample(7, "user"), 3), "train")
    assert mine <= rows(drawn, "train")
    assert len(mine) == 7


def test_seeds_differ_and_the_order_of_the_file_does_not_matter(people: Preferences) -> None:
    one, other = (rows(draw_sample(people, Sample(50), seed), "train") for seed in (0, 1))
    assert one != other
    turned = replace(people, votes=people.votes.sample(fraction=1, shuffle=True, seed=9))
    assert rows(draw_sample(turned, Sample(50), 0), "train") == one


def test_everything_is_everything(people: Preferences) -> None:
    whole = draw_sample(people, Sample(240), 0)
    assert whole.votes.equals(people.votes)


def test_rows_of_nobody_are_in_totals_and_in_no_user(people: Preferences) -> None:
    first = pl.col("user_id").cast(pl.String) == "u00"
    nameless = pl.when(first).then(None).otherwise(pl.col("user_id").cast(pl.String))
    votes = people.votes.with_columns(user_id=nameless.cast(pl.Categorical), user_split=None)
    prefs = replace(people, votes=votes.cast({"user_split": people.votes.schema["user_split"]}))
    assert training_size(prefs).rows == 300
    per_user = draw_sample(prefs, Sample(5, "user"), 0)
    left = per_user.votes.filter(pl.col("split") == "train")
    assert left["user_id"].null_count() == 0
    assert left.height == 9 * 5


def test_sizes(people: Preferences) -> None:
    size = training_size(people)
    assert (size.rows, size.users, size.validation, size.fewest, size.most) == (240, 8, 80, 30, 30)
    assert size.rows_a_user == 30
    check_samples(people, [Sample(240), Sample(30, "user")])
    with pytest.raises(UsageError, match="fewer training rows") as caught:
        check_samples(people, [Sample(1000), Sample(241), Sample(31, "user")])
    assert "1,000 asked for, 240 training rows in all" in str(caught.value)
    assert "31 asked for, 30 training rows of the user with the most" in str(caught.value)
