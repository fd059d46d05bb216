"""How the least served tenth of the users fare, once the noise of few judgements is taken out."""

import numpy as np
from numpy.typing import NDArray

from plt.analyze.intervals.clusters import (
    CodeArray,
    FloatArray,
    cell_counts,
    cell_sums,
    kish_size,
    read_clusters,
)
from plt.analyze.intervals.distributions import t_quantile
from plt.analyze.intervals.uncertainty import Average, Interval
from plt.analyze.scores.evaluation import EvaluationRows

TAIL = 0.1
MIN_USERS = 10
"""Below, a tenth of the users is less than one person."""
LEVEL = 0.95
MISS = (1 - LEVEL) / 2
FOLDS = 5
SEED = 31
TINY = 1e-12
KIND = "raw tenth and cross-fitted tenth, Korn-Graubard"


def worst_decile(rows: EvaluationRows, average: Average) -> Interval:
    """Mean accuracy of the least served tenth of these users, noise taken out.

    The lowest tenth of raw accuracies is low because of those who had bad luck: of 84 users with 12
    judgements who are all served at 0.75, it is expected at 0.52. Here the share p_u of user u has
    noise v_u, inversely to the judgements of u; the variance of the p_u beyond the mean noise is
    t^2; and p_u is moved to m + sqrt(t^2 / (t^2 + v_u)) (p_u - m), m the mean over users. The
    figure is the mean of the lowest tenth of these, the last of them weighted where U / 10 is not
    whole. Ten users with shares 0.5 and 0.7, five each, and noise v have t^2 = 0.1 / 9 - v: without
    noise (they would say the same again) the figure is 0.5, from v = 0.1 / 9 on it is 0.6.

    Shrinking knows a spread and no shape: where one user in ten is served at 0.4 and all others at
    0.8 the figure is too high, by 0.06 at 40 judgements a user and by 0.13 at 10. The interval
    needs no shape. A lowest tenth is the smallest of many means, so the raw one is expected below
    the truth; and of any tenth chosen by other judgements the accuracy is expected above it. The
    lower end is that of the raw tenth, the upper end that of the tenths that four fifths of the
    prompts choose and the last fifth measures (each fifth in turn), each a Clopper-Pearson bound
    on the effective number of answers. It is about these users on other prompts, and the wider
    the fewer judgements a user has.

    Null below 10 users, and where nobody has answers in two groups.

    References:
        Louis (1984, Journal of the American Statistical Association 79), and Shen & Louis (1998,
        Journal of the Royal Statistical Society B 60): constrained empirical Bayes,
        estimates whose spread is the users' own. Korn & Graubard (1998, Survey Methodology 24):
        exact bounds of a weighted, clustered share.
    """
    if rows.users is None or rows.user_names.len() < MIN_USERS:
        return _nothing(f"fewer than {MIN_USERS} users")
    users = np.unique(rows.users, return_inverse=True)[1]
    noise = user_noise(rows.correct, users, rows.groups)
    if noise is None:
        return _nothing("nobody has judgements in two groups, so noise and users are one")
    accuracy = np.bincount(users, rows.correct) / np.bincount(users)
    moved = shrunken(accuracy, noise)
    value = float(_tail(moved) @ moved)
    raw = (_tail(accuracy) / np.bincount(users))[users]
    chosen = _cross_fitted(rows, users, noise)
    low = _bound(rows, raw, lower=True)
    high = 1.0 if chosen is None else _bound(rows, chosen, lower=False)
    return Interval(
        value=value,
        low=min(low, value),
        high=max(high, value),
        target="these-users",
        kind=KIND,
        level=LEVEL,
        n_rows=users.size,
        n_users=accuracy.size,
        n_groups=int(np.unique(rows.groups).size),
    )


def _nothing(reason: str) -> Interval:
    return Interval(None, None, None, "these-users", "none", LEVEL, reason=reason)


def shrunken(accuracy: FloatArray, noise: FloatArray) -> FloatArray:
    """Accuracies that spread as the users do, [U].

    Each distance from the mean is multiplied by the root of its reliability: shrunken values then
    have the variance between users, where the usual factor, the reliability itself, would leave
    less and call the worst too well served.
    """
    mean = accuracy.mean()
    observed = float(accuracy.var(ddof=1))
    between = max(observed - float(noise.mean()), 0.0)
    return np.asarray(mean + np.sqrt(between / (between + noise)) * (accuracy - mean))


