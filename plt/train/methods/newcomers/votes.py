"""Who chose what, as a sparse matrix: what finds the known person most like a new one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from plt.train.judgements import text_digests
from plt.train.method import IntArray, Judgements

DIGEST = 16
"""Bytes that name a text, a pair twice as many."""


@dataclass(frozen=True)
class Votes:
    """The sides that people took on pairs of texts.

    Attributes:
        pairs: Both texts of each pair by content, the smaller digest first, sorted, (P, 32).
        starts: Votes of person u are starts[u] to starts[u + 1], shape (U + 1,).
        columns: The pair of each vote, shape (N,).
        signs: +1 for the text with the smaller digest, -1 for the other, shape (N,).
    """

    pairs: NDArray[np.uint8]
    starts: IntArray
    columns: IntArray
    signs: NDArray[np.int8]

    @classmethod
    def of(cls, judgements: Judgements, users: tuple[str, ...]) -> Self:
        """The votes of `users`; ties are none. A pair that was judged again votes by its mean."""
        rows, keys, signs = _sides(judgements)
        place = {user: code for code, user in enumerate(users)}
        codes = np.array([place.get(user, -1) for user in judgements.users], dtype=np.int64)
        whose = codes[judgements.user[rows]] if len(rows) else np.zeros(0, dtype=np.int64)
        kept = (whose >= 0) & (judgements.user[rows] >= 0)
        pairs, column = np.unique(keys[kept], axis=0, return_inverse=True)
        shape = (len(users), len(pairs))
        values = (signs[kept].astype(np.float64), (whose[kept], column.reshape(-1)))
        matrix = sparse.csr_matrix(values, shape=shape)
        matrix.data = np.sign(matrix.data)
        matrix.eliminate_zeros()
        matrix.sort_indices()
        return cls(
            pairs.reshape(-1, 2 * DIGEST),
            matrix.indptr.astype(np.int64),
            matrix.indices.astype(np.int64),
            matrix.data.astype(np.int8),
        )

    def net_agreement(self, others: "Votes") -> NDArray[np.int64]:
        """Agreements minus disagreements of each of `others` with each person here, (U', U)."""
        found = others._matrix(_places(others.pairs, self.pairs), len(self.pairs))
        return np.asarray((found @ self._own().T).toarray(), dtype=np.int64)

    def _own(self) -> Any:
        return self._matrix(np.arange(len(self.pairs)), len(self.pairs))

    def _matrix(self, place: IntArray, width: int) -> Any:
        """The votes with each pair at another place, -1 for none; (U, width)."""
        columns = place[self.columns]
        known = columns >= 0
        rows = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        values = (self.signs[known].astype(np.int64), (rows[known], columns[known]))
        return sparse.csr_matrix(values, shape=(len(self.starts) - 1, width))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `plt.train.artifact` writes."""
        return {
            "vote_pairs": self.pairs,
            "vote_starts": self.starts,
            "vote_columns": self.columns,
            "vote_signs": self.signs,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `arrays`."""
        return cls(
            arrays["vote_pairs"],
            arrays["vote_starts"],
            arrays["vote_columns"],
            arrays["vote_signs"],
        )


def _sides(judgements: Judgements) -> tuple[IntArray, NDArray[np.uint8], NDArray[np.int8]]:
    """Rows that take a side, the content of their pairs (n, 32), and which text was chosen."""
    digests = text_digests(judgements.texts)
    rows = np.flatnonzero(judgements.label != 0.5)
    a, b = digests[judgements.a[rows]], digests[judgements.b[rows]]
    different = a != b
    first = different.argmax(axis=1)
    line = np.arange(len(rows))
    turned = a[line, first] > b[line, first] if len(rows) else np.zeros(0, dtype=bool)
    keys = np.where(turned[:, None], np.hstack([b, a]), np.hstack([a, b]))
    chose_a = judgements.label[rows] > 0.5
    return rows, keys, np.where(chose_a != turned, 1, -1).astype(np.int8)


def _places(wanted: NDArray[np.uint8], known: NDArray[np.uint8]) -> IntArray:
    """The place of each key in `known`, -1 where it is not there."""
    index = {key.tobytes(): place for place, key in enumerate(known)}
    return np.array([index.get(key.tobytes(), -1) for key in wanted], dtype=np.int64)
