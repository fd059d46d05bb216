"""How well a policy's implicit reward predicts workers: the accuracies of P-RLHF (2024)."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import polars as pl

from plt.analyze.intervals.uncertainty import Interval, mean_interval
from plt.analyze.scores.accuracy import accuracy
from plt.analyze.scores.evaluation import EvaluationRows, evaluation_rows
from plt.errors import DataError


@dataclass(frozen=True)
class ImplicitAccuracy:
    """The accuracies of Li et al. 2024, appendix C.3; null where there is nobody, with the reason.

    Attributes:
        top: Pooled over the judgements of the workers that were learnt from, each with their own
            reward.
        generic: Pooled over the judgements of the others, with the population's reward.
        majority: Mean over workers of each one's accuracy, of those learnt from who are in the
            majority; `se` is over workers, as in the paper.
        minority: The same of those in the minority.
    """

    top: Interval
    generic: Interval
    majority: Interval
    minority: Interval


def implicit_accuracy(scores: pl.DataFrame, minority: Collection[str]) -> ImplicitAccuracy:
    """The three accuracies of one run.

    Ties of the label are left out; an undecided margin earns one half.

    Args:
        scores: A `scores/1` table of one run, without controls, of seen and unseen users.
        minority: The seen users whose taste is the rarer one, by name.

    Raises:
        DataError: There are scores of several runs, or none says whose they are.
    """
    rows = scores.filter(pl.col("control").is_null(), pl.col("user_id").is_not_null())
    if rows["run_id"].n_unique() != 1:
        raise DataError(
            f"the scores are of {rows['run_id'].n_unique()} runs, and one is wanted",
            hint="plt score RUN DATA -o scores.parquet",
        )
    seen = rows.filter(pl.col("user_split") == "seen")
    rare = pl.col("user_id").is_in(list(minority))
    return ImplicitAccuracy(
        top=accuracy(evaluation_rows(seen), "pair"),
        generic=accuracy(evaluation_rows(rows.filter(pl.col("user_split") == "unseen")), "pair"),
        majority=_over_workers(evaluation_rows(seen.filter(~rare))),
        minority=_over_workers(evaluation_rows(seen.filter(rare))),
    )


def _over_workers(rows: EvaluationRows) -> Interval:
    """Mean of the workers' accuracies; each worker is one draw."""
    if rows.users is None:
        return mean_interval(np.zeros(0), None, np.zeros(0, dtype=np.int64), target="groups")
    counts = np.bincount(rows.users)
    own = np.bincount(rows.users, weights=rows.correct) / counts
    return mean_interval(own, None, np.arange(len(own)), target="groups", bounds=(0.0, 1.0))
