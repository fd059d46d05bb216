"""P-DPO and P-IPO: a policy that knows its users by soft tokens (Li et al. 2024)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Optional, Self

from plt.data.tables.preferences import Preferences
from plt.train.artifact import load_artifact, save_artifact
from plt.train.method import Compute, FloatArray, IntArray, Support, Texts, TrainContext
from plt.train.policies.settings import PairLoss, PersonalSettings

if TYPE_CHECKING:
    from plt.train.policies.policy import Policy


@dataclass(frozen=True)
class Config(PersonalSettings):
    """The settings of `plt.train.policies.settings.PersonalSettings`."""


@dataclass(frozen=True)
class IpoConfig(PersonalSettings):
    """Those of `Config`, with another objective.

    Attributes:
        loss: (h - 1 / (2 beta))^2, h the difference of log-ratios (Azar et al. 2023, equation 17).
            Li et al. 2024 print a quotient of logarithms, which is a slip.
    """

    loss: PairLoss = "ipo"


@dataclass(frozen=True)
class PDpo:
    """r(x, y, u) = beta (log pi(y|x, u) - log pi_ref(y|x)), with T_u soft tokens a user.

    Minimises alpha L(u) + (1 - alpha) L(u_0) of every judgement (Li et al. 2024, equation 6); the
    reference knows nobody. The population (unknown users and None) is the generic user u_0. A
    newcomer gets an offset, or a mixture, of their own; everything else stays.

    Attributes:
        config: What is fitted, on what.
        policy: The trained policy; None before `fit`.
        compute: How to compute when scoring.
        notes: How the fit came about, and who is left out.
    """

    name: ClassVar[str] = "p-dpo"
    config_class: ClassVar[type[PersonalSettings]] = Config
    config: PersonalSettings = field(default_factory=Config)
    policy: Optional["Policy"] = None
    compute: Compute = field(default_factory=Compute)
    notes: tuple[str, ...] = ()

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows, sorted; empty where tokens are the same for everybody."""
        return self.policy.users if self.policy else ()

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),)."""
        if self.policy is None:
            raise ValueError("score after fit or load")
        return self.config.beta * self.policy.log_ratios(texts, rows, users, self.compute)

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Trains the policy and the tokens of everybody with a training row."""
        from plt.train.policies.fit import fit_policy

        policy, notes = fit_policy(prefs, self.config, ctx)
        return replace(self, policy=policy, compute=ctx.compute, notes=notes)

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Gives every user in `support` tokens of their own; nothing else moves."""
        from plt.train.policies.adapt import adapt_policy

        if self.policy is None:
            raise ValueError("adapt after fit or load")
        policy = adapt_policy(self.policy, support, self.config, ctx)
        return replace(self, policy=policy, compute=ctx.compute)

    def at(self, share: float) -> Self | None:
        """A copy whose users have a share of their soft tokens; None where profiles are read."""
        policy = None if self.policy is None else self.policy.at(share)
        return None if policy is None else replace(self, policy=policy)

    def save(self, path: Path) -> None:
        """Writes the policy and the config."""
        if self.policy is None:
            raise ValueError("save after fit or load")
        self.policy.save(path)
        save_artifact(path, self.name, {}, {"config": asdict(self.config), "notes": self.notes})

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        from plt.train.policies.policy import Policy

        _, record = load_artifact(path, cls.name)
        policy = Policy.load(path)
        config = cls.config_class(**record["config"])
        return cls(config, policy, compute, tuple(record["notes"]))


@dataclass(frozen=True)
class PIpo(PDpo):
    """`PDpo` with the loss of IPO, whose optimum is finite: h* = (2p - 1) / (2 beta).

    The reward has beta times the sum of log-ratios over tokens, whether or not the loss takes
    their mean.
    """

    name: ClassVar[str] = "p-ipo"
    config_class: ClassVar[type[PersonalSettings]] = IpoConfig
    config: PersonalSettings = field(default_factory=IpoConfig)
