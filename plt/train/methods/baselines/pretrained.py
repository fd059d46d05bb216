"""A public reward model as it is: nothing is trained, and everybody gets the same reward."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from plt.data.tables.preferences import Preferences
from plt.train.artifact import load_artifact, save_artifact
from plt.train.method import Compute, FloatArray, IntArray, Support, Texts, TrainContext
from plt.train.multi_user.fine_tune import load_tuned

if TYPE_CHECKING:
    from plt.train.tuning.tuned_reward import TunedReward

NAME = "pretrained"
TUNED = "public"
# The reward model of Dong et al. 2025 is one of the ten whose scores are PersonalLLM's users.
CONTAMINATED = ("rm-mistral-7b", "personalllm")


@dataclass(frozen=True)
class Config:
    """Which reward model.

    Attributes:
        model: A causal model with a scalar head ``score.weight``. Dong et al. 2025 took
            ``weqweasdas/RM-Mistral-7B``; ``builtin:tiny-reward`` is random and runs offline.
        max_length: Tokens of a text at most; None is the model's own, at most 1,024.
    """

    model: str = "builtin:tiny-reward"
    max_length: int | None = None


@dataclass(frozen=True)
class Pretrained:
    """The reward of a public model, read through its own chat template and head.

    It has no trainable parameter and no row of the table reaches it, so its accuracy does not
    depend on how much there is to train on. Its rewards are in its own units, which are log-odds
    of the people it was trained on at best: read its accuracy, not its calibration.

    Attributes:
        config: Which model.
        public: The model; None before `fit`.
        compute: How to compute when scoring.
        users: Always empty.
        notes: What a reader must know of the model.
    """

    config: Config = field(default_factory=Config)
    public: "TunedReward | None" = None
    compute: Compute = field(default_factory=Compute)
    users: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),); `users` changes nothing."""
        if self.public is None:
            raise ValueError("score after fit or load")
        return self.public.reward(texts, self.compute)[rows]

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Loads the model; of the table only the name of the dataset is read.

        Raises:
            ArtifactError: The model cannot be loaded, or has no scalar head.
        """
        from plt.train.tuning.tuned_reward import TunedReward

        public = TunedReward.pretrained(
            self.config.model, ctx.compute.dtype, self.config.max_length
        )
        notes = [f"{self.config.model} as it is: nothing was trained"]
        if self.config.model == "builtin:tiny-reward":
            notes.append("builtin:tiny-reward is random: it shows the way, not what models can do")
        if _contaminated(public.source.name, str(public.source.path), prefs.meta.dataset or ""):
            notes.append(
                "contaminated: RM-Mistral-7B is one of the reward models whose scores are the users"
                " of PersonalLLM, so for one of them the model is judged by itself"
            )
        return replace(self, public=public, compute=ctx.compute, notes=tuple(notes))

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Nothing depends on the user."""
        return self

    def save(self, path: Path) -> None:
        """Writes the name and the fingerprint of the model, never its weights, and the config."""
        if self.public is None:
            raise ValueError("save after fit or load")
        self.public.save(path / TUNED)
        save_artifact(path, NAME, {}, {"config": asdict(self.config), "notes": self.notes})

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        _, record = load_artifact(path, NAME)
        config = Config(**record["config"])
        return cls(config, load_tuned(path / TUNED), compute, notes=tuple(record["notes"]))


def _contaminated(name: str, path: str, dataset: str) -> bool:
    model, data = CONTAMINATED
    return dataset.partition(":")[0].casefold() == data and any(
        model in place.casefold() for place in (name, path)
    )
