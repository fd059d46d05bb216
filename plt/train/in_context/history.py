"""What people judged, kept for models that read it when they score; and how it is read.

A judgement is never read when a pair is scored that shows one of its two texts: the label of a
pair must not reach the score of that pair, nor may training see what scoring will not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plt.train.heads.small_networks import Scaling
from plt.train.judgements import text_digests, used_texts
from plt.train.method import FloatArray, IntArray, Judgements

Points = Literal["centred", "raw"]


@dataclass(frozen=True)
class Pairs:
    """Judged pairs of B people, filled up to the largest number N.

    Attributes:
        a: Features of response a, shape (B, N, d).
        b: Features of response b, shape (B, N, d).
        label: Probability that a is preferred, shape (B, N).
        present: Whether there is such a pair, shape (B, N); elsewhere the values mean nothing.
    """

    a: Tensor
    b: Tensor
    label: Tensor
    present: Tensor

    def turned(self) -> Self:
        """The same pairs, every judgement turned round."""
        return type(self)(self.a, self.b, 1 - self.label, self.present)

    def nothing(self) -> Self:
        """No pair of the same B people."""
        return type(self)(self.a[:, :0], self.b[:, :0], self.label[:, :0], self.present[:, :0])


def points_of(a: Tensor, b: Tensor, points: Points) -> tuple[Tensor, Tensor]:
    """Features of the two responses of pairs, (..., d), as `ContextSettings.points` says."""
    return (a, b) if points == "raw" else ((a - b) / 2, (b - a) / 2)


class ContextScorer(Protocol):
    """Scores pairs of a person by what the person judged."""

    def margins(self, context: Pairs, a: Tensor, b: Tensor) -> Tensor:
        """Log-odds (B, K) that person i prefers a[i, k] to b[i, k], features (B, K, d).

        Without a pair in the context: what is said of somebody of whom nothing is known.
        """
        ...


@dataclass(frozen=True)
class History:
    """The judgements of people, in the order (user, pair, occurrence), and what of texts they need.

    Attributes:
        users: The people, sorted.
        starts: Judgements starts[u] to starts[u + 1] are those of users[u], shape (U + 1,).
        a: Text of response a, shape (N,).
        b: Text of response b, shape (N,).
        label: Probability that a is preferred, shape (N,).
        digests: What tells the texts apart, shape (T, 16); the texts themselves are not kept.
        vectors: Their features in `Units`, shape (T, d).
    """

    users: tuple[str, ...]
    starts: IntArray
    a: IntArray
    b: IntArray
    label: FloatArray
    digests: NDArray[np.uint8]
    vectors: NDArray[np.float32]

    @classmethod
    def of(cls, judgements: Judgements, vectors: NDArray[np.float32]) -> Self:
        """The judgements of everybody who is named; `vectors` (T, d) are in units."""
        named = judgements.select(judgements.user >= 0)
        codes, sizes = np.unique(named.user, return_counts=True)
        kept, place = used_texts(named.texts, np.concatenate([named.a, named.b]))
        a, b = np.split(place, 2)
        return cls(
            users=tuple(named.users[code] for code in codes),
            starts=_starts(sizes),
            a=a,
            b=b,
            label=named.label,
            digests=text_digests(kept),
            vectors=vectors[np.unique(np.concatenate([named.a, named.b]))],
        )

    def rows(self, user: int) -> IntArray:
        """The judgements of users[user]."""
        return np.arange(self.starts[user], self.starts[user + 1])

    def of_users(self, kept: NDArray[np.bool_]) -> Self:
        """The judgements of the people whom `kept`, shape (U,), marks; the texts stay."""
        sizes = np.diff(self.starts)
        rows = np.repeat(kept, sizes)
        return type(self)(
            users=tuple(user for user, keep in zip(self.users, kept, strict=True) if keep),
            starts=_starts(sizes[kept]),
            a=self.a[rows],
            b=self.b[rows],
            label=self.label[rows],
            digests=self.digests,
            vectors=self.vectors,
        )

    def with_users(self, others: "History") -> Self:
        """A copy that knows the users of `others` too, by their judgements there alone."""
        both: dict[str, tuple[History, IntArray, int]] = {}
        for part, shift in ((self, 0), (others, len(self.digests))):
            both |= {user: (part, part.rows(u), shift) for u, user in enumerate(part.users)}
        names = tuple(both)  # known users keep their places; newcomers come behind them
        parts = [both[name] for name in names]
        sides = [
            np.concatenate([getattr(part, side)[rows] + shift for part, rows, shift in parts])
            for side in ("a", "b")
        ]
        # What only the replaced judgements of somebody showed goes.
        used, place = np.unique(np.concatenate(sides), return_inverse=True)
        a, b = np.split(place.reshape(-1).astype(np.int64), 2)
        return type(self)(
            users=names,
            starts=_starts([len(rows) for _, rows, _ in parts]),
            a=a,
            b=b,
            label=np.concatenate([part.label[rows] for part, rows, _ in parts]),
            digests=np.concatenate([self.digests, others.digests])[used],
            vectors=np.concatenate([self.vectors, others.vectors])[used],
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `plt.train.artifact` writes; the names of the users go to its JSON."""
        names = ("starts", "a", "b", "label", "digests", "vectors")
        return {f"history.{name}": getattr(self, name) for name in names}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], users: Sequence[str]) -> Self:
        """The inverse of `arrays`."""
        names = ("starts", "a", "b", "label", "digests", "vectors")
        return cls(tuple(users), *(arrays[f"history.{name}"] for name in names))


