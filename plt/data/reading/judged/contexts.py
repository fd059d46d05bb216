"""What stood before the answers: prompt, system message and earlier turns as one conversation."""

from collections.abc import Mapping, Sequence
from typing import Any

from plt.data.reading.bad_rows import BadRows, Unreadable
from plt.data.reading.conversation import Message, to_messages, transcript_messages
from plt.data.reading.field_map import split_sources, text, values
from plt.data.reading.raw_files import RawTable

JOIN_PROMPT = "\n\n"
OPEN_TRANSCRIPT = "Assistant:"

Context = list[Message] | None


def prompt_cells(table: RawTable, sources: Mapping[str, str], bad: BadRows) -> list[Any]:
    """The prompt of every row as it stands there; several sources are texts, joined.

    Args:
        table: The raw file.
        sources: Field to source; without `prompt` all are None.
        bad: Takes the rows whose parts are no texts.
    """
    if "prompt" not in sources:
        return [None] * table.height
    parts = split_sources(table, sources["prompt"])
    if len(parts) == 1:
        return values(table, parts[0])
    columns = [bad.each(part, values(table, part), text) for part in parts]
    return [JOIN_PROMPT.join(filter(None, row)) or None for row in zip(*columns, strict=True)]


def contexts(
    table: RawTable, sources: Mapping[str, str], prompts: Sequence[Any], bad: BadRows
) -> list[Context]:
    """The conversation before the answer, row by row.

    Args:
        table: The raw file.
        sources: Field to source; `system` and `history` are read where they are there.
        prompts: The prompt of each row: a text, messages, or None.
        bad: Takes the rows that cannot be read.

    Returns:
        Messages, or None where nothing stands before the answer.
    """
    found: list[Context] = bad.each("prompt", prompts, read_prompt)
    if "history" in sources:
        cells = values(table, sources["history"])
        earlier = bad.each("history", cells, read_history)
        found = [_after(turns, now) for turns, now in zip(earlier, found, strict=True)]
    if "system" not in sources:
        return found
    systems = bad.each("system", values(table, sources["system"]), text)
    return [under(system, turns) for system, turns in zip(systems, found, strict=True)]


def read_prompt(cell: Any) -> Context:
    """A prompt cell as messages; an open transcript (``Human: .. Assistant:``) as its turns.

    Raises:
        Unreadable: It is no text and no conversation.
    """
    if type(cell) is str:
        if "Human:" in cell and cell.rstrip().endswith(OPEN_TRANSCRIPT):
            return transcript_messages(cell.rstrip().removesuffix(OPEN_TRANSCRIPT))
        return [{"role": "user", "content": cell}]
    if isinstance(cell, (int, float)):
        return to_messages(text(cell))
    if isinstance(cell, list) and len(cell) == 1 and isinstance(cell[0], str):
        return to_messages(cell[0])
    return to_messages(cell)


def read_history(cell: Any) -> list[Message]:
    """Earlier turns: messages, or ``[question, answer]`` pairs.

    Raises:
        Unreadable: It is neither.
    """
    if cell is None or cell == [] or cell == "":
        return []
    if isinstance(cell, list) and all(isinstance(entry, list) for entry in cell):
        turns: list[Message] = []
        for entry in cell:
            if len(entry) != 2 or not all(isinstance(part, str) for part in entry):
                raise Unreadable("a history that is no list of questions and answers")
            turns.append({"role": "user", "content": entry[0]})
            turns.append({"role": "assistant", "content": entry[1]})
        return turns
    if isinstance(cell, list) and all(isinstance(entry, str) for entry in cell):
        roles = ("user", "assistant")
        return [{"role": roles[i % 2], "content": part} for i, part in enumerate(cell)]
    return to_messages(cell) or []


def _after(earlier: list[Message] | None, now: Context) -> Context:
    if not earlier:
        return now
    if not now or now == earlier[-len(now) :]:
        return earlier  # The last turn of the history is the prompt.
    system = now[:1] if now[0]["role"] == "system" else []
    return [*system, *earlier, *now[len(system) :]]


def under(system: str | None, turns: Context) -> Context:
    """A conversation behind a system message, unless it says the same already."""
    if not system or not system.strip() or turns is None:
        return turns
    if turns[0]["role"] != "system":
        return [{"role": "system", "content": system}, *turns]
    given = turns[0]["content"]
    if system.strip() in given:
        return turns
    return [{"role": "system", "content": f"{system}{JOIN_PROMPT}{given}"}, *turns[1:]]
