"""PRISM's conversations in memory: answers, turns, dialogues."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One response of one turn."""

    text: str
    model: str
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
