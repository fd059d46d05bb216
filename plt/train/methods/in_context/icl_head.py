"""A reward of frozen features that leans towards what the person chose before: `icl`'s head."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from plt.train.heads.small_networks import Rows, Scaling, fit_network
from plt.train.in_context.past_choices import ContextBook, response_names
from plt.train.method import FloatArray, IntArray, Judgements

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Pairs:
    """m pairs to be told apart, as one person or another.

    Attributes:
        vectors: Features of T texts, shape (T, d).
        responses: Their responses as the book's codes, shape (T,).
        a: Text of response a, shape (m,).
        b: Text of response b, shape (m,).
        user: Place of the user in the book, shape (m,); -1 for everybody else.
    """

    vectors: Vectors
    responses: IntArray
    a: IntArray
    b: IntArray
    user: IntArray

    def differences(self, rows: IntArray) -> FloatArray:
        """Features of response a minus those of b, shape (len(rows), d)."""
        one, other = self.vectors[self.a[rows]], self.vectors[self.b[rows]]
        return one.astype(np.float64) - other


@dataclass(frozen=True)
class PastChoices:
    """What each user chose, as features.

    Attributes:
        book: Choices of U users between T texts.
        vectors: Features of the texts, shape (T, d).
        limit: Choices that are told about a pair at most; None is all.
    """

    book: ContextBook
    vectors: Vectors
    limit: int | None

    def contexts(self, pairs: Pairs) -> Iterator[tuple[IntArray, FloatArray]]:
        """User by user, the rows of those who have a context, and the context of each, (r, d).

        A context is the mean, over the choices that may be told, of the features of what was
        preferred minus those of what was not. Both orders of a pair have the same, to the bit.
        """
        for code in np.unique(pairs.user[pairs.user >= 0]):
            rows = np.flatnonzero(pairs.user == code)
            mine = self.book.choices(code)
            sides = np.sort(np.stack([pairs.a[rows], pairs.b[rows]], axis=1), axis=1)
            distinct, which = np.unique(sides, axis=0, return_inverse=True)
            told = self.book.context(code, pairs.responses[distinct], self.limit)
            preferred, other = (
                self.vectors[side[mine]].astype(np.float64)
                for side in (self.book.preferred, self.book.other)
            )
            choices = self.book.strength[mine, None] * (preferred - other)
            counts = told.sum(axis=1)
            context = told.astype(np.float64) @ choices / np.maximum(counts, 1)[:, None]
            which = which.reshape(-1)
            has = counts[which] > 0
            yield rows[has], context[which[has]]

    def joined(self, newcomers: Self) -> Self:
        """The choices of both."""
        vectors = np.concatenate([self.vectors, newcomers.vectors])
        return replace(self, book=self.book.joined(newcomers.book), vectors=vectors)


@dataclass(frozen=True)
class ContextHead:
    """margin = sum_j (w_j + g_j (c_j - t_j)) z_j, in units of the unscaled features.

    z is the difference of the features of the two responses and c the context of the pair; who has
    none is taken for the average t of all.

    Attributes:
        weights: w, shape (d,).
        gains: g, shape (d,).
        typical: t, shape (d,).
    """

    weights: FloatArray
    gains: FloatArray
    typical: FloatArray

    def margin(self, pairs: Pairs, past: PastChoices) -> FloatArray:
        """Log-odds of shape (m,)."""
        # einsum sums each row by itself, so that no row changes the last bits of another.
        everybody = np.arange(len(pairs.a))
        margin = np.einsum("rd,d->r", pairs.differences(everybody), self.weights)
        for rows, context in past.contexts(pairs):
            gained = self.gains * (context - self.typical)
            margin[rows] += np.einsum("rd,rd->r", pairs.differences(rows), gained)
        return np.asarray(margin)

    def arrays(self) -> dict[str, FloatArray]:
        """What `plt.train.artifact` writes."""
        return {"weights": self.weights, "gains": self.gains, "typical": self.typical}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `arrays`."""
        return cls(arrays["weights"], arrays["gains"], arrays["typical"])


