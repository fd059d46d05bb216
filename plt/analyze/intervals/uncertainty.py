"""Intervals of means, shares and smooth statistics; the root of every interval and test in plt.

Beside it stand `jackknife` (the variances), `bootstrap` (statistics that are no means),
`proportions` (one person's accuracy) and `significance` (paired differences, exact tests, many
tests at once).

Rows of preference data are not independent: one person answers many pairs, and one pair or
conversation is answered by many persons. So every row has two integer codes, `users` and `groups`,
and no row is treated as a draw of its own. The target says what an interval generalises to:

* `population`: other users and other groups of the kind seen here; both vary.
* `these-users`: the same users, on other groups; only groups vary.
* `these-prompts`: other users, same groups and responses; only users vary.
* `groups`: data without users, or figures of pairs; only groups vary.
* `these-judgements`: nothing beyond them, so there is no interval.
* `one-user`: a single person on other groups.

Unless the caller insists, the target follows from the *effective* numbers of users and groups, Kish
of their weights in that figure (`default_target`): one large prompt among hundreds makes few
prompts. A population interval carries the one for these users as well, since a claim about these
ten people can be beyond doubt where one about everybody is not.

The variance is V(user) + V(group) - V(user x group), never below the larger of the first two, each
term by deleting one cluster at a time (`plt.analyze.intervals.jackknife`), and the interval is
Student's t with the smallest effective number of clusters of a kind that varies, minus 1, degrees
of freedom (fewer for an area under a curve). A share (bounds 0, 1) near an end is skewed, and its
variance is seen too small where exceptions are few and happen to be missing: its interval reaches
as far as Wilson's on the answers that the variance is worth, or as t does, whichever is further. In
simulations with shares of .95 and .99, t alone held .78 to .93.

A worked table: three users (rows) by three groups (columns),

    -2 -1  0
    -1  0  1      mean 0; without a user or group it moves by 1/2, 0, -1/2
     0  1  2

so V(user) = V(group) = 2/3 * 1/2 = 1/3, V(user x group) = 8/9 * 12/64 = 1/6 and V = 1/2, where
treating the nine rows as independent gives 1/6.

Data without variation do not make a figure certain. Where no row differs from what is expected of
it, the clusters seen are n_eff draws without an exception (n_eff = Kish's effective number), so
the probability that a new one breaks the pattern is below q = 1 - (alpha / 2) ** (1 / n_eff)
(Clopper and Pearson's bound for no success in n_eff); what it then shows lies between the bounds of
the values. Five right answers in five groups give [0.478, 1], never [1, 1]. Without bounds nothing
can be said and the interval is null.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plt.analyze.intervals import jackknife
from plt.analyze.intervals.clusters import (
    ROUNDING,
    Clusters,
    CodeArray,
    FloatArray,
    cluster_sums,
    read_clusters,
)
from plt.analyze.intervals.distributions import t_quantile
from plt.analyze.intervals.interval import (
    KIND_GROUPS,
    KIND_NO_EXCEPTION,
    KIND_NONE,
    KIND_ROWS,
    KIND_TWO_WAY,
    KIND_USERS,
    MIN_POPULATION_GROUPS,
    MIN_POPULATION_USERS,
    Average,
    Bounds,
    Interval,
    Target,
    checked_target,
    default_target,
    null_interval,
)
from plt.analyze.intervals.jackknife import Figure, OverUsers, Pooled, variances

__all__ = [  # what an interval is and how it is made, from one door
    "KIND_GROUPS",
    "KIND_NONE",
    "KIND_NO_EXCEPTION",
    "KIND_ROWS",
    "KIND_TWO_WAY",
    "KIND_USERS",
    "MIN_POPULATION_GROUPS",
    "MIN_POPULATION_USERS",
    "ROUNDING",
    "Average",
    "Bounds",
    "Interval",
    "Target",
    "default_target",
    "influence_interval",
    "mean_interval",
    "ratio_interval",
]

_KINDS = {"population": KIND_TWO_WAY, "these-prompts": KIND_USERS}


def mean_interval(
    values: NDArray[np.generic],
    users: CodeArray | None,
    groups: CodeArray,
    *,
    target: Target | None = None,
    average: Average = "pair",
    level: float = 0.95,
    bounds: Bounds | None = None,
) -> Interval:
    """A mean over rows, or over users of their means, with a cluster-robust interval.

    Args:
        values: Finite numbers, [rows]; the caller leaves out and counts what is missing.
        users: Integer codes >= 0, [rows], or None for data without users.
        groups: Integer codes >= 0, [rows].
        target: By default what the effective numbers of users and groups allow (`default_target`);
            `population`, `these-users`, `these-prompts` or `these-judgements` insist on it.
            Without users `groups` stands for the first three.
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
    return _interval(_mean(rows, clusters, average), target, level, bounds)


