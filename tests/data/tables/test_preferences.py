"""Pair ids, orientation, occurrences, and the two frames of a table."""

import hashlib
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plt.data.tables import preferences as module
from plt.data.tables.preferences import (
    build,
    count_turned,
    pair_id,
    read_preferences,
    read_votes,
    write_preferences,
)
from plt.data.tables.schema import PREFERENCES, USERS
from plt.data.tables.table import Meta, content_hash, write_table
from plt.errors import DataError, FailedError
from tests.data.made_tables import crossed, judgement_rows, raw_frame, responses, texts, user_turn

HI = [{"role": "user", "content": "hi"}]


def by_the_definition(prompt: list[dict[str, str]], first: str, second: str) -> int:
    """The pair id written out once more, step by step, from its definition."""
    payload = [[[m["role"], m["content"]] for m in prompt], sorted([first, second])]
    text = json.dumps(payload, ensure_ascii=True, separators=(",", ":"))
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


@pytest.mark.parametrize(
    ("prompt", "first", "second", "expected"),
    [
        (HI, "a", "b", 16473365118738198858),
        ([], "yes", "no", 13645508457343194251),
        ([{"role": "system", "content": "é"}, *HI], "\x00", "日本", 3678966436190856284),
        (HI, "\ud800", "x", 2320261078637059401),
    ],
)
def test_worked_pair_ids(
    prompt: list[dict[str, str]], first: str, second: str, expected: int
) -> None:
    assert pair_id(prompt, first, second) == expected
    assert pair_id(prompt, second, first) == expected


@given(texts, texts, texts)
def test_pair_id_follows_its_definition(prompt: str, first: str, second: str) -> None:
    assert pair_id(user_turn(prompt), first, second) == by_the_definition(
        user_turn(prompt), first, second
    )


@given(judgement_rows())
@settings(max_examples=30, deadline=None)
def test_orientation_is_decided_by_the_hash_alone(rows: list[dict[str, object]]) -> None:
    prefs = build(raw_frame(rows), Meta(dataset="toy"))
    for row in prefs.wide().iter_rows(named=True):
        smaller, larger = sorted([row["response_a"], row["response_b"]])
        expected = by_the_definition(row["prompt"], smaller, larger)
        assert row["pair_id"] == expected
        assert row["response_a"] == (smaller if expected % 2 == 0 else larger)


@given(judgement_rows())
@settings(max_examples=30, deadline=None)
def test_swapping_the_responses_of_the_input_changes_nothing(
    rows: list[dict[str, object]],
) -> None:
    swapped = [
        row
        | {
            "response_1": row["response_2"],
            "response_2": row["response_1"],
            "label": None if row["label"] is None else 1 - float(str(row["label"])),
        }
        for row in rows
    ]
    one = build(raw_frame(rows), Meta(dataset="toy"))
    other = build(raw_frame(swapped), Meta(dataset="toy"))
    assert one.votes.equals(other.votes)
    assert one.pairs.equals(other.pairs)


@given(judgement_rows())
@settings(max_examples=20, deadline=None)
def test_rows_and_drops_add_up_and_nothing_is_lost_on_disk(rows: list[dict[str, object]]) -> None:
    prefs = build(raw_frame(rows), Meta(dataset="toy"))
    assert prefs.votes.height + sum(prefs.meta.dropped.values()) == len(rows)
    back = read_preferences(write_preferences(prefs, None))
    assert back.votes.equals(prefs.votes)
    assert back.pairs.equals(prefs.pairs)
    assert back.meta.dropped == prefs.meta.dropped
    assert back.meta.content == content_hash(prefs.votes)


def test_occurrences_count_repeats_of_a_user_in_input_order() -> None:
    rows = [
        {"user_id": "u", "prompt": HI, "response_1": "x", "response_2": "y", "label": 1.0},
        {"user_id": "v", "prompt": HI, "response_1": "x", "response_2": "y", "label": 1.0},
        {"user_id": "u", "prompt": HI, "response_1": "y", "response_2": "x", "label": 1.0},
    ]
    votes = build(raw_frame(rows), Meta(dataset="toy")).votes.sort("user_id", "occurrence")
    assert votes["occurrence"].to_list() == [0, 1, 0]
    # The same pair both times; the second answer is the other way round.
    assert votes["pair_id"].n_unique() == 1
    assert votes["label"][0] == 1 - votes["label"][1]


