"""Who judges which pair, and what they say: from texts, features and weights to judgements.

A simulator makes texts, known features of those texts, and a weight of every feature for every
person. The true reward is their product; everything here follows from it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit

from plt.data.simulate.world.survey import (
    ROUNDING,
    FloatArray,
    IntArray,
    Survey,
    generator,
    user_ids,
)
from plt.data.tables.preferences import Message, Preferences, build
from plt.data.tables.schema import MESSAGES
from plt.data.tables.table import Meta
from plt.errors import UsageError

LICENSE = "CC0-1.0"


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
    if survey.ties == "skip":  # what is the same to everybody could never be asked
        apart = np.abs(features[candidates[:, 0]] - features[candidates[:, 1]]).max(axis=1)
        candidates = candidates[apart > ROUNDING]
    candidates = rng.permutation(candidates)
    pool = candidates[: _pool_size(survey, candidates, features, weights)]
    judged = np.zeros(len(pool))
    taken = np.zeros((survey.users, survey.pairs_per_user), dtype=np.int64)
    for user in rng.permutation(survey.users):
        priority = judged + rng.random(len(pool))
        priority[~_may_be_asked(survey, pool, features, weights[user])] = np.inf
        taken[user] = rng.permutation(np.argsort(priority)[: survey.pairs_per_user])
        judged[taken[user]] += 1
    return pool, taken


def _may_be_asked(
    survey: Survey, pairs: IntArray, features: FloatArray, weights: FloatArray
) -> NDArray[np.bool_]:
    if survey.ties != "skip":
        return np.ones(len(pairs), dtype=np.bool_)
    return np.abs(differences(features, pairs, weights)) > survey.tie_below + ROUNDING


def _pool_size(
    survey: Survey, candidates: IntArray, features: FloatArray, weights: FloatArray
) -> int:
    """How many of the candidates, from the first on, are the pool."""
    judgements = survey.users * survey.pairs_per_user
    size = math.ceil(judgements / min(survey.overlap, survey.users) - ROUNDING)
    if size > len(candidates):
        enough = math.ceil(10 * judgements / max(len(candidates), 1)) / 10
        fix = "lower pairs_per_user or make more texts"
        raise UsageError(
            f"{survey.users:,} users with {survey.pairs_per_user:,} pairs each, {survey.overlap:g}"
            f" users a pair, need {size:,} different pairs; the texts make {len(candidates):,}",
            hint=f"--set overlap={enough:g}" if enough <= survey.users else fix,
        )
    problems = []
    for user, name in enumerate(user_ids(survey.users)):
        fit = np.flatnonzero(_may_be_asked(survey, candidates, features, weights[user]))
        if len(fit) < survey.pairs_per_user:
            problems.append(f"{name} can tell apart only {len(fit)} of {len(candidates)} pairs")
        else:
            size = max(size, int(fit[survey.pairs_per_user - 1]) + 1)
    if problems:
        raise UsageError(
            f"somebody cannot judge {survey.pairs_per_user} pairs",
            problems=problems,
            hint="--set ties=label, or lower pairs_per_user",
        )
    return size


def interview(
    survey: Survey,
    corpus: Corpus,
    features: FloatArray,
    weights: FloatArray,
    candidates: IntArray | None = None,
) -> pl.DataFrame:
    """Asks everybody: the raw judgements that `plt.data.tables.preferences.build` takes.

    Args:
        survey: How people are asked.
        corpus: T texts.
        features: Shape (T, J), of the texts.
        weights: Shape (users, J); the true reward is features @ weights of the person.
        candidates: Pairs that may be asked, shape (N, 2); all comparable ones by default.

    Returns:
        users * (pairs_per_user + round(repeats * pairs_per_user)) rows.

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
    return judgements(corpus, pairs, np.concatenate(labels), pl.Series(ids).gather(users))


def judgements(
    corpus: Corpus, pairs: IntArray, label: FloatArray, users: pl.Series
) -> pl.DataFrame:
    """Raw rows of judged pairs; `build` alone decides which response is `a`.

    Args:
        corpus: The texts.
        pairs: Shape (n, 2), indices of responses to one prompt.
        label: Shape (n,), probability that the first is preferred.
        users: Shape (n,), who judged.
    """
    responses = pl.Series(corpus.responses, dtype=pl.String)
    prompts = messages(corpus.prompts)
    return pl.DataFrame(
        {
            "user_id": users,
            "prompt": prompts.gather(corpus.prompt[pairs[:, 0]]),
            "response_1": responses.gather(pairs[:, 0]),
            "response_2": responses.gather(pairs[:, 1]),
            "label": label,
        }
    )


def messages(prompts: Sequence[Sequence[Message]]) -> pl.Series:
    """Conversations as a column; built flat, since nested lists are slow."""
    number = np.repeat(np.arange(len(prompts)), [len(prompt) for prompt in prompts])
    flat = {
        field: [message[field] for prompt in prompts for message in prompt]
        for field in ("role", "content")
    }
    frame = pl.DataFrame({"number": number, **flat})
    grouped = frame.group_by("number", maintain_order=True).agg(pl.struct("role", "content"))
    return grouped["role"].cast(MESSAGES)


def with_profiles(raw: pl.DataFrame, people: pl.DataFrame) -> pl.DataFrame:
    """Adds what each person says of themselves to their judgements."""
    profiles = people.select("user_id", "profile")
    return raw.join(profiles, on="user_id", how="left", maintain_order="left")


def finish(raw: pl.DataFrame, truth: Mapping[str, Any]) -> Preferences:
    """The preference table of raw judgements, with the truth in its metadata."""
    meta = Meta(dataset=f"synthetic:{truth['simulator']}", license=LICENSE, truth=truth)
    return build(raw, meta)
