"""Conversations in the forms that raw files have, as messages with the roles of `preferences/1`.

Who judged is never read out of a text; roles of a transcript are, because they stand nowhere else.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from plt.data.tables.schema import MESSAGES, ROLES

Message = dict[str, str]

ROLE_NAMES = {
    **{role: role for role in ROLES},
    "human": "user",
    "prompter": "user",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
}
TURN = re.compile(r"(?:^|\n\n)(Human|Assistant):")
TRANSCRIPT_START = re.compile(r"\s*Human:")
LAST_ANSWER = "\n\nAssistant:"


def to_messages(value: Any) -> list[Message] | None:
    """A prompt as messages: a text is one user message; None stays None.

    Args:
        value: A text, or a list of messages with `role` and `content` (or `from` and `value`).

    Returns:
        The messages, or None for None and for an empty list.

    Raises:
        ValueError: It is neither, or a role is unknown; the text says which.
    """
    if value is None or value == []:
        return None
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if not isinstance(value, Sequence):
        raise ValueError(f"a text or a list of messages is needed, not {_kind(value)}")
    return [_message(entry) for entry in value]


def _message(entry: Any) -> Message:
    # Asking a dict whether it is a Mapping costs more than all the rest.
    if type(entry) is not dict and not isinstance(entry, Mapping):
        raise ValueError(f"a message with role and content is needed, not {_kind(entry)}")
    role = entry.get("role", entry.get("from"))
    content = entry.get("content", entry.get("value"))
    known = ROLE_NAMES.get(str(role).lower())
    if known is None:
        raise ValueError(f"the role {role!r} is unknown; known are {', '.join(ROLE_NAMES)}")
    if not isinstance(content, str):
        raise ValueError(f"the content of a message is {_kind(content)}, not a text")
    return {"role": known, "content": content}


def _kind(value: Any) -> str:
    return "null" if value is None else f"a {type(value).__name__}"


def is_transcript(text: Any) -> bool:
    """Whether a text is a 'Human: ... Assistant: ...' transcript, as HH-RLHF has them."""
    return (
        isinstance(text, str) and TRANSCRIPT_START.match(text) is not None and LAST_ANSWER in text
    )


def split_transcript(text: str) -> tuple[str, str]:
    """A transcript as what stands before its last answer, and that answer, without outer blanks."""
    prompt, _, answer = text.rpartition(LAST_ANSWER)
    return prompt, answer.strip()


def transcript_messages(text: str) -> list[Message]:
    """The turns of a transcript as messages; a text without turns is one user message."""
    starts = list(TURN.finditer(text))
    if not starts:
        return [{"role": "user", "content": text.strip()}]
    ends = [start.start() for start in starts[1:]] + [len(text)]
    roles = {"Human": "user", "Assistant": "assistant"}
    return [
        {"role": roles[start[1]], "content": text[start.end() : end].strip()}
        for start, end in zip(starts, ends, strict=True)
    ]


def shared_prefix(one: str, two: str) -> str:
    """The longest common beginning of two texts, character by character."""
    pairs = enumerate(zip(one, two, strict=False))
    return one[: next((i for i, (x, y) in pairs if x != y), min(len(one), len(two)))]


def prompt_series(prompts: Sequence[Sequence[Message] | None], name: str = "prompt") -> pl.Series:
    """Prompts as one polars column.

    Args:
        prompts: The messages of each row; None or no messages is null.
        name: Name of the column.

    Returns:
        A series of `plt.data.tables.schema.MESSAGES`, as long as `prompts`.
    """
    rows = [i for i, prompt in enumerate(prompts) for _ in prompt or ()]
    messages = [message for prompt in prompts for message in prompt or ()]
    flat = pl.DataFrame(
        {
            "row": rows,
            "role": [message["role"] for message in messages],
            "content": [message["content"] for message in messages],
        },
        schema={"row": pl.Int64, "role": pl.String, "content": pl.String},
    )
    if len(rows) == len(prompts) and flat["row"].is_unique().all():
        column = flat.select(pl.concat_list(pl.struct("role", "content")).alias(name))
        return column.to_series().cast(MESSAGES)
    grouped = flat.group_by("row", maintain_order=True).agg(
        pl.struct("role", "content").alias(name)
    )
    every = pl.DataFrame({"row": range(len(prompts))}, schema={"row": pl.Int64})
    joined = every.join(grouped, on="row", how="left", maintain_order="left")
    return joined[name].cast(MESSAGES)
