from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta
from plt.errors import DataError
from plt.train.judgements import (
    distinct_texts,
    named_users,
    read_judgements,
    text_digests,
    training_view,
)
from plt.train.method import Texts

SAY = [{"role": "user", "content": "say"}]
ASK = [{"role": "user", "content": "ask"}]


def table(rows: list[dict[str, object]]) -> Preferences:
    """Judgements with defaults; response_1 won where nothing else is said."""
    defaults = {"prompt": SAY, "label": 1.0, "user_id": "u", "split": "train", "user_split": "seen"}
    raw = pl.DataFrame([{**defaults, **row} for row in rows], infer_schema_length=None)
    return build(raw, Meta(dataset="toy", truth={"simulator": "tells all"}))


def test_each_prompt_and_response_once() -> None:
    prefs = table(
        [
            {"response_1": "x", "response_2": "y"},
            {"response_1": "x", "response_2": "z"},
            {"response_1": "x", "response_2": "y", "prompt": ASK},
            {"response_1": "x", "response_2": "y", "user_id": "v"},
        ]
    )
    texts, a, b = distinct_texts(prefs.pairs)
    assert len(prefs.pairs) == 3
    found = [(p[0]["content"], r) for p, r in zip(texts.prompts, texts.responses, strict=True)]
    assert sorted(found) == [("ask", "x"), ("ask", "y"), ("say", "x"), ("say", "y"), ("say", "z")]
    for row, first, second in zip(prefs.pairs.iter_rows(named=True), a, b, strict=True):
        assert found[first] == (row["prompt"][0]["content"], row["response_a"])
        assert found[second] == (row["prompt"][0]["content"], row["response_b"])


def test_judgements_are_sorted_whatever_the_order_of_the_rows() -> None:
    rows = [
        {"user_id": user, "response_1": f"x{i}", "response_2": "y", "split": split}
        for i, (user, split) in enumerate(
            [("b", "train"), ("a", "val"), (None, "train"), ("b", "val"), ("a", "train")]
        )
    ]
    prefs = table(rows)
    mixed = replace(
        prefs, votes=prefs.votes.reverse(), pairs=prefs.pairs.sample(fraction=1, shuffle=True)
    )
    one, other = read_judgements(prefs), read_judgements(mixed)
    assert one.users == other.users == ("a", "b")
    assert one.user.tolist() == [-1, 0, 0, 1, 1]
    for name in ("a", "b", "pair", "user", "label", "validation"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    assert one.texts == other.texts
    winners = [one.texts.responses[i] for i in np.where(one.label == 1, one.a, one.b)]
    assert sorted(winners) == ["x0", "x1", "x2", "x3", "x4"]
    assert {winners[i] for i in np.flatnonzero(one.validation)} == {"x1", "x3"}


def test_the_training_view_is_all_that_fit_may_see() -> None:
    prefs = table(
        [
            {"response_1": "x", "response_2": str(i), "user_id": f"u{i}", **row}
            for i, row in enumerate(
                [
                    {"split": "train"},
                    {"split": "val", "user_split": None},
                    {"split": "test"},
                    {"split": "train", "user_split": "unseen"},
                    {"split": "train", "label": None},
                    {"split": None},
                ]
            )
        ]
    )
    told = prefs.votes.with_columns(score_a=pl.lit(1.0), source_b=pl.lit("gpt"), margin=pl.lit(3.0))
    view = training_view(replace(prefs, votes=told))
    assert sorted(view.votes["user_id"].cast(pl.String)) == ["u0", "u1"]
    assert "margin" not in view.votes.columns
    for name in ("score_a", "score_b", "source_a", "source_b"):
        assert view.votes[name].null_count() == 2
    assert view.meta.truth is None
    assert view.meta.dataset == "toy"
    responses = {*view.pairs["response_a"], *view.pairs["response_b"]}
    assert responses == {"x", "0", "1"}


def test_an_unsplit_table_and_an_empty_view_are_refused() -> None:
    pair = {"response_1": "x", "response_2": "y"}
    with pytest.raises(DataError, match="no split"):
        training_view(table([{**pair, "split": None}]))
    with pytest.raises(DataError, match="no labelled train row"):
        training_view(table([{**pair, "split": "test"}, {**pair, "label": None, "user_id": "v"}]))


def test_who_can_get_a_model_of_their_own() -> None:
    pair = {"response_1": "x", "response_2": "y"}
    judgements = read_judgements(
        table([{**pair, "user_id": "only val", "split": "val"}, {**pair, "user_id": None}, pair])
    )
    train = judgements.select(~judgements.validation)
    users, notes = named_users(train, judgements)
    assert users == ("u",)
    assert notes[0].startswith("1 of 2 users have no training row")
    assert notes[1].startswith("1 training rows name no user")
    nameless = read_judgements(table([{**pair, "user_id": None}]))
    with pytest.raises(DataError, match="nobody"):
        named_users(nameless, nameless)


def test_digests_name_content() -> None:
    texts = Texts([SAY, SAY, ASK, SAY], ["x", "y", "x", "x"])
    digests = [digest.tobytes() for digest in text_digests(texts)]
    assert len(set(digests)) == 3
    assert digests[0] == digests[3]
    assert text_digests(Texts([], [])).shape == (0, 16)
