"""Worlds of judgements: who judges what, how good a model is at it, and the truth of every figure.

The latent quality of a judgement is probit: a constant, a user, a group and a pair effect and
noise, all normal. An answer is right where it is above 0, and it is the signed margin. The mean of
any function of it over a target is then known exactly: what the target leaves open is integrated
out, what it holds fixed is given.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from plt.analyze.intervals.uncertainty import Average, Target

FloatArray = NDArray[np.float64]
Expected = Callable[[FloatArray, float], FloatArray]
"""The mean of a function of a normal variable, from its means and its standard deviation."""

NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(40)


def share_right(mean: FloatArray, deviation: float) -> FloatArray:
    """P(X > 0)."""
    return np.asarray(special.ndtr(mean / deviation))


def expected_loss(mean: FloatArray, deviation: float) -> FloatArray:
    """E log(1 + exp(-X)), by Gauss-Hermite quadrature."""
    weights = NODE_WEIGHTS / NODE_WEIGHTS.sum()
    return np.asarray(np.logaddexp(0.0, -np.add.outer(mean, deviation * NODES)) @ weights)


@dataclass(frozen=True)
class Effects:
    """What was drawn: of users, groups and pairs, and the noise of each row."""

    users: FloatArray
    groups: FloatArray
    pairs: FloatArray
    noise: FloatArray

    def mixed(self, other: "Effects", share: float) -> "Effects":
        """Effects that correlate with these by `share`, with the same variances."""
        rest = np.sqrt(1 - share**2)
        names = ("users", "groups", "pairs", "noise")
        return Effects(*(share * getattr(self, n) + rest * getattr(other, n) for n in names))


@dataclass(frozen=True)
class World:
    """Who judges what, and how much users, groups and pairs differ (the noise has 1).

    Attributes:
        users: Codes, [rows].
        groups: Codes, [rows].
        pairs: Codes, [rows]; None where pairs do not differ.
        by_user: Standard deviation of the effects of users.
        by_group: Of groups.
        by_pair: Of pairs.
        constant: The mean of the latent quality.
    """

    users: NDArray[np.int64]
    groups: NDArray[np.int64]
    pairs: NDArray[np.int64] | None = None
    by_user: float = 0.4
    by_group: float = 0.6
    by_pair: float = 0.0
    constant: float = 0.4

    def draw(self, rng: np.random.Generator) -> Effects:
        """Other users, groups and noise."""
        users = self.by_user * rng.normal(size=self.users.max() + 1)
        groups = self.by_group * rng.normal(size=self.groups.max() + 1)
        pairs = np.zeros(1)
        if self.pairs is not None:
            pairs = self.by_pair * rng.normal(size=self.pairs.max() + 1)
        return Effects(users, groups, pairs, rng.normal(size=self.users.size))

    def quality(self, drawn: Effects) -> FloatArray:
        """The latent quality of each row."""
        return self.constant + drawn.users[self.users] + self._prompts(drawn) + drawn.noise

    def _prompts(self, drawn: Effects) -> FloatArray:
        """The effect of the group and the pair of each row."""
        pairs = drawn.pairs[0] if self.pairs is None else drawn.pairs[self.pairs]
        return np.asarray(drawn.groups[self.groups] + pairs)

    def weights(self, average: Average) -> FloatArray:
        """What each row weighs in a figure; they sum to 1."""
        each = np.ones(self.users.size)
        if average == "user":
            each = 1 / np.bincount(self.users)[self.users]
        return each / each.sum()

    def known(
        self, target: Target, average: Average, drawn: Effects
    ) -> tuple[FloatArray, FloatArray, float]:
        """What a target holds fixed: means, their weights, and the deviation that is left open."""
        weights, prompts = self.weights(average), self.by_group**2 + self.by_pair**2
        if target == "these-users":
            each = self.constant + drawn.users
            by_user = np.bincount(self.users, weights, minlength=each.size)
            return each, by_user, float(np.sqrt(1 + prompts))
        if target == "these-prompts":
            each, place = np.unique(self._prompts(drawn), return_inverse=True)
            return self.constant + each, np.bincount(place, weights), np.sqrt(1 + self.by_user**2)
        assert target == "population", target
        open_to = float(np.sqrt(1 + self.by_user**2 + prompts))
        return np.full(1, self.constant), np.ones(1), open_to

    def truth(
        self, target: Target, average: Average, drawn: Effects, expected: Expected = share_right
    ) -> float:
        """The figure that an interval with this target is about."""
        means, weights, deviation = self.known(target, average, drawn)
        return float(weights @ expected(means, deviation))

    def true_auc(self, target: Target, drawn: Effects) -> float:
        """P(X + Y > 0) of two judgements: what the sides of random pairs make of the margins."""
        means, weights, deviation = self.known(target, "pair", drawn)
        above = special.ndtr(np.add.outer(means, means) / (np.sqrt(2) * deviation))
        return float(weights @ above @ weights)

    def served(self, drawn: Effects) -> FloatArray:
        """The accuracy of each user on other prompts, [users]."""
        means, _, deviation = self.known("these-users", "user", drawn)
        return share_right(means, deviation)
