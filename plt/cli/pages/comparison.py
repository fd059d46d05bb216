"""A comparison of runs as tables and as the object of ``--json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from plt.analyze.intervals.figures import (
    MISSING,
    difference_json,
    interval_json,
    number,
    p_value,
    points,
    with_interval,
)
from plt.cli.shell.streams import Block, Line, Table

if TYPE_CHECKING:
    from plt.analyze.comparison.compare import Comparison
    from plt.analyze.comparison.entries import Entry
    from plt.analyze.comparison.sweep import SweepTable
    from plt.analyze.intervals.uncertainty import Interval
    from plt.analyze.scores.implicit_accuracy import ImplicitAccuracy

ACCURACY_COLUMNS = (
    "method", "accuracy by user", "pooled", "worst tenth", "worst user", "log loss", "AUC",
)  # fmt: skip
MINORITY_COLUMN = "minority users"
GAIN_COLUMNS = (
    "method", "gain (points)", "p (Holm)", "gain with the wrong user", "gain with shuffled ids",
    "share of users made worse",
)  # fmt: skip

IMPLICIT_FIGURES = ("top", "generic", "majority", "minority")


def comparison_blocks(found: Comparison) -> tuple[Block, ...]:
    """Accuracies, reference lines, gains and the verdict, for a person."""
    minorities = any(row.minority.value is not None for row in found.rows)
    columns = ACCURACY_COLUMNS + ((MINORITY_COLUMN,) if minorities else ())
    rows = [
        (
            row.entry.name,
            with_interval(row.macro),
            with_interval(row.pooled),
            number(row.worst_decile.value),
            number(row.worst.value),
            number(row.log_loss.value),
            number(row.auc.value),
            *((with_interval(row.minority),) if minorities else ()),
        )
        for row in found.rows
    ]
    rows += [
        (f"({name})", "-", with_interval(line), *["-"] * (len(columns) - 3))
        for name, line in found.majority.items()
    ]
    blocks: list[Block] = [Table(columns, tuple(rows), numeric=frozenset(columns[1:]))]
    if found.baseline is not None:
        gains = tuple(
            (
                row.entry.name,
                points(row.gain),
                p_value(row.gain_p),
                points(row.wrong_user),
                points(row.shuffled_ids),
                MISSING if row.made_worse is None else with_interval(row.made_worse),
            )
            for row in found.rows
            if row.gain is not None
        )
        title = f"gain over {found.baseline}, accuracy by user"
        blocks.append(Table(GAIN_COLUMNS, gains, title, frozenset(GAIN_COLUMNS[1:])))
    blocks += [Line(sentence) for sentence in _notes(found)]
    return (*blocks, Line(found.verdict))


def sweep_blocks(tables: Sequence[SweepTable]) -> tuple[Block, ...]:
    """Accuracies by training size or model, one block a table."""
    blocks = []
    for table in tables:
        what = "training rows" if table.by == "train-size" else "model"
        title = f"accuracy by user, by {what}" + (f"; {table.held}" if table.held else "")
        columns = ("method", *table.columns)
        rows = [
            (name, *(MISSING if cell is None else with_interval(cell) for cell in cells))
            for name, cells in table.rows
        ]
        if any(value is not None for value in table.rows_a_user):
            rows.append(("(training rows a user)", *(number(v, 1) for v in table.rows_a_user)))
        blocks.append(Table(columns, tuple(rows), title, frozenset(columns[1:])))
    return tuple(blocks)


def novelty_blocks(found: Comparison, apart: Mapping[str, Comparison]) -> tuple[Block, ...]:
    """Accuracies on each kind of novelty side by side.

    Args:
        found: The whole comparison; its `novelty` counts the judgements.
        apart: Kind of novelty to the comparison on those judgements alone.
    """
    if not apart:
        why = "What was new to the models is not known, or differs between these runs."
        return (Line(why),)
    columns = ("method", *(f"{kind} ({found.novelty[kind]})" for kind in apart))
    rows = tuple(
        (row.entry.name, *(with_interval(part.rows[i].macro) for part in apart.values()))
        for i, row in enumerate(found.rows)
    )
    title = "accuracy by user, by what was not in the training rows (judgements)"
    return (Table(columns, rows, title, frozenset(columns[1:])),)


def implicit_blocks(found: Mapping[str, ImplicitAccuracy]) -> tuple[Block, ...]:
    """The accuracies of P-RLHF side by side, in per cent; name of the entry to its figures."""
    columns = ("method", *IMPLICIT_FIGURES)
    rows = tuple(
        (name, *(_percent_and_error(getattr(each, figure)) for figure in IMPLICIT_FIGURES))
        for name, each in found.items()
    )
    title = "accuracies of P-RLHF (C.3), s.e. in brackets: seen users as themselves; unseen users"
    title += " as nobody; means over the seen users of either kind"
    return (Table(columns, rows, title, frozenset(columns[1:])),)


def implicit_json(found: Mapping[str, ImplicitAccuracy]) -> dict[str, Any]:
    """The accuracies of P-RLHF as ``--json`` prints them."""
    return {
        name: {
            figure: interval_json(getattr(each, figure)) | {"se": getattr(each, figure).se}
            for figure in IMPLICIT_FIGURES
        }
        for name, each in found.items()
    }


def _percent_and_error(figure: Interval) -> str:
    if figure.value is None:
        return MISSING
    error = MISSING if figure.se is None else f"{100 * figure.se:.1f}"
    return f"{100 * figure.value:.1f} ({error})"


def user_blocks(entries: Sequence[Entry], split: str, kind: str | None) -> tuple[Block, ...]:
    """Each person's accuracy with its interval, one table an entry."""
    from plt.analyze.comparison.compare import user_table

    columns = ("user", "accuracy", "95 % interval", "judgements")
    blocks = []
    for entry in entries:
        table = user_table(entry, (split,), kind)
        rows = tuple(
            (user, f"{value:.3f}", f"[{low:.3f}, {high:.3f}]", str(n))
            for user, value, low, high, n in table.iter_rows()
        )
        title = f"{entry.name}: each user, Wilson on the effective number of groups"
        blocks.append(Table(columns, rows, title, frozenset(columns[1:])))
    return tuple(blocks)


