"""Lists and conversations that stand in cells as their text, as CSV files have them."""

import ast
import json
from dataclasses import replace
from typing import Any

from plt.data.reading.judged.people import is_nothing
from plt.data.reading.raw_files import RawTable
from plt.data.remarks import Say

OPENERS = ("[", "{")


def decoded(table: RawTable, say: Say) -> RawTable:
    """The table with its columns of lists and objects in JSON (or in Python's spelling) read.

    A column is read only if every cell that says something is such a text: a text that merely
    begins with a bracket stays a text.

    Args:
        table: The raw file.
        say: Takes a sentence about what was read so.
    """
    found: dict[str, list[Any]] = {}
    for name, cells in table.columns.items():
        first = next((cell for cell in cells if not is_nothing(cell)), None)
        if not isinstance(first, str) or not first.lstrip().startswith(OPENERS):
            continue
        column = [None if is_nothing(cell) else _decode(cell) for cell in cells]
        if all(
            value is not None or is_nothing(cell) for value, cell in zip(column, cells, strict=True)
        ):
            found[name] = column
    if not found:
        return table
    say(f"read as lists, which stand there as texts: {', '.join(found)}")
    return replace(table, columns={**table.columns, **found})


def _decode(cell: Any) -> Any:
    """The list or object that a text spells; None for everything else."""
    if not isinstance(cell, str) or not cell.lstrip().startswith(OPENERS):
        return None
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        try:
            value = ast.literal_eval(cell.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    if isinstance(value, dict) or (
        isinstance(value, list)
        and value
        and all(isinstance(entry, (str, list, dict, type(None))) for entry in value)
    ):
        return value
    return None
