"""Which texts meet: by person, prompt and sample; what meets nobody is counted."""

import pytest

from plt.data.tables.contests import Side, one_side, pair_contests
from plt.data.tables.generations import chosen_texts, count_words, prompt_id
from plt.data.tables.schema import GENERATIONS, validate
from plt.errors import DataError, UsageError
from tests.data.made_tables import crossed, user_turn
from tests.data.texts import written


def test_prompt_id_is_the_little_endian_blake2b_of_the_json() -> None:
    import hashlib

    digest = hashlib.blake2b(b'[["user","hi \\u00e9"]]', digest_size=8).digest()
    assert prompt_id(user_turn("hi é")) == int.from_bytes(digest, "little")


def test_words_are_runs_of_what_is_no_blank() -> None:
    assert [count_words(text) for text in ("", "  \n", "one", " a  b\nc ")] == [0, 0, 1, 3]


def test_texts_meet_by_person_prompt_and_sample() -> None:
    one = written(
        [("u", "p", "a"), ("u", "p", "a2"), ("v", "p", "b"), ("w", "q", "c")], samples=[0, 1, 0, 0]
    )
    two = written([("v", "p", "B"), ("u", "p", "A"), ("x", "p", "X")], system="two")
    found = pair_contests(Side(one, "one"), Side(two, "two"))
    assert found.frame.select("user_id", "response_1", "response_2").rows() == [
        ("u", "a", "A"),
        ("v", "b", "B"),
    ]
    assert found.dropped == {"one: no opponent": 2, "two: no opponent": 1}
    assert found.frame["group"].to_list() == ["g p", "g p"]


def test_what_was_written_for_nobody_meets_everybody_on_its_prompt() -> None:
    persons = written([("u", "p", "a"), ("v", "p", "b"), ("v", "q", "c")])
    generic = written([(None, "p", "G")], system="two", control="generic")
    one = pair_contests(Side(persons, "one"), Side(generic, "two"))
    assert one.frame.select("user_id", "response_1", "response_2").rows() == [
        ("u", "a", "G"),
        ("v", "b", "G"),
    ]
    assert one.dropped == {"one: no opponent": 1}
    other = pair_contests(Side(generic, "two"), Side(persons, "one"))
    assert other.frame.select("user_id", "response_1", "response_2").rows() == [
        ("u", "G", "a"),
        ("v", "G", "b"),
    ]
    both = pair_contests(Side(generic, "two"), Side(generic, "two"))
    assert both.frame["user_id"].to_list() == [None]
    assert (both.system_1, both.system_2) == ("two, first", "two, second")


def test_tables_that_share_nothing_are_refused_with_their_extent() -> None:
    one, two = written([("u", "p", "a")]), written([("u", "q", "b")])
    with pytest.raises(DataError, match="no person, prompt and sample in common") as caught:
        pair_contests(Side(one, "one"), Side(two, "two"))
    assert caught.value.problems == [
        "one: 1 texts, 1 persons, 1 prompts",
        "two: 1 texts, 1 persons, 1 prompts",
    ]


def test_two_texts_of_one_sample_are_refused() -> None:
    one = written([("u", "p", "a"), ("u", "p", "b")])
    with pytest.raises(DataError, match="several texts for one person"):
        pair_contests(Side(one, "one"), Side(written([("u", "p", "A")]), "two"))


def test_one_way_of_writing_must_be_chosen() -> None:
    import polars as pl

    mixed = pl.concat(
        [written([("u", "p", "a")]), written([(None, "p", "b")], control="reference")]
    )
    with pytest.raises(UsageError, match="several ways") as caught:
        one_side(mixed, "t.parquet", None, "--first")
    assert caught.value.hint == "--first policy"
    assert one_side(mixed, "t", "reference", "--first").name == "one (reference)"
    with pytest.raises(UsageError, match="no generic texts"):
        one_side(mixed, "t", "generic", "--first")
    with pytest.raises(DataError, match="several systems"):
        one_side(pl.concat([mixed, written([("u", "p", "a")], "two")]), "t", "policy", "--first")


def test_chosen_texts_are_what_each_person_preferred() -> None:
    """User i prefers `left` where (i + p) % 3 > 0; a tie chooses nothing."""
    chosen = chosen_texts(crossed(2, 4))
    assert validate(chosen, GENERATIONS) == []
    found = {
        (user, prompt[0]["content"]): text
        for user, prompt, text in chosen.select("user_id", "prompt", "response").iter_rows()
    }
    assert len(found) == 8
    for (user, prompt), text in found.items():
        p = int(prompt.split()[1])
        side = "left" if (int(user[1:]) + p) % 3 > 0 else "right"
        assert text == f"{side} {p}"
    assert chosen["system"].unique().to_list() == ["chosen"]
    assert chosen_texts(crossed(2, 4, label=0.5)).height == 0
