"""Whatever can change a fit or an interval changes the hash of the inputs."""

from dataclasses import replace

import polars as pl

from plt.data.tables.content import input_hashes, users_hash
from tests.data.made_tables import crossed


def test_groups_and_texts_count_though_the_judgements_are_the_same() -> None:
    prefs = crossed(4, 5)
    whole = input_hashes(prefs)
    regrouped = replace(prefs, votes=prefs.votes.with_columns(group=pl.lit("one")))
    reworded = replace(prefs, pairs=prefs.pairs.with_columns(response_a=pl.lit("other")))
    assert {k for k, v in input_hashes(regrouped).items() if v != whole[k]} == {"groups"}
    assert {k for k, v in input_hashes(reworded).items() if v != whole[k]} == {"texts"}


def test_order_changes_nothing() -> None:
    prefs = crossed(4, 5)
    shuffled = replace(
        prefs,
        votes=prefs.votes.sample(fraction=1, shuffle=True, seed=1),
        pairs=prefs.pairs.sample(fraction=1, shuffle=True, seed=1),
    )
    assert input_hashes(shuffled) == input_hashes(prefs)


def test_people() -> None:
    people = pl.DataFrame({"user_id": ["a", "b"], "profile": ["x", None], "attr_age": [3, 4]})
    assert users_hash(people.reverse().select("attr_age", "user_id", "profile")) == users_hash(
        people
    )
    assert users_hash(people.with_columns(attr_age=pl.lit(5))) != users_hash(people)
