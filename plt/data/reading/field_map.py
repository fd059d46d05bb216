"""Which column of a raw file is which field: `--map FIELD=SOURCE`, dotted paths, known aliases.

A SOURCE is a column, a dotted path into it (``info.post``, ``summaries.0.text``), a constant
(``=text``, and ``=`` alone for nothing) or several of these separated by commas. A ``*`` stands for
the number, the letter or the position of a response (``response_*``, ``responses.*.text``), and in
a label, a ranking or a user for the position of a judge (``annotations.*.label``).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from plt.data.reading.json_rows import MAX_PROBLEMS
from plt.data.reading.raw_files import RawTable, nearest
from plt.errors import DataError, UsageError

STAR = "*"
NONE_SOURCE = "="
"""``--map user_id==``: the constant that is empty, for what the file does not say."""
FIELDS = (
    "prompt", "system", "history", "response_1", "response_2", "label", "won_1", "won_2", "tied",
    "strength", "chosen", "rejected", "response", "response_name", "score", "rank", "ranking",
    "source", "score_1", "score_2", "source_1", "source_2", "user_id", "discarded", "group",
    "split", "user_split", "subset", "profile", "shown_first", "judged_at", "turn",
)  # fmt: skip
FIELD_SYNONYMS = {
    "response_a": "response_1", "response_b": "response_2", "score_a": "score_1",
    "score_b": "score_2", "source_a": "source_1", "source_b": "source_2", "won_a": "won_1",
    "won_b": "won_2", "responses": "response", "scores": "score", "ranks": "rank",
    "user": "user_id", "tie": "tied",
}  # fmt: skip


def parse_map(items: Sequence[str]) -> dict[str, str]:
    """Reads ``FIELD=SOURCE`` items.

    Args:
        items: As typed after `--map`.

    Returns:
        Field to source, under the field's first name.

    Raises:
        UsageError: An item has no ``=`` or source, or a field is unknown or stands twice.
    """
    found: dict[str, str] = {}
    problems = []
    for item in items:
        name, equals, source = item.partition("=")
        name = FIELD_SYNONYMS.get(name.strip(), name.strip())
        if not equals or not source:
            problems.append(f"{item!r} is not FIELD=SOURCE")
        elif name not in FIELDS:
            close = nearest(name, (*FIELDS, *FIELD_SYNONYMS))
            problems.append(f"{name!r} is no field{close or '; known: ' + ', '.join(FIELDS)}")
        elif name in found:
            problems.append(f"{name} is mapped twice: {found[name]} and {source}")
        else:
            found[name] = source
    if problems:
        raise UsageError(
            "--map cannot be read", problems=problems, hint="--map prompt=COLUMN --map label=COLUMN"
        )
    return found


def split_sources(table: RawTable, source: str) -> list[str]:
    """The sources of a comma list; a column or constant that itself has commas stays whole."""
    if source in table.columns or source.startswith("="):
        return [source]
    return [part.strip() for part in source.split(",") if part.strip()]


def exists(table: RawTable, source: str) -> bool:
    """Whether every part of a source names a column of the table."""
    return all(
        part.startswith("=") or _column_of(table, part) is not None or bool(positions(table, part))
        for part in split_sources(table, source)
    )


def values(table: RawTable, source: str) -> list[Any]:
    """The values of one source (no comma list, no star), one a row; what is not there is None."""
    if source.startswith("="):
        return [source[1:]] * table.height
    found = _column_of(table, source)
    if found is None:
        raise DataError(
            f"{table.name} has no column for {source!r}", problems=[missing(table, source)]
        )
    column, path = found
    cells = table.columns[column]
    for step in path:
        cells = [_step(cell, step) for cell in cells]
    return cells


def missing(table: RawTable, source: str) -> str:
    """A sentence for a source that does not exist: what was found, and the nearest names."""
    first = source.split(".")[0]
    found = ", ".join(table.columns) or "no columns"
    return f"column {source!r} is missing{nearest(first, table.columns)} (found: {found})"


def require(table: RawTable, names: Sequence[str]) -> None:
    """Raises one DataError that names every column which the table lacks."""
    problems = [missing(table, name) for name in names if name not in table.columns]
    if problems:
        raise DataError(f"{table.name} is not in the expected form", problems=problems)


def positions(table: RawTable, source: str) -> list[str]:
    """What a ``*`` stands for: the numbers of the columns that fit, or positions in a list."""
    if STAR not in source:
        return []
    before, _, after = source.partition(STAR)
    ending = re.escape(after.partition(".")[0])
    orders: tuple[tuple[str, Callable[[str], Any]], ...] = ((r"\d+", int), (r"[A-Za-z]", str))
    for mark, order in orders:
        pattern = re.compile(f"{re.escape(before)}({mark}){ending}")
        found = [match[1] for name in table.columns if (match := pattern.fullmatch(name))]
        if found and (order is int or not before.endswith(".")):
            return sorted(found, key=order)
    if not before.endswith(".") or _column_of(table, before[:-1]) is None:
        return []
    lists = values(table, before[:-1])
    longest = max((len(cell) for cell in lists if isinstance(cell, list)), default=0)
    return [str(index) for index in range(longest)]


def _column_of(table: RawTable, source: str) -> tuple[str, tuple[str, ...]] | None:
    """The column that a dotted path begins with (the longest that fits), and the steps from it."""
    steps = source.split(".")
    for end in range(len(steps), 0, -1):
        name = ".".join(steps[:end])
        if name in table.columns:
            return name, tuple(steps[end:])
    return None


def _step(cell: Any, step: str) -> Any:
    if isinstance(cell, Mapping):
        return cell.get(step)
    if isinstance(cell, list) and step.isdigit():
        return cell[int(step)] if int(step) < len(cell) else None
    return None


def walk(cell: Any, path: str) -> Any:
    """What a dotted path leads to inside a cell; an empty path is the cell, None what is absent."""
    for step in filter(None, path.split(".")):
        cell = _step(cell, step)
    return cell


def text(value: Any) -> str | None:
    """A scalar as text; numbers and booleans as JSON writes them, and NaN as nothing.

    Raises:
        ValueError: It is a list or dict.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return None if value != value else json.dumps(value)
    if isinstance(value, (list, Mapping)):
        raise ValueError(f"a text is needed, not {_shape(value)}")
    return str(value)


def _shape(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return f"an object with {', '.join(map(str, list(value)[:4])) or 'nothing'}"


def each(
    table: RawTable,
    name: str,
    cells: Sequence[Any],
    read: Callable[[Any], Any],
    rows: Sequence[int] | None = None,
) -> Iterator[Any]:
    """Applies `read` to every cell and raises one DataError that names every row it refuses.

    Args:
        table: The raw file.
        name: What the cells are called in messages.
        cells: Any values.
        read: Raises ValueError for what it refuses.
        rows: The row of each cell; by default the cells are a column.
    """
    problems: list[str] = []
    for row, cell in zip(rows or range(len(cells)), cells, strict=True):
        try:
            yield read(cell)
        except ValueError as error:
            if len(problems) < MAX_PROBLEMS:
                problems.append(f"{table.where(row)}: {name}: {error}")
            yield None
    if problems:
        raise DataError(f"{table.name} cannot be converted", problems=problems)


def texts(table: RawTable, source: str, name: str) -> list[str | None]:
    """The values of a source as texts; lists and dicts are refused with their rows."""
    return list(each(table, name, values(table, source), text))
