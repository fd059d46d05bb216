"""A comparison of runs as tables and as the object of ``--json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from plt.analyze.intervals.claims import about
from plt.analyze.intervals.figures import (
    MISSING,
    interval_json,
    number,
    with_interval,
)
from plt.cli.pages.gains import gain_json, gain_notes, gain_table
from plt.cli.shell.streams import Block, Line, Table

if TYPE_CHECKING:
    from plt.analyze.comparison.compare import Comparison
    from plt.analyze.comparison.sweep import SweepTable
    from plt.analyze.intervals.uncertainty import Interval
    from plt.analyze.scores.implicit_accuracy import ImplicitAccuracy

ACCURACY_COLUMNS = (
    "method", "accuracy by user", "pooled", "worst tenth", "worst user", "log loss", "AUC",
)  # fmt: skip
SHOWN = 0.0005
"""A share of undecided judgements that is not rounded to 0.0 %."""
MINORITY_COLUMN = "minority users"
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
            with_interval(row.worst_decile),
            with_interval(row.worst),
            with_interval(row.log_loss),
            with_interval(row.auc),
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
        blocks.append(gain_table(found))
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
    title = "accuracy by user, by what was not in the training rows (judgements); a description"
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


def _notes(found: Comparison) -> list[str]:
    first = found.rows[0]
    judged = found.n_shared - found.n_ties
    n_users = first.macro.n_users
    users = "no users" if n_users is None else f"{n_users} users"
    notes = [
        f"{judged} judgements of {users} in {first.pooled.n_groups} groups; {found.n_ties} ties"
        f" left out; 95 % intervals, about {found.ground.about}; worst user and worst tenth about"
        f" {about('these-users')}."
    ]
    if first.pooled.target != found.ground.target:
        notes.append(f"Figures over judgements are about {about(first.pooled.target, n_users)}.")
    if any(row.gain is not None for row in found.rows):
        notes.append(
            "Intervals and p of a column of gains hold for all its rows together. Users harmed: by"
            " more than 2 points, at a false discovery rate of 10 % (about one in ten of them"
            f" wrongly), and how many at least (95 %){_reach(found)}."
        )
    notes += found.ground.caveats
    if len(found.novelty) > 1:
        parts = ", ".join(f"{count} of a {kind}" for kind, count in found.novelty.items())
        notes.append(f"Judgements by what was not in training rows: {parts} (--by-novelty).")
    if found.n_left_out:
        notes.append(f"{found.n_left_out} judgements that only some runs scored are left out.")
    for row in found.rows:
        if row.undecided and row.undecided >= SHOWN:
            share = f"{100 * row.undecided:.1f} %"
            notes.append(
                f"{row.entry.name}: undecided on {share} of judgements, each one half right."
            )
    for names in found.same_answers:
        notes.append(f"{', '.join(names)} give the same answers on every judgement.")
    for row in found.rows:
        notes += [] if row.gain is None else gain_notes(row.gain)
    notes += [f"Footnote: {note}." for note in _footnotes(found)]
    return notes


def _reach(found: Comparison) -> str:
    """How badly the middle user must be served to be named at all."""
    first = next(row.gain.harmed for row in found.rows if row.gain is not None)
    if first is None or not first.n_tested:
        return ""
    n = first.median_prompts
    if first.named_from is None:
        return f"; a user with {n} prompts, the median, could not be named alone"
    return (
        f"; a user with {n} prompts, the median, is named alone from {first.named_from} lost and"
        " none won"
    )


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
                "undecided": row.undecided,
            }
            | gain_json(row.gain, found.margin)
            for row in found.rows
        ],
        "novelty": found.novelty,
        "majority": {name: interval_json(line) for name, line in found.majority.items()},
        "footnotes": _footnotes(found),
        "same_answers": [list(names) for names in found.same_answers],
        "margin": found.margin,
        "about": found.ground.about,
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
