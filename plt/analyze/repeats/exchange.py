"""Does it matter who votes? Self-agreement under exchanges of judgements between persons.

The statistic is the sum over repeated cells of self-agreement minus agreement with the votes of the
others on the same pair; the exchanges are those of `plt.analyze.permutation`.
"""

from dataclasses import dataclass

import numpy as np

from plt.analyze.intervals.uncertainty import ROUNDING
from plt.analyze.permutation.exchange import UNANIMOUS, Exchange, Rows, Unit, exchange, hashed
from plt.analyze.repeats.repeated_cells import CellVotes, SharedCells
from plt.analyze.votes.votes import BoolArray, FloatArray, IntArray, Votes

N_EXCHANGES = 399
MAX_EXCHANGED = 20_000
"""Judgements that are exchanged; of more, those of groups drawn by the hash of their pairs."""


@dataclass(frozen=True)
class ExchangeTest:
    """The test of "it does not matter who votes".

    Attributes:
        p_value: One-sided: the share of `N_EXCHANGES` exchanges, and of what was seen, with a sum
            at least as large as that seen; None with a reason.
        unit: What was exchanged; None without a test.
        share_moved: Share of the repeated judgements that could become another person's.
        n_judgements: Judgements on contested groups that took part.
        reason: Why there is no p value.
    """

    p_value: float | None
    unit: Unit | None = None
    share_moved: float | None = None
    n_judgements: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class _Slots:
    """Judgements on pairs with repeated cells, [slots].

    Attributes:
        rows: Whose they are, on which pairs, and their sides.
        cell: Cell of each judgement, numbered without gaps, or -1.
    """

    rows: Rows
    cell: IntArray


def exchange_test(votes: Votes, cells: SharedCells, rows: CellVotes, seed: int = 0) -> ExchangeTest:
    """P(self-agreement as far above agreement with others) if it did not matter who votes.

    Groups without a contested pair contribute 0 whatever is exchanged, and are left out. With the
    prompts fixed, what hangs together in one person's answers is that person's, and judgements are
    exchanged pair by pair.

    Args:
        votes: The judgements.
        cells: The repeated cells on shared pairs.
        rows: The votes on their pairs.
        seed: Of the exchanges.

    Returns:
        The test.
    """
    slots = _contested_slots(votes, cells, rows)
    n = slots.cell.size
    if n == 0:
        return ExchangeTest(None, reason=UNANIMOUS)
    found = exchange(slots.rows, votes.pair_ids)
    if isinstance(found, str):
        return ExchangeTest(None, n_judgements=n, reason=found)
    return ExchangeTest(_p_value(slots, found, seed), found.unit, found.share, n)


def _p_value(slots: _Slots, way: Exchange, seed: int) -> float:
    sum_of_differences = _Statistic(slots)
    generator = np.random.default_rng(seed)
    seen = sum_of_differences(slots.rows.prefers_a)
    at_least = 1
    for _ in range(N_EXCHANGES):
        exchanged = slots.rows.prefers_a[way.shuffled(generator)]
        at_least += sum_of_differences(exchanged) >= seen - ROUNDING
    return at_least / (N_EXCHANGES + 1)


def _contested_slots(votes: Votes, cells: SharedCells, rows: CellVotes) -> _Slots:
    """Votes, then repeats, of the groups in which some pair is contested."""
    repeats = votes.repeats
    of_cell = np.full(repeats.n_cells, -1)
    of_cell[cells.index] = np.arange(cells.n_cells)
    later = (repeats.occasions > 0) & (of_cell[repeats.cells] >= 0)
    cell = of_cell[repeats.cells[later]]
    pairs = np.concatenate((rows.pairs, cells.pairs[cell]))
    prefers_a = np.concatenate((rows.prefers_a, repeats.prefers_a[later]))
    for_a = np.bincount(pairs, prefers_a, minlength=votes.pair_ids.size)
    n = np.bincount(pairs, minlength=votes.pair_ids.size)
    held = np.arange(votes.pair_ids.size) if cells.are_few_groups else votes.groups
    contested = np.zeros(int(held.max()) + 1, dtype=np.bool_)
    contested[held[(for_a > 0) & (for_a < n)]] = True
    kept = np.flatnonzero(contested[held[pairs]])
    kept = kept[_drawn(held[pairs[kept]], votes.pair_ids[pairs[kept]])]
    cells_kept = np.concatenate((rows.cell, cell))[kept]
    own = cells_kept >= 0
    cells_kept[own] = np.unique(cells_kept[own], return_inverse=True)[1]
    occasions = np.concatenate((np.zeros(rows.users.size, np.intp), repeats.occasions[later]))
    return _Slots(
        Rows(
            persons=np.concatenate((rows.users, cells.users[cell]))[kept],
            occasions=occasions[kept],
            pairs=pairs[kept],
            groups=held[pairs[kept]],
            prefers_a=prefers_a[kept],
            counted=own,
        ),
        cells_kept,
    )


def _drawn(groups: IntArray, names: np.ndarray) -> IntArray:
    """Places of the rows of as many whole groups, by their hash, as `MAX_EXCHANGED` rows allow."""
    if groups.size <= MAX_EXCHANGED:
        return np.arange(groups.size)
    least = np.full(int(groups.max()) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(least, groups, names)
    occurring, sizes = np.unique(groups, return_counts=True)
    by_hash = np.argsort(hashed(least[occurring]))
    taken = occurring[by_hash[np.cumsum(sizes[by_hash]) <= MAX_EXCHANGED]]
    return np.flatnonzero(np.isin(groups, taken))


class _Statistic:
    """Sum over cells of self-agreement minus agreement with others, for any sides of the slots."""

    def __init__(self, slots: _Slots) -> None:
        rows = slots.rows
        place = np.unique(rows.pairs, return_inverse=True)[1]
        self._mine = np.flatnonzero(slots.cell >= 0)
        self._cell = slots.cell[self._mine]
        self._k = np.bincount(self._cell)
        self._votes = np.flatnonzero(rows.occasions == 0)
        self._place = place[self._votes]
        firsts = self._mine[rows.occasions[self._mine] == 0]
        self._first = np.empty(self._k.size, dtype=np.intp)
        self._first[slots.cell[firsts]] = firsts
        self._where = place[self._first]
        self._others = np.bincount(self._place)[self._where] - 1

    def __call__(self, prefers_a: BoolArray) -> float:
        k = self._k
        a = np.bincount(self._cell, prefers_a[self._mine])
        votes_a = np.bincount(self._place, prefers_a[self._votes])[self._where]
        others_a = (votes_a - prefers_a[self._first]) / self._others
        alike: FloatArray = (a * (a - 1) + (k - a) * (k - a - 1)) / (k * (k - 1))
        return float((alike - (a * others_a + (k - a) * (1 - others_a)) / k).sum())
