"""Intervals of means, shares and smooth statistics; the root of every interval and test in plt.

Beside it stand `bootstrap` (statistics that are no means), `proportions` (one person's accuracy)
and `significance` (paired differences, exact tests, many tests at once).

Rows of preference data are not independent: one person answers many pairs, and one pair or
conversation is answered by many persons. So every row has two integer codes, `users` and `groups`,
and no row is treated as a draw of its own. The target says what an interval generalises to:

* `population`: other users and other groups of the kind seen here; both vary.
* `these-users`: the same users, on other groups; only groups vary.
* `these-prompts`: other users, same groups and responses; only users vary. All one group allows.
* `groups`: data without users, or figures of pairs; only groups vary.
* `one-user`: a single person on other groups.

The variance of a sum of row influences r_i (a mean has r_i = w_i (y_i - mean)) is the two-way
cluster variance of Cameron, Gelbach and Miller (2011, Journal of Business & Economic Statistics
29) with a small-sample factor for each term,

    V = V(user) + V(group) - V(user x group),   V(c) = C / (C - 1) * sum_c (sum_{i in c} r_i)^2,

where C counts the clusters of one kind. The difference can fall below either one-way variance by
chance, even below zero, so V is never taken below the larger of the first two. The interval uses
Student's t with min(#users, #groups) - 1 degrees of freedom.

A worked table: three users (rows) by three groups (columns),

    -2 -1  0
    -1  0  1      mean 0, r = y / 9, user sums (-1/3, 0, 1/3), group sums the same
     0  1  2

so V(user) = V(group) = 3/2 * 2/9 = 1/3, V(user x group) = 9/8 * 12/81 = 1/6 and V = 1/2, where
treating the nine rows as independent gives 1/6.

Data without variation do not make a figure certain. Where no row differs from what is expected of
it, the clusters seen are n_eff draws without an exception (n_eff = Kish's effective number), so
the probability that a new one breaks the pattern is below q = 1 - (alpha / 2) ** (1 / n_eff)
(Clopper and Pearson's bound for no success in n_eff); what it then shows lies between the bounds of
the values. Five right answers in five groups give [0.478, 1], never [1, 1]. Without bounds nothing
can be said and the interval is null.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plt.analyze.intervals.clusters import (
    Clusters,
    CodeArray,
    FloatArray,
    cell_sums,
    cluster_sums,
    kish_size,
    read_clusters,
)
from plt.analyze.intervals.distributions import t_quantile

Target: TypeAlias = Literal["population", "these-users", "these-prompts", "one-user", "groups"]
Average: TypeAlias = Literal["pair", "user"]
Bounds: TypeAlias = tuple[float, float]

MIN_POPULATION_USERS = 10
"""Below this many users, intervals are about these users unless the caller insists."""

KIND_NONE = "none"
KIND_TWO_WAY = "two-way cluster t"
KIND_GROUPS = "group cluster t"
KIND_USERS = "user cluster t"
KIND_ROWS = "independent rows t"
KIND_NO_EXCEPTION = "exact binomial, effective clusters"

# A standard error this small beside the mean absolute influence is rounding, not information.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Interval:
    """A figure with its interval.

    Attributes:
        value: The figure; null when there are no rows.
        low: Lower end; null together with `high`.
        high: Upper end.
        target: What the interval generalises to.
        kind: How the interval was made.
        level: Nominal coverage, such as 0.95.
        se: Standard error, where the kind has one.
        df: Degrees of freedom of Student's t, where the kind has them.
        n_rows: Rows used.
        n_users: Distinct users among them; null for data without users.
        n_groups: Distinct groups among them.
        n_effective: Effective number of clusters, where the kind rests on it.
        n_undefined: Bootstrap replicates in which the statistic was not a number.
        reason: Why `value` or the bounds are null; null otherwise.
    """

    value: float | None
    low: float | None
    high: float | None
    target: Target
    kind: str
    level: float
    se: float | None = None
    df: int | None = None
    n_rows: int = 0
    n_users: int | None = None
    n_groups: int = 0
    n_effective: float | None = None
    n_undefined: int = 0
    reason: str | None = None

    @property
    def label(self) -> str:
        """Target and kind in one string, as the `interval` column of `metrics/1` holds it."""
        return f"{self.target}: {self.kind}"


def default_target(n_users: int, n_groups: int | None = None) -> Target:
    """The target of an interval when nobody asked for one.

    Args:
        n_users: Distinct users in the data.
        n_groups: Distinct groups, where the caller can do with users alone when there is one.

    Returns:
        `these-users` below 10 users, where a variance between users is a guess; `these-prompts`
        for one group, which says nothing about others; else `population`.
    """
    if n_users < MIN_POPULATION_USERS:
        return "these-users"
    return "these-prompts" if n_groups == 1 else "population"


def mean_interval(
    values: NDArray[np.generic],
    users: CodeArray | None,
    groups: CodeArray,
    *,
    target: Target = "population",
    average: Average = "pair",
    level: float = 0.95,
    bounds: Bounds | None = None,
) -> Interval:
    """A mean over rows, or over users of their means, with a cluster-robust interval.

    Population intervals use the residuals w_i (y_i - mean). With the users fixed, each user's own
    mean is a constant, so the average over users has residuals w_i (y_i - mean of the user).

    Args:
        values: Finite numbers, [rows]; the caller leaves out and counts what is missing.
        users: Integer codes >= 0, [rows], or None for data without users.
        groups: Integer codes >= 0, [rows].
        target: `population`, `these-users` or `these-prompts`; without users it is `groups`.
        average: `pair` weighs rows equally; `user` weighs users equally, a row 1 / (U n_u).
        level: Nominal coverage.
        bounds: Smallest and largest possible value; the interval is clipped to them.

    Returns:
        The interval. No rows: all null. One cluster of a kind that varies: the value with null
        bounds. No variation: see the module's text. Each null carries its reason.

    Raises:
        ValueError: Values not finite, codes not usable, lengths that differ, or `average="user"`
            without users.
    """
    rows = np.asarray(values, dtype=np.float64)
    clusters = read_clusters(rows.size, users, groups)
    target = checked_target(target, clusters)
    if average == "user" and clusters.users is None:
        raise ValueError("an average over users needs users")
    if rows.size == 0:
        return null_interval(None, "no rows", clusters, target, level)
    smallest, largest = float(rows.min()), float(rows.max())
    if not (np.isfinite(smallest) and np.isfinite(largest)):
        raise ValueError("values must be finite: leave missing rows out and count them")
    if bounds is not None and not (bounds[0] <= smallest and largest <= bounds[1]):
        raise ValueError(f"values lie outside their bounds {bounds}")
    estimate = _mean_and_influence(rows, clusters, average, target)
    return _interval(estimate, clusters, target, level, bounds)


def influence_interval(
    value: float,
    influence: FloatArray,
    users: CodeArray | None,
    groups: CodeArray,
    *,
    target: Target = "population",
    level: float = 0.95,
    bounds: Bounds | None = None,
) -> Interval:
    """The interval of any smooth statistic whose row influences are known.

    To first order the statistic moves by the sum of the influences, so their cluster variance is
    its variance (the infinitesimal jackknife). An AUC, for instance, has the influences
    (placement of the row - AUC) / (number of rows of its class).

    Args:
        value: The statistic on all rows.
        influence: Its derivative by the weight of each row at weights one, [rows], summing to 0.
        users: Integer codes >= 0, [rows], or None.
        groups: Integer codes >= 0, [rows].
        target: `population`, `these-users` or `these-prompts`; without users it is `groups`.
        level: Nominal coverage.
        bounds: Smallest and largest possible value of the statistic.

    Returns:
        The interval, with the degenerate cases of `mean_interval`.

    Raises:
        ValueError: Numbers not finite, codes not usable, or lengths that differ.
    """
    rows = np.asarray(influence, dtype=np.float64)
    clusters = read_clusters(rows.size, users, groups)
    target = checked_target(target, clusters)
    if rows.size == 0:
        return null_interval(None, "no rows", clusters, target, level)
    if not (np.isfinite(value) and np.isfinite(rows).all()):
        raise ValueError("the statistic and its influences must be finite")
    rows = np.where(np.abs(rows) * rows.size > ROUNDING * max(1.0, abs(value)), rows, 0.0)
    # How far a new cluster would move a statistic that is no mean is not known from its bounds.
    known = bounds if rows.any() else None
    return _interval((float(value), rows, None), clusters, target, level, known)


def ratio_interval(
    numerators: NDArray[np.generic],
    denominators: NDArray[np.generic],
    groups: CodeArray,
    *,
    level: float = 0.95,
) -> Interval:
    """A share sum(numerators) / sum(denominators) whose clusters are groups only.

    For statistics of pairs (divergence, agreement): the users are part of the definition, so only
    groups vary. Linearised: r_i = (numerator_i - share * denominator_i) / sum(denominators).

    Args:
        numerators: Counts, [rows], 0 <= numerator <= denominator.
        denominators: Counts, [rows]; rows with 0 say nothing and do not count.
        groups: Integer codes >= 0, [rows].
        level: Nominal coverage.

    Returns:
        The share clipped to [0, 1]; null if the denominators sum to 0; null bounds for one group.

    Raises:
        ValueError: Counts out of order or not finite, or codes not usable.
    """
    top, bottom = (np.asarray(part, dtype=np.float64) for part in (numerators, denominators))
    if top.shape != bottom.shape or np.shape(groups) != bottom.shape:
        raise ValueError("numerators, denominators and groups must have one length")
    if not (np.isfinite(bottom).all() and (top >= 0).all() and (top <= bottom).all()):
        raise ValueError("a share needs 0 <= numerator <= denominator in every row")
    used = bottom > 0
    top, bottom = top[used], bottom[used]
    clusters = read_clusters(top.size, None, np.asarray(groups)[used])
    if bottom.size == 0:
        return null_interval(None, "no rows with a denominator", clusters, "groups", level)
    total = bottom.sum()
    share = float(top.sum() / total)
    influence = (top - share * bottom) / total
    if np.all(top * bottom[0] == top[0] * bottom):
        influence[:] = 0.0  # one ratio everywhere: what is left is rounding
    return _interval((share, influence, bottom), clusters, "groups", level, (0.0, 1.0))


def checked_target(target: Target, clusters: Clusters) -> Target:
    """The target to report: without users it is `groups`; ValueError for an unknown one."""
    if target not in ("population", "these-users", "these-prompts", "groups"):
        raise ValueError(f"unknown target {target!r}")
    return "groups" if clusters.users is None else target


def _mean_and_influence(
    rows: FloatArray, clusters: Clusters, average: Average, target: Target
) -> tuple[float, FloatArray, FloatArray | None]:
    """The mean, w_i * residual_i (exact zeros where nothing varies), and w_i unless all equal."""
    pivot = float(rows.mean())
    centred = rows - pivot
    constant = rows.min() == rows.max()
    if average == "pair" or clusters.users is None:
        centred /= rows.size
        return (float(rows[0]), np.zeros_like(rows), None) if constant else (pivot, centred, None)
    users = clusters.users
    count = np.bincount(users.rows)
    weights = (1 / (users.n * np.maximum(count, 1)))[users.rows]
    if constant:
        return float(rows[0]), np.zeros_like(rows), weights
    user_mean = cluster_sums(centred, users) / np.maximum(count, 1)
    shift = float(user_mean.sum()) / users.n
    if target != "these-users":
        return pivot + shift, weights * (centred - shift), weights
    influence = weights * (centred - user_mean[users.rows])
    if np.abs(influence).sum() <= ROUNDING * (weights * np.abs(centred)).sum():
        influence[:] = 0.0  # every user is constant: what is left is rounding
    return pivot + shift, influence, weights


def _interval(
    estimate: tuple[float, FloatArray, FloatArray | None],
    clusters: Clusters,
    target: Target,
    level: float,
    bounds: Bounds | None,
) -> Interval:
    """The interval of an estimate (value, row influences, row weights unless all are equal)."""
    if not 0 < level < 1:
        raise ValueError("level must lie between 0 and 1")
    value, influence, weights = estimate
    reason = clusters.lone(target)
    if reason is not None:
        return null_interval(value, reason, clusters, target, level)
    if not influence.any():
        return _without_variation(value, weights, clusters, target, level, bounds)
    se, df, kind = _cluster_error(influence, clusters, target)
    half = t_quantile(df, 0.5 + level / 2) * se
    low, high = bounds or (-np.inf, np.inf)
    return Interval(
        value=value,
        low=max(value - half, low),
        high=min(value + half, high),
        target=target,
        kind=kind,
        level=level,
        se=se,
        df=df,
        **clusters.counts,
    )


def _cluster_error(
    influence: FloatArray, clusters: Clusters, target: Target
) -> tuple[float, int, str]:
    """Standard error, degrees of freedom and kind of a sum of influences."""
    kinds = clusters.varying(target)
    variances = [_variance_of_sum(cluster_sums(influence, kind), kind.n) for kind in kinds]
    variance, kind = max(variances), KIND_GROUPS if kinds[0] is clusters.groups else KIND_USERS
    if len(kinds) == 2:
        cells = cell_sums(influence, kinds[1], kinds[0])
        variance = max(variance, sum(variances) - _variance_of_sum(cells, cells.size))
        kind = KIND_TWO_WAY
    if np.sqrt(variance) <= ROUNDING * np.abs(influence).sum():
        # Rows vary but all cluster sums cancel, as in a balanced two-by-two table.
        variance, kind = _variance_of_sum(influence, influence.size), KIND_ROWS
    return float(np.sqrt(variance)), min(each.n for each in kinds) - 1, kind


def _variance_of_sum(sums: FloatArray, n: int) -> float:
    return n / (n - 1) * float(sums @ sums)


def _without_variation(
    value: float,
    weights: FloatArray | None,
    clusters: Clusters,
    target: Target,
    level: float,
    bounds: Bounds | None,
) -> Interval:
    """The interval after n_eff clusters without an exception (see the module's text)."""
    if bounds is None:
        reason = "no variation between rows, so nothing to judge the next one by"
        return null_interval(value, reason, clusters, target, level)
    kinds = clusters.varying(target)
    n_effective = min(kish_size(np.bincount(kind.rows, weights)) for kind in kinds)
    broken = 1 - ((1 - level) / 2) ** (1 / n_effective)
    return Interval(
        value=value,
        low=value - broken * (value - bounds[0]),
        high=value + broken * (bounds[1] - value),
        target=target,
        kind=KIND_NO_EXCEPTION,
        level=level,
        **clusters.counts,
        n_effective=n_effective,
    )


def null_interval(
    value: float | None, reason: str, clusters: Clusters, target: Target, level: float
) -> Interval:
    """A figure whose bounds cannot be had, with the reason."""
    return Interval(
        value=value,
        low=None,
        high=None,
        target=target,
        kind=KIND_NONE,
        level=level,
        **clusters.counts,
        reason=reason,
    )
