"""Further fine-tune: the vanilla head, moved by what one person answers."""

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
from plt.train.heads.offsets import OffsetPenalties, OffsetTable, l2_by_evidence, offset_heads
from plt.train.judgements import named_users, read_judgements
from plt.train.method import Compute, FloatArray, IntArray, Support, Texts, TrainContext
from plt.train.methods.newcomers.settings import HeadSettings

NAME = "further-fine-tune"


@dataclass(frozen=True)
class Config(HeadSettings):
    """Backbone, and how far a person's head may be from the vanilla one.

    Attributes:
        l2: Penalty of the difference on scaled features; None takes the one under which the
            training users' rows are most probable around the vanilla head (Laplace evidence).
    """


@dataclass(frozen=True)
class FurtherFineTune:
    """P(u prefers a to b) = s(r_u(a) - r_u(b)), r_u the most probable head around the vanilla one.

    Dong et al. 2025 train a vanilla reward model further on the new person's answers for one
    epoch, and report that it ends below where it began. Here the step has an optimum: the head is
    the mode of a posterior whose prior has the vanilla head as its mean and one variance in all
    directions, so that no answer leaves the vanilla head and few answers move it little. Users of
    the training rows are treated as newcomers are.

    Attributes:
        config: What is fitted, on what.
        rewards: Heads around the vanilla one; None before `fit`.
        compute: How to compute features when scoring.
        notes: What was chosen how, and who has no head.
    """

    config: Config = field(default_factory=Config)
    rewards: OffsetTable | None = None
    compute: Compute = field(default_factory=Compute)
    notes: tuple[str, ...] = ()

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows."""
        return self.rewards.users if self.rewards else ()

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),)."""
        return self._fitted().reward(self._features(texts, self.compute), rows, users)

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Learns the vanilla head, how far people are from it, and each known person's head."""
        judgements = read_judgements(prefs)
        train = judgements.select(~judgements.validation)
        users, notes = named_users(train, judgements)
        vectors = self._features(judgements.texts, ctx.compute)
        shared = fit_shared_head(judgements, vectors, l2=None)
        problems = user_problems(train, vectors, users)
        scale = problems.pooled_scale()
        centre = shared.weights[0]
        l2 = self.config.l2 or l2_by_evidence(problems, centre, scale, 1.0)
        deviation = OffsetPenalties(1.0, l2, scale).deviation(1.0)
        heads = offset_heads(problems, centre, deviation)
        table = OffsetTable(HeadTable(users, heads, centre), centre, deviation)
        how = "as set" if self.config.l2 is not None else "chosen by evidence"
        said = (f"vanilla head: {shared.describe()}", f"penalty around it l2 = {l2:g}, {how}")
        return replace(self, rewards=table, compute=ctx.compute, notes=(*said, *notes))

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Gives every user in `support` the most probable head around the vanilla one."""
        judgements = support.judgements
        vectors = self._features(judgements.texts, ctx.compute)
        problems = user_problems(judgements, vectors, judgements.users)
        rewards = self._fitted().with_newcomers(problems, judgements.users)
        return replace(self, rewards=rewards, compute=ctx.compute)

    def save(self, path: Path) -> None:
        """Writes heads, prior, users and config."""
        record = {"config": asdict(self.config), "users": self.users, "notes": self.notes}
        save_artifact(path, NAME, self._fitted().arrays(), record)

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        arrays, record = load_artifact(path, NAME)
        rewards = OffsetTable.from_arrays(arrays, record["users"])
        return cls(Config(**record["config"]), rewards, compute, tuple(record["notes"]))

    def _fitted(self) -> OffsetTable:
        if self.rewards is None:
            raise ValueError("score after fit or load")
        return self.rewards

    def _features(self, texts: Texts, compute: Compute) -> NDArray[np.float32]:
        return features(texts, self.config.model, compute, max_length=self.config.max_length)
