"""What people chose before: the past choices from which a new one is foretold.

A choice never serves as context for itself, nor for any pair that shows one of its responses: what
is learnt from such contexts would be the label.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from plt.train.judgements import text_digests, used_texts
from plt.train.method import FloatArray, IntArray, Judgements, Texts

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class ContextBook:
    """C past choices of U users, each user's in an order drawn by seed, user and pair.

    Attributes:
        users: Whom it knows, sorted.
        starts: Shape (U + 1,): user u has the choices from starts[u] to starts[u + 1].
        preferred: Text that was preferred, shape (C,).
        other: Text that was not, shape (C,).
        strength: 2 p - 1 for a preference with probability p, shape (C,); 1 for hard labels.
        responses: 16 bytes that name the response of each of T texts, shape (T, 16).
    """

    users: tuple[str, ...]
    starts: IntArray
    preferred: IntArray
    other: IntArray
    strength: FloatArray
    responses: NDArray[np.uint8]

    @classmethod
    def of(cls, judgements: Judgements, users: Sequence[str], seed: int) -> tuple[Self, Texts]:
        """The choices of `users` among judgements, and the T texts that they are about.

        A tie is no choice. Users without any are in the book with none.
        """
        digests = [digest.tobytes() for digest in text_digests(judgements.texts)]
        codes = {user: code for code, user in enumerate(judgements.users)}
        rows: list[int] = []
        starts = [0]
        for user in users:
            first, last = np.searchsorted(judgements.user, [codes[user], codes[user] + 1])
            mine = (first + np.flatnonzero(judgements.label[first:last] != 0.5)).tolist()
            prefix = json.dumps([seed, user], ensure_ascii=True).encode()
            place = {
                row: _drawn(prefix, digests[judgements.a[row]], digests[judgements.b[row]])
                for row in mine
            }
            rows += sorted(mine, key=place.__getitem__)
            starts.append(len(rows))
        kept = np.array(rows, dtype=np.int64)
        a, b, label = judgements.a[kept], judgements.b[kept], judgements.label[kept]
        sided = label > 0.5
        both = np.concatenate([np.where(sided, a, b), np.where(sided, b, a)])
        texts, used = used_texts(judgements.texts, both)
        book = cls(
            users=tuple(users),
            starts=np.array(starts, dtype=np.int64),
            preferred=used[: len(kept)],
            other=used[len(kept) :],
            strength=np.abs(2 * label - 1),
            responses=response_names(texts.responses),
        )
        return book, texts

    @cached_property
    def codes(self) -> dict[bytes, int]:
        """Response to a number; texts with the same response have the same."""
        found: dict[bytes, int] = {}
        for name in self.responses:
            found.setdefault(name.tobytes(), len(found))
        return found

    @cached_property
    def _shown(self) -> IntArray:
        """The two responses that each choice was between, as `codes`, shape (C, 2)."""
        of_text = self.coded(self.responses)
        return np.stack([of_text[self.preferred], of_text[self.other]], axis=1)

    def coded(self, responses: NDArray[np.uint8]) -> IntArray:
        """Names of responses as `codes`, -1 for those that the book does not know."""
        codes = self.codes
        found = [codes.get(name.tobytes(), -1) for name in responses]
        return np.array(found, dtype=np.int64)

    def places(self, users: Sequence[str | None]) -> IntArray:
        """The place of each name in `users`, shape (n,); -1 for everybody whom it does not know."""
        place: dict[str | None, int] = {user: code for code, user in enumerate(self.users)}
        return np.array([place.get(user, -1) for user in users], dtype=np.int64)

    def choices(self, user: int) -> slice:
        """Where the choices of a user are."""
        return slice(int(self.starts[user]), int(self.starts[user + 1]))

    def context(self, user: int, pairs: IntArray, limit: int | None) -> BoolArray:
        """Which of the n choices of a user may be told about each of m pairs.

        Args:
            user: Which user.
            pairs: Responses of the pairs as `coded`, shape (m, 2).
            limit: How many at most, the first in the user's order; None is all.

        Returns:
            Shape (m, n).
        """
        shown = self._shown[self.choices(user)]
        apart: BoolArray = (pairs[:, :, None, None] != shown.T[None, None]).all(axis=(1, 2))
        return apart if limit is None else apart & (np.cumsum(apart, axis=1) <= limit)

    def joined(self, newcomers: Self) -> Self:
        """A book in which the newcomers' choices stand too, in place of any they had.

        The texts of the newcomers are counted on behind those of this book.
        """
        shift = len(self.responses)
        sources = {user: (self, self.choices(code), 0) for code, user in enumerate(self.users)}
        for code, user in enumerate(newcomers.users):
            sources[user] = newcomers, newcomers.choices(code), shift
        users = list(sources)  # known users keep their places; newcomers come behind them
        parts = [sources[user] for user in users]
        sizes = [part.stop - part.start for _, part, _ in parts]
        return type(self)(
            users=tuple(users),
            starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            preferred=np.concatenate([book.preferred[part] + by for book, part, by in parts]),
            other=np.concatenate([book.other[part] + by for book, part, by in parts]),
            strength=np.concatenate([book.strength[part] for book, part, _ in parts]),
            responses=np.concatenate([self.responses, newcomers.responses]),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `plt.train.artifact` writes; the names of the users go to its JSON."""
        names = ("starts", "preferred", "other", "strength", "responses")
        return {f"book.{name}": getattr(self, name) for name in names}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], users: Sequence[str]) -> Self:
        """The inverse of `arrays`."""
        names = ("starts", "preferred", "other", "strength", "responses")
        return cls(tuple(users), *(arrays[f"book.{name}"] for name in names))


def response_names(responses: Sequence[str]) -> NDArray[np.uint8]:
    """16 bytes of BLAKE2b that name each response by its text alone, shape (n, 16)."""
    names = b"".join(
        hashlib.blake2b(response.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        for response in responses
    )
    return np.frombuffer(names, dtype=np.uint8).reshape(len(responses), 16)


def _drawn(prefix: bytes, a: bytes, b: bytes) -> bytes:
    return hashlib.blake2b(prefix + a + b, digest_size=16).digest()
