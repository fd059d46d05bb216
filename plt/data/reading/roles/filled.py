"""How much of each field a raw file fills, and with how many different values."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from plt.data.reading.field_map import STAR, positions, split_sources, values, walk
from plt.data.reading.judged.people import is_nothing
from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import FilePlan


@dataclass(frozen=True)
class Filled:
    """A field of a plan.

    Attributes:
        field: Its name.
        source: Where it stands in the file.
        filled: Share of its cells that say something; 0 where there are none.
        distinct: Number of different values.
    """

    field: str
    source: str
    filled: float
    distinct: int

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


def filled(table: RawTable, plan: FilePlan) -> list[Filled]:
    """Every field of a plan, in its order."""
    found = []
    for name, source in plan.sources.items():
        total, there, distinct = 0, 0, set()
        for part in split_sources(table, source):
            for cell in _cells(table, part):
                total += 1
                if not is_nothing(cell) and cell not in ([], {}):
                    there += 1
                    distinct.add(cell if isinstance(cell, str) else json.dumps(cell, default=str))
        found.append(Filled(name, source, there / total if total else 0.0, len(distinct)))
    return found


def _cells(table: RawTable, source: str) -> Iterator[Any]:
    if STAR not in source:
        yield from values(table, source)
        return
    before, _, after = source.partition(STAR)
    if before.endswith("."):
        for cell in values(table, before[:-1]):
            for item in cell if isinstance(cell, list) else ():
                yield walk(item, after.lstrip("."))
        return
    for mark in positions(table, source):
        yield from values(table, source.replace(STAR, mark))
