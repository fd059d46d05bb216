import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plt.data.reading.conversation import (
    is_transcript,
    prompt_series,
    split_transcript,
    to_messages,
    transcript_messages,
)
from plt.data.tables.schema import MESSAGES
from tests.data.made_tables import texts

turns = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": texts}),
    max_size=3,
)


@given(st.lists(st.none() | turns, max_size=5))
def test_prompts_survive_the_column(prompts: list[list[dict[str, str]] | None]) -> None:
    column = prompt_series(prompts)
    assert column.dtype == MESSAGES
    assert column.to_list() == [prompt or None for prompt in prompts]
    assert isinstance(column, pl.Series)


@pytest.mark.parametrize("role", ["user", "human", "Human", "prompter"])
def test_roles_of_other_formats_are_known(role: str) -> None:
    assert to_messages([{"role": role, "content": "x"}]) == [{"role": "user", "content": "x"}]
    assert to_messages([{"from": role, "value": "x"}]) == [{"role": "user", "content": "x"}]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (3, "not a int"),
        (["text"], "not a str"),
        ([{"content": "x"}], "role None is unknown"),
        ([{"role": "user", "content": None}], "is null, not a text"),
        ([{"role": "user", "content": [{"type": "image"}]}], "a part that is no text: image"),
        ([{"role": "tool", "content": "12"}], "a tool's"),
        ([{"role": "assistant", "content": None, "tool_calls": [{}]}], "a call of a tool"),
    ],
)
def test_what_is_no_conversation_is_refused(value: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        to_messages(value)


def test_one_message_parts_and_objects_of_lists() -> None:
    expected = [{"role": "user", "content": "ab"}]
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert to_messages({"role": "user", "content": "ab"}) == expected
    assert to_messages([{"role": "user", "content": parts}]) == expected
    assert to_messages({"role": ["user"], "content": ["ab"]}) == expected
    assert to_messages([{"role": "developer", "content": "x"}]) == [
        {"role": "system", "content": "x"}
    ]


def test_transcripts() -> None:
    text = "\n\nHuman: a\n\nAssistant: b\n\nHuman: c: Assistant: d\n\nAssistant: e "
    assert is_transcript(text)
    prompt, answer = split_transcript(text)
    assert answer == "e"
    assert [m["content"] for m in transcript_messages(prompt)] == ["a", "b", "c: Assistant: d"]
    assert [m["role"] for m in transcript_messages(prompt)] == ["user", "assistant", "user"]
    assert transcript_messages(" plain ") == [{"role": "user", "content": "plain"}]
    assert not is_transcript("Assistant: e")
    assert not is_transcript("Human: no answer")
    assert not is_transcript(None)
