"""Exchanging judgements between persons: the one engine behind every permutation of votes.

If all persons have the same probability of preferring `a` on a pair, their judgements of it may be
exchanged without changing how likely the table is, however noisy the pair. Judgements of one person
within one group (a conversation, a list of ratings) may hang together, so they should move as one
block, between persons who judged the same pairs of that group. Where people judged different pairs
of a group, few blocks can move, and a permutation that moves nothing rejects nothing, whatever the
data. So the share of the counted judgements that can move *to another person* is found first:

- at least half of them in whole blocks: whole blocks move, between blocks with the same pairs;
- otherwise each pair's judgements are exchanged on their own. One draw orders everybody within a
  group, and each pair deals its judgements in that order, so that a person's judgements of a group
  stay together as far as the pairs allow; on each pair every order is equally likely;
- where that too moves fewer than one in twenty, or every pair is unanimous, there is no permutation
  and no p value, and the reason says so.

A person's judgements of one pair on several occasions are several blocks: without taste they are as
alike as those of two persons.
"""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

IntArray: TypeAlias = NDArray[np.integer]
BoolArray: TypeAlias = NDArray[np.bool_]

Unit: TypeAlias = Literal["blocks", "judgements"]

ENOUGH_IN_BLOCKS = 0.5
"""Share of the counted judgements from which on whole blocks are exchanged."""
LEAST_MOVED = 0.05
"""Share of the counted judgements that must be able to move for a p value to mean anything."""
MIN_ARRANGEMENTS = 1000
"""Fewer ways of exchanging blocks, beside renaming everybody, cannot give a small p value."""
UNANIMOUS = "on every pair all judgements agree, so exchanging them changes nothing"


@dataclass(frozen=True)
class Rows:
    """Judgements offered for exchange, [rows] each; a slot (person, occasion) has a pair once.

    Attributes:
        persons: Whose it is.
        occasions: 0 for a person's vote, 1, 2, ... for later judgements of the same pair.
        pairs: Its pair.
        groups: What hangs together in one person's answers.
        prefers_a: Its side.
        counted: Whether the statistic is about it: the share that can move is one of these.
    """

    persons: IntArray
    occasions: IntArray
    pairs: IntArray
    groups: IntArray
    prefers_a: BoolArray
    counted: BoolArray


@dataclass(frozen=True)
class Exchange:
    """A way of exchanging judgements that moves enough of them.

    Attributes:
        unit: `blocks`: all of a person's judgements of a group; `judgements`: pair by pair.
        share: Share of the counted judgements that can become another person's.
        order: The rows in the order that random numbers are dealt in, [rows].
        slots: Block of each ordered row, [rows].
        keys: Ordered rows with equal keys take each other's judgements, ascending, [rows].
        n_slots: Blocks.
    """

    unit: Unit
    share: float
    order: IntArray
    slots: IntArray
    keys: IntArray
    n_slots: int

    def shuffled(self, generator: np.random.Generator) -> IntArray:
        """For each row the row whose judgement it gets, [rows]: one draw."""
        drawn = np.argsort(self.keys + generator.random(self.n_slots)[self.slots], kind="stable")
        taken: IntArray = np.empty_like(self.order)
        taken[self.order] = self.order[drawn]
        return taken


def exchange(rows: Rows, pair_ids: NDArray[np.uint64]) -> Exchange | str:
    """Finds how the judgements can be exchanged.

    Args:
        rows: The judgements.
        pair_ids: Names of the pairs; they, with the codes of the persons, decide the order in which
            random numbers are dealt, so that a seeded shuffle does not depend on the order of the
            table.

    Returns:
        The exchange, or why there is none.
    """
    if not rows.counted.any():
        return "no judgement can be exchanged"
    if _unanimous(rows):
        return UNANIMOUS
    names = pair_ids[rows.pairs]
    order, slots = _slots(rows, names)
    blocks = _in_blocks(rows, names, order, slots)
    if blocks is not None:
        return blocks
    pair = np.unique(names, return_inverse=True)[1]
    by_pair = np.lexsort((slots, pair))
    mixed = _several_persons(pair, rows.persons)
    share = float(mixed[pair][rows.counted].mean())
    if share < LEAST_MOVED:
        return f"only {100 * share:.1f} % of the judgements could become another person's"
    n_slots = int(slots.max()) + 1
    return Exchange("judgements", share, by_pair, slots[by_pair], pair[by_pair], n_slots)


def _unanimous(rows: Rows) -> bool:
    n = np.bincount(rows.pairs)
    for_a = np.bincount(rows.pairs, rows.prefers_a)
    return bool(((for_a == 0) | (for_a == n)).all())


def _slots(rows: Rows, names: NDArray[np.uint64]) -> tuple[IntArray, IntArray]:
    """An order that puts the blocks (group, person, occasion) together, and each row's block."""
    least = np.full(int(rows.groups.max()) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(least, rows.groups, names)  # a group's name is that of its first pair
    group = np.unique(least[rows.groups], return_inverse=True)[1]
    order = np.lexsort((names, rows.occasions, rows.persons, group))
    new = np.zeros(order.size, dtype=np.bool_)
    for each in (group, rows.persons, rows.occasions):
        new[1:] |= np.diff(each[order]) != 0
    slots = np.empty(order.size, dtype=np.intp)
    slots[order] = np.cumsum(new)
    return order, slots


def _in_blocks(
    rows: Rows, names: NDArray[np.uint64], order: IntArray, slots: IntArray
) -> Exchange | None:
    """The exchange of whole blocks, where it moves enough."""
    starts = np.flatnonzero(np.append(True, np.diff(slots[order]) != 0))
    content = np.add.reduceat(hashed(names[order]), starts)  # of 64 bits, and meant to wrap
    alike = np.unique(content, return_inverse=True)[1]  # class of each block
    mixed = _several_persons(alike, rows.persons[order][starts])
    share = float(mixed[alike[slots]][rows.counted].mean())
    ways = [math.lgamma(n + 1) for n in np.bincount(alike[mixed[alike]]).tolist()]
    # Exchanging everybody alike in all groups only renames them.
    arrangements = sum(ways) - max(ways, default=0.0)
    if share < ENOUGH_IN_BLOCKS or arrangements < math.log(MIN_ARRANGEMENTS):
        return None
    # Rows of one place (class, pair) take each other's, and a block draws one number for all.
    place = np.unique(np.stack((alike[slots], rows.pairs)), axis=1, return_inverse=True)[1]
    by_place = np.lexsort((slots, place))
    unit: Unit = "blocks" if starts.size < order.size else "judgements"
    return Exchange(unit, share, by_place, slots[by_place], place[by_place], starts.size)


def _several_persons(codes: IntArray, persons: IntArray) -> BoolArray:
    """Whether rows of at least two persons have a code, [codes]."""
    n = int(codes.max()) + 1
    least, most = np.full(n, np.iinfo(np.int64).max), np.full(n, -1)
    np.minimum.at(least, codes, persons)
    np.maximum.at(most, codes, persons)
    return np.asarray(most > least)


def hashed(names: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Bits of each name scattered over 64 (splitmix64), so that sums name sets of pairs."""
    mixed = names + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
