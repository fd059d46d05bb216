"""Rows that cannot be read: each is left out with its own reason, and too many are refused."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from plt.data.reading.json_rows import MAX_PROBLEMS
from plt.data.reading.raw_files import RawTable
from plt.errors import DataError

MAX_SHARE = 0.05
"""Of the rows of a file; above it the file is another than it was taken for. One row never costs a
file, however small."""


class Unreadable(ValueError):
    """A cell that cannot be read.

    Args:
        reason: Why, the same for every row of the kind; such rows are counted under it.
        detail: The same with what stood there, for messages; by default the reason.
    """

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(detail or reason)
        self.reason = reason


class BadRows:
    """The rows of one raw file that cannot be read.

    Args:
        table: The raw file.
    """

    def __init__(self, table: RawTable) -> None:
        self._table = table
        self._found: dict[int, tuple[str, str]] = {}

    def __contains__(self, row: int) -> bool:
        return row in self._found

    def __len__(self) -> int:
        return len(self._found)

    def add(self, row: int, error: ValueError, name: str = "") -> None:
        """Leaves a row out; its first reason counts.

        Args:
            row: Its position in the file.
            error: Why.
            name: What could not be read.
        """
        reason = error.reason if isinstance(error, Unreadable) else str(error)
        shown = f"{name}: {error}" if name else str(error)
        self._found.setdefault(row, (reason, shown))

    def each(
        self,
        name: str,
        cells: Sequence[Any],
        read: Callable[[Any], Any],
        rows: Iterable[int] | None = None,
    ) -> list[Any]:
        """Applies `read` to every cell; None where it raises ValueError, and the row is left out.

        Args:
            name: What the cells are called in messages.
            cells: Any values.
            read: Raises ValueError for what it refuses.
            rows: The row of each cell; by default the cells are a column.
        """
        found = []
        for row, cell in zip(range(len(cells)) if rows is None else rows, cells, strict=True):
            try:
                found.append(read(cell))
            except ValueError as error:
                self.add(row, error, name)
                found.append(None)
        return found

    def settle(self, *, strict: bool = False) -> dict[str, int]:
        """How many rows are left out, by reason.

        Args:
            strict: Whether one is too many.

        Raises:
            DataError: More than 5 % of the rows (and more than one) are left out, or one with
                `strict`; each is named.
        """
        early = len(self._table.malformed)
        bad, total = len(self._found) + early, self._table.height + early
        if bad and (strict or bad > max(1, MAX_SHARE * total)):
            problems = list(self._table.malformed)
            problems += [
                f"{self._table.where(row)}: {shown}"
                for row, (_, shown) in sorted(self._found.items())
            ]
            rows = "1 row" if bad == 1 else f"{bad} rows"
            raise DataError(
                f"{self._table.name} cannot be converted: {rows} of {total} cannot be read",
                problems=problems[:MAX_PROBLEMS],
            )
        return dict(Counter(reason for reason, _ in self._found.values()))
