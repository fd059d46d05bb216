"""Replications of what `dataset-stats` says of tables of judgements."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plt.analyze.dataset.statistics import DatasetStatistics, dataset_statistics
from plt.analyze.intervals.uncertainty import Interval
from plt.analyze.repeats.consistency import ceiling_upper_bound, consistency
from plt.analyze.repeats.room import room
from plt.analyze.repeats.self_and_others import self_and_others
from plt.analyze.votes.agreement import agreement, krippendorff_alpha
from plt.analyze.votes.divergence import divergence
from plt.analyze.votes.votes import Votes, read_rows
from plt.data.tables.table import Meta
from tests.analyze.populations_of_voters import camps, crowd, one_truth, topics
from tests.analyze.repeats.test_conditions import asked
from tests.analyze.verdict.test_false_verdicts import rated_lists
from tests.coverage.grid import Cell
from tests.coverage.tally import Claim, Outcome, held

FloatArray = NDArray[np.float64]
SHARES = {"camps 40:60": 0.4, "camps 30:70": 0.3}
CARE = ("careless", "spammers", "half spammers", "temperatures")
MORE_PAIRS, MORE_USERS, TIMES = 4000, 200, 20
"""Of the tables that stand for endless ones of the very users or prompts of a replication."""
MANY_USERS, MANY_PAIRS = 300, 30_000
"""Of one that stands for all users, or all replications, where users are drawn without traits."""
VARIED = ("topics", *CARE)
"""Worlds whose users have traits: these users differ by replication, and 300 are not many."""


def wants(world: str, n_users: int, groups: NDArray[np.int64], rng: np.random.Generator) -> Any:
    """P(a) of every user on every pair, [users, pairs]."""
    if world in SHARES:
        return camps(n_users, groups.size, rng, share=SHARES[world])
    if world == "topics":
        return topics(n_users, groups, rng)
    return one_truth(world, n_users, groups.size, rng)


def figures(votes: Votes, self_agreement: float | None = None) -> dict[str, float | None]:
    """The figures of a table, without intervals; the room's ceiling may be known exactly."""
    found = {
        "divergent": divergence(votes, intervals=False).divergent,
        "highly divergent": divergence(votes, intervals=False).highly_divergent,
        "alpha": krippendorff_alpha(votes, intervals=False),
        "agreement": agreement(votes, intervals=False).pairwise,
        "agreement by pair": agreement(votes, intervals=False).item_mean,
    }
    values = {name: each.value for name, each in found.items()}
    again, pairs = consistency(votes, intervals=False), self_and_others(votes, intervals=False)
    if again is not None and pairs is not None:
        ends, seen = room(votes, intervals=False), pairs.self_agreement.value
        ceiling = ceiling_upper_bound(self_agreement or max(seen or 0.5, 0.5))
        values["self-agreement"] = self_agreement or again.self_agreement.value
        values["self minus others"] = pairs.difference.value
        values["room, low"] = ceiling - (ends.own_vote_majority.value or np.nan)
        values["room, high"] = ceiling - (ends.leave_one_out_majority.value or np.nan)
    return values


def intervals(found: DatasetStatistics) -> dict[str, Interval]:
    """The same figures with their intervals."""
    each = {
        "divergent": found.divergence.divergent,
        "highly divergent": found.divergence.highly_divergent,
        "alpha": found.alpha,
        "agreement": found.agreement.pairwise,
        "agreement by pair": found.agreement.item_mean,
    }
    if found.consistency is not None and found.self_and_others is not None:
        each |= {
            "self-agreement": found.consistency.self_agreement,
            "self minus others": found.self_and_others.difference,
            "room, low": found.room.low,
            "room, high": found.room.high,
        }
    return each