def _notes(found: Comparison) -> list[str]:
    first = found.rows[0]
    judged = found.n_shared - found.n_ties
    users = "no users" if first.macro.n_users is None else f"{first.macro.n_users} users"
    notes = [
        f"{judged} judgements of {users} in {first.pooled.n_groups} groups; {found.n_ties} ties"
        f" left out; 95 % intervals, target {first.pooled.target}."
    ]
    if len(found.novelty) > 1:
        parts = ", ".join(f"{count} of a {kind}" for kind, count in found.novelty.items())
        notes.append(f"Judgements by what was not in training rows: {parts} (--by-novelty).")
    if found.n_left_out:
        notes.append(f"{found.n_left_out} judgements that only some runs scored are left out.")
    for row in found.rows:
        if row.zero_margins and row.entry.method != "random":
            share = f"{100 * row.zero_margins:.1f} %"
            notes.append(f"{row.entry.name}: {share} of margins are exactly 0, counted as wrong.")
    notes += [f"Footnote: {note}." for note in _footnotes(found)]
    return notes


def _footnotes(found: Comparison) -> list[str]:
    return sorted({row.entry.footnote for row in found.rows if row.entry.footnote})


def comparison_json(found: Comparison) -> dict[str, Any]:
    """The comparison as ``--json`` prints it."""
    return {
        "baseline": found.baseline,
        "n_judgements": found.n_shared,
        "n_ties": found.n_ties,
        "n_left_out": found.n_left_out,
        "rows": [
            {
                "name": row.entry.name,
                "method": row.entry.method,
                "run_id": row.entry.run_id,
                "accuracy": {
                    "user": interval_json(row.macro),
                    "pair": interval_json(row.pooled),
                    "worst_user": interval_json(row.worst),
                    "worst_decile": interval_json(row.worst_decile),
                    "minority_users": interval_json(row.minority),
                },
                "condition": asdict(row.entry.condition),
                "log_loss": interval_json(row.log_loss),
                "auc": interval_json(row.auc),
                "zero_margins": row.zero_margins,
                "gain": difference_json(row.gain, row.gain_p),
                "gain_with_wrong_user": difference_json(row.wrong_user, None),
                "gain_with_shuffled_ids": difference_json(row.shuffled_ids, None),
                "made_worse": None if row.made_worse is None else interval_json(row.made_worse),
            }
            for row in found.rows
        ],
        "novelty": found.novelty,
        "majority": {name: interval_json(line) for name, line in found.majority.items()},
        "footnotes": _footnotes(found),
        "verdict": found.verdict,
    }


def sweep_json(tables: Sequence[SweepTable]) -> list[dict[str, Any]]:
    """The tables of a sweep as ``--json`` prints them."""
    return [
        {
            "by": table.by,
            "held": table.held,
            "columns": list(table.columns),
            "rows_a_user": list(table.rows_a_user),
            "rows": [
                {
                    "method": name,
                    "accuracy": [None if cell is None else interval_json(cell) for cell in cells],
                }
                for name, cells in table.rows
            ],
        }
        for table in tables
    ]


def novelty_json(apart: Mapping[str, Comparison]) -> dict[str, Any]:
    """Accuracies on each kind of novelty as ``--json`` prints them."""
    return {
        kind: {row.entry.name: interval_json(row.macro) for row in part.rows}
        for kind, part in apart.items()
    }
