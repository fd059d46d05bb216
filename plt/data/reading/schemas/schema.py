"""What a public schema is to the reader: how it is recognised, and what its columns mean."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from plt.data.reading.judged.people import is_nothing
from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import Known


def _as_it_is(table: RawTable) -> RawTable:
    return table


@dataclass(frozen=True)
class Schema:
    """A public schema.

    Attributes:
        title: Its name, as people know it.
        marks: The columns that it is recognised by, in words.
        fits: Whether a file has them.
        known: What they mean, in the rows as `rebuilt` gives them.
        rebuilt: The rows of a file whose judgements do not stand in rows, or not in columns.
    """

    title: str
    marks: str
    fits: Callable[[RawTable], bool]
    known: Callable[[RawTable], Known]
    rebuilt: Callable[[RawTable], RawTable] = _as_it_is


def has(table: RawTable, *names: str) -> bool:
    """Whether all columns are there."""
    return set(names) <= set(table.columns)


def present(table: RawTable, sources: Mapping[str, str]) -> dict[str, str]:
    """Those of some columns that are there, by field."""
    return {name: column for name, column in sources.items() if column in table.columns}


def seen(table: RawTable, name: str) -> Any:
    """The first value of a column that says something; None without the column."""
    cells = table.columns.get(name, ())
    return next((cell for cell in cells if not is_nothing(cell) and cell not in ([], {})), None)


def entry(table: RawTable, name: str) -> Mapping[str, Any]:
    """The first object in the lists of a column; empty where there is none."""
    cell = seen(table, name)
    if isinstance(cell, Mapping):
        lists = {key: value for key, value in cell.items() if isinstance(value, list) and value}
        return {key: value[0] for key, value in lists.items()} if lists else cell
    first = cell[0] if isinstance(cell, list) else None
    return first if isinstance(first, Mapping) else {}


def with_columns(table: RawTable, columns: Mapping[str, list[Any]]) -> RawTable:
    """The same rows with further columns."""
    return replace(table, columns={**table.columns, **columns})


def with_rows(table: RawTable, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> RawTable:
    """Other rows out of the same file."""
    columns = {name: [row.get(name) for row in rows] for name in names}
    return replace(table, columns=columns, height=len(rows), lines=None)