def _tail(values: FloatArray) -> FloatArray:
    """The weight of each value in the mean of the lowest tenth, [U], summing to 1."""
    size = TAIL * values.size
    weights = np.empty(values.size)
    weights[np.argsort(values, kind="stable")] = np.clip(size - np.arange(values.size), 0, 1) / size
    return weights


def _cross_fitted(rows: EvaluationRows, users: CodeArray, noise: FloatArray) -> FloatArray | None:
    """Weight of each row in the mean of tenths chosen without it, [rows]; None for one group."""
    groups, codes = np.unique(rows.groups, return_inverse=True)
    folds = min(FOLDS, groups.size)
    if folds < 2:
        return None
    fold = (np.random.default_rng(SEED).permutation(groups.size) % folds)[codes]
    n_users = noise.size
    weights = np.zeros(users.size)
    used = 0
    for k in range(folds):
        inside = fold == k
        count = np.bincount(users[~inside], minlength=n_users)
        right = np.bincount(users[~inside], rows.correct[~inside], minlength=n_users)
        mean = right.sum() / max(count.sum(), 1)
        estimate = np.where(count > 0, right / np.maximum(count, 1), mean)
        here = np.bincount(users[inside], minlength=n_users)
        # Any tenth will do, so it is chosen among those whom this fifth measures.
        tail = _tail(np.where(here > 0, shrunken(estimate, noise), np.inf))
        if np.count_nonzero(here) < TAIL * n_users:
            continue
        weights[inside] = (tail / np.maximum(here, 1))[users[inside]]
        used += 1
    return weights / used if used else None


def _bound(rows: EvaluationRows, weights: FloatArray, *, lower: bool) -> float:
    """Korn and Graubard's bound of the weighted share of right answers, missed with `MISS`.

    Args:
        rows: The answers.
        weights: Of each row, summing to 1, [rows].
        lower: Which end.
    """
    from scipy import special

    share = float(weights @ rows.correct)
    of_group = np.bincount(rows.groups, weights)
    groups = kish_size(of_group)
    own = np.bincount(rows.groups, weights * (rows.correct - share))
    n = int(np.count_nonzero(of_group))
    variance = float(own @ own) * n / max(n - 1, 1)
    clusters = read_clusters(weights.size, rows.users, rows.groups)
    assert clusters.users is not None
    most = kish_size(cell_sums(weights, clusters.users, clusters.groups))
    size = min(share * (1 - share) / variance, most) if variance > TINY else groups
    df = max(groups - 1, 1.0)
    size *= (t_quantile(max(most - 1, 1.0), 1 - MISS) / t_quantile(df, 1 - MISS)) ** 2
    right, wrong = share * size, (1 - share) * size
    if lower:
        return float(special.betaincinv(right, wrong + 1, MISS)) if right > 0 else 0.0
    # The fifths choose from one another's answers: measured, that doubles the misses above.
    return float(special.betaincinv(right + 1, wrong, 1 - MISS / 2)) if wrong > 0 else 1.0


def user_noise(
    values: FloatArray, users: CodeArray, groups: NDArray[np.integer]
) -> FloatArray | None:
    """Variance of each user's mean around what it would be if the user were asked without end.

    Inversely to the rows of the user, with the mean over users of what the groups of each say: the
    rows of one group are one draw.

    Args:
        values: One figure a row, [rows].
        users: Codes 0..U-1 without gaps, [rows].
        groups: Codes, [rows].

    Returns:
        [U]; None where nobody has rows in two groups.
    """
    clusters = read_clusters(values.size, users, groups)
    assert clusters.users is not None
    n_rows = np.bincount(users)
    mean = np.bincount(users, values) / n_rows
    sums = cell_sums(values - mean[users], clusters.users, clusters.groups)
    cell_user, _ = cell_counts(clusters.users, clusters.groups)
    cells = np.bincount(cell_user, minlength=n_rows.size)
    several = cells > 1
    if not several.any():
        return None
    squares = np.bincount(cell_user, sums**2, minlength=n_rows.size)
    factor = cells[several] / (cells[several] - 1)
    variance = factor * squares[several] / n_rows[several] ** 2
    return np.asarray(np.maximum(variance.sum() / (1 / n_rows[several]).sum() / n_rows, TINY))
