"""Judgements as dense integer arrays: who votes, who does not, and what was judged again.

The conventions of every vote statistic are decided here and nowhere else. Judgements without a
label, without a user or with a tie (label exactly 0.5) leave first, and are counted. A soft label
votes by its side. Of what is left, a person's first judgement of a pair is their vote; the cells
(person, pair) with several are kept aside as repeats, the raw material of consistency.
"""

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plt.data.splitting.components import linked
from plt.data.tables.codes import category_codes, numpy_parts

IntArray = NDArray[np.integer]
BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

NO_LABEL = "no label"
NO_USER = "no user id"

ACTS = ("occurrence", "shown_first", "judged_at")
ALONE = 3
"""In `Votes.lead`: nobody else voted on the pair."""

CHUNK_VOTES = 1 << 16
"""Votes counted at once: what fits into the cache, and no array of all votes in 64 bits."""


@dataclass(frozen=True)
class Repeats:
    """Every non-tie judgement of the cells (person, pair) that have at least two.

    Attributes:
        cells: Cell of each judgement, 0..C-1, ascending, [judgements].
        prefers_a: Whether it prefers response_a, in order of occurrence within a cell.
        users: Person of each cell, [C].
        pairs: Pair of each cell, [C].
        shown_a: Whether response_a was seen first: 1, 0, or -1 where that is not known; None where
            it is known of nobody, [judgements].
        judged_at: When, in milliseconds, or -1; None where it is known of nobody, [judgements].
    """

    cells: IntArray
    prefers_a: BoolArray
    users: IntArray
    pairs: IntArray
    shown_a: IntArray | None = None
    judged_at: IntArray | None = None

    def where(self, mask: BoolArray) -> "Repeats":
        """The cells for which `mask` holds, [C]."""
        kept = mask[self.cells]
        renumbered = np.cumsum(mask) - 1
        return Repeats(
            renumbered[self.cells[kept]],
            self.prefers_a[kept],
            self.users[mask],
            self.pairs[mask],
            None if self.shown_a is None else self.shown_a[kept],
            None if self.judged_at is None else self.judged_at[kept],
        )

    @property
    def n_cells(self) -> int:
        """Pairs that somebody judged again, counted once a person."""
        return self.users.size

    @functools.cached_property
    def occasions(self) -> IntArray:
        """0 for the first judgement of a cell, 1 for the second, ..., [judgements]."""
        starts = np.cumsum(self.sizes) - self.sizes
        return np.arange(self.cells.size) - starts[self.cells]

    @functools.cached_property
    def sizes(self) -> IntArray:
        """Judgements of each cell, at least 2, [C]."""
        return np.bincount(self.cells, minlength=self.n_cells)

    @functools.cached_property
    def for_a(self) -> IntArray:
        """Judgements of each cell that prefer response_a, [C]."""
        return np.bincount(self.cells[self.prefers_a], minlength=self.n_cells)


