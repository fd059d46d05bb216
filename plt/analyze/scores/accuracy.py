"""Share of judgements whose preferred response gets the higher reward (strict >)."""

import numpy as np

from plt.analyze.intervals.proportions import user_intervals
from plt.analyze.intervals.uncertainty import Average, Interval, mean_interval
from plt.analyze.scores.evaluation import EvaluationRows


def accuracy(rows: EvaluationRows, average: Average) -> Interval:
    """The accuracy over judgements (pooled) or over users of each user's accuracy (macro).

    Ties of the label are left out; a margin of exactly 0 counts as wrong. 10 of 12 right for one
    user and 1 of 2 for another: pooled 11/14, macro (10/12 + 1/2) / 2 = 2/3.

    References:
        Dong et al., "When Personalization Meets Reality", section 3: per-user accuracy.
    """
    return rows.named(
        mean_interval(rows.correct, rows.users, rows.groups, average=average, bounds=(0.0, 1.0))
    )


def worst_user(rows: EvaluationRows, average: Average) -> Interval:
    """The lowest accuracy of any user, with that user's own Wilson interval.

    The interval is about that one person and does not know that the worst of many was picked: by
    chance alone the worst of 300 users with 20 judgements each who are all served at 0.75 is
    expected near 0.45. Null when there are fewer than two users.

    References:
        Dong et al., section 4: minority protection is the minimum over users.
    """
    if rows.users is None or rows.user_names.len() < 2:
        return Interval(None, None, None, "one-user", "none", 0.95, reason="fewer than two users")
    found = user_intervals(rows.correct, rows.users, rows.groups)
    worst = int(found.value.argmin())
    return Interval(
        value=float(found.value[worst]),
        low=float(found.low[worst]),
        high=float(found.high[worst]),
        target="one-user",
        kind=found.kind,
        level=0.95,
        n_rows=int(found.n_rows[worst]),
        n_users=1,
        n_groups=int(np.unique(rows.groups[rows.users == found.users[worst]]).size),
        n_effective=float(found.n_effective[worst]),
    )
