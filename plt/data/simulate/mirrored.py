"""`synthetic:mirrored`: two types of people with opposite taste, and flips.

An answer is at one pole of one attribute; one type wants it, the other wants the opposite. With
equal shares nothing that is blind to the person does better than one half, and after N answers of a
person with flip rate e the best possible accuracy on a further one is (1 - e) q + e (1 - q), where
q is the probability that most of the N were not turned round.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from plt.data.simulate.world import interview, styles, survey, topical, topics
from plt.data.simulate.world.survey import FloatArray, Labels
from plt.data.tables.preferences import Preferences

NAME = "mirrored"
KNOWN = tuple(attribute for attribute in styles.ATTRIBUTES if attribute != "length")


@dataclass(frozen=True)
class Config(topical.TopicSurvey):
    """Who is asked and what they are shown.

    Attributes:
        attribute: What the two types disagree on; any of the seven but length.
        share: Share of people who want its first pole, rounded to whole people.
    """

    users: int = 40
    overlap: float = 8.0
    labels: Labels = "hard"
    noise: float = 0.1
    attribute: str = "humour"
    share: float = 0.5

    def problems(self) -> list[str]:
        """Every value that makes no sense, one sentence each."""
        return [
            *super().problems(),
            *survey.among(self, attribute=KNOWN),
            *survey.within(self, share=(0, 1)),
        ]


def signs(config: Config) -> FloatArray:
    """The type of every person, shape (users,): +1 wants the first pole, -1 the second."""
    first = np.arange(config.users) < round(config.share * config.users)
    order = survey.generator(config.seed, "people").permutation(config.users)
    return np.where(first, 1.0, -1.0)[order]


def user_table(config: Config) -> pl.DataFrame:
    """A `users/1` frame: what people say of themselves, and their type."""
    poles = [styles.POLES[config.attribute][int(sign < 0)] for sign in signs(config)]
    return survey.user_frame(
        config, profile=[f"I like {pole} answers." for pole in poles], attr_cluster=poles
    )


def simulate(config: Config) -> Preferences:
    """Simulates the population; see `plt.data.simulate.attributes.simulate`."""
    rng = survey.generator(config.seed, "texts")

    def write(prompt: int, known: int) -> str:
        return styles.write(topics.topic(prompt), {config.attribute: 1 - 2 * (known % 2)}, rng)

    def read(responses: Sequence[str]) -> FloatArray:
        return _pole(config, responses)[:, None]

    raw = topical.ask(config, write, read, signs(config)[:, None])
    raw = interview.with_profiles(raw, user_table(config))
    return interview.finish(raw, survey.truth_of(NAME, config))


def _pole(config: Config, responses: Sequence[str]) -> FloatArray:
    return styles.read(responses)[:, styles.ATTRIBUTES.index(config.attribute)]


def true_reward(truth: Mapping[str, Any], responses: Sequence[str], user_id: str) -> FloatArray:
    """The true reward of any texts, +1, 0 or -1; see `attributes.true_reward`."""
    config = survey.config_of(Config, truth, NAME)
    user = survey.user_index(user_id, config.users)
    return np.asarray(_pole(config, responses) * signs(config)[user])
