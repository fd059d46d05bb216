"""Heads that share a basis: r_u(x) = w_u' V h(x), fitted to everybody's judgements at once.

The one form behind reward factorisation (PReF) and low-rank reward bases (LoRe, weights on the
simplex). The penalised cross-entropy

    sum_i weight_i CE(label_i, x_i' V' w_r(i)) + l2 / 2 (|W|^2 + |V|^2)

is minimised over V and W by L-BFGS in float64. A step costs one product of the distinct pair
differences with V and one with its transpose, however many people judged a pair; what users add is
a sparse product. Penalising both factors alike is the nuclear norm of the matrix of heads (Srebro,
Rennie and Jaakkola 2005), which fixes the scale that a penalty on W alone would leave to V.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import expit, softmax

from plt.train.judgements import Judgements
from plt.train.method import FloatArray, IntArray
from plt.train.ridge import MIN_VALIDATION_ROWS

MAX_STEPS = 300
L2_GRID = (30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
"""At scaled features (mean |x|^2 of a difference is 1), from strong to weak."""
DEFAULT_L2 = 1.0
TOLERANCE = 1e-7


@dataclass(frozen=True)
class Rows:
    """N weighted judgements of P distinct pairs by R rows of the weight matrix.

    Attributes:
        x: Scaled feature differences of the distinct pairs, shape (P, d).
        pair: Which pair, shape (N,).
        row: Whose weights, shape (N,).
        label: Probability of the first response, shape (N,).
        weight: How much it counts, shape (N,).
        n_rows: R.
    """

    x: FloatArray
    pair: IntArray
    row: IntArray
    label: FloatArray
    weight: FloatArray
    n_rows: int

    def loss(self, margin: FloatArray) -> float:
        """Weighted cross-entropy of margins, shape (N,)."""
        return float(self.weight @ (np.logaddexp(0.0, margin) - self.label * margin))

    def pull(self, margin: FloatArray) -> Any:
        """Derivative of the loss by each (pair, row) margin, sparse of shape (P, R)."""
        slope = self.weight * (expit(margin) - self.label)
        return csr_array((slope, (self.pair, self.row)), shape=(len(self.x), self.n_rows))


@dataclass(frozen=True)
class SharedBasis:
    """Basis and weights.

    Attributes:
        basis: V, shape (K, d), in the units of the scaled features.
        weights: W, shape (R, K); their logits where weights lie on the simplex.
        simplex: Whether a row of weights is a softmax.
    """

    basis: FloatArray
    weights: FloatArray
    simplex: bool = False

    @property
    def mixture(self) -> FloatArray:
        """The weights that multiply the basis, shape (R, K)."""
        return np.asarray(softmax(self.weights, axis=1)) if self.simplex else self.weights

    def margins(self, rows: Rows) -> FloatArray:
        """Shape (N,)."""
        scores = rows.x @ self.basis.T
        return np.asarray(np.einsum("nk,nk->n", scores[rows.pair], self.mixture[rows.row]))


def scaled_rows(
    judgements: Judgements, differences: FloatArray, users: Sequence[str], scale: float
) -> Rows:
    """The judgements of `users` as rows of a factorised fit.

    Args:
        judgements: N judgements; those of nobody and of others are left out.
        differences: Feature difference of each judgement, shape (N, d).
        users: Row r is users[r].
        scale: What differences are divided by.
    """
    place = {name: row for row, name in enumerate(users)}
    row_of = np.array([place.get(name, -1) for name in judgements.users] + [-1], dtype=np.int64)
    row = row_of[judgements.user]
    kept = row >= 0
    _, first, pair = np.unique(judgements.pair[kept], return_index=True, return_inverse=True)
    x = differences[kept][first] / scale
    ones = np.ones(int(kept.sum()))
    return Rows(x, pair.reshape(-1), row[kept], judgements.label[kept], ones, len(users))


def fit_shared_basis(
    rows: Rows, start: SharedBasis, l2: float, *, basis_fixed: bool = False
) -> SharedBasis:
    """A minimum of the penalised loss near `start`.

    Args:
        rows: What is learnt from.
        start: Where the search begins; it is not convex in both factors.
        l2: Penalty of weights (or their logits) and basis.
        basis_fixed: Only the weights move, and are pulled to where they start instead of to 0.
    """
    shapes = [start.weights.shape] if basis_fixed else [start.weights.shape, start.basis.shape]
    sizes = np.cumsum([int(np.prod(shape)) for shape in shapes])

    def unpack(flat: FloatArray) -> SharedBasis:
        parts = np.split(flat, sizes[:-1])
        basis = start.basis if basis_fixed else parts[1].reshape(shapes[1])
        return replace(start, weights=parts[0].reshape(shapes[0]), basis=basis)

    def objective(flat: FloatArray) -> tuple[float, FloatArray]:
        here = unpack(flat)
        mixture = here.mixture
        scores = rows.x @ here.basis.T
        margin = np.einsum("nk,nk->n", scores[rows.pair], mixture[rows.row])
        pull = rows.pull(margin)
        by_weight = np.asarray(pull.T @ scores)
        if here.simplex:
            by_weight = mixture * (by_weight - (mixture * by_weight).sum(axis=1, keepdims=True))
        gradient = [by_weight]
        if not basis_fixed:
            gradient.append(np.asarray(pull @ mixture).T @ rows.x)
        away = flat - centre
        slope = np.concatenate([part.ravel() for part in gradient]) + l2 * away
        return rows.loss(margin) + l2 / 2 * float(away @ away), slope

    parts = [start.weights] if basis_fixed else [start.weights, start.basis]
    first = np.concatenate([part.ravel() for part in parts])
    centre = first if basis_fixed else np.zeros_like(first)
    found = minimize(
        objective,
        first,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": MAX_STEPS, "ftol": TOLERANCE, "gtol": 1e-9, "maxcor": 20},
    )
    return unpack(found.x)


def choose_l2(
    rows: Rows, validation: Rows, start: SharedBasis, l2: float | None
) -> tuple[SharedBasis, float, str]:
    """Fits at the given penalty, or at the one of `L2_GRID` that validation rows like best.

    The search goes from strong to weak and stops at the first penalty that is no better.

    Returns:
        The fit, its penalty, and how it came about.
    """
    n = len(validation.label)
    if l2 is not None:
        return fit_shared_basis(rows, start, l2), l2, "as set"
    if n < MIN_VALIDATION_ROWS:
        return fit_shared_basis(rows, start, DEFAULT_L2), DEFAULT_L2, "the default"
    best, best_loss, best_l2 = start, np.inf, L2_GRID[0]
    for candidate in L2_GRID:
        fit = fit_shared_basis(rows, start, candidate)
        loss = validation.loss(fit.margins(validation))
        if loss > best_loss:
            break
        best, best_loss, best_l2 = fit, loss, candidate
    return best, best_l2, f"chosen by {n} validation rows"
