"""Scores tables to figures: which rows count, and the metrics table of a run.

A row counts when its label takes a side; ties are left out and counted. A margin smaller than 1e-6
in size is no opinion: it earns one half, as in the area under the curve, and is counted.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plt.analyze.intervals.clusters import CodeArray, FloatArray, kish_size
from plt.analyze.intervals.figures import metrics_columns, with_names
from plt.analyze.intervals.uncertainty import Interval, Target, default_target
from plt.analyze.registry import METRICS, MetricCard, load_metric
from plt.analyze.scores.novelty import KINDS
from plt.data.tables.codes import dense_codes
from plt.data.tables.schema import METRICS_TABLE, UNDECIDED, conform

JUDGEMENT = ("pair_id", "user_id", "occurrence")
MEASURED_BY = ("split", "user_split", "control", "n_shots")


@dataclass(frozen=True)
class EvaluationRows:
    """The rows of a scores table that take a side.

    Attributes:
        margin: Log-odds that response_a is preferred, [rows].
        prefers_a: Whether the person prefers response_a, [rows].
        users: User codes 0..U-1, [rows]; None for data without users.
        groups: Group codes 0..G-1, [rows].
        user_names: The names behind the user codes, sorted.
        n_ties: Judgements left out because their label is a tie.
        novelty: What of each judgement the model had not learnt from, as codes into
            `plt.analyze.scores.novelty.KINDS`, -1 where that is not known, [rows]; None where no
            row says.
        minority: Whether the person is a minority user, [rows]; None where the table does not say.
        minority_tested: Whether the person could be tested for it, [rows]; None likewise.
        group_names: The names behind the group codes, sorted; None where nobody knows them.
    """

    margin: FloatArray
    prefers_a: NDArray[np.bool_]
    users: CodeArray | None
    groups: CodeArray
    user_names: pl.Series
    n_ties: int
    novelty: NDArray[np.int8] | None = None
    minority: NDArray[np.bool_] | None = None
    minority_tested: NDArray[np.bool_] | None = None
    group_names: pl.Series | None = None

    @functools.cached_property
    def correct(self) -> FloatArray:
        """1 where the margin has the sign of the label, 0 elsewhere, 1/2 where it is undecided."""
        right = self.prefers_a == (self.margin > 0)
        return np.where(self.undecided, 0.5, right)

    @functools.cached_property
    def undecided(self) -> NDArray[np.bool_]:
        """Whether the margin is too small to be an opinion (`UNDECIDED`), [rows]."""
        return np.abs(self.margin) < UNDECIDED

    @property
    def signed(self) -> FloatArray:
        """Log-odds of the response that the person prefers, [rows]."""
        return np.where(self.prefers_a, self.margin, -self.margin)

    def where(self, mask: NDArray[np.bool_]) -> "EvaluationRows":
        """The rows that `mask` marks, users and groups numbered anew; ties are not counted."""
        users, names = None, self.user_names.head(0)
        if self.users is not None:
            found, users = np.unique(self.users[mask], return_inverse=True)
            names = self.user_names.gather(found)
        kept, groups = np.unique(self.groups[mask], return_inverse=True)
        return EvaluationRows(
            margin=self.margin[mask],
            prefers_a=self.prefers_a[mask],
            users=users,
            groups=groups,
            user_names=names,
            n_ties=0,
            novelty=None if self.novelty is None else self.novelty[mask],
            minority=None if self.minority is None else self.minority[mask],
            minority_tested=None if self.minority_tested is None else self.minority_tested[mask],
            group_names=None if self.group_names is None else self.group_names.gather(kept),
        )

    def named(self, found: Interval) -> Interval:
        """A figure of all of these rows, its dominant users and groups named."""
        return with_names(found, self.user_names, self.group_names)

    @property
    def target(self) -> Target:
        """What figures pooled over these rows generalise to; others weigh the rows differently."""
        users = None if self.users is None else kish_size(np.bincount(self.users))
        return default_target(users, kish_size(np.bincount(self.groups)))


def evaluation_rows(scores: pl.DataFrame) -> EvaluationRows:
    """The rows of `scores` that take a side, as arrays.

    Args:
        scores: Rows of one run under one control; `label`, `margin`, `user_id` and `group` are
            read, and `novelty` and `minority_user` where they are there. Labels that are null are
            no judgements and are left out uncounted.
    """
    judged = scores.filter(pl.col("label").is_not_null())
    sided = judged.filter(pl.col("label") != 0.5)
    users, names = dense_codes(sided["user_id"])
    groups, group_names = dense_codes(sided["group"].cast(pl.String).fill_null("-"))
    return EvaluationRows(
        margin=sided["margin"].to_numpy(),
        prefers_a=(sided["label"] > 0.5).to_numpy(),
        users=None if names.len() == 0 else users,
        groups=groups,
        user_names=names,
        n_ties=judged.height - sided.height,
        group_names=group_names,
        **_annotations(sided),
    )


def _annotations(sided: pl.DataFrame) -> dict[str, Any]:
    """What `novelty` and `minority_flags` wrote beside the scores."""
    found: dict[str, Any] = {}
    if "novelty" in sided.columns:
        codes = sided["novelty"].cast(pl.Enum(KINDS)).to_physical().cast(pl.Int8)
        found["novelty"] = codes.fill_null(-1).to_numpy()
    if "minority_user" in sided.columns:
        flags = sided["minority_user"]
        found["minority"] = flags.fill_null(False).to_numpy()
        found["minority_tested"] = flags.is_not_null().to_numpy()
    return found


def measure(scores: pl.DataFrame, *, command: str) -> pl.DataFrame:
    """Every registered metric of every part of a scores table.

    Args:
        scores: A `scores/1` table, possibly of several runs.
        command: The command that measures, for the metrics table.

    Returns:
        A `metrics/1` table: for each run, split, kind of user, control and number of shots, each
        metric in each of its averages. What cannot be computed is null with a zero count.
    """
    parts = scores.partition_by("run_id", *MEASURED_BY, as_dict=True, maintain_order=True)
    records = []
    for part in parts.values():
        rows = evaluation_rows(part)
        first = part.row(0, named=True)
        about = {name: first[name] for name in ("run_id", "dataset", "method", "seed")}
        about |= {name: first[name] for name in MEASURED_BY}
        for name, card in METRICS.items():
            if card.kind != "scores":
                continue
            for average in card.averages:
                found = compute(card, rows, average)
                records.append(about | {"command": command, "metric": name, "average": average})
                records[-1] |= metrics_columns(found)
                records[-1] |= {"n_ties": rows.n_ties, "higher_is_better": card.higher_is_better}
    table = pl.DataFrame(records, schema_overrides=_types(), infer_schema_length=None)
    return conform(table, METRICS_TABLE)


def _types() -> dict[str, pl.DataType]:
    return {column.name: column.dtype for column in METRICS_TABLE.columns}


def compute(card: MetricCard, rows: EvaluationRows, average: str | None) -> Interval:
    """One metric on one set of rows."""
    if average == "user" and rows.users is None:
        return Interval(None, None, None, "groups", "none", 0.95, reason="data without users")
    found: Interval = load_metric(card)(rows, average)
    return found


def select_rows(
    scores: pl.DataFrame, splits: Sequence[str] = ("test",), user_split: str | None = "seen"
) -> pl.DataFrame:
    """The rows of a scores table that a comparison is about, without controls.

    Args:
        scores: A `scores/1` table.
        splits: The splits wanted; a table without splits is taken whole.
        user_split: Kind of users wanted; rows without one are kept.
    """
    outside_adapt = pl.col("n_shots").is_null() & pl.col("draw").is_null()
    kept = scores.filter(pl.col("control").is_null(), outside_adapt)
    if kept["split"].null_count() < kept.height:
        kept = kept.filter(pl.col("split").cast(pl.String).is_in(list(splits)))
    if user_split is not None and kept["user_split"].null_count() < kept.height:
        kept = kept.filter(pl.col("user_split").cast(pl.String) == user_split)
    return kept
