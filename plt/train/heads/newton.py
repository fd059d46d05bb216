"""Logistic heads on frozen features: many penalised regressions in one batched Newton solve.

The head of a group (one user, or everybody) is the maximum of its log posterior

    sum_i weight_i * [label_i log s(m_i) + (1 - label_i) log s(-m_i)] - l2 / 2 * |w|^2,
    m_i = offset_i + x_i . w,   s the logistic function, x_i = (feature of a - feature of b) / scale

which is Bradley-Terry (1952) with a Gaussian prior. Soft labels enter the cross-entropy as they
are, so a tie (0.5) is half a win for each side. Everything is float64 on the CPU.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from plt.errors import FailedError
from plt.train.method import FloatArray, IntArray

BATCH_ELEMENTS = 1 << 24
"""Most float64 of one padded batch: 128 MiB, and the solver holds about three of that size."""
HESSIAN_ROWS = 8192
"""Rows of a group weighted at a time, so that a large group is not held twice."""
MAX_NEWTON_STEPS = 200
MAX_HALVINGS = 40
CONVERGED_GAIN = 1e-13
"""Relative gain below which a step is the last: Newton's error then is of the order of its square
root squared once more, near rounding."""


@dataclass(frozen=True)
class Problems:
    """U regressions over N feature differences; group u owns the rows starts[u] to starts[u + 1].

    Attributes:
        features: One row a distinct text, shape (T, d); float32 as the cache holds them.
        a: Text of response a, shape (N,).
        b: Text of response b, shape (N,).
        label: Probability that a is preferred, shape (N,).
        weight: How often the row counts, shape (N,).
        starts: First row of each group and the end of the last, shape (U + 1,).
    """

    features: NDArray[np.float32] | FloatArray
    a: IntArray
    b: IntArray
    label: FloatArray
    weight: FloatArray
    starts: IntArray

    @property
    def sizes(self) -> IntArray:
        """Rows of each group, shape (U,)."""
        return np.diff(self.starts)

    @property
    def totals(self) -> FloatArray:
        """Sum of the weights of each group, shape (U,)."""
        owner = np.repeat(np.arange(len(self.sizes)), self.sizes)
        totals = np.bincount(owner, weights=self.weight, minlength=len(self.sizes))
        return totals.astype(np.float64)

    def padded(self, groups: IntArray, scales: FloatArray | None = None) -> "Batch":
        """The rows of some groups as one block; the padding has weight 0 and difference 0.

        Args:
            groups: Which groups, shape (U',).
            scales: What the differences of each of all U groups are divided by, shape (U,).
        """
        sizes = self.sizes[groups]
        width = int(sizes.max(initial=0))
        column = np.arange(width)
        real = column < sizes[:, None]
        rows = np.where(real, self.starts[:-1][groups][:, None] + column, 0)
        if len(self.a) == 0:
            shape = (len(groups), width)
            return Batch(
                np.zeros((*shape, self.features.shape[1])), np.zeros(shape), np.zeros(shape)
            )
        x = self.features[self.a[rows]].astype(np.float64)
        x -= self.features[self.b[rows]]
        x[~real] = 0.0
        if scales is not None:
            x /= scales[groups, None, None]
        return Batch(x, np.where(real, self.label[rows], 0.5), self.weight[rows] * real)

    def batches(self) -> Iterator[IntArray]:
        """Groups of similar size, as many as fit the memory budget; every group once."""
        order = np.argsort(-self.sizes, kind="stable")
        sizes = np.maximum(self.sizes[order], 1)
        start = 0
        while start < len(order):
            fit = max(1, BATCH_ELEMENTS // int(sizes[start] * self.features.shape[1]))
            similar = int(np.searchsorted(-sizes, -sizes[start] / 2, side="right"))
            stop = max(start + 1, min(start + fit, similar))
            yield order[start:stop]
            start = stop

    def scales(self) -> FloatArray:
        """Root of the weighted mean |x|^2 of each group, shape (U,); 1 where it would be 0.

        Features divided by it have differences of mean square 1, for which one grid of penalties
        serves every backbone.
        """
        return _root(self._squares(), self.totals)

    def pooled_scale(self) -> float:
        """As `scales`, over all rows together."""
        return float(_root(self._squares().sum(), self.totals.sum()))

    def _squares(self) -> FloatArray:
        squares = np.zeros(len(self.sizes))
        for groups in self.batches():
            batch = self.padded(groups)
            norms = np.einsum("und,und->un", batch.x, batch.x)
            squares[groups] = (norms * batch.weight).sum(axis=1)
        return squares


@dataclass(frozen=True)
class Batch:
    """Padded rows of U groups.

    Attributes:
        x: Feature differences, shape (U, n, d).
        label: Shape (U, n).
        weight: Shape (U, n); 0 marks padding.
    """

    x: FloatArray
    label: FloatArray
    weight: FloatArray


class Dual:
    """w = x' c with coordinates c of shape (U, n): cheaper where a group has at most d rows.

    The systems are those of Gaussian-process classification by Laplace's method (Rasmussen and
    Williams 2006, algorithm 3.1), whose matrices have eigenvalues of at least 1.

    Args:
        x: Shape (U, n, d).
    """

    def __init__(self, x: FloatArray) -> None:
        self.x = x
        self.gram = x @ x.transpose(0, 2, 1)
        self.n_coordinates = x.shape[1]

    def image(self, coordinates: FloatArray) -> FloatArray:
        """Margins x . w without the offset, shape (U, n)."""
        return _apply(self.gram, coordinates)

    def penalty(self, coordinates: FloatArray, image: FloatArray, l2: FloatArray) -> FloatArray:
        """l2 / 2 |w|^2 of shape (U,)."""
        return np.asarray(l2 / 2 * np.einsum("un,un->u", coordinates, image))

    def target(
        self, image: FloatArray, slope: FloatArray, curvature: FloatArray, l2: FloatArray
    ) -> FloatArray:
        """Where Newton's step lands, from the derivatives by the margins, as coordinates."""
        root = np.sqrt(curvature)
        pull = curvature * image + slope
        inner = root * _apply(self.gram, pull) / l2[:, None]
        return np.asarray((pull - root * _solve(self.inner(curvature, l2), inner)) / l2[:, None])

    def inner(self, curvature: FloatArray, l2: FloatArray) -> FloatArray:
        """I + C^1/2 x x' C^1/2 / l2 of shape (U, n, n)."""
        root = np.sqrt(curvature)
        matrix = root[:, :, None] * self.gram
        matrix *= (root / l2[:, None])[:, None, :]
        diagonal = np.arange(self.n_coordinates)
        matrix[:, diagonal, diagonal] += 1
        return np.asarray(matrix)

    def log_determinant(self, curvature: FloatArray, l2: FloatArray) -> FloatArray:
        """Of I + x' C x / l2, shape (U,)."""
        return np.asarray(np.linalg.slogdet(self.inner(curvature, l2))[1])

    def weights(self, coordinates: FloatArray) -> FloatArray:
        """The heads w of shape (U, d)."""
        return np.asarray((coordinates[:, None, :] @ self.x)[:, 0])


