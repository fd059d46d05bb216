"""Shuffling who said what: the exact test of "it does not matter who votes".

If all persons have the same probability of preferring `a` on a pair, their judgements of it may be
exchanged without changing how likely the table is, however noisy the pair. Judgements of one person
within one group (a conversation, a list of ratings) may hang together, so they move as one block,
and only between persons who judged the same pairs of that group. Where all judgements share one
prompt and the target is other users on it, each judgement is a block of its own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plt.analyze.intervals.uncertainty import ROUNDING
from plt.analyze.votes.repeated_cells import CellVotes, SharedCells
from plt.analyze.votes.votes import BoolArray, IntArray, Votes

N_EXCHANGES = 199
MAX_EXCHANGED = 20_000
"""Judgements of contested pairs up to which the exact test is made; beyond, the interval has seen
enough changed answers to be right."""


@dataclass(frozen=True)
class Blocks:
    """Rows in blocks; blocks of one class may take each other's rows.

    Attributes:
        rows: The rows, those of a block together, blocks of a class together, [rows].
        starts: Where each block starts in `rows`, [blocks].
        lengths: Rows of each block, equal within a class, [blocks].
        classes: Class of each block, ascending, [blocks].
    """

    rows: IntArray
    starts: IntArray
    lengths: IntArray
    classes: IntArray

    def shuffled(self, generator: np.random.Generator) -> IntArray:
        """For each row the row whose judgement it gets, [rows]: a draw of all exchanges."""
        source = np.argsort(self.classes + generator.random(self.classes.size))
        offset = np.arange(self.rows.size) - np.repeat(self.starts, self.lengths)
        taken = self.rows[np.repeat(self.starts[source], self.lengths) + offset]
        order: IntArray = np.empty_like(taken)
        order[self.rows] = taken
        return order


def exchangeable_blocks(
    groups: IntArray, persons: IntArray, pairs: IntArray, pair_ids: NDArray[np.uint64]
) -> Blocks:
    """Divides rows into blocks (group, person), and these into classes that hold the same pairs.

    Args:
        groups: Group of each row, [rows].
        persons: Whose row it is, [rows]; another occasion of a person counts as another person.
        pairs: Pair of each row, [rows]; a block has a pair at most once.
        pair_ids: Names of the pairs, [P]; they alone decide the order of classes and of the rows in
            a block, so that a seeded shuffle does not depend on the order of the table.

    Returns:
        The blocks.
    """
    names = pair_ids[pairs]
    order = np.lexsort((names, persons, groups))
    group, person = groups[order], persons[order]
    starts = np.flatnonzero(
        np.append(True, (group[1:] != group[:-1]) | (person[1:] != person[:-1]))
    )
    lengths = np.diff(starts, append=order.size)
    content = np.add.reduceat(_mixed(names[order]), starts)  # of 64 bits, and meant to wrap
    classes = np.unique(content, return_inverse=True)[1]
    by_class = np.lexsort((person[starts], classes))
    starts, lengths = starts[by_class], lengths[by_class]
    new_starts = np.cumsum(lengths) - lengths
    offset = np.arange(order.size) - np.repeat(new_starts, lengths)
    rows = order[np.repeat(starts, lengths) + offset]
    return Blocks(rows, new_starts, lengths, classes[by_class])


def _mixed(names: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Bits of each name scattered over 64 (splitmix64), so that sums name sets of pairs."""
    mixed = names + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


@dataclass(frozen=True)
class _Slots:
    """Judgements on pairs with repeated cells, [slots].

    Attributes:
        persons: Code of (person, occasion).
        pairs: Pair of each judgement.
        place: The pairs renumbered without gaps.
        cell: Its cell, numbered without gaps, or -1.
        is_vote: Whether it is the person's first judgement of the pair.
        prefers_a: Its side.
    """

    persons: IntArray
    pairs: IntArray
    place: IntArray
    cell: IntArray
    is_vote: BoolArray
    prefers_a: BoolArray


