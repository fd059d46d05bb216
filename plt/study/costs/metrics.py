"""The tax of a run as rows of `metrics/1`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

    from plt.analyze.intervals.uncertainty import Interval
    from plt.analyze.tax.change import SectionTax, Tax
    from plt.data.run import Run

SCORE, CHANGE, WORST = "section_score", "section_change", "worst_user_change"


def tax_metrics(found: Tax, run: Run) -> pl.DataFrame:
    """A `metrics/1` table; `subset` names the section.

    Args:
        found: The tax.
        run: Its run: id, method, seed, benchmark.
    """
    import polars as pl

    from plt.data.tables.schema import METRICS_TABLE, conform

    about = {
        "run_id": run.run_id,
        "command": "tax",
        "dataset": run.record["bench"]["name"] or "unnamed",
        "method": run.identity.method,
        "seed": run.identity.seed,
    }
    records = [about | row for each in found.sections for row in _rows(each)]
    types = {column.name: column.dtype for column in METRICS_TABLE.columns}
    table = pl.DataFrame(records, schema_overrides=types, infer_schema_length=None)
    return conform(table, METRICS_TABLE)


def _rows(each: SectionTax) -> list[dict[str, Any]]:
    from plt.analyze.intervals.figures import without_interval

    rows = [_row(each, SCORE, each.score)]
    if each.change is not None:
        row = _row(each, CHANGE, each.change.interval)
        row |= {"adjusted_low": each.change.low, "adjusted_high": each.change.high}
        rows.append(row | {"p": each.change.p})
    if each.worst is not None:
        why = "the smallest of many"
        rows.append(_row(each, WORST, without_interval(each.worst.change, why, "these-users")))
    return rows


def _row(each: SectionTax, metric: str, found: Interval) -> dict[str, Any]:
    from plt.analyze.intervals.figures import metrics_columns

    fixed = {"subset": each.section.name, "metric": metric, "n_ties": 0, "higher_is_better": True}
    return fixed | metrics_columns(found)
