"""Two-way bootstrap: intervals of statistics that are not means (AUC, alpha, effective rank).

Whole users and whole groups are drawn with replacement, and the statistic is computed again with
row weights that say how often each row was drawn. Two ways of making an interval of it:

`cluster-t` (the default) draws users alone, groups alone and user-group cells alone. With the
variance v of each set of replicates times C / (C - 1), the variance is v(user) + v(group) - v(cell)
and never below the larger of the first two, and the interval is Student's t with the smaller
effective number of users and groups, minus 1, degrees of freedom: the rule of
`plt.analyze.intervals.uncertainty`, with the bootstrap in place of deleting one cluster at a time.

`percentile` and `basic` draw users and groups together, the weight of a row being the product of
the two multiplicities: the pigeonhole bootstrap (Owen 2007, Annals of Applied Statistics 1). It
assumes no shape but counts the noise of single rows three times, so it is too wide where that
noise rules, as it does for single binary answers: 95 % intervals then hold the truth in 97 to
100 % of cases and are up to 60 % wider than `cluster-t`. Percentiles of a few clusters are too
narrow, so the tails are widened to those that Student's t asks for (Hesterberg 2015, The American
Statistician 69).

With the users fixed, or without users, only groups are drawn; with the prompts fixed, only users.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from plt.analyze.intervals.clusters import (
    ROUNDING,
    CodeArray,
    Codes,
    FloatArray,
    read_cells,
    read_clusters,
    without_gaps,
)
from plt.analyze.intervals.distributions import normal_cdf, t_quantile
from plt.analyze.intervals.interval import (
    Bounds,
    Interval,
    Target,
    checked_target,
    default_target,
    null_interval,
)
from plt.analyze.intervals.jackknife import Pooled, degrees_of_freedom
from plt.analyze.intervals.uncertainty import effective_sizes, no_interval

Statistic: TypeAlias = Callable[[FloatArray], FloatArray]

CHUNK_WEIGHTS = 1 << 22
"""Row weights held at once: 32 MiB."""


@dataclass(frozen=True)
class Resampling:
    """How to draw.

    Attributes:
        n_boot: Replicates (of each kind of draw).
        seed: Seed of the draws; the same seed gives the same interval, however it is chunked.
        interval: See the module's text.
    """

    n_boot: int = 1000
    seed: int = 0
    interval: Literal["cluster-t", "percentile", "basic"] = "cluster-t"


def two_way_bootstrap(
    statistic: Statistic,
    users: CodeArray | None,
    groups: CodeArray,
    resampling: Resampling | None = None,
    *,
    target: Target | None = None,
    level: float = 0.95,
    bounds: Bounds | None = None,
    weights: FloatArray | None = None,
) -> Interval:
    """The interval of a statistic of weighted rows.

    Args:
        statistic: From row weights >= 0, [replicates, rows], to one figure each, [replicates]; not
            finite where the figure is undefined. The value is its figure for weights of one.
        users: Integer codes >= 0, [rows], or None for data without users.
        groups: Integer codes >= 0, [rows].
        resampling: How to draw; 1,000 replicates, seed 0 and `cluster-t` by default.
        target: As in `mean_interval`.
        level: Nominal coverage.
        bounds: Smallest and largest possible value; the interval is clipped to them.
        weights: How much of the statistic each row is, for the effective numbers, > 0, [rows]; the
            same for all by default.

    Returns:
        The interval; `n_undefined` counts replicates without a figure. They may lie anywhere, so
        each stands beyond both ends: with more than (1 - level) / 2 of them the bounds are null.
        Null bounds, too, for one cluster of a kind that varies, for replicates that never vary,
        and for percentiles further out than `n_boot` reaches.

    Raises:
        ValueError: Codes not usable, lengths that differ, fewer than 2 replicates, or a statistic
            of the wrong shape.
    """
    plan = resampling or Resampling()
    if plan.n_boot < 2:
        raise ValueError("a bootstrap needs at least 2 replicates")
    clusters = read_clusters(np.shape(groups)[0], users, groups)
    target = checked_target(target, clusters)
    if clusters.n_rows == 0:
        return null_interval(None, "no rows", clusters, target, level)
    value = float(_evaluate(statistic, np.ones((1, clusters.n_rows)))[0])
    if not np.isfinite(value):
        return null_interval(None, "undefined on these rows", clusters, target, level)
    figure = Pooled(value, clusters, np.zeros(0), weights)
    sizes = effective_sizes(figure)
    target = target or default_target(sizes["effective_users"], sizes["effective_groups"])
    reason = no_interval(figure, target)
    if reason is not None:
        return replace(null_interval(value, reason, clusters, target, level), **sizes)
    kinds = clusters.varying(target)
    drawn = "two-way" if len(kinds) == 2 else "group" if kinds[0] is clusters.groups else "user"
    ends = _cluster_t if plan.interval == "cluster-t" else _percentile
    df = degrees_of_freedom(min(figure.size(kind) for kind in kinds))
    found = ends(value, _Draws(statistic, clusters.n_rows, plan), kinds, df, level)
    if found.reason is not None:
        null = null_interval(value, found.reason, clusters, target, level)
        return replace(null, n_undefined=found.n_undefined, **sizes)
    lowest, highest = bounds or (-np.inf, np.inf)
    scheme = "bootstrap t" if plan.interval == "cluster-t" else f"bootstrap {plan.interval}"
    return Interval(
        value=value,
        low=max(found.low, lowest),
        high=min(found.high, highest),
        target=target,
        kind=f"{drawn} {scheme}",
        level=level,
        se=found.se,
        df=df,
        **clusters.counts,
        n_undefined=found.n_undefined,
        **sizes,
    )


@dataclass(frozen=True)
class _Ends:
    """Both ends before clipping, or why there are none."""

    n_undefined: int
    low: float = np.nan
    high: float = np.nan
    se: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class _Draws:
    """Replicates of one statistic on one table."""

    statistic: Statistic
    n_rows: int
    plan: Resampling

    def replicates(self, kinds: list[Codes], stream: int) -> FloatArray:
        """Figures under the product of the multiplicities of all `kinds`, [n_boot]."""
        kinds = [without_gaps(kind) for kind in kinds]
        seeds = np.random.SeedSequence([self.plan.seed, stream]).spawn(len(kinds))
        generators = [np.random.default_rng(seed) for seed in seeds]
        chunk = max(1, CHUNK_WEIGHTS // self.n_rows)
        figures = []
        for start in range(0, self.plan.n_boot, chunk):
            size = min(chunk, self.plan.n_boot - start)
            weights = np.ones((size, self.n_rows))
            for kind, generator in zip(kinds, generators, strict=True):
                weights *= _multiplicities(generator, size, kind.n)[:, kind.rows]
            figures.append(_evaluate(self.statistic, weights))
        return np.concatenate(figures)


def _multiplicities(generator: np.random.Generator, size: int, n: int) -> FloatArray:
    """How often each of n clusters is among n draws with replacement, [size, n]."""
    drawn = generator.integers(0, n, size=(size, n))
    drawn += n * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def _evaluate(statistic: Statistic, weights: FloatArray) -> FloatArray:
    figures = np.asarray(statistic(weights), dtype=np.float64)
    if figures.shape != weights.shape[:1]:
        raise ValueError(f"the statistic gave shape {figures.shape} for {weights.shape} weights")
    return figures


def _cluster_t(value: float, draws: _Draws, kinds: list[Codes], df: float, level: float) -> _Ends:
    """Value -+ t * standard error, from draws of one kind of cluster at a time."""
    sources = [*kinds, read_cells(kinds[1], kinds[0])] if len(kinds) == 2 else kinds
    variances, n_undefined = [], 0
    for stream, source in enumerate(sources):
        figures = draws.replicates([source], stream)
        finite = figures[np.isfinite(figures)]
        n_undefined = max(n_undefined, figures.size - finite.size)
        if n_undefined > draws.plan.n_boot * (1 - level) / 2:
            return _Ends(n_undefined, reason=_undefined(n_undefined, draws.plan))
        variances.append(float(finite.var(ddof=1)) * source.n / (source.n - 1))
    variance = max(variances[:2])
    if len(sources) == 3:
        variance = max(variance, variances[0] + variances[1] - variances[2])
    se = float(np.sqrt(variance))
    if se <= ROUNDING * abs(value):
        return _Ends(n_undefined, reason="no variation between replicates")
    half = t_quantile(df, 0.5 + level / 2) * se
    return _Ends(n_undefined, value - half, value + half, se)


def _percentile(value: float, draws: _Draws, kinds: list[Codes], df: float, level: float) -> _Ends:
    """Order statistics of the replicates, mirrored at the value for `basic`."""
    plan = draws.plan
    figures = draws.replicates(kinds, 0)
    finite = np.sort(figures[np.isfinite(figures)])
    n_undefined = plan.n_boot - finite.size
    n = min(kind.n for kind in kinds)
    wide = t_quantile(df, 0.5 + level / 2) * np.sqrt(n / (n - 1))
    rank = int((plan.n_boot + 1) * normal_cdf(-wide))
    if rank < 1:
        reason = f"{plan.n_boot} replicates do not reach the percentiles that {n} clusters need"
        return _Ends(n_undefined, reason=reason)
    if rank <= n_undefined:
        return _Ends(n_undefined, reason=_undefined(n_undefined, plan))
    low, high = float(finite[rank - 1 - n_undefined]), float(finite[-(rank - n_undefined)])
    if high - low <= ROUNDING * abs(value):
        return _Ends(n_undefined, reason="no variation between replicates")
    if plan.interval == "basic":
        low, high = 2 * value - high, 2 * value - low
    return _Ends(n_undefined, low, high)


def _undefined(n_undefined: int, plan: Resampling) -> str:
    return f"undefined in {n_undefined} of {plan.n_boot} replicates"
