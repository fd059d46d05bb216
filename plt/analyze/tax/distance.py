"""How far each person is from the majority, by the judgements that a run was measured on."""

import polars as pl

from plt.analyze.votes.majority import majority_vote
from plt.analyze.votes.votes import read_rows


def distance_from_majority(scores: pl.DataFrame) -> dict[str, float]:
    """Share of each person's judgements against the majority of the others, ties one half.

    One minus the leave-one-out MV-ACC of `plt.analyze.votes.majority`, on pairs that at least two
    people judged.

    Args:
        scores: A `scores/1` table of a run; rows of controls are left out.

    Returns:
        User to distance; users without a shared pair are absent.
    """
    own = scores.filter(pl.col("control").is_null(), pl.col("user_id").is_not_null())
    if own.height == 0:
        return {}
    votes = read_rows(own)
    found = majority_vote(votes)
    names = votes.user_names.cast(pl.String).gather(pl.Series(found.users, dtype=pl.Int64))
    return dict(zip(names.to_list(), (1 - found.leave_one_out).tolist(), strict=True))