def _starts(sizes: Sequence[int] | IntArray) -> IntArray:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


@dataclass(frozen=True)
class Units:
    """How networks see the features of texts: with values of about 1, as torch's layers expect.

    Attributes:
        scaling: Centre and size.
        basis: The directions that are kept, orthonormal, shape (d, k); (0, 0) keeps everything.
    """

    scaling: Scaling
    basis: FloatArray

    @classmethod
    def of(
        cls, judgements: Judgements, vectors: NDArray[np.float32], components: int | None
    ) -> Self:
        """The units for N judgements of texts with features (T, d).

        Args:
            judgements: Training rows.
            vectors: Features of all their texts.
            components: Keep this many principal directions of the differences between the two
                texts of a pair; None keeps all.
        """
        scaling = Scaling.of(judgements, vectors)
        if components is None or components >= vectors.shape[1]:
            return cls(scaling, np.zeros((0, 0)))
        apart = (vectors[judgements.a] - vectors[judgements.b]).astype(np.float64)
        _, directions = np.linalg.eigh(apart.T @ apart)
        return cls(scaling, np.ascontiguousarray(directions[:, : -components - 1 : -1]))

    @property
    def width(self) -> int:
        """How many values a text has here."""
        return self.basis.shape[1] or len(self.scaling.centre)

    def __call__(self, vectors: NDArray[np.float32]) -> Tensor:
        """Features (T, d) in these units, float64 of shape (T, width)."""
        kept = self.scaling(vectors)
        if self.basis.size:
            kept = kept @ torch.from_numpy(self.basis)
        root: float = self.width**0.5
        return kept * root

    def arrays(self) -> dict[str, FloatArray]:
        """What `plt.train.artifact` writes."""
        return self.scaling.arrays() | {"basis": self.basis}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `arrays`."""
        return cls(Scaling.from_arrays(arrays), arrays["basis"])


def padded(parts: Sequence[IntArray]) -> tuple[Tensor, Tensor]:
    """B lists of rows as one table (B, N), filled up with row 0, and where it is not filled up."""
    longest = max((len(part) for part in parts), default=0)
    table = np.zeros((len(parts), longest), dtype=np.int64)
    present = np.zeros((len(parts), longest), dtype=bool)
    for place, part in enumerate(parts):
        table[place, : len(part)] = part
        present[place, : len(part)] = True
    return torch.from_numpy(table), torch.from_numpy(present)


@dataclass(frozen=True)
class JudgedRows:
    """Judgements as tensors, to be gathered.

    Attributes:
        phi: Features of texts, shape (T, d).
        a: Text of response a, shape (N,).
        b: Text of response b, shape (N,).
        label: Probability that a is preferred, shape (N,).
    """

    phi: Tensor
    a: Tensor
    b: Tensor
    label: Tensor

    @classmethod
    def of(cls, history: History, dtype: torch.dtype) -> Self:
        """All judgements of a history, in its order."""
        return cls(
            torch.from_numpy(history.vectors).to(dtype),
            torch.from_numpy(history.a),
            torch.from_numpy(history.b),
            torch.from_numpy(history.label).to(dtype),
        )

    def pairs(self, parts: Sequence[IntArray]) -> Pairs:
        """The pairs of B people, given their rows."""
        table, present = padded(parts)
        if not len(self.a):
            empty = self.phi.new_zeros(len(parts), 0, self.phi.shape[1])
            return Pairs(empty, empty, empty[..., 0], present)
        a, b = self.a[table], self.b[table]
        return Pairs(self.phi[a], self.phi[b], self.label[table], present)