@dataclass(frozen=True)
class Votes:
    """One row a vote, the rows of a pair together, in the order of the pairs.

    Attributes:
        user_names: Every user id of the table, sorted, [U]; codes index it.
        pair_ids: Every pair of the table, [P]; codes index it.
        users: User code of each vote, [votes].
        prefers_a: The side of each vote, [votes].
        n_votes: Votes on each pair, [P].
        groups: Cluster code of each pair, [P]; groups that share a pair are one cluster. Without
            groups in the table, each pair is its own.
        repeats: What was judged again.
        n_judgments: Rows with a label, ties and repeats included.
        n_ties: Those among them with label exactly 0.5.
        left_out: Reason to number of rows that could not vote; ties are not among them.
    """

    user_names: pl.Series
    pair_ids: NDArray[np.uint64]
    users: IntArray
    prefers_a: BoolArray
    n_votes: IntArray
    groups: IntArray
    repeats: Repeats
    n_judgments: int
    n_ties: int
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def n_users(self) -> int:
        """Distinct user ids in the table."""
        return self.user_names.len()

    @functools.cached_property
    def pairs(self) -> IntArray:
        """Pair code of each vote, non-decreasing, [votes]."""
        return np.repeat(np.arange(self.pair_ids.size, dtype=np.int32), self.n_votes)

    @functools.cached_property
    def for_a(self) -> IntArray:
        """Votes on each pair that prefer response_a, [P]."""
        return _sums(self.prefers_a, self.n_votes)

    @functools.cached_property
    def lead(self) -> NDArray[np.int8]:
        """How far the others on the pair lean to the side of each vote, [votes].

        Votes of the others for the same side minus those against it, cut at -2 and 2, because one
        vote can break or make a tie but cannot turn a lead of two; `ALONE` where nobody else voted.
        """
        n = self.n_votes
        ahead = np.clip(2 * self.for_a - n, -3, 3).astype(np.int8)
        side_a, side_b = np.clip(ahead - 1, -2, 2), np.clip(-ahead - 1, -2, 2)
        alone = n == 1
        side_a[alone] = side_b[alone] = ALONE
        # A choice in arithmetic: np.where takes three times as long.
        lead = np.repeat(side_a - side_b, n)
        lead *= self.prefers_a.view(np.int8)
        lead += np.repeat(side_b, n)
        return lead

    @property
    def lead_counts(self) -> IntArray:
        """How many votes of each person face a lead of -2, -1, 0, 1, 2 of the others, [U, 5]."""
        return self._all_lead_counts[:, : ALONE + 2]

    @property
    def votes_per_user(self) -> IntArray:
        """Votes of each person, on shared pairs and others, [U]."""
        return np.asarray(self._all_lead_counts.sum(axis=1))

    @functools.cached_property
    def _all_lead_counts(self) -> IntArray:
        width = ALONE + 3
        counts = np.zeros(self.n_users * width, dtype=np.int64)
        chunk = max(CHUNK_VOTES, counts.size)
        for start in range(0, self.users.size, chunk):
            rows = slice(start, start + chunk)
            key = np.multiply(self.users[rows], width, dtype=np.int64)
            key += self.lead[rows]
            key += 2
            counts += np.bincount(key, minlength=counts.size)
        return counts.reshape(self.n_users, width)

    @functools.cached_property
    def shared(self) -> IntArray:
        """Codes of the pairs with votes of at least two users: the multi pairs, ascending."""
        return np.flatnonzero(self.n_votes >= 2)

    @functools.cached_property
    def shared_counts(self) -> tuple[IntArray, IntArray]:
        """Votes n and votes for response_a s of every shared pair, [shared] each."""
        if self.shared.size == self.n_votes.size:
            return self.n_votes, self.for_a
        return self.n_votes[self.shared], self.for_a[self.shared]

    def rows_of(self, users: IntArray) -> IntArray:
        """The places of the votes of these users, ascending."""
        wanted = np.zeros(self.n_users, dtype=np.bool_)
        wanted[users] = True
        mine = np.empty(self.users.size, dtype=np.bool_)
        for start in range(0, mine.size, CHUNK_VOTES):
            rows = slice(start, start + CHUNK_VOTES)
            np.take(wanted, self.users[rows], out=mine[rows], mode="clip")
        return np.flatnonzero(mine)

    @functools.cached_property
    def outcomes(self) -> tuple[IntArray, IntArray, IntArray]:
        """The distinct (n, s) of shared pairs, and how many pairs have each, [outcomes] each."""
        n, s = self.shared_counts
        width = int(n.max(initial=0)) + 1
        key = n * width + s
        if width * width <= 4 * key.size + 1_000:
            pairs = np.bincount(key, minlength=width * width)
            distinct = np.flatnonzero(pairs)
            return distinct // width, distinct % width, pairs[distinct]
        distinct, pairs = np.unique(key, return_counts=True)
        return distinct // width, distinct % width, pairs


def combinations(lengths: IntArray) -> tuple[IntArray, IntArray]:
    """All pairs of rows of the same run, for runs of these lengths."""
    run_end = np.repeat(np.cumsum(lengths), lengths)
    row = np.arange(run_end.size)
    after = run_end - row - 1
    one = np.repeat(row, after)
    step = np.arange(one.size) - np.repeat(np.cumsum(after) - after, after)
    return one, one + 1 + step


@dataclass(frozen=True)
class _Rows:
    """Columns of judgements, the rows of a pair together; `acts` tells acts of judging apart."""

    users: IntArray
    prefers_a: BoolArray
    acts: pl.DataFrame
    n_rows: IntArray

    def where(self, mask: BoolArray) -> "_Rows":
        acts = self.acts.filter(pl.Series(mask))
        return _Rows(self.users[mask], self.prefers_a[mask], acts, _sums(mask, self.n_rows))


def read_rows(frame: pl.DataFrame) -> Votes:
    """Codes the judgements of a table.

    Args:
        frame: `user_id`, `pair_id`, `label`, `occurrence` and, where there are some, `group`,
            `shown_first`, `judged_at`; any order of rows. Names may be text or categories.

    Returns:
        The votes. An empty table gives empty arrays.
    """
    with ThreadPoolExecutor(1) as pool:
        coding = pool.submit(category_codes, frame["user_id"].cast(pl.Categorical))
        starts, pair_ids = _runs(frame["pair_id"])
        prefers_a, away = _sides(frame["label"])
        users, names = coding.result()
    if (np.diff(np.sort(pair_ids)) == 0).any():  # the rows of some pair are not together
        return read_rows(frame.sort("pair_id", maintain_order=True))
    n_missing, n_half = frame["label"].null_count(), int(np.count_nonzero(away))
    n_anonymous = frame["user_id"].null_count()
    if n_anonymous:
        labelled = frame["label"].is_not_null().to_numpy()
        n_anonymous = int(np.count_nonzero((users < 0) & labelled))
        away |= users < 0
    lengths = np.diff(starts, append=frame.height)
    acts = frame.select(name for name in ACTS if name in frame.columns)
    rows = _Rows(users, prefers_a, acts, lengths)
    if away.any():
        rows = rows.where(~away)
    rows, repeats = _first_and_repeats(rows, names.len())
    left_out = {NO_LABEL: n_missing, NO_USER: n_anonymous}
    return Votes(
        user_names=names,
        pair_ids=pair_ids,
        users=rows.users,
        prefers_a=rows.prefers_a,
        n_votes=rows.n_rows,
        groups=_pair_groups(frame.get_column("group", default=None), starts),
        repeats=repeats,
        n_judgments=frame.height - n_missing,
        n_ties=n_half - n_missing,
        left_out={reason: count for reason, count in left_out.items() if count},
    )


