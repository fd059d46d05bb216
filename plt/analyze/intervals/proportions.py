"""Intervals of one person's accuracy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plt.analyze.intervals.clusters import CodeArray, FloatArray, cell_counts, read_clusters
from plt.analyze.intervals.distributions import normal_quantile


@dataclass(frozen=True)
class UserIntervals:
    """One accuracy a user; target `one-user`: this person on other groups.

    Attributes:
        users: Codes of the users that have rows, ascending, [users].
        value: Share of right answers, [users].
        low: Lower ends, [users].
        high: Upper ends, [users].
        n_rows: Rows of each user, [users].
        n_effective: Effective number of groups of each user, [users].
        kind: How the intervals were made.
    """

    users: CodeArray
    value: FloatArray
    low: FloatArray
    high: FloatArray
    n_rows: NDArray[np.intp]
    n_effective: FloatArray
    kind: str = "wilson, effective n"


def wilson_interval(
    successes: NDArray[np.generic],
    n: NDArray[np.generic],
    n_effective: NDArray[np.generic] | None = None,
    *,
    level: float = 0.95,
) -> tuple[FloatArray, FloatArray]:
    """Wilson's score interval of a proportion.

    Wilson (1927, Journal of the American Statistical Association 22). With p = successes / n, size
    m (n, or the effective size where rows are clustered) and normal quantile z, the centre is
    (p + z^2 / 2m) / (1 + z^2 / m) and the half width z sqrt(p (1 - p) / m + z^2 / 4m^2) /
    (1 + z^2 / m).

    Args:
        successes: Counts, which may hold halves for ties, any shape.
        n: Trials, same shape.
        n_effective: Independent trials that the n are worth, same shape; n by default.
        level: Nominal coverage.

    Returns:
        Lower and upper ends within [0, 1]; NaN where n is 0.

    Raises:
        ValueError: Successes outside 0..n.
    """
    won = np.asarray(successes, dtype=np.float64)
    trials = np.asarray(n, dtype=np.float64)
    if not ((won >= 0) & (won <= trials)).all():
        raise ValueError("successes must lie between 0 and n")
    size = trials if n_effective is None else np.asarray(n_effective, dtype=np.float64)
    z = normal_quantile(0.5 + level / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = won / trials
        scale = 1 + z**2 / size
        centre = (p + z**2 / (2 * size)) / scale
        half = z * np.sqrt(p * (1 - p) / size + z**2 / (4 * size**2)) / scale
    # At p of 0 or 1 the end is p itself; rounding must not leave it a hair inside.
    low = np.where(p == 0, 0.0, np.maximum(centre - half, 0.0))
    high = np.where(p == 1, 1.0, np.minimum(centre + half, 1.0))
    return low, high


def exact_lower_end(
    successes: NDArray[np.generic], n: NDArray[np.generic], *, level: float = 0.95
) -> FloatArray:
    """The exact one-sided lower bound of a proportion.

    Clopper and Pearson (1934, Biometrika 26): the p at which so many successes or more have
    probability 1 - level, the quantile 1 - level of Beta(successes, n - successes + 1).

    Args:
        successes: Counts, which may hold halves for ties, any shape.
        n: Trials, same shape.
        level: One-sided coverage.

    Returns:
        Lower ends; 0 where nothing succeeded.
    """
    from scipy import special

    won = np.asarray(successes, dtype=np.float64)
    lost = np.asarray(n, dtype=np.float64) - won
    low = special.betaincinv(np.maximum(won, 1e-9), lost + 1, 1 - level)
    return np.where(won > 0, low, 0.0)


def user_intervals(
    correct: NDArray[np.generic], users: CodeArray, groups: CodeArray, *, level: float = 0.95
) -> UserIntervals:
    """Each user's accuracy, with Wilson's interval for the effective number of groups.

    The rows of one group (the turns of a conversation, the pairs of a prompt) are taken to say the
    same thing, so a user with rows c_g in group g has Kish's (sum c)^2 / sum c^2 independent
    answers. A user of one group has one.

    Args:
        correct: 1 right, 0 wrong, 0.5 for a tie of the model, [rows].
        users: Integer codes >= 0, [rows].
        groups: Integer codes >= 0, [rows].
        level: Nominal coverage.

    Returns:
        One entry a user with rows; users without rows are absent.

    Raises:
        ValueError: Values outside [0, 1], codes not usable, or lengths that differ.
    """
    rows = np.asarray(correct, dtype=np.float64)
    if not ((rows >= 0) & (rows <= 1)).all():
        raise ValueError("correct must lie between 0 and 1")
    clusters = read_clusters(rows.size, users, groups)
    if clusters.users is None or rows.size == 0:
        none = np.zeros(0)
        return UserIntervals(np.unique(users), none, none, none, none.astype(np.intp), none)
    count = np.bincount(clusters.users.rows)
    present = count > 0
    given = np.empty(count.size, dtype=np.asarray(users).dtype)
    given[clusters.users.rows] = users
    n_rows = count[present]
    cell_user, cell_count = cell_counts(clusters.users, clusters.groups)
    n_effective = n_rows**2.0 / np.bincount(cell_user, cell_count**2)[present]
    won = np.bincount(clusters.users.rows, rows)[present]
    low, high = wilson_interval(won, n_rows, n_effective, level=level)
    return UserIntervals(given[present], won / n_rows, low, high, n_rows, n_effective)
