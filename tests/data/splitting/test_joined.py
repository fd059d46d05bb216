"""Several tables as one: nothing counted twice, no split broken."""

from dataclasses import replace
from typing import cast

import numpy as np
import polars as pl
import pytest

from plt.data.splitting.joined import COPIES, Again, Joined, JoinPlan, Named, join_tables
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import Preferences, build, from_wide
from plt.data.tables.table import Meta, content_hash
from plt.errors import DataError, FailedError, UsageError
from tests.data.made_tables import crossed

PLAN = JoinPlan()


def judged(rows: list[tuple[str | None, str, str, float]], **meta: str) -> Preferences:
    """User, one answer, another, the probability of the first; one prompt."""
    prompt = [{"role": "user", "content": "Tea?"}]
    raw = pl.DataFrame(
        [
            {"user_id": user, "prompt": prompt, "response_1": one, "response_2": other,
             "label": label}
            for user, one, other, label in rows
        ]
    )  # fmt: skip
    return build(raw, Meta(**{"dataset": "made", **meta}))


def joined(*tables: Preferences, plan: JoinPlan = PLAN) -> Joined:
    return join_tables([Named(f"table {i}", each) for i, each in enumerate(tables)], plan)


@pytest.mark.parametrize("divided", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_parts_of_a_table_give_the_table_back(seed: int, divided: bool) -> None:
    """Whatever the parts, repeats included."""
    whole = crossed(8, 30)
    if divided:
        whole = split(whole, SplitPlan(seed=seed))
    again = whole.wide().head(20).with_columns(occurrence=pl.lit(1, dtype=pl.UInt16))
    whole = from_wide(pl.concat([whole.wide(), again]), whole.meta)
    part = np.random.default_rng(seed).integers(0, 3, whole.votes.height)
    parts = [whole.filter(pl.lit(pl.Series(part == i))) for i in range(3)]
    found = joined(*parts).prefs
    assert content_hash(found.votes) == content_hash(whole.votes)
    assert found.pairs.equals(whole.pairs)
    assert found.wide().drop("dataset").equals(whole.wide().drop("dataset"))
    assert found.meta.split == whole.meta.split


def test_licences_counts_and_names_travel_and_two_truths_are_none() -> None:
    one = judged([("ann", "yes", "no", 1.0)], license="MIT")
    other = judged([("bob", "yes", "no", 0.0)], license="CC-BY-4.0", dataset="other")
    one = replace(one, meta=replace(one.meta, dropped={"empty response": 2}, truth={"seed": 1}))
    other = replace(other, meta=replace(other.meta, dropped={"empty response": 3}))
    found = joined(one, other)
    meta = found.prefs.meta
    assert (meta.dataset, meta.license) == ("made + other", "MIT and CC-BY-4.0")
    assert dict(meta.dropped) == {"empty response": 5}
    assert meta.truth is None
    assert "the tables have different truths" in found.says[-1]
    assert found.prefs.votes["dataset"].to_list() == ["made", "other"]


def test_a_person_in_two_tables_is_said_or_kept_apart() -> None:
    one, other = judged([("ann", "yes", "no", 1.0)]), judged([("ann", "tea", "coffee", 1.0)])
    other = replace(other, votes=other.votes.with_columns(dataset=pl.lit("b").cast(pl.Categorical)))
    found = joined(one, other)
    assert found.prefs.votes["user_id"].n_unique() == 1
    assert "1 of 1 users judged in several tables and are taken for one person" in found.says[0]
    apart = joined(one, other, plan=JoinPlan(users_apart=True))
    assert sorted(apart.prefs.votes["user_id"].cast(pl.String)) == ["b/ann", "made/ann"]
    assert apart.says == ()
    same = judged([("ann", "tea", "coffee", 1.0)])
    numbered = joined(one, same, plan=JoinPlan(users_apart=True)).prefs.votes["user_id"]
    assert sorted(numbered.cast(pl.String)) == ["1 made/ann", "2 made/ann"]


def test_a_judgement_in_two_tables_is_refused_until_somebody_says_what_it_is() -> None:
    one = judged([("ann", "yes", "no", 1.0), ("bob", "yes", "no", 0.0)])
    same = judged([("ann", "yes", "no", 1.0), ("eve", "yes", "no", 0.0)])
    turned = judged([("ann", "yes", "no", 0.0), ("eve", "yes", "no", 0.0)])
    with pytest.raises(DataError, match="another act of judging") as caught:
        joined(one, same)
    assert caught.value.hint == "--again repeats, or --again copies"
    copies = joined(one, same, plan=JoinPlan(again="copies"))
    assert copies.prefs.n_judgements == 3
    assert copies.prefs.meta.dropped[COPIES] == 1
    repeats = joined(one, turned, plan=JoinPlan(again="repeats")).prefs.votes
    ann = repeats.filter(pl.col("user_id").cast(pl.String) == "ann").sort("occurrence")
    assert ann["occurrence"].to_list() == [0, 1]
    assert ann["label"].n_unique() == 2
    with pytest.raises(DataError, match="one key and two labels"):
        joined(one, turned, plan=JoinPlan(again="copies"))


def test_a_table_twice_is_refused_under_any_name() -> None:
    one = judged([("ann", "yes", "no", 1.0)])
    again = replace(one, votes=one.votes.with_columns(dataset=pl.lit("b").cast(pl.Categorical)))
    for plan in (PLAN, JoinPlan(again="copies")):
        with pytest.raises(DataError, match="hold the same judgements"):
            joined(one, again, plan=plan)


def foreign(pair: int, one: str, other: str) -> Preferences:
    """A table that numbers its pairs."""
    table = judged([("ann", one, other, 1.0)])
    number = pl.lit(pair, dtype=pl.UInt64).alias("pair_id")
    return replace(
        table, votes=table.votes.with_columns(number), pairs=table.pairs.with_columns(number)
    )


def test_ids_that_mean_different_choices_are_refused() -> None:
    with pytest.raises(DataError, match="the same pair_id names different texts in table 0"):
        joined(foreign(1, "yes", "no"), foreign(1, "tea", "coffee"))
    with pytest.raises(DataError, match="the same choice has other pair_ids in table 0"):
        joined(foreign(1, "yes", "no"), foreign(2, "yes", "no"))


def test_a_collision_of_hashes_is_no_fault_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plt.data.splitting.joined.pair_id", lambda *texts: 1)
    with pytest.raises(FailedError, match="two different pairs have the same pair_id"):
        joined(foreign(1, "yes", "no"), foreign(1, "tea", "coffee"))


def test_splits_must_agree() -> None:
    whole = crossed(10, 40)
    half = pl.col("pair_id") % 2 == 0
    one, other = whole.filter(half), whole.filter(~half)
    done = split(one, SplitPlan(by="pair", seed=0, unseen_users=0.2))
    with pytest.raises(DataError, match="and others are not"):
        joined(done, other)
    by_prompt = split(other, SplitPlan(by="prompt", seed=0))
    with pytest.raises(DataError, match="divided in different ways"):
        joined(done, by_prompt)
    # Other fractions of the same people: who is new in one table is known in the other.
    turned = split(other, SplitPlan(by="pair", seed=0, unseen_users=0.2))
    names = pl.col("user_split").cast(pl.String)
    swapped = pl.when(names == "seen").then(pl.lit("unseen")).otherwise(pl.lit("seen"))
    kind = turned.votes.schema["user_split"]
    turned = replace(turned, votes=turned.votes.with_columns(user_split=swapped.cast(kind)))
    with pytest.raises(DataError, match="contradict each other") as caught:
        joined(done, turned)
    assert "10 users are seen in one table and unseen in another" in caught.value.problems
    forgotten = joined(done, turned, plan=JoinPlan(drop_split=True))
    assert forgotten.prefs.meta.split is None
    assert forgotten.prefs.votes["split"].null_count() == forgotten.prefs.votes.height


def test_columns_that_one_table_alone_has_are_null_in_the_other() -> None:
    one, other = judged([("ann", "yes", "no", 1.0)]), judged([("bob", "yes", "no", 1.0)])
    one = replace(one, votes=one.votes.with_columns(country=pl.lit("NZ")))
    found = joined(one, other).prefs.votes
    assert sorted(found["country"].to_list(), key=str) == ["NZ", None]
    other = replace(other, votes=other.votes.with_columns(country=pl.lit(3)))
    with pytest.raises(DataError, match="hold different things") as caught:
        joined(one, other)
    assert caught.value.problems == ["country: String in table 0, Int32 in table 1"]


def test_one_table_and_an_unknown_word_are_refused() -> None:
    with pytest.raises(UsageError, match="two or more"):
        joined(judged([("ann", "yes", "no", 1.0)]))
    with pytest.raises(UsageError, match="known are repeats, copies"):
        JoinPlan(again=cast(Again, "twice"))
