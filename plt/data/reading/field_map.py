"""Which column of a raw file is which field: `--map FIELD=SOURCE`, dotted paths, known aliases.

A SOURCE is a column, a dotted path into it (``info.post``, ``summaries.0.text``), a constant
(``=text``) or several of these separated by commas. A ``*`` stands for the number or the position
of a response: ``response_*``, ``responses.*.text``.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plt.data.reading.json_rows import MAX_PROBLEMS
from plt.data.reading.raw_files import RawTable, nearest
from plt.errors import DataError, UsageError

STAR = "*"
FIELDS = (
    "prompt", "response_1", "response_2", "label", "chosen", "rejected", "response", "score",
    "source", "score_1", "score_2", "source_1", "source_2", "user_id", "group", "split",
    "user_split", "subset", "profile",
)  # fmt: skip
FIELD_SYNONYMS = {
    "response_a": "response_1", "response_b": "response_2", "score_a": "score_1",
    "score_b": "score_2", "source_a": "source_1", "source_b": "source_2",
    "responses": "response", "scores": "score", "user": "user_id",
}  # fmt: skip
ALIASES = {
    "prompt": ("prompt", "question", "instruction", "query", "input", "context"),
    "chosen": ("chosen",),
    "rejected": ("rejected",),
    "label": ("label", "choice", "preference", "preferred", "winner"),
    "response": ("response", "completion", "answer", "output"),
    "score": ("score", "rating", "reward"),
    "source": ("source", "model", "model_name", "system"),
    "user_id": (
        "user_id", "user", "uid", "annotator", "annotator_id", "worker", "worker_id", "rater",
        "rater_id", "labeler", "labeler_id", "judge", "evaluator",
    ),
    "group": ("group", "conversation_id"),
    "split": ("split",),
    "user_split": ("user_split",),
    "subset": ("subset", "category"),
    "profile": ("profile", "user_profile"),
}  # fmt: skip
RESPONSE_PAIRS = (
    ("response_1", "response_2"), ("response_a", "response_b"), ("response1", "response2"),
    ("answer_a", "answer_b"), ("answer_1", "answer_2"), ("completion_a", "completion_b"),
    ("completion_1", "completion_2"), ("output_1", "output_2"), ("output_a", "output_b"),
)  # fmt: skip
SIDE_ALIASES = {
    "score": ("score_{}", "{}_score", "rating_{}", "score{}"),
    "source": ("source_{}", "{}_model", "model_{}", "{}_source"),
}


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
    pattern = re.compile(re.escape(before) + r"(\d+)" + re.escape(after.partition(".")[0]))
    numbers = [match[1] for name in table.columns if (match := pattern.fullmatch(name))]
    if numbers:
        return sorted(numbers, key=int)
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


@dataclass(frozen=True)
class Cells:
    """Judgements as cells: which row, who judged (None where the row says it), what."""

    rows: list[int]
    users: list[str] | None
    values: list[Any]


def judgements(table: RawTable, source: str, star: str | None = None) -> Cells:
    """The cells of a label or score source.

    Several sources, or cells that are dicts, are several users: each user is named by the column
    (without the response it belongs to) or by the key of the dict.

    Args:
        table: The raw file.
        source: The source, possibly a comma list.
        star: What stands for ``*``, for one response of several.

    Returns:
        The cells, row by row; dict keys without a value are left out.
    """
    parts = split_sources(table, source)
    columns = []
    for part in parts:
        name = part if star is None else part.replace(STAR, star)
        columns.append(values(table, name) if exists(table, name) else [None] * table.height)
    if len(parts) == 1:
        if not any(isinstance(cell, Mapping) for cell in columns[0]):
            return Cells(list(range(table.height)), None, columns[0])
        return _by_key(columns[0])
    users = [_user_name(part) for part in parts]
    rows = [row for row in range(table.height) for _ in parts]
    cells = [column[row] for row in range(table.height) for column in columns]
    return Cells(rows, users * table.height, cells)


def _by_key(column: Sequence[Any]) -> Cells:
    rows, users, found = [], [], []
    for row, cell in enumerate(column):
        for user, value in cell.items() if isinstance(cell, Mapping) else ():
            if value is not None:
                rows.append(row)
                users.append(user)
                found.append(value)
    return Cells(rows, users, found)


def _user_name(source: str) -> str:
    """`response_*_judge` and `judge.*` name the user `judge`; a plain column names itself."""
    return source.partition(STAR)[2].strip("._") or source.partition(STAR)[0].strip("._") or source


def text(value: Any) -> str | None:
    """A scalar as text; numbers and booleans as JSON writes them.

    Raises:
        ValueError: It is a list or dict.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
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
