"""A comparison of runs as tables and as the object of ``--json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plt.cli.figures import (
    difference_json,
    interval_json,
    number,
    p_value,
    points,
    with_interval,
)
from plt.cli.streams import Block, Line, Table

if TYPE_CHECKING:
    from plt.analyze.compare import Comparison

ACCURACY_COLUMNS = ("method", "accuracy by user", "pooled", "worst user", "log loss", "AUC")
GAIN_COLUMNS = ("method", "gain (points)", "p (Holm)", "gain with the wrong user")


def comparison_blocks(found: Comparison) -> tuple[Block, ...]:
    """Accuracies, reference lines, gains and the verdict, for a person."""
    rows = [
        (
            row.entry.name,
            with_interval(row.macro),
            with_interval(row.pooled),
            number(row.worst.value),
            number(row.log_loss.value),
            number(row.auc.value),
        )
        for row in found.rows
    ]
    rows += [
        (f"({name})", "-", with_interval(line), "-", "-", "-")
        for name, line in found.majority.items()
    ]
    blocks: list[Block] = [
        Table(ACCURACY_COLUMNS, tuple(rows), numeric=frozenset(ACCURACY_COLUMNS[1:]))
    ]
    if found.baseline is not None:
        gains = tuple(
            (row.entry.name, points(row.gain), p_value(row.gain_p), points(row.wrong_user))
            for row in found.rows
            if row.gain is not None
        )
        title = f"gain over {found.baseline}, accuracy by user"
        blocks.append(Table(GAIN_COLUMNS, gains, title, frozenset(GAIN_COLUMNS[1:])))
    blocks += [Line(sentence) for sentence in _notes(found)]
    return (*blocks, Line(found.verdict))


def _notes(found: Comparison) -> list[str]:
    first = found.rows[0]
    judged = found.n_shared - found.n_ties
    users = "no users" if first.macro.n_users is None else f"{first.macro.n_users} users"
    notes = [
        f"{judged} judgements of {users} in {first.pooled.n_groups} groups; {found.n_ties} ties"
        f" left out; 95 % intervals, target {first.pooled.target}."
    ]
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
                },
                "log_loss": interval_json(row.log_loss),
                "auc": interval_json(row.auc),
                "zero_margins": row.zero_margins,
                "gain": difference_json(row.gain, row.gain_p),
                "gain_with_wrong_user": difference_json(row.wrong_user, None),
            }
            for row in found.rows
        ],
        "majority": {name: interval_json(line) for name, line in found.majority.items()},
        "footnotes": _footnotes(found),
        "verdict": found.verdict,
    }
