"""Replications of what `train` and `report` say of a model's answers."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plt.analyze.intervals.significance import paired_difference
from plt.analyze.intervals.simultaneous import Difference, Judged, simultaneous
from plt.analyze.intervals.uncertainty import Average, Interval
from plt.analyze.registry import METRICS
from plt.analyze.scores.evaluation import EvaluationRows, compute
from tests.analyze.judged_worlds import Effects, World, expected_loss, share_right
from tests.coverage.grid import Cell
from tests.coverage.tally import Claim, Held, Outcome, held

AVERAGES: tuple[tuple[Average, str], ...] = (("user", "by user"), ("pair", "pooled"))
BETTER = 0.3
"""What the better model has more; and by how much models are alike:"""
ALIKE = 0.6
LARGE_PAIRS = 20
MANY = 400_000


def activities(cell: Cell, rng: np.random.Generator | None = None) -> NDArray[np.float64]:
    """Log activity of each user, from its quantiles or, with a generator, drawn anew."""
    n, kind = cell.design["users"], cell.design["activity"]
    rank = (np.arange(n) + 0.5) / n if rng is None else rng.random(n)
    if kind == "equal":
        return np.zeros(n)
    if kind == "zipf":
        return -np.log(rank * n + 0.5)
    # The quantiles of a normal distribution, without scipy.stats.
    from scipy.special import ndtri

    return np.asarray(1.6 * ndtri(1 - rank))


def design(cell: Cell, rng: np.random.Generator, log_activity: NDArray[np.float64]) -> World:
    """Who judges what."""
    d = cell.design
    share = np.exp(log_activity) / np.exp(log_activity).sum()
    counts = np.maximum(np.round(share * d["judgements"] * d["users"]).astype(int), 1)
    users = np.repeat(np.arange(d["users"]), counts)
    groups, pair = (
        rng.integers(0, d["prompts"], users.size),
        rng.integers(0, d["pairs"], users.size),
    )
    # Prompts of one's own have as many judgements as they have pairs.
    place = np.arange(users.size) - np.repeat(np.cumsum(counts) - counts, counts)
    own = rng.random(users.size) >= d["overlap"]
    theirs = np.unique(np.stack((users, place // d["pairs"])), axis=1, return_inverse=True)[1]
    groups = np.where(own, d["prompts"] + theirs, groups)
    large = rng.random(users.size) < d["largest"]
    groups = np.where(large, groups.max() + 1, groups)
    pair = np.where(large, rng.integers(0, LARGE_PAIRS, users.size), pair)
    groups = np.unique(groups, return_inverse=True)[1]
    pairs = np.unique(groups * LARGE_PAIRS + pair, return_inverse=True)[1]
    effects = {name: d[name] for name in ("by_user", "by_group", "by_pair", "constant")}
    return World(users, groups, pairs, **effects)


def answers(world: World, quality: NDArray[np.float64], sides: NDArray[np.bool_]) -> EvaluationRows:
    """The judgements with a model's margins: right where the quality is above 0."""
    return EvaluationRows(
        margin=np.where(sides, quality, -quality),
        prefers_a=sides,
        users=world.users,
        groups=world.groups,
        user_names=pl.Series(np.arange(world.users.max() + 1)),
        n_ties=0,
    )


def replicator(cell: Cell) -> Callable[[int], Iterator[Outcome]]:
    """What one replication of the cell finds, by its number."""
    if cell.design["served"]:
        return _served_by_activity(cell)
    world = design(cell, cell.rng(), activities(cell))

    def replicate(number: int) -> Iterator[Outcome]:
        return _outcomes(world, cell.rng(1, number))

    return replicate


def _outcomes(world: World, rng: np.random.Generator) -> Iterator[Outcome]:
    base = world.draw(rng)
    # The twin is as good as the base, for these users too, and never the same.
    twin = base.mixed(world.draw(rng), ALIKE)
    twin = replace(twin, users=rng.permutation(base.users))
    other = base.mixed(world.draw(rng), ALIKE)
    better = replace(world, constant=world.constant + BETTER)
    sides = rng.random(world.users.size) < 0.5
    rows = answers(world, world.quality(base), sides)
    yield from _levels(world, base, rows)
    right = [(each.quality(d) > 0).astype(float) for each, d in ((better, other), (world, twin))]
    gains = [each - rows.correct for each in right]

    def truth(target: Any, average: Average) -> tuple[float, float]:
        before = world.truth(target, average, base)
        return (
            better.truth(target, average, other) - before,
            world.truth(target, average, twin) - before,
        )

    yield from _gains(world, gains, truth)


