"""Who judges two systems' texts, and their verdicts as a table.

A judge is a personalised reward model (a finished run), a local language model
(`plt.train.judges.model_judge`), or a model behind a URL (`plt.train.judges.endpoint_judge`). All
read contests and return readings; none sees who wrote what.
"""

from dataclasses import dataclass
from typing import Protocol

import polars as pl

from plt.data.tables.contests import Contests
from plt.data.tables.schema import UNDECIDED, VERDICTS, conform
from plt.train.judges.questions import Order, Verdict

IDENTICAL = "identical texts"


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


def side(score: float, tie_below: float) -> Verdict:
    """The verdict that log-odds in favour of system 1 give."""
    if abs(score) < max(tie_below, UNDECIDED):
        return "tie"
    return "1" if score > 0 else "2"
