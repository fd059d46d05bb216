"""Dataset statistics as a `metrics/1` table: one figure a row, with its interval."""

import polars as pl

from plt.analyze.dataset.figures import Figure
from plt.analyze.dataset.statistics import DatasetStatistics
from plt.analyze.intervals.figures import metrics_columns
from plt.data.tables.schema import METRICS_TABLE, conform
from plt.data.tables.table import Meta

COMMAND = "dataset-stats"
NO_METHOD = "none"


def statistics_table(statistics: DatasetStatistics, meta: Meta, seed: int) -> pl.DataFrame:
    """Every figure, as rows of `metrics/1`.

    Args:
        statistics: What was computed.
        meta: The metadata of the table; its content hash names the rows, which belong to no run.
        seed: Seed of the statistics.

    Returns:
        A `metrics/1` table, what is null included.
    """
    about = {
        "run_id": (meta.content or "unwritten")[:12],
        "command": COMMAND,
        "dataset": statistics.dataset or "unnamed",
        "method": NO_METHOD,
        "seed": seed,
        "n_ties": statistics.votes.n_ties,
    }
    rows = [about | _row(figure) for figure in statistics.figures()]
    types = {column.name: column.dtype for column in METRICS_TABLE.columns}
    return conform(pl.DataFrame(rows, schema_overrides=types), METRICS_TABLE)


def _row(figure: Figure) -> dict[str, object]:
    return metrics_columns(figure.found) | {
        "metric": figure.key,
        "average": "pair",
        "higher_is_better": figure.higher_is_better,
    }
