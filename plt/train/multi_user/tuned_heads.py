"""Users' heads on a fine-tuned backbone, in the tables that heads on frozen features have.

So that scoring, newcomers and files are one code path: after training, a fine-tuned backbone is
one more source of features. Imports torch only when something is trained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from plt.train.features.frozen import features
from plt.train.heads.empirical_bayes import Prior, fit_prior, moments
from plt.train.heads.factor_fit import LOGIT_PRECISION, Factors, mixing_weights
from plt.train.heads.factor_table import FactorTable, factor_table, on_basis
from plt.train.heads.head_table import HeadTable, user_problems
from plt.train.heads.offsets import OffsetPenalties, OffsetTable, l2_by_evidence
from plt.train.method import Compute, FloatArray, Judgements, Texts, TrainContext
from plt.train.multi_user.fine_tune import describe
from plt.train.tuning.settings import RewardSettings

if TYPE_CHECKING:
    from torch import Tensor

    from plt.train.multi_user.joint_network import Sharing
    from plt.train.tuning.tuned_reward import TunedReward


TUNED = "tuned"
"""The folder of the backbone, in that of the method."""


@dataclass(frozen=True)
class FactorSettings(RewardSettings):
    """What methods with shared factors can be told besides.

    Attributes:
        users_learning_rate: Of users' weights, when fine-tuning; None is 10 times the backbone's.
        group_pairs: Whether a step of fine-tuning reads all judgements of its pairs, each text
            once; None is yes.
    """

    tuned_only: ClassVar[tuple[str, ...]] = ("users_learning_rate", "group_pairs")
    users_learning_rate: float | None = None
    group_pairs: bool | None = None

    def needs_head(self, given: Mapping[str, bool]) -> list[str]:
        """What of the settings means something on frozen features only, where it was given."""
        return [
            f"'{name}' is '{getattr(self, name)}', which is for --tune head"
            for name, chosen in given.items()
            if chosen
        ]


@dataclass(frozen=True)
class TunedHeads:
    """What joint training gave.

    Attributes:
        backbone: The features of texts.
        users: Whose heads, sorted.
        shared: e_0 as (1, d), or the vectors that a cluster model mixes, (K, d).
        generic: (K,) coordinates of the generic user of a cluster model.
        states: (U, d) offsets or heads, or (U, K) coordinates.
        how: The fit in words.
    """

    backbone: "TunedReward"
    users: tuple[str, ...]
    shared: FloatArray
    generic: FloatArray | None
    states: FloatArray
    how: str

    def offset_table(
        self, train: Judgements, alpha: float, generic_offset: bool, compute: Compute
    ) -> OffsetTable:
        """Heads e_0 + o_u, or e_u alone.

        A newcomer's prior is the one under which the training users' rows are most probable
        around e_0, on the features of the fine-tuned backbone.

        Args:
            train: The training rows.
            alpha: Weight of the loss as the user.
            generic_offset: Whether heads are offsets from e_0.
            compute: How to compute features.
        """
        e_0 = self.shared[0]
        heads = e_0 + self.states if generic_offset else self.states
        centre = e_0 if generic_offset else np.zeros_like(e_0)
        table = HeadTable(self.users, heads, e_0)
        if alpha == 0:
            return OffsetTable(table, centre, 0.0)
        own = user_problems(train, self.backbone.vectors(train.texts, compute), self.users)
        scale = own.pooled_scale()
        l2 = l2_by_evidence(own, centre, scale, alpha)
        return OffsetTable(table, centre, OffsetPenalties(1.0, l2, scale).deviation(alpha))

    def factor_table(
        self, train: Judgements, *, alpha: float, simplex: bool, compute: Compute
    ) -> FactorTable:
        """Mixtures of the shared vectors.

        The population is the generic user where it was trained, else the mean of the users. The
        prior of a newcomer's free weights has the moments of the training users' (one step of EM
        on the features of the fine-tuned backbone); that of logits is as in training on frozen
        features.

        Args:
            train: The training rows.
            alpha: Weight of the loss as the user.
            simplex: Whether weights are shares.
            compute: How to compute features.
        """
        factors = Factors(self.shared, self.states, simplex)
        population = factors.weights.mean(axis=0)
        if self.generic is not None and alpha < 1:
            population = mixing_weights(self.generic[None], simplex)[0]
        rank = len(self.shared)
        if simplex or alpha == 0:
            spread = np.sqrt(alpha / LOGIT_PRECISION) * np.eye(rank)
            prior = Prior(self.states.mean(axis=0), spread)
        else:
            own = user_problems(train, self.backbone.vectors(train.texts, compute), self.users)
            learnt = fit_prior(on_basis(own, self.shared), moments(factors.weights), 1)
            prior = Prior(factors.weights.mean(axis=0), learnt.factor)
        return factor_table(factors, self.users, 1.0, population, prior)


def text_features(
    texts: Texts, settings: RewardSettings, backbone: "TunedReward | None", compute: Compute
) -> NDArray[np.float32]:
    """Features (n, d) of texts: of the fine-tuned backbone, or frozen where there is none."""
    if backbone is not None:
        return backbone.vectors(texts, compute)
    return features(texts, settings.model, compute, max_length=settings.max_length)


def fine_tune_factors(
    train: Judgements,
    users: Sequence[str],
    settings: FactorSettings,
    ctx: TrainContext,
    start: Factors,
    averaging: Literal["rows", "users"] = "rows",
) -> tuple["TunedReward", FactorTable, str]:
    """Factors and backbone together, from where the factors begin on frozen features.

    There is no penalty: the number of steps ends the fit.

    Args:
        train: The training rows.
        users: Named in them, sorted.
        settings: Backbone and training.
        ctx: Seed, work directory, device, dtype, progress.
        start: On frozen features.
        averaging: Whether every answer counts the same, or every user however many they gave.

    Returns:
        The backbone, the table on its features, and the fit in words.
    """
    from plt.train.multi_user.joint_network import Sharing
    from plt.train.people.shape import UserModelShape

    shape = UserModelShape("cluster", 1, len(start.basis), start.simplex)
    grouped, rate = settings.group_pairs is not False, settings.users_learning_rate
    joint = Sharing(shape, 1.0, grouped, rate, averaging)
    heads = fine_tune_heads(train, users, settings, joint, ctx, start)
    table = heads.factor_table(train, alpha=1.0, simplex=start.simplex, compute=ctx.compute)
    return heads.backbone, table, f"{describe(settings)}; {heads.how}"


def fine_tune_heads(
    train: Judgements,
    users: Sequence[str],
    settings: RewardSettings,
    sharing: "Sharing",
    ctx: TrainContext,
    start: Factors | None = None,
) -> TunedHeads:
    """Trains a backbone under the heads of all users at once; see `joint_network.fit_heads`."""
    from plt.train.multi_user.joint_network import fit_heads

    backbone, heads, how = fit_heads(train, users, settings, sharing, ctx, start)

    def plain(weights: "Tensor") -> FloatArray:
        return weights.detach().double().numpy().reshape(-1, weights.shape[-1])

    return TunedHeads(
        backbone,
        tuple(users),
        plain(heads.shared),
        None if heads.generic is None else plain(heads.generic)[0],
        plain(heads.states),
        how,
    )
