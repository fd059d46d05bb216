"""Who wins more often, from a `verdicts/1` table: both orders, ties stated, per person and overall.

A contest is one person, one prompt and one sample of each system. Where a judge read it in both
orders, a system wins it when both orders say so; anything else is a tie, and counts as disagreement
when the two orders differ. A contest that lacks one of its verdicts says nothing: it is left out
and counted by reason.

Three ways to count a tie stand side by side. *Half*: a win is 1, a tie 1/2, a loss 0, so the rates
of the two systems sum to 1. *Both*: a tie is a win for both, as in Li et al. (2024, P-RLHF, table
2), so they may sum to more than 1. *Strict*: a tie is a win for nobody. A judge with a position
bias makes ties of contests that one text would win, which pulls the rate with ties as halves
towards one half: the rate among *decided* contests, those in which both orders agree, stands
beside. The rate of Li et al. by person asks for each person who won more contests, and counts a
person without such a winner for both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from plt.analyze.intervals.clusters import FloatArray
from plt.analyze.intervals.proportions import UserIntervals, user_intervals
from plt.analyze.intervals.uncertainty import Interval, mean_interval
from plt.data.tables.codes import dense_codes

KEYS = ("user_id", "prompt_id", "sample")
ONE_ORDER = "read in one order only"
COIN = 0.5


@dataclass(frozen=True)
class Tally:
    """Counts of contests that have a verdict."""

    wins: int
    ties: int
    losses: int

    @property
    def n(self) -> int:
        """Contests."""
        return self.wins + self.ties + self.losses

    @property
    def half(self) -> float | None:
        """Win rate of system 1 with ties as one half; null without contests."""
        return (self.wins + self.ties / 2) / self.n if self.n else None

    @property
    def both(self) -> tuple[float, float] | None:
        """Win rates of system 1 and 2 with ties as wins of both; null without contests."""
        if not self.n:
            return None
        return (self.wins + self.ties) / self.n, (self.losses + self.ties) / self.n

    @property
    def strict(self) -> tuple[float, float] | None:
        """Win rates of system 1 and 2 with ties as wins of nobody; null without contests."""
        return (self.wins / self.n, self.losses / self.n) if self.n else None

    @property
    def winner(self) -> str | None:
        """``1``, ``2`` or ``tie``: who won more; null without contests."""
        if not self.n:
            return None
        return "tie" if self.wins == self.losses else "1" if self.wins > self.losses else "2"


@dataclass(frozen=True)
class WinRate:
    """Figures of one judge on two systems; `Tally.wins` are wins of system 1.

    Attributes:
        system_1: One system.
        system_2: The other.
        judge: Who judged.
        total: All contests with a verdict.
        by_user: Win rate of system 1, ties half, averaged over users; null without users.
        pooled: The same, averaged over contests.
        decided: Win rate of system 1 among the contests that somebody won, over users where there
            are any, else over contests: position bias makes ties, and they pull the others to 1/2.
        users: Tally of each user, by name.
        intervals: Wilson's interval of each user's rate, in the order of `users`.
        winners: Users (``1``, ``2``, ``tie``) by who won more of their contests.
        both_by_user: Shares of users whose winner is system 1, and 2, ties counted for both.
        n_asked: Contests judged in both orders.
        disagreement: Share of those whose two orders differ; null when there are none.
        first_wins: Share of single readings, ties left out, in which the text shown first won:
            1/2 for a judge that does not care; null when no reading has an order and a side.
        missing: Reason to number of contests without a verdict.
        without_user: Contests of nobody in particular, left out where others have users.
    """

    system_1: str
    system_2: str
    judge: str
    total: Tally
    by_user: Interval
    pooled: Interval
    decided: Interval
    users: Mapping[str, Tally]
    intervals: UserIntervals | None
    winners: Mapping[str, int]
    both_by_user: tuple[float, float] | None
    n_asked: int
    disagreement: float | None
    first_wins: float | None
    missing: Mapping[str, int]
    without_user: int

    @property
    def no_judge(self) -> str | None:
        """What must be said loudly of a judge whose two orders differ more often than a coin's."""
        if self.disagreement is None or self.disagreement <= COIN:
            return None
        answers = ""
        if self.first_wins is not None:
            letter = "A" if self.first_wins >= COIN else "B"
            share = max(self.first_wins, 1 - self.first_wins)
            answers = f"answered {letter} in {100 * share:.0f} % whatever the order, and "
        return (
            f"{self.judge} is no judge of these texts: it {answers}contradicts itself in"
            f" {100 * self.disagreement:.0f} % of the {self.n_asked} contests when they are read"
            " the other way round, where a coin would in 50 %"
        )


def win_rates(verdicts: pl.DataFrame) -> list[WinRate]:
    """The figures of every pair of systems and judge in a `verdicts/1` table, in its order."""
    parts = verdicts.partition_by("system_1", "system_2", "judge", maintain_order=True)
    return [_win_rate(part) for part in parts]


