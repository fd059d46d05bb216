"""Share of judgements whose preferred response gets the higher reward."""

import numpy as np

from plt.analyze.intervals.clusters import FloatArray
from plt.analyze.intervals.proportions import UserIntervals, user_intervals
from plt.analyze.intervals.uncertainty import Average, Interval, mean_interval
from plt.analyze.scores.evaluation import EvaluationRows

LEVEL = 0.95


def accuracy(rows: EvaluationRows, average: Average) -> Interval:
    """The accuracy over judgements (pooled) or over users of each user's accuracy (macro).

    Ties of the label are left out; an undecided margin earns one half. 10 of 12 right for one
    user and 1 of 2 for another: pooled 11/14, macro (10/12 + 1/2) / 2 = 2/3.

    References:
        Dong et al., "When Personalization Meets Reality", section 3: per-user accuracy.
    """
    return rows.named(
        mean_interval(rows.correct, rows.users, rows.groups, average=average, bounds=(0.0, 1.0))
    )


def worst_user(rows: EvaluationRows, average: Average) -> Interval:
    """The lowest accuracy of any user, observed, and what the lowest true one can be.

    By chance alone the worst of 300 users with 20 judgements each who are all served at 0.75 is
    expected near 0.45: the observed figure is too low, and an interval of that one person knows
    nothing of having been picked. So the interval is about the lowest true accuracy among these
    users, on other prompts. With all bounds of all U users holding together (Clopper-Pearson at
    0.025 / U a side, on the effective number of prompts of each), it lies above the lowest of the
    lower bounds and below the lowest of the upper ones. It is wide, as that knowledge is. Null
    when there are fewer than two users.

    References:
        Dong et al., section 4: minority protection is the minimum over users.
        Clopper & Pearson (1934, Biometrika 26).
    """
    if rows.users is None or rows.user_names.len() < 2:
        return Interval(
            None, None, None, "these-users", "none", LEVEL, reason="fewer than two users"
        )
    found = user_intervals(rows.correct, rows.users, rows.groups)
    low, high = _clopper_pearson(found, (1 - LEVEL) / (2 * found.value.size))
    return Interval(
        value=float(found.value.min()),
        low=float(low.min()),
        high=float(high.min()),
        target="these-users",
        kind="simultaneous Clopper-Pearson, effective groups",
        level=LEVEL,
        n_rows=int(found.n_rows.sum()),
        n_users=found.value.size,
        n_groups=int(np.unique(rows.groups).size),
    )


def _clopper_pearson(found: UserIntervals, tail: float) -> tuple[FloatArray, FloatArray]:
    """Exact bounds of each user's accuracy, each missed with probability `tail`, [U] each."""
    from scipy import special

    right, n = found.value * found.n_effective, found.n_effective
    wrong = n - right
    low = special.betaincinv(np.maximum(right, 1e-9), wrong + 1, tail)
    high = special.betaincinv(right + 1, np.maximum(wrong, 1e-9), 1 - tail)
    return np.where(right > 0, low, 0.0), np.where(wrong > 0, high, 1.0)
