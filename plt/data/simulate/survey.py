"""Who is asked what, and what they answer: the part that all simulators share.

A simulator makes texts, known features of those texts, and a weight of every feature for every
person. The true reward is their product; everything here follows from it.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit

from plt.data.preferences import Message, Preferences, build
from plt.data.schema import MESSAGES
from plt.data.table import Meta
from plt.errors import DataError, UsageError

IntArray: TypeAlias = NDArray[np.int64]
FloatArray: TypeAlias = NDArray[np.float64]

Ties = Literal["skip", "label", "coin"]
Labels = Literal["sampled", "hard", "soft"]
ROUNDING = 1e-9  # rewards are sums of a few products: a smaller difference is no difference
LICENSE = "CC0-1.0"


@dataclass(frozen=True)
class Survey:
    """How a population is asked; every simulator's `Config` begins with these fields.

    Attributes:
        users: Number of people.
        pairs_per_user: Different pairs that each person judges.
        overlap: Mean number of people who judge a pair, from 1 (nobody shares a pair) to `users`
            (everybody judges the same pairs). The pool has users * pairs_per_user / overlap pairs.
            Every pair of it has `overlap` judges, rounded down or up; where ties are skipped a few
            pairs may have more or fewer.
        repeats: Share of a person's pairs that are judged a second time (occurrence 1), afresh.
        ties: What happens to pairs whose true rewards differ by no more than `tie_below`: they are
            never asked (``skip``), get the label 0.5 (``label``) or that of a coin (``coin``).
        tie_below: The largest difference of true rewards that a person does not notice.
        labels: ``sampled`` from Bradley-Terry, ``hard`` (whoever has the higher true reward), or
            ``soft`` (the probability itself).
        scale: P(first preferred) = sigmoid(scale * difference of true rewards); ties of the kind
            ``label`` and labels of the kind ``hard`` do not use it.
        noise: Probability that a finished label is turned round. At 0.5 every label is a fair
            coin, independent of everything. A label 0.5 stays.
        seed: Of everything that is drawn.
    """

    users: int = 84
    pairs_per_user: int = 50
    overlap: float = 10.0
    repeats: float = 0.2
    ties: Ties = "skip"
    tie_below: float = 0.0
    labels: Labels = "sampled"
    scale: float = 3.0
    noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if problems := self.problems():
            raise UsageError(
                "the population cannot be simulated", problems=problems, hint="plt ls datasets"
            )

    def problems(self) -> list[str]:
        """Every value that makes no sense, one sentence each."""
        return [
            *whole(self, users=1, pairs_per_user=1, seed=0),
            *within(
                self, overlap=(1, max(self.users, 1)), repeats=(0, 1), noise=(0, 0.5),
                tie_below=(0, math.inf), scale=(0, math.inf),
            ),
            *among(self, ties=get_args(Ties), labels=get_args(Labels)),
        ]  # fmt: skip


def whole(config: object, **least: int) -> list[str]:
    """Which of the named fields are not whole numbers of at least the given size."""
    found = [(name, getattr(config, name), low) for name, low in least.items()]
    return [
        f"{name} is {value!r}; it must be a whole number of at least {low}"
        for name, value, low in found
        if isinstance(value, bool) or not isinstance(value, int) or value < low
    ]


def within(config: object, **ranges: tuple[float, float]) -> list[str]:
    """Which of the named fields are not finite numbers in the given closed range."""
    problems = []
    for name, (low, high) in ranges.items():
        value = getattr(config, name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and math.isfinite(value) and low <= value <= high):
            limits = f"at least {low:g}" if high == math.inf else f"in [{low:g}, {high:g}]"
            problems.append(f"{name} is {value!r}; it must be a number {limits}")
    return problems


def among(config: object, **known: Sequence[str]) -> list[str]:
    """Which of the named fields are none of the known words."""
    found = [(name, getattr(config, name), words) for name, words in known.items()]
    return [
        f"{name} is {value!r}; known are {', '.join(words)}"
        for name, value, words in found
        if value not in words
    ]


def generator(seed: int, stage: str) -> np.random.Generator:
    """The random numbers of one stage: another stage's draws never shift them."""
    return np.random.default_rng(np.random.SeedSequence([seed, *stage.encode()]))


def user_ids(count: int) -> list[str]:
    """``u001``, ``u002``, ...; wider where there are more than 999."""
    width = max(3, len(str(count)))
    return [f"u{number:0{width}d}" for number in range(1, count + 1)]


def user_index(user_id: str, count: int) -> int:
    """The position of a simulated person.

    Raises:
        UsageError: Nobody has that name.
    """
    ids = user_ids(count)
    if user_id not in ids:
        raise UsageError(f"there is no user '{user_id}'; they are {ids[0]} to {ids[-1]}")
    return ids.index(user_id)


