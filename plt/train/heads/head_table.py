"""Rewards that are linear in a text's features: one head a user, and one for everybody else."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from plt.train.heads.newton import Problems
from plt.train.heads.ridge import RidgeHeads, fit_ridge
from plt.train.judgements import Labels, label_pairs
from plt.train.method import FloatArray, IntArray, Judgements

BLOCK_ROWS = 1 << 14


@dataclass(frozen=True)
class HeadTable:
    """Heads in the units of the unscaled features.

    Attributes:
        users: Whom it knows, sorted.
        heads: Shape (U, d), row u of users[u].
        population: Shape (d,): the head of everybody else.
    """

    users: tuple[str, ...]
    heads: FloatArray
    population: FloatArray

    def reward(
        self, features: NDArray[np.float32], rows: IntArray, users: Sequence[str | None]
    ) -> FloatArray:
        """Rewards of shape (R,): of text rows[i], features of shape (T, d), for users[i]."""
        rewards = np.empty(len(rows))
        # einsum sums each row by itself: unlike a matrix product, the same bits in every block.
        for block, heads in self.blocks(users):
            x = features[rows[block]].astype(np.float64)
            rewards[block] = np.einsum("rd,rd->r", x, heads)
        return rewards

    def blocks(self, users: Sequence[str | None]) -> Iterator[tuple[slice, FloatArray]]:
        """Consecutive parts of R rows, and in each the heads (r, d) of the rows' users."""
        index: dict[str | None, int] = {user: code for code, user in enumerate(self.users)}
        heads = np.concatenate([self.heads, self.population[None]])
        codes = np.array([index.get(user, len(index)) for user in users], dtype=np.int64)
        for start in range(0, len(codes), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            yield block, heads[codes[block]]

    def with_heads(self, users: Sequence[str], heads: FloatArray) -> Self:
        """A copy in which `users` have `heads` (U', d), in place of any they had."""
        table = dict(zip(self.users, self.heads, strict=True))
        table.update(zip(users, heads, strict=True))
        names = tuple(table)  # known users keep their rows; newcomers come behind them
        return type(self)(names, np.stack([table[name] for name in names]), self.population)

    @property
    def weights(self) -> FloatArray:
        """Everybody's heads, shape (U + 1, d), the population last."""
        return np.concatenate([self.heads, self.population[None]])

    def with_weights(self, weights: FloatArray) -> Self:
        """A copy with other heads of the same users, shape (U + 1, d), the population last."""
        return type(self)(self.users, weights[:-1], weights[-1])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `plt.train.artifact` writes; the names of the users go to its JSON."""
        return {"heads": self.heads, "population": self.population}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], users: Sequence[str]) -> Self:
        """The inverse of `arrays`."""
        return cls(tuple(users), arrays["heads"], arrays["population"])


def blind_table(population: FloatArray) -> HeadTable:
    """One head for everybody."""
    return HeadTable((), np.zeros((0, len(population))), population)


def pair_problem(
    judgements: Judgements, features: NDArray[np.float32], labels: Labels = "votes"
) -> Problems:
    """Everybody's judgements as one regression, one weighted row a pair (`label_pairs`).

    Votes on one pair have the same features, so their sum of cross-entropies is that of their mean
    label with their number as weight: exactly what concatenating all votes gives, at the cost of
    the distinct pairs.
    """
    rows, share, weight = label_pairs(judgements, labels)
    starts = np.array([0, len(rows)])
    return Problems(features, judgements.a[rows], judgements.b[rows], share, weight, starts)


def user_problems(
    judgements: Judgements, features: NDArray[np.float32] | FloatArray, users: Sequence[str]
) -> Problems:
    """One regression a user, in the order of `users`; a user without a row has an empty one.

    A user's judgements of one pair are one row of their mean label, weighted by their number.
    """
    codes = {name: code for code, name in enumerate(judgements.users)}
    wanted = [codes[user] for user in users]
    first = np.searchsorted(judgements.user, wanted, side="left")
    sizes = np.searchsorted(judgements.user, wanted, side="right") - first
    starts = np.concatenate([[0], np.cumsum(sizes)])
    rows = np.repeat(first - starts[:-1], sizes) + np.arange(starts[-1])
    everything = Problems(
        features,
        judgements.a[rows],
        judgements.b[rows],
        judgements.label[rows],
        np.ones(len(rows)),
        starts,
    )
    return everything.merged()


def fit_shared_head(
    judgements: Judgements,
    features: NDArray[np.float32],
    l2: float | None,
    labels: Labels = "votes",
) -> RidgeHeads:
    """One head from everybody's training rows; their validation rows choose a missing penalty."""
    parts = [
        pair_problem(judgements.select(rows), features, labels)
        for rows in (~judgements.validation, judgements.validation)
    ]
    return fit_ridge(parts[0], l2, parts[1])
