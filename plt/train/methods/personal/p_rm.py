"""P-RM: a reward for each user and a generic one, learnt from every answer at once."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from plt.data.tables.preferences import Preferences
from plt.errors import UsageError
from plt.train.artifact import load_artifact, save_artifact
from plt.train.heads.empirical_bayes import Prior
from plt.train.heads.factor_table import FactorTable
from plt.train.heads.head_table import HeadTable, user_problems
from plt.train.heads.offsets import OffsetTable
from plt.train.heads.posterior import factor_posterior, head_posterior
from plt.train.judgements import read_judgements, user_profiles
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
from plt.train.methods.personal.p_rm_heads import (
    HeadData,
    UserHeads,
    cluster_heads,
    individual_heads,
    uniform_heads,
)
from plt.train.methods.personal.p_rm_tuned import adapt_soft, fit_tuned, load_soft
from plt.train.multi_user.fine_tune import load_tuned
from plt.train.multi_user.tuned_heads import TUNED, text_features

if TYPE_CHECKING:
    from plt.train.multi_user.soft_prompt_reward import SoftPromptReward
    from plt.train.tuning.tuned_reward import TunedReward
from plt.train.methods.personal.p_rm_config import NAME, Config

TABLES = (HeadTable, OffsetTable, FactorTable)
SOFT = "soft"
PROFILES_UNREAD = (
    "what users say of themselves is not read: beside a linear head it would add the same to both"
    " responses and cancel"
)


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

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Gives every user in `support` what their answers add to the population; others stay."""
        if self.rewards is None and self.backbone is None:
            raise ValueError("adapt after fit or load")
        if self.rewards is None or isinstance(self.rewards, HeadTable):
            return self
        judgements = support.judgements
        if not isinstance(self.rewards, TABLES):
            said = {} if self.config.use_profile is False else support.profiles
            soft = adapt_soft(self.rewards, judgements, said, self.config, ctx)
            return replace(self, rewards=soft, compute=ctx.compute)
        vectors = self._features(judgements.texts, ctx.compute)
        problems = user_problems(judgements, vectors, judgements.users)
        rewards = self.rewards.with_newcomers(problems, judgements.users)
        return replace(self, rewards=rewards, compute=ctx.compute)

    def phi(self, texts: Texts) -> FloatArray:
        """What heads or mixtures weigh, shape (n, d) or (n, clusters)."""
        heads, vectors = self._linear(), self._features(texts, self.compute)
        if isinstance(heads, FactorTable):
            return heads.phi(vectors)
        return vectors.astype(np.float64)

    def posterior(self, phi: FloatArray, answers: Judgements) -> Placement:
        """The heads or mixtures that `adapt` gives, and how sure they are; a uniform model is sure.

        Raises:
            UsageError: Users are soft prompts, which give margins no coordinates.
        """
        heads = self._linear()
        if isinstance(heads, FactorTable):
            return factor_posterior(heads, phi, answers)
        if isinstance(heads, OffsetTable):
            prior = Prior(heads.centre, heads.deviation * np.eye(len(heads.centre)))
        else:
            prior = Prior(heads.population, np.zeros((len(heads.population), 1)))
        return head_posterior(prior, phi, answers)

    def at(self, share: float) -> Self | None:
        """A copy whose users have a share of their soft tokens; None without soft tokens."""
        if self.rewards is None or isinstance(self.rewards, TABLES):
            return None
        moved = self.rewards.at(share)
        return None if moved is None else replace(self, rewards=moved)

    def linear(self) -> LinearHeads | None:
        """The heads on frozen features; None after fine-tuning."""
        rewards = self.rewards
        if not isinstance(rewards, TABLES) or self.backbone is not None:
            return None
        table = rewards if isinstance(rewards, HeadTable) else rewards.table
        read = (self.config.model, self.config.max_length)
        return LinearHeads(self.users, table.weights, read)

    def with_linear(self, weights: FloatArray) -> Self:
        """A copy with other heads of the same users, the population last."""
        if isinstance(self.rewards, HeadTable):
            return replace(self, rewards=self.rewards.with_weights(weights))
        if not isinstance(self.rewards, TABLES):
            raise ValueError("only heads can be replaced by heads")
        return replace(self, rewards=self.rewards.with_heads(weights))

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

    def _linear(self) -> UserHeads:
        if not isinstance(self.rewards, TABLES):
            raise UsageError(
                "this run of 'p-rm' has no linear heads, so nobody has coordinates in it",
                hint="plt train --method p-rm --tune head",
            )
        return self.rewards

    def _features(self, texts: Texts, compute: Compute) -> NDArray[np.float32]:
        return text_features(texts, self.config, self.backbone, compute)
