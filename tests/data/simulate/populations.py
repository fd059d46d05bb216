"""All simulators, small populations of each, and their labels beside the truth."""

from types import ModuleType
from typing import Any

import numpy as np
import polars as pl

from plt.data.simulate import attributes, dirichlet, length, low_rank, mirrored, noise, pets
from plt.data.tables.preferences import Preferences

MODULES = {
    module.NAME: module
    for module in (attributes, dirichlet, length, low_rank, mirrored, noise, pets)
}
TOPICAL = ("attributes", "dirichlet", "low-rank", "mirrored", "noise")


def small(module: ModuleType, **changes: Any) -> Any:
    """A config of eight people, overridden by `changes`."""
    size = {"users": 8, "pairs_per_user": 20, "overlap": 4.0}
    return module.Config(**{**size, **changes})


def rows(prefs: Preferences) -> pl.DataFrame:
    """The wide table with `difference`, the true reward of `a` minus that of `b`."""
    module = MODULES[prefs.meta.truth["simulator"]]  # type: ignore[index]
    parts = []
    wide = prefs.wide().with_columns(pl.col("user_id").cast(pl.String))
    for _, part in wide.group_by("user_id", maintain_order=True):
        user = str(part["user_id"][0])
        rewards = [
            module.true_reward(prefs.meta.truth, part[side].to_list(), user)
            for side in ("response_a", "response_b")
        ]
        parts.append(part.with_columns(difference=pl.Series(rewards[0] - rewards[1])))
    return pl.concat(parts)


def vote_matrix(prefs: Preferences) -> np.ndarray:
    """First votes for `a` as 0 or 1, shape (pairs, users); NaN where a person did not judge."""
    first = prefs.votes.filter(pl.col("occurrence") == 0)
    wide = first.with_columns(pl.col("user_id").cast(pl.String)).pivot(
        on="user_id", index="pair_id", values="label"
    )
    return wide.drop("pair_id").to_numpy().astype(float)
