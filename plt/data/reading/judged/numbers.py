"""Scores and ranks of raw files as numbers."""

import math
from collections.abc import Callable, Iterable
from typing import Any

from plt.data.reading.bad_rows import Unreadable
from plt.data.reading.judged.people import is_nothing

THUMBS = {
    "true": 1.0, "false": 0.0, "up": 1.0, "down": 0.0, "thumbs_up": 1.0, "thumbs_down": 0.0,
    "thumbs up": 1.0, "thumbs down": 0.0, "like": 1.0, "dislike": 0.0, "liked": 1.0,
    "disliked": 0.0, "desirable": 1.0, "undesirable": 0.0, "good": 1.0, "bad": 0.0,
    "positive": 1.0, "negative": 0.0, "yes": 1.0, "no": 0.0, "\U0001f44d": 1.0, "\U0001f44e": 0.0,
}  # fmt: skip


def number(cell: Any) -> float | None:
    """A score as a finite number; what says nothing (NaN, N/A, empty) is None.

    Raises:
        Unreadable: It is no number, or infinite.
    """
    if type(cell) is float and math.isfinite(cell):
        return cell
    if is_nothing(cell) or cell == []:
        return None
    if isinstance(cell, list) and len(cell) == 1:
        return number(cell[0])
    try:
        value = float(cell)
    except (TypeError, ValueError):
        shown = f"{str(cell)[:40]!r} is not a number"
        raise Unreadable("a score that is no number", shown) from None
    if math.isnan(value):
        return None
    if math.isinf(value):
        raise Unreadable("a score that is no number", f"{value} is not a finite number")
    return value


def reader(cells: Iterable[Any]) -> Callable[[Any], float | None]:
    """How a column of scores is read: as numbers, or as thumbs where every cell is one.

    Args:
        cells: The cells of the column.
    """
    said = [cell for cell in cells if not is_nothing(cell)]
    return _thumb if said and all(_word(cell) in THUMBS for cell in said) else number


def _thumb(cell: Any) -> float | None:
    return None if is_nothing(cell) else THUMBS[_word(cell)]


def _word(cell: Any) -> str:
    return str(cell).strip().lower()
