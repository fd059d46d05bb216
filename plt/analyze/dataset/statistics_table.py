"""Dataset statistics as a `metrics/1` table: one figure a row, with its interval."""

import polars as pl

from plt.analyze.dataset.statistics import DatasetStatistics
from plt.analyze.intervals.figures import metrics_columns
from plt.analyze.intervals.uncertainty import Interval
from plt.data.tables.schema import METRICS_TABLE, conform
from plt.data.tables.table import Meta

COMMAND = "dataset-stats"
NO_METHOD = "none"
HIGHER_IS_BETTER = {
    "krippendorff_alpha": True,
    "agreement_pairwise": True,
    "agreement_item_mean": True,
    "self_agreement": True,
    "cronbach_alpha": True,
    "ceiling_upper_bound": True,
    "flip_rate": False,
}


def statistics_table(statistics: DatasetStatistics, meta: Meta, seed: int) -> pl.DataFrame:
    """The figures that have an interval, as rows of `metrics/1`.

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
    rows = [about | _row(name, found) for name, found in _figures(statistics).items()]
    types = {column.name: column.dtype for column in METRICS_TABLE.columns}
    return conform(pl.DataFrame(rows, schema_overrides=types), METRICS_TABLE)


def _figures(statistics: DatasetStatistics) -> dict[str, Interval]:
    figures = {
        "divergent": statistics.divergence.divergent,
        "highly_divergent": statistics.divergence.highly_divergent,
        "krippendorff_alpha": statistics.alpha,
        "agreement_pairwise": statistics.agreement.pairwise,
        "agreement_item_mean": statistics.agreement.item_mean,
        "mv_acc_ceiling": statistics.room.own_vote_majority,
        "mv_acc_leave_one_out": statistics.room.leave_one_out_majority,
        "room_low": statistics.room.low,
        "room_high": statistics.room.high,
    }
    if (again := statistics.consistency) is not None:
        figures |= {
            "self_agreement": again.self_agreement,
            "cronbach_alpha": again.cronbach_alpha,
            "flip_rate": again.flip_rate,
            "ceiling_upper_bound": again.ceiling_upper_bound,
        }
    if (pairs := statistics.self_and_others) is not None:
        figures |= {
            "self_minus_others": pairs.difference,
            "self_minus_others_beyond_reliability": pairs.beyond_reliability,
        }
    return figures


def _row(name: str, found: Interval) -> dict[str, object]:
    return metrics_columns(found) | {
        "metric": name,
        "average": "pair",
        "higher_is_better": HIGHER_IS_BETTER.get(name),
    }
