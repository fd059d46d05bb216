"""What a comparison could have seen, and what it would take to see more."""

import math
from dataclasses import dataclass

import numpy as np

from plt.analyze.intervals.claims import side
from plt.analyze.intervals.clusters import FloatArray, cell_sums, cluster_sums, read_clusters
from plt.analyze.intervals.distributions import t_quantile
from plt.analyze.intervals.simultaneous import Difference, Judged

POWER = 0.8
MOST = 100
"""More than so many times as much is no plan."""
NO_END = "no number of them alone would do"
TOO_MANY = f"more than {MOST} times as many"
NO_GAIN = "the gain measured here is not above 0, so there is none to plan for"


@dataclass(frozen=True)
class Power:
    """What one difference could have shown.

    Attributes:
        smallest: The smallest gain that this table would call beyond chance in 80 % of cases:
            (critical value + the t quantile of 0.8) x standard error.
        gain: The gain that `users` and `groups` are for: the one measured.
        users: How many more users, each with as many answers as now, it takes to see it in 80 %.
        groups: How many more prompts, each answered as often as now.
        users_reason: Why `users` is null.
        groups_reason: Why `groups` is null.
    """

    smallest: float
    gain: float | None
    users: int | None
    groups: int | None
    users_reason: str | None
    groups_reason: str | None


def power(found: Difference | None, values: FloatArray, judged: Judged) -> Power | None:
    """What a difference that is not beyond chance could have shown; None for one that is.

    The standard error is split as the variance is: a part for users that falls with their number,
    one for prompts, and one for both. More users thin out the first and the last, more prompts the
    second and the last. A plan from the gain measured here: it is no more certain than that gain.

    Args:
        found: The difference.
        values: Its rows; NaN where a row has none.
        judged: The judgements.
    """
    if found is None or found.critical is None or found.interval.value is None:
        return None
    if side(found.together) != "open" or found.interval.se is None:
        return None
    factor = found.critical + t_quantile(float(found.interval.df or 1), POWER)
    gain = found.interval.value
    smallest = factor * found.interval.se
    if gain <= 0:
        return Power(smallest, None, None, None, NO_GAIN, NO_GAIN)
    users, groups, both = _shares(values, judged)
    # Halving the standard error quarters the variance: what must be left of it.
    left = (gain / smallest) ** 2
    more_users = _more(users + both, groups, left, found.interval.n_users or 0)
    more_groups = _more(groups + both, users, left, found.interval.n_groups)
    return Power(smallest, gain, *_split(more_users, more_groups))


def _split(
    users: int | str, groups: int | str
) -> tuple[int | None, int | None, str | None, str | None]:
    return (
        users if isinstance(users, int) else None,
        groups if isinstance(groups, int) else None,
        users if isinstance(users, str) else None,
        groups if isinstance(groups, str) else None,
    )


def _more(falling: float, staying: float, left: float, n: int) -> int | str:
    """How many more of n clusters leave `left` of the variance, or why none do."""
    if n == 0 or left <= staying:
        return NO_END
    times = falling / (left - staying)
    return TOO_MANY if times > MOST else max(math.ceil(n * times) - n, 1)


def _shares(values: FloatArray, judged: Judged) -> tuple[float, float, float]:
    """Shares of the variance: of users, of groups, and of their cells; they sum to 1."""
    known = ~np.isnan(values)
    rows = values[known]
    users = None if judged.users is None else judged.users[known]
    clusters = read_clusters(rows.size, users, judged.groups[known])
    weights = np.full(rows.size, 1 / rows.size)
    centre = np.full(rows.size, rows.mean())
    if clusters.users is not None and judged.average == "user":
        count = np.maximum(np.bincount(clusters.users.rows), 1)
        weights = (1 / (clusters.users.n * count))[clusters.users.rows]
        own = cluster_sums(rows, clusters.users) / count
        fixed = judged.target == "these-users"
        centre = own[clusters.users.rows] if fixed else np.full(rows.size, weights @ rows)
    residual = weights * (rows - centre)
    by_group = float((cluster_sums(residual, clusters.groups) ** 2).sum())
    if clusters.users is None or judged.target not in ("population", "these-prompts"):
        return 0.0, 1.0, 0.0
    by_user = float((cluster_sums(residual, clusters.users) ** 2).sum())
    if judged.target == "these-prompts":
        return 1.0, 0.0, 0.0
    cells = cell_sums(residual, clusters.users, clusters.groups)
    by_cell = min(float((cells**2).sum()), by_user, by_group)
    total = by_user + by_group - by_cell
    if total <= 0:
        return 0.0, 0.0, 1.0
    return (by_user - by_cell) / total, (by_group - by_cell) / total, by_cell / total
