"""P-RM: a reward for each user and a generic one, learnt from every answer at once."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from plt.data.preferences import Preferences
from plt.errors import UsageError
from plt.train.artifact import load_artifact, save_artifact
from plt.train.factor_table import FactorTable
from plt.train.fine_tuning import load_tuned
from plt.train.judgements import read_judgements
from plt.train.linear import HeadTable, user_problems
from plt.train.method import Compute, FloatArray, IntArray, Texts, TrainContext
from plt.train.methods.p_rm_heads import (
    HeadData,
    UserHeads,
    cluster_heads,
    individual_heads,
    uniform_heads,
)
from plt.train.methods.p_rm_tuned import adapt_soft, fit_tuned, load_soft
from plt.train.offsets import OffsetTable
from plt.train.profiles import user_profiles
from plt.train.settings import RewardSettings
from plt.train.tuned_heads import TUNED, text_features

if TYPE_CHECKING:
    from plt.train.soft_reward import SoftPromptReward
    from plt.train.tuned import TunedReward

NAME = "p-rm"
DEFAULT_TOKENS = 10
TABLES = (HeadTable, OffsetTable, FactorTable)
SOFT = "soft"
PROFILES_UNREAD = (
    "what users say of themselves is not read: beside a linear head it would add the same to both"
    " responses and cancel"
)


@dataclass(frozen=True)
class Config(RewardSettings):
    """User model, aggregation and how they are trained; Li et al. 2024, section 4 and appendix F.2.

    Attributes:
        aggregation: How user and text meet: ``linear`` takes the inner product of a user vector
            with the text's state, so that the user model is the head; ``soft-prompt`` puts T_u
            vectors in front of the text, which needs ``lora`` or ``full``.
        users: ``individual`` gives everybody a vector e_0 + o_u around the generic e_0;
            ``cluster`` a mixture of a few vectors; ``uniform`` everybody the same one, which is
            `bradley-terry` whatever alpha is.
        n_clusters: Vectors that a cluster model mixes, K; the paper uses 5 for its 10 workers of
            TL;DR.
        n_tokens: Vectors a user, T_u. A linear head has 1; None is that, or the paper's 10 soft
            tokens.
        alpha: Weight of the loss as the user; the rest is the loss as the generic user, on the
            same answers. The paper's 0.5.
        simplex: Whether mixtures are shares (softmax), as in the reference code; the paper writes
            free weights.
        generic_offset: Whether vectors are e_0 + o_u; false is the ablation e_u = o_u, in which
            the generic user shares nothing with anybody.
        users_learning_rate: Of what users have of their own, when fine-tuning; None is 10 times
            the backbone's.
        group_pairs: Whether a step of fine-tuning reads all judgements of its pairs, each text
            once; None is yes for a linear head. Soft tokens make every user's text another one.
        train_backbone: Whether soft prompts adapt the backbone too; false trains soft tokens and
            the scalar head alone.
        token_start: What soft tokens begin as: ``vocabulary`` draws words, ``uniform`` numbers.
        use_profile: Whether soft prompts read what users say of themselves, in both branches; None
            is yes. Beside a linear head it would cancel.
        adapt_steps: Steps of the optimiser for a newcomer's soft tokens; None is 50.
    """

    tuned_only: ClassVar[tuple[str, ...]] = (
        "users_learning_rate", "group_pairs", "train_backbone", "use_profile", "adapt_steps",
    )  # fmt: skip
    aggregation: Literal["linear", "soft-prompt"] = "linear"
    users: Literal["uniform", "individual", "cluster"] = "individual"
    n_clusters: int = 5
    n_tokens: int | None = None
    alpha: float = 0.5
    simplex: bool = True
    generic_offset: bool = True
    users_learning_rate: float | None = None
    group_pairs: bool | None = None
    train_backbone: bool | None = None
    token_start: Literal["vocabulary", "uniform"] = "vocabulary"
    use_profile: bool | None = None
    adapt_steps: int | None = None

    @property
    def soft(self) -> bool:
        """Whether users are soft tokens."""
        return self.aggregation == "soft-prompt"

    @property
    def vectors(self) -> int:
        """T_u."""
        return self.n_tokens if self.n_tokens is not None else DEFAULT_TOKENS if self.soft else 1

    def __post_init__(self) -> None:
        problems = _soft_problems(self) if self.soft else _linear_problems(self)
        if self.n_clusters < 1:
            problems.append(f"'n_clusters' is {self.n_clusters}, expected 1 or more")
        if not 0 <= self.alpha <= 1:
            problems.append(f"'alpha' is {self.alpha}, expected 0 to 1")
        if self.users == "individual" and not self.generic_offset and self.alpha == 0:
            problems.append("'alpha' is 0 and 'generic_offset' false: that trains no user at all")
        for name in ("users_learning_rate", "adapt_steps"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                problems.append(f"'{name}' is {value}, expected above 0")
        if problems:
            raise UsageError(
                f"method '{NAME}' does not take these settings",
                problems=problems,
                hint=f"plt ls methods {NAME}",
            )
        super().__post_init__()


def _linear_problems(config: Config) -> list[str]:
    problems = []
    if config.n_tokens not in (None, 1):
        problems.append(f"'n_tokens' is {config.n_tokens}, but a linear head has 1 vector a user")
    only_soft = {
        "train_backbone": config.train_backbone is not None,
        "token_start": config.token_start != "vocabulary",
        "use_profile": config.use_profile is True,
        "adapt_steps": config.adapt_steps is not None,
    }
    problems += [
        f"'{name}' is {getattr(config, name)}, which is for aggregation=soft-prompt"
        for name, given in only_soft.items()
        if given
    ]
    return problems


def _soft_problems(config: Config) -> list[str]:
    problems = []
    if config.tune == "head":
        problems.append("'aggregation' is 'soft-prompt', which needs --tune lora or --tune full")
    if config.train_backbone is False and config.tune == "full":
        problems.append("'train_backbone' is false, but 'tune' is 'full', which trains all of it")
    if config.group_pairs:
        problems.append("'group_pairs' is true, but soft tokens make every user's text another")
    if config.n_tokens is not None and config.n_tokens < 0:
        problems.append(f"'n_tokens' is {config.n_tokens}, expected 0 or more")
    return problems


@dataclass(frozen=True)
class PRm:
    """P(u prefers a to b) = s(<e_u, h(a)> - <e_u, h(b)>), trained as user and as generic user.

    Every answer counts with weight alpha as its user's and 1 - alpha as the generic user's, row by
    row (the reference code duplicates rows and loses a factor 1 - 2^-B). With `tune` = ``head`` the
    fit is float64 on frozen features; validation rows choose penalties only. With ``lora`` or
    ``full`` backbone and heads are trained together, validation rows are not used, and afterwards
    the backbone is one more source of features; with soft prompts, user vectors stand in front of
    the text instead. The population (unknown users and None) is the generic user: e_0, or the
    mixture of row 0 of a cluster model. A newcomer gets an offset or a mixture of their own,
    everything else stays.

    Attributes:
        config: What is fitted, on what.
        rewards: Heads or soft prompts; None before `fit`, and where a fine-tuned reward is the same
            for everybody.
        backbone: What was fine-tuned under the heads; its own reward is then everybody's.
        compute: How to compute when scoring.
        notes: How the fit came about, and who has no head.
    """

    config: Config = field(default_factory=Config)
    rewards: "UserHeads | SoftPromptReward | None" = None
    backbone: "TunedReward | None" = None
    compute: Compute = field(default_factory=Compute)
    notes: tuple[str, ...] = ()

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows, sorted; empty for a uniform model."""
        return self.rewards.users if self.rewards else ()

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),)."""
        if isinstance(self.rewards, TABLES):
            return self.rewards.reward(self._features(texts, self.compute), rows, users)
        if self.rewards is not None:
            return self.rewards.reward(texts, rows, users, self.compute)
        if self.backbone is None:
            raise ValueError("score after fit or load")
        return self.backbone.reward(texts, self.compute)[rows]

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Learns the generic reward and that of every user with a training row."""
        judgements, profiles = read_judgements(prefs), user_profiles(prefs, ctx.users)
        notes: tuple[str, ...] = ()
        if profiles and (not self.config.soft or self.config.use_profile is False):
            notes = (PROFILES_UNREAD,) if not self.config.soft else ()
            profiles = {}
        if self.config.tune != "head":
            tuned = fit_tuned(judgements, profiles, self.config, ctx)
            return replace(
                self,
                rewards=tuned.rewards,
                backbone=tuned.backbone,
                compute=ctx.compute,
                notes=(*tuned.notes, *notes),
            )
        data = HeadData(judgements, self._features(judgements.texts, ctx.compute))
        fit = {"uniform": uniform_heads, "individual": individual_heads, "cluster": cluster_heads}
        rewards, how = fit[self.config.users](data, self.config, ctx.seed)
        return replace(self, rewards=rewards, compute=ctx.compute, notes=(*how, *notes))

    def adapt(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Gives every user in `prefs` what these rows add to the population; nothing else moves."""
        if self.rewards is None and self.backbone is None:
            raise ValueError("adapt after fit or load")
        if self.rewards is None or isinstance(self.rewards, HeadTable):
            return self
        judgements = read_judgements(prefs)
        if not isinstance(self.rewards, TABLES):
            said = {} if self.config.use_profile is False else user_profiles(prefs, ctx.users)
            soft = adapt_soft(self.rewards, judgements, said, self.config, ctx)
            return replace(self, rewards=soft, compute=ctx.compute)
        vectors = self._features(judgements.texts, ctx.compute)
        problems = user_problems(judgements, vectors, judgements.users)
        rewards = self.rewards.with_newcomers(problems, judgements.users)
        return replace(self, rewards=rewards, compute=ctx.compute)

    def save(self, path: Path) -> None:
        """Writes heads, fine-tuned weights, users and config."""
        if self.rewards is None and self.backbone is None:
            raise ValueError("save after fit or load")
        arrays: dict[str, NDArray[Any]] = {}
        if isinstance(self.rewards, TABLES):
            arrays = self.rewards.arrays()
        elif self.rewards is not None:
            self.rewards.save(path / SOFT)
        if self.backbone is not None:
            self.backbone.save(path / TUNED)
        record = {"config": asdict(self.config), "users": self.users, "notes": self.notes}
        save_artifact(path, NAME, arrays, record)

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        arrays, record = load_artifact(path, NAME)
        config, notes = Config(**record["config"]), tuple(record["notes"])
        backbone = load_tuned(path / TUNED) if (path / TUNED).exists() else None
        rewards: UserHeads | SoftPromptReward | None = None
        if (path / SOFT).exists():
            rewards = load_soft(path / SOFT, config)
        elif config.users == "individual" and arrays:
            rewards = OffsetTable.from_arrays(arrays, record["users"])
        elif config.users == "cluster" and arrays:
            rewards = FactorTable.from_arrays(arrays, record["users"], simplex=config.simplex)
        elif arrays:
            rewards = HeadTable.from_arrays(arrays, ())
        return cls(config, rewards, backbone, compute, notes)

    def _features(self, texts: Texts, compute: Compute) -> NDArray[np.float32]:
        return text_features(texts, self.config, self.backbone, compute)
