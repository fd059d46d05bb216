"""Cells: the judgements of one person in one group, and cross-products of a person's cells.

Rows of a cell are of one piece: pairs of a turn share the chosen response, turns share the topic.
What is compared is one cell with another cell of the same person.
"""

from dataclasses import dataclass

import numpy as np

from plt.analyze.intervals.clusters import BoolArray, CodeArray, FloatArray

CHUNK_VALUES = 250_000
"""Cells times random signs in work at a time: 2 MB, which the cache of a core holds."""


@dataclass(frozen=True)
class Cells:
    """The (user, group) cells of some rows, those of a user together.

    Attributes:
        of_row: Cell of each row, [n].
        users: User of each cell, ascending, [cells].
        groups: Group of each cell, [cells].
    """

    of_row: CodeArray
    users: CodeArray
    groups: CodeArray

    @property
    def starts(self) -> CodeArray:
        """Where each user's cells start, [users]; none without cells."""
        if self.users.size == 0:
            return np.zeros(0, dtype=np.intp)
        return np.flatnonzero(np.append(True, self.users[1:] != self.users[:-1]))

    @property
    def shared_groups(self) -> int:
        """How many groups have cells of several users."""
        return int(np.count_nonzero(np.bincount(self.groups) >= 2))

    def of_several(self) -> tuple["Cells", BoolArray]:
        """The cells of users who have at least two, and a mask of their rows."""
        several = np.bincount(self.users)[self.users] >= 2
        rows = several[self.of_row]
        place = np.cumsum(several) - 1
        return Cells(place[self.of_row[rows]], self.users[several], self.groups[several]), rows

    def sums(self, columns: FloatArray) -> FloatArray:
        """Column sums over the rows of each cell, [cells, k]."""
        n = self.users.size
        return np.stack([np.bincount(self.of_row, x, minlength=n) for x in columns.T], axis=1)


def find_cells(users: CodeArray, groups: CodeArray) -> Cells:
    """The cells of rows with these codes; at least one row."""
    width = int(groups.max()) + 1
    keys, of_row = np.unique(users.astype(np.int64) * width + groups, return_inverse=True)
    return Cells(of_row, keys // width, keys % width)


def cross_products(values: FloatArray, starts: CodeArray) -> FloatArray:
    """Sum over users of the products of a column in different cells of the user.

    Values have the shape [cells, ...], the result has the rest of it.

    Each pair of cells counts in both orders: (sum over cells)^2 - sum over cells of squares.
    """
    sums = np.add.reduceat(values, starts, axis=0)
    return np.asarray((sums**2).sum(axis=0) - (values**2).sum(axis=0))


def flipped_cross_products(
    values: FloatArray, cells: Cells, n_resamples: int, rng: np.random.Generator
) -> FloatArray:
    """`cross_products` after a random sign for each group, again and again.

    A group that several users judged has one sign for all of them, since what was peculiar about
    it would move them together.

    Args:
        values: One row a cell, [cells, k].
        cells: The cells.
        n_resamples: How often.
        rng: Where signs come from.

    Returns:
        [n_resamples, k].
    """
    _, group = np.unique(cells.groups, return_inverse=True)
    n_groups, starts = int(group.max()) + 1, cells.starts
    squares = (values**2).sum(axis=0)
    found = np.empty((n_resamples, values.shape[1]))
    size = max(1, CHUNK_VALUES // values.shape[0])
    for first in range(0, n_resamples, size):
        chunk = found[first : first + size]
        signs = rng.integers(0, 2, (n_groups, len(chunk)), dtype=np.int8).astype(np.float64)
        signs = (2 * signs - 1)[group]
        for j, column in enumerate(values.T):
            sums = np.add.reduceat(signs * column[:, None], starts, axis=0)
            chunk[:, j] = np.einsum("ub,ub->b", sums, sums) - squares[j]
    return found


def permuted_cross_products(
    values: FloatArray, cells: Cells, n_resamples: int, rng: np.random.Generator
) -> FloatArray:
    """`cross_products` after permuting the users over the cells, again and again.

    Arguments and result are those of `flipped_cross_products`; each user keeps the number of cells.
    """
    starts = cells.starts
    return np.stack(
        [
            cross_products(values[rng.permutation(values.shape[0])], starts)
            for _ in range(n_resamples)
        ]
    )
