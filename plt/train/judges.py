"""Who judges two systems' texts, and their verdicts as a table.

A judge is a personalised reward model (a finished run), a local language model
(`plt.train.model_judge`), or a model behind a URL (`plt.train.api_judge`). All read contests and
return readings; none sees who wrote what.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl

from plt.data.contests import Contests
from plt.data.preferences import from_wide, pair_id
from plt.data.schema import PREFERENCES, VERDICTS, conform
from plt.data.table import Meta
from plt.train.fitted_run import FittedRun
from plt.train.judge_questions import Order, Verdict
from plt.train.method import FloatArray

IDENTICAL = "identical texts"
UNKNOWN_USER = "the judge does not know the user"


@dataclass(frozen=True)
class Reading:
    """What a judge says of one contest.

    Attributes:
        order: Whose text stood first; None for a judge that reads each text alone.
        verdict: The better system; None when the judge gave none.
        reason: Why there is no verdict, or why the judge was not asked.
        score: Log-odds that system 1 is better, where the judge has them.
        n_tokens_in: Tokens read, where known.
        n_tokens_out: Tokens written, where known.
    """

    order: Order | None
    verdict: Verdict | None
    reason: str | None = None
    score: float | None = None
    n_tokens_in: int | None = None
    n_tokens_out: int | None = None


class Judge(Protocol):
    """Says which of two texts is better."""

    @property
    def name(self) -> str:
        """What stands in the `judge` column."""
        ...

    def read(self, contests: pl.DataFrame) -> list[list[Reading]]:
        """One or two readings of each contest (`Contests.frame`), in its order."""
        ...


def judge_contests(contests: Contests, judge: Judge) -> pl.DataFrame:
    """The `verdicts/1` table of a judge.

    Equal texts are a tie that nobody is asked about.

    Args:
        contests: What to judge.
        judge: Who judges.

    Returns:
        One row a reading, contests in their order.
    """
    frame = contests.frame
    equal = (frame["response_1"] == frame["response_2"]).to_numpy()
    asked = iter(judge.read(frame.filter(~pl.Series(equal))))
    rows = []
    for contest, same in zip(frame.iter_rows(named=True), equal, strict=True):
        for reading in [Reading(None, "tie", IDENTICAL)] if same else next(asked):
            about = {name: contest[name] for name in ("user_id", "prompt_id", "group", "sample")}
            rows.append(about | vars(reading))
    schema = {c.name: c.dtype for c in VERDICTS.columns}
    given = {name: schema[name] for name in (*rows[0],)} if rows else schema
    found = pl.DataFrame(rows, schema=given).with_columns(
        system_1=pl.lit(contests.system_1),
        system_2=pl.lit(contests.system_2),
        judge=pl.lit(judge.name),
    )
    return conform(found, VERDICTS).select(VERDICTS.names)


@dataclass(frozen=True)
class RewardJudge:
    """A reward run: the system whose text has the higher reward under that person's model wins.

    It reads each text alone, or is antisymmetric by contract, so there is one reading and no order.
    A run that is the same for everybody judges everybody; a personal one gives no verdict for a
    person whom it does not know.

    Attributes:
        fitted: The run.
        tie_below: Margins smaller than this, in log-odds, are ties; 0 leaves exact ties.
    """

    fitted: FittedRun
    tie_below: float = 0.0

    @property
    def name(self) -> str:
        """Method and run id."""
        return self.fitted.name

    def read(self, contests: pl.DataFrame) -> list[list[Reading]]:
        """One reading a contest."""
        known = set(self.fitted.users)
        margins = self._margins(contests)
        found = []
        for user, margin in zip(contests["user_id"].to_list(), margins, strict=True):
            if known and user is not None and user not in known:
                found.append([Reading(None, None, UNKNOWN_USER)])
            else:
                verdict = side(float(margin), self.tie_below)
                found.append([Reading(None, verdict, score=float(margin))])
        return found

    def _margins(self, contests: pl.DataFrame) -> FloatArray:
        """(n,) log-odds that system 1's text is preferred, by the one way from texts to scores."""
        if not contests.height:
            return np.zeros(0)
        rows = contests.select("user_id", "group", "prompt", "response_1", "response_2")
        ids = [pair_id(prompt, one, two) for _, _, prompt, one, two in rows.iter_rows()]
        one, two = pl.col("response_1"), pl.col("response_2")
        # Two contests may hold the same two texts, the systems exchanged: the hash decides sides.
        kept = (one <= two) == (pl.col("pair_id") % 2 == 0)
        wide = rows.with_columns(pl.Series("pair_id", ids, dtype=pl.UInt64)).with_columns(
            kept.alias("kept"),
            response_a=pl.when(kept).then(one).otherwise(two),
            response_b=pl.when(kept).then(two).otherwise(one),
            label=pl.lit(None, dtype=pl.Float32),
            dataset=pl.lit("contests"),
            occurrence=pl.int_range(pl.len()).over("user_id", "pair_id").cast(pl.UInt16),
        )
        table = wide.select(name for name in PREFERENCES.names if name in wide.columns)
        scores = self.fitted.score(from_wide(table, Meta(dataset="contests", oriented=True))).frame
        key = ["user_id", "pair_id", "occurrence"]
        found = wide.select(*key, "kept").join(
            scores.select(*key, "margin"), on=key, how="left", nulls_equal=True,
            maintain_order="left",
        )  # fmt: skip
        margin = found["margin"].to_numpy()
        return np.where(found["kept"].to_numpy(), margin, -margin)


def side(score: float, tie_below: float) -> Verdict:
    """The verdict that log-odds in favour of system 1 give."""
    if abs(score) < tie_below or score == 0:
        return "tie"
    return "1" if score > 0 else "2"
