"""A comparison as a `metrics/1` table: one figure a row, with the intervals that hold together."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from plt.analyze.comparison.compare import Compared, Comparison
from plt.analyze.comparison.gains import Gain
from plt.analyze.intervals.figures import metrics_columns
from plt.analyze.intervals.simultaneous import Difference
from plt.analyze.intervals.uncertainty import Interval
from plt.analyze.registry import METRICS
from plt.data.tables.schema import METRICS_TABLE, conform

COMMAND = "report"


def row_figures(row: Compared) -> Iterator[tuple[str, str, Interval]]:
    """Name, average and figure of everything that one row of a comparison says of its run."""
    yield "accuracy", "user", row.macro
    yield "accuracy", "pair", row.pooled
    yield "worst_user_accuracy", "user", row.worst
    yield "worst_decile_accuracy", "user", row.worst_decile
    yield "minority_accuracy", "user", row.minority
    yield "log_loss", "pair", row.log_loss
    yield "auc", "pair", row.auc


def differences(gain: Gain) -> Iterator[tuple[str, str | None, Difference | None]]:
    """Name, control and figure of everything that is a difference of two runs."""
    yield "gain", None, gain.own
    yield "gain", "wrong-user", gain.wrong_user
    yield "gain", "shuffled-ids", gain.shuffled_ids
    yield "own_minus_wrong_user", None, gain.part
    yield "own_minus_shuffled_ids", None, gain.over_shuffled


def figures_table(found: Comparison, split: str, user_split: str | None) -> pl.DataFrame:
    """Every figure of a comparison, as rows of `metrics/1`.

    Beside the columns of the contract stand `name` (what the entry is called), `baseline` (of
    differences) and what its run took: `seconds`, `peak_memory_mib`, `parameters`, `tokens`,
    `training_judgements`; null is not known.

    Args:
        found: The comparison.
        split: Which rows it is of.
        user_split: Which users; None for all.

    Returns:
        A `metrics/1` table, what is null included, with the reason in `interval`.
    """
    records = [record for row in found.rows for record in _records(row, found, split, user_split)]
    types = {column.name: column.dtype for column in METRICS_TABLE.columns}
    more = {
        "name": pl.String, "baseline": pl.String, "seconds": pl.Float64,
        "peak_memory_mib": pl.Float64, "parameters": pl.UInt64, "tokens": pl.UInt64,
        "training_judgements": pl.UInt64,
    }  # fmt: skip
    table = pl.DataFrame(records, schema_overrides=types | more, infer_schema_length=None)
    return conform(table, METRICS_TABLE)


def _records(
    row: Compared, found: Comparison, split: str, user_split: str | None
) -> Iterator[dict[str, Any]]:
    first = row.entry.scores.row(0, named=True)
    cost = row.entry.cost
    about = {
        "run_id": row.entry.run_id,
        "command": COMMAND,
        "dataset": first["dataset"],
        "method": row.entry.method,
        "seed": first["seed"],
        "split": split,
        "user_split": user_split,
        "subset": None,
        "n_shots": None,
        "n_ties": found.n_ties,
        "n_seeds": 1,
        "name": row.entry.name,
        "seconds": cost.seconds,
        "peak_memory_mib": cost.peak_memory_mib,
        "parameters": cost.parameters,
        "tokens": cost.tokens,
        "training_judgements": cost.judgements,
    }
    nothing = {"adjusted_low": None, "adjusted_high": None, "p": None, "baseline": None}
    for name, average, figure in row_figures(row):
        better = METRICS[name].higher_is_better
        yield about | nothing | metrics_columns(figure) | {
            "metric": name, "average": average, "control": None, "higher_is_better": better,
        }  # fmt: skip
    if row.gain is None:
        return
    average = "pair" if row.macro.value is None else "user"
    for name, control, difference in differences(row.gain):
        if difference is not None:
            yield about | metrics_columns(difference.interval) | {
                "metric": name, "average": average, "control": control, "higher_is_better": True,
                "adjusted_low": difference.low, "adjusted_high": difference.high,
                "p": difference.p, "baseline": found.baseline,
            }  # fmt: skip
