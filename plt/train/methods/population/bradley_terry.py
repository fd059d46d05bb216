"""Bradley-Terry: one reward model for everybody, the vanilla reward model."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from plt.data.tables.preferences import Preferences
from plt.train.artifact import load_artifact, save_artifact
from plt.train.features.frozen import features
from plt.train.heads.head_table import HeadTable, blind_table, fit_shared_head
from plt.train.judgements import Labels, read_judgements
from plt.train.method import (
    Compute,
    FloatArray,
    IntArray,
    LinearHeads,
    Support,
    Texts,
    TrainContext,
)
from plt.train.multi_user.fine_tune import describe_fit, fine_tune, load_tuned
from plt.train.tuning.settings import RewardSettings

if TYPE_CHECKING:
    from plt.train.tuning.tuned_reward import TunedReward

NAME = "bradley-terry"
TUNED = "tuned"


@dataclass(frozen=True)
class Config(RewardSettings):
    """Backbone and training, and which labels.

    Attributes:
        labels: ``votes`` fits every judgement (the default of the reference code of Dong et al.
            2025, whose paper says majority); ``majority`` one label a pair.
        group_pairs: Whether a step of fine-tuning reads all judgements of its pairs, each text
            once; None is no. Faster where people judged the same pairs. Only ``lora`` and ``full``.
    """

    tuned_only: ClassVar[tuple[str, ...]] = ("group_pairs",)
    labels: Labels = "votes"
    group_pairs: bool | None = None


@dataclass(frozen=True)
class BradleyTerry:
    """P(a over b) = s(r(a) - r(b)), s the logistic function, the same r for everybody.

    With `tune` = ``head``, r is linear in the frozen features of a text and the fit is convex:
    float64, no randomness; validation rows choose the penalty only. With ``lora`` or ``full``, r
    is a fine-tuned model with a scalar head and validation rows are not used. A soft label enters
    the cross-entropy as it is, a tie (0.5) as half a win for each side.

    Attributes:
        config: What is fitted, on what.
        reward_model: The head or the fine-tuned model; None before `fit`.
        compute: How to compute when scoring.
        users: Always empty.
        notes: How the fit came about.
    """

    config: Config = field(default_factory=Config)
    reward_model: "HeadTable | TunedReward | None" = None
    compute: Compute = field(default_factory=Compute)
    users: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),); `users` changes nothing."""
        if self.reward_model is None:
            raise ValueError("score after fit or load")
        if not isinstance(self.reward_model, HeadTable):
            return self.reward_model.reward(texts, self.compute)[rows]
        vectors = features(
            texts, self.config.model, self.compute, max_length=self.config.max_length
        )
        return self.reward_model.reward(vectors, rows, users)

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Learns one reward from everybody's training rows."""
        judgements = read_judgements(prefs)
        config = self.config
        if config.tune != "head":
            grouped = bool(config.group_pairs)
            tuned = fine_tune(judgements, config, ctx, config.labels, grouped=grouped)
            notes = (describe_fit(config, tuned.losses),)
            return replace(self, reward_model=tuned, compute=ctx.compute, notes=notes)
        vectors = features(
            judgements.texts, config.model, ctx.compute, max_length=config.max_length
        )
        fit = fit_shared_head(judgements, vectors, config.l2, config.labels)
        table = blind_table(fit.weights[0])
        return replace(self, reward_model=table, compute=ctx.compute, notes=(fit.describe(),))

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Nothing depends on the user."""
        return self

    def linear(self) -> LinearHeads | None:
        """The heads on frozen features; None after fine-tuning."""
        if not isinstance(self.reward_model, HeadTable):
            return None
        return LinearHeads(
            self.users, self.reward_model.weights, (self.config.model, self.config.max_length)
        )

    def with_linear(self, weights: FloatArray) -> Self:
        """A copy with other heads of the same users, the population last."""
        if not isinstance(self.reward_model, HeadTable):
            raise ValueError("only heads can be replaced by heads")
        return replace(self, reward_model=self.reward_model.with_weights(weights))

    def save(self, path: Path) -> None:
        """Writes the head or the trained weights, and the config."""
        if self.reward_model is None:
            raise ValueError("save after fit or load")
        arrays: dict[str, np.ndarray] = {}
        if isinstance(self.reward_model, HeadTable):
            arrays = self.reward_model.arrays()
        else:
            self.reward_model.save(path / TUNED)
        save_artifact(path, NAME, arrays, {"config": asdict(self.config), "notes": self.notes})

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        arrays, record = load_artifact(path, NAME)
        config = Config(**record["config"])
        notes = tuple(record["notes"])
        if config.tune == "head":
            return cls(config, HeadTable.from_arrays(arrays, ()), compute, notes=notes)
        return cls(config, load_tuned(path / TUNED), compute, notes=notes)
