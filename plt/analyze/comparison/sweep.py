"""Runs of several training sizes or models as the tables of papers: methods by sizes or models."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from plt.analyze.comparison.compare import Compared, Comparison
from plt.analyze.comparison.entries import Condition
from plt.analyze.intervals.uncertainty import Interval

Pivot: TypeAlias = Literal["auto", "train-size", "model", "none"]
PIVOTS: tuple[Pivot, ...] = get_args(Pivot)


@dataclass(frozen=True)
class SweepTable:
    """Accuracy of each method in each column; all cells are on the same judgements.

    Attributes:
        by: ``train-size`` or ``model``.
        held: What all cells share: a model, a training size, or nothing that varies.
        columns: Labels of the columns.
        rows: Name of a method, and a figure a column; None where there is no such run.
        rows_a_user: Mean training rows of a user, a column; None where nobody wrote it down.
    """

    by: Literal["train-size", "model"]
    held: str | None
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Interval | None, ...]], ...]
    rows_a_user: tuple[float | None, ...]


def sweep_tables(found: Comparison, pivot: Pivot = "auto") -> tuple[SweepTable, ...]:
    """The tables of a sweep.

    Args:
        found: A comparison; the accuracy is the average over users, for data without users that
            over judgements.
        pivot: What the columns are. ``auto`` makes a table of what varies: sizes, models or both.

    Returns:
        One table for each value of what is held, in the order of the runs; none without variation.
        A method without a model (such as `length`) stands in the tables of every model.
    """
    models = _distinct([row.entry.condition.model for row in found.rows])
    conditions = sorted((row.entry.condition for row in found.rows), key=_size_order)
    sizes = list(dict.fromkeys(condition.size for condition in conditions))
    tables = []
    if pivot == "train-size" or (pivot == "auto" and len(sizes) > 1):
        for model in models or (None,):
            rows = [r for r in found.rows if r.entry.condition.model in (model, None)]
            held = model if len(models) > 1 else None
            tables.append(_table("train-size", held, rows))
    if pivot == "model" or (pivot == "auto" and len(models) > 1):
        for size in sizes:
            rows = [r for r in found.rows if r.entry.condition.size == size]
            label = f"{rows[0].entry.condition.size_label} training rows"
            tables.append(_table("model", label if len(sizes) > 1 else None, rows))
    return tuple(tables)


def _distinct(values: Sequence[str | None]) -> list[str]:
    return list(dict.fromkeys(value for value in values if value is not None))


def _table(
    by: Literal["train-size", "model"], held: str | None, rows: Sequence[Compared]
) -> SweepTable:
    label: Callable[[Condition], str | None]
    if by == "train-size":
        order = sorted(rows, key=lambda row: _size_order(row.entry.condition))
        columns = _distinct([row.entry.condition.size_label for row in order])
        label = _size_label
    else:
        columns = _distinct([row.entry.condition.model for row in rows]) or ["-"]
        label = _model
    cells: dict[str, dict[str, Interval]] = {}
    names = _row_names(rows, label)
    for row, name in zip(rows, names, strict=True):
        column = label(row.entry.condition)
        figure = row.macro if row.macro.value is not None else row.pooled
        # Without a model a method is the same under all of them.
        for each in columns if column is None else [column]:
            cells.setdefault(name, {})[each] = figure
    return SweepTable(
        by=by,
        held=held,
        columns=tuple(columns),
        rows=tuple((name, tuple(map(found.get, columns))) for name, found in cells.items()),
        rows_a_user=tuple(_rows_a_user(rows, label, column) for column in columns),
    )


def _size_order(condition: Condition) -> tuple[str, bool, int]:
    size, of = condition.size
    return of or "~", size is None, size or 0


def _size_label(condition: Condition) -> str:
    return condition.size_label


def _model(condition: Condition) -> str | None:
    return condition.model


def _row_names(rows: Sequence[Compared], label: Callable[[Condition], str | None]) -> list[str]:
    """The method of each run, and its run id where one cell would hold two runs of it."""
    cells = Counter((row.entry.method, label(row.entry.condition)) for row in rows)
    twice = {method for (method, _), count in cells.items() if count > 1}
    return [
        f"{row.entry.method} {row.entry.run_id[:6]}"
        if row.entry.method in twice
        else row.entry.method
        for row in rows
    ]


def _rows_a_user(
    rows: Sequence[Compared], label: Callable[[Condition], str | None], column: str
) -> float | None:
    known = [
        row.entry.condition.rows_a_user
        for row in rows
        if label(row.entry.condition) in (column, None)
        and row.entry.condition.rows_a_user is not None
    ]
    return known[0] if known else None