def _levels(world: World, drawn: Effects, rows: EvaluationRows) -> Iterator[Outcome]:
    for average, name in AVERAGES:
        for metric, expected in (("accuracy", share_right), ("log_loss", expected_loss)):
            found = compute(METRICS[metric], rows, average)
            if metric == "log_loss" and average == "user":
                continue
            figure = f"{metric.replace('_', ' ')} {name}"

            def truth(target: Any, average: Average = average, e: Any = expected) -> float:
                return world.truth(target, average, drawn, e)

            yield from with_these_users(figure, found, truth)
    auc = compute(METRICS["auc"], rows, "pair")
    yield from with_these_users("AUC", auc, lambda target: world.true_auc(target, drawn))
    served = world.served(drawn)
    ordered, size = np.sort(served), 0.1 * served.size
    tenth = ordered @ np.clip(size - np.arange(served.size), 0, 1) / size
    for metric, worst in (("worst_user", served.min()), ("worst_decile", tenth)):
        figure = metric.replace("decile", "tenth").replace("_", " ")
        yield held(figure, compute(METRICS[f"{metric}_accuracy"], rows, "user"), float(worst))


def with_these_users(
    figure: str, found: Interval, truth: Callable[[Any], float]
) -> Iterator[Outcome]:
    """An interval, and the one for these users that stands beside one about the population."""
    if found.low is None:
        yield held(figure, found, np.nan)
        return
    yield held(figure, found, truth(found.target))
    if found.these_users is not None:
        these = truth("these-users")
        yield Held(f"{figure}, these users", found.value, found.these_users, "these-users", these)


def _gains(
    world: World,
    gains: list[NDArray[np.float64]],
    truth: Callable[[Any, Average], tuple[float, float]],
) -> Iterator[Outcome]:
    zero = np.zeros(world.users.size)
    for average, name in AVERAGES:
        found = paired_difference(gains[0], zero, world.users, world.groups, average=average)

        def gain(target: Any, average: Average = average) -> float:
            return truth(target, average)[0]

        yield from with_these_users(f"gain {name}", found.interval, gain)
    nothing = paired_difference(gains[1], zero, world.users, world.groups, average="user")
    target = nothing.interval.target
    if nothing.interval.low is None:
        yield Held("gains together", None, None, target, np.nan)
        return
    false = nothing.interval.excludes(truth(target, "user")[1])
    if target != "these-prompts":  # where the twin is exactly as good
        false = nothing.p_value is not None and nothing.p_value < 0.05
    yield Claim("a gain where there is none", "null", false)
    family = simultaneous(gains, Judged(world.users, world.groups, target, "user"))
    yield _together(family, truth(target, "user"))


def _together(family: list[Difference | None], truths: tuple[float, float]) -> Outcome:
    """Whether all intervals of a family hold; its width is the mean of theirs."""
    ends, hit, errors = [], True, []
    for each, truth in zip(family, truths, strict=True):
        if each is None or each.low is None or each.high is None:
            return Held("gains together", None, None, "", np.nan)
        ends.append((each.low, each.high))
        hit &= each.low <= truth <= each.high
        errors.append((each.interval.value or 0.0) - truth)
    low, high = np.mean(ends, axis=0)
    interval = family[0].interval if family[0] else None
    target = interval.target if interval else ""
    return Held("gains together", errors[0], (float(low), float(high)), target, 0.0, hit)


def _served_by_activity(cell: Cell) -> Callable[[int], Iterator[Outcome]]:
    """Accuracy where users who answer more are served better, and activities are drawn anew."""
    slope, many = cell.design["served"], cell.rng(2)
    draws = [_activity_and_quality(cell, many, slope) for _ in range(MANY // cell.design["users"])]
    count, served = (np.concatenate(part) for part in zip(*draws, strict=True))
    truths = {"user": float(served.mean()), "pair": float(count @ served / count.sum())}

    def replicate(number: int) -> Iterator[Outcome]:
        rng = cell.rng(1, number)
        log_activity = activities(cell, rng)
        world = design(cell, rng, log_activity)
        drawn = world.draw(rng)
        drawn = replace(drawn, users=drawn.users + _lift(log_activity, slope))
        rows = answers(world, world.quality(drawn), rng.random(world.users.size) < 0.5)
        for average, name in AVERAGES:
            found = compute(METRICS["accuracy"], rows, average)

            def truth(
                target: Any, average: Average = average, w: World = world, d: Any = drawn
            ) -> float:
                return truths[average] if target == "population" else w.truth(target, average, d)

            yield from with_these_users(f"accuracy {name}", found, truth)

    return replicate


def _lift(log_activity: NDArray[np.float64], slope: float) -> NDArray[np.float64]:
    """What activity adds to the quality: one standard deviation of its logarithm adds `slope`."""
    return slope * log_activity / 1.6


def _activity_and_quality(
    cell: Cell, rng: np.random.Generator, slope: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    d = cell.design
    log_activity = activities(cell, rng)
    share = np.exp(log_activity) / np.exp(log_activity).sum()
    counts = np.maximum(np.round(share * d["judgements"] * d["users"]), 1)
    spread = np.sqrt(1 + d["by_user"] ** 2 + d["by_group"] ** 2 + d["by_pair"] ** 2)
    return counts, share_right(d["constant"] + _lift(log_activity, slope), float(spread))
