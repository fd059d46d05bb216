"""A reward run as a judge of texts."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from plt.data.tables.preferences import Preferences, from_wide, pair_id
from plt.data.tables.schema import PREFERENCES
from plt.data.tables.table import Meta
from plt.train.judges.judge import Reading, side
from plt.train.method import FloatArray
from plt.train.registry import method_card
from plt.train.runs.fitted_run import FittedRun

UNKNOWN_USER = "the judge does not know the user"


@dataclass(frozen=True)
class RewardJudge:
    """A reward run: the system whose text has the higher reward under that person's model wins.

    It reads each text alone, or is antisymmetric by contract, so there is one reading and no order.
    A run that is the same for everybody judges everybody; a personal one gives no verdict for a
    person whom it does not know.

    Attributes:
        fitted: The run.
        tie_below: Margins smaller than this, in log-odds, are ties; never less than 1e-6.
    """

    fitted: FittedRun
    tie_below: float = 0.0

    @property
    def name(self) -> str:
        """Method and run id."""
        return self.fitted.name

    def read(self, contests: pl.DataFrame) -> list[list[Reading]]:
        """One reading a contest."""
        if not contests.height:
            return []
        wide = _sides(contests)
        table = wide.select(name for name in PREFERENCES.names if name in wide.columns)
        prefs = from_wide(table, Meta(dataset="contests", oriented=True))
        fitted = self._knowing(prefs)
        known = set(fitted.users)
        found = []
        for user, margin in zip(contests["user_id"], _margins(fitted, prefs, wide), strict=True):
            if known and user is not None and user not in known:
                found.append([Reading(None, None, UNKNOWN_USER)])
            else:
                verdict = side(float(margin), self.tie_below)
                found.append([Reading(None, verdict, score=float(margin))])
        return found

    def _knowing(self, prefs: Preferences) -> FittedRun:
        """The truth of a simulator knows its other people too: nothing of them must be learnt."""
        if not method_card(self.fitted.run.identity.method).reads_truth:
            return self.fitted
        return self.fitted.introduced(prefs, None, self.fitted.run.path)


def _sides(contests: pl.DataFrame) -> pl.DataFrame:
    """The contests as rows of a preference table; `kept` where system 1's text is response a."""
    rows = contests.select("user_id", "group", "prompt", "response_1", "response_2")
    ids = [pair_id(prompt, one, two) for _, _, prompt, one, two in rows.iter_rows()]
    one, two = pl.col("response_1"), pl.col("response_2")
    # Two contests may hold the same two texts, the systems exchanged: the hash decides sides.
    kept = (one <= two) == (pl.col("pair_id") % 2 == 0)
    return rows.with_columns(pl.Series("pair_id", ids, dtype=pl.UInt64)).with_columns(
        kept.alias("kept"),
        response_a=pl.when(kept).then(one).otherwise(two),
        response_b=pl.when(kept).then(two).otherwise(one),
        label=pl.lit(None, dtype=pl.Float32),
        dataset=pl.lit("contests"),
        occurrence=pl.int_range(pl.len()).over("user_id", "pair_id").cast(pl.UInt16),
    )


def _margins(fitted: FittedRun, prefs: Preferences, wide: pl.DataFrame) -> FloatArray:
    """(n,) log-odds that system 1's text is preferred, by the one way from texts to scores."""
    key = ["user_id", "pair_id", "occurrence"]
    found = wide.select(*key, "kept").join(
        fitted.score(prefs).frame.select(*key, "margin"), on=key, how="left", nulls_equal=True,
        maintain_order="left",
    )  # fmt: skip
    margin = found["margin"].to_numpy()
    return np.where(found["kept"].to_numpy(), margin, -margin)
