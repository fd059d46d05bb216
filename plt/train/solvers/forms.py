"""Three forms of the same Newton step for ridge-penalised margins, each cheapest where it is used.

The margin of a row is x . w, x the difference of two texts' features, and the penalty l2 / 2 |w|^2.
A form holds the rows of one block and its own coordinates of w. With a group of n rows on k
features a step costs n^3 in `Dual`, n k^2 + k^3 in `Primal`, and in `Paired`, which has one group
of t distinct texts, min(n, 2 t) k^2 where the curvature has changed and k^2 where it has not.
"""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve

from plt.train.method import FloatArray, IntArray

BLOCK_ROWS = 8192
"""Rows whose features are held as float64 at a time."""
LEAF = 32
"""Side up to which a triangle is inverted by LAPACK; above, by products of blocks."""
CONTRACTION = 1 / 16
"""A step from an older curvature is kept while the promised gain falls by this factor."""


class Dual:
    """w = x' c with coordinates c of shape (U, n): cheaper where a group has at most k rows.

    The systems are those of Gaussian-process classification by Laplace's method (Rasmussen and
    Williams 2006, algorithm 3.1), whose matrices have eigenvalues of at least 1.

    Args:
        x: Shape (U, n, k).
    """

    tolerance = 1e-11
    """Promised gain, relative to the value, of a step after which the maximum is reached."""

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

    def step(
        self, here: FloatArray, slope: FloatArray, curvature: FloatArray, l2: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Newton's step from the derivatives by the margins.

        Returns:
            The step in coordinates, its image (U, n), and the gain that it promises, times 2, (U,).
        """
        root = np.sqrt(curvature)
        rest = slope - l2[:, None] * here
        inner = root * _apply(self.gram, rest) / l2[:, None]
        step = (rest - root * _solve(self.inner(curvature, l2), inner)) / l2[:, None]
        image = _apply(self.gram, step)
        return step, image, np.einsum("un,un->u", rest, image)

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
        return log_determinant(cholesky(self.inner(curvature, l2)))

    def weights(self, coordinates: FloatArray) -> FloatArray:
        """The heads w of shape (U, k)."""
        return np.asarray((coordinates[:, None, :] @ self.x)[:, 0])


class Primal:
    """The coordinates are w itself, shape (U, k): cheaper beyond k rows a group.

    Args:
        x: Shape (U, n, k).
    """

    tolerance = Dual.tolerance

    def __init__(self, x: FloatArray) -> None:
        self.x = x
        self.n_coordinates = x.shape[2]

    def image(self, coordinates: FloatArray) -> FloatArray:
        """As `Dual.image`."""
        return _apply(self.x, coordinates)

    def penalty(self, coordinates: FloatArray, image: FloatArray, l2: FloatArray) -> FloatArray:
        """As `Dual.penalty`."""
        return np.asarray(l2 / 2 * np.einsum("uk,uk->u", coordinates, coordinates))

    def step(
        self, here: FloatArray, slope: FloatArray, curvature: FloatArray, l2: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """As `Dual.step`."""
        gradient = (slope[:, None, :] @ self.x)[:, 0] - l2[:, None] * here
        step = _solve(self.hessian(curvature, l2), gradient)
        return step, self.image(step), np.einsum("uk,uk->u", gradient, step)

    def hessian(self, curvature: FloatArray, l2: FloatArray) -> FloatArray:
        """Of the penalised loss: x' C x + l2 I, shape (U, k, k)."""
        rows = np.sqrt(curvature)[:, :, None] * self.x
        # A product with its own transpose costs half of a product of two matrices.
        matrix = rows.transpose(0, 2, 1) @ rows
        diagonal = np.arange(self.n_coordinates)
        matrix[:, diagonal, diagonal] += l2[:, None]
        return np.asarray(matrix)

    def log_determinant(self, curvature: FloatArray, l2: FloatArray) -> FloatArray:
        """As `Dual.log_determinant`."""
        whole = log_determinant(cholesky(self.hessian(curvature, l2)))
        return np.asarray(whole - self.n_coordinates * np.log(l2))

    def weights(self, coordinates: FloatArray) -> FloatArray:
        """As `Dual.weights`."""
        return coordinates


class Paired:
    """One group of many rows, whose features stay where they are: a row a text.

    No (n, k) block is held. The Hessian is F' L F, F the features of the texts and L the graph
    Laplacian of the pairs weighted by their curvature, or a sum over blocks of rows where there are
    few rows a text. It is kept: a step with an older Hessian is a step uphill, and is taken as long
    as the promised gain falls by `CONTRACTION` each time.

    Args:
        features: Shape (T, k).
        a: Text of response a, shape (n,).
        b: Text of response b, shape (n,).
    """

    tolerance = 1e-17
    """Smaller than in `Dual`: with an older Hessian the distance falls by a factor only."""

    def __init__(
        self, features: NDArray[np.float32] | FloatArray, a: IntArray, b: IntArray
    ) -> None:
        texts, ends = np.unique(np.stack([a, b]), return_inverse=True)
        self.a, self.b = ends.reshape(2, -1)
        self.features = features[texts] if len(texts) < len(features) else features
        self.n_coordinates = features.shape[1]
        self._data = np.zeros((0, 0))
        self._factor: tuple[FloatArray, bool] = (np.zeros((0, 0)), True)
        self._l2 = self._promised = np.inf

    def image(self, coordinates: FloatArray) -> FloatArray:
        """As `Dual.image`; U is 1."""
        rewards = np.concatenate([part @ coordinates[0] for _, part in self._parts()])
        return np.asarray((rewards[self.a] - rewards[self.b])[None])

    def penalty(self, coordinates: FloatArray, image: FloatArray, l2: FloatArray) -> FloatArray:
        """As `Dual.penalty`."""
        return np.asarray(l2 / 2 * np.einsum("uk,uk->u", coordinates, coordinates))

    def step(
        self, here: FloatArray, slope: FloatArray, curvature: FloatArray, l2: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """As `Dual.step`, with the Hessian of an earlier point where that is good enough."""
        gradient = self.pull(slope[0]) - l2[0] * here[0]
        if not len(self._data):
            self._data = self.curved(curvature[0])
            self._l2 = np.inf
        if self._l2 != l2[0]:
            self._refactor(l2[0])
        step = np.asarray(cho_solve(self._factor, gradient))
        promised = float(gradient @ step)
        if not promised <= self._promised * CONTRACTION and np.isfinite(promised):
            self._data = self.curved(curvature[0])
            self._refactor(l2[0])
            step = np.asarray(cho_solve(self._factor, gradient))
            promised = float(gradient @ step)
        self._promised = promised
        return step[None], self.image(step[None]), np.array([promised])

    def hessian(self, curvature: FloatArray, l2: FloatArray) -> FloatArray:
        """As `Primal.hessian`, exact, shape (1, k, k)."""
        self._data = self.curved(curvature[0])
        self._l2 = np.inf
        return self._penalised(l2[0])[None]

    def pull(self, slope: FloatArray) -> FloatArray:
        """X' slope of shape (k,), slope of shape (n,)."""
        n, total = len(self.features), np.zeros(self.n_coordinates)
        by_text = np.bincount(self.a, slope, n) - np.bincount(self.b, slope, n)
        for rows, part in self._parts():
            total += by_text[rows] @ part
        return total

    def curved(self, curvature: FloatArray) -> FloatArray:
        """X' C x of shape (k, k)."""
        if 2 * len(self.features) <= len(self.a):
            return self.curved_times(curvature, None)
        total = np.zeros((self.n_coordinates, self.n_coordinates))
        for start in range(0, len(self.a), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            x = self.features[self.a[rows]].astype(np.float64)
            x -= self.features[self.b[rows]]
            x *= np.sqrt(curvature[rows])[:, None]
            total += x.T @ x
        return total

    def curved_times(self, curvature: FloatArray, matrix: FloatArray | None) -> FloatArray:
        """X' C x matrix, the matrix (k, m) or the identity, by way of the texts."""
        n = len(self.features)
        ends = np.concatenate([self.a, self.b]), np.concatenate([self.b, self.a])
        between = sparse.csr_array((np.tile(curvature, 2), ends), shape=(n, n))
        laplacian = sparse.csr_array(sparse.diags_array(between.sum(axis=1)) - between)
        features = self.features.astype(np.float64, copy=False)
        return np.asarray(
            features.T @ (laplacian @ (features if matrix is None else features @ matrix))
        )

    def log_determinant(self, curvature: FloatArray, l2: FloatArray) -> FloatArray:
        """As `Dual.log_determinant`."""
        whole = log_determinant(cholesky(self.hessian(curvature, l2)))
        return np.asarray(whole - self.n_coordinates * np.log(l2))

    def weights(self, coordinates: FloatArray) -> FloatArray:
        """As `Dual.weights`."""
        return coordinates

    def _refactor(self, l2: float) -> None:
        self._factor = cho_factor(
            self._penalised(l2), lower=True, overwrite_a=True, check_finite=False
        )
        self._l2, self._promised = l2, np.inf

    def _penalised(self, l2: float) -> FloatArray:
        return np.asarray(self._data + l2 * np.eye(self.n_coordinates))

    def _parts(self) -> Iterator[tuple[slice, FloatArray]]:
        for start in range(0, len(self.features), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            yield rows, self.features[rows].astype(np.float64, copy=False)


Form: TypeAlias = Dual | Primal | Paired


def form_of(x: FloatArray) -> Dual | Primal:
    """The cheaper form of a block of shape (U, n, k) that is at hand."""
    return Dual(x) if x.shape[1] <= x.shape[2] else Primal(x)


def cholesky(matrices: FloatArray) -> FloatArray:
    """Lower triangles of shape (U, n, n)."""
    return np.asarray(np.linalg.cholesky(matrices), dtype=np.float64)


def log_determinant(lower: FloatArray) -> FloatArray:
    """Of matrices with Cholesky factors of shape (U, n, n), shape (U,)."""
    return np.asarray(2 * np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1))


def inverse_lower(lower: FloatArray) -> FloatArray:
    """The inverses of lower triangles of shape (U, n, n), which LAPACK would take for squares."""
    n = lower.shape[1]
    if n <= LEAF:
        return np.asarray(np.linalg.inv(lower))
    half = n // 2
    inverse = np.zeros_like(lower)
    first, last = inverse_lower(lower[:, :half, :half]), inverse_lower(lower[:, half:, half:])
    inverse[:, :half, :half], inverse[:, half:, half:] = first, last
    inverse[:, half:, :half] = -last @ (lower[:, half:, :half] @ first)
    return inverse


def _apply(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    return np.asarray((matrix @ vector[:, :, None])[:, :, 0])


def _solve(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.solve(matrix, vector[:, :, None])[:, :, 0])
