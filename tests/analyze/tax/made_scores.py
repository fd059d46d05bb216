"""Scores tables of a benchmark with given margins."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from plt.data.tables.schema import SCORES, conform


def scores(
    subsets: Sequence[str],
    margins: Mapping[Any, Sequence[float]],
    groups: Sequence[str] | None = None,
    *,
    run_id: str = "r",
    correct: Sequence[str] | None = None,
) -> pl.DataFrame:
    """One row a user and pair. Margins are signed: above 0 is right; labels alternate.

    Args:
        subsets: Of each pair.
        margins: Whose (None is the population) to the margin of each pair.
        groups: Of each pair; by default each is its own.
        run_id: Of the run.
        correct: Name of the correct answer of each pair.
    """
    n = len(subsets)
    label = np.arange(n) % 2
    frame = pl.DataFrame(
        {
            "pair_id": np.arange(n, dtype=np.uint64),
            "group": list(groups or [f"g{i:04d}" for i in range(n)]),
            "subset": list(subsets),
            "label": label.astype(np.float32),
            **({} if correct is None else {"correct": list(correct)}),
        }
    )
    sign = np.where(label > 0.5, 1.0, -1.0)
    parts = [
        frame.with_columns(
            margin=pl.Series(np.asarray(values, dtype=np.float64) * sign),
            scored_as=pl.lit(user, dtype=pl.String),
        )
        for user, values in margins.items()
    ]
    table = pl.concat(parts).with_columns(
        run_id=pl.lit(run_id), method=pl.lit("m"), seed=pl.lit(0, dtype=pl.UInt64),
        dataset=pl.lit("d"), occurrence=pl.lit(0, dtype=pl.UInt16),
        user_id=pl.lit(None, dtype=pl.String),
    )  # fmt: skip
    return conform(table, SCORES)
