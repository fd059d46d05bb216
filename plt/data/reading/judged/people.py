"""Who judged, in which group, when, and what they saw first: the row's own facts.

One person has one name however a file writes it: 12, 12.0 and "12" are the user 12, in every
format. A name that went through a float and lost digits is refused, and NaN is nobody.
"""

import datetime as dt
import decimal
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from plt.data.reading.bad_rows import BadRows, Unreadable
from plt.data.reading.field_map import text, values
from plt.data.reading.json_rows import EXACT, MAX_PROBLEMS
from plt.data.reading.raw_files import RawTable
from plt.data.remarks import Say
from plt.errors import DataError

NOTHING = frozenset({"", "nan", "none", "null", "n/a", "na", "<na>", "#n/a", "nat"})
"""Texts, in lower case, that stand for an empty cell."""
WHOLE = re.compile(r"(-?\d+)\.0*")
NUMERIC = re.compile(r"-?\d+(\.\d*)?([eE][-+]?\d+)?")
BROKEN = re.compile(r"-?\d+(\.\d*)?[eE][-+]?\d+|-?\d+\.\d*[1-9]\d*")
SECONDS, MILLISECONDS = 1e8, 1e11
"""Numbers between these are seconds since 1970, numbers above the second milliseconds."""
FIRST_WORDS = {"a": "1", "1": "1", "first": "1", "left": "1",
               "b": "2", "2": "2", "second": "2", "right": "2"}  # fmt: skip


def is_nothing(cell: Any) -> bool:
    """Whether a cell says nothing: None, NaN, or a text that other programs write for them."""
    if isinstance(cell, str):
        return len(cell) < 6 and cell.strip().lower() in NOTHING
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def names_of(table: RawTable, source: str, cells: Sequence[Any], rows: Sequence[int]) -> list[Any]:
    """Names of people or groups as texts, the same for the same name in every file format.

    Args:
        table: The raw file, for messages.
        source: What the cells are called.
        cells: Texts, numbers or booleans; None, NaN and their usual spellings are None.
        rows: The row of each cell.

    Raises:
        DataError: Names have been floating-point numbers that cannot say which name it was, or
            are lists or objects.
    """
    kinds: dict[tuple[type, Any], str | None] = {}
    problems: dict[tuple[type, Any], str] = {}
    keys = [(type(cell), cell if _hashable(cell) else repr(cell)) for cell in cells]
    for key, cell in zip(keys, cells, strict=True):
        if key not in kinds and key not in problems:
            try:
                kinds[key] = _name(cell)
            except ValueError as error:
                problems[key] = str(error)
    written = [key for key in kinds if key[0] is str and kinds[key] is not None]
    if written and all(NUMERIC.fullmatch(key[1].strip()) for key in written):
        for key in written:
            if BROKEN.fullmatch(key[1].strip()) and not WHOLE.fullmatch(key[1].strip()):
                problems[key] = f"{key[1]} was a floating-point number, and no name"
    if {str(key[1]).lower() for key in written} <= {"true", "false"}:
        kinds |= {key: str(key[1]).lower() for key in written}
    if problems:
        shown = [
            f"{table.where(row)}: {source}: {problems[key]}"
            for row, key in zip(rows, keys, strict=True)
            if key in problems
        ]
        raise DataError(
            f"{table.name}: {source} does not name anybody",
            problems=shown[:MAX_PROBLEMS],
            hint="write the names as texts where the file comes from",
        )
    return [kinds[key] for key in keys]


def _hashable(cell: Any) -> bool:
    return not isinstance(cell, (list, Mapping))


def _name(cell: Any) -> str | None:
    if is_nothing(cell):
        return None
    if isinstance(cell, str):
        whole = WHOLE.fullmatch(cell.strip())
        return whole[1] if whole else cell
    if isinstance(cell, float):
        if not cell.is_integer() or abs(cell) >= EXACT:
            raise ValueError(f"{cell} was a floating-point number, and no name")
        return str(int(cell))
    if isinstance(cell, decimal.Decimal):
        if cell != int(cell):
            raise ValueError(f"{cell} is a decimal number, and no name")
        return str(int(cell))
    return text(cell)


