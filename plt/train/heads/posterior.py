"""Where people stand, and how sure that is: Gaussian posteriors of many users in one solve.

Given N(mean, F F') as prior, the posterior of a user's coordinates is approximated at its mode by
Laplace's method: in z, where w = mean + F z and the prior is standard normal, its precision is
H = I + A'A with A = C^1/2 Z, Z the user's differences of phi in z and C = diag(s(m) s(-m)). That is
the H of Shenfeld et al. 2025, equation 7, with a population in place of beta I.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy.special import expit

from plt.train.heads.empirical_bayes import Prior
from plt.train.heads.factor_fit import mixing_weights
from plt.train.heads.factor_table import FactorTable, Rows, on_basis, place_on_simplex
from plt.train.heads.head_table import user_problems
from plt.train.heads.newton import Problems, maximise
from plt.train.method import FloatArray, IntArray, Judgements, Placement, Spread
from plt.train.solvers.forms import form_of

DENSE_UP_TO = 64
"""Coordinates up to which a covariance a user is held: beyond, what answers took from the prior's,
which for a person of few answers is far smaller."""
BLOCK_ELEMENTS = 1 << 22
POLISHING_STEPS = 20


@dataclass(frozen=True)
class Dense:
    """A covariance a user.

    Attributes:
        matrices: Shape (U, J, J), symmetric.
    """

    matrices: FloatArray

    def covariance(self) -> FloatArray:
        """As `plt.train.method.Spread.covariance`."""
        return self.matrices

    def variances(self, x: FloatArray) -> FloatArray:
        """As `plt.train.method.Spread.variances`.

        x' S x is a product of the entries of S on and above the diagonal, shape (U, K) with
        K = J (J + 1) / 2, and those of x x', shape (K, P), made in blocks of the pool.
        """
        first, second = np.triu_indices(x.shape[1])
        double = np.where(first == second, 1.0, 2.0)
        coefficients = self.matrices[:, first, second] * double
        found = np.empty((len(coefficients), len(x)))
        width = max(1, BLOCK_ELEMENTS // max(1, len(first)))
        for start in range(0, len(x), width):
            part = x[start : start + width].T
            found[:, start : start + width] = coefficients @ (part[first] * part[second])
        # Rounding can take a variance that is 0 below it.
        return np.asarray(np.maximum(found, 0.0, out=found))

    def own_variances(self, x: FloatArray) -> FloatArray:
        """As `plt.train.method.Spread.own_variances`."""
        return np.asarray(np.maximum(np.einsum("unj,unj->un", x @ self.matrices, x), 0.0))

    def after(self, x: FloatArray, curvature: FloatArray) -> Self:
        """As `plt.train.method.Spread.after`: S - c (S x)(S x)' / (1 + c x' S x)."""
        moved = np.einsum("ujk,uk->uj", self.matrices, x)
        share = curvature / (1 + curvature * np.einsum("uj,uj->u", moved, x))
        return type(self)(self.matrices - share[:, None, None] * moved[:, :, None] * moved[:, None])

    def of(self, people: IntArray) -> Self:
        """As `plt.train.method.Spread.of`."""
        return type(self)(self.matrices[people])


@dataclass(frozen=True)
class Reduced:
    """The prior's covariance, less what each user's answers took: F (I - R'R) F'.

    Attributes:
        axes: F, shape (J, k).
        rows: R of all users, one after the other, shape (N, k).
        starts: First row of each user and the end of the last, shape (U + 1,).
    """

    axes: FloatArray
    rows: FloatArray
    starts: IntArray

    def covariance(self) -> FloatArray:
        """As `plt.train.method.Spread.covariance`."""
        taken = self._padded(np.arange(len(self.starts) - 1)) @ self.axes.T
        return np.asarray(self.axes @ self.axes.T - taken.transpose(0, 2, 1) @ taken)

    def variances(self, x: FloatArray) -> FloatArray:
        """As `plt.train.method.Spread.variances`: |F'x|^2 - |R F'x|^2."""
        n_users, sizes = len(self.starts) - 1, np.diff(self.starts)
        z = x @ self.axes
        found = np.empty((n_users, len(x)))
        width = max(1, BLOCK_ELEMENTS // max(1, len(self.rows)))
        for start in range(0, len(x), width):
            part = z[start : start + width]
            here = found[:, start : start + width]
            here[:] = np.einsum("pk,pk->p", part, part)
            squares = self.rows @ part.T
            np.square(squares, out=squares)
            if len(squares):
                here[sizes > 0] -= np.add.reduceat(squares, self.starts[:-1][sizes > 0], axis=0)
        return np.asarray(np.maximum(found, 0.0, out=found))

    def own_variances(self, x: FloatArray) -> FloatArray:
        """As `plt.train.method.Spread.own_variances`."""
        z = x @ self.axes
        taken = z @ self._padded(np.arange(len(x))).transpose(0, 2, 1)
        left = np.einsum("unk,unk->un", z, z) - np.einsum("unr,unr->un", taken, taken)
        return np.asarray(np.maximum(left, 0.0))

    def after(self, x: FloatArray, curvature: FloatArray) -> Self:
        """As `plt.train.method.Spread.after`: one more row each."""
        z = x @ self.axes
        taken = self._padded(np.arange(len(x)))
        moved = z - np.einsum("urk,ur->uk", taken, np.einsum("urk,uk->ur", taken, z))
        left = np.einsum("uk,uk->u", moved, z)
        row = np.sqrt(curvature / (1 + curvature * left))[:, None] * moved
        rows = np.insert(self.rows, self.starts[1:], row, axis=0)
        return replace(self, rows=rows, starts=self.starts + np.arange(len(self.starts)))

    def of(self, people: IntArray) -> Self:
        """As `plt.train.method.Spread.of`."""
        index, starts = _gathered(self.starts, people)
        return replace(self, rows=self.rows[index], starts=starts)

    def _padded(self, people: IntArray) -> FloatArray:
        """R of each, shape (U, r, k), with rows of 0 at the end."""
        sizes = np.diff(self.starts)[people]
        column = np.arange(int(sizes.max(initial=0)))
        real = column < sizes[:, None]
        padded = np.zeros((*real.shape, self.axes.shape[1]))
        padded[real] = self.rows[_gathered(self.starts, people)[0]]
        return padded


def _gathered(starts: IntArray, people: IntArray) -> tuple[IntArray, IntArray]:
    """The rows of some people one after the other, and where each of these begins."""
    sizes = np.diff(starts)[people]
    ends = np.concatenate([[0], np.cumsum(sizes)])
    index = np.repeat(starts[:-1][people] - ends[:-1], sizes) + np.arange(ends[-1])
    return index, ends


def gaussian_posterior(
    problems: Problems, prior: Prior, users: Sequence[str] | None = None
) -> Placement:
    """The posterior of free coordinates; its mean is what `shrunken_heads` gives.

    The log posterior is strictly concave, so Newton's method ends at the same place from any
    start, with a gradient in z below 1e-8. A person without answers has the prior, and a
    factor of 0 gives everybody its mean for certain.

    Args:
        problems: Answers of U people on phi.
        prior: Of their coordinates.
        users: Their names; by default numbers.
    """
    k, n_people = prior.factor.shape[1], len(problems.sizes)
    # The last column is the margin of the prior's mean, which no answer moves.
    axes = np.concatenate([prior.factor, prior.mean[:, None]], axis=1)
    whitened = on_basis(problems, axes.T)
    mean = np.empty((n_people, len(prior.mean)))
    dense = k <= DENSE_UP_TO
    inner = np.empty((n_people, k, k) if dense else (0, k, k))
    taken: list[FloatArray] = []
    owner: list[IntArray] = []
    for block in whitened.blocks():
        groups, x = block.groups, whitened.padded(block)
        z, offset = x[:, :, :k], x[:, :, k]
        form = form_of(z)
        fit = maximise(form, block, np.ones(len(groups)), offset)
        mean[groups] = prior.mean + form.weights(fit.coordinates) @ prior.factor.T
        root = np.sqrt(fit.curvature)[:, :, None] * z
        if dense:
            inner[groups] = np.linalg.inv(np.eye(k) + root.transpose(0, 2, 1) @ root)
        else:
            rows = _taken(root)
            taken.append(rows.reshape(-1, k))
            owner.append(np.repeat(groups, rows.shape[1]))
    spread: Spread
    if dense:
        spread = Dense(_symmetric(prior.factor @ inner @ prior.factor.T))
    else:
        spread = _reduced(prior.factor, taken, owner, n_people)
    return Placement(_names(users, n_people), mean, spread)


def _taken(root: FloatArray) -> FloatArray:
    """R with I - R'R = (I + A'A)^-1, from A of shape (U, n, k): shape (U, min(n, k), k)."""
    if root.shape[1] > root.shape[2]:
        root = np.asarray(np.linalg.qr(root, mode="r"))  # the same A'A from fewer rows
    inner = np.eye(root.shape[1]) + root @ root.transpose(0, 2, 1)
    # Eigenvalues of at least 1: the inverse is safe, and cheaper than k right-hand sides.
    return np.asarray(np.linalg.inv(np.linalg.cholesky(inner)) @ root)


def _reduced(
    axes: FloatArray, taken: Sequence[FloatArray], owner: Sequence[IntArray], n_people: int
) -> Reduced:
    """Rows in the order of their people; padding, which takes nothing, is left out."""
    rows = np.concatenate([np.zeros((0, axes.shape[1])), *taken])
    people = np.concatenate([np.zeros(0, dtype=np.int64), *owner])
    order = np.argsort(people, kind="stable")
    order = order[rows[order].any(axis=1)]
    starts = np.searchsorted(people[order], np.arange(n_people + 1))
    return Reduced(axes, rows[order], starts)


def logit_posterior(problems: Problems, prior: Prior) -> tuple[FloatArray, FloatArray]:
    """Mode (U, K) and covariance (U, K, K) of logits whose softmax weighs phi.

    The covariance inverts the full Hessian. This log posterior is not concave: the mode is the one
    that Gauss-Newton reaches from the prior's mean, polished by Newton's method for as long as its
    gradient shrinks. A prior factor of 0 gives everybody its mean for certain.
    """
    logits = place_on_simplex(problems, prior)
    covariance = np.zeros((*logits.shape, logits.shape[1]))
    if not prior.factor.any():
        return logits, covariance
    precision = np.asarray(np.linalg.inv(prior.factor @ prior.factor.T), dtype=np.float64)
    for block in problems.blocks():
        groups, batch = block.groups, Rows(problems.padded(block), block)
        here = logits[groups]
        gradient, hessian = _logit_derivatives(batch, here, prior.mean, precision)
        for _ in range(POLISHING_STEPS):
            there = here + np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
            slope, bent = _logit_derivatives(batch, there, prior.mean, precision)
            better = np.abs(slope).max(axis=1) < np.abs(gradient).max(axis=1)
            if not better.any():
                break
            here[better], gradient[better] = there[better], slope[better]
            hessian[better] = bent[better]
        logits[groups] = here
        covariance[groups] = _symmetric(np.asarray(np.linalg.inv(hessian), dtype=np.float64))
    return logits, covariance


def _logit_derivatives(
    batch: Rows, logits: FloatArray, mean: FloatArray, precision: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Gradient of the log posterior (U, K) and the Hessian of its negative (U, K, K)."""
    weights = mixing_weights(logits, simplex=True)
    margin = np.einsum("unk,uk->un", batch.x, weights)
    probability = expit(margin)
    pull = batch.answers.weight * (batch.answers.label - probability)
    curvature = batch.answers.weight * probability * expit(-margin)
    excess = batch.x - margin[:, :, None]
    slopes = weights[:, None, :] * excess
    gradient = np.einsum("un,unk->uk", pull, slopes) - (logits - mean) @ precision
    rows = np.sqrt(curvature)[:, :, None] * slopes
    # The margin bends too: its second derivatives are diag(v) - v w' - w v' with v = w (x - m).
    bend = weights * np.einsum("un,unk->uk", pull, excess)
    cross = bend[:, :, None] * weights[:, None, :]
    bent = cross + cross.transpose(0, 2, 1)
    diagonal = np.arange(logits.shape[1])
    bent[:, diagonal, diagonal] -= bend
    return gradient, rows.transpose(0, 2, 1) @ rows + precision + bent