def user_frame(config: Survey, **columns: Sequence[Any]) -> pl.DataFrame:
    """A `users/1` frame; `columns` are `profile` and what starts with ``attr_``."""
    frame = pl.DataFrame({"user_id": user_ids(config.users), **columns})
    return frame if "profile" in columns else frame.with_columns(profile=pl.lit(None, pl.String))


ConfigType = TypeVar("ConfigType", bound=Survey)


def truth_of(simulator: str, config: Survey, **constants: Any) -> dict[str, Any]:
    """What `Meta.truth` holds: the simulator, every parameter, the seed, and fitted constants."""
    parameters = dataclasses.asdict(config)
    seed = parameters.pop("seed")
    return {"simulator": simulator, "parameters": parameters, "seed": seed, **constants}


def config_of(config: type[ConfigType], truth: Mapping[str, Any], simulator: str) -> ConfigType:
    """The inverse of `truth_of`.

    Raises:
        DataError: The truth is that of another simulator or has unknown parameters.
    """
    if truth.get("simulator") != simulator:
        raise DataError(f"this truth is of '{truth.get('simulator')}', not of '{simulator}'")
    parameters = {**truth["parameters"], "seed": truth["seed"]}
    unknown = sorted(parameters.keys() - {field.name for field in dataclasses.fields(config)})
    if unknown:
        raise DataError(f"the simulator '{simulator}' has no parameter {', '.join(unknown)}")
    return config(**parameters)


@dataclass(frozen=True)
class Corpus:
    """Texts that can be compared.

    Attributes:
        prompts: P conversations.
        responses: T answers; no two to one prompt are the same.
        prompt: Shape (T,): which prompt each answers.
    """

    prompts: Sequence[Sequence[Message]]
    responses: Sequence[str]
    prompt: IntArray

    def comparable(self) -> IntArray:
        """Every pair of responses to one prompt, shape (N, 2), the smaller index first."""
        order = np.argsort(self.prompt, kind="stable")
        sizes = np.bincount(self.prompt, minlength=len(self.prompts))
        starts = np.cumsum(sizes) - sizes
        blocks = [
            np.stack(np.triu_indices(size, 1), axis=1) + start
            for start, size in zip(starts, sizes, strict=True)
        ]
        return np.asarray(order[np.concatenate(blocks)], dtype=np.int64)


def differences(features: FloatArray, pairs: IntArray, weights: FloatArray) -> FloatArray:
    """True reward of the first response minus that of the second, shape (N,), for one person."""
    return np.asarray((features @ weights)[pairs] @ np.array([1.0, -1.0]))


