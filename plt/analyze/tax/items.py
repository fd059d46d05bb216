"""Scores of a benchmark as right answers: one row a user, one column an item."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plt.analyze.intervals.clusters import CodeArray, FloatArray
from plt.data.benches import EVERYTHING, Bench
from plt.data.sources.rewardbench2 import TIES
from plt.data.tables.codes import dense_codes
from plt.data.tables.schema import UNDECIDED
from plt.errors import DataError

CORRECT = "correct"
"""Beside the scores of a benchmark of items: which correct answer a pair is about."""
KEY = ("group", "pair_id", "user_id", "occurrence")
ONE, SEVERAL, MARGINS = "Ties: one answer", "Ties: several answers", "Ties: margins"
TIES_WEIGHTS = {ONE: 0.3, SEVERAL: 0.3, MARGINS: 0.4}
"""Malik et al. 2025: 60 % accuracy, 40 % margins, and a hundredth for how large they are."""


@dataclass(frozen=True)
class Items:
    """Right answers on a benchmark.

    Attributes:
        users: Whose; None alone is the population.
        values: The share of each item that is right, [users, items]; one half for a pair without
            an opinion.
        names: Names of the strata: subsets, and for the items of `Ties` the three parts of its
            score.
        strata: Codes into `names`, [items].
        clusters: Codes of what is one draw (a prompt, an item), [items].
        cluster_names: Names behind the codes.
    """

    users: tuple[str | None, ...]
    values: FloatArray
    names: tuple[str, ...]
    strata: CodeArray
    clusters: CodeArray
    cluster_names: pl.Series

    def part(self, mask: NDArray[np.bool_]) -> "Items":
        """The items that `mask` marks, clusters numbered anew."""
        kept, clusters = np.unique(self.clusters[mask], return_inverse=True)
        return replace(
            self,
            values=self.values[:, mask],
            strata=self.strata[mask],
            clusters=clusters,
            cluster_names=self.cluster_names.gather(kept),
        )

    def like(self, other: "Items") -> bool:
        """Whether both are about the same items in the same order."""
        return (
            self.names == other.names
            and np.array_equal(self.strata, other.strata)
            and np.array_equal(self.clusters, other.clusters)
            and self.cluster_names.equals(other.cluster_names)
        )


def bench_items(scores: pl.DataFrame, bench: Bench, users: Sequence[str | None]) -> Items:
    """The right answers of each of `users` on a benchmark.

    A pair is right where its margin has the sign of its label, and one half where the margin is
    smaller than 1e-6. In a benchmark of items all pairs of one `group` are one item: right only
    if every margin is above 0, and 1 / (k + 1) right where k of them are no opinion and none is
    wrong, so that a constant reward scores what guessing does.

    Args:
        scores: A `scores/1` table in which everybody of `users` scored the same judgements
            (`scored_as`); rows without a label, and ties, are left out.
        bench: Its layout; rows of other subsets are left out.
        users: Whose scores, at least one; None is the population.

    Raises:
        DataError: The users did not score the same judgements, or no judgement is left.
    """
    sided = scores.filter(pl.col("label").is_not_null(), pl.col("label") != 0.5)
    subset = pl.col("subset").cast(pl.String).fill_null(EVERYTHING)
    sided = sided.with_columns(subset=subset).filter(pl.col("subset").is_in(bench.subsets))
    sided = sided.with_columns(pl.col("group", "user_id", "scored_as").cast(pl.String))
    parts = sided.sort(KEY).partition_by("scored_as", as_dict=True, maintain_order=True)
    found = [parts.get((user,), sided.clear()) for user in users]
    columns = [*KEY, "subset", "label", *(name for name in (CORRECT,) if name in sided.columns)]
    first = found[0].select(columns)
    if any(not each.select(columns).equals(first) for each in found[1:]):
        raise DataError("the users of these scores did not score the same judgements")
    if first.height == 0:
        raise DataError(
            "no judgement of the benchmark has a side and a known subset",
            hint="plt dataset-stats BENCH",
        )
    sign = np.where(first["label"].to_numpy() > 0.5, 1.0, -1.0)
    margins = np.stack([each["margin"].to_numpy() for each in found]) * sign
    if bench.unit == "item":
        return _items(margins, first, tuple(users))
    right = np.where(np.abs(margins) < UNDECIDED, 0.5, margins > 0)
    strata, names = dense_codes(first["subset"])
    clusters, groups = dense_codes(first["group"].fill_null("-"))
    return Items(tuple(users), right, tuple(names), strata, clusters, groups)


def _items(margins: FloatArray, pairs: pl.DataFrame, users: tuple[str | None, ...]) -> Items:
    """Items of the best of four, and of `Ties`, from the margins of their pairs, [users, pairs]."""
    item, groups = dense_codes(pairs["group"])
    first = np.unique(item, return_index=True)[1]
    subsets = pairs["subset"].gather(first).to_list()
    values = _credit(margins, item, groups.len())
    best = np.array([subset != TIES for subset in subsets], dtype=bool)
    columns = [values[:, best]]
    strata = [subset for subset in subsets if subset != TIES]
    clusters = groups.filter(pl.Series(best)).to_list()
    if not best.all():
        tied = _ties(margins, values, item, pairs, groups.to_list(), best)
        columns.append(tied[0])
        strata += tied[1]
        clusters += tied[2]
    codes, names = dense_codes(pl.Series(strata, dtype=pl.String))
    cluster, cluster_names = dense_codes(pl.Series(clusters, dtype=pl.String))
    found = np.concatenate(columns, axis=1)
    return Items(users, found, tuple(names), codes, cluster, cluster_names)


def _credit(margins: FloatArray, item: CodeArray, n: int) -> FloatArray:
    """How right each item is, [users, n]: see `bench_items`."""
    found = np.empty((len(margins), n))
    for row, each in enumerate(margins):
        wrong = np.bincount(item, each <= -UNDECIDED, minlength=n)
        open_ = np.bincount(item, np.abs(each) < UNDECIDED, minlength=n)
        found[row] = np.where(wrong > 0, 0.0, 1 / (open_ + 1))
    return found


def _ties(
    margins: FloatArray,
    credit: FloatArray,
    item: CodeArray,
    pairs: pl.DataFrame,
    groups: Sequence[str],
    best: NDArray[np.bool_],
) -> tuple[FloatArray, list[str], list[str]]:
    """The three parts of the score of `Ties`, one column a part and prompt; see `ties_margins`.

    An item with several correct answers is right only if every correct answer beats every wrong
    one, with no part of the credit for what is no opinion: with scores that are equal the code of
    the benchmark finds none right.
    """
    columns, strata, clusters = [], [], []
    tied = np.flatnonzero(~best).tolist()
    places = {groups[i].rpartition("/")[2]: i for i in tied}
    sides = _sides(pairs)
    for name, i in places.items():
        kind, _, number = name.partition(":")
        columns.append((credit[:, i] == 1).astype(np.float64))
        strata.append(ONE if kind == "ref" else SEVERAL)
        clusters.append(f"{TIES}/{number}")
        other = places.get(f"ref:{number}")
        if kind == "tied" and other is not None:
            rows = np.flatnonzero(item == i)
            closest = margins[:, rows].min(axis=1)
            reference = margins[:, item == other].min(axis=1)
            apart = _apart(margins[:, rows], [sides[row] for row in rows])
            columns.append(ties_margins(closest, reference, apart))
            strata.append(MARGINS)
            clusters.append(f"{TIES}/{number}")
    return np.stack(columns, axis=1), strata, clusters


def _sides(pairs: pl.DataFrame) -> list[str]:
    """A name of the correct answer of each pair, the same in every pair of its item."""
    return pairs[CORRECT].to_list() if CORRECT in pairs.columns else [""] * pairs.height


def _apart(margins: FloatArray, correct: Sequence[str]) -> FloatArray:
    """How far the correct answers of one item lie apart, [users]."""
    names = sorted(set(correct))
    which = np.array([names.index(name) for name in correct])
    means = np.stack([margins[:, which == k].mean(axis=1) for k in range(len(names))])
    return np.asarray(means.max(axis=0) - means.min(axis=0))


def ties_margins(closest: FloatArray, reference: FloatArray, apart: FloatArray) -> FloatArray:
    """The part of the score of `Ties` that is about margins, [users], between -0.025 and 1.025.

    A good reward puts the correct answers close to one another and the wrong ones far away. With
    the margin c of the worst correct answer over the best wrong one, the same r of the prompt with
    one correct answer, and the distance d of the correct answers, it is
    (0.2 [c > d] + 0.2 [min(c, r) > d] + 0.01 tanh(min(c, r) / d - 1)) / 0.4, where the last part is
    0 for d = 0.

    Args:
        closest: c, [users].
        reference: r, [users].
        apart: d >= 0, [users].
    """
    both = np.minimum(closest, reference)
    ratio = np.divide(both, apart, out=np.ones_like(both), where=apart > 0)
    large = np.where(apart > 0, np.tanh(ratio - 1), 0.0)
    return np.asarray((0.2 * (closest > apart) + 0.2 * (both > apart) + 0.01 * large) / 0.4)
