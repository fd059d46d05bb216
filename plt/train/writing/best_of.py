"""Best of N: of several texts, the one that a personalised reward model likes most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from plt.data.tables.schema import UNDECIDED
from plt.errors import UsageError
from plt.train.method import FloatArray, IntArray, RewardScorer, Texts
from plt.train.runs.fitted_run import FittedRun


@dataclass(frozen=True)
class Pick:
    """The best of several texts.

    Attributes:
        index: Which of the candidates; the first of equals (`UNDECIDED`).
        reward: Its reward under that person's model.
    """

    index: int
    reward: float


def best_of(
    fitted: FittedRun,
    prompts: Sequence[Sequence[Mapping[str, str]]],
    candidates: Sequence[Sequence[str]],
    users: Sequence[str | None],
) -> list[Pick]:
    """Picks one of the candidates of each prompt, for each person.

    Args:
        fitted: A reward run.
        prompts: n conversations.
        candidates: n lists of texts.
        users: n persons; None is the population.

    Returns:
        n picks.

    Raises:
        UsageError: The run gives margins only, or does not know a user.
    """
    refuse_margins(fitted)
    known = set(fitted.users)
    strangers = sorted({user for user in users if user is not None and known} - known)
    if strangers:
        raise UsageError(
            f"{fitted.run.path} does not know these users, so it cannot choose for them",
            problems=[repr(user) for user in strangers],
            hint="--user generic chooses by the population's reward",
        )
    texts, rows = _distinct(prompts, candidates)
    sizes = [len(each) for each in candidates]
    whose = [user for user, size in zip(users, sizes, strict=True) for _ in range(size)]
    method = fitted.method
    assert isinstance(method, RewardScorer)
    rewards = np.split(method.reward(texts, rows, whose), np.cumsum(sizes)[:-1])
    return [first_best(each) for each in rewards]


def first_best(rewards: FloatArray) -> Pick:
    """The first text that no other is better than by an opinion (`UNDECIDED`)."""
    index = int(np.flatnonzero(rewards > rewards.max() - UNDECIDED)[0])
    return Pick(index, float(rewards[index]))


def refuse_margins(fitted: FittedRun) -> None:
    """Raises `UsageError` for a method that compares two texts and rewards none."""
    if not isinstance(fitted.method, RewardScorer):
        raise UsageError(
            f"{fitted.run.identity.method} compares two texts and gives no rewards to choose by",
            hint="--reward RUN of a reward model: plt ls methods",
        )


def _distinct(
    prompts: Sequence[Sequence[Mapping[str, str]]], candidates: Sequence[Sequence[str]]
) -> tuple[Texts, IntArray]:
    """Each (prompt, response) once, and which of them each candidate is."""
    places: dict[tuple[tuple[tuple[str, str], ...], str], int] = {}
    kept: list[Sequence[Mapping[str, str]]] = []
    rows = []
    for prompt, texts in zip(prompts, candidates, strict=True):
        turns = tuple((turn["role"], turn["content"]) for turn in prompt)
        for text in texts:
            place = places.setdefault((turns, text), len(places))
            if place == len(kept):
                kept.append(prompt)
            rows.append(place)
    return Texts(kept, [text for _, text in places]), np.array(rows, dtype=np.int64)