class Primal:
    """The coordinates are w itself, shape (U, d): cheaper beyond d rows a group.

    Args:
        x: Shape (U, n, d).
    """

    def __init__(self, x: FloatArray) -> None:
        self.x = x
        self.n_coordinates = x.shape[2]

    def image(self, coordinates: FloatArray) -> FloatArray:
        """As `Dual.image`."""
        return _apply(self.x, coordinates)

    def penalty(self, coordinates: FloatArray, image: FloatArray, l2: FloatArray) -> FloatArray:
        """As `Dual.penalty`."""
        return np.asarray(l2 / 2 * np.einsum("ud,ud->u", coordinates, coordinates))

    def target(
        self, image: FloatArray, slope: FloatArray, curvature: FloatArray, l2: FloatArray
    ) -> FloatArray:
        """As `Dual.target`."""
        pull = ((curvature * image + slope)[:, None, :] @ self.x)[:, 0]
        return _solve(self.hessian(curvature, l2), pull)

    def hessian(self, curvature: FloatArray, l2: FloatArray) -> FloatArray:
        """Of the penalised loss: x' C x + l2 I, shape (U, d, d)."""
        n_groups, n_rows, d = self.x.shape
        matrix = np.zeros((n_groups, d, d))
        for start in range(0, n_rows, HESSIAN_ROWS):
            part = slice(start, start + HESSIAN_ROWS)
            # A product with its own transpose costs half of a product of two matrices.
            rows = np.sqrt(curvature[:, part, None]) * self.x[:, part]
            matrix += rows.transpose(0, 2, 1) @ rows
        diagonal = np.arange(d)
        matrix[:, diagonal, diagonal] += l2[:, None]
        return matrix

    def log_determinant(self, curvature: FloatArray, l2: FloatArray) -> FloatArray:
        """As `Dual.log_determinant`."""
        whole = np.linalg.slogdet(self.hessian(curvature, l2))[1]
        return np.asarray(whole - self.n_coordinates * np.log(l2))

    def weights(self, coordinates: FloatArray) -> FloatArray:
        """As `Dual.weights`."""
        return coordinates


