"""`synthetic:attributes`: people who care for two traits of seven attributes, as in PReF (2025).

There are C(14, 2) - 7 = 84 pairs of traits of different attributes, one person each; more people
begin anew, each with answers of their own. All share a little taste for politeness and engagement.
Of the true reward an encoder like MiniLM can read nearly everything off the texts.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from plt.data.simulate.world import interview, styles, survey, topical
from plt.data.simulate.world.survey import FloatArray
from plt.data.tables.preferences import Preferences

NAME = "attributes"
SHARED = ("politeness", "engagement")

Trait = tuple[int, int]  # position of the attribute, sign of the pole


@dataclass(frozen=True)
class Config(topical.TopicSurvey):
    """Who is asked and what they are shown; the full size is 100 prompts with 6 responses.

    Attributes:
        active: How many of the seven attributes an answer shows.
        second: Weight of a person's weaker trait; that of the stronger is 1.
        shared: Weight that all give to politeness and to engagement.
    """

    active: int = 3
    second: float = 0.6
    shared: float = 0.3

    def problems(self) -> list[str]:
        """Every value that makes no sense, one sentence each."""
        return [
            *super().problems(),
            *survey.whole(self, active=(1, len(styles.ATTRIBUTES))),
            *survey.within(self, second=(0, 1), shared=(0, 1)),
        ]


def traits(config: Config) -> list[tuple[Trait, Trait]]:
    """The stronger and the weaker trait of every person."""
    poles = [(attribute, sign) for attribute in range(len(styles.ATTRIBUTES)) for sign in (1, -1)]
    pairs = [pair for pair in itertools.combinations(poles, 2) if pair[0][0] != pair[1][0]]
    order = survey.generator(config.seed, "people").permutation(len(pairs))
    people = [pairs[order[user % len(pairs)]] for user in range(config.users)]
    return [pair[:: 1 if user % 2 else -1] for user, pair in enumerate(people)]


def weights(config: Config) -> FloatArray:
    """What every person gives for each attribute, shape (users, 7)."""
    table = np.zeros((config.users, len(styles.ATTRIBUTES)))
    for row, (strong, weak) in zip(table, traits(config), strict=True):
        row[[styles.ATTRIBUTES.index(name) for name in SHARED]] += config.shared
        row[strong[0]] += strong[1]
        row[weak[0]] += weak[1] * config.second
    return table


def user_table(config: Config) -> pl.DataFrame:
    """A `users/1` frame: what people say of themselves, and their two traits."""
    names = [
        [styles.POLES[styles.ATTRIBUTES[a]][sign < 0] for a, sign in t] for t in traits(config)
    ]
    return survey.user_frame(
        config,
        profile=[f"I like answers that are {strong} and {weak}." for strong, weak in names],
        attr_trait=[strong for strong, _ in names],
        attr_second_trait=[weak for _, weak in names],
    )


def simulate(config: Config) -> Preferences:
    """Simulates the population.

    Returns:
        A `preferences/1` table whose `meta.truth` makes `true_reward` possible.

    Raises:
        UsageError: The texts do not make as many different pairs as were asked for.
    """
    write = styles.writer(config.active, config.seed)
    raw = topical.ask(config, write, styles.read, weights(config))
    raw = interview.with_profiles(raw, user_table(config))
    return interview.finish(raw, survey.truth_of(NAME, config))


def true_reward(truth: Mapping[str, Any], responses: Sequence[str], user_id: str) -> FloatArray:
    """The true reward of any texts, from the metadata of a table alone.

    Args:
        truth: `Meta.truth` of a table that `simulate` made.
        responses: n answers of any origin; the prompt plays no part.
        user_id: Whose reward.

    Returns:
        Shape (n,). Multiply differences by the `scale` of the truth for log-odds.

    Raises:
        UsageError: Nobody has that name.
        DataError: It is another simulator's truth.
    """
    config = survey.config_of(Config, truth, NAME)
    user = survey.user_index(user_id, config.users)
    return np.asarray(styles.read(responses) @ weights(config)[user])