def exchange_p_value(
    votes: Votes, cells: SharedCells, rows: CellVotes, seed: int = 0
) -> float | None:
    """P(self-agreement as far above agreement with others) if it did not matter who votes.

    Args:
        votes: The judgements.
        cells: The repeated cells on shared pairs.
        rows: The votes on their pairs.
        seed: Of the exchanges.

    Returns:
        The share of `N_EXCHANGES` exchanges, and of what was seen, with a difference at least as
        large as that seen; None above `MAX_EXCHANGED` judgements. Pairs on which all judgements
        agree contribute 0 whatever is exchanged, and are left out; without any other, 1.
    """
    slots = _contested_slots(votes, cells, rows)
    if slots.pairs.size > MAX_EXCHANGED:
        return None
    if not (slots.cell >= 0).any():
        return 1.0
    # With the prompts fixed, what hangs together in one person's answers is that person's.
    fixed = cells.target == "these-prompts"
    held = slots.pairs if fixed else votes.groups[slots.pairs]
    blocks = exchangeable_blocks(held, slots.persons, slots.pairs, votes.pair_ids)
    generator = np.random.default_rng(seed)
    seen = _sum_of_differences(slots, slots.prefers_a)
    at_least = 1
    for _ in range(N_EXCHANGES):
        exchanged = slots.prefers_a[blocks.shuffled(generator)]
        at_least += _sum_of_differences(slots, exchanged) >= seen - ROUNDING
    return at_least / (N_EXCHANGES + 1)


def _contested_slots(votes: Votes, cells: SharedCells, rows: CellVotes) -> _Slots:
    """Votes, then repeats, of the groups in which some pair is contested; pairs renumbered."""
    repeats = votes.repeats
    of_cell = np.full(repeats.n_cells, -1)
    of_cell[cells.index] = np.arange(cells.n_cells)
    start = np.searchsorted(repeats.cells, np.arange(repeats.n_cells))
    occasion = np.arange(repeats.cells.size) - start[repeats.cells]
    later = (occasion > 0) & (of_cell[repeats.cells] >= 0)
    cell = of_cell[repeats.cells[later]]
    width = int(occasion.max(initial=0)) + 1
    persons = (rows.users * width, cells.users[cell] * width + occasion[later])
    pairs = np.concatenate((rows.pairs, cells.pairs[cell]))
    prefers_a = np.concatenate((rows.prefers_a, repeats.prefers_a[later]))
    for_a = np.bincount(pairs, prefers_a, minlength=votes.pair_ids.size)
    n = np.bincount(pairs, minlength=votes.pair_ids.size)
    contested = np.zeros(int(votes.groups.max()) + 1, dtype=np.bool_)
    contested[votes.groups[(for_a > 0) & (for_a < n)]] = True
    kept = contested[votes.groups[pairs]]
    cells_kept = np.concatenate((rows.cell, cell))[kept]
    own = cells_kept >= 0
    cells_kept[own] = np.unique(cells_kept[own], return_inverse=True)[1]
    return _Slots(
        persons=np.concatenate(persons)[kept],
        pairs=pairs[kept],
        place=np.unique(pairs[kept], return_inverse=True)[1],
        cell=cells_kept,
        is_vote=np.arange(pairs.size)[kept] < rows.users.size,
        prefers_a=prefers_a[kept],
    )


def _sum_of_differences(slots: _Slots, prefers_a: BoolArray) -> float:
    """Sum over cells of self-agreement minus agreement with others, had the slots these sides."""
    mine = slots.cell >= 0
    cell = slots.cell[mine]
    k = np.bincount(cell)
    a = np.bincount(cell, prefers_a[mine])
    first = mine & slots.is_vote
    place, first_a = np.zeros(k.size, dtype=np.int64), np.zeros(k.size)
    place[slots.cell[first]] = slots.place[first]
    first_a[slots.cell[first]] = prefers_a[first]
    n = np.bincount(slots.place, slots.is_vote)[place]
    s = np.bincount(slots.place, slots.is_vote & prefers_a)[place]
    alike = (a * (a - 1) + (k - a) * (k - a - 1)) / (k * (k - 1))
    others_a = (s - first_a) / (n - 1)
    return float((alike - (a * others_a + (k - a) * (1 - others_a)) / k).sum())
