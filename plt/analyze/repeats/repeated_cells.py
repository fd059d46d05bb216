"""Repeated judgements beside the votes of the others on the same pairs, as arrays."""

from dataclasses import dataclass, fields

import numpy as np

from plt.analyze.intervals.clusters import kish_size
from plt.analyze.intervals.uncertainty import Target, default_target
from plt.analyze.repeats.consistency import self_agreement
from plt.analyze.votes.votes import BoolArray, FloatArray, IntArray, Votes


@dataclass(frozen=True)
class SharedCells:
    """Repeated cells (person, pair) on pairs with votes of others, by pair and person, [cells].

    Attributes:
        users: Person of each cell.
        pairs: Pair of each cell.
        groups: Group of each cell.
        index: Which cell of `Votes.repeats` it is.
        first_a: Whether its first judgement, the vote, prefers response_a.
        share_a: Share of its judgements that prefer response_a.
        alike: Share of the pairs of its judgements that agree.
        with_others: Share of the pairs (its judgements, the others' votes) that agree.
        n_others: Others with a vote on the pair, at least 1.
    """

    users: IntArray
    pairs: IntArray
    groups: IntArray
    index: IntArray
    first_a: BoolArray
    share_a: FloatArray
    alike: FloatArray
    with_others: FloatArray
    n_others: IntArray

    @property
    def n_cells(self) -> int:
        """How many there are."""
        return self.users.size

    @property
    def n_users(self) -> int:
        """Persons with one."""
        return int(np.count_nonzero(np.bincount(self.users)))

    @property
    def are_few_groups(self) -> bool:
        """Whether the prompts are too few to be a sample, so that they are fixed."""
        return self.target in ("these-prompts", "these-judgements")

    @property
    def target(self) -> Target:
        """What intervals of means over the cells generalise to."""
        return default_target(
            kish_size(np.bincount(self.users)), kish_size(np.bincount(self.groups))
        )

    def where(self, mask: BoolArray) -> "SharedCells":
        """The cells for which `mask` holds."""
        return SharedCells(*(getattr(self, column.name)[mask] for column in fields(self)))


def shared_cells(votes: Votes) -> SharedCells:
    """The repeated cells that can be compared with the votes of others on the same pair."""
    repeats = votes.repeats
    first = np.searchsorted(repeats.cells, np.arange(repeats.n_cells))
    first_a = repeats.prefers_a[first]
    n_others = votes.n_votes[repeats.pairs] - 1
    others_share = (votes.for_a[repeats.pairs] - first_a) / np.maximum(n_others, 1)
    share_a = repeats.for_a / repeats.sizes
    cells = SharedCells(
        users=repeats.users.astype(np.int64),
        pairs=repeats.pairs,
        groups=votes.groups[repeats.pairs],
        index=np.arange(repeats.n_cells),
        first_a=first_a,
        share_a=share_a,
        alike=self_agreement(repeats),
        with_others=share_a * others_share + (1 - share_a) * (1 - others_share),
        n_others=n_others,
    )
    return cells.where(n_others > 0)


@dataclass(frozen=True)
class CellVotes:
    """Every vote on the pairs that have cells, or on more, [rows]; the rows of a pair together.

    Attributes:
        users: Person of each vote.
        pairs: Pair of each vote.
        groups: Group of each vote.
        prefers_a: Its side.
        cell: Place among the cells of the person's own cell on this pair; -1 where there is none.
        place: Which of these pairs it is, 0, 1, ...
        n_places: How many these pairs are.
    """

    users: IntArray
    pairs: IntArray
    groups: IntArray
    prefers_a: BoolArray
    cell: IntArray
    place: IntArray
    n_places: int

    def of_others(self, values: FloatArray) -> FloatArray:
        """The sum of the values of all other votes on the same pair, [rows]."""
        sums = np.bincount(self.place, values, minlength=self.n_places)
        return np.asarray(sums[self.place] - values, dtype=np.float64)


def cell_votes(votes: Votes, cells: SharedCells, also: IntArray | None = None) -> CellVotes:
    """The votes on the pairs of the cells, and on further pairs where codes of some are given."""
    marked = np.zeros(votes.pair_ids.size, dtype=np.bool_)
    marked[cells.pairs] = True
    if also is not None:
        marked[also] = True
    rows = np.flatnonzero(np.repeat(marked, votes.n_votes))
    codes = np.flatnonzero(marked)
    place = np.repeat(np.arange(codes.size), votes.n_votes[codes])
    users = votes.users[rows].astype(np.int64)
    cell_key = cells.pairs * votes.n_users + cells.users
    key = codes[place] * votes.n_users + users
    near = np.minimum(np.searchsorted(cell_key, key), cell_key.size - 1)
    return CellVotes(
        users=users,
        pairs=codes[place],
        groups=votes.groups[codes[place]],
        prefers_a=votes.prefers_a[rows],
        cell=np.where(cell_key[near] == key, near, -1),
        place=place,
        n_places=codes.size,
    )
