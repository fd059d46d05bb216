"""The whole report: quiet on clean data, blind to order and names, true of real files."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plt.analyze.lint import CHECKS, lint
from plt.data.sources.generic import GenericOptions, convert
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta
from plt.errors import DataError
from tests.analyze.lint.populations import Readers, table
from tests.data.made_tables import crossed, judgement_rows, raw_frame

SHAPES: dict[str, dict[str, Any]] = {
    "few users": {"users": 3, "judgements": 60},
    "one prompt": {"prompts": 1, "answers": 40},
    "users alone": {"users": 40, "prompts": 200, "answers": 2, "judgements": 5},
    "tiny": {"users": 4, "prompts": 8, "judgements": 10},
    "known sources": {"sources": 3},
}


def false_alarms(shape: dict[str, Any], seeds: range) -> list[str]:
    return [
        found.what for seed in seeds for found in lint(table(Readers(seed=seed), **shape)).findings
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_clean_tables_are_clean(shape: str) -> None:
    assert false_alarms(SHAPES[shape], range(4)) == []


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_false_alarms_are_rarer_than_one_in_twenty(shape: str) -> None:
    assert len(false_alarms(SHAPES[shape], range(100, 200))) < 5


LEAKY = table(
    Readers(users=8, judgements=30, edit=lambda c, r: (c, f"[{r}]"), edited=0.5, noise=0.3)
)
CLEAN = table(Readers(seed=5, users=8, judgements=30))


def rounded(report: dict[str, Any]) -> str:
    """JSON with figures cut to what summation order cannot touch."""
    return json.dumps(json.loads(json.dumps(report), parse_float=lambda x: round(float(x), 8)))


@settings(max_examples=4, deadline=None)
@given(st.permutations(range(40)), st.booleans())
def test_order_of_rows_and_names_of_users_change_nothing(order: list[int], leaky: bool) -> None:
    prefs = LEAKY if leaky else CLEAN
    block = np.array_split(np.random.default_rng(order[0]).permutation(prefs.votes.height), 40)
    votes = prefs.votes[np.concatenate([block[i] for i in order])]
    names = pl.col("user_id").cast(pl.String)
    renamed = "someone " + (97 - names.str.slice(1).cast(pl.Int32)).cast(pl.String)
    votes = votes.with_columns(user_id=renamed.cast(pl.Categorical))
    assert rounded(lint(replace(prefs, votes=votes)).as_dict()) == rounded(lint(prefs).as_dict())


def test_calling_the_other_response_a_changes_no_figure() -> None:
    """Orientation carries no information, so no figure may depend on it."""
    turned = LEAKY.pairs.rename({"response_a": "response_b", "response_b": "response_a"})
    votes = LEAKY.votes.with_columns(label=1 - pl.col("label"))
    other = lint(Preferences(votes, turned.select(LEAKY.pairs.columns), LEAKY.meta))
    assert rounded(other.as_dict()) == rounded(lint(LEAKY).as_dict())


def test_the_same_seed_says_the_same() -> None:
    assert lint(LEAKY, seed=3).as_dict() == lint(LEAKY, seed=3).as_dict()


@settings(max_examples=15, deadline=None)
@given(judgement_rows())
def test_any_table_has_a_report_that_is_json_and_printable(rows: list[dict[str, Any]]) -> None:
    prefs = build(raw_frame(rows), Meta(dataset="any"))
    if prefs.votes["label"].null_count() == prefs.votes.height:
        with pytest.raises(DataError, match="no labels"):
            lint(prefs)
        return
    report = lint(prefs)
    assert report.n_judgments == prefs.n_judgements <= prefs.votes.height
    assert json.dumps(report.as_dict(), allow_nan=False)
    for found in (*report.findings, *report.notes):
        assert found.check in CHECKS
        assert found.what.isprintable()
        assert 0 <= found.rows <= prefs.votes.height
        assert found.hint or not found.failed


def test_ties_and_missing_labels_are_no_decisions() -> None:
    report = lint(crossed(5, 6, label=0.5))
    assert report.n_decisions == 0
    assert report.n_judgments == 30
    assert report.clean
    assert any("format was not checked" in note.what for note in report.notes)


def jester(folder: Path) -> Preferences:
    jokes = pl.read_ndjson(folder / "jester5k/items.jsonl.gz")
    ratings = pl.read_ndjson(folder / "jester5k/ratings.jsonl.gz", n_rows=250)
    long = ratings.unnest("ratings").unpivot(index="user_id", variable_name="item_id").drop_nulls()
    long = (
        long.join(jokes, on="item_id")
        .sort("user_id", "item_id")
        .sample(fraction=1.0, shuffle=True, seed=0)
    )
    halves = long.with_columns(place=pl.int_range(pl.len()).over("user_id"))
    even = halves.filter(pl.col("place") % 2 == 0).with_columns(pl.col("place") // 2)
    odd = halves.filter(pl.col("place") % 2 == 1).with_columns(pl.col("place") // 2)
    pairs = even.join(odd, on=["user_id", "place"]).filter(pl.col("value") != pl.col("value_right"))
    raw = pairs.select(
        "user_id",
        response_1="text",
        response_2="text_right",
        label=(pl.col("value") > pl.col("value_right")).cast(pl.Float64),
        prompt=pl.Series([[{"role": "user", "content": "Tell me a joke."}]] * pairs.height),
    )
    return build(raw, Meta(dataset="jester"))


def quiet(text: str) -> None:
    """What the importer says is tested where the importer is."""


def pandalm(folder: Path) -> Preferences:
    return convert(folder / "pandalm/flat.jsonl.gz", GenericOptions(), quiet)


def hh(folder: Path) -> Preferences:
    return convert(folder / "hh_rlhf/harmless-base_test.jsonl.gz", GenericOptions(), quiet)


def vpl(folder: Path) -> Preferences:
    options = GenericOptions(mapping={"user_id": "objective"})
    return convert(folder / "vpl_relabeled_hh/both_test.jsonl.gz", options, quiet)


@pytest.mark.parametrize("source", [pandalm, hh, vpl, jester])
@pytest.mark.slow
def test_real_data_are_clean_until_the_rejected_texts_become_lists(
    source: Callable[[Path], Preferences], shared_data: Path
) -> None:
    prefs = source(shared_data)
    assert [found.what for found in lint(prefs).findings] == []
    a_lost = pl.col("label") < 0.5
    listed = [
        pl.when(lost).then(pl.format("['{}']", side)).otherwise(side).alias(new)
        for lost, side, new in (
            (a_lost, "response_a", "response_1"),
            (~a_lost, "response_b", "response_2"),
        )
    ]
    wide = prefs.wide().filter(pl.col("label") != 0.5)
    columns = ["user_id", "prompt", "group", "label"]
    leaky = build(wide.select(*columns, *listed), Meta(dataset="leaky"))
    found = [one for one in lint(leaky).findings if one.check == "format"]
    assert "wrapped in ['" in found[0].what