def answer(survey: Survey, difference: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Labels of shape (n,): probability that the person says the first response is better.

    Args:
        survey: Its `labels`, `scale`, `ties`, `tie_below` and `noise` are used.
        difference: True reward of the first response minus that of the second, shape (n,).
        rng: A fresh draw a judgement.
    """
    tied = np.abs(difference) <= survey.tie_below + ROUNDING
    probability = np.where(tied, 0.5, (difference > 0).astype(float))
    if survey.labels != "hard":
        probability = np.where(tied, 0.5, expit(survey.scale * difference))
    coins = rng.random((2, len(difference)))
    if survey.labels == "soft":
        label = probability + survey.noise * (1 - 2 * probability)
    else:
        label = (coins[0] < probability).astype(float)
        label = np.where(coins[1] < survey.noise, 1 - label, label)
    return np.where(tied, 0.5, label) if survey.ties == "label" else label


def deal(
    survey: Survey, candidates: IntArray, features: FloatArray, weights: FloatArray
) -> tuple[IntArray, IntArray]:
    """Decides which pairs exist and who judges which.

    People come one after the other, in random order, and each takes the pairs that have been
    judged least so far, at random among equals; so the numbers of judges differ by at most one
    unless ties are skipped.

    Args:
        survey: How people are asked.
        candidates: Every pair that may be asked, shape (N, 2), as rows of `features`.
        features: Shape (T, J).
        weights: Shape (users, J).

    Returns:
        The pairs of the pool, shape (P, 2); and for every person, shape (users, pairs_per_user),
        which of them.

    Raises:
        UsageError: There are too few pairs, or somebody is indifferent to too many.
    """
    rng = generator(survey.seed, "pairs")
    pool = _pool(survey, candidates, features, rng)
    judged = np.zeros(len(pool))
    taken = np.zeros((survey.users, survey.pairs_per_user), dtype=np.int64)
    problems = []
    for user in rng.permutation(survey.users):
        priority = judged + rng.random(len(pool))
        if survey.ties == "skip":
            difference = differences(features, pool, weights[user])
            priority[np.abs(difference) <= survey.tie_below + ROUNDING] = np.inf
        count = int(np.isfinite(priority).sum())
        if count < survey.pairs_per_user:
            problems.append(f"user {user + 1} can tell apart only {count} of {len(pool)} pairs")
            continue
        taken[user] = rng.permutation(np.argsort(priority)[: survey.pairs_per_user])
        judged[taken[user]] += 1
    if problems:
        raise UsageError(
            f"somebody cannot judge {survey.pairs_per_user} pairs",
            problems=problems,
            hint="lower pairs_per_user or overlap, or set ties=label",
        )
    return pool, taken


def _pool(
    survey: Survey, candidates: IntArray, features: FloatArray, rng: np.random.Generator
) -> IntArray:
    if survey.ties == "skip":  # what is the same to everybody could never be asked
        apart = np.abs(features[candidates[:, 0]] - features[candidates[:, 1]]).max(axis=1)
        candidates = candidates[apart > ROUNDING]
    size = math.ceil(survey.users * survey.pairs_per_user / survey.overlap - ROUNDING)
    if size > len(candidates):
        least = survey.users * survey.pairs_per_user / max(len(candidates), 1)
        raise UsageError(
            f"overlap {survey.overlap:g} needs {size:,} different pairs;"
            f" the texts make {len(candidates):,}",
            hint=f"raise overlap to {math.ceil(10 * least) / 10:g}, or make more texts",
        )
    chosen = rng.choice(len(candidates), size=size, replace=False)
    return candidates[chosen]


def interview(
    survey: Survey,
    corpus: Corpus,
    features: FloatArray,
    weights: FloatArray,
    candidates: IntArray | None = None,
) -> pl.DataFrame:
    """Asks everybody: the raw judgements that `plt.data.preferences.build` takes.

    Args:
        survey: How people are asked.
        corpus: T texts.
        features: Shape (T, J), of the texts.
        weights: Shape (users, J); the true reward is features @ weights of the person.
        candidates: Pairs that may be asked, shape (N, 2); all comparable ones by default.

    Returns:
        users * (pairs_per_user + round(repeats * pairs_per_user)) rows; which response comes first
        is random.

    Raises:
        UsageError: As `deal`.
    """
    pool, taken = deal(
        survey, corpus.comparable() if candidates is None else candidates, features, weights
    )
    again = taken[:, : round(survey.repeats * survey.pairs_per_user)]
    asked = np.concatenate([taken, again], axis=1)
    rng = generator(survey.seed, "answers")
    labels = [
        answer(survey, differences(features, pool[row], weights[user]), rng)
        for user, row in enumerate(asked)
    ]
    pairs = pool[asked.ravel()]
    ids = user_ids(survey.users)
    users = np.repeat(np.arange(survey.users), asked.shape[1])
    return judgements(corpus, pairs, np.concatenate(labels), pl.Series(ids).gather(users), rng)


def judgements(
    corpus: Corpus, pairs: IntArray, label: FloatArray, users: pl.Series, rng: np.random.Generator
) -> pl.DataFrame:
    """Raw rows of judged pairs, the side of the two responses drawn anew for each.

    Args:
        corpus: The texts.
        pairs: Shape (n, 2), indices of responses to one prompt.
        label: Shape (n,), probability that the first is preferred.
        users: Shape (n,), who judged.
        rng: For the sides.
    """
    swap = rng.random(len(pairs)) < 0.5
    pairs = np.where(swap[:, None], pairs[:, ::-1], pairs)
    responses = pl.Series(corpus.responses, dtype=pl.String)
    prompts = pl.Series(corpus.prompts, dtype=MESSAGES)
    return pl.DataFrame(
        {
            "user_id": users,
            "prompt": prompts.gather(corpus.prompt[pairs[:, 0]]),
            "response_1": responses.gather(pairs[:, 0]),
            "response_2": responses.gather(pairs[:, 1]),
            "label": np.where(swap, 1 - label, label),
        }
    )


def with_profiles(raw: pl.DataFrame, people: pl.DataFrame) -> pl.DataFrame:
    """Adds what each person says of themselves to their judgements."""
    profiles = people.select("user_id", "profile")
    return raw.join(profiles, on="user_id", how="left", maintain_order="left")


def finish(raw: pl.DataFrame, truth: Mapping[str, Any]) -> Preferences:
    """The preference table of raw judgements, with the truth in its metadata."""
    meta = Meta(dataset=f"synthetic:{truth['simulator']}", license=LICENSE, truth=truth)
    return build(raw, meta)
