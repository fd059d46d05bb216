"""A split is held to what it declares."""

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from plt.analyze.lint import Finding
from plt.analyze.lint.places import split_findings
from plt.data.splitting.protocols import apply_protocol
from plt.data.splitting.splits import SplitPlan, Unit, split
from plt.data.tables.preferences import Preferences
from plt.data.tables.schema import SPLITS, USER_SPLITS
from tests.analyze.lint.populations import Readers, table

READERS = table(Readers(prompts=60, answers=4))


def with_split(parts: pl.Expr, declared: dict[str, Any] | None = None) -> Preferences:
    votes = READERS.votes.with_columns(split=parts.cast(pl.Enum(SPLITS)))
    return replace(READERS, votes=votes, meta=replace(READERS.meta, split=declared))


def failed(prefs: Preferences) -> list[Finding]:
    return [found for found in split_findings(prefs) if found.failed]


BY_PAIR = pl.when(pl.col("pair_id") % 3 == 0).then(pl.lit("test")).otherwise(pl.lit("train"))
BY_ROW = pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.lit("val")).otherwise(pl.lit("train"))
BY_PROMPT = (
    pl.when(pl.col("group").cast(pl.String).str.contains("[0-7]$"))
    .then(pl.lit("test"))
    .otherwise(pl.lit("train"))
)


def test_an_unsplit_table_is_a_note() -> None:
    (note,) = split_findings(READERS)
    assert not note.failed
    assert note.what == "the table is not split"


@pytest.mark.parametrize("by", ["group", "prompt", "response", "pair"])
def test_what_dataset_split_makes_keeps_its_promise(by: Unit) -> None:
    made = split(READERS, SplitPlan(by))
    assert failed(made) == []


@pytest.mark.parametrize("by", ["group", "prompt", "response", "pair"])
def test_rows_split_at_random_break_every_promise(by: Unit) -> None:
    found = failed(with_split(BY_ROW, {"unit": by}))
    assert {one.details["unit"] for one in found} >= {by, "pair"}
    for one in found:
        assert one.hint == f"plt dataset-split DATA --by {one.details['unit']} -o OUT"


def test_a_split_without_declaration_is_held_to_prompts() -> None:
    (found,) = failed(with_split(BY_PAIR))
    assert found.details["unit"] == "prompt"
    assert "held to prompts" in found.what
    assert failed(with_split(BY_PROMPT)) == []


def test_what_was_not_promised_is_a_note() -> None:
    found = split_findings(with_split(BY_PAIR, {"unit": "pair"}))
    assert failed(with_split(BY_PAIR, {"unit": "pair"})) == []
    (note,) = found
    assert "which lets straddle" in note.what
    assert "prompts (" in note.what


def test_rows_and_units_are_counted_by_hand() -> None:
    """One prompt of three pairs, two of them in train: the judgements of the third are counted."""
    first = READERS.pairs["prompt"].to_list()[0]
    same = READERS.pairs.filter(pl.Series([p == first for p in READERS.pairs["prompt"].to_list()]))
    assert same.height > 1
    third = same["pair_id"][-1]
    parts = pl.when(pl.col("pair_id") == third).then(pl.lit("test")).otherwise(pl.lit("train"))
    (found,) = failed(with_split(parts))
    assert found.details["n_units"] == 1
    assert found.rows == READERS.votes.filter(pl.col("pair_id") == third).height
    assert [example.pair_id for example in found.examples] == [third]


def test_an_unknown_unit_is_a_finding() -> None:
    (found,) = failed(with_split(BY_PROMPT, {"unit": "weekday"}))
    assert "weekday" in found.what


def test_a_protocol_that_leaks_is_a_finding_with_its_reason() -> None:
    leaking, *straddling = failed(apply_protocol(READERS, "psoups"))
    assert leaking.what.startswith("the protocol 'psoups' leaks: judgements are divided one by one")
    assert 0 < leaking.rows < READERS.votes.height
    assert [one.details["unit"] for one in straddling] == ["pair"]


def test_a_protocol_that_does_not_leak_is_held_to_its_unit() -> None:
    assert failed(apply_protocol(READERS, "pref")) == []


def test_a_protocol_by_conversation_does_not_promise_prompts() -> None:
    by_user = pl.when(pl.col("user_id") == "u01").then(pl.lit("test")).otherwise(pl.lit("train"))
    votes = READERS.votes.with_columns(
        group=pl.col("user_id"),
        pair_id=pl.col("pair_id") + pl.col("user_id").cast(pl.String).str.slice(1).cast(pl.UInt64),
        split=by_user.cast(pl.Enum(SPLITS)),
    )
    texts = votes.select(user_pair="pair_id").hstack(READERS.votes.select("pair_id"))
    texts = texts.unique().join(READERS.pairs, on="pair_id").drop("pair_id")
    pairs = texts.rename({"user_pair": "pair_id"}).sort("pair_id")
    declared = {"unit": "group", "protocol": "plus", "leaks": False}
    made = Preferences(votes, pairs, replace(READERS.meta, split=declared))
    assert failed(made) == []
    assert any("prompts (" in note.what for note in split_findings(made))
    undeclared = replace(made, meta=replace(made.meta, split={"unit": "group"}))
    # The pairs have an id for each user here, and yet are the same choices.
    assert [one.details["unit"] for one in failed(undeclared)] == ["pair", "prompt"]


def test_users_both_seen_and_unseen_are_a_finding() -> None:
    kinds = (
        pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("seen")).otherwise(pl.lit("unseen"))
    )
    torn = pl.when(pl.col("user_id") == "u03").then(kinds).otherwise(pl.lit("seen"))
    votes = READERS.votes.with_columns(user_split=torn.cast(pl.Enum(USER_SPLITS)))
    (found,) = failed(replace(READERS, votes=votes))
    assert found.what.startswith("1 user both seen and unseen")
    assert found.rows == 40


def test_judgements_without_a_split_are_a_note() -> None:
    parts = pl.when(pl.col("group").rank("dense") > 3).then(pl.lit("train"))
    found = split_findings(with_split(parts))
    assert [one.failed for one in found] == [False]
    assert "without a split" in found[0].what
