"""Rows with a chosen and a rejected text, read as pairs with a common prompt."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from plt.data.reading.conversation import (
    Message,
    is_transcript,
    shared_prefix,
    split_transcript,
    to_messages,
    transcript_messages,
)
from plt.data.reading.field_map import each, values
from plt.data.reading.raw_files import RawTable
from plt.data.remarks import Say
from plt.errors import DataError

PROMPTS_DIFFER = "prompts differ"
SEVERAL_TURNS = "answer of several turns"
NO_TRANSCRIPT = "no transcript"
NO_SHARED_PROMPT = "no shared prompt"


@dataclass
class ChosenRows:
    """Pairs read from chosen/rejected rows; all lists have one entry a pair.

    Attributes:
        rows: The row of the raw file that each pair comes from.
        prompts: The messages before the answer.
        chosen: The preferred answers.
        rejected: The other answers.
        dropped: Rows left out, by reason.
    """

    rows: list[int] = field(default_factory=list)
    prompts: list[list[Message] | None] = field(default_factory=list)
    chosen: list[str | None] = field(default_factory=list)
    rejected: list[str | None] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)

    def add(self, row: int, prompt: list[Message] | None, chosen: Any, rejected: Any) -> None:
        """Adds one pair."""
        self.rows.append(row)
        self.prompts.append(prompt)
        self.chosen.append(chosen)
        self.rejected.append(rejected)

    def drop(self, why: str) -> None:
        """Counts one row that is left out."""
        self.dropped[why] = self.dropped.get(why, 0) + 1


def read_chosen(
    table: RawTable, chosen: str, rejected: str, prompt: str | None, say: Say
) -> ChosenRows:
    """Reads chosen/rejected columns in any of the forms that TRL and HH-RLHF use.

    Args:
        table: The raw file.
        chosen: The source of the preferred answer: texts, message lists or transcripts.
        rejected: The source of the other; a list of texts is one pair for each.
        prompt: The source of the prompt, or None where it is a part of both answers.
        say: Takes remarks about how the columns were read.

    Returns:
        The pairs. Rows whose two conversations differ before the last answer are dropped.

    Raises:
        DataError: A cell has another form than its column; every row is named.
    """
    good, bad = values(table, chosen), values(table, rejected)
    kinds = _kind_of(table, chosen, good), _kind_of(table, rejected, bad)
    if "messages" in kinds and kinds != ("messages", "messages"):
        raise DataError(f"{table.name}: {chosen} holds {kinds[0]}, {rejected} {kinds[1]}")
    prompts = None
    if prompt is not None:
        prompts = list(each(table, "prompt", values(table, prompt), to_messages))
    if kinds[0] == "messages":
        good = list(each(table, chosen, good, to_messages))
        bad = list(each(table, rejected, bad, to_messages))
        return _read_messages(good, bad, prompts)
    if _are_transcripts(good) and _are_transcripts(bad):
        note = f"; the column {prompt} is not needed" if prompt else ""
        say(f"{chosen} and {rejected} are transcripts, split at the last 'Assistant:'{note}")
        return _read_transcripts(good, bad)
    if prompts is None:
        say("no prompt column: the words that both answers begin with are taken as the prompt")
        return _read_implicit(good, bad)
    if "texts" in kinds:
        say(f"lists in {chosen} and {rejected}: each of one is paired with each of the other")
    pairs = ChosenRows()
    for row, (one, two) in enumerate(zip(good, bad, strict=True)):
        for first in one if isinstance(one, list) else [one]:
            for second in two if isinstance(two, list) else [two]:
                pairs.add(row, prompts[row], first, second)
    return pairs


def _kind_of(table: RawTable, name: str, column: Sequence[Any]) -> str:
    """`text`, `texts` (lists of texts) or `messages`; one column has one form."""

    def form(cell: Any) -> str | None:
        if cell is None or isinstance(cell, str):
            return None if cell is None else "text"
        if isinstance(cell, list) and cell:
            if all(isinstance(entry, str) for entry in cell):
                return "texts"
            if all(isinstance(entry, dict) for entry in cell):
                return "messages"
        raise ValueError(f"neither a text nor a list of texts or messages: {str(cell)[:60]}")

    forms = list(each(table, name, column, form))
    found = [kind for kind in dict.fromkeys(forms) if kind]
    if len(found) > 1:
        problems = [f"{table.where(forms.index(kind))}: {kind}" for kind in found]
        raise DataError(f"{table.name}: {name} mixes {' and '.join(found)}", problems=problems)
    return found[0] if found else "text"


def _are_transcripts(column: Sequence[Any]) -> bool:
    present = [cell for cell in column if cell is not None]
    return sum(map(is_transcript, present)) * 2 > len(present)


def _read_transcripts(good: Sequence[Any], bad: Sequence[Any]) -> ChosenRows:
    pairs = ChosenRows()
    for row, (one, two) in enumerate(zip(good, bad, strict=True)):
        if not is_transcript(one) or not is_transcript(two):
            pairs.drop(NO_TRANSCRIPT)
            continue
        (before, first), (other, second) = split_transcript(one), split_transcript(two)
        if before.strip() != other.strip():
            pairs.drop(PROMPTS_DIFFER)
            continue
        pairs.add(row, transcript_messages(before), first, second)
    return pairs


def _read_messages(
    good: Sequence[Any], bad: Sequence[Any], prompts: Sequence[Any] | None
) -> ChosenRows:
    pairs = ChosenRows()
    for row, (one, two) in enumerate(zip(good, bad, strict=True)):
        if not one or not two:
            pairs.add(row, None, None, None)  # A missing text, which `build` counts.
            continue
        if prompts is None:
            before, other = one[:-1], two[:-1]
        else:
            before = other = prompts[row] or []
        tails, other_tails = _behind(before, one), _behind(other, two)
        if before != other:
            pairs.drop(PROMPTS_DIFFER)
        elif not _one_answer(tails) or not _one_answer(other_tails):
            pairs.drop(SEVERAL_TURNS)
        else:
            pairs.add(row, before or None, tails[0]["content"], other_tails[0]["content"])
    return pairs


def _behind(prompt: Sequence[Message], messages: Sequence[Message]) -> Sequence[Message]:
    """What follows the prompt; all of them where they are the answer alone, even one like it."""
    begins = len(messages) > len(prompt) and messages[: len(prompt)] == prompt
    return messages[len(prompt) :] if begins else messages


def _one_answer(messages: Sequence[Message]) -> bool:
    return len(messages) == 1 and messages[0]["role"] == "assistant"


def _read_implicit(good: Sequence[Any], bad: Sequence[Any]) -> ChosenRows:
    pairs = ChosenRows()
    for row, (one, two) in enumerate(zip(good, bad, strict=True)):
        if not isinstance(one, str) or not isinstance(two, str):
            pairs.add(row, None, None, None)
            continue
        prompt = _shared_words(one, two)
        if not prompt.strip():
            pairs.drop(NO_SHARED_PROMPT)
        else:
            pairs.add(row, to_messages(prompt), one[len(prompt) :], two[len(prompt) :])
    return pairs


def _shared_words(one: str, two: str) -> str:
    """The longest common beginning of two texts that ends behind white space."""
    shared = shared_prefix(one, two)
    length = len(shared)
    while length and not shared[length - 1].isspace():
        length -= 1
    return shared[:length]
