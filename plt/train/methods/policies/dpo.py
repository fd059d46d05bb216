"""Vanilla DPO: one policy for everybody, and the implicit reward that it stands for."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Self

from plt.data.tables.preferences import Preferences
from plt.train.artifact import load_artifact, save_artifact
from plt.train.method import Compute, FloatArray, IntArray, Support, Texts, TrainContext
from plt.train.policies.settings import DpoSettings

if TYPE_CHECKING:
    from plt.train.policies.policy import Policy

NAME = "dpo"


@dataclass(frozen=True)
class Config(DpoSettings):
    """The settings of `plt.train.policies.settings.DpoSettings`."""


@dataclass(frozen=True)
class Dpo:
    """r(x, y) = beta (log pi(y|x) - log pi_ref(y|x)) (Rafailov et al. 2023, equation 5).

    Trained on all judgements, whoever made them. With ``use_profile`` the prompt says what the
    user says of themselves, and those users are known; everybody else is the population, whose
    prompt says nothing.

    Attributes:
        config: What is fitted, on what.
        policy: The trained policy; None before `fit`.
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
        return self.config.beta * self.policy.log_ratios(texts, rows, users, self.compute)

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Trains on the training rows."""
        from plt.train.policies.fit import fit_policy

        policy, notes = fit_policy(prefs, self.config, ctx)
        return replace(self, policy=policy, compute=ctx.compute, notes=notes)

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Nothing to learn of a newcomer; what they say of themselves is read, if that is."""
        from plt.train.policies.adapt import introduce

        if self.policy is None:
            raise ValueError("adapt after fit or load")
        return replace(self, policy=introduce(self.policy, support), compute=ctx.compute)

    def save(self, path: Path) -> None:
        """Writes the policy and the config."""
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
