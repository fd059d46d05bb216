"""A report as blocks of text and as the object of ``--json``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from plt.cli.pages.comparison import comparison_blocks, comparison_json, sweep_blocks, sweep_json
from plt.cli.pages.report.next_steps import next_steps
from plt.cli.pages.report.tables import (
    cost_table,
    published_blocks,
    published_json,
    rows_line,
)
from plt.cli.shell.streams import Block, Line

if TYPE_CHECKING:
    from plt.study.reports.report import Report

SCHEMA = "report/1"


@dataclass(frozen=True)
class Wanted:
    """What a text of a report holds beyond the comparison.

    Attributes:
        costs: What each run took.
        published: Figures of the papers.
        beside: Names of parts that stand beside the comparison.
        more: Blocks of breakdowns.
        more_json: The same for ``--json``.
    """

    costs: bool = False
    published: bool = False
    beside: tuple[str, ...] = ()
    more: tuple[Block, ...] = ()
    more_json: dict[str, Any] | None = None


def report_blocks(report: Report, wanted: Wanted) -> tuple[Block, ...]:
    """A report for a person: figures, verdict, what stands behind it, and what to do next."""
    found = report.comparison
    compared = comparison_blocks(found)
    blocks: list[Block] = [*compared[:-1], *sweep_blocks(report.sweep), *wanted.more]
    if wanted.costs:
        blocks.append(cost_table(found))
    if wanted.published:
        blocks += published_blocks(report.published(), report.dataset)
    blocks.append(Line(rows_line(report)))
    blocks += [Line(f"Warning: {sentence}") for sentence in report.warnings]
    blocks.append(compared[-1])
    steps = next_steps(report, wanted.beside)
    return (*blocks, *([Line(f"Next: {steps[0]}.")] if steps else []))


def report_json(report: Report, wanted: Wanted) -> dict[str, Any]:
    """A report as ``--json`` prints it."""
    found = report.comparison
    document = {"schema": SCHEMA} | comparison_json(found) | {"sweep": sweep_json(report.sweep)}
    document |= {
        "dataset": report.dataset,
        "split": report.asked.split,
        "users": report.asked.users,
        "test_rows": found.test_rows,
        "looks": None if report.looks is None else asdict(report.looks),
        "costs": {row.entry.name: asdict(row.entry.cost) for row in found.rows},
        "warnings": list(report.warnings),
        "published": published_json(report.published()),
        "gates": [],
        "next": next_steps(report, wanted.beside),
    }
    return document | (wanted.more_json or {})
