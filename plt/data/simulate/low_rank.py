"""`synthetic:low-rank`: rewards that are inner products of a few factors, as PReF and LoRe assume.

The seven attributes of an answer are turned into a few uncorrelated factors of variance 1; every
person weighs them by independent normal draws. Weights are scaled so that over people and pairs
the difference of two true rewards has variance 1, and `scale` is its spread in log-odds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from plt.data.simulate.world import interview, styles, survey, topical
from plt.data.simulate.world.survey import FloatArray
from plt.data.tables.preferences import Preferences

NAME = "low-rank"


@dataclass(frozen=True)
class Config(topical.TopicSurvey):
    """Who is asked and what they are shown.

    Attributes:
        factors: Rank of the rewards.
        active: How many of the seven attributes an answer shows.
    """

    scale: float = 2.0
    factors: int = 4
    active: int = 3

    def problems(self) -> list[str]:
        """Every value that makes no sense, one sentence each."""
        seven = (1, len(styles.ATTRIBUTES))
        return [
            *super().problems(),
            *survey.whole(self, factors=seven, active=seven),
        ]


def loadings(config: Config) -> FloatArray:
    """What an attribute adds to each factor, shape (7, factors); columns are orthogonal."""
    rng = survey.generator(config.seed, "factors")
    size = len(styles.ATTRIBUTES)
    rotation = np.linalg.qr(rng.standard_normal((size, size)))[0]
    return np.asarray(rotation[:, : config.factors] / np.sqrt(config.active / size))


def weights(config: Config) -> FloatArray:
    """What every person gives for each factor, shape (users, factors)."""
    rng = survey.generator(config.seed, "people")
    draws = rng.standard_normal((config.users, config.factors))
    return np.asarray(draws / np.sqrt(2 * config.factors))


def user_table(config: Config) -> pl.DataFrame:
    """A `users/1` frame: everybody's weights."""
    table = weights(config)
    columns = {f"attr_factor_{j + 1}": table[:, j].tolist() for j in range(config.factors)}
    return survey.user_frame(config, **columns)


def _read(responses: Sequence[str], table: FloatArray) -> FloatArray:
    return np.asarray(styles.read(responses) @ table)


def simulate(config: Config) -> Preferences:
    """Simulates the population; see `plt.data.simulate.attributes.simulate`."""
    write = styles.writer(config.active, config.seed)
    raw = topical.ask(config, write, partial(_read, table=loadings(config)), weights(config))
    return interview.finish(raw, survey.truth_of(NAME, config))


def true_reward(truth: Mapping[str, Any], responses: Sequence[str], user_id: str) -> FloatArray:
    """The true reward of any texts; see `attributes.true_reward`."""
    config = survey.config_of(Config, truth, NAME)
    user = survey.user_index(user_id, config.users)
    return np.asarray(_read(responses, loadings(config)) @ weights(config)[user])
