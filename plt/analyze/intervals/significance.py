"""Tests: paired differences, minority users, and corrections for many tests at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plt.analyze.intervals.clusters import CodeArray, FloatArray
from plt.analyze.intervals.distributions import binomial_cdf, t_cdf
from plt.analyze.intervals.uncertainty import Average, Bounds, Interval, Target, mean_interval


@dataclass(frozen=True)
class PairedDifference:
    """The mean of a - b on the same rows.

    Attributes:
        interval: The mean difference with its interval.
        p_value: Two-sided p value of "the mean difference is 0"; null where the bounds are null,
            and where no row differs, so that there is nothing to test.
    """

    interval: Interval
    p_value: float | None


def paired_difference(
    a: NDArray[np.generic],
    b: NDArray[np.generic],
    users: CodeArray | None,
    groups: CodeArray,
    *,
    target: Target | None = None,
    average: Average = "pair",
    level: float = 0.95,
    bounds: Bounds | None = None,
) -> PairedDifference:
    """The mean of a - b over the same rows, with its interval and two-sided p value.

    McNemar's test is wrong here: it counts discordant rows as independent coin tosses. Two models
    differ by user and by group, so the discordant rows of one user (or of one shared pair) agree
    with one another, and true nulls are rejected far more often than the level says.

    Args:
        a: One figure a row, such as 1 for a right answer, [rows].
        b: The same rows under the reference, [rows].
        users: As in `mean_interval`.
        groups: As in `mean_interval`.
        target: As in `mean_interval`.
        average: As in `mean_interval`.
        level: As in `mean_interval`.
        bounds: Smallest and largest possible difference, (-1, 1) for accuracies.

    Returns:
        The difference and its p value, which is below 1 - level exactly when the interval, before
        clipping, leaves out 0. Where no row varies but the values have bounds, the p value belongs
        to the exact interval of the effective clusters: n_eff of them, all +1 within (-1, 1),
        give 2 * 0.5 ** n_eff, the sign test.

    Raises:
        ValueError: As in `mean_interval`, or lengths that differ.
    """
    left, right = (np.asarray(part, dtype=np.float64) for part in (a, b))
    if left.shape != right.shape:
        raise ValueError("a and b must have one length")
    interval = mean_interval(
        left - right, users, groups, target=target, average=average, level=level, bounds=bounds
    )
    p_value = two_sided_p(interval, bounds) if (left != right).any() else None
    return PairedDifference(interval, p_value)


def two_sided_p(interval: Interval, bounds: Bounds | None) -> float | None:
    """One minus the level at which the interval, before clipping, just touches 0."""
    value = interval.value
    if value is None or interval.low is None:
        return None
    if interval.se is not None and interval.df is not None:
        return 2 * t_cdf(interval.df, -abs(value) / interval.se)
    if bounds is None or interval.n_effective is None or value == 0:
        return 1.0
    room = value - (bounds[0] if value > 0 else bounds[1])
    return float(min(1.0, 2 * max(0.0, 1 - value / room) ** interval.n_effective))


def binomial_below_half(successes: NDArray[np.generic], n: NDArray[np.generic]) -> FloatArray:
    """Exact one-sided p values of "the success probability is at least one half".

    Args:
        successes: Whole numbers, any shape.
        n: Trials, whole numbers that broadcast with `successes`.

    Returns:
        P(X <= successes) for X binomial(n, 1/2), summed exactly; NaN where n is 0, because there
        is nothing to test.

    Raises:
        ValueError: Numbers that are not whole, or successes outside 0..n. A tie counted as half a
            success has no exact test: leave it out and count it.
    """
    won, trials = np.broadcast_arrays(
        np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64)
    )
    if not (np.equal(np.floor(won), won).all() and np.equal(np.floor(trials), trials).all()):
        raise ValueError("successes and n must be whole numbers")
    if (won < 0).any() or (won > trials).any():
        raise ValueError("successes must lie between 0 and n")
    tail = binomial_cdf(won, np.maximum(trials, 1), 0.5)
    return np.where(trials > 0, tail, np.nan)


def benjamini_hochberg(p_values: NDArray[np.generic]) -> FloatArray:
    """The false discovery rates at which each test is first called positive (q values).

    Benjamini and Hochberg (1995, Journal of the Royal Statistical Society B 57): with m tests,
    q_(i) = min over j >= i of p_(j) m / j.

    Args:
        p_values: [tests]; NaN marks what could not be tested and is no part of m.

    Returns:
        q values in the order given, never below their p values and ordered like them; NaN stays.

    Raises:
        ValueError: A p value outside [0, 1].
    """
    p, order = _ascending(p_values)
    scaled = p[order] * (order.size / np.arange(1, order.size + 1))
    adjusted = np.full_like(p, np.nan)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted


def holm(p_values: NDArray[np.generic]) -> FloatArray:
    """Adjusted p values that hold the probability of any false claim, under any dependence.

    Holm (1979, Scandinavian Journal of Statistics 6): adjusted p_(i) = max over j <= i of
    (m - j + 1) p_(j).

    Args:
        p_values: [tests]; NaN marks what could not be tested and is no part of m.

    Returns:
        Adjusted p values in the order given; NaN stays.

    Raises:
        ValueError: A p value outside [0, 1].
    """
    p, order = _ascending(p_values)
    scaled = p[order] * np.arange(order.size, 0, -1)
    adjusted = np.full_like(p, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted


def _ascending(p_values: NDArray[np.generic]) -> tuple[FloatArray, NDArray[np.intp]]:
    """The p values, and the places of those that are numbers in ascending order."""
    p = np.asarray(p_values, dtype=np.float64)
    tested = np.flatnonzero(~np.isnan(p))
    if (p[tested] < 0).any() or (p[tested] > 1).any():
        raise ValueError("p values must lie between 0 and 1")
    return p, tested[np.argsort(p[tested], kind="stable")]
