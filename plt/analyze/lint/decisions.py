"""The judgements that take a side, as arrays over distinct texts.

Whatever lint computes about a text it computes once, however many people judged it.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plt.analyze.intervals.clusters import BoolArray, CodeArray, FloatArray
from plt.analyze.intervals.uncertainty import Interval, Target, default_target, mean_interval
from plt.data.tables.codes import dense_codes
from plt.data.tables.preferences import Preferences

IntArray = NDArray[np.intp]

MIN_GROUPS = 10
"""Below this many groups an interval over groups is a guess; texts are the clusters instead."""


@dataclass(frozen=True)
class Decisions:
    """Rows whose label takes a side; ties and missing labels are left out.

    Attributes:
        texts: Distinct responses, sorted.
        a: Position of response_a in `texts`, [rows].
        b: Position of response_b in `texts`, [rows].
        prefers_a: Whether response_a was preferred, [rows].
        pair_ids: The pair of each row, [rows].
        users: User codes, [rows]; None for data without users. Unnamed rows are one user.
        n_users: Distinct users.
        groups: Group codes, [rows].
        n_groups: Distinct groups.
        sources: Codes of who wrote a and b, -1 where unknown, [rows] each; None when never known.
    """

    texts: pl.Series
    a: IntArray
    b: IntArray
    prefers_a: BoolArray
    pair_ids: NDArray[np.uint64]
    users: CodeArray | None
    n_users: int
    groups: CodeArray
    n_groups: int
    sources: tuple[IntArray, IntArray] | None

    @property
    def n_rows(self) -> int:
        """Decisions in all."""
        return int(self.a.size)

    @property
    def target(self) -> Target:
        """What intervals generalise to: as everywhere, these users when they are few."""
        return "groups" if self.users is None else default_target(self.n_users)


def read_decisions(prefs: Preferences) -> Decisions:
    """The rows of `prefs` whose label is neither null nor 0.5."""
    votes = prefs.votes.filter(pl.col("label").is_not_null() & (pl.col("label") != 0.5))
    used = prefs.pairs.join(votes.select("pair_id").unique(), on="pair_id", how="semi")
    used = used.sort("pair_id")
    both = pl.concat([used["response_a"], used["response_b"].alias("response_a")])
    codes, texts = dense_codes(both)
    of_pair = used["pair_id"].search_sorted(votes["pair_id"]).to_numpy().astype(np.intp)
    users, n_users = _codes(votes["user_id"])
    groups, n_groups = _codes(votes["group"])
    named = votes["user_id"].null_count() < votes.height
    return Decisions(
        texts=texts,
        a=codes[: used.height].astype(np.intp)[of_pair],
        b=codes[used.height :].astype(np.intp)[of_pair],
        prefers_a=(votes["label"] > 0.5).to_numpy(),
        pair_ids=votes["pair_id"].to_numpy(),
        users=users if named else None,
        n_users=n_users if named else 0,
        groups=groups,
        n_groups=n_groups,
        sources=_sources(votes),
    )


def _codes(names: pl.Series) -> tuple[CodeArray, int]:
    """Codes in which null is one more name, and how many names there are."""
    codes, levels = dense_codes(names.cast(pl.String))
    unnamed = codes < 0
    return np.where(unnamed, levels.len(), codes), levels.len() + bool(unnamed.any())


def _sources(votes: pl.DataFrame) -> tuple[IntArray, IntArray] | None:
    written = [votes["source_a"].cast(pl.String), votes["source_b"].cast(pl.String)]
    codes, levels = dense_codes(pl.concat([written[0], written[1].alias("source_a")]))
    if levels.len() == 0:
        return None
    codes = codes.astype(np.intp)
    return codes[: votes.height], codes[votes.height :]


def cautious_interval(
    values: FloatArray,
    rows: IntArray,
    texts: IntArray,
    decisions: Decisions,
    *,
    target: Target | None = None,
    level: float = 0.95,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Interval:
    """The mean of `values` with the lower of two lower bounds: groups as clusters, and texts.

    One text that many people judged in many conversations is one piece of evidence about its form,
    and so is one conversation with many texts.

    Args:
        values: One figure for each of `rows`.
        rows: Positions in `decisions`.
        texts: The text that each figure is about, a position in `decisions.texts`.
        decisions: The rows.
        target: As in `mean_interval`; by default that of `decisions`.
        level: Nominal coverage.
        bounds: Of the values.

    Returns:
        The interval with the lower lower end; null bounds when there is but one text or one group.
    """
    users = None if decisions.users is None else decisions.users[rows]
    found = [
        mean_interval(
            values, users, clusters, target=target or decisions.target, level=level, bounds=bounds
        )
        for clusters in clusterings(rows, texts, decisions)
    ]
    return lowest(found)


def clusterings(rows: IntArray, texts: IntArray, decisions: Decisions) -> list[CodeArray]:
    """The codes that intervals cluster by: texts, and groups unless they are too few."""
    return [texts] if decisions.n_groups < MIN_GROUPS else [texts, decisions.groups[rows]]


def lowest(found: list[Interval]) -> Interval:
    """The interval that claims least: the first without bounds, else that with the lower end."""
    return min(found, key=lambda interval: -np.inf if interval.low is None else interval.low)