def outcomes(verdicts: pl.DataFrame) -> pl.DataFrame:
    """One row a contest, in the order of the table.

    Returns:
        `user_id`, `prompt_id`, `sample`, `group`; `outcome`: 1 system 1 won, 0 it lost, 1/2 a tie,
        null without a verdict; `reason` for the nulls; `asked`: read in both orders and judged in
        both; `differ`: whether the two orders differ.
    """
    worth = pl.col("verdict").cast(pl.String).replace_strict(
        {"1": 1.0, "tie": 0.5, "2": 0.0}, default=None, return_dtype=pl.Float64
    )  # fmt: skip
    rows = verdicts.with_columns(_worth=worth, _ordered=pl.col("order").is_not_null())
    worth, ordered = pl.col("_worth"), pl.col("_ordered")
    # One order alone may be nothing but the habit of preferring what stands first.
    whole = worth.is_not_null().all() & ~(ordered.any() & (pl.len() < 2))
    same = worth.min() == worth.max()
    found = rows.group_by(KEYS, maintain_order=True).agg(
        pl.col("group").first(),
        outcome=pl.when(whole).then(pl.when(same).then(worth.first()).otherwise(0.5)),
        reason=pl.col("reason").filter(worth.is_null()).first(),
        asked=whole & ordered.all(),
        differ=~same,
    )
    lacking = pl.col("reason").fill_null(ONE_ORDER)
    return found.with_columns(reason=pl.when(pl.col("outcome").is_null()).then(lacking))


def _win_rate(verdicts: pl.DataFrame) -> WinRate:
    contests = outcomes(verdicts)
    missing = contests.filter(pl.col("outcome").is_null())["reason"].value_counts(sort=True)
    judged = contests.filter(pl.col("outcome").is_not_null())
    named = judged.filter(pl.col("user_id").is_not_null())
    without_user = judged.height - named.height if named.height else 0
    judged = named if named.height else judged
    users = {
        str(part["user_id"][0]): _tally(part["outcome"])
        for part in named.sort("user_id").partition_by("user_id", maintain_order=True)
    }
    winners = {who: sum(t.winner == who for t in users.values()) for who in ("1", "2", "tie")}
    asked = judged.filter("asked")
    by_user, pooled, intervals = _intervals(judged, bool(users))
    decided = _decided(judged, bool(users))
    first = verdicts.row(0, named=True)
    return WinRate(
        system_1=str(first["system_1"]),
        system_2=str(first["system_2"]),
        judge=str(first["judge"]),
        total=_tally(judged["outcome"]),
        by_user=by_user,
        pooled=pooled,
        decided=decided,
        users=users,
        intervals=intervals,
        winners=winners,
        both_by_user=_both(winners, len(users)),
        n_asked=asked.height,
        disagreement=asked.filter("differ").height / asked.height if asked.height else None,
        first_wins=_first_wins(verdicts),
        missing={str(reason): int(count) for reason, count in missing.iter_rows()},
        without_user=without_user,
    )


def _tally(outcome: pl.Series) -> Tally:
    wins, ties = int((outcome == 1).sum()), int((outcome == 0.5).sum())
    return Tally(wins, ties, outcome.len() - wins - ties)


def _both(winners: Mapping[str, int], n: int) -> tuple[float, float] | None:
    if not n:
        return None
    return (winners["1"] + winners["tie"]) / n, (winners["2"] + winners["tie"]) / n


def _first_wins(verdicts: pl.DataFrame) -> float | None:
    sided = verdicts.select(pl.col("order", "verdict").cast(pl.String)).filter(
        pl.col("order").is_not_null() & pl.col("verdict").is_in(["1", "2"])
    )
    if not sided.height:
        return None
    return sided.filter(pl.col("order").str.head(1) == pl.col("verdict")).height / sided.height


def _decided(judged: pl.DataFrame, named: bool) -> Interval:
    """The rate among contests that somebody won, over users where there are any."""
    won = judged.filter(pl.col("outcome") != 0.5)
    if not won.height:
        empty = np.zeros(0, dtype=np.int64)
        nothing = mean_interval(np.zeros(0), None, empty, bounds=(0.0, 1.0))
        return replace(nothing, reason="no contest was decided")
    by_user, pooled, _ = _intervals(won, named)
    return by_user if named else pooled


def _intervals(
    judged: pl.DataFrame, named: bool
) -> tuple[Interval, Interval, UserIntervals | None]:
    """Averages over users and over contests, and each user's own interval, users by name."""
    values: FloatArray = judged["outcome"].to_numpy().astype(np.float64)
    groups = dense_codes(judged["group"].cast(pl.String))[0]
    if not named:
        empty = np.zeros(0, dtype=np.int64)
        nobody = mean_interval(np.zeros(0), empty, empty, average="user", bounds=(0.0, 1.0))
        nobody = replace(nobody, reason="no contest with a verdict names a user")
        return nobody, mean_interval(values, None, groups, bounds=(0.0, 1.0)), None
    users = dense_codes(judged["user_id"].cast(pl.String))[0]
    by_user, pooled = (
        mean_interval(values, users, groups, average=average, bounds=(0.0, 1.0))
        for average in ("user", "pair")
    )
    return by_user, pooled, user_intervals(values, users, groups)
