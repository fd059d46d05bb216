"""Who is a minority user, by the votes that a model could learn from, written beside its scores."""

import polars as pl

from plt.analyze.votes.majority import minority_users
from plt.analyze.votes.votes import read_rows
from plt.data.splitting.samples import learnable


def with_minority(scores: pl.DataFrame, votes: pl.DataFrame) -> pl.DataFrame:
    """Adds the column `minority_user` to a scores table.

    The test is that of `dataset-stats` (`minority_users`: exact binomial tests against the majority
    of the others, false discovery rate 2.5 %), on the train and val rows of seen users alone: test
    votes must not decide in which group of users the test accuracy is reported.

    Args:
        scores: Any table with `user_id`.
        votes: The votes of the table that was split.

    Returns:
        The scores; `minority_user` is null for who could not be tested: fewer than six trials.
    """
    coded = read_rows(votes.filter(learnable()))
    tests = minority_users(coded)
    names = coded.user_names.cast(pl.String)
    found = set(tests.found.tolist())
    flags = pl.DataFrame(
        {
            "user_id": names.gather(pl.Series(tests.users, dtype=pl.Int64)),
            "minority_user": [place in found for place in range(tests.n_tested)],
        },
        schema={"user_id": pl.String, "minority_user": pl.Boolean},
    )
    kept = scores.drop("minority_user", strict=False)
    text = pl.col("user_id").cast(pl.String)
    whose = kept.select(text).join(flags, on="user_id", how="left", maintain_order="left")
    return kept.with_columns(whose["minority_user"])