def influence_interval(
    value: float,
    influence: FloatArray,
    users: CodeArray | None,
    groups: CodeArray,
    *,
    target: Target | None = None,
    level: float = 0.95,
    bounds: Bounds | None = None,
    weights: FloatArray | None = None,
) -> Interval:
    """The interval of any smooth statistic whose row influences are known.

    To first order the statistic moves by the sum of the influences, so a cluster is deleted as
    from a weighted mean: the sum of its influences over the weight that is left. An AUC, for
    instance, has the influences (placement of the row - AUC) / (number of rows of its class) and
    the weights 1 / (number of rows of its class).

    Args:
        value: The statistic on all rows.
        influence: Its derivative by the weight of each row at weights one, [rows], summing to 0.
        users: Integer codes >= 0, [rows], or None.
        groups: Integer codes >= 0, [rows].
        target: As in `mean_interval`.
        level: Nominal coverage.
        bounds: Smallest and largest possible value of the statistic; (0, 1) is an area under a
            curve, whose variance may rest on few clusters (`jackknife.variance_size`).
        weights: How much of the statistic each row is, >= 0, [rows]; the same for all by default.

    Returns:
        The interval, with the degenerate cases of `mean_interval`. Weights that are all 0 are no
        rows.

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
    if weights is not None:
        weights = np.asarray(weights, dtype=np.float64)
        if weights.shape != rows.shape or not np.isfinite(weights).all() or (weights < 0).any():
            raise ValueError("weights must be finite numbers >= 0, one a row")
        if not weights.any():
            return null_interval(None, "no row has a weight", clusters, target, level)
    rows = np.where(np.abs(rows) * rows.size > ROUNDING * max(1.0, abs(value)), rows, 0.0)
    # How far a new cluster would move a statistic that is no mean is not known from its bounds.
    known = bounds if rows.any() else None
    figure = Pooled(float(value), clusters, rows, weights, is_area=bounds == (0.0, 1.0))
    return _interval(figure, target, level, known)


def ratio_interval(
    numerators: NDArray[np.generic],
    denominators: NDArray[np.generic],
    groups: CodeArray,
    *,
    target: Target | None = None,
    level: float = 0.95,
) -> Interval:
    """A share sum(numerators) / sum(denominators) whose clusters are groups only.

    For statistics of pairs (divergence, agreement): the users are part of the definition, so only
    groups vary. It is a mean of the ratios weighted by the denominators.

    Args:
        numerators: Counts, [rows], 0 <= numerator <= denominator.
        denominators: Counts, [rows]; rows with 0 say nothing and do not count.
        groups: Integer codes >= 0, [rows].
        target: `groups` insists on an interval; by default there is none below 4 effective groups.
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
    target = checked_target(target, clusters)
    if bottom.size == 0:
        return null_interval(None, "no rows with a denominator", clusters, target, level)
    total = bottom.sum()
    share = float(top.sum() / total)
    influence = (top - share * bottom) / total
    if np.all(top * bottom[0] == top[0] * bottom):
        influence[:] = 0.0  # one ratio everywhere: what is left is rounding
    return _interval(Pooled(share, clusters, influence, bottom), target, level, (0.0, 1.0))


def _mean(rows: FloatArray, clusters: Clusters, average: Average) -> Figure:
    """The mean, with deviations that are exactly 0 where nothing varies."""
    users = clusters.users if average == "user" else None
    pivot = float(rows.mean())
    if rows.min() == rows.max():
        pivot = float(rows[0])  # and not what rounding makes of its mean
    centred = rows - pivot
    if users is None:
        return Pooled(pivot, clusters, centred / rows.size)
    user_means = cluster_sums(centred, users) / np.maximum(np.bincount(users.rows), 1)
    shift = float(user_means.sum()) / users.n
    return OverUsers(pivot + shift, clusters, centred - shift)


def effective_sizes(figure: Figure) -> dict[str, Any]:
    """What an interval says of the effective numbers and of clusters that dominate."""
    clusters = figure.clusters
    users, groups = clusters.users, clusters.groups
    of_users = None if users is None else figure.totals(users)
    return {
        "effective_users": None if users is None else figure.size(users),
        "effective_groups": figure.size(groups),
        "dominant": clusters.dominant(of_users, figure.totals(groups)),
    }


