"""Where the rows stand in a JSON document: lists, pandas' orients, server replies, splits."""

from collections.abc import Mapping, Sequence
from typing import Any

from plt.errors import DataError

LISTS = frozenset(
    {
        "data", "rows", "examples", "records", "items", "results", "tasks", "instances", "entries",
        "samples", "preferences", "comparisons", "votes", "pairs",
    }
)  # fmt: skip
SPLIT_KEYS = frozenset({"train", "test", "validation", "val", "valid", "dev", "eval"})
MAX_KEYS_NAMED = 8


def rows_of(document: Any, name: str) -> list[Any]:
    """The rows of a JSON document.

    Args:
        document: A list; or an object that holds one list of rows under a usual name, rows as the
            datasets server sends them (``rows[*].row``), splits (``train``, ``test``, whose name
            becomes the column `split`), a table in one of pandas' orients, or that is one row.
        name: How the file is called in messages.

    Returns:
        The rows; they may be of any type where the document is a list.

    Raises:
        DataError: It is an object in which rows cannot be told from other things.
    """
    if isinstance(document, list):
        return document
    if not isinstance(document, Mapping):
        raise DataError(f"{name} is one JSON value, not a list of rows")
    for find in (_server_reply, _pandas_split, _splits, _one_list, _by_index, _by_column):
        if (rows := find(document)) is not None:
            return rows
    if is_row(document):
        return [document]
    keys = ", ".join(list(document)[:MAX_KEYS_NAMED])
    hint = f"jq -c '.[\"{next(iter(document), 'KEY')}\"][]' {name} > rows.jsonl"
    if len(document) > 1 and all(_are_rows(value) for value in document.values()):
        hint = (
            f"jq -c 'to_entries[] | {{key: .key}} + .value[]' {name} > rows.jsonl"
            " (then --map user_id=key where the keys are people)"
        )
    raise DataError(f"{name} is one JSON object with keys {keys}, not a list of rows", hint=hint)


def is_row(document: Mapping[str, Any]) -> bool:
    """Whether an object is one row, and no table: it has a scalar or a conversation in it."""
    if any(find(document) is not None for find in (_server_reply, _pandas_split, _splits)):
        return False
    if _one_list(document) is not None or _by_index(document) is not None:
        return False
    if _by_column(document) is not None:
        return False
    scalar = (str, int, float, type(None))
    return any(isinstance(value, scalar) or _is_conversation(value) for value in document.values())


def _is_conversation(value: Any) -> bool:
    entries = value if isinstance(value, list) else [value]
    return bool(entries) and all(
        isinstance(entry, Mapping) and ({"role", "content"} <= set(entry) or "from" in entry)
        for entry in entries
    )


def _are_rows(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(row, Mapping) for row in value)
        and not _is_conversation(value)
    )


def _server_reply(document: Mapping[str, Any]) -> list[Any] | None:
    rows: Any = document.get("rows")
    if not _are_rows(rows) or not all(isinstance(row.get("row"), Mapping) for row in rows):
        return None
    return [row["row"] for row in rows]


def _pandas_split(document: Mapping[str, Any]) -> list[Any] | None:
    names, rows = document.get("columns"), document.get("data")
    if not isinstance(names, list) or not isinstance(rows, list):
        return None
    if not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        return None
    return [dict(zip(map(str, names), row, strict=True)) for row in rows]


def _splits(document: Mapping[str, Any]) -> list[Any] | None:
    if not document or not all(
        key.lower() in SPLIT_KEYS and (_are_rows(value) or value == [])
        for key, value in document.items()
    ):
        return None
    return [{"split": key, **row} for key, rows in document.items() for row in rows]


def _one_list(document: Mapping[str, Any]) -> list[Any] | None:
    lists = [key for key, value in document.items() if _are_rows(value)]
    if len(lists) == 1 and lists[0].lower() in LISTS:
        rows: list[Any] = document[lists[0]]
        return rows
    return None


def _by_index(document: Mapping[str, Any]) -> list[Any] | None:
    values = list(document.values())
    if not values or not all(key.isdigit() for key in document):
        return None
    return values if _are_rows(values) else None


def _by_column(document: Mapping[str, Any]) -> list[Any] | None:
    """Columns as objects from index to value, or as lists of equal length without any object."""
    cells = list(document.values())
    if len(cells) < 2:
        return None
    if all(isinstance(column, Mapping) for column in cells):
        keys = list(cells[0])
        if not keys or not all(key.isdigit() for key in keys):
            return None
        if not all(set(column) == set(keys) for column in cells):
            return None
        return _transposed(document, [[column[key] for key in keys] for column in cells])
    plain = (str, int, float, type(None))
    flat = all(isinstance(c, list) and all(isinstance(v, plain) for v in c) for c in cells)
    if flat and len(set(map(len, cells))) == 1 and cells[0]:
        return _transposed(document, cells)
    return None


def _transposed(document: Mapping[str, Any], columns: Sequence[Sequence[Any]]) -> list[Any]:
    names = list(document)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
