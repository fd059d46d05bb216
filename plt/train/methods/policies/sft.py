"""SFT: a language model that has learnt to write like the responses, the reference of policies."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Optional, Self

import numpy as np

from plt.data.tables.preferences import Preferences
from plt.train.artifact import load_artifact, save_artifact
from plt.train.method import Compute, FloatArray, IntArray, Support, Texts, TrainContext
from plt.train.policies.settings import PolicySettings

if TYPE_CHECKING:
    from plt.train.policies.policy import Policy

NAME = "sft"


@dataclass(frozen=True)
class Config(PolicySettings):
    """What is imitated. `use_profile` is the oracle column of the papers: the taste in words.

    Attributes:
        responses: ``chosen``: the preferred response of every judgement, ties left out.
            ``all``: every distinct text once, which makes a reference without a taste.
        learn: ``response``: its tokens only. ``text``: the prompt's too, for a model that begins
            with random weights.
        length_normalize: Whether the reward is a mean over tokens instead of a sum.
    """

    responses: Literal["chosen", "all"] = "chosen"
    learn: Literal["response", "text"] = "response"
    length_normalize: bool = False

    def problems(self) -> list[str]:
        """Every value that makes no sense, one sentence each."""
        found = super().problems()
        if self.tune == "soft-prompt":
            found.append("'tune' is 'soft-prompt', but there are no soft tokens here")
        return found


@dataclass(frozen=True)
class Sft:
    """r(x, y) = log pi(y|x) - log pi_base(y|x): what imitation has made more likely.

    Without ``use_profile`` the reward knows no user. With it, the prompt says what users say of
    themselves, those users are known, and everybody else's prompt says nothing; the base model
    never sees it. The whole model is written, adapters merged, so that a finished run is a
    ``--model`` for the other policies.

    Attributes:
        config: What is imitated, by what.
        policy: The trained model; None before `fit`.
        compute: How to compute when scoring.
        notes: How the fit came about.
    """

    config: Config = field(default_factory=Config)
    policy: Optional["Policy"] = None
    compute: Compute = field(default_factory=Compute)
    notes: tuple[str, ...] = ()

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows: nobody, unless profiles are read."""
        return self.policy.users if self.policy else ()

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),)."""
        if self.policy is None:
            raise ValueError("score after fit or load")
        ratios = self.policy.log_ratios(texts, rows, users, self.compute)
        if not self.config.length_normalize:
            return ratios
        # A response without a token, where the model has no end marker either, has a ratio of 0.
        return ratios / np.maximum(self.policy.n_tokens(texts, rows), 1)

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Trains on the responses of training rows."""
        from plt.train.policies.sft_fit import fit_language_model

        policy, notes = fit_language_model(
            prefs,
            self.config,
            ctx,
            chosen_only=self.config.responses == "chosen",
            whole=self.config.learn == "text",
        )
        return replace(self, policy=policy, compute=ctx.compute, notes=notes)

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Nothing to learn of a newcomer; what they say of themselves is read, if that is."""
        from plt.train.policies.adapt import introduce

        if self.policy is None:
            raise ValueError("adapt after fit or load")
        return replace(self, policy=introduce(self.policy, support), compute=ctx.compute)

    def save(self, path: Path) -> None:
        """Writes the whole model and the config."""
        if self.policy is None:
            raise ValueError("save after fit or load")
        self.policy.save(path)
        save_artifact(path, NAME, {}, {"config": asdict(self.config), "notes": self.notes})

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        from plt.train.policies.policy import Policy

        _, record = load_artifact(path, NAME)
        policy = Policy.load(path)
        return cls(Config(**record["config"]), policy, compute, tuple(record["notes"]))
