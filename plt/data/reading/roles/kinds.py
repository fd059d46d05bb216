"""What kind of values a column of a raw file holds, seen on its first rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from plt.data.reading.judged.people import is_nothing

SAMPLE = 300
FEW = 12
LONG = 25
"""Characters from which on a value without blanks is still more likely a text than a code."""
EMPTY, MESSAGES, LIST, OBJECT, NUMBERS, FLAGS, TEXT, FEW_VALUES, IDS = (
    "empty", "messages", "lists", "objects", "numbers", "yes or no", "text", "few values",
    "id-like",
)  # fmt: skip


def sample(cells: Sequence[Any]) -> list[Any]:
    """The first values that say something."""
    found = []
    for cell in cells:
        if not is_nothing(cell):
            found.append(cell)
            if len(found) == SAMPLE:
                break
    return found


def kind_of(cells: Sequence[Any]) -> str:
    """One of the kinds above, by a sample of the values."""
    seen = sample(cells)
    if not seen:
        return EMPTY
    if all(map(is_talk, seen)):
        return MESSAGES
    if any(isinstance(cell, list) for cell in seen):
        return LIST
    if any(isinstance(cell, Mapping) for cell in seen):
        return OBJECT
    if all(isinstance(cell, bool) for cell in seen):
        return FLAGS
    words = [cell for cell in seen if isinstance(cell, str)]
    if len(words) * 2 < len(seen) or all(map(_is_number, words)):
        return NUMBERS
    seen = words
    spaced = sum(" " in cell.strip() or len(cell) > LONG for cell in seen) * 2 > len(seen)
    distinct = len(set(seen))
    if distinct <= min(FEW, len(seen) // 2):
        return FEW_VALUES
    return TEXT if spaced else IDS


def is_talk(cell: Any) -> bool:
    """Whether a value is a message or a list of them."""
    if isinstance(cell, Mapping):
        return bool({"role", "from"} & set(cell)) and bool({"content", "value"} & set(cell))
    return (
        isinstance(cell, list)
        and bool(cell)
        and all(isinstance(entry, Mapping) and is_talk(entry) for entry in cell)
    )


def is_written(cells: Sequence[Any]) -> bool:
    """Whether a column may hold prompts or answers: texts, conversations, or lists of texts."""
    seen = sample(cells)
    fits = sum(map(_is_writing, seen))
    # An answer may be a number where it was written without quotes.
    others = [cell for cell in seen if not _is_writing(cell)]
    return fits * 2 > len(seen) and all(isinstance(cell, (int, float)) for cell in others)


def _is_writing(cell: Any) -> bool:
    if isinstance(cell, list):
        return all(isinstance(entry, str) or is_talk(entry) for entry in cell)
    return isinstance(cell, str) or is_talk(cell)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
