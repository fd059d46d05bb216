"""Tables that a report has beside the comparison: costs, rows, published figures, gates, people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from plt.analyze.intervals.figures import MISSING, interval_json, with_interval
from plt.analyze.report.beside import ALWAYS
from plt.cli.shell.streams import Block, Line, Table

if TYPE_CHECKING:
    from plt.analyze.comparison.compare import Comparison
    from plt.analyze.report.beside import Beside
    from plt.analyze.report.gates import Checked
    from plt.analyze.report.people import People
    from plt.study.reports.report import Report

COST_COLUMNS = (
    "method", "accuracy by user", "time (s)", "peak memory (MiB)", "parameters", "tokens",
    "training judgements", "test judgements",
)  # fmt: skip


def cost_table(found: Comparison) -> Table:
    """What each run took, beside its accuracy; what nobody wrote down is a dash."""
    rows = []
    for row in found.rows:
        cost = row.entry.cost
        figure = row.macro if row.macro.value is not None else row.pooled
        rows.append(
            (
                row.entry.name,
                with_interval(figure),
                _number(cost.seconds, 1),
                _number(cost.peak_memory_mib, 0),
                _number(cost.parameters, 0),
                _number(cost.tokens, 0),
                _number(cost.judgements, 0),
                f"{figure.n_rows:,}",
            )
        )
    title = "what each run took, on the machine that made it"
    return Table(COST_COLUMNS, tuple(rows), title, frozenset(COST_COLUMNS[1:]))


def _number(value: float | None, digits: int) -> str:
    return MISSING if value is None else f"{value:,.{digits}f}"


def rows_line(report: Report) -> str:
    """Which rows the figures are of, and how often they were looked at."""
    found = report.comparison
    text = f"Test rows: {found.n_shared:,} judgements, SHA-256 {found.test_rows[:16]}"
    if report.looks is None:
        return f"{text}; how often they were looked at is not known of scores tables."
    known, shown = report.looks.known, report.looks.shown
    left = f", {known - shown} of them not shown here" if known > shown else ""
    runs = "1 run is" if known == 1 else f"{known} runs are"
    return f"{text}; {runs} known to have looked at them{left}."


def published_blocks(pairs: Sequence[Beside], dataset: str) -> tuple[Block, ...]:
    """Figures of the papers beside ours, and why they may differ."""
    if not pairs:
        return (Line(f"No figure of a paper is known for {dataset}."),)
    rows = tuple(
        (
            pair.theirs.paper,
            pair.theirs.method,
            pair.theirs.condition,
            _their_value(pair),
            pair.name or MISSING,
            MISSING if pair.ours is None else with_interval(pair.ours),
            "; ".join(pair.reasons),
        )
        for pair in pairs
    )
    columns = ("paper", "method", "its condition", "theirs", "our run", "ours", "why they differ")
    table = Table(
        columns, rows, f"published accuracies on {dataset}", frozenset({"theirs", "ours"})
    )
    return (table, Line(f"In every row: {'; '.join(ALWAYS)}."))


def _their_value(pair: Beside) -> str:
    error = "" if pair.theirs.error is None else f" ± {pair.theirs.error:.3f}"
    return f"{pair.theirs.value:.3f}{error}"


def published_json(pairs: Sequence[Beside]) -> list[dict[str, Any]]:
    """Published figures as ``--json`` prints them."""
    return [
        {
            "paper": pair.theirs.paper,
            "method": pair.theirs.method,
            "condition": pair.theirs.condition,
            "theirs": pair.theirs.value,
            "their_error": pair.theirs.error,
            "run": pair.name,
            "ours": None if pair.ours is None else interval_json(pair.ours),
            "reasons": list(pair.reasons),
        }
        for pair in pairs
    ]


def gate_table(checked: Sequence[Checked]) -> Table:
    """Every gate with what was found."""
    rows = tuple(("passed" if each.passed else "failed", each.sentence) for each in checked)
    return Table(("gate", "found"), rows, "gates, at the worse end of each interval")


def user_blocks(found: People | None, names: Sequence[str]) -> tuple[Block, ...]:
    """Each person's accuracy with its interval, one table an entry."""
    if found is None:
        return (Line("These judgements have no users."),)
    columns = ("user", "accuracy", "95 % interval", "judgements")
    blocks = []
    for i, name in enumerate(names):
        rows = tuple(
            (
                user,
                f"{found.value[i, u]:.3f}",
                f"[{found.low[i, u]:.3f}, {found.high[i, u]:.3f}]",
                str(found.n_judgements[u]),
            )
            for u, user in enumerate(found.names)
        )
        title = f"{name}: each user, Wilson on the effective number of groups; a description"
        blocks.append(Table(columns, rows, title, frozenset(columns[1:])))
    return tuple(blocks)


def people_json(found: People | None, names: Sequence[str]) -> dict[str, Any] | None:
    """Each person under each run as ``--json`` prints them: user to run to accuracy and ends."""
    if found is None:
        return None
    return {
        user: {
            "n_judgements": int(found.n_judgements[u]),
            "accuracy": {
                name: {
                    "value": float(found.value[i, u]),
                    "ci": [float(found.low[i, u]), float(found.high[i, u])],
                }
                for i, name in enumerate(names)
            },
        }
        for u, user in enumerate(found.names)
    }
