"""Student's t, the normal and the binomial distribution, to the last digits that figures need.

`scipy.special` has them all, but importing it takes 0.2 s, a third of what `dataset-stats` on a
small file may take. A test compares every function with scipy's.
"""

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

MAX_TERMS = 100_000
TINY = 1e-300
CONVERGED = 4e-16
ASYMPTOTIC = 1000.0
"""From here on a ratio of gamma functions is taken from its expansion: their logarithms are large
and nearly equal, and their difference would lose digits."""
MAX_DF = 1e8
"""Beyond, t and normal quantiles agree to eight digits, and the fraction would take long."""
EXACT_TRIALS = 60
"""Up to here binomial coefficients are taken as they are; their logarithms lose digits."""
NORMAL = NormalDist()


def normal_cdf(z: float) -> float:
    """P(Z <= z) of the standard normal."""
    return 0.5 * math.erfc(-z / math.sqrt(2))


def normal_quantile(p: float) -> float:
    """The z with P(Z <= z) = p, for p inside (0, 1)."""
    return NORMAL.inv_cdf(p)


def t_cdf(df: float, t: float) -> float:
    """P(T <= t) of Student's t with `df` > 0 degrees of freedom; small tails keep their digits."""
    square = t * t
    tail = 0.5 * incomplete_beta(df / 2, 0.5, df / (df + square), square / (df + square))
    return tail if t < 0 else 1.0 - tail


@lru_cache(maxsize=4096)
def t_quantile(df: float, p: float) -> float:
    """The t with P(T <= t) = p, for p inside (0, 1), by Newton's method on the tail."""
    if p < 0.5:
        return -t_quantile(df, 1 - p)
    if p == 0.5:
        return 0.0
    if df > MAX_DF:
        return normal_quantile(p)
    low, high = 0.0, 1.0
    while 1 - p < t_cdf(df, -high):
        low, high = high, 2 * high
    t = (low + high) / 2
    for _ in range(200):
        excess = t_cdf(df, -t) - (1 - p)
        low, high = (t, high) if excess > 0 else (low, t)
        new = t + excess / _t_density(df, t)
        if not low < new < high:
            new = (low + high) / 2
        if abs(new - t) <= 4e-16 * t:
            return new
        t = new
    return t


def binomial_cdf(k: NDArray[np.generic], n: NDArray[np.generic], p: float) -> FloatArray:
    """P(X <= k) for X binomial(n, p), summed from the small end; 0 for k < 0.

    Args:
        k: Whole numbers, any shape.
        n: Trials, whole numbers that broadcast with `k`.
        p: Probability of a success.
    """
    won, trials = np.broadcast_arrays(np.asarray(k, np.int64), np.asarray(n, np.int64))
    found = np.zeros(won.shape)
    log_factorial = np.array([math.lgamma(i + 1) for i in range(int(trials.max(initial=0)) + 1)])
    for size in np.unique(trials):
        here = trials == size
        terms = np.arange(int(min(size, won[here].max(initial=0))) + 1)
        if size <= EXACT_TRIALS:
            choices = np.array([math.comb(int(size), int(k)) for k in terms], dtype=np.float64)
            mass = choices * p**terms * (1 - p) ** (size - terms)
        else:
            choices = log_factorial[size] - log_factorial[terms] - log_factorial[size - terms]
            with np.errstate(divide="ignore", invalid="ignore"):
                log_p = np.where(terms > 0, terms * np.log(p), 0.0)
                log_q = np.where(terms < size, (size - terms) * np.log1p(-p), 0.0)
            mass = np.exp(choices + log_p + log_q)
        below = np.concatenate([[0.0], np.cumsum(mass)])
        found[here] = np.minimum(below[np.clip(won[here], -1, size) + 1], 1.0)
    return np.where(won >= trials, 1.0, found)


def incomplete_beta(a: float, b: float, x: float, rest: float) -> float:
    """The regularised incomplete beta function I_x(a, b).

    The continued fraction of Abramowitz and Stegun 26.5.8, evaluated by Lentz's method from the
    side on which it converges fast.

    Args:
        a: Above 0.
        b: Above 0.
        x: In [0, 1].
        rest: 1 - x, to more digits than the subtraction would give near 1.
    """
    if x > (a + 1) / (a + b + 2):
        return 1.0 - incomplete_beta(b, a, rest, x)
    if x == 0:
        return 0.0
    log_x = math.log1p(-rest) if rest < 0.5 else math.log(x)
    log_rest = math.log1p(-x) if x < 0.5 else math.log(rest)
    front = math.exp(a * log_x + b * log_rest - _log_beta(a, b)) / a
    return front * _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction, of value 1 at x = 0."""
    c = 1.0
    d = 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            change *= c * d
        value *= change
        if abs(change - 1) <= CONVERGED:
            break
    return value


def _away_from_zero(value: float) -> float:
    return TINY if abs(value) < TINY else value


def _log_beta(a: float, b: float) -> float:
    if 0.5 in (a, b) and max(a, b) > ASYMPTOTIC / 2:
        return math.lgamma(0.5) - _log_gamma_step(2 * max(a, b))
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log_gamma_step(df: float) -> float:
    """The logarithm of Gamma(df / 2 + 1 / 2) / Gamma(df / 2)."""
    if df > ASYMPTOTIC:
        return 0.5 * math.log(df / 2) - 1 / (4 * df) + 1 / (24 * df**3) - 1 / (20 * df**5)
    return math.lgamma(df / 2 + 0.5) - math.lgamma(df / 2)


def _t_density(df: float, t: float) -> float:
    log_scale = _log_gamma_step(df) - 0.5 * math.log(df * math.pi)
    return math.exp(log_scale - (df + 1) / 2 * math.log1p(t * t / df))
