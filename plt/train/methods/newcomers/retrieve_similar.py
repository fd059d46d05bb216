"""Retrieve similar user: a new person gets the reward model of the known person most like them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from plt.data.tables.preferences import Preferences
from plt.train.artifact import load_artifact, save_artifact
from plt.train.features.frozen import features
from plt.train.heads.head_table import HeadTable, fit_shared_head, user_problems
from plt.train.heads.ridge import fit_ridge
from plt.train.judgements import named_users, read_judgements
from plt.train.method import Compute, FloatArray, IntArray, Support, Texts, TrainContext
from plt.train.methods.newcomers.settings import HeadSettings
from plt.train.methods.newcomers.votes import Votes

NAME = "retrieve-similar"


@dataclass(frozen=True)
class Config(HeadSettings):
    """Backbone and training; a missing `l2` is chosen for each user on their own rows."""


@dataclass(frozen=True)
class RetrieveSimilar:
    """P(u prefers a to b) = s(r_v(a) - r_v(b)), v the known user whose votes agree most with u's.

    Dong et al. 2025: v has the most agreements minus disagreements on pairs that both judged, and
    their individual reward model serves u. Their script crashes where nobody agrees more than they
    disagree; here such a person keeps the reward of everybody. Of several equally like ones the
    first by name is taken. Known users have their individual reward models; everybody else has the
    vanilla one.

    Attributes:
        config: What is fitted, on what.
        rewards: The heads of known users, and the vanilla one; None before `fit`.
        votes: The sides that the known users took, in the order of the users that were fitted.
        known: Those users; newcomers are known by the head of one of them.
        compute: How to compute features when scoring.
        notes: How the fit came about, and who has no model.
    """

    config: Config = field(default_factory=Config)
    rewards: HeadTable | None = None
    votes: Votes | None = None
    known: tuple[str, ...] = ()
    compute: Compute = field(default_factory=Compute)
    notes: tuple[str, ...] = ()

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows."""
        return self.rewards.users if self.rewards else ()

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),)."""
        return self._fitted()[0].reward(self._features(texts, self.compute), rows, users)

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Learns the vanilla head and one of every user with a training row; keeps the votes."""
        judgements = read_judgements(prefs)
        train = judgements.select(~judgements.validation)
        held_out = judgements.select(judgements.validation)
        users, notes = named_users(train, judgements)
        vectors = self._features(judgements.texts, ctx.compute)
        shared = fit_shared_head(judgements, vectors, l2=None)
        fit = fit_ridge(
            user_problems(train, vectors, users),
            self.config.l2,
            user_problems(held_out, vectors, users),
        )
        table = HeadTable(users, fit.weights, shared.weights[0])
        said = (f"vanilla head: {shared.describe()}", fit.describe(), *notes)
        return replace(
            self,
            rewards=table,
            votes=Votes.of(train, users),
            known=users,
            compute=ctx.compute,
            notes=said,
        )

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Gives every user in `support` the head of the known user most like them."""
        rewards, votes = self._fitted()
        newcomers = support.judgements.users
        if not newcomers:
            return replace(self, compute=ctx.compute)
        agreement = votes.net_agreement(Votes.of(support.judgements, newcomers))
        nearest = agreement.argmax(axis=1)
        alike = agreement[np.arange(len(newcomers)), nearest] > 0
        # The rows of `known`, not of all users: whom an earlier call made known has no votes here.
        place = {user: code for code, user in enumerate(rewards.users)}
        rows = np.array([place[user] for user in self.known], dtype=np.int64)
        heads = np.where(alike[:, None], rewards.heads[rows][nearest], rewards.population)
        return replace(self, rewards=rewards.with_heads(newcomers, heads), compute=ctx.compute)

    def save(self, path: Path) -> None:
        """Writes heads, votes, users and config."""
        rewards, votes = self._fitted()
        record = {
            "config": asdict(self.config),
            "users": rewards.users,
            "known": self.known,
            "notes": self.notes,
        }
        save_artifact(path, NAME, {**rewards.arrays(), **votes.arrays()}, record)

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        arrays, record = load_artifact(path, NAME)
        return cls(
            Config(**record["config"]),
            HeadTable.from_arrays(arrays, record["users"]),
            Votes.from_arrays(arrays),
            tuple(record["known"]),
            compute,
            tuple(record["notes"]),
        )

    def _fitted(self) -> tuple[HeadTable, Votes]:
        if self.rewards is None or self.votes is None:
            raise ValueError("score after fit or load")
        return self.rewards, self.votes

    def _features(self, texts: Texts, compute: Compute) -> NDArray[np.float32]:
        return features(texts, self.config.model, compute, max_length=self.config.max_length)
