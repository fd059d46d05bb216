"""Log loss and area under the ROC curve of the margins."""

import numpy as np

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


def auc(rows: EvaluationRows, average: Average) -> Interval:
    """P(a random pair whose `a` is preferred has a higher margin than one whose `b` is).

    Ties of margins count one half. Which response is `a` is decided by a hash, so both classes are
    about equally large. Null when every judgement has the same side.

    References:
        Hanley & McNeil (1982); row influences as in DeLong et al. (1988).
    """
    positive = rows.prefers_a
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if n_positive == 0 or n_negative == 0:
        return Interval(
            None, None, None, rows.target, "none", 0.95, reason="every judgement has one side"
        )
    placement = np.empty(positive.size)
    for chosen, others in ((positive, ~positive), (~positive, positive)):
        against = np.sort(rows.margin[others])
        below = np.searchsorted(against, rows.margin[chosen], side="left")
        upto = np.searchsorted(against, rows.margin[chosen], side="right")
        placement[chosen] = (below + upto) / (2 * against.size)
    placement[~positive] = 1 - placement[~positive]
    value = float(placement[positive].mean())
    size = np.where(positive, n_positive, n_negative)
    return influence_interval(
        value,
        (placement - value) / size,
        rows.users,
        rows.groups,
        bounds=(0.0, 1.0),
        weights=1 / size,
    )
