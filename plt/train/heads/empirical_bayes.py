"""Empirical Bayes: a Gaussian prior over users' heads, learnt from all of them by EM.

Users' heads are draws w_u ~ N(mean, F F'). The E step is Laplace's approximation of each user's
posterior (the map of `heads.maximise` in the coordinates z = F'x, where the prior is standard
normal), the M step sets mean and covariance to the moments of those posteriors (Laird and Ware
1982 for the linear model). No d x d matrix a user is ever made: a user's posterior covariance in z
is I - Z' W Z with W of shape (rows, rows), and only the sum over users of Z' W Z is kept.
"""

from dataclasses import dataclass

import numpy as np

from plt.train.heads.newton import Batch, Form, Posterior, Primal, Problems, form_of, maximise
from plt.train.method import FloatArray


@dataclass(frozen=True)
class Prior:
    """The population of heads in the units of unscaled features.

    Attributes:
        mean: Shape (d,).
        factor: Shape (d, k): the covariance is factor @ factor.T.
    """

    mean: FloatArray
    factor: FloatArray


def shrunken_heads(problems: Problems, prior: Prior) -> FloatArray:
    """The most probable head of each group under the prior, shape (U, d).

    A group without rows gets the mean of the prior; a factor of 0 gives everybody the mean.
    """
    heads = np.zeros((len(problems.sizes), len(prior.mean)))
    for groups in problems.batches():
        batch, offset = _whitened(problems.padded(groups), prior)
        form = form_of(batch.x)
        fit = maximise(form, batch, np.ones(len(groups)), offset)
        heads[groups] = prior.mean + form.weights(fit.coordinates) @ prior.factor.T
    return heads


def moments(weights: FloatArray) -> Prior:
    """The Gaussian with mean and covariance of weights of shape (U, J).

    Few users leave directions without any variance, in which a newcomer could not differ: a
    hundredth of the mean variance is added to each.
    """
    mean = weights.mean(axis=0)
    spread = weights - mean
    covariance = spread.T @ spread / len(weights)
    floor = 0.01 * float(np.trace(covariance)) / len(mean) + np.finfo(float).tiny
    return Prior(mean, np.linalg.cholesky(covariance + floor * np.eye(len(mean))))


def fit_prior(problems: Problems, start: Prior, iterations: int) -> Prior:
    """EM steps from a starting prior.

    Args:
        problems: The training rows of U users.
        start: Where EM starts; directions outside its factor stay without variance.
        iterations: How many steps; each costs about four passes of N d^2 operations.

    Returns:
        The prior after the last M step.
    """
    prior = start
    for _ in range(iterations):
        n_groups = len(problems.sizes)
        k = prior.factor.shape[1]
        total = np.zeros(k)
        second = np.zeros((k, k))
        learnt = np.zeros((k, k))
        for groups in problems.batches():
            batch, offset = _whitened(problems.padded(groups), prior)
            form = form_of(batch.x)
            ones = np.ones(len(groups))
            fit = maximise(form, batch, ones, offset)
            z = form.weights(fit.coordinates)
            total += z.sum(axis=0)
            second += z.T @ z
            learnt += variance_removed(form, fit, ones)
        mean = total / n_groups
        covariance = np.eye(k) + (second - learnt) / n_groups - np.outer(mean, mean)
        prior = Prior(
            prior.mean + prior.factor @ mean, prior.factor @ np.linalg.cholesky(covariance)
        )
    return prior


def _whitened(batch: Batch, prior: Prior) -> tuple[Batch, FloatArray]:
    """Differences in the coordinates of the prior, and the margin of its mean."""
    n_groups, width, d = batch.x.shape
    flat = batch.x.reshape(-1, d)
    z = (flat @ prior.factor).reshape(n_groups, width, prior.factor.shape[1])
    return Batch(z, batch.label, batch.weight), (flat @ prior.mean).reshape(n_groups, width)


def variance_removed(form: Form, fit: Posterior, ones: FloatArray) -> FloatArray:
    """Sum over groups of I minus the posterior covariance, shape (k, k)."""
    if isinstance(form, Primal):
        inverse = np.linalg.inv(form.hessian(fit.curvature, ones))
        return np.asarray(len(inverse) * np.eye(inverse.shape[1]) - inverse.sum(axis=0))
    lower = np.linalg.cholesky(form.inner(fit.curvature, ones))
    # The eigenvalues of `inner` are at least 1, so the inverse is safe; it is small, and a product
    # with it is many times faster than a solve with as many right-hand sides as features.
    rows = np.linalg.inv(lower) @ (np.sqrt(fit.curvature)[:, :, None] * form.x)
    flat = rows.reshape(-1, rows.shape[2])
    return np.asarray(flat.T @ flat)
