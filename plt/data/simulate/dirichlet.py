"""`synthetic:dirichlet`: people who mix ten rewards by Dirichlet weights, as in PersonalLLM (2024).

A small `alpha` gives people who follow one reward each, a large one gives people who are all alike.
Rewards are standardised over 300 reference texts that are written like the ones that are judged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from plt.data.simulate.world import interview, rewards, styles, survey, topical
from plt.data.simulate.world.survey import FloatArray
from plt.data.tables.preferences import Preferences

NAME = "dirichlet"
REFERENCE_PROMPTS, REFERENCE_RESPONSES = 75, 4


@dataclass(frozen=True)
class Config(topical.TopicSurvey):
    """Who is asked and what they are shown.

    Attributes:
        alpha: Concentration of the weights, the same for all ten rewards.
        standardise: Whether rewards are brought to mean 0 and deviation 1 before they are mixed.
        active: How many of the seven attributes of `styles` an answer shows.
    """

    users: int = 100
    overlap: float = 12.0
    scale: float = 5.0
    alpha: float = 0.1
    standardise: bool = True
    active: int = 3

    def problems(self) -> list[str]:
        """Every value that makes no sense, one sentence each."""
        return [
            *super().problems(),
            *survey.whole(self, active=(1, len(styles.ATTRIBUTES))),
            *survey.within(self, alpha=(1e-3, 1e6)),
            *survey.among(self, standardise=(True, False)),
        ]


def weights(config: Config) -> FloatArray:
    """The mixture of every person, shape (users, 10); rows sum to 1."""
    rng = survey.generator(config.seed, "people")
    return rng.dirichlet(np.full(len(rewards.NAMES), config.alpha), size=config.users)


def user_table(config: Config) -> pl.DataFrame:
    """A `users/1` frame: everybody's weights, and the reward that has the largest."""
    table = weights(config)
    top = [rewards.NAMES[column] for column in table.argmax(axis=1)]
    columns = {f"attr_{name}": table[:, i].tolist() for i, name in enumerate(rewards.NAMES)}
    return survey.user_frame(config, attr_top=top, **columns)


def reference(config: Config) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of every reward over the reference texts, shapes (10,)."""
    if not config.standardise:
        return np.zeros(len(rewards.NAMES)), np.ones(len(rewards.NAMES))
    write = styles.writer(config.active, config.seed)
    texts = topical.corpus(REFERENCE_PROMPTS, REFERENCE_RESPONSES, write).responses
    raw = rewards.raw_rewards(texts)
    return raw.mean(axis=0), raw.std(axis=0)


def _read(responses: Sequence[str], mean: FloatArray, sd: FloatArray) -> FloatArray:
    return rewards.standardise(rewards.raw_rewards(responses), mean, sd)


def simulate(config: Config) -> Preferences:
    """Simulates the population; see `plt.data.simulate.attributes.simulate`."""
    mean, sd = reference(config)
    write = styles.writer(config.active, config.seed)
    raw = topical.ask(config, write, partial(_read, mean=mean, sd=sd), weights(config))
    truth = survey.truth_of(NAME, config, mean=mean.tolist(), sd=sd.tolist())
    return interview.finish(raw, truth)


def true_reward(truth: Mapping[str, Any], responses: Sequence[str], user_id: str) -> FloatArray:
    """The true reward of any texts; see `attributes.true_reward`."""
    config = survey.config_of(Config, truth, NAME)
    user = survey.user_index(user_id, config.users)
    features = _read(responses, np.array(truth["mean"]), np.array(truth["sd"]))
    return np.asarray(features @ weights(config)[user])
