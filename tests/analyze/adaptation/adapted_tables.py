"""Scores tables of `plt adapt` for tests, with margins that are given."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plt.analyze.comparison.entries import Entry
from plt.data.tables.schema import SCORES, conform

Margins = NDArray[np.float64]


def entry(
    name: str,
    label: Margins,
    margins: Mapping[int | None, Margins],
    wrong: Mapping[int, Margins] | None = None,
    *,
    seed: int = 0,
    personal: bool | None = None,
    footnote: str | None = None,
) -> Entry:
    """Users x questions; every question is a prompt of its own, asked of everybody.

    Args:
        name: Of the run; its method as well.
        label: [users, questions].
        margins: Number of answers (None: all of them) to [draws, users, questions]; a user whose
            margins are NaN has no scores.
        wrong: The same under the wrong-user control.
        seed: Of the shots.
        personal: Whether its method can learn of one person.
        footnote: What a reader must know.
    """
    frames = []
    for control, table in ((None, margins), ("wrong-user", wrong or {})):
        for size, drawn in table.items():
            for draw, values in enumerate(drawn):
                frames.append(_pass(name, label, values, size, draw, control, seed))
    run_id = f"run of {name}"
    return Entry(name, name, run_id, pl.concat(frames), footnote=footnote, personal=personal)


def _pass(
    name: str,
    label: Margins,
    values: Margins,
    size: int | None,
    draw: int,
    control: str | None,
    seed: int,
) -> pl.DataFrame:
    n_users, n_questions = label.shape
    frame = pl.DataFrame(
        {
            "run_id": f"run of {name}",
            "pair_id": pl.Series(np.tile(np.arange(n_questions), n_users), dtype=pl.UInt64),
            "user_id": [f"u{u:03d}" for u in range(n_users) for _ in range(n_questions)],
            "occurrence": pl.Series([0] * label.size, dtype=pl.UInt16),
            "scored_as": None,
            "control": control,
            "n_shots": pl.Series([size] * label.size, dtype=pl.UInt32),
            "draw": pl.Series([draw] * label.size, dtype=pl.UInt16),
            "variant": None if size is not None else "all answers",
            "dataset": "toy",
            "method": name,
            "seed": pl.Series([seed] * label.size, dtype=pl.UInt64),
            "group": [f"g{q}" for _ in range(n_users) for q in range(n_questions)],
            "split": "test",
            "user_split": "unseen",
            "label": pl.Series(label.ravel(), dtype=pl.Float32),
            "margin": values.ravel(),
        }
    )
    return conform(frame.filter(pl.col("margin").is_not_nan()), SCORES)
