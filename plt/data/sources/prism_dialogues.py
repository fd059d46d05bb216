"""PRISM's conversations in memory: answers, turns, dialogues."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One response of one turn; its model is None where several wrote it."""

    text: str
    model: str | None
    score: float | None
    chosen: bool


@dataclass
class Turn:
    """What the person said, and the responses they compared."""

    prompt: str = ""
    answers: list[Answer] = field(default_factory=list)


@dataclass
class Dialogue:
    """One conversation, turns in order."""

    name: str
    user: str
    kind: str
    turns: dict[int, Turn] = field(default_factory=dict)


@dataclass(frozen=True)
class Prism:
    """The raw dataset: people in the survey's order, conversations in their file's order."""

    people: list[Mapping[str, Any]]
    dialogues: list[Dialogue]
    source_hash: str
    dropped: Mapping[str, int]


def chosen_of(turn: Turn) -> Answer | None:
    """The one response that the conversation went on with, or None."""
    chosen = [answer for answer in turn.answers if answer.chosen]
    return chosen[0] if chosen and len({answer.text for answer in chosen}) == 1 else None


def distinct_answers(answers: Sequence[Answer]) -> list[Answer]:
    """The answers of a turn, equal texts as one with their mean score, chosen if any of them was.

    The pairs of a turn share its answers, so a text that two models gave is compared once.
    """
    by_text: dict[str, list[Answer]] = {}
    for answer in answers:
        by_text.setdefault(answer.text, []).append(answer)
    return [_as_one(same) for same in by_text.values()]


def _as_one(same: Sequence[Answer]) -> Answer:
    scores = [answer.score for answer in same if answer.score is not None]
    models = {answer.model for answer in same}
    return Answer(
        text=same[0].text,
        model=models.pop() if len(models) == 1 else None,
        score=fmean(scores) if scores else None,
        chosen=any(answer.chosen for answer in same),
    )
