"""A reward of frozen features that leans towards what the person chose before: `icl`'s head."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from plt.train.in_context.chosen import trust
from plt.train.in_context.past_choices import ContextBook, response_names
from plt.train.method import FloatArray, IntArray, Judgements

Vectors = NDArray[np.float32]
PAIRS_AT_ONCE = 1024
"""Pairs of which each has a context of its own, in one table."""


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

    @classmethod
    def of(cls, judgements: Judgements, vectors: Vectors, book: ContextBook) -> Self:
        """What was judged, by whom."""
        responses = book.coded(response_names(judgements.texts.responses))
        user = book.places(judgements.names())
        return cls(vectors, responses, judgements.a, judgements.b, user)

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

    def contexts(self, pairs: Pairs) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
        """Some rows at a time, the context of each, (r, d), and how many choices it has, (r,).

        A context is the mean, over the choices that may be told, of the features of what was
        preferred minus those of what was not. Both orders of a pair have the same, to the bit.
        Rows without a context do not come.
        """
        for code in np.unique(pairs.user[pairs.user >= 0]):
            every = np.flatnonzero(pairs.user == code)
            mine = self.book.choices(code)
            choices = self.choices(mine)
            for start in range(0, len(every), PAIRS_AT_ONCE):
                rows = every[start : start + PAIRS_AT_ONCE]
                sides = np.sort(np.stack([pairs.a[rows], pairs.b[rows]], axis=1), axis=1)
                distinct, which = np.unique(sides, axis=0, return_inverse=True)
                told = self.book.context(code, pairs.responses[distinct], self.limit)
                counts = told.sum(axis=1).astype(np.float64)
                context = told.astype(np.float64) @ choices / np.maximum(counts, 1)[:, None]
                which = which.reshape(-1)
                has = counts[which] > 0
                yield rows[has], context[which[has]], counts[which[has]]

    def choices(self, mine: slice) -> FloatArray:
        """Features of what was preferred minus those of what was not, times strength, (n, d)."""
        preferred, other = (
            self.vectors[side[mine]].astype(np.float64)
            for side in (self.book.preferred, self.book.other)
        )
        return np.asarray(self.book.strength[mine, None] * (preferred - other))

    def joined(self, newcomers: Self) -> Self:
        """The choices of both."""
        vectors = np.concatenate([self.vectors, newcomers.vectors])
        return replace(self, book=self.book.joined(newcomers.book), vectors=vectors)


@dataclass(frozen=True)
class ContextHead:
    """margin = sum_j (w_j + n / (n + k) g_j (c_j - t_j)) z_j, in units of the unscaled features.

    z is the difference of the features of the two responses, c the context of the pair and n how
    many choices it has. Who has none is the population, w.

    Attributes:
        weights: w, shape (d,).
        gains: g, shape (d,).
        typical: t, shape (d,).
        shrinkage: k; infinity reads no choice.
    """

    weights: FloatArray
    gains: FloatArray
    typical: FloatArray
    shrinkage: float

    def margin(self, pairs: Pairs, past: PastChoices) -> FloatArray:
        """Log-odds of shape (m,)."""
        # einsum sums each row by itself, so that no row changes the last bits of another.
        margin = np.zeros(len(pairs.a))
        for start in range(0, len(margin), PAIRS_AT_ONCE):
            rows = np.arange(start, min(start + PAIRS_AT_ONCE, len(margin)))
            margin[rows] = np.einsum("rd,d->r", pairs.differences(rows), self.weights)
        for rows, context, counts in past.contexts(pairs):
            believed = trust(counts, self.shrinkage)[:, None]
            gained = believed * self.gains * (context - self.typical)
            margin[rows] += np.einsum("rd,rd->r", pairs.differences(rows), gained)
        return margin

    def arrays(self) -> dict[str, FloatArray]:
        """What `plt.train.artifact` writes."""
        return {
            "weights": self.weights,
            "gains": self.gains,
            "typical": self.typical,
            "shrinkage": np.array([self.shrinkage]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `arrays`."""
        shrinkage = float(arrays["shrinkage"][0])
        return cls(arrays["weights"], arrays["gains"], arrays["typical"], shrinkage)
