"""Who wrote the two responses of each judgement, as codes for the pooled model."""

import numpy as np
import polars as pl

from plt.analyze.intervals.clusters import CodeArray

MAX_SOURCES = 50
"""Sources with a quality of their own, the commonest; more would cost more than all features."""

SIDES = ("source_a", "source_b")


def source_codes(votes: pl.DataFrame, pair_ids: pl.Series, pairs: CodeArray) -> CodeArray | None:
    """The source of response_a and response_b of each judgement.

    Args:
        votes: `pair_id` and, where the table has them, `source_a` and `source_b`; any order.
        pair_ids: Distinct pairs.
        pairs: Place in `pair_ids` of the pair of each judgement, [n].

    Returns:
        Codes by falling number of judgements, [n, 2], negative where a source is not known, rows of
        a pair contradict each other or more than `MAX_SOURCES` are commoner; None where no source
        is known.
    """
    if not set(SIDES) <= set(votes.columns) or votes[SIDES[0]].len() == 0:
        return None
    known = votes.select("pair_id", pl.col(SIDES).cast(pl.String)).unique()
    sources = [pl.col(side).drop_nulls() for side in SIDES]
    of_pair = known.group_by("pair_id").agg(
        pl.when(source.n_unique() == 1).then(source.first()).alias(side)
        for side, source in zip(SIDES, sources, strict=True)
    )
    of_pair = (
        pair_ids.alias("pair_id")
        .to_frame()
        .join(of_pair, on="pair_id", how="left", maintain_order="left")
    )
    weights = np.bincount(pairs, minlength=pair_ids.len())
    names = pl.concat([of_pair.select(source=side, n=pl.lit(weights)) for side in SIDES])
    commonest = (
        names.drop_nulls("source")
        .group_by("source")
        .agg(pl.col("n").sum())
        .filter(pl.col("n") > 0)
        .sort(["n", "source"], descending=[True, False])
        .head(MAX_SOURCES)
        .with_row_index("code")
    )
    if commonest.is_empty():
        return None
    codes = [
        of_pair.select(source=side)
        .join(commonest, on="source", how="left", maintain_order="left")["code"]
        .cast(pl.Int64)
        .fill_null(-1)
        .to_numpy()
        for side in SIDES
    ]
    return np.stack(codes, axis=1)[pairs]
