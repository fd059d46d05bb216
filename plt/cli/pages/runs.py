"""The runs of a study, one row a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plt.analyze.intervals.figures import MISSING, number, points
from plt.cli.pages.length_experiment import length_experiment_blocks
from plt.cli.shell.streams import Block, Line, Table

if TYPE_CHECKING:
    from plt.study.outcome import Made, Outcome

COLUMNS = ("run", "test accuracy", "gain (points)", "with the wrong user", "folder")


def outcome_blocks(outcome: Outcome) -> tuple[Block, ...]:
    """Test accuracies and gains over vanilla, what failed and what was left out, experiments."""
    rows = tuple(_row(made) for made in outcome.made)
    numeric = frozenset(COLUMNS[1:4])
    blocks: list[Block] = [Table(COLUMNS, rows, numeric=numeric)] if rows else []
    blocks += [Line(f"{each.label}: failed: {each.reason}") for each in outcome.failed]
    blocks += [Line(f"{name} is left out: {why}") for name, why in outcome.skipped.items()]
    for made in outcome.made:
        if made.experiment is not None:
            blocks += length_experiment_blocks(made.experiment)
    return tuple(blocks)


def _row(made: Made) -> tuple[str, ...]:
    found = made.accuracy
    accuracy = MISSING
    if found is not None:
        accuracy = f"{number(found.value)} [{number(found.ci_low)}, {number(found.ci_high)}]"
    gains = (None, None) if made.gain is None else (made.gain.over.own, made.gain.over.wrong_user)
    return made.cell.label, accuracy, *map(points, gains), str(made.path)
