"""People who love dogs or cats, strangers who love rabbits or birds, and sentences kept apart."""

import polars as pl
import pytest

from plt.data.simulate import pets
from plt.data.simulate.banks import bank
from plt.data.splitting.splits import is_split
from plt.errors import UsageError
from tests.data.simulate.populations import rows


@pytest.fixture(scope="module")
def mixed() -> pl.DataFrame:
    return rows(pets.simulate(pets.Config(ood=10, disputed=0.5)))


def animals(table: pl.DataFrame) -> list[frozenset[str]]:
    """The two animals of every row."""
    where = {text: animal for animal in pets.ANIMALS for text in bank("pets")[animal]}
    return [
        frozenset((where[a], where[b])) for a, b in table.select("response_a", "response_b").rows()
    ]


def test_every_sentence_names_its_animal_and_no_other():
    for column, animal in enumerate(pets.ANIMALS):
        sentences = bank("pets")[animal]
        assert len(set(sentences)) == pets.SENTENCES
        found = pets.read(sentences)
        assert (found[:, column] == 1).all()
        assert found.sum() == pets.SENTENCES


def test_no_sentence_is_both_in_train_and_in_test(mixed):
    texts = mixed.unpivot(["response_a", "response_b"], index="split")
    sentences = texts.group_by("value").agg(pl.col("split").n_unique())
    assert set(sentences["split"]) == {1}
    assert mixed.filter(split="test")["occurrence"].len() == 40 * 16


def test_strangers_are_asked_about_rabbits_and_birds_and_are_unseen(mixed):
    strangers = mixed.filter(user_split="unseen")
    assert set(strangers["user_id"]) == {f"u{i:03d}" for i in range(31, 41)}
    assert set(animals(strangers)) == {frozenset(("rabbits", "birds"))}
    assert set(strangers["profile"]) == {
        "I like to hear about rabbits.",
        "I like to hear about birds.",
    }


def test_half_of_the_pairs_are_disputed_when_asked(mixed):
    seen = mixed.filter(user_split="seen")
    disputed = [pair == frozenset(("dogs", "cats")) for pair in animals(seen)]
    assert sum(disputed) / len(disputed) == pytest.approx(0.5, abs=0.08)
    only = pets.simulate(pets.Config()).wide()
    assert set(animals(only)) == {frozenset(("dogs", "cats"))}


def test_all_agree_on_the_agreed_pairs_and_no_two_kinds_on_the_disputed_ones(mixed):
    seen = mixed.filter(user_split="seen")
    seen = seen.with_columns(pair=pl.Series([" ".join(sorted(pair)) for pair in animals(seen)]))
    votes = seen.group_by("pair_id", "pair").agg(pl.col("label").n_unique(), pl.len())
    assert set(votes.filter(pl.col("pair") != "cats dogs")["label"]) == {1}
    disputed = votes.filter(pl.col("len") > 15, pair="cats dogs")  # 15 people love each
    assert disputed.height > 40
    assert set(disputed["label"]) == {2}


def test_favourites_are_balanced():
    people = pets.user_table(pets.Config(users=40, ood=10))
    assert people["attr_favourite"].value_counts().sort("attr_favourite").rows() == [
        ("birds", 5), ("cats", 15), ("dogs", 15), ("rabbits", 5),
    ]  # fmt: skip


def test_the_table_is_split_by_response_and_says_so():
    prefs = pets.simulate(pets.Config(users=12, ood=4))
    assert is_split(prefs)
    assert prefs.meta.split["unit"] == "response"
    assert prefs.meta.split["unseen_users"] == pytest.approx(1 / 3)
    assert prefs.votes["group"].n_unique() == prefs.pairs.height


def test_a_population_of_strangers_alone_is_possible():
    table = pets.simulate(pets.Config(users=6, ood=6)).votes
    assert set(table["user_split"].cast(pl.String)) == {"unseen"}


def test_its_own_knobs_are_checked():
    with pytest.raises(UsageError) as caught:
        pets.Config(test_pairs=17, disputed=0)
    assert len(caught.value.problems) == 2
    with pytest.raises(UsageError) as caught:
        pets.Config(users=3, ood=4)
    assert caught.value.problems == ["ood is 4; there are only 3 users"]
