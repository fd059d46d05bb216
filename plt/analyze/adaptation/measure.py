"""The metrics table of one run of `plt adapt`."""

from typing import Any

import polars as pl

from plt.analyze.adaptation.answers import ALL_ANSWERS, Figures, figures, read_learner, shared_rows
from plt.analyze.comparison.entries import Entry
from plt.analyze.intervals.figures import metrics_columns
from plt.analyze.intervals.uncertainty import Interval
from plt.analyze.registry import METRICS
from plt.data.tables.schema import METRICS_TABLE, conform

AVERAGES = {"accuracy": "user", "auc": "pair", "log_loss": "user", "overconfidence": "user"}


def measure_adapted(entry: Entry) -> pl.DataFrame:
    """Accuracy, AUC, log loss and overconfidence by the number of answers and the control.

    Draws are averaged within each judgement, so that they count as no further people.

    Returns:
        A `metrics/1` table; what was adapted on all answers has `variant` filled and no `n_shots`.
    """
    keys, rows = shared_rows([entry])
    learner = read_learner(entry, keys)
    first = entry.scores.row(0, named=True)
    about = {name: first[name] for name in ("run_id", "dataset", "method", "seed")}
    about |= {"command": "adapt", "split": "test", "user_split": "unseen", "n_ties": rows.n_ties}
    records = []
    for size, answers in learner.after.items():
        variant = ALL_ANSWERS if size == ALL_ANSWERS else None
        about_size = about | {"n_shots": None if variant else size, "variant": variant}
        for control, margins in ((None, answers.margins), ("wrong-user", answers.wrong_user)):
            if margins is None:
                continue
            known = answers.known
            if control is not None:
                known = ~pl.Series(margins.sum(axis=0)).is_nan().to_numpy()
            if not known.any():
                continue
            found = figures(margins[:, known], rows.where(known))
            records += [about_size | {"control": control} | each for each in _records(found)]
    types = {column.name: column.dtype for column in METRICS_TABLE.columns}
    table = pl.DataFrame(records, schema_overrides=types, infer_schema_length=None)
    return conform(table, METRICS_TABLE)


def _records(found: Figures) -> list[dict[str, Any]]:
    each: dict[str, Interval] = {name: getattr(found, name) for name in AVERAGES}
    return [
        {
            "metric": name,
            "average": AVERAGES[name],
            "higher_is_better": METRICS[name].higher_is_better,
            **metrics_columns(interval),
        }
        for name, interval in each.items()
    ]
