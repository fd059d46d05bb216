"""Replications of what is said of single people, and of contests between two systems."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plt.analyze.comparison.win_rate import win_rates
from plt.analyze.scores.accuracy import worst_user
from plt.analyze.scores.harmed import HARM
from plt.analyze.scores.worst_decile import worst_decile
from plt.data.tables.schema import VERDICTS, conform
from tests.analyze.judged_worlds import Effects, World
from tests.analyze.scores import test_harmed, test_worst_decile
from tests.coverage.grid import Cell
from tests.coverage.judgements import with_these_users
from tests.coverage.tally import Claim, Held, Outcome, held

Replicate = Callable[[int], Iterator[Outcome]]
PROMPTS, SAMPLES = 30, 2


def of_harmed(cell: Cell) -> Replicate:
    """Users who lose by a model: who is named, and how many at least."""
    make, n, agree, a_prompt = test_harmed.WORLDS[cell.design["world"]]

    def replicate(number: int) -> Iterator[Outcome]:
        rng = cell.rng(1, number)
        loss = make(rng)
        found = test_harmed.world(loss, n, rng, agree=agree, a_prompt=a_prompt)
        harmed = {f"u{i:03d}" for i in np.flatnonzero(loss > HARM + 1e-9)}
        named = set(found.users)
        wrongly = len(named - harmed) / max(len(named), 1)
        yield Claim("users named as harmed who are not", "discoveries", wrongly)
        if harmed and cell.design["world"] == "a fifth harmed":
            yield Claim("harmed users named", "planted", len(named & harmed) / len(harmed))
        if found.at_least is None:
            yield Held("number harmed at least", None, None, "these-users", len(harmed))
            return
        ends = (float(found.at_least), float(loss.size))
        yield Held("number harmed at least", None, ends, "these-users", len(harmed))

    return replicate


def of_worst(cell: Cell) -> Replicate:
    """The worst user and the worst tenth, in shapes that no model of them has."""
    make, n = test_worst_decile.WORLDS[cell.design["world"]]

    def replicate(number: int) -> Iterator[Outcome]:
        rng = cell.rng(1, number)
        served = np.clip(make(rng), 0.001, 0.999)
        rows = test_worst_decile.answered(served, np.full(served.size, n), rng)
        ordered, size = np.sort(served), 0.1 * served.size
        tenth = ordered @ np.clip(size - np.arange(served.size), 0, 1) / size
        yield held("worst user", worst_user(rows, "user"), float(served.min()))
        yield held("worst tenth", worst_decile(rows, "user"), float(tenth))

    return replicate


def of_contests(cell: Cell) -> Replicate:
    """Win rates by a judge who in some readings takes the text shown first, whatever it is.

    Habit spoils the reading in which the worse text stands first, which makes a tie: at a habit of
    h the rate with ties as halves is h / 2 + (1 - h) times that of the decided contests.
    """
    n_users, habit = cell.design["users"], cell.design["habit"]
    users, prompts, samples = np.indices((n_users, PROMPTS, SAMPLES)).reshape(3, -1)
    world = World(users, prompts)

    def replicate(number: int) -> Iterator[Outcome]:
        rng = cell.rng(1, number)
        drawn = world.draw(rng)
        table = _verdicts(world, drawn, samples, habit, rng)
        (found,) = win_rates(table)

        def decided(target: Any) -> float:
            return world.truth(target, "user", drawn)

        def halves(target: Any) -> float:
            return 0.5 * habit + (1 - habit) * decided(target)

        yield from with_these_users("win rate decided", found.decided, decided)
        yield from with_these_users("win rate by user", found.by_user, halves)
        yield from with_these_users("win rate pooled", found.pooled, halves)

    return replicate


def _verdicts(
    world: World,
    drawn: Effects,
    samples: NDArray[np.int64],
    habit: float,
    rng: np.random.Generator,
) -> pl.DataFrame:
    won = np.where(world.quality(drawn) > 0, "1", "2")
    parts = []
    for order in ("1-first", "2-first"):
        by_habit = rng.random(won.size) < habit
        parts.append(np.where(by_habit, order[0], won))
    n = won.size
    named = pl.Series(np.tile(world.users, 2)), pl.Series(np.tile(world.groups, 2))
    frame = pl.DataFrame(
        {
            "user_id": "u" + named[0].cast(pl.String),
            "prompt_id": named[1],
            "group": "g" + named[1].cast(pl.String),
            "sample": np.tile(samples, 2),
            "system_1": ["one"] * 2 * n,
            "system_2": ["two"] * 2 * n,
            "judge": ["j"] * 2 * n,
            "order": np.repeat(["1-first", "2-first"], n),
            "verdict": np.concatenate(parts),
        }
    )
    return conform(frame.with_columns(reason=pl.lit(None, dtype=pl.String)), VERDICTS)
