"""Several paired differences of one table together: their intervals, and p values that agree.

Of m differences on the same judgements, intervals that each hold their truth in 95 % of cases miss
at least one more often. Here all of them hold together in 95 %: the estimates are taken as
multivariate t with the correlations R and the smallest of the single degrees of freedom, and the
critical value is the 0.95 quantile of max |T_k|. Differences to one baseline share its errors, so
this is narrower than Bonferroni's correction, which it never exceeds, and of one difference alone
it is that difference's own interval.

R comes from V(user) + V(group), sums of outer products of cluster sums, which no subtraction can
keep from being a correlation matrix; the variances are those of the single intervals. A p value is
the share of the same draws beyond the estimate, so it is below 0.05 exactly when the interval
leaves out 0. Hothorn, Bretz and Westfall (2008, Biometrical Journal 50); Genz and Bretz (2009).

A difference without any variation has no standard error but an exact interval (see `uncertainty`);
it takes its share 1 / m of the error, and the others together the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from plt.analyze.intervals.clusters import CodeArray, FloatArray
from plt.analyze.intervals.distributions import t_cdf, t_quantile
from plt.analyze.intervals.significance import PairedDifference, paired_difference
from plt.analyze.intervals.uncertainty import Average, Bounds, Interval, Target

DRAWS = 50_000
SEED = 20_260
CHUNK = 5_000
SAME = "the same answers on every judgement"


@dataclass(frozen=True)
class Judged:
    """The judgements that differences are taken on.

    Attributes:
        users: Integer codes >= 0, [rows]; None for data without users.
        groups: Integer codes >= 0, [rows].
        target: What intervals are about.
        average: Over users, or over judgements.
        bounds: Smallest and largest possible difference.
    """

    users: CodeArray | None
    groups: CodeArray
    target: Target
    average: Average
    bounds: Bounds | None = (-1.0, 1.0)


@dataclass(frozen=True)
class Difference:
    """One of several differences.

    Attributes:
        interval: The difference with the interval that it has alone; null, with `SAME`, where
            every row is 0.
        p_value: Its two-sided p value alone; null where the bounds are null.
        low: Lower end of the interval that holds together with the others'; null as above.
        high: Upper end.
        p: The p value for the whole family, at or above `p_value`; null as above.
        critical: What the standard error is multiplied by; null without a standard error.
        n_family: Differences judged together.
    """

    interval: Interval
    p_value: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    critical: float | None = None
    n_family: int = 0

    @property
    def same_answers(self) -> bool:
        """Whether there is no row on which anything differs."""
        return self.interval.reason == SAME

    @property
    def together(self) -> Interval:
        """The interval that holds together with the others'."""
        return replace(self.interval, low=self.low, high=self.high)


def simultaneous(
    values: Sequence[FloatArray | None], judged: Judged, *, level: float = 0.95
) -> list[Difference | None]:
    """The mean of each difference, with intervals that hold together.

    Args:
        values: One difference a row each, [rows]; NaN where a row has none, and None for what is
            not known at all.
        judged: The rows.
        level: Probability that all intervals hold.

    Returns:
        One entry each, None for None and where no row has a value. Rows that are all 0 are no
        part of the family: two models with the same answers have no difference to test.
    """
    singles = [None if each is None else _single(each, judged, level) for each in values]
    tested = [i for i, one in enumerate(singles) if one is not None and one.p_value is not None]
    smooth = [i for i in tested if _of(singles, i).interval.se is not None]
    family = _family([values[i] for i in smooth], [_of(singles, i) for i in smooth], judged)
    found: list[Difference | None] = []
    for i, single in enumerate(singles):
        if single is None:
            found.append(None)
        elif i in smooth:
            found.append(family.adjusted(single, len(tested), level, judged.bounds))
        elif i in tested:
            found.append(_exact(values[i], single, judged, len(tested), level))
        else:
            found.append(Difference(single.interval))
    return found


def _of(singles: Sequence[PairedDifference | None], i: int) -> PairedDifference:
    single = singles[i]
    assert single is not None
    return single


def _single(values: FloatArray, judged: Judged, level: float) -> PairedDifference | None:
    known = ~np.isnan(values)
    if not known.any():
        return None
    users = None if judged.users is None else judged.users[known]
    found = paired_difference(
        values[known],
        np.zeros(int(known.sum())),
        users,
        judged.groups[known],
        target=judged.target,
        average=judged.average,
        level=level,
        bounds=judged.bounds,
    )
    if values[known].any():
        return found
    return PairedDifference(replace(found.interval, low=None, high=None, reason=SAME), None)