def test_scores_and_sources_turn_with_their_response() -> None:
    rows = [
        {"prompt": HI, "response_1": first, "response_2": second, "label": 1.0,
         "score_1": 9.0, "score_2": 2.0, "source_1": "strong", "source_2": "weak"}
        for first, second in (("x", "y"), ("p", "q"), ("long", "short"), ("1", "0"))
    ]  # fmt: skip
    wide = build(raw_frame(rows), Meta(dataset="toy")).wide()
    assert wide["label"].n_unique() == 2  # both orientations occur
    for row in wide.iter_rows(named=True):
        strong = (row["score_a"], row["source_a"]) == (9.0, "strong")
        assert strong == (row["label"] == 1.0)
        assert strong != ((row["score_b"], row["source_b"]) == (9.0, "strong"))


def test_acts_of_judging_are_told_and_turn_with_their_response() -> None:
    at = datetime(2025, 3, 1, 12, tzinfo=UTC)
    rows = [
        {"prompt": HI, "response_1": first, "response_2": second, "label": label,
         "strength": 0.75, "shown_first": shown, "judged_at": at}
        for first, second in (("x", "y"), ("p", "q"), ("long", "short"), ("1", "0"))
        for label, shown in ((1.0, "1"), (0.0, "2"))
    ]  # fmt: skip
    prefs = build(raw_frame(rows), Meta(dataset="toy"))
    votes = prefs.votes
    assert votes["label"].n_unique() == 2
    # The winner was always seen first.
    assert votes["shown_first"].to_list() == ["a" if label else "b" for label in votes["label"]]
    assert votes["strength"].unique().to_list() == [0.75]
    assert votes["judged_at"].unique().to_list() == [at]
    back = read_preferences(write_preferences(prefs, None) or b"")
    assert back.votes.equals(votes)
    bare = build(raw_frame(rows).drop("strength", "shown_first", "judged_at"), Meta(dataset="toy"))
    assert bare.votes["shown_first"].null_count() == bare.votes.height
    assert content_hash(bare.votes) == content_hash(votes)  # run ids do not change with them


def test_what_is_no_pair_is_dropped_and_counted() -> None:
    good = {"user_id": "u", "prompt": HI, "response_1": "x", "response_2": "y", "label": 1.0}
    bad = [{"response_2": "x"}, {"response_1": " \n"}, {"response_1": None}]
    rows = [good, *(good | change for change in bad)]
    meta = build(raw_frame(rows), Meta(dataset="toy")).meta
    assert meta.dropped == {"identical responses": 1, "empty response": 1, "missing text": 1}


def test_groups_are_always_filled() -> None:
    rows = [
        {"prompt": HI, "response_1": "x", "response_2": "y", "label": 1.0, "group": "c1"},
        {"prompt": HI, "response_1": "x", "response_2": "z", "label": 1.0, "group": None},
    ]
    groups = build(raw_frame(rows), Meta(dataset="toy")).votes["group"].cast(pl.String).to_list()
    assert groups[0] == "c1"
    assert groups[1].startswith("prompt:")


def test_labels_that_are_no_probability_are_refused() -> None:
    rows = [{"prompt": HI, "response_1": "x", "response_2": "y", "label": 2.0}]
    with pytest.raises(DataError, match=r"label is a probability in \[0, 1\]"):
        build(raw_frame(rows), Meta(dataset="toy"))


def test_a_collision_of_pair_ids_names_both_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_pair_id", lambda *_: 4)
    with pytest.raises(FailedError, match="two different pairs have the same pair_id") as caught:
        crossed(1, 2)
    assert caught.value.exit_code == 3
    assert "left 0" in str(caught.value)
    assert "left 1" in str(caught.value)


def test_files_are_sorted_and_names_are_dictionaries(tmp_path: Path) -> None:
    prefs = crossed(4, 30)
    write_preferences(prefs, tmp_path / "t.parquet")
    frame = pl.read_parquet(tmp_path / "t.parquet")
    assert frame.schema["user_id"] == pl.Categorical
    order = frame.select(pl.col("group").cast(pl.String), "pair_id")
    assert order.equals(order.sort("group", "pair_id"))