def _runs(values: pl.Series) -> tuple[IntArray, NDArray[np.uint64]]:
    """Where each run of equal values starts, and the value of each."""
    starts, names = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.uint64)]
    last = None
    for rows, part in numpy_parts(values):
        new = np.flatnonzero(part[1:] != part[:-1]) + 1
        if part[0] != last:
            new = np.append(0, new)
        starts.append(new + rows.start)
        names.append(part[new])
        last = part[-1]
    return np.concatenate(starts), np.concatenate(names)


def _sides(label: pl.Series) -> tuple[BoolArray, BoolArray]:
    """Whether each label prefers `a`, and whether it takes no side."""
    prefers_a, away = (np.empty(label.len(), dtype=np.bool_) for _ in range(2))
    for rows, part in numpy_parts(label.fill_null(0.5)):
        np.greater(part, 0.5, out=prefers_a[rows])
        np.equal(part, 0.5, out=away[rows])
    return prefers_a, away


def _sums(mask: BoolArray, lengths: IntArray) -> IntArray:
    """How many rows of each run are true; runs may be empty, [runs]."""
    filled = lengths > 0
    starts = (np.cumsum(lengths) - lengths)[filled]
    sums = np.zeros(lengths.size, dtype=np.int64)
    if starts.size:
        sums[filled] = np.add.reduceat(mask, starts, dtype=np.int32)
    return sums


def _first_and_repeats(rows: _Rows, n_users: int) -> tuple[_Rows, Repeats]:
    """Each person's first judgement of each pair, and the cells that have several."""
    if not rows.acts["occurrence"].max():
        none = np.zeros(0, dtype=np.int64)
        return rows, Repeats(none, np.zeros(0, dtype=np.bool_), none, none)
    occurrence = rows.acts["occurrence"].to_numpy()
    again = _sums(occurrence > 0, rows.n_rows) > 0
    candidates = np.flatnonzero(np.repeat(again, rows.n_rows))
    pairs = np.repeat(np.flatnonzero(again), rows.n_rows[again])
    cell = pairs * n_users + rows.users[candidates]
    order = np.lexsort((occurrence[candidates], cell))
    candidates, cell, pairs = candidates[order], cell[order], pairs[order]
    is_first = np.append(True, cell[1:] != cell[:-1])
    size = np.diff(np.flatnonzero(is_first), append=cell.size)
    several = size >= 2
    judgements = candidates[np.repeat(several, size)]
    acts = rows.acts[judgements]
    repeats = Repeats(
        cells=np.repeat(np.arange(np.count_nonzero(several)), size[several]),
        prefers_a=rows.prefers_a[judgements],
        users=rows.users[candidates[is_first][several]],
        pairs=pairs[is_first][several],
        shown_a=_known(acts, "shown_first", pl.col("shown_first").cast(pl.String) == "a"),
        judged_at=_known(acts, "judged_at", pl.col("judged_at").dt.epoch("ms")),
    )
    votes = np.ones(rows.users.size, dtype=np.bool_)
    votes[candidates[~is_first]] = False
    return rows.where(votes), repeats


def _known(acts: pl.DataFrame, name: str, value: pl.Expr) -> IntArray | None:
    """A column of acts as integers, -1 where it is null; None where it always is."""
    if name not in acts.columns or acts[name].null_count() == acts.height:
        return None
    return acts.select(value.cast(pl.Int64).fill_null(-1)).to_series().to_numpy()


def _pair_groups(names: pl.Series | None, starts: IntArray) -> IntArray:
    """One cluster code a pair; rows without a group belong to a cluster of their pair alone."""
    own = np.arange(starts.size, dtype=np.int64)
    if names is None or names.null_count() == names.len():
        return own
    physical = names.cast(pl.Categorical).to_physical()
    if not names.null_count():
        changes, codes = _runs(physical)
        if np.array_equal(changes, starts):
            return _without_wide_gaps(codes)
        place = np.minimum(np.searchsorted(starts, changes), starts.size - 1)
        if np.array_equal(starts[place], changes):  # never within a pair
            return _without_wide_gaps(codes[np.searchsorted(changes, starts, side="right") - 1])
    row_pairs = np.repeat(own, np.diff(starts, append=names.len()))
    codes = physical.fill_null(0).to_numpy().astype(np.int64)
    if names.null_count():
        codes = np.where(names.is_null().to_numpy(), codes.max() + 1 + row_pairs, codes)
    return linked(_without_wide_gaps(codes), row_pairs, own.size)


def _without_wide_gaps(codes: IntArray) -> IntArray:
    """The codes, numbered anew where they are far apart: arrays are as long as the largest."""
    if int(codes.max()) < 2 * codes.size + 1_000:
        return codes.astype(np.int64)
    return np.unique(codes, return_inverse=True)[1]
