"""What active questions are worth: simulated people of several kinds, and raters of jokes.

``python -m tests.train.heads.active_selection > tests/golden/active_selection.json`` takes some
minutes; the jokes are left out where they are not there.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.special import expit

from plt.train.heads.empirical_bayes import Prior, moments
from plt.train.heads.newton import Problems
from plt.train.heads.posterior import gaussian_posterior
from plt.train.heads.selection import CRITERIA, Criterion, Keys, next_own, other_side
from plt.train.method import FloatArray, IntArray, Placement
from tests.train.heads.active_jokes import JOKES, joke_table

COMMAND = "python -m tests.train.heads.active_selection > tests/golden/active_selection.json"
N_PEOPLE = 200
N_FRESH = 400
AT = (5, 15)


@dataclass(frozen=True)
class World:
    """People and what they can be asked (methods.md, O-4).

    Attributes:
        j: Coordinates.
        size: Expected root mean square length of a person's coordinates.
        pool: Pairs that each person can be asked.
        unit: Whether pairs have length 1.
        beta: Precision of the prior around 0; None is the mean and covariance of 200 others.
        mean: Of people's coordinates, as a share of `size`.
        form: How people choose: ``linear``, heavy-tailed coordinates (``t``, 3 degrees of
            freedom), or by squared ``distance`` from an ideal point, which no linear reward is.
        flips: Share of answers that are turned round.
    """

    j: int = 6
    size: float = 2.4
    pool: int = 200
    unit: bool = False
    beta: float | None = 0.1
    mean: float = 0.0
    form: Literal["linear", "t", "distance"] = "linear"
    flips: float = 0.0


WORLDS = {
    "base": World(),
    "size 1": World(size=1.0),
    "size 5": World(size=5.0),
    "size 12": World(size=12.0),
    "J 2": World(j=2),
    "J 4": World(j=4),
    "J 8": World(j=8),
    "pool 30": World(pool=30),
    "pool 1000": World(pool=1000),
    "beta 0.01": World(beta=0.01),
    "beta 1": World(beta=1.0),
    "unit pairs, size 12": World(unit=True, size=12.0),
    "population prior": World(beta=None),
    "common taste": World(mean=0.7),
    "common taste, population prior": World(mean=0.7, beta=None),
    "flips, population prior": World(flips=0.1, beta=None),
    "heavy-tailed, population prior": World(form="t", beta=None),
    "squared distance, population prior": World(form="distance", beta=None),
}
STOP_WORLDS = (
    "base",
    "population prior",
    "common taste, population prior",
    "heavy-tailed, population prior",
    "squared distance, population prior",
)


@dataclass(frozen=True)
class People:
    """What is true of U people: texts of a pool and fresh ones, and true margins of both.

    Attributes:
        pool: Differences of phi, shape (U, P, J).
        pool_margin: Shape (U, P).
        fresh: Shape (U, N_FRESH, J).
        fresh_margin: Shape (U, N_FRESH).
        prior: That the questioner has.
    """

    pool: FloatArray
    pool_margin: FloatArray
    fresh: FloatArray
    fresh_margin: FloatArray
    prior: Prior


def people_of(world: World, seed: int, n_people: int = N_PEOPLE) -> People:
    """Draws of a world."""
    rng = np.random.default_rng([seed, 7])
    others, here = (_coordinates(world, rng, n) for n in (200, n_people))
    pairs = [_pairs(world, rng, (n_people, n)) for n in (world.pool, N_FRESH)]
    margins = [_margins(world, here, a, b) for a, b in pairs]
    differences = [a - b for a, b in pairs]
    if world.beta is None:
        prior = moments(_heads(world, others))
    else:
        n = differences[0].shape[2]
        prior = Prior(np.zeros(n), np.eye(n) / np.sqrt(world.beta))
    return People(differences[0], margins[0], differences[1], margins[1], prior)


def _coordinates(world: World, rng: np.random.Generator, n: int) -> FloatArray:
    own = rng.normal(size=(n, world.j))
    if world.form == "t":
        # Variance 1: 3 degrees of freedom have 3, and one draw a person makes whole people extreme.
        own *= 1 / np.sqrt(rng.chisquare(3, size=(n, 1)))
    common = np.zeros(world.j)
    common[0] = world.mean * np.sqrt(world.j)
    own = np.sqrt(1 - world.mean**2) * own + common
    return np.asarray(own * world.size / np.sqrt(world.j))


def _pairs(
    world: World, rng: np.random.Generator, shape: tuple[int, int]
) -> tuple[FloatArray, FloatArray]:
    """Both sides of pairs; their difference is standard normal, or of length 1."""
    a, b = rng.normal(size=(2, *shape, world.j)) / np.sqrt(2)
    if world.unit:
        length = np.linalg.norm(a - b, axis=-1, keepdims=True)
        a, b = a / length, b / length
    return a, b


def _margins(world: World, here: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    if world.form == "distance":
        return np.asarray(_distance(b, here) - _distance(a, here)) * world.size / 4
    return np.asarray(np.einsum("upj,uj->up", a - b, here))


def _distance(x: FloatArray, here: FloatArray) -> FloatArray:
    # Ideal points lie among the texts, at about their distance from the middle.
    ideal = here / np.linalg.norm(here, axis=1, keepdims=True)
    return np.asarray(((x - ideal[:, None]) ** 2).sum(axis=-1))


def _heads(world: World, others: FloatArray) -> FloatArray:
    """What a linear fit of these people comes to."""
    if world.form == "distance":
        return np.asarray(others / np.linalg.norm(others, axis=1, keepdims=True) * world.size / 2)
    return others


@dataclass(frozen=True)
class Session:
    """What a questioner knew after each number of answers.

    Attributes:
        agreement: Share of fresh pairs on whose side it was right, [answers] to (U,).
        doubt: Share on which it expected not to be, [answers] to (U,).
    """

    agreement: dict[int, FloatArray]
    doubt: dict[int, FloatArray]


def session(
    people: People, world: World, criterion: Criterion, seed: int, at: Sequence[int] = AT
) -> Session:
    """Asks everybody up to the last of `at` questions, one after the other."""
    rng = np.random.default_rng([seed, 8])
    n_people, n_pool, j = people.pool.shape
    label = (rng.random(people.pool_margin.shape) < expit(people.pool_margin)).astype(np.float64)
    turned = rng.random(label.shape) < world.flips
    label = np.where(turned, 1 - label, label)
    questions = on_differences(people.pool.reshape(-1, j), np.full(n_people, n_pool))
    open_rows = np.ones(n_people * n_pool, dtype=bool)
    keys: Keys = rng.integers(0, 2**63, size=(n_people,)).astype(np.uint64)
    asked = np.zeros((n_people, 0), dtype=np.int64)
    found = Session({}, {})
    for n in range(max(at) + 1):
        placement = placed(questions, label.ravel(), asked, people.prior)
        if n in at:
            margin = np.einsum("ufj,uj->uf", people.fresh, placement.mean)
            right = (margin > 0) == (people.fresh_margin > 0)
            found.agreement[n] = np.where(margin == 0, 0.5, right).mean(axis=1)
            variance = placement.spread.own_variances(people.fresh)
            found.doubt[n] = other_side(margin, variance).mean(axis=1)
        chosen = next_own(placement, questions, criterion, open_rows, keys)
        if (chosen < 0).any():
            break
        open_rows[chosen] = False
        asked = np.concatenate([asked, chosen[:, None]], axis=1)
    return found


def on_differences(x: FloatArray, sizes: IntArray) -> Problems:
    """Rows whose differences are given: each row a text, against one of 0."""
    n = len(x)
    features = np.concatenate([x, np.zeros((1, x.shape[1]))])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    return Problems(features, np.arange(n), np.full(n, n), np.zeros(n), np.ones(n), starts)


def placed(questions: Problems, label: FloatArray, asked: IntArray, prior: Prior) -> Placement:
    """Everybody after the answers to rows `asked` of shape (U, n)."""
    rows = asked.ravel()
    answers = replace(
        questions,
        a=questions.a[rows],
        b=questions.b[rows],
        label=label[rows],
        weight=np.ones(len(rows)),
        starts=np.arange(len(asked) + 1) * asked.shape[1],
    )
    return gaussian_posterior(answers, prior)


def agreement_table(
    worlds: Sequence[str] = tuple(WORLDS),
    criteria: Sequence[Criterion] = CRITERIA,
    n_people: int = N_PEOPLE,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Agreement with the true sides of fresh pairs after 5 and 15 answers."""
    table = []
    for name in worlds:
        world = WORLDS[name]
        people = people_of(world, seed, n_people)
        for criterion in criteria:
            found = session(people, world, criterion, seed, AT)
            row: dict[str, Any] = {"world": name, "criterion": criterion}
            for n in AT:
                row[f"at {n}"] = round(float(found.agreement[n].mean()), 4)
            row["error at 15"] = round(float(found.agreement[15].std() / np.sqrt(n_people)), 4)
            table.append(row)
    return table


