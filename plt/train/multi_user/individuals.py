"""Fine-tuned rewards of many users, one a user, fitted, saved and loaded."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from plt.train.judgements import used_texts
from plt.train.method import Compute, FloatArray, IntArray, Judgements, Texts, TrainContext, Tune
from plt.train.multi_user.fine_tune import fine_tune, load_tuned
from plt.train.tuning.settings import RewardSettings


class UserRewards(Protocol):
    """Fine-tuned rewards of many users, and their mean for everybody else."""

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows, sorted."""
        ...

    @property
    def population(self) -> tuple[str, ...]:
        """The users whose mean reward everybody else has, sorted."""
        ...

    def reward(
        self, texts: Texts, rows: IntArray, users: Sequence[str | None], compute: Compute
    ) -> FloatArray:
        """Rewards of shape (len(rows),): of text rows[i] for users[i]."""
        ...

    def at(self, share: float) -> Self | None:
        """A copy between the model that all began from and their own; None where there is none."""
        ...

    def joined(self, newcomers: Any) -> Self:
        """A copy that knows the newcomers, of its own kind, too; the population stays."""
        ...

    def save(self, path: Path) -> None:
        """Writes everything under `path`."""
        ...


def fine_tune_users(
    judgements: Judgements, users: Sequence[str], settings: RewardSettings, ctx: TrainContext
) -> UserRewards:
    """A reward model for each of `users`, from that user's training rows alone.

    Adapters are small enough that all users learn together on one backbone; whole models (`full`)
    take turns.
    """
    if settings.tune == "full":
        return TunedUsers.fit(judgements, users, settings, ctx)
    from plt.train.multi_user.individual_lora import BatchedUsers

    return BatchedUsers.fit(
        judgements, users, model=settings.model, tuning=settings.tuning(), ctx=ctx
    )


def load_users(
    path: Path, tune: Tune, users: Sequence[str], population: Sequence[str]
) -> UserRewards:
    """What the `save` of either wrote."""
    if tune == "full":
        return TunedUsers.load(path, users, population)
    from plt.train.multi_user.individual_lora import BatchedUsers

    return BatchedUsers.load(path)


@dataclass(frozen=True)
class TunedUsers:
    """A fully fine-tuned reward a user; a model is in memory only while it learns or scores.

    Attributes:
        folders: The model of each user; the names of the folders say nothing of the users.
        population: The users whose mean reward everybody else has, sorted.
    """

    folders: Mapping[str, Path]
    population: tuple[str, ...]

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows, sorted."""
        return tuple(self.folders)

    @classmethod
    def fit(
        cls,
        judgements: Judgements,
        users: Sequence[str],
        settings: RewardSettings,
        ctx: TrainContext,
    ) -> Self:
        """Trains a model for each of `users` on that user's training rows alone."""
        home = ctx.work_dir / "checkpoints"
        home.mkdir(parents=True, exist_ok=True)
        folders = {}
        for done, user in enumerate(users):
            ctx.compute.progress("fine-tuning users", done, len(users))
            mine = judgements.select(judgements.user == judgements.users.index(user))
            # A folder of its own each time: who holds an earlier fit keeps what it fitted.
            folders[user] = Path(tempfile.mkdtemp(dir=home, prefix=".user-"))
            fine_tune(mine, settings, ctx).save(folders[user])
        return cls(folders, tuple(sorted(users)))

    def reward(
        self, texts: Texts, rows: IntArray, users: Sequence[str | None], compute: Compute
    ) -> FloatArray:
        """Rewards of shape (len(rows),); a row of nobody costs a pass of everybody's model."""
        nobody = np.array([user not in self.folders for user in users], dtype=bool)
        rewards = np.zeros(len(rows))
        for done, (user, folder) in enumerate(self.folders.items()):
            compute.progress("scoring users", done, len(self.folders))
            own = np.array([other == user for other in users], dtype=bool)
            shared = nobody if user in self.population else np.zeros(len(rows), dtype=bool)
            if not (own.any() or shared.any()):
                continue
            model = load_tuned(folder)
            # Two calls, since a text's last bits depend on what stands beside it in a batch, and a
            # newcomer must not change them for anybody else.
            for mask, share in ((own, 1.0), (shared, 1 / len(self.population))):
                if mask.any():
                    kept, inverse = used_texts(texts, rows[mask])
                    rewards[mask] += share * model.reward(kept, compute)[inverse]
        return rewards

    def at(self, share: float) -> Self | None:
        """Whole models are not mixed."""
        return None

    def joined(self, newcomers: "TunedUsers") -> Self:
        """A copy that knows the newcomers too; the population stays who it was."""
        folders = {**self.folders, **newcomers.folders}
        return replace(self, folders=folders)

    def save(self, path: Path) -> None:
        """Copies every model to a numbered folder, in the order of `folders`."""
        for number, folder in enumerate(self.folders.values()):
            shutil.copytree(folder, path / f"{number:05d}", dirs_exist_ok=True)

    @classmethod
    def load(cls, path: Path, users: Sequence[str], population: Sequence[str]) -> Self:
        """The inverse of `save`; models are read when they are needed."""
        folders = {user: path / f"{number:05d}" for number, user in enumerate(users)}
        return cls(folders, tuple(population))
