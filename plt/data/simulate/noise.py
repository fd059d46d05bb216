"""`synthetic:noise`: everybody has the same taste, and people differ by slips alone.

The null population: whatever finds a person's own taste here is mistaken. With `noise` 0.5 every
judgement is an independent fair coin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from plt.data.simulate.world import interview, styles, survey, topical
from plt.data.simulate.world.survey import FloatArray, Labels
from plt.data.tables.preferences import Preferences

NAME = "noise"
# No two answers that differ in any attribute come out equal by these.
TASTE = {
    "length": -0.2303, "formality": 0.4114, "humour": 0.5885, "engagement": 0.7137,
    "politeness": 1.0, "enthusiasm": 0.3079, "confidence": 0.8251,
}  # fmt: skip


@dataclass(frozen=True)
class Config(topical.TopicSurvey):
    """Who is asked and what they are shown.

    Attributes:
        active: How many of the seven attributes an answer shows.
    """

    labels: Labels = "hard"
    noise: float = 0.2
    active: int = 3

    def problems(self) -> list[str]:
        """Every value that makes no sense, one sentence each."""
        return [
            *super().problems(),
            *survey.whole(self, active=(1, len(styles.ATTRIBUTES))),
        ]


def taste() -> FloatArray:
    """What everybody gives for each attribute, shape (7,)."""
    return np.array([TASTE[attribute] for attribute in styles.ATTRIBUTES])


def user_table(config: Config) -> pl.DataFrame:
    """A `users/1` frame of people who have nothing of their own to say."""
    return survey.user_frame(config)


def simulate(config: Config) -> Preferences:
    """Simulates the population; see `plt.data.simulate.attributes.simulate`."""
    write = styles.writer(config.active, config.seed)
    raw = topical.ask(config, write, styles.read, np.tile(taste(), (config.users, 1)))
    return interview.finish(raw, survey.truth_of(NAME, config))


def true_reward(truth: Mapping[str, Any], responses: Sequence[str], user_id: str) -> FloatArray:
    """The true reward of any texts, the same for all; see `attributes.true_reward`."""
    config = survey.config_of(Config, truth, NAME)
    survey.user_index(user_id, config.users)
    return np.asarray(styles.read(responses) @ taste())
