"""Small `generations/1` tables for tests."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from plt.data.tables.generations import count_words, prompt_id
from plt.data.tables.schema import GENERATIONS, conform
from tests.data.made_tables import user_turn


def written(
    rows: Sequence[tuple[str | None, str, str]],
    system: str = "one",
    control: str | None = "policy",
    samples: Sequence[int] | None = None,
) -> pl.DataFrame:
    """A table of (user, prompt, response) rows."""
    found: list[dict[str, Any]] = [
        {
            "user_id": user,
            "prompt_id": prompt_id(user_turn(prompt)),
            "group": f"g {prompt}",
            "prompt": user_turn(prompt),
            "response": response,
            "system": system,
            "control": control,
            "sample": samples[i] if samples else 0,
            "n_words": count_words(response),
        }
        for i, (user, prompt, response) in enumerate(rows)
    ]
    types = {column.name: column.dtype for column in GENERATIONS.columns}
    given = {name: types[name] for name in found[0]}
    return conform(pl.DataFrame(found, schema=given), GENERATIONS)