def replicator(cell: Cell) -> Callable[[int], Iterator[Outcome]]:
    """What one replication of the cell finds, by its number."""
    d = cell.design
    n_large = round(d["largest"] * d["pairs"])
    groups = np.maximum((np.arange(d["pairs"]) - n_large) // d["per_group"] + 1, 0)
    groups = np.unique(groups, return_inverse=True)[1]
    activity = 1 / np.arange(1, d["users"] + 1) if d["activity"] == "zipf" else None
    voters = min(d["voters"], d["users"])
    # Other pairs of the same users; those of one large prompt are like any.
    further = groups.max() + 1 + np.arange(MORE_PAIRS) // d["per_group"]
    covered, varied = d["activity"] == "equal", d["world"] in VARIED
    others = MORE_USERS if n_large else 0  # other users on these prompts

    @cache
    def endless(n_users: int) -> Mapping[str, float | None]:
        return _endless(cell, n_users, voters)

    def replicate(number: int) -> Iterator[Outcome]:
        rng = cell.rng(1, number)
        places = np.concatenate((groups, further)) if covered and varied else groups
        q = wants(d["world"], d["users"] + others, places, rng)
        q, elsewhere = q[: d["users"]], q[d["users"] :, : groups.size]
        own = q[:, : groups.size]
        plan: dict[str, Any] = {"per_group": 1, "voters": voters}
        votes = crowd(own, rng, **plan, repeated=d["repeated"], activity=activity)
        name = pl.Series([f"g{group:04d}" for group in groups])
        votes = votes.with_columns(group=name.gather(votes["pair_id"].cast(pl.Int64)))
        found = dataset_statistics(votes, Meta(dataset="toy"), seed=number)
        yield from _verdict(d["world"], found)
        if not covered:
            return
        truths: dict[str, Mapping[str, float | None]] = {}
        for figure, interval in intervals(found).items():
            if interval.low is None:
                yield held(figure, interval, np.nan)
                continue
            target = interval.target
            if target == "population":
                truth = endless(3000 if varied else MANY_USERS)[figure]
            elif target != "these-prompts" and not varied:
                truth = endless(d["users"])[figure]
            else:
                if target not in truths:
                    here = np.tile(elsewhere, TIMES), q[:, groups.size :]
                    many = crowd(here[target != "these-prompts"], rng, **plan, repeated=0.5)
                    truths[target] = figures(read_rows(many))
                truth = truths[target][figure]
            assert truth is not None
            yield held(figure, interval, truth)

    return replicate


def _endless(cell: Cell, n_users: int, voters: int) -> Mapping[str, float | None]:
    """The figures of so many users on other pairs: of a large table, or the means of several."""
    world, rng = cell.design["world"], cell.rng(2)
    n_tables, n_pairs = (4, 12_000) if world in VARIED else (1, MANY_PAIRS)
    found = []
    for _ in range(n_tables):
        groups = np.arange(n_pairs // n_tables) // cell.design["per_group"]
        q = wants(world, n_users, groups, rng)
        votes = read_rows(crowd(q, rng, per_group=1, voters=voters, repeated=0.5))
        # At one half the ceiling's slope is not finite, so that no table says where it is.
        found.append(figures(votes, 0.5 if world == "coins" else None))
    values = {name: np.array([each[name] for each in found], dtype=float) for name in found[0]}
    return {name: float(each.mean()) for name, each in values.items()}


def _verdict(world: str, found: DatasetStatistics) -> Iterator[Outcome]:
    finding = found.verdict.finding
    if world == "topics":
        return  # for coverage: how many of these tastes a table can show is nobody's promise
    if world in SHARES:
        yield Claim("verdict: taste", "planted", finding == "taste")
        yield Claim("verdict: none found", "null", finding == "none found")
        return
    yield Claim("verdict: taste", "null", finding == "taste")
    if world in CARE:
        return
    yield Claim("verdict: taste or differences", "null", finding in ("taste", "differences"))
    pairs, rank = found.self_and_others, found.effective_rank
    if pairs is not None and pairs.exchanged.p_value is not None:
        yield Claim("exchange of persons", "null", pairs.exchanged.p_value <= 0.05)
    if not isinstance(rank, str) and rank.p_value is not None:
        yield Claim("effective rank", "null", rank.p_value <= 0.05)


def of_asked(cell: Cell) -> Callable[[int], Iterator[Outcome]]:
    """Repeats that are remembered, or follow the order in which the responses are shown."""
    d = cell.design

    def replicate(number: int) -> Iterator[Outcome]:
        rng = cell.rng(1, number)
        q = wants(d["world"], 30, np.arange(300), rng)
        habits = {name: d[name] for name in ("bias", "same_order", "remembered")}
        votes = asked(q, rng, **habits)
        if not d["told"]:
            votes = votes.drop("shown_first", "judged_at")
        found = dataset_statistics(votes, Meta(dataset="toy"), seed=number)
        yield from _verdict_alone(d["world"], found)

    return replicate


def _verdict_alone(world: str, found: DatasetStatistics) -> Iterator[Outcome]:
    for claim in _verdict(world, found):
        if isinstance(claim, Claim) and claim.figure.startswith("verdict"):
            yield claim


def of_lists(cell: Cell) -> Callable[[int], Iterator[Outcome]]:
    """Rating lists with equal grades: everybody wants the same, and pairs share their grades."""
    world = rated_lists(cell.design["grades"])

    def replicate(number: int) -> Iterator[Outcome]:
        found = dataset_statistics(world(cell.rng(1, number)), Meta(dataset="toy"), seed=number)
        yield from _verdict_alone("margins", found)

    return replicate


def of_inverted(cell: Cell) -> Callable[[int], Iterator[Outcome]]:
    """One of thirty users wants the opposite of all others."""

    def replicate(number: int) -> Iterator[Outcome]:
        rng = cell.rng(1, number)
        q = camps(30, 100, rng, share=1 / 30)
        votes = crowd(q, rng, per_group=5, voters=30, repeated=cell.design["repeated"])
        found = dataset_statistics(votes, Meta(dataset="toy"), seed=number)
        yield Claim("verdict: taste", "planted", found.verdict.finding == "taste")
        yield Claim("verdict: none found", "null", found.verdict.finding == "none found")
        named = found.minority.users[found.minority.found]
        yield Claim("the inverted user is named", "planted", 0 in named)
        yield Claim("others named", "discoveries", np.count_nonzero(named) / max(named.size, 1))

    return replicate
