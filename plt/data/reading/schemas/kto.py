"""Thumbs (TRL unpaired, KTO): a row an answer, liked or not; pairs where a prompt has both."""

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles import find, kinds
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema

THUMBS = ("label", "kto_tag", "thumbs", "thumb", "liked", "desirable")
ANSWERS = ("completion", "response", "output", "answer")
WORDS = frozenset({"true", "false", "1", "0", "up", "down", "thumbs_up", "thumbs_down"})
TALKS = ("messages", "conversations", "conversation")


def _thumbs(table: RawTable) -> str | None:
    for name in THUMBS:
        found = kinds.sample(table.columns.get(name, ()))
        if found and all(str(cell).strip().lower() in WORDS for cell in found):
            return name
    return None


def _answer(table: RawTable) -> str | None:
    for name in ANSWERS:
        if find.written(table, name):
            return name
    return next((name for name in TALKS if find.written(table, name)), None)


def _known(table: RawTable) -> Known:
    sources = {"response": str(_answer(table)), "score": str(_thumbs(table))}
    return Known(
        "rating",
        sources,
        fill=True,
        notes=("a liked answer is preferred to a disliked one of the same person and prompt",),
    )


SCHEMA = Schema(
    "thumbs (TRL unpaired, KTO)",
    "a completion and whether it is liked",
    lambda table: (
        _thumbs(table) is not None
        and _answer(table) is not None
        and find.response_pair(table) is None
        and find.chosen_pair(table) is None
    ),
    _known,
)