def simplex_posterior(
    problems: Problems, prior: Prior, users: Sequence[str] | None = None
) -> Placement:
    """The posterior of mixture weights w = softmax(logits), to first order around the mode.

    In the logits it is Laplace's; in the weights, where margins are linear, its covariance is
    G S G' with G = diag(w) - w w': all of it lies in the simplex, so its rows sum to 0 and its rank
    is at most K - 1. With one basis reward the weight is 1 for certain, and at a corner nearly so.

    Args:
        problems: Answers of U people on phi.
        prior: Of their logits.
        users: Their names; by default numbers.
    """
    logits, covariance = logit_posterior(problems, prior)
    weights = mixing_weights(logits, simplex=True)
    slopes = -weights[:, :, None] * weights[:, None, :]
    diagonal = np.arange(weights.shape[1])
    slopes[:, diagonal, diagonal] += weights
    spread = Dense(_symmetric(slopes @ covariance @ slopes))
    return Placement(_names(users, len(weights)), weights, spread)


def factor_posterior(table: FactorTable, phi: FloatArray, answers: Judgements) -> Placement:
    """As `plt.train.method.Placed.posterior`, in the coordinates of a basis."""
    posterior = simplex_posterior if table.simplex else gaussian_posterior
    return posterior(user_problems(answers, phi, answers.users), table.prior, answers.users)


def head_posterior(prior: Prior, phi: FloatArray, answers: Judgements) -> Placement:
    """As `plt.train.method.Placed.posterior`: heads on the features themselves."""
    return gaussian_posterior(user_problems(answers, phi, answers.users), prior, answers.users)


def _symmetric(matrices: FloatArray) -> FloatArray:
    return np.asarray((matrices + matrices.transpose(0, 2, 1)) / 2)


def _names(users: Sequence[str] | None, n_people: int) -> tuple[str, ...]:
    return tuple(map(str, range(n_people))) if users is None else tuple(users)
