"""Logistic heads on frozen features: many penalised regressions in one batched Newton solve.

The head of a group (one user, or everybody) is the maximum of its log posterior

    sum_i weight_i * [label_i log s(m_i) + (1 - label_i) log s(-m_i)] - l2 / 2 * |w|^2,
    m_i = offset_i + x_i . w,   s the logistic function, x_i = feature of a - feature of b

which is Bradley-Terry (1952) with a Gaussian prior. Soft labels enter the cross-entropy as they
are, so a tie (0.5) is half a win for each side. Everything is float64 on the CPU.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plt.errors import FailedError
from plt.train.method import FloatArray, IntArray
from plt.train.solvers.forms import BLOCK_ROWS, Dual, Form, Paired, Primal

BATCH_ELEMENTS = 1 << 19
"""Most float64 of one padded block: 4 MiB, which stays near the processor."""
PADDING = 1.25
"""Most rows of a group in a block, over the fewest."""
PAIRED_WORK = 1e8
"""Multiplications of a Hessian from which a group is solved by itself, without its rows at hand."""
MAX_NEWTON_STEPS = 200
MAX_HALVINGS = 40
ROUNDING = 1e-13
"""Relative loss of value that a step may show."""


@dataclass(frozen=True)
class Block:
    """Rows of groups of similar size, padded to the largest; padding has weight 0.

    Attributes:
        groups: Which groups, shape (U,).
        rows: Which rows of the problem, shape (U, n); 0 where padded.
        label: Shape (U, n).
        weight: Shape (U, n); 0 marks padding.
    """

    groups: IntArray
    rows: IntArray
    label: FloatArray
    weight: FloatArray

    def __len__(self) -> int:
        return len(self.groups)


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
        return np.bincount(self.owner, self.weight, len(self.sizes)).astype(np.float64)

    @property
    def owner(self) -> IntArray:
        """The group of each row, shape (N,)."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def mapped(self, matrix: FloatArray) -> "Problems":
        """The same rows on features @ matrix, (d, k): a product a text and not one a row.

        Texts without a row are left out.
        """
        used = np.zeros(len(self.features), dtype=bool)
        used[self.a] = used[self.b] = True
        place = np.cumsum(used) - 1
        features = self.features[used].astype(np.float64) @ matrix
        return replace(self, features=features, a=place[self.a], b=place[self.b])

    def merged(self) -> "Problems":
        """Neighbouring rows of a group on the same pair as one, of their mean label.

        Exact: the cross-entropy is linear in the label.
        """
        new = np.ones(len(self.a), dtype=bool)
        same = (self.a[1:] == self.a[:-1]) & (self.b[1:] == self.b[:-1])
        new[1:] = ~same | (np.diff(self.owner) != 0)
        first = np.flatnonzero(new)
        if len(first) == len(self.a):
            return self
        weight = np.add.reduceat(self.weight, first)
        total = np.add.reduceat(self.weight * self.label, first)
        label = np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), self.label[first])
        starts = np.searchsorted(first, self.starts)
        return Problems(self.features, self.a[first], self.b[first], label, weight, starts)

    def some(self, groups: IntArray) -> "Problems":
        """Some of the groups, shape (U',), in that order."""
        sizes = self.sizes[groups]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        rows = np.repeat(self.starts[:-1][groups] - starts[:-1], sizes) + np.arange(starts[-1])
        return Problems(
            self.features, self.a[rows], self.b[rows], self.label[rows], self.weight[rows], starts
        )

    def differences(self, rows: IntArray) -> FloatArray:
        """X of some rows of any shape, with one more axis of d."""
        x = self.features[self.a[rows]].astype(np.float64)
        x -= self.features[self.b[rows]]
        return x

    def block(self, groups: IntArray) -> Block:
        """The rows of some groups, shape (U',), side by side."""
        sizes = self.sizes[groups]
        column = np.arange(int(sizes.max(initial=0)))
        real = column < sizes[:, None]
        rows = np.where(real, self.starts[:-1][groups][:, None] + column, 0)
        if not len(self.a):
            return Block(groups, rows, np.zeros(rows.shape), np.zeros(rows.shape))
        weight = self.weight[rows] * real
        return Block(groups, rows, np.where(real, self.label[rows], 0.5), weight)

    def padded(self, block: Block) -> FloatArray:
        """The differences of a block, shape (U', n, d); 0 where padded."""
        if not len(self.a):
            return np.zeros((*block.rows.shape, self.features.shape[1]))
        x = self.differences(block.rows)
        sizes = self.sizes[block.groups]
        x[np.arange(block.rows.shape[1]) >= sizes[:, None]] = 0.0
        return x

    def form(self, block: Block) -> Form:
        """The cheapest form of a block."""
        n, k = block.rows.shape[1], self.features.shape[1]
        if n <= k:
            return Dual(self.padded(block))
        if len(block) == 1 and self._alone(n):
            return Paired(self.features, self.a[block.rows[0]], self.b[block.rows[0]])
        return Primal(self.padded(block))

    def blocks(self) -> Iterator[Block]:
        """All groups in blocks of similar size, each within the memory budget."""
        order = np.argsort(-self.sizes, kind="stable")
        sizes = np.maximum(self.sizes[order], 1)
        width = self.features.shape[1]
        start = 0
        while start < len(order):
            size = int(sizes[start])
            fit = max(1, BATCH_ELEMENTS // (size * max(width, min(size, width))))
            similar = int(np.searchsorted(-sizes, -size / PADDING, side="right"))
            stop = start + 1 if self._alone(size) else max(start + 1, min(start + fit, similar))
            yield self.block(order[start:stop])
            start = stop

    def _alone(self, size: int) -> bool:
        width = self.features.shape[1]
        large = size * width**2 >= PAIRED_WORK or size * width > BATCH_ELEMENTS
        return bool(size > width and large)

    def margins(self, heads: FloatArray) -> FloatArray:
        """Margins of all rows under one head (d,) or one a group (U, d), shape (N,)."""
        if heads.ndim == 1:
            reward = np.asarray(self.features @ heads)
            return np.asarray(reward[self.a] - reward[self.b])
        margins, owner = np.empty(len(self.a)), self.owner
        for start in range(0, len(self.a), BLOCK_ROWS):
            rows = np.arange(start, min(start + BLOCK_ROWS, len(self.a)))
            margins[rows] = np.einsum("nd,nd->n", self.differences(rows), heads[owner[rows]])
        return margins

    def losses(self, margins: FloatArray) -> FloatArray:
        """Weighted cross-entropy of each group, shape (U,)."""
        losses = self.weight * (np.logaddexp(0.0, margins) - self.label * margins)
        return np.bincount(self.owner, losses, len(self.sizes)).astype(np.float64)

    def derivatives(self, margins: FloatArray) -> tuple[FloatArray, FloatArray]:
        """First and minus second derivative of the log likelihood by the margins, shape (N,)."""
        rows = np.arange(len(self.a))[None]
        whole = Block(np.zeros(1, dtype=np.int64), rows, self.label[None], self.weight[None])
        _, slope, curvature = _expanded(whole, margins[None])
        return slope[0], curvature[0]

    def scales(self) -> FloatArray:
        """Root of the weighted mean |x|^2 of each group, shape (U,); 1 where it would be 0.

        Features divided by it have differences of mean square 1, for which one grid of penalties
        serves every backbone.
        """
        squares = np.bincount(self.owner, self.weight * self._squares(), len(self.sizes))
        return _root(squares.astype(np.float64), self.totals)

    def pooled_scale(self) -> float:
        """As `scales`, over all rows together."""
        return float(_root(np.asarray(self.weight @ self._squares()), self.weight.sum()))

    def _squares(self) -> FloatArray:
        """|x|^2 of every row, shape (N,), computed once a pair."""
        n_texts = len(self.features)
        codes, pair = np.unique(self.a * n_texts + self.b, return_inverse=True)
        squares = np.empty(len(codes))
        for start in range(0, len(codes), BLOCK_ROWS):
            part = slice(start, start + BLOCK_ROWS)
            x = self.features[codes[part] // n_texts].astype(np.float64)
            x -= self.features[codes[part] % n_texts]
            squares[part] = np.einsum("nd,nd->n", x, x)
        return np.asarray(squares[pair.reshape(-1)])


def _root(squares: FloatArray, totals: FloatArray) -> FloatArray:
    return np.where(squares > 0, np.sqrt(squares / np.where(totals > 0, totals, 1.0)), 1.0)


def stacked(parts: Sequence[Problems]) -> Problems:
    """The groups of all parts, which are on the same features, one after the other."""
    ends = np.cumsum([0, *(len(part.a) for part in parts)])
    starts = [part.starts[:-1] + end for part, end in zip(parts, ends[:-1], strict=True)]
    return Problems(
        parts[0].features,
        np.concatenate([part.a for part in parts]),
        np.concatenate([part.b for part in parts]),
        np.concatenate([part.label for part in parts]),
        np.concatenate([part.weight for part in parts]),
        np.concatenate([*starts, ends[-1:]]),
    )


def user_averaged(problems: Problems) -> Problems:
    """The same rows, in which every group with rows weighs the same, and all as before."""
    totals = problems.totals
    judged = totals > 0
    share = np.where(judged, totals.sum() / np.where(judged, totals * judged.sum(), 1.0), 0.0)
    return replace(problems, weight=problems.weight * np.repeat(share, problems.sizes))


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
    block: Block,
    l2: FloatArray,
    offset: FloatArray | float = 0.0,
    start: FloatArray | None = None,
) -> Posterior:
    """Newton's method with step halving for all groups at once.

    A group that has converged stands still, so it does not depend on who is solved beside it.

    Args:
        form: The block in the cheaper form.
        block: Labels and weights.
        l2: Penalty of each group, shape (U,), above 0.
        offset: Margin that is already explained, shape (U, n).
        start: Coordinates to start from; by default 0.

    Raises:
        FailedError: The features are not finite, or no convergence in `MAX_NEWTON_STEPS`.
    """
    here = np.zeros((len(l2), form.n_coordinates)) if start is None else start
    image = form.image(here)
    moving = np.ones(len(l2), dtype=bool)
    likelihood, slope, curvature = _expanded(block, offset + image)
    value = likelihood - form.penalty(here, image, l2)
    for _ in range(MAX_NEWTON_STEPS):
        if not np.isfinite(value).all():
            raise FailedError("a head cannot be fitted: its features are not finite numbers")
        step, moved, promised = form.step(here, slope, curvature, l2)
        last = promised <= form.tolerance * (1 + np.abs(value))
        length = moving.astype(np.float64)
        for _ in range(MAX_HALVINGS):
            there = here + length[:, None] * step
            new_image = image + length[:, None] * moved
            likelihood, slope, curvature = _expanded(block, offset + new_image)
            new = likelihood - form.penalty(there, new_image, l2)
            worse = ~(new >= value - ROUNDING * (1 + np.abs(value))) & moving
            if not worse.any():
                break
            length[worse] /= 2
        here, image, value = there, new_image, new
        moving &= ~last
        if not moving.any():
            break
    else:
        raise FailedError(
            f"{int(moving.sum())} of {len(l2)} heads did not converge in {MAX_NEWTON_STEPS} steps",
            hint="raise the penalty: --set l2=1",
        )
    if not np.isfinite(value).all():
        raise FailedError("a head cannot be fitted: its features are not finite numbers")
    return Posterior(here, curvature, value)


def _expanded(block: Block, margin: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log likelihood (U,) and its first and minus its second derivative by the margins, (U, n)."""
    tail = np.exp(-np.abs(margin))
    # log s(m) = -max(-m, 0) - log(1 + e^-|m|), and both tails keep their precision.
    parts = block.label * margin - np.maximum(margin, 0.0) - np.log1p(tail)
    small, large = tail / (1 + tail), 1 / (1 + tail)
    slope = block.weight * (block.label - np.where(margin >= 0, large, small))
    return (block.weight * parts).sum(axis=1), slope, block.weight * (small * large)
