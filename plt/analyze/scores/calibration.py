"""Log loss and area under the ROC curve of the margins."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plt.analyze.intervals.clusters import FloatArray
from plt.analyze.intervals.uncertainty import Average, Interval, influence_interval, mean_interval
from plt.analyze.scores.evaluation import EvaluationRows


def log_loss(rows: EvaluationRows, average: Average) -> Interval:
    """Mean of -log sigma(margin of the preferred response); a margin of 0 gives log 2 = 0.693.

    It has no upper bound, so where no row varies the interval is null.

    References:
        Bradley & Terry (1952): sigma(margin) is the probability of the preference.
    """
    loss = np.logaddexp(0.0, -rows.signed)
    return mean_interval(loss, rows.users, rows.groups, average=average, bounds=(0.0, np.inf))


def overconfidence(rows: EvaluationRows, average: Average) -> Interval:
    """Mean probability given to the answers that a model takes, minus the share that is right.

    Above 0 it promises more than it keeps. A model that gives 0.9 to ten answers of which seven are
    right has +0.2; one that is undecided everywhere has 0.

    References:
        Guo et al. 2017, "On calibration of modern neural networks", in a single bin.
    """
    excess = confidence(rows.margin) - rows.correct
    return mean_interval(excess, rows.users, rows.groups, average=average, bounds=(-1.0, 1.0))


def confidence(margin: FloatArray) -> FloatArray:
    """The probability that a model gives to the side that it takes, same shape, 1/2 at least."""
    return np.asarray(1 / (1 + np.exp(-np.abs(margin))))


def auc(rows: EvaluationRows, average: Average) -> Interval:
    """P(a random pair whose `a` is preferred has a higher margin than one whose `b` is).

    Ties of margins count one half. Which response is `a` is decided by a hash, so both classes are
    about equally large. Null when every judgement has the same side.

    References:
        Hanley & McNeil (1982); row influences as in DeLong et al. (1988).
    """
    found = auc_influence(rows.margin, rows.prefers_a)
    if found is None:
        return Interval(
            None, None, None, rows.target, "none", 0.95, reason="every judgement has one side"
        )
    return influence_interval(
        found.value,
        found.influence,
        rows.users,
        rows.groups,
        bounds=(0.0, 1.0),
        weights=found.weights,
    )


@dataclass(frozen=True)
class AucInfluence:
    """The area under the curve, and how each row moves it.

    Attributes:
        value: The area.
        influence: Its derivative by the weight of each row, [rows].
        weights: How much of it each row is, [rows].
    """

    value: float
    influence: FloatArray
    weights: FloatArray


def auc_influence(margin: FloatArray, positive: NDArray[np.bool_]) -> AucInfluence | None:
    """The area under the curve of margins; None where all rows are of one class."""
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if n_positive == 0 or n_negative == 0:
        return None
    placement = np.empty(positive.size)
    for chosen, others in ((positive, ~positive), (~positive, positive)):
        against = np.sort(margin[others])
        below = np.searchsorted(against, margin[chosen], side="left")
        upto = np.searchsorted(against, margin[chosen], side="right")
        placement[chosen] = (below + upto) / (2 * against.size)
    placement[~positive] = 1 - placement[~positive]
    value = float(placement[positive].mean())
    size = np.where(positive, n_positive, n_negative)
    return AucInfluence(value, (placement - value) / size, 1 / size)