def label_ratio(n_people: int = 4 * N_PEOPLE, seed: int = 0) -> dict[str, Any]:
    """How many questions of other kinds are as good as 15 weighted ones, in the base world."""
    world = WORLDS["base"]
    people = people_of(world, seed, n_people)
    curves = {
        criterion: session(people, world, criterion, seed, range(61)).agreement
        for criterion in ("random", "uncertainty", "weighted")
    }
    goal = float(curves["weighted"][15].mean())
    found: dict[str, Any] = {
        f"{criterion} at 15": round(float(curve[15].mean()), 4)
        for criterion, curve in curves.items()
    }
    for criterion in ("random", "uncertainty"):
        reached = (n for n, share in curves[criterion].items() if share.mean() >= goal)
        found[f"{criterion} needs"] = next(reached, None)
    return found | {"n_people": n_people}


STOP_AT = (0.25, 0.2, 0.15, 0.1)


def stop_table(
    worlds: Sequence[str] = STOP_WORLDS, n_people: int = N_PEOPLE, seed: int = 0
) -> list[dict[str, Any]]:
    """Asking until the expected share of wrong sides is small: what is it then, and how soon."""
    table = []
    for name in worlds:
        world = WORLDS[name]
        found = session(people_of(world, seed, n_people), world, "weighted", seed, range(61))
        expected = np.stack(list(found.doubt.values()))
        wrong = 1 - np.stack(list(found.agreement.values()))
        for limit in STOP_AT:
            reached = expected <= limit
            done = reached.any(axis=0)
            n = np.argmax(reached, axis=0)[done]
            column = np.flatnonzero(done)
            table.append(
                {
                    "world": name,
                    "stop at": limit,
                    "stopped": round(float(done.mean()), 3),
                    "questions": float(np.median(n)) if len(n) else None,
                    "expected": _mean(expected[n, column]),
                    "wrong": _mean(wrong[n, column]),
                }
            )
    return table


def _mean(values: FloatArray) -> float | None:
    return round(float(values.mean()), 4) if len(values) else None


if __name__ == "__main__":
    found = {
        "command": COMMAND,
        "n_people": N_PEOPLE,
        "ratio": label_ratio(),
        "agreement": agreement_table(),
        "stop": stop_table(),
        "jokes": joke_table() if JOKES.exists() else None,
    }
    print(json.dumps(found, indent=1))
