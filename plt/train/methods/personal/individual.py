"""One reward model a user, each learnt from that user's answers alone."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np

from plt.data.tables.preferences import Preferences
from plt.errors import UsageError
from plt.train.artifact import load_artifact, save_artifact
from plt.train.features.frozen import features
from plt.train.heads.empirical_bayes import moments
from plt.train.heads.head_table import HeadTable, user_problems
from plt.train.heads.posterior import head_posterior
from plt.train.heads.ridge import RidgeHeads, fit_ridge
from plt.train.judgements import named_users, read_judgements
from plt.train.method import (
    Compute,
    FloatArray,
    IntArray,
    Judgements,
    LinearHeads,
    Placement,
    Support,
    Texts,
    TrainContext,
)
from plt.train.multi_user.fine_tune import describe
from plt.train.multi_user.individuals import UserRewards, fine_tune_users, load_users
from plt.train.tuning.settings import RewardSettings

NAME = "individual"
TUNED = "users"


@dataclass(frozen=True)
class Config(RewardSettings):
    """Backbone and training; a missing `l2` is chosen for each user on their own rows."""


@dataclass(frozen=True)
class Individual:
    """P(u prefers a to b) = s(r_u(a) - r_u(b)), every r_u fitted on the rows of u alone.

    Nothing is shared: with `tune` = ``head`` scale and penalty too come from the user's own rows,
    so that a user's head is that of `bradley-terry` on the table of that user; all heads are
    solved at once. With ``lora`` all users' adapters are trained at once on one backbone
    (`plt.train.multi_user.individual_lora`), with ``full`` one model after the other. The
    population (unknown users and None) has the mean of the rewards of all users that were fitted.

    Attributes:
        config: What is fitted, on what.
        rewards: The heads or the fine-tuned models; None before `fit`.
        compute: How to compute when scoring.
        notes: How the fit came about, and who has no model.
    """

    config: Config = field(default_factory=Config)
    rewards: HeadTable | UserRewards | None = None
    compute: Compute = field(default_factory=Compute)
    notes: tuple[str, ...] = ()

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows, sorted."""
        return self.rewards.users if self.rewards else ()

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),)."""
        if self.rewards is None:
            raise ValueError("score after fit or load")
        if not isinstance(self.rewards, HeadTable):
            return self.rewards.reward(texts, rows, users, self.compute)
        vectors = features(
            texts, self.config.model, self.compute, max_length=self.config.max_length
        )
        return self.rewards.reward(vectors, rows, users)

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Learns a reward for every user with a training row."""
        judgements = read_judgements(prefs)
        users, notes = named_users(judgements.select(~judgements.validation), judgements)
        if self.config.tune != "head":
            tuned = fine_tune_users(judgements, users, self.config, ctx)
            notes = (describe(self.config), *notes)
            return replace(self, rewards=tuned, compute=ctx.compute, notes=notes)
        fit = self._heads(judgements, users, ctx.compute)
        table = HeadTable(users, fit.weights, fit.weights.mean(axis=0))
        return replace(self, rewards=table, compute=ctx.compute, notes=(fit.describe(), *notes))

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Gives every user in `support` a reward from these rows alone; the others keep theirs."""
        if self.rewards is None:
            raise ValueError("adapt after fit or load")
        judgements = support.judgements
        judgements = replace(judgements, validation=np.zeros(len(judgements), dtype=bool))
        users = judgements.users
        if not isinstance(self.rewards, HeadTable):
            newcomers = fine_tune_users(judgements, users, self.config, ctx)
            return replace(self, rewards=self.rewards.joined(newcomers), compute=ctx.compute)
        fit = self._heads(judgements, users, ctx.compute)
        return replace(
            self, rewards=self.rewards.with_heads(users, fit.weights), compute=ctx.compute
        )

    def phi(self, texts: Texts) -> FloatArray:
        """The features of texts, shape (n, d)."""
        config = self.config
        vectors = features(texts, config.model, self.compute, max_length=config.max_length)
        return vectors.astype(np.float64)

    def posterior(self, phi: FloatArray, answers: Judgements) -> Placement:
        """Heads among those of the fitted users, whose mean and covariance are the prior.

        Nothing is shared between the heads that `adapt` gives, so these are others: where a
        person's answers say little they keep to what the fitted users have in common.

        Raises:
            UsageError: Everybody has a fine-tuned model of their own in place of a head.
        """
        if not isinstance(self.rewards, HeadTable):
            raise UsageError(
                "this run of 'individual' has no linear heads, so nobody has coordinates in it",
                hint="plt train --method individual --tune head",
            )
        return head_posterior(moments(self.rewards.heads), phi, answers)

    def at(self, share: float) -> Self | None:
        """A copy between the reward model that all began from and their own; None without one."""
        rewards = self.rewards
        if rewards is None or isinstance(rewards, HeadTable):
            return None
        moved = rewards.at(share)
        return None if moved is None else replace(self, rewards=moved)

    def linear(self) -> LinearHeads | None:
        """The heads on frozen features; None after fine-tuning."""
        if not isinstance(self.rewards, HeadTable):
            return None
        return LinearHeads(
            self.users, self.rewards.weights, (self.config.model, self.config.max_length)
        )

    def with_linear(self, weights: FloatArray) -> Self:
        """A copy with other heads of the same users, the population last."""
        if not isinstance(self.rewards, HeadTable):
            raise ValueError("only heads can be replaced by heads")
        return replace(self, rewards=self.rewards.with_weights(weights))

    def save(self, path: Path) -> None:
        """Writes the heads or the trained weights, the users and the config."""
        if self.rewards is None:
            raise ValueError("save after fit or load")
        record = {"config": asdict(self.config), "users": self.users, "notes": self.notes}
        if isinstance(self.rewards, HeadTable):
            save_artifact(path, NAME, self.rewards.arrays(), record)
        else:
            self.rewards.save(path / TUNED)
            record["population"] = self.rewards.population
            save_artifact(path, NAME, {}, record)

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        arrays, record = load_artifact(path, NAME)
        config = Config(**record["config"])
        rewards: HeadTable | UserRewards
        if config.tune == "head":
            rewards = HeadTable.from_arrays(arrays, record["users"])
        else:
            folder, population = path / TUNED, record["population"]
            rewards = load_users(folder, config.tune, record["users"], population)
        return cls(config, rewards, compute, tuple(record["notes"]))

    def _heads(self, judgements: Judgements, users: Sequence[str], compute: Compute) -> RidgeHeads:
        vectors = features(
            judgements.texts, self.config.model, compute, max_length=self.config.max_length
        )
        train, validation = (
            user_problems(judgements.select(rows), vectors, users)
            for rows in (~judgements.validation, judgements.validation)
        )
        return fit_ridge(train, self.config.l2, validation)