Form: TypeAlias = Dual | Primal


def _root(squares: FloatArray, totals: FloatArray) -> FloatArray:
    return np.where(squares > 0, np.sqrt(squares / np.where(totals > 0, totals, 1.0)), 1.0)


def _apply(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    return np.asarray((matrix @ vector[:, :, None])[:, :, 0])


def _solve(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.solve(matrix, vector[:, :, None])[:, :, 0])


def form_of(x: FloatArray) -> Form:
    """The cheaper of the two forms of a block of shape (U, n, d)."""
    return Dual(x) if x.shape[1] <= x.shape[2] else Primal(x)


@dataclass(frozen=True)
class Posterior:
    """The maximum of the log posterior of U groups.

    Attributes:
        coordinates: In the coordinates of the form that found it.
        curvature: weight * s(m) s(-m) at the maximum, shape (U, n).
        value: Log posterior at the maximum up to the prior's constant, shape (U,).
    """

    coordinates: FloatArray
    curvature: FloatArray
    value: FloatArray

    def log_evidence(self, form: Form, l2: FloatArray) -> FloatArray:
        """Laplace's approximation of the log marginal likelihood, shape (U,)."""
        return self.value - form.log_determinant(self.curvature, l2) / 2


def maximise(
    form: Form,
    batch: Batch,
    l2: FloatArray,
    offset: FloatArray | float = 0.0,
    start: FloatArray | None = None,
) -> Posterior:
    """Newton's method with step halving for all groups at once.

    A group that has converged stands still, so it does not depend on who is solved beside it.

    Args:
        form: The block in the cheaper form.
        batch: Labels and weights of the same block.
        l2: Penalty of each group, shape (U,), above 0.
        offset: Margin that is already explained, shape (U, n).
        start: Coordinates to start from; by default 0.

    Raises:
        FailedError: The features are not finite, or no convergence in `MAX_NEWTON_STEPS`.
    """
    here = np.zeros((len(l2), form.n_coordinates)) if start is None else start
    image = form.image(here)
    value = _log_likelihood(batch, offset + image) - form.penalty(here, image, l2)
    moving = np.ones(len(l2), dtype=bool)
    for _ in range(MAX_NEWTON_STEPS):
        slope, curvature = _derivatives(batch, offset + image)
        step = form.target(image, slope, curvature, l2) - here
        length = moving.astype(np.float64)
        for _ in range(MAX_HALVINGS):
            there = here + length[:, None] * step
            new_image = form.image(there)
            new = _log_likelihood(batch, offset + new_image) - form.penalty(there, new_image, l2)
            worse = ~(new >= value - CONVERGED_GAIN * (1 + np.abs(value))) & moving
            if not worse.any():
                break
            length[worse] /= 2
        if not np.isfinite(new).all():
            raise FailedError("a head cannot be fitted: its features are not finite numbers")
        moving &= new - value > CONVERGED_GAIN * (1 + np.abs(value))
        here, image, value = there, new_image, new
        if not moving.any():
            break
    else:
        raise FailedError(
            f"{int(moving.sum())} of {len(l2)} heads did not converge in {MAX_NEWTON_STEPS} steps",
            hint="raise the penalty: --set l2=1",
        )
    curvature = _derivatives(batch, offset + image)[1]
    return Posterior(here, curvature, value)


def _log_likelihood(batch: Batch, margin: FloatArray) -> FloatArray:
    parts = batch.label * log_expit(margin) + (1 - batch.label) * log_expit(-margin)
    return np.asarray((batch.weight * parts).sum(axis=1))


def _derivatives(batch: Batch, margin: FloatArray) -> tuple[FloatArray, FloatArray]:
    probability = expit(margin)
    slope = batch.weight * (batch.label - probability)
    # expit(m) * expit(-m) keeps its precision where 1 - expit(m) would round to 0.
    return slope, np.asarray(batch.weight * probability * expit(-margin))
