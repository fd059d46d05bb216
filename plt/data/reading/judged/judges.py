"""Judgements out of rows: one a row, or several where judges stand in lists, objects or columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from plt.data.reading.bad_rows import BadRows
from plt.data.reading.field_map import STAR, exists, positions, split_sources, values, walk
from plt.data.reading.judged.people import flags, names_of
from plt.data.reading.raw_files import RawTable
from plt.data.remarks import Say
from plt.errors import UsageError

DISCARDED = "discarded or skipped judgement"
SELECTION = frozenset({"selected", "choices", "value", "label", "type"})
"""Keys of an object that is one judgement."""
IN_STEP = ("strength", "discarded", "judged_at", "shown_first")


@dataclass(frozen=True)
class Cells:
    """Judgements as cells: which row, who judged, what.

    Attributes:
        rows: The row of each cell.
        users: Their names; None where the row says who judged.
        values: What stands there.
        beside: Further cells that belong to each judgement, by field.
    """

    rows: list[int]
    users: list[str | None] | None
    values: list[Any]
    beside: Mapping[str, list[Any]] = field(default_factory=dict)


def judgements(
    table: RawTable, sources: Mapping[str, str], source: str, say: Say, bad: BadRows
) -> tuple[Cells, dict[str, int]]:
    """The judgements of a label, ranking or score source.

    A ``*`` in it explodes a list; `user_id`, `strength`, `discarded` and `judged_at` that have a
    ``*`` too are taken in step. Cells that are objects are judgements by their keys. Several
    sources are several users, each named by the column; a position in a list is nobody.

    Args:
        table: The raw file.
        sources: Field to source.
        source: The source, possibly a comma list.
        say: Takes remarks.
        bad: Takes the rows that cannot be read.

    Returns:
        The cells, row by row, and how many were discarded.

    Raises:
        UsageError: The users are named twice, or lists are of another shape than their judges.
    """
    parts = split_sources(table, source)
    users = split_sources(table, sources["user_id"]) if "user_id" in sources else []
    if _in_lists(table, parts, users):
        found = _exploded(table, sources, parts, users, say)
    elif len(parts) > 1:
        found = _columns(table, parts, users, say)
    elif any(_by_people(cell) for cell in values(table, parts[0])):
        found = _by_key(values(table, parts[0]))
        if "user_id" in sources:
            _refuse_two_users()
    else:
        found = Cells(list(range(table.height)), None, values(table, parts[0]))
    found = _with_row_fields(table, sources, found)
    return _counted(found, sources, bad)


def _by_people(cell: Any) -> bool:
    """Whether an object holds a judgement a person, and not one selection."""
    return isinstance(cell, Mapping) and not set(cell) <= SELECTION


def _in_lists(table: RawTable, parts: Sequence[str], users: Sequence[str]) -> bool:
    if any(STAR in part for part in parts):
        return True
    if len(parts) != 1 or len(users) != 1 or users[0].startswith("="):
        return False
    if STAR in users[0]:
        return True
    return any(isinstance(cell, list) for cell in values(table, users[0]))


def _lists(table: RawTable, source: str) -> list[list[Any]]:
    """What each row has at the places of the ``*``; a list without one is its own."""
    before, _, after = source.partition(STAR)
    if STAR in source and not before.endswith("."):
        marks = positions(table, source)
        columns = [values(table, source.replace(STAR, mark)) for mark in marks]
        return [[column[row] for column in columns] for row in range(table.height)]
    return [_items(cell, after) for cell in values(table, before.rstrip("."))]


def _items(cell: Any, after: str) -> list[Any]:
    if isinstance(cell, Mapping) and cell and all(isinstance(v, list) for v in cell.values()):
        # `datasets` stores a list of objects as an object of lists.
        rows = zip(*cell.values(), strict=False)
        cell = [dict(zip(cell, row, strict=True)) for row in rows]
    items = cell if isinstance(cell, list) else [] if cell is None else [cell]
    return [walk(item, after.lstrip(".")) for item in items]


def _exploded(
    table: RawTable,
    sources: Mapping[str, str],
    parts: Sequence[str],
    users: Sequence[str],
    say: Say,
) -> Cells:
    columns = [_lists(table, part) for part in parts]
    named = [_lists(table, part) for part in users if _is_list(table, part)]
    if named and len(named) != len(columns):
        raise UsageError(
            f"{len(parts)} lists of judgements and {len(named)} of users do not go together",
            hint="name one list of users for each list of judgements, in the same order",
        )
    extra = {name: _step_lists(table, sources.get(name), len(parts)) for name in IN_STEP}
    rows: list[int] = []
    found: list[Any] = []
    people: list[Any] = []
    beside: dict[str, list[Any]] = {name: [] for name, lists in extra.items() if lists}
    for row in range(table.height):
        for place, column in enumerate(columns):
            for index, cell in enumerate(column[row]):
                rows.append(row)
                found.append(cell)
                if named:
                    people.append(_at(named[place][row], index))
                for name, cells in beside.items():
                    cells.append(_at(extra[name][place][row], index))
    if named:
        names = names_of(table, sources["user_id"], people, rows)
        return Cells(rows, names, found, beside)
    if "user_id" not in sources:
        say(
            f"the judges of {','.join(parts)} have no names: a position in a list is nobody;"
            " --map user_id=LIST.*.NAME says who"
        )
    return Cells(rows, None, found, beside)


def _is_list(table: RawTable, source: str) -> bool:
    if source.startswith("="):
        return False
    return STAR in source or any(isinstance(cell, list) for cell in values(table, source))


def _at(items: Sequence[Any], index: int) -> Any:
    return items[index] if index < len(items) else None


def _step_lists(table: RawTable, source: str | None, count: int) -> list[list[list[Any]]]:
    if source is None:
        return []
    parts = split_sources(table, source)
    if len(parts) != count or not all(_is_list(table, part) for part in parts):
        return []
    return [_lists(table, part) for part in parts]


def ratings_at(table: RawTable, source: str, star: str | None) -> Cells:
    """The scores of one response of each row: of one user a row, or of several.

    Args:
        table: The raw file.
        source: Columns, each one user where they are several; cells that are objects hold a score
            a user.
        star: What stands for the ``*``; None where there is none.
    """
    parts = split_sources(table, source)
    names = [part if star is None else part.replace(STAR, star) for part in parts]
    columns = [
        values(table, name) if exists(table, name) else [None] * table.height for name in names
    ]
    if len(parts) == 1:
        if any(isinstance(cell, Mapping) for cell in columns[0]):
            return _by_key(columns[0])
        return Cells(list(range(table.height)), None, columns[0])
    users: list[str | None] = [column_user(part) for part in parts]
    rows = [row for row in range(table.height) for _ in parts]
    cells = [column[row] for row in range(table.height) for column in columns]
    return Cells(rows, users * table.height, cells)


def _columns(table: RawTable, parts: Sequence[str], users: Sequence[str], say: Say) -> Cells:
    """Several columns: each is one user, unless other columns say who judged in each."""
    columns = [
        values(table, part) if exists(table, part) else [None] * table.height for part in parts
    ]
    rows = [row for row in range(table.height) for _ in parts]
    cells = [column[row] for row in range(table.height) for column in columns]
    if users and len(users) == len(parts):
        named = [values(table, part) for part in users]
        people = [column[row] for row in range(table.height) for column in named]
        return Cells(rows, names_of(table, ",".join(users), people, rows), cells)
    if users:
        _refuse_two_users()
    if all(any(step.isdigit() for step in part.split(".")[1:]) for part in parts):
        say(f"{', '.join(parts)} are positions in a list, and a position is nobody")
        return Cells(rows, [None] * len(rows), cells)
    names: list[str | None] = [column_user(part) for part in parts]
    say(f"each of {', '.join(parts)} is read as one user, named after its column")
    return Cells(rows, names * table.height, cells)


def _by_key(column: Sequence[Any]) -> Cells:
    rows: list[int] = []
    users: list[str | None] = []
    found: list[Any] = []
    for row, cell in enumerate(column):
        for user, value in cell.items() if isinstance(cell, Mapping) else ():
            if value is not None:
                rows.append(row)
                users.append(user)
                found.append(value)
    return Cells(rows, users, found)


def column_user(source: str) -> str:
    """`response_*_judge` and `judge.*` name the user `judge`; a plain column names itself."""
    return source.partition(STAR)[2].strip("._") or source.partition(STAR)[0].strip("._") or source


def _refuse_two_users() -> None:
    raise UsageError(
        "the users are named twice: by --map user_id and by several label or score columns",
        hint="leave --map user_id out",
    )


def _with_row_fields(table: RawTable, sources: Mapping[str, str], found: Cells) -> Cells:
    """What belongs to each judgement and stands once a row."""
    beside = dict(found.beside)
    for name in IN_STEP:
        if name in sources and name not in beside:
            cells = values(table, sources[name])
            beside[name] = [cells[row] for row in found.rows]
    return Cells(found.rows, found.users, found.values, beside)


def _counted(
    found: Cells, sources: Mapping[str, str], bad: BadRows
) -> tuple[Cells, dict[str, int]]:
    """The judgements that were not discarded, and how many were."""
    if "discarded" not in found.beside:
        return found, {}
    out = flags(sources["discarded"], found.beside["discarded"], found.rows, bad)
    kept = [place for place, flag in enumerate(out) if not flag]

    def take(cells: Sequence[Any]) -> list[Any]:
        return [cells[place] for place in kept]

    users = None if found.users is None else take(found.users)
    beside = {name: take(cells) for name, cells in found.beside.items() if name != "discarded"}
    cells = Cells(take(found.rows), users, take(found.values), beside)
    return cells, {DISCARDED: len(out) - len(kept)}