def _interval(
    figure: Figure, target: Target | None, level: float, bounds: Bounds | None
) -> Interval:
    """The interval of a figure for a target, by default for the one that its sizes allow."""
    if not 0 < level < 1:
        raise ValueError("level must lie between 0 and 1")
    sizes = effective_sizes(figure)
    # A share reaches as far as the score test of its rows does, whatever the spread of one user.
    settled = target is not None or bounds == (0, 1)
    target = target or default_target(sizes["effective_users"], sizes["effective_groups"])
    reason = no_interval(figure, target) or (None if settled else thin_user(figure))
    found = None
    if reason is None:
        terms = variances(figure, target)
        found = _ends(figure, target, terms.total, level, bounds)
        reason = "no variation between rows, so nothing to judge the next one by"
    if found is None:
        null = null_interval(figure.value, str(reason), figure.clusters, target, level)
        return replace(null, **sizes)
    these = None
    if target == "population":
        these = _ends(figure, "these-users", terms.group or 0.0, level, bounds)
    return Interval(
        value=figure.value,
        low=found.low,
        high=found.high,
        target=target,
        kind=found.kind,
        level=level,
        se=found.se,
        df=found.df,
        **figure.clusters.counts,
        n_effective=found.n_effective,
        **sizes,
        these_users=None if these is None else (these.low, these.high),
    )


def no_interval(figure: Figure, target: Target) -> str | None:
    """Why there can be no interval for a target; else None."""
    clusters = figure.clusters
    if target == "these-judgements":
        sizes = f"{figure.size(clusters.groups):.1f} effective groups"
        if clusters.users is not None:
            sizes = f"{figure.size(clusters.users):.1f} effective users and {sizes}"
        return f"{sizes} are too few to speak of others"
    reason = clusters.lone(target)
    if reason is None and _smallest(figure, target) <= 1 + ROUNDING:
        return "one user or group holds all the weight"
    return reason


def thin_user(figure: Figure) -> str | None:
    """Why a mean over few users has no interval of its own accord: one of them says too little."""
    few = figure.fewest_groups if isinstance(figure, OverUsers) else None
    if few is None:
        return None
    return (
        f"one of {figure.clusters.n_users} users judged in {few}"
        f" group{'s' * (few > 1)} only, which does not show how much their answers vary"
    )


def _smallest(figure: Figure, target: Target) -> float:
    """The smallest effective number of clusters of a kind that varies."""
    return min(figure.size(kind) for kind in figure.clusters.varying(target))


@dataclass(frozen=True)
class _Ends:
    """Both ends, clipped, and what they rest on."""

    low: float
    high: float
    kind: str
    se: float | None = None
    df: float | None = None
    n_effective: float | None = None


def _ends(
    figure: Figure, target: Target, variance: float, level: float, bounds: Bounds | None
) -> _Ends | None:
    """Both ends for a target; None where nothing varies and nothing bounds what comes next."""
    lowest, highest = bounds or (-np.inf, np.inf)
    value, n_effective = figure.value, _smallest(figure, target)
    spread = ROUNDING * float(np.abs(figure.rows("population")).sum())
    kind = _KINDS.get(target, KIND_GROUPS)
    if np.sqrt(variance) <= spread:
        rows = figure.rows(target)
        if float(np.abs(rows).sum()) <= spread:
            if not np.isfinite((lowest, highest)).all():
                return None
            # No exception among n_effective clusters (see the module's text).
            broken = 1 - ((1 - level) / 2) ** (1 / n_effective)
            low, high = value - broken * (value - lowest), value + broken * (highest - value)
            return _Ends(low, high, KIND_NO_EXCEPTION, n_effective=n_effective)
        # Rows vary but all cluster sums cancel, as in a balanced two-by-two table.
        variance, kind = rows.size / (rows.size - 1) * float(rows @ rows), KIND_ROWS
    kinds = figure.clusters.varying(target)
    n_variance = min(jackknife.variance_size(figure, kind) for kind in kinds)
    se, df = float(np.sqrt(variance)), jackknife.degrees_of_freedom(n_variance)
    t = t_quantile(df, 0.5 + level / 2)
    low, high = value - t * se, value + t * se
    if (lowest, highest) == (0, 1) and 0 < value < 1:
        ends = score_ends(value, max(variance, figure.row_variance), t)
        low, high = min(low, ends[0]), max(high, ends[1])
    return _Ends(max(low, lowest), min(high, highest), kind, se, df)


def score_ends(share: float, variance: float, t: float) -> tuple[float, float]:
    """Both shares p with |share - p| = t sqrt(p (1 - p) / n), n = share (1 - share) / variance.

    Wilson (1927), the normal quantile replaced by t: of 9 right in 10 independent answers (variance
    0.009, t = 2.262) it is [0.544, 0.986], where the plain interval ends at 1.115.
    """
    ratio = t**2 * variance / (share * (1 - share))
    centre = (share + ratio / 2) / (1 + ratio)
    half = t * np.sqrt(variance + ratio**2 / (4 * t**2)) / (1 + ratio)
    return float(centre - half), float(centre + half)
