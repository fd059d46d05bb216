"""Conversations in the forms that raw files have, as messages with the roles of `preferences/1`.

Who judged is never read out of a text; roles of a transcript are, because they stand nowhere else.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from plt.data.reading.bad_rows import Unreadable
from plt.data.tables.schema import MESSAGES, ROLES

Message = dict[str, str]

ROLE_NAMES = {
    **{role: role for role in ROLES},
    "developer": "system",
    "human": "user",
    "prompter": "user",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "ai": "assistant",
    "chatgpt": "assistant",
}
TOOL_ROLES = frozenset(
    {"tool", "function", "ipython", "environment", "observation", "tool_call", "function_call",
     "tool_response"}
)  # fmt: skip
TEXT_PARTS = frozenset({"text", "input_text", "output_text"})
TURN = re.compile(r"(?:^|\n\n)(Human|Assistant):")
TRANSCRIPT_START = re.compile(r"\s*Human:")
LAST_ANSWER = "\n\nAssistant:"


def to_messages(value: Any) -> list[Message] | None:
    """A prompt as messages: a text is one user message; None stays None.

    Args:
        value: A text; a message with `role` and `content` (or `from` and `value`), where a content
            may be a list of text parts; a list of messages; or an object of lists, as `datasets`
            stores a list of messages.

    Returns:
        The messages, or None for None and for an empty list.

    Raises:
        Unreadable: It is none of these, a role is unknown, a turn is a tool's, or a content is no
            text; the reason says which.
    """
    if value is None or value == []:
        return None
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if isinstance(value, Mapping):
        return _from_columns(value) or [_message(value)]
    if not isinstance(value, Sequence):
        raise Unreadable(f"a text or a list of messages is needed, not {_kind(value)}")
    return [_message(entry) for entry in value]


def _from_columns(value: Mapping[str, Any]) -> list[Message] | None:
    """``{"role": [..], "content": [..]}`` as a list of messages."""
    columns = {name: cells for name, cells in value.items() if isinstance(cells, list)}
    if not {"role", "from"} & set(columns) or len(set(map(len, columns.values()))) != 1:
        return None
    rows = zip(*columns.values(), strict=True)
    return [_message(dict(zip(columns, row, strict=True))) for row in rows]


def _message(entry: Any) -> Message:
    # Asking a dict whether it is a Mapping costs more than all the rest.
    if type(entry) is not dict and not isinstance(entry, Mapping):
        raise Unreadable(f"a message with role and content is needed, not {_kind(entry)}")
    role = entry.get("role") or entry.get("from") or entry.get("speaker")
    content = entry.get("content")
    if content is None:
        content = entry.get("value", entry.get("text"))
    name = str(role).lower()
    known = ROLE_NAMES.get(name)
    if entry.get("tool_calls") or entry.get("function_call"):
        raise Unreadable("a call of a tool")
    if known is None:
        if name in TOOL_ROLES:
            raise Unreadable("a turn of a tool", f"a turn of role {role!r}, a tool's")
        raise Unreadable(
            f"the role {str(role)[:40]!r} is unknown",
            f"the role {role!r} is unknown; known are {', '.join(ROLE_NAMES)}",
        )
    if not isinstance(content, str):
        content = _joined_parts(content)
    return {"role": known, "content": content}


def _joined_parts(content: Any) -> str:
    """The text of a content that is a list of parts (or one part)."""
    if content is None:
        raise Unreadable(
            "a message without content", "the content of a message is null, not a text"
        )
    parts = content if isinstance(content, list) else [content]
    found = []
    for part in parts:
        if isinstance(part, str):
            found.append(part)
        elif isinstance(part, Mapping):
            kind = str(part.get("type") or ("text" if "text" in part else "another kind"))
            if kind not in TEXT_PARTS:
                raise Unreadable(f"a message with a part that is no text: {kind[:40]}")
            if not isinstance(part.get("text"), str):
                raise Unreadable("a message without content")
            found.append(part["text"])
        else:
            raise Unreadable(f"the content of a message is {_kind(content)}, not a text")
    return "".join(found)


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
