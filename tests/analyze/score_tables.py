"""Scores tables for tests: judgements whose margins are given."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plt.data.tables.schema import SCORES, conform


def scores(
    label: NDArray[np.float64] | list[float],
    margin: NDArray[np.float64] | list[float],
    users: list[str | None],
    pairs: list[int] | None = None,
    **columns: object,
) -> pl.DataFrame:
    """A `scores/1` table; groups are the pairs unless given."""
    n = len(users)
    pairs = list(range(n)) if pairs is None else pairs
    base: dict[str, object] = {
        "run_id": "r1",
        "pair_id": pl.Series(pairs, dtype=pl.UInt64),
        "user_id": pl.Series(users, dtype=pl.String),
        "scored_as": pl.Series(users, dtype=pl.String),
        "dataset": "toy",
        "method": "bradley-terry",
        "seed": pl.Series([0] * n, dtype=pl.UInt64),
        "group": [f"g{pair}" for pair in pairs],
        "split": "test",
        "user_split": "seen",
        "label": pl.Series(label, dtype=pl.Float32),
        "margin": pl.Series(margin, dtype=pl.Float64),
    }
    frame = pl.DataFrame(base | columns)
    key = ["user_id", "pair_id"]
    frame = frame.with_columns(occurrence=pl.int_range(pl.len()).over(key).cast(pl.UInt16))
    return conform(frame, SCORES)
