"""How right the majority's vote is on the rows of a comparison: a reference line, not a method.

It reads the labels that models are judged on, so nothing can be trained towards it.
"""

import polars as pl

from plt.analyze.intervals.uncertainty import Interval, mean_interval
from plt.analyze.scores.evaluation import EvaluationRows

OWN_VOTE = "majority, own vote counted"
LEAVE_ONE_OUT = "majority of the others"


def majority_reference(rows: EvaluationRows, scores: pl.DataFrame) -> dict[str, Interval]:
    """Accuracy over judgements of predicting each by the majority on the same pair.

    With the own vote counted it is the ceiling of every user-blind scorer on exactly these rows
    (Lemma 3.2 of P-RLHF: the best user-blind answer is the majority's). Among the others only, it
    is what a user-blind oracle of the other people would reach. A tied majority, or no other
    person, earns one half. Of the votes (a, a, b) the first form gets 2 of 3 right; leaving one
    out, the two a's face a tie and earn 1/2 each and the b earns 0: 1/3.

    Args:
        rows: What the accuracies of the comparison are computed on.
        scores: The same judgements as a table with `pair_id`, `user_id` and `label`.

    Returns:
        Form to interval; empty for data without users.
    """
    if rows.users is None:
        return {}
    sided = scores.filter(pl.col("label").is_not_null(), pl.col("label") != 0.5)
    side = (2 * (pl.col("label") > 0.5).cast(pl.Int64) - 1).alias("_side")
    votes = sided.select("pair_id", "user_id", side).with_columns(
        _all=pl.col("_side").sum().over("pair_id"),
        _own=pl.col("_side").sum().over("pair_id", "user_id"),
    )
    agreement = {
        OWN_VOTE: pl.col("_all") * pl.col("_side"),
        LEAVE_ONE_OUT: (pl.col("_all") - pl.col("_own")) * pl.col("_side"),
    }
    found = {}
    for name, product in agreement.items():
        earned = votes.select(0.5 + 0.5 * product.sign().cast(pl.Float64)).to_series().to_numpy()
        found[name] = mean_interval(earned, rows.users, rows.groups, bounds=(0.0, 1.0))
    return found
