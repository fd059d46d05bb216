"""Empirical Bayes: a Gaussian prior over users' heads, learnt from all of them by EM.

Users' heads are draws w_u ~ N(mean, F F'). The E step is Laplace's approximation of each user's
posterior (the map of `newton.maximise` in the coordinates z = F'x, where the prior is standard
normal), the M step sets mean and covariance to the moments of those posteriors (Laird and Ware
1982 for the linear model). Where a user has fewer rows than the prior directions, no k x k matrix
of that user is made: the posterior covariance in z is I - Z' W Z with W of shape (rows, rows), and
only the sum over users of Z' W Z is kept.
"""

from dataclasses import dataclass

import numpy as np

from plt.train.heads.newton import Block, Posterior, Problems, maximise
from plt.train.method import FloatArray
from plt.train.solvers.forms import Dual, Form, Paired, cholesky, inverse_lower

FEW_TEXTS = 512
"""Texts up to which Z' W Z is summed as a table of texts by texts, whatever the directions."""
SUBSPACE_STEPS, SPARE = 4, 32
"""Of the search for leading directions: rounds, and directions beside those that are wanted."""


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
    whitened, offset = problems.mapped(prior.factor), problems.margins(prior.mean)
    z = np.zeros((len(problems.sizes), prior.factor.shape[1]))
    for block in whitened.blocks():
        form = whitened.form(block)
        fit = maximise(form, block, np.ones(len(block)), offset_of(block, offset))
        z[block.groups] = form.weights(fit.coordinates)
    return prior.mean + z @ prior.factor.T


def offset_of(block: Block, margins: FloatArray) -> FloatArray:
    """Margins of a problem's rows, (N,), for the rows of a block: shape (U, n)."""
    return margins[block.rows] if len(margins) else np.zeros(block.rows.shape)


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
        iterations: How many steps.

    Returns:
        The prior after the last M step.
    """
    if iterations == 0:
        return start
    prior, rest = _in_sight(problems, start)
    starts: _Starts | None = None
    for _ in range(iterations):
        k = prior.factor.shape[1]
        whitened, offset = problems.mapped(prior.factor), problems.margins(prior.mean)
        learnt = Learnt(whitened)
        z = np.zeros((len(problems.sizes), k))
        found = []
        for number, block in enumerate(whitened.blocks()):
            form = whitened.form(block)
            ones = np.ones(len(block))
            begin = None if starts is None else starts.of(number, form, block)
            fit = maximise(form, block, ones, offset_of(block, offset), begin)
            z[block.groups] = form.weights(fit.coordinates)
            found.append(fit.coordinates)
            learnt.add(form, block, fit, ones)
        mean = z.mean(axis=0)
        covariance = np.eye(k) + (z.T @ z - learnt.total()) / len(z) - np.outer(mean, mean)
        lower = np.linalg.cholesky(covariance)
        starts = _Starts(found, np.linalg.solve(lower, (z - mean).T).T)
        prior = Prior(prior.mean + prior.factor @ mean, prior.factor @ lower)
    return Prior(prior.mean, np.concatenate([prior.factor, rest], axis=1))


def _in_sight(problems: Problems, prior: Prior) -> tuple[Prior, FloatArray]:
    """The prior in the directions that some difference has, and the factor of the others.

    T texts differ in T - 1 directions at most; in the others every posterior is the prior.
    """
    whitened = problems.mapped(prior.factor).features
    k = prior.factor.shape[1]
    if not 0 < len(whitened) <= k:
        return prior, np.zeros((len(prior.mean), 0))
    turn = np.linalg.qr((whitened[1:] - whitened[0]).T, mode="complete")[0]
    factor, seen = prior.factor @ turn, len(whitened) - 1
    return Prior(prior.mean, factor[:, :seen]), factor[:, seen:]


def leading_directions(problems: Problems, k: int, seed: int) -> tuple[FloatArray, float]:
    """The k directions in which the differences of all rows vary most, about their origin.

    Subspace iteration (Halko et al. 2011, algorithm 4.4), without a table of features by features.

    Returns:
        Orthonormal columns of shape (d, k), and their share of the mean |x|^2.
    """
    rng = np.random.default_rng([seed, 0])
    rows = Paired(problems.features, problems.a, problems.b)
    block = rng.normal(size=(problems.features.shape[1], k + SPARE))
    for _ in range(SUBSPACE_STEPS):
        block = np.linalg.qr(rows.curved_times(problems.weight, block))[0]
    sizes, turn = np.linalg.eigh(block.T @ rows.curved_times(problems.weight, block))
    total = problems.pooled_scale() ** 2 * problems.weight.sum()
    return block @ turn[:, ::-1][:, :k], float(sizes[::-1][:k].sum() / total)


@dataclass(frozen=True)
class _Starts:
    """Where the last E step ended, in the coordinates of the prior after it.

    Attributes:
        found: Coordinates in the form of each block.
        z: Shape (U, k).
    """

    found: list[FloatArray]
    z: FloatArray

    def of(self, number: int, form: Form, block: Block) -> FloatArray:
        """For the next search in a block."""
        # The coordinates of `Dual` are the slopes of the rows, whatever the prior.
        return self.found[number] if isinstance(form, Dual) else self.z[block.groups]


class Learnt:
    """Sum over groups of I minus the posterior covariance in the coordinates of z.

    Args:
        problems: On the features z, shape (T, k).
    """

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        n_texts, k = problems.features.shape
        self.by_texts = n_texts <= FEW_TEXTS
        self.direct = np.zeros((k, k))
        self.texts = np.zeros(n_texts**2 if self.by_texts else 0)

    def add(self, form: Form, block: Block, fit: Posterior, l2: FloatArray) -> None:
        """Groups with the posterior `fit`."""
        if not isinstance(form, Dual):
            relative = np.asarray(form.hessian(fit.curvature, l2) / l2[:, None, None])
            root = inverse_lower(cholesky(relative))
            flat = root.reshape(-1, root.shape[2])
            self.direct += len(root) * np.eye(root.shape[2]) - flat.T @ flat
            return
        # The eigenvalues of `inner` are at least 1, so the inverse is safe.
        rows = inverse_lower(cholesky(form.inner(fit.curvature, l2)))
        rows *= np.sqrt(fit.curvature / l2[:, None])[:, None, :]
        if self.by_texts:
            self._spread(block, rows.transpose(0, 2, 1) @ rows)
        else:
            flat = (rows @ form.x).reshape(-1, form.x.shape[2])
            self.direct += flat.T @ flat

    def total(self) -> FloatArray:
        """Shape (k, k)."""
        if not self.by_texts:
            return self.direct
        z = self.problems.features
        return np.asarray(self.direct + z.T @ (self.texts.reshape(len(z), len(z)) @ z))

    def _spread(self, block: Block, between: FloatArray) -> None:
        """Adds A' W A, A the rows' signed texts."""
        n_texts = len(self.problems.features)
        a, b = self.problems.a[block.rows], self.problems.b[block.rows]
        for sign, left, right in ((1, a, a), (1, b, b), (-1, a, b), (-1, b, a)):
            cells = (left[:, :, None] * n_texts + right[:, None, :]).ravel()
            self.texts += sign * np.bincount(cells, between.ravel(), n_texts**2)