@dataclass(frozen=True)
class _Family:
    """max |T_k| of a multivariate t, drawn and sorted; `size` of them, `df` degrees of freedom."""

    maxima: FloatArray
    df: float
    size: int

    def p(self, t: float) -> float:
        """P(max |T_k| >= t), between the p value of one and Bonferroni's."""
        alone = 2 * t_cdf(self.df, -t)
        beyond = 1 - float(np.searchsorted(self.maxima, t, side="left")) / self.maxima.size
        return min(max(beyond, alone), self.size * alone, 1.0)

    def critical(self, level: float) -> float:
        """The c with P(max |T_k| >= c) = 1 - level."""
        alone = t_quantile(self.df, 0.5 + level / 2)
        most = t_quantile(self.df, 1 - (1 - level) / (2 * self.size))
        return min(max(float(np.quantile(self.maxima, level)), alone), most)

    def adjusted(
        self, single: PairedDifference, n: int, level: float, bounds: Bounds | None
    ) -> Difference:
        """One difference of `n`, of which this family is the part that has standard errors."""
        value, se = single.interval.value, single.interval.se
        assert value is not None
        assert se is not None
        critical = self.critical(1 - (1 - level) * self.size / n)
        low, high = bounds or (-np.inf, np.inf)
        return Difference(
            single.interval,
            single.p_value,
            max(value - critical * se, low),
            min(value + critical * se, high),
            min(self.p(abs(value) / se) * n / self.size, 1.0),
            critical,
            n,
        )


def _exact(
    values: FloatArray | None, single: PairedDifference, judged: Judged, n: int, level: float
) -> Difference:
    """A difference without variation, at its Bonferroni share of the error."""
    assert values is not None
    assert single.p_value is not None
    narrow = _single(values, judged, 1 - (1 - level) / n)
    assert narrow is not None
    ends = narrow.interval
    p = min(single.p_value * n, 1.0)
    return Difference(single.interval, single.p_value, ends.low, ends.high, p, None, n)


def _family(
    values: Sequence[FloatArray | None], singles: Sequence[PairedDifference], judged: Judged
) -> _Family:
    if not singles:
        return _Family(np.zeros(0), np.inf, 0)
    df = min(float(one.interval.df or 1) for one in singles)
    matrix = correlations([each for each in values if each is not None], judged)
    return _Family(_maxima(matrix, df), df, len(singles))


def correlations(values: Sequence[FloatArray], judged: Judged) -> FloatArray:
    """Correlations of the mean differences, from V(user) + V(group), [m, m].

    Args:
        values: One difference a row each, [rows]; NaN where a row has none.
        judged: The rows.
    """
    sums = [_cluster_sums(each, judged) for each in values]
    total = np.zeros((len(values), len(values)))
    for kind in range(len(sums[0])):
        each = np.stack([part[kind] for part in sums])
        occurring = int(np.count_nonzero(np.abs(each).max(axis=0))) if each.size else 0
        total += each @ each.T * (occurring / max(occurring - 1, 1))
    spread = np.sqrt(np.diag(total))
    # Who has a standard error but no cluster sums (all cancel) is taken as independent.
    inverse = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    found = total * inverse[:, None] * inverse
    np.fill_diagonal(found, 1.0)
    return found


def _cluster_sums(values: FloatArray, judged: Judged) -> list[FloatArray]:
    """Sums of the weighted residuals by each kind of cluster that varies, [clusters] each."""
    known = ~np.isnan(values)
    weights = known / known.sum()
    users = judged.users
    if users is not None and judged.average == "user":
        count = np.bincount(users, known)
        weights = known / (np.count_nonzero(count) * np.maximum(count, 1))[users]
    filled = np.where(known, values, 0.0)
    if judged.target == "these-users" and users is not None and judged.average == "user":
        count = np.maximum(np.bincount(users, known), 1)
        centre = (np.bincount(users, filled) / count)[users]
    else:
        centre = np.full(values.shape, float(weights @ filled))
    residual = weights * (filled - centre)
    kinds = [] if judged.target == "these-prompts" else [judged.groups]
    if users is not None and judged.target in ("population", "these-prompts"):
        kinds.append(users)
    return [np.asarray(np.bincount(kind, residual), dtype=np.float64) for kind in kinds]


def _maxima(matrix: FloatArray, df: float) -> FloatArray:
    """Sorted draws of max |T_k|, [DRAWS]; the same for the same matrix and degrees of freedom."""
    values, vectors = np.linalg.eigh(matrix)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return _draw(np.ascontiguousarray(root).tobytes(), len(matrix), df)


@lru_cache(maxsize=64)
def _draw(root: bytes, size: int, df: float) -> FloatArray:
    spread = np.frombuffer(root).reshape(size, size)
    generator = np.random.default_rng(SEED)
    scale = np.sqrt(generator.chisquare(df, DRAWS) / df) if np.isfinite(df) else np.ones(DRAWS)
    found = np.empty(DRAWS)
    for start in range(0, DRAWS, CHUNK):
        normal = generator.standard_normal((CHUNK, size))
        found[start : start + CHUNK] = np.abs(normal @ spread.T).max(axis=1)
    found /= scale
    found.sort()
    return found
