import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plt.data.reading.judged.pair_form import read_chosen
from plt.data.reading.raw_files import RawTable, read
from plt.data.sources.generic import GenericOptions, convert
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta
from plt.data.tables.trl import trl_view
from plt.errors import DataError
from tests.data.made_tables import raw_frame, responses, texts, user_turn

KEY = ["user_id", "pair_id", "occurrence", "label", "group", "split"]


def silent(text: str) -> None:
    del text


def table(rows: list[dict[str, object]]) -> RawTable:
    return read("".join(json.dumps(row) + "\n" for row in rows).encode())


def pairs(rows: list[dict[str, object]], prompt: str | None = None) -> list[tuple[object, ...]]:
    found = read_chosen(table(rows), "chosen", "rejected", prompt, silent)
    contents = [None if p is None else [m["content"] for m in p] for p in found.prompts]
    return list(zip(contents, found.ones, found.twos, strict=True))


def user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def assistant(content: str) -> dict[str, str]:
    return {"role": "assistant", "content": content}


def toy(labels: list[float | None]) -> Preferences:
    rows = [
        {
            "user_id": f"u{i % 2}", "prompt": user_turn(f"p{i}"), "response_1": f"one {i}",
            "response_2": f"two {i}", "label": label, "score_1": 2.0, "score_2": 1.0,
        }
        for i, label in enumerate(labels)
    ]  # fmt: skip
    return build(raw_frame(rows), Meta(dataset="toy"))


def test_ties_and_unlabelled_rows_are_left_out_and_counted() -> None:
    view, left_out = trl_view(toy([1.0, 0.5, 0.0, None, 0.2]))
    assert view.height == 3
    assert left_out == {"tie": 1, "no label": 1}
    by_prompt = {row["prompt"][0]["content"]: row for row in view.iter_rows(named=True)}
    assert by_prompt["p0"]["chosen"] == [assistant("one 0")]
    assert by_prompt["p2"]["chosen"] == [assistant("two 2")]
    assert by_prompt["p4"]["rejected"] == [assistant("one 4")]
    assert by_prompt["p4"]["score_chosen"] == 1.0


roles = st.sampled_from(["user", "assistant"])
turns = st.fixed_dictionaries({"role": roles, "content": texts})
judgements = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(["u", "v", "1"]),
        "prompt": st.lists(turns, min_size=1, max_size=3),
        "response_1": responses,
        "response_2": responses,
        "label": st.sampled_from([0.0, 1.0]),
        "group": st.sampled_from(["g", "h"]),
        "split": st.sampled_from(["train", "val", "test"]),
    }
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(judgements, min_size=1, max_size=6))
def test_the_view_comes_back_as_the_same_table(rows: list[dict[str, object]]) -> None:
    prefs = build(raw_frame(rows), Meta(dataset="toy"))
    view, left_out = trl_view(prefs)
    assert left_out == {}
    if not view.height:
        return
    data = view.drop("pair_id", "occurrence").write_ndjson().encode()
    back = convert(data, GenericOptions.parse(dataset="toy"), silent)
    names = [pl.col(name).cast(pl.String) for name in ("user_id", "group", "split")]
    one, two = (p.votes.select(KEY).with_columns(names).sort(KEY) for p in (prefs, back))
    assert one.equals(two)
    assert prefs.pairs.equals(back.pairs)


def test_explicit_prompts_as_texts_and_messages() -> None:
    expected = [(["q"], "x", "y")]
    assert pairs([{"prompt": "q", "chosen": "x", "rejected": "y"}], "prompt") == expected
    row = {"prompt": [user("q")], "chosen": [assistant("x")], "rejected": [assistant("y")]}
    assert pairs([row], "prompt") == expected
    whole = {
        "prompt": "q",
        "chosen": [user("q"), assistant("x")],
        "rejected": [user("q"), assistant("y")],
    }
    assert pairs([whole], "prompt") == expected


def test_an_answer_in_the_words_of_the_prompt_is_an_answer() -> None:
    row = {"prompt": [assistant("x")], "chosen": [assistant("x")], "rejected": [assistant("y")]}
    assert pairs([row], "prompt") == [(["x"], "x", "y")]


def test_implicit_prompt_of_messages_is_what_both_share() -> None:
    before = [user("a"), assistant("b"), {"from": "human", "value": "c"}]
    rows = [
        {"chosen": [*before, assistant("x")], "rejected": [*before, assistant("y")]},
        {"chosen": [user("a"), assistant("x")], "rejected": [user("b"), assistant("y")]},
        {"chosen": [user("a"), user("x")], "rejected": [user("a"), assistant("y")]},
    ]
    found = read_chosen(table(rows), "chosen", "rejected", None, silent)
    assert found.rows == [0]
    assert found.prompts[0] == [user("a"), assistant("b"), user("c")]
    assert found.dropped == {"prompts differ": 1, "a conversation that ends with the human": 1}


def test_implicit_prompt_of_texts_ends_at_a_word() -> None:
    rows = [
        {"chosen": "The sky is blue.", "rejected": "The sky is black."},
        {"chosen": "Yes", "rejected": "No"},
    ]
    found = read_chosen(table(rows), "chosen", "rejected", None, silent)
    assert (found.prompts, found.ones, found.twos) == (
        [[user("The sky is ")]], ["blue."], ["black."],
    )  # fmt: skip
    assert found.dropped == {"no shared prompt": 1}


@pytest.mark.parametrize("start", ["\n\nHuman:", "Human:"])
def test_transcripts_split_at_the_last_answer(start: str) -> None:
    before = f"{start} hi\n\nAssistant: yes?\n\nHuman: say 'Assistant: no'"
    rows = [
        {"chosen": f"{before}\n\nAssistant: x", "rejected": f"{before}\n\nAssistant: y\n\nz"},
        {"chosen": f"{before}\n\nAssistant: x", "rejected": f"{start} else\n\nAssistant: y"},
        {"chosen": f"{before}\n\nAssistant: x", "rejected": "no transcript"},
    ]
    rows.insert(0, rows[0])
    found = read_chosen(table(rows), "chosen", "rejected", None, silent)
    assert found.prompts[0] == [user("hi"), assistant("yes?"), user("say 'Assistant: no'")]
    assert (found.ones[1], found.twos[1]) == ("x", "y\n\nz")
    assert found.dropped == {"prompts differ": 1, "no transcript": 1}


def test_a_list_of_rejected_answers_is_one_pair_for_each() -> None:
    """The bracket of a list that is turned into its text would give the label away."""
    row = {"prompt": "q", "chosen": "x", "rejected": ["y", "z"]}
    assert pairs([row], "prompt") == [(["q"], "x", "y"), (["q"], "x", "z")]


def test_a_column_may_mix_a_text_and_a_list_of_texts() -> None:
    rows = [
        {"prompt": "q", "chosen": "x", "rejected": "y"},
        {"prompt": "q", "chosen": [assistant("x")], "rejected": ["z"]},
    ]
    assert pairs(rows, "prompt") == [(["q"], "x", "y"), (["q"], "x", "z")]
    with pytest.raises(DataError) as caught:
        pairs([{"chosen": {"a": 1}, "rejected": "y"}])
    assert caught.value.problems[0].startswith("line 1: the role None is unknown")


def test_unknown_roles_are_named_with_their_rows() -> None:
    rows = [{"chosen": [{"role": "wizard", "content": "x"}], "rejected": [assistant("y")]}]
    with pytest.raises(DataError) as caught:
        pairs(rows)
    assert "the role 'wizard' is unknown" in caught.value.problems[0]
