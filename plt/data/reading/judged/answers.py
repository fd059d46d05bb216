"""Two answer cells and what stood before them as one choice: a conversation and two texts.

A cell is a text, one message, a conversation that ends with the answer, or a list of these. The
conversation before the answer is read where it stands: in its own columns, in both answers, or in
both, and then one is checked against the other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from plt.data.reading.bad_rows import BadRows, Unreadable
from plt.data.reading.conversation import (
    Message,
    is_transcript,
    shared_prefix,
    split_transcript,
    to_messages,
    transcript_messages,
)
from plt.data.reading.field_map import text
from plt.data.reading.judged.contexts import Context, read_prompt

PROMPTS_DIFFER = "prompts differ"
PARTED = "conversations that part before the last answer"
NO_TRANSCRIPT = "no transcript"
NO_SHARED_PROMPT = "no shared prompt"
SEVERAL_TURNS = "answer of several turns"
ENDS_WITH_HUMAN = "a conversation that ends with the human"
OTHER_PROMPT = "a prompt that is not in the conversation"
UNEQUAL_TURNS = "other numbers of questions and answers"

HUMAN_TURN = "\n\nHuman:"

Answer = str | list[Message] | None


@dataclass
class Choices:
    """Choices between two texts; all lists have one entry a choice.

    Attributes:
        rows: The row of the raw file that each comes from.
        prompts: The messages before the answer.
        ones: The first answers.
        twos: The second answers.
        dropped: Rows that hold no choice, by reason.
    """

    rows: list[int] = field(default_factory=list)
    prompts: list[Context] = field(default_factory=list)
    ones: list[str | None] = field(default_factory=list)
    twos: list[str | None] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)

    def add(self, row: int, prompt: Context, one: str | None, two: str | None) -> None:
        """Adds one choice."""
        self.rows.append(row)
        self.prompts.append(prompt)
        self.ones.append(one)
        self.twos.append(two)

    def drop(self, why: str) -> None:
        """Counts one that is none."""
        self.dropped[why] = self.dropped.get(why, 0) + 1


class NoChoice(Exception):
    """A row that can be read and holds no choice; the text is the reason it is counted under."""


def plain_texts(cells: Sequence[Any]) -> bool:
    """Whether every cell is a text or absent."""
    return set(map(type, cells)) <= {str, type(None)}


def are_transcripts(cells: Sequence[Any]) -> bool:
    """Whether most cells are ``Human: .. Assistant: ..`` transcripts."""
    present = [cell for cell in cells if cell is not None]
    return sum(map(is_transcript, present)) * 2 > len(present)


def answers_of(cell: Any) -> list[Answer]:
    """The answers that a cell holds: one, or several where it is a list of them.

    Raises:
        Unreadable: It holds something else.
    """
    if cell is None or cell == []:
        return [None]
    if type(cell) is list and len(cell) == 1 and type(cell[0]) is dict:
        return [_conversation(cell)]
    if isinstance(cell, list):
        if all(isinstance(entry, str) for entry in cell):
            return list(cell)
        if all(isinstance(entry, list) for entry in cell):
            return [_conversation(entry) for entry in cell]
    return [one_answer(cell)]


def one_answer(cell: Any) -> Answer:
    """An answer as a text, where it stands alone, or as the conversation that ends with it.

    Raises:
        Unreadable: It is neither a text nor a conversation.
    """
    if type(cell) is str or cell is None:
        return cell
    if isinstance(cell, list) and len(cell) == 1 and isinstance(cell[0], str):
        return cell[0]
    if isinstance(cell, Mapping) and {"role", "from", "content"}.isdisjoint(cell):
        for name in ("text", "completion", "response", "answer", "output", "value", "messages"):
            if name in cell:
                return one_answer(cell[name])
    if isinstance(cell, (list, Mapping)):
        if isinstance(cell, list) and any(isinstance(entry, str) for entry in cell):
            raise Unreadable("a list of texts where one is needed")
        return _conversation(cell)
    return text(cell)


def _conversation(cell: Any) -> Answer:
    if type(cell) is list and len(cell) == 1 and type(cell[0]) is dict:
        turn = cell[0]
        content = turn.get("content")
        if turn.get("role") == "assistant" and type(content) is str and len(turn) == 2:
            return content
    messages = to_messages(cell)
    if messages and len(messages) == 1 and messages[0]["role"] == "assistant":
        return messages[0]["content"]
    return messages


def choice(context: Context, one: Answer, two: Answer) -> tuple[Context, str | None, str | None]:
    """One choice out of two answers and what is known of the conversation before them.

    Args:
        context: The messages before the answer by columns of their own; None where there are none.
        one: A text, or the conversation that ends with the answer.
        two: The same.

    Returns:
        The messages before the answers, and the two texts.

    Raises:
        NoChoice: The two conversations part before their last turn.
        Unreadable: A conversation does not end with an answer, or is not that of the context.
    """
    if not one or not two:
        # A missing or an empty text, which the table counts.
        return context, _last(one), _last(two)
    if isinstance(one, str) and isinstance(two, str):
        return context, one, two
    before = [answer[:-1] for answer in (one, two) if not isinstance(answer, str)]
    texts = _last(one), _last(two)
    if len(before) == 2 and before[0] != before[1]:
        same_start = before[0][:1] == before[1][:1] and before[0]
        raise NoChoice(PARTED if same_start else PROMPTS_DIFFER)
    return _agreed(context, before[0]), *texts


def _last(answer: Answer) -> str | None:
    if not isinstance(answer, list):
        return answer
    if not answer:
        return None
    if answer[-1]["role"] != "assistant":
        raise Unreadable(ENDS_WITH_HUMAN)
    return answer[-1]["content"]


def _agreed(context: Context, shared: list[Message]) -> Context:
    """The conversation that a context and the turns before both answers make together."""
    if not context:
        return shared or None
    if not shared:
        return context
    if shared[: len(context)] == context:
        return shared
    if shared[0]["role"] == "assistant":
        raise Unreadable(SEVERAL_TURNS)
    system = [turn for turn in context if turn["role"] == "system"]
    said = [turn["content"].strip() for turn in shared]
    if all(turn["content"].strip() in said for turn in context if turn["role"] != "system"):
        new = [turn for turn in system if turn["content"].strip() not in said]
        return [*new, *shared]
    if any(JOINED in turn["content"] for turn in context):
        parts = [part.strip() for turn in context for part in turn["content"].split(JOINED)]
        if all(part in said for part in parts if part):
            return shared
    raise Unreadable(OTHER_PROMPT)


JOINED = "\n\n"


def interleaved(questions: Any, answers: Any) -> Answer:
    """Lists of questions and of the answers to each as one conversation.

    Raises:
        Unreadable: The lists have other lengths, or hold no texts.
    """
    if not isinstance(questions, list) or not isinstance(answers, list):
        raise Unreadable(UNEQUAL_TURNS)
    if len(questions) != len(answers) or not questions:
        raise Unreadable(UNEQUAL_TURNS)
    turns: list[Message] = []
    for question, answer in zip(questions, answers, strict=True):
        if not isinstance(question, str):
            raise Unreadable("a message without content")
        turns.append({"role": "user", "content": question})
        turns.append({"role": "assistant", "content": answer if isinstance(answer, str) else ""})
    return turns


def first_turns(answer: Answer, count: int | None) -> Answer:
    """A conversation up to the answer to its `count`-th question; all of it for None."""
    if count is None or not isinstance(answer, list):
        return answer
    asked = 0
    for place, turn in enumerate(answer):
        asked += turn["role"] == "user"
        if asked > count:
            return answer[:place]
    return answer


def transcript_choices(ones: Sequence[Any], twos: Sequence[Any], bad: BadRows) -> Choices:
    """Choices out of two columns of transcripts, split at the last answer."""
    found = Choices()
    for row, (one, two) in enumerate(zip(ones, twos, strict=True)):
        if row in bad:
            continue
        if not is_transcript(one) or not is_transcript(two):
            found.drop(NO_TRANSCRIPT)
            continue
        (before, first), (other, second) = split_transcript(one), split_transcript(two)
        if HUMAN_TURN in first or HUMAN_TURN in second:
            bad.add(row, Unreadable(ENDS_WITH_HUMAN))
            continue
        if before.strip() != other.strip():
            found.drop(PROMPTS_DIFFER)
            continue
        found.add(row, transcript_messages(before), first, second)
    return found


def implicit_choices(ones: Sequence[Any], twos: Sequence[Any], bad: BadRows) -> Choices:
    """Choices out of two columns of texts that both begin with the words of the prompt."""
    found = Choices()
    for row, (one, two) in enumerate(zip(ones, twos, strict=True)):
        if row in bad:
            continue
        if not isinstance(one, str) or not isinstance(two, str):
            found.add(row, None, None, None)
            continue
        prompt = _shared_words(one, two)
        if not prompt.strip():
            found.drop(NO_SHARED_PROMPT)
        else:
            found.add(row, read_prompt(prompt), one[len(prompt) :], two[len(prompt) :])
    return found


def _shared_words(one: str, two: str) -> str:
    """The longest common beginning of two texts that ends behind white space."""
    shared = shared_prefix(one, two)
    length = len(shared)
    while length and not shared[length - 1].isspace():
        length -= 1
    return shared[:length]


def products(one: Sequence[Answer], two: Sequence[Answer]) -> Iterator[tuple[Answer, Answer]]:
    """Every answer of one list with every one of the other."""
    for first in one:
        for second in two:
            yield first, second
