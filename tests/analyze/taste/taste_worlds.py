"""Populations whose heterogeneity of taste is known, shaped like conversations with four models.

Each user holds one to seven conversations (5.7 on average). The first turn shows four responses,
and the chosen one makes a pair with each of the others; later turns show two. That is 27 to 28
pairs a user. Choices maximise a reward plus Gumbel noise.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plt.analyze.taste.feature_test import heterogeneity_of_taste
from plt.analyze.taste.pooled import Choices

FloatArray = NDArray[np.float64]
Reward = Callable[[FloatArray], FloatArray]

TASTE = (0.6, 0.3, 0.0, -0.3, 0.2)
N_SOURCES = 8


@dataclass(frozen=True)
class World:
    """What everybody likes, and how people differ.

    Attributes:
        tau: Standard deviation between people of each slope (heterogeneity of taste).
        by_conversation: Standard deviation between conversations of each slope; no person's taste.
        spread: Standard deviation between people of the log spread of their features.
        firmness: Standard deviation between people of the log of a factor of their whole reward.
        topic: Change of all slopes per standard deviation of what a conversation is about; one half
            of the variance of the topic is between people.
        topic_known: Whether the topic is given to the pooled model as context.
        bend: Reward of a response beyond the linear one, from its features [..., k].
        skewed: Whether features are counts: many zeros, long tails, one truth value.
        quality: Reward of the best of `N_SOURCES` models, and minus that of the worst. Good models
            have more of the first feature in one half of the people's material, and less of it in
            the other half's.
        sources_known: Whether who wrote a response is given to the pooled model.
    """

    tau: float = 0.0
    by_conversation: float = 0.0
    spread: float = 0.0
    firmness: float = 0.0
    topic: float = 0.0
    topic_known: bool = False
    bend: Reward | None = None
    skewed: bool = False
    quality: float = 0.0
    sources_known: bool = False

    def draw(self, n_users: int, rng: np.random.Generator, k: int = 5) -> Choices:
        """One data set."""
        n_of = np.minimum(7, 1 + rng.binomial(6, 0.785, n_users))
        user = np.repeat(np.arange(n_users), n_of)
        slopes, topic = self._slopes(user, n_users, k, rng)
        firmness = np.exp(self.firmness * rng.normal(size=n_users))[user]
        later = np.repeat(np.arange(user.size), rng.geometric(1 / 2.85, user.size) - 1)
        spread = np.exp(self.spread * rng.normal(size=n_users))[user]
        longer = np.where(user % 2 == 0, 1.0, -1.0)
        parts = [
            self._turns(np.arange(user.size), 4, slopes, spread, firmness, longer, rng),
            self._turns(later, 2, slopes, spread, firmness, longer, rng),
        ]
        won, lost, group, wrote = (np.concatenate(part) for part in zip(*parts, strict=True))
        a_won = rng.random(group.size) < 0.5
        return Choices(
            a=np.where(a_won[:, None], won, lost),
            b=np.where(a_won[:, None], lost, won),
            context=topic[group][:, None] if self.topic_known else np.zeros((group.size, 0)),
            prefers_a=a_won.astype(np.float64),
            users=user[group],
            groups=group,
            sources=np.where(a_won[:, None], wrote, wrote[:, ::-1]) if self.sources_known else None,
        )

    def _slopes(
        self, user: NDArray[np.int64], n_users: int, k: int, rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        of_user = TASTE[:k] + self.tau * rng.normal(size=(n_users, k))
        of_conversation = self.by_conversation * rng.normal(size=(user.size, k))
        topic = (rng.normal(size=n_users)[user] + rng.normal(size=user.size)) / np.sqrt(2)
        return of_user[user] + of_conversation + self.topic * topic[:, None], topic

    def _turns(
        self,
        conversation: NDArray[np.int64],
        n_shown: int,
        slopes: FloatArray,
        spread: FloatArray,
        firmness: FloatArray,
        longer: FloatArray,
        rng: np.random.Generator,
    ) -> tuple[FloatArray, FloatArray, NDArray[np.int64], NDArray[np.int64]]:
        """The chosen response against each other one of its turn, and who wrote the two."""
        n, k = conversation.size, slopes.shape[1]
        shown = rng.normal(size=(n, n_shown, k)) * spread[conversation][:, None, None]
        if self.skewed:
            shown[..., 1] = np.log1p(np.floor(np.exp(1.5 * shown[..., 1]) / 2))
            shown[..., 2] = np.log1p(np.maximum(np.floor(4 * shown[..., 2] - 4), 0))
            shown[..., 3] = shown[..., 3] > 1.8
        wrote = np.zeros((n, n_shown), dtype=np.int64)
        if self.quality:
            wrote = np.argsort(rng.random((n, N_SOURCES)), axis=1)[:, :n_shown]
        good = np.linspace(-1, 1, N_SOURCES)[wrote] if self.quality else np.zeros((n, n_shown))
        shown[..., 0] += good * longer[conversation][:, None]
        reward = np.einsum("nrk,nk->nr", shown, slopes[conversation]) + self.quality * good
        if self.bend is not None:
            reward += self.bend(shown)
        reward = reward * firmness[conversation][:, None] + rng.gumbel(size=reward.shape)
        order = np.argsort(-reward, axis=1)
        place = np.arange(n)[:, None]
        won = np.repeat(shown[place, order[:, :1]], n_shown - 1, axis=1)
        lost = shown[place, order[:, 1:]]
        winner = np.repeat(wrote[place, order[:, :1]], n_shown - 1, axis=1)
        authors = np.stack([winner, wrote[place, order[:, 1:]]], axis=-1)
        group = np.repeat(conversation, n_shown - 1)
        return won.reshape(-1, k), lost.reshape(-1, k), group, authors.reshape(-1, 2)


def square(features: FloatArray) -> FloatArray:
    """0.4 times the sum of squares."""
    return np.asarray(0.4 * (features**2).sum(axis=-1))


def ceiling(features: FloatArray) -> FloatArray:
    """A reward that levels off on both sides."""
    return np.asarray(1.2 * np.tanh(2 * features).sum(axis=-1))


def threshold(features: FloatArray) -> FloatArray:
    """A jump."""
    return np.asarray((features > 1).sum(axis=-1), dtype=np.float64)


def distance(features: FloatArray) -> FloatArray:
    """A kink."""
    return np.asarray(0.6 * np.abs(features).sum(axis=-1))


def product(features: FloatArray) -> FloatArray:
    """Pairs of features that matter together."""
    return np.asarray(
        0.4 * features[..., 0] * features[..., 1] + 0.4 * features[..., 2] * features[..., 3]
    )


NULLS = {
    "nobody differs": World(),
    "taste varies by conversation": World(by_conversation=0.4),
    "users differ in spread": World(spread=0.5),
    "squares": World(bend=square),
    "squares, spread": World(bend=square, spread=0.5),
    "ceiling, spread": World(bend=ceiling, spread=0.5),
    "kink, spread": World(bend=distance, spread=0.5),
    "threshold, spread": World(bend=threshold, spread=0.5),
    "products, spread": World(bend=product, spread=0.5),
    "conversation, spread": World(by_conversation=0.4, spread=0.5),
    "conversation, spread, squares": World(by_conversation=0.4, spread=0.5, bend=square),
    "known topic": World(topic=0.3, topic_known=True),
    "counts and a truth value": World(skewed=True),
    "counts, conversation, spread": World(skewed=True, by_conversation=0.4, spread=0.3),
    "good is long for half, sources known": World(quality=1.0, sources_known=True),
    "the same, conversation, spread": World(
        quality=1.0, sources_known=True, by_conversation=0.4, spread=0.3
    ),
}
"""Worlds without heterogeneity of taste: the test must be silent."""

OUTSIDE = {
    "topic unknown to the pooled model": World(topic=0.3),
    "good is long for half, sources unknown": World(quality=1.0),
}
"""Worlds that break the assumption: the test is expected to speak, wrongly."""

FIRMNESS = {
    "firmness": World(firmness=0.5),
    "firmness, spread": World(firmness=0.5, spread=0.5),
    "firmness, conversation": World(firmness=0.5, by_conversation=0.4),
    "firmness, spread, squares": World(firmness=0.5, spread=0.5, bend=square),
    "firmness, spread, ceiling": World(firmness=0.5, spread=0.5, bend=ceiling),
    "firmness, counts": World(firmness=0.5, skewed=True),
}
"""People differ, but only in how firmly they choose: `p_beyond_strength` must be silent."""

TASTES = {
    "tau .1": World(tau=0.1),
    "tau .15": World(tau=0.15),
    "tau .2": World(tau=0.2),
    "tau .2, conversation": World(tau=0.2, by_conversation=0.4),
    "tau .3": World(tau=0.3),
    "tau .2, sources known": World(tau=0.2, quality=1.0, sources_known=True),
}
"""Heterogeneity of taste in all features."""


def p_values(
    world: World, n_users: int, n_sims: int, *, first: int = 0, n_resamples: int = 99, k: int = 5
) -> FloatArray:
    """p values of simulated data sets: signs, permutation, beyond strength, features, [sims, 3+k].

    Data set i is drawn with the seed (first + i), so any part of a table can be made again.
    """
    found = []
    for seed in range(first, first + n_sims):
        choices = world.draw(n_users, np.random.default_rng([seed, 3]), k)
        test = heterogeneity_of_taste(choices, n_resamples=n_resamples, seed=seed)
        one = [test.p_value, test.p_permutation, test.p_beyond_strength]
        found.append([*one, *test.p_features])
    return np.array(found)
