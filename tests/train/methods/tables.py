"""Small preference tables for the tests of the methods."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta

Row = tuple[str | None, str, str, float]


def table(rows: Iterable[Row], split: str = "train") -> Preferences:
    """One judgement a row: (user, response_1, response_2, label), all on one prompt."""
    raw = pl.DataFrame(
        [
            {
                "prompt": [{"role": "user", "content": "say"}],
                "user_id": user,
                "response_1": one,
                "response_2": two,
                "label": label,
                "split": split,
            }
            for user, one, two, label in rows
        ],
        infer_schema_length=None,
    )
    return build(raw, Meta(dataset="toy"))


def merged(*parts: Preferences) -> Preferences:
    """Several tables as one."""
    votes = pl.concat([part.votes for part in parts])
    pairs = pl.concat([part.pairs for part in parts]).unique("pair_id")
    return Preferences(votes, pairs.sort("pair_id"), parts[0].meta)


NICE = [
    f"what a wonderful and lovely {word}, thank you" for word in ("day", "cake", "book", "tree")
]
COLD = [f"the {word} is specified in section two" for word in ("law", "pump", "tax", "wire")]


def judged(users: dict[str, float], n_rows: int, seed: int = 0) -> Preferences:
    """`n_rows` judgements a user, who prefers the nice answer with the given probability."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for user, nice in users.items():
        for _ in range(n_rows):
            one, two = NICE[rng.integers(4)], COLD[rng.integers(4)]
            rows.append((user, one, two, float(rng.random() < nice)))
    return table(rows)
