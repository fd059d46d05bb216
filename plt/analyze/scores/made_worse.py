"""Share of the users whom a model serves worse than a baseline does, noise taken out."""

import math

import numpy as np
from numpy.typing import NDArray

from plt.analyze.intervals.bootstrap import Resampling, two_way_bootstrap
from plt.analyze.intervals.clusters import (
    CodeArray,
    FloatArray,
    cell_counts,
    cell_sums,
    read_clusters,
)
from plt.analyze.intervals.uncertainty import Interval
from plt.analyze.scores.evaluation import EvaluationRows

MIN_USERS = 10
REPLICATES = 200
TINY = 1e-12
_ERF = np.vectorize(math.erf, otypes=[np.float64])


def made_worse(rows: EvaluationRows, baseline: EvaluationRows) -> Interval:
    """The share of users whose accuracy is lower than under the baseline, if asked without end.

    Counting the users with a lower share of right answers counts bad luck: of users for whom a
    model is exactly as good, nearly half look worse. Here user u has the mean difference d_u of
    right answers on the same rows, with noise v_u (`user_noise`); true differences are taken as
    N(m, t^2), m the mean of the d_u and t^2 their variance beyond the mean noise; and the share is
    the mean over users of the probability that u's own is below 0 given d_u, the posterior with
    mean m + b (d_u - m) and variance b v_u, b = t^2 / (t^2 + v_u). Where noise explains all of the
    differences, all users have gained m, and the share is 0 or 1, or 1/2 where m is 0. Of
    users who never differ from the baseline nobody is worse: 0.

    Args:
        rows: Of the model.
        baseline: The same judgements in the same order under the baseline.

    Returns:
        The share with a two-way bootstrap interval of 200 replicates; null, with the reason, below
        10 users and where nobody has judgements in two groups.

    References:
        Efron & Morris (1975, Journal of the American Statistical Association 70): the posterior.
    """
    if rows.users is None or rows.user_names.len() < MIN_USERS:
        return _nothing(rows, f"fewer than {MIN_USERS} users")
    difference = rows.correct - baseline.correct
    place = np.unique(rows.users, return_inverse=True)[1]
    noise = user_noise(difference, place, rows.groups)
    if noise is None:
        return _nothing(rows, "nobody has judgements in two groups, so noise and users are one")
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(noise.size))
    ordered, counts = difference[order], np.bincount(place)

    def share(weights: FloatArray) -> FloatArray:
        sorted_weights = weights[:, order]
        total = np.add.reduceat(sorted_weights, starts, axis=1)
        sums = np.add.reduceat(sorted_weights * ordered, starts, axis=1)
        return _share_below(sums / np.maximum(total, TINY), noise, total / counts)

    return two_way_bootstrap(
        share,
        rows.users,
        rows.groups,
        Resampling(n_boot=REPLICATES),
        bounds=(0.0, 1.0),
        weights=1 / counts[place],
    )


def _nothing(rows: EvaluationRows, reason: str) -> Interval:
    return Interval(None, None, None, rows.target, "none", 0.95, reason=reason)


def _share_below(means: FloatArray, noise: FloatArray, weight: FloatArray) -> FloatArray:
    """Mean posterior probability of a negative difference, [replicates].

    Args:
        means: Mean difference of each user, [replicates, U].
        noise: Its variance, [U].
        weight: How often each user is counted, [replicates, U].
    """
    if not means.any():
        return np.zeros(len(means))
    weight = weight / weight.sum(axis=1, keepdims=True)
    centre = (weight * means).sum(axis=1, keepdims=True)
    deviation = means - centre
    n_users = noise.size
    observed = (weight * deviation**2).sum(axis=1, keepdims=True) * n_users / (n_users - 1)
    between = np.maximum(observed - (weight * noise).sum(axis=1, keepdims=True), 0.0)
    factor = between / (between + noise)
    deviate = -(centre + factor * deviation) / np.sqrt(np.maximum(factor * noise, TINY))
    probability = 0.5 * (1 + _ERF(deviate / math.sqrt(2)))
    return np.asarray((weight * probability).sum(axis=1))


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
