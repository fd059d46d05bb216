"""All that `plt dataset-stats` says of a table; texts are read only where a figure needs them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import polars as pl

from plt.analyze.dataset.statistics import DatasetStatistics, dataset_statistics
from plt.analyze.taste.split_halves import split_halves, wants_split_halves
from plt.data.tables.preferences import Preferences
from plt.data.tables.table import Meta
from plt.errors import UsageError

VOTES_READ = ("user_id", "pair_id", "group", "label", "occurrence", "shown_first", "judged_at")
"""Of the votes, what the statistics read."""


def describe(
    votes: pl.DataFrame,
    meta: Meta,
    texts: Callable[[], Preferences],
    *,
    assume_flip: Sequence[float] | None = None,
    near_duplicates: float | None = None,
    seed: int = 0,
) -> DatasetStatistics:
    """The statistics of a table, with heterogeneity of taste where few pairs are shared.

    Where there is one prompt and nobody was asked twice, split halves answer.

    Args:
        votes: At least `VOTES_READ`.
        meta: The metadata.
        texts: Gives the whole table; called only where a figure needs its texts.
        assume_flip: Flip rates to show the noise of, in [0, 0.5].
        near_duplicates: Also count overlap by openings within this cosine distance.
        seed: Of permutations and bootstraps.

    Raises:
        UsageError: A flip rate lies outside.
    """
    if assume_flip is not None and not (assume_flip and all(0 <= r <= 0.5 for r in assume_flip)):
        raise UsageError(
            f"assume_flip is {list(assume_flip)}; expected probabilities from 0 to 0.5",
            hint="assume_flip=[0.05, 0.1, 0.2]",
        )
    halves = split_halves(texts(), seed=seed) if wants_split_halves(votes) else None
    found = dataset_statistics(votes, meta, assume_flip=assume_flip, seed=seed, split_halves=halves)
    if found.has_little_overlap:
        from plt.analyze.taste.heterogeneity import heterogeneity

        found = replace(found, heterogeneity=heterogeneity(texts(), seed=seed).to_json())
    if near_duplicates is not None:
        from plt.analyze.dataset.near_duplicates import near_duplicates as find

        found = replace(found, near_duplicates=find(texts(), near_duplicates).to_json())
    return found