class Logistic(nn.Module):
    """A linear logistic regression on the rows' own features: phi is (N, D), row i that of row i.

    The network that `plt.train.heads.small_networks` fits; convex, so its start decides nothing.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(size, dtype=torch.float64))

    def row_losses(self, phi: Tensor, a: Tensor, b: Tensor, user: Tensor, label: Tensor) -> Tensor:
        """Cross-entropies, shape (N,); only `phi` and `label` are read."""
        margin = phi @ self.weights
        return functional.softplus(margin) - label * margin

    def beyond_rows(self, rows: Rows, l2: float) -> Tensor:
        """The penalty."""
        return l2 / 2 * self.weights.square().sum()


def fit_context_head(
    judgements: Judgements, vectors: Vectors, past: PastChoices, l2: float | None
) -> tuple[ContextHead, str]:
    """Fits the head on training rows, each with its own context.

    The columns are z, (c - t) * z coordinate by coordinate, and their sum <c - t, z>; each of the
    three blocks has mean square 1 over the training rows, and one penalty serves all.

    Args:
        judgements: Training and validation rows.
        vectors: Features of their texts, shape (T, d).
        past: Choices of training rows alone.
        l2: The penalty, or None (`fit_network`).

    Returns:
        The head, and how its penalty came about.
    """
    train = judgements.select(~judgements.validation)
    scale = Scaling.of(train, vectors).scale
    columns = _Columns.of(_pairs(train, vectors, past), past, scale)
    parts = []
    for part in (train, judgements.select(judgements.validation)):
        row = np.arange(len(part))
        phi = torch.from_numpy(columns(_pairs(part, vectors, past), past))
        parts.append(Rows.of(phi, row, row, part.label))
    chosen = fit_network(lambda: Logistic(2 * vectors.shape[1] + 1), parts[0], parts[1], l2)
    return columns.head(chosen.network.weights.detach().numpy()), chosen.how


@dataclass(frozen=True)
class _Columns:
    """From pairs to what the regression reads: t in scaled units, and the units of the blocks."""

    scale: float
    typical: FloatArray
    by_coordinate: float = 1.0
    together: float = 1.0

    @classmethod
    def of(cls, pairs: Pairs, past: PastChoices, scale: float) -> Self:
        d = pairs.vectors.shape[1]
        found = np.concatenate(
            [np.zeros((0, d)), *(context / scale for _, context in past.contexts(pairs))]
        )
        typical = found.mean(axis=0) if len(found) else np.zeros(d)
        plain = cls(scale, typical)(pairs, past)
        squares = (plain[:, d:-1] ** 2).sum(axis=1).mean(), (plain[:, -1] ** 2).mean()
        units = [float(square) ** -0.5 if square > 0 else 0.0 for square in squares]
        return cls(scale, typical, *units)

    def __call__(self, pairs: Pairs, past: PastChoices) -> FloatArray:
        d = pairs.vectors.shape[1]
        table = np.zeros((len(pairs.a), 2 * d + 1))
        table[:, :d] = pairs.differences(np.arange(len(pairs.a))) / self.scale
        for rows, context in past.contexts(pairs):
            product = (context / self.scale - self.typical) * table[rows, :d]
            table[rows, d:-1] = self.by_coordinate * product
            table[rows, -1] = self.together * product.sum(axis=1)
        return table

    def head(self, weights: FloatArray) -> ContextHead:
        """The fitted weights of the columns, in units of the unscaled features."""
        d = len(self.typical)
        gains = self.by_coordinate * weights[d:-1] + self.together * weights[-1]
        return ContextHead(
            weights[:d] / self.scale, gains / self.scale**2, self.typical * self.scale
        )


def _pairs(judgements: Judgements, vectors: Vectors, past: PastChoices) -> Pairs:
    responses = past.book.coded(response_names(judgements.texts.responses))
    user = past.book.places(judgements.names())
    return Pairs(vectors, responses, judgements.a, judgements.b, user)