def test_votes_are_read_without_texts(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_preferences(crossed(4, 30), path)
    votes, meta = read_votes(path, ["user_id", "pair_id", "label"])
    assert votes.columns == ["user_id", "pair_id", "label"]
    assert meta.dataset == "toy"


class TestForeignTables:
    """Tables that plt did not write."""

    def write(self, path: Path, frame: pl.DataFrame) -> Path:
        frame.write_parquet(path)
        return path

    def test_a_table_whose_columns_fit_is_accepted(self, tmp_path: Path) -> None:
        prefs = crossed(3, 5)
        path = self.write(tmp_path / "f.parquet", prefs.wide().drop("group", "profile"))
        back = read_preferences(path)
        assert back.votes["label"].equals(prefs.votes["label"])
        assert back.votes["group"].null_count() == 0
        assert count_turned(path) == 0

    @given(st.integers(0, 2**32))
    @settings(max_examples=20, deadline=None)
    def test_mixed_orientation_is_mended(self, seed: int) -> None:
        crossing = crossed(3, 6)
        first = pl.Series(["a", "b", None] * 6, dtype=pl.Enum(["a", "b"]))
        prefs = replace(crossing, votes=crossing.votes.with_columns(shown_first=first))
        wide = prefs.wide()
        turned = pl.Series([(seed >> i) & 1 == 1 for i in range(wide.height)])
        mixed = wide.with_columns(
            response_a=pl.when(turned).then("response_b").otherwise("response_a"),
            response_b=pl.when(turned).then("response_a").otherwise("response_b"),
            label=pl.when(turned).then(1 - pl.col("label")).otherwise("label"),
            shown_first=pl.when(turned)
            .then(pl.col("shown_first").replace_strict({"a": "b", "b": "a"}, default=None))
            .otherwise(pl.col("shown_first").cast(pl.String)),
        )
        buffer = io.BytesIO()
        mixed.write_parquet(buffer)
        assert count_turned(buffer.getvalue()) == turned.sum()
        back = read_preferences(buffer.getvalue())
        assert back.votes.equals(prefs.votes)
        assert back.pairs.equals(prefs.pairs)

    def test_a_pair_id_with_different_texts_is_refused(self, tmp_path: Path) -> None:
        wide = crossed(1, 3).wide().with_columns(pair_id=pl.lit(5, dtype=pl.UInt64))
        wide = wide.with_columns(occurrence=pl.int_range(3).cast(pl.UInt16))
        path = self.write(tmp_path / "f.parquet", wide)
        with pytest.raises(DataError, match="pair_id 5 names different texts"):
            read_preferences(path)

    def test_repeated_keys_are_refused(self, tmp_path: Path) -> None:
        wide = crossed(1, 3).wide()
        path = self.write(tmp_path / "f.parquet", pl.concat([wide, wide]))
        with pytest.raises(DataError, match="is repeated in rows"):
            read_preferences(path)
        assert read_preferences(path, unique_keys=False).votes.height == 2 * wide.height

    def test_another_schema_is_refused(self) -> None:
        users = pl.DataFrame({"user_id": ["a"]})
        with pytest.raises(DataError, match=r"is a users/1 table, not preferences/1"):
            read_preferences(write_table(users, USERS, None))


def test_an_empty_table_is_refused() -> None:
    empty = crossed(1, 2).wide().head(0)
    with pytest.raises(DataError, match="has no rows"):
        read_preferences(write_table(empty, PREFERENCES, None))


@given(st.lists(st.tuples(responses, responses), min_size=1, max_size=10))
@settings(max_examples=30, deadline=None)
def test_hostile_texts_survive_a_round_trip(pairs: list[tuple[str, str]]) -> None:
    pairs = [pair for pair in pairs if pair[0] != pair[1]] or [("a\x00b", "\x1b[31mred")]
    rows = [
        {"user_id": "../../x", "prompt": HI, "response_1": a, "response_2": b, "label": 1.0}
        for a, b in pairs
    ]
    prefs = build(raw_frame(rows), Meta(dataset="toy"))
    back = read_preferences(write_preferences(prefs, None))
    stored = {frozenset(pair) for pair in back.pairs.select("response_a", "response_b").iter_rows()}
    assert stored == {frozenset(pair) for pair in pairs}
    assert set(back.votes["user_id"].cast(pl.String)) == {"../../x"}