def label_texts(table: RawTable, source: str, bad: BadRows) -> list[str | None]:
    """A column of texts that label a row, such as a category; empty cells are None."""

    def read(cell: Any) -> str | None:
        return None if is_nothing(cell) else _label(cell)

    return bad.each(source, values(table, source), read)


def _label(cell: Any) -> str | None:
    if isinstance(cell, list):
        return ", ".join(str(entry) for entry in cell if not is_nothing(entry)) or None
    return text(cell)


def profile_texts(table: RawTable, source: str, bad: BadRows) -> list[str | None]:
    """What people say of themselves: a text, or a list of texts or of objects with a `text`."""

    def read(cell: Any) -> str | None:
        if not isinstance(cell, list):
            return None if is_nothing(cell) else text(cell)
        parts = [entry.get("text") if isinstance(entry, Mapping) else entry for entry in cell]
        return "\n\n".join(text(part) or "" for part in parts) or None

    return bad.each(source, values(table, source), read)


def times(source: str, cells: Sequence[Any], say: Say) -> pl.Series:
    """When each judgement was made, in UTC; what is no time is null, and counted in a remark.

    Args:
        source: What the cells are called.
        cells: Dates, ISO 8601 texts, or seconds or milliseconds since 1970.
        say: Takes the remark.
    """
    found = [_moment(cell) for cell in cells]
    wrong = sum(at is None and not is_nothing(cell) for at, cell in zip(found, cells, strict=True))
    if wrong:
        say(f"{wrong} of {len(cells)} times of {source} cannot be read: left out")
    return pl.Series("judged_at", found, dtype=pl.Datetime("us", "UTC")).dt.cast_time_unit("ms")


def _moment(cell: Any) -> dt.datetime | None:
    if isinstance(cell, dt.datetime):
        return cell if cell.tzinfo else cell.replace(tzinfo=dt.UTC)
    if isinstance(cell, dt.date):
        return dt.datetime(cell.year, cell.month, cell.day, tzinfo=dt.UTC)
    try:
        number = float(cell)
    except (TypeError, ValueError):
        try:
            at = dt.datetime.fromisoformat(str(cell).strip())
        except ValueError:
            return None
        return at if at.tzinfo else at.replace(tzinfo=dt.UTC)
    if not SECONDS < number < MILLISECONDS * 1e3:
        return None
    seconds = number / 1e3 if number >= MILLISECONDS else number
    return dt.datetime.fromtimestamp(seconds, tz=dt.UTC)


def seen_first(
    cells: Sequence[Any], responses: tuple[str, str], sides: Sequence[tuple[Any, Any]]
) -> list[str | None]:
    """Which response was seen first, as ``1`` or ``2``.

    Args:
        cells: ``a``, ``left``, ``1`` and their opposites, the name of a response's column, or the
            name of the model that wrote it.
        responses: The names of the two columns.
        sides: The names of the two models of each row, None where they are not known.

    Returns:
        None where it is not known.
    """
    found: list[str | None] = []
    for cell, (one, two) in zip(cells, sides, strict=True):
        word = "" if is_nothing(cell) else str(text(cell)).strip()
        if word and word in (one, two) and one != two:
            found.append("1" if word == one else "2")
        elif word in responses:
            found.append("1" if word == responses[0] else "2")
        else:
            found.append(FIRST_WORDS.get(word.lower()))
    return found


def flags(source: str, cells: Sequence[Any], rows: Sequence[int], bad: BadRows) -> list[bool]:
    """Whether each judgement was discarded, skipped or never sent.

    Args:
        source: What the cells are called.
        cells: Booleans, or words such as ``submitted`` and ``discarded``.
        rows: The row of each cell.
        bad: Takes the rows with other words.
    """

    def read(cell: Any) -> bool:
        if is_nothing(cell):
            return False
        word = str(text(cell)).strip().lower()
        if word in LEFT_OUT or word in COUNTED:
            return word in LEFT_OUT
        raise Unreadable(f"{word[:40]!r} of {source} does not say whether the judgement counts")

    return [bool(flag) for flag in bad.each(source, cells, read, rows)]


LEFT_OUT = frozenset(
    {"true", "1", "yes", "discarded", "draft", "pending", "skipped", "skip", "cancelled",
     "canceled", "missing", "abandoned", "invalid"}
)  # fmt: skip
COUNTED = frozenset({"false", "0", "no", "submitted", "completed", "done", "valid", "accepted"})
