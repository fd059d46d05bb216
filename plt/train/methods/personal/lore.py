"""LoRe: everybody's reward is a mixture of a few basis rewards, with weights on the simplex."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray

from plt.data.tables.preferences import Preferences
from plt.train.artifact import load_artifact, save_artifact
from plt.train.heads.empirical_bayes import Prior
from plt.train.heads.factor_fit import (
    LOGIT_PRECISION,
    FactorFit,
    FactorRows,
    Factors,
    Penalties,
    fit_best,
    objective,
    random_factors,
)
from plt.train.heads.factor_table import FactorTable, factor_table, refuse_factorisation
from plt.train.heads.head_table import user_problems
from plt.train.heads.newton import Problems, user_averaged
from plt.train.heads.posterior import factor_posterior
from plt.train.judgements import named_users, read_judgements
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
from plt.train.multi_user.fine_tune import load_tuned
from plt.train.multi_user.tuned_heads import TUNED, FactorSettings, fine_tune_factors, text_features

if TYPE_CHECKING:
    from plt.train.tuning.tuned_reward import TunedReward

NAME = "lore"
SEED_STAGE = 13
TEMPERATURE = 100.0
"""What the reference code divides margins by."""
FIT_STEPS, FIT_RATE = 1000, 0.5
PLACE_STEPS, PLACE_RATE = 500, 0.1
"""Adam in the reference code, for everybody and for a newcomer's weights."""


@dataclass(frozen=True)
class Config(FactorSettings):
    """Backbone, basis and how it is fitted.

    Attributes:
        basis: Number of basis rewards, B; Bose et al. 2025 use 1 to 6 for tens of users and up to
            50 for PRISM.
        averaging: ``users`` counts every user the same however many answers they gave, as the
            paper does; ``rows`` every answer.
        compat: ``lore`` fits as the reference code does: no penalty, margins divided by 100, and
            1,000 steps of Adam at rate 0.5 (a newcomer's weights: 500 at 0.1). Its regulariser for
            PRISM is left out: the vector that it pulls the basis to is a column of the last MLP
            layer and means nothing.
    """

    basis: int = 5
    averaging: Literal["rows", "users"] = "users"
    compat: Literal["none", "lore"] = "none"

    def __post_init__(self) -> None:
        problems = []
        if self.compat == "lore" and self.l2 is not None:
            problems.append(f"'l2' is {self.l2}, but compat 'lore' has no penalty")
        if self.tune != "head":
            problems += self.needs_head({"compat": self.compat == "lore"})
        refuse_factorisation(NAME, "basis", self.basis, problems)
        super().__post_init__()


@dataclass(frozen=True)
class Lore:
    """P(u prefers a to b) = s(r_u(a) - r_u(b)), r_u(x) = sum_b w_ub V_b h(x), w_u on the simplex.

    Bose et al. 2025. Basis and weights are learnt together from random starts by L-BFGS, the
    basis under a ridge penalty and the logits of the weights under a standard normal prior
    (`plt.train.heads.factor_fit`); validation rows choose the ridge only. A newcomer gets weights,
    the basis stays. The population (unknown users and None) has the mean weights of those who were
    fitted. No user can reverse a basis reward: people with opposite tastes need two. With `tune` =
    ``lora`` or ``full`` backbone, basis and weights then learn on together, without a penalty and
    without validation rows.

    Attributes:
        config: What is fitted, on what.
        fitted: Basis and weights; None before `fit`.
        backbone: What was fine-tuned under them; None with frozen features.
        compute: How to compute features when scoring.
        notes: How the fit came about, and who has no weights.
    """

    config: Config = field(default_factory=Config)
    fitted: FactorTable | None = None
    backbone: "TunedReward | None" = None
    compute: Compute = field(default_factory=Compute)
    notes: tuple[str, ...] = ()

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows, sorted."""
        return self.fitted.users if self.fitted else ()

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),)."""
        if self.fitted is None:
            raise ValueError("score after fit or load")
        return self.fitted.reward(self._features(texts, self.compute), rows, users)

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Learns the basis from all users and the weights of every user with a training row."""
        judgements = read_judgements(prefs)
        train = judgements.select(~judgements.validation)
        users, notes = named_users(train, judgements)
        vectors = text_features(judgements.texts, self.config, None, ctx.compute)
        rng = np.random.default_rng([ctx.seed, SEED_STAGE])
        problems = user_problems(train, vectors, users)
        if self.config.averaging == "users":
            problems = user_averaged(problems)
        if self.config.compat == "lore":
            fit, scale, how = _fit_as_published(problems, rng, self.config.basis)
        else:
            scale = problems.pooled_scale()
            shape = (len(users), self.config.basis, vectors.shape[1])
            held_out = user_problems(judgements.select(judgements.validation), vectors, users)
            fit = fit_best(
                FactorRows(problems, scale),
                FactorRows(held_out, scale),
                random_factors(rng, shape, simplex=True),
                self.config.l2,
            )
            how = fit.describe(self.config.l2 is not None)
        factors = fit.factors
        if self.config.tune != "head":
            start = replace(factors, basis=factors.basis / scale)
            backbone, table, tuned = fine_tune_factors(
                train, users, self.config, ctx, start, self.config.averaging
            )
            notes = (f"on frozen features: {how}", tuned, *notes)
            return replace(self, fitted=table, backbone=backbone, compute=ctx.compute, notes=notes)
        prior = Prior(
            factors.coordinates.mean(axis=0), np.eye(self.config.basis) / np.sqrt(LOGIT_PRECISION)
        )
        table = factor_table(factors, users, scale, factors.weights.mean(axis=0), prior)
        return replace(self, fitted=table, compute=ctx.compute, notes=(how, *notes))

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Gives every user in `support` the weights that their rows ask for; the basis stays."""
        if self.fitted is None:
            raise ValueError("adapt after fit or load")
        judgements = support.judgements
        vectors = self._features(judgements.texts, ctx.compute)
        problems = user_problems(judgements, vectors, judgements.users)
        if self.config.compat == "lore":
            coordinates = _place_as_published(problems, self.fitted.basis)
            rewards = self.fitted.joined(judgements.users, coordinates)
        else:
            rewards = self.fitted.with_newcomers(problems, judgements.users)
        return replace(self, fitted=rewards, compute=ctx.compute)

    def phi(self, texts: Texts) -> FloatArray:
        """Basis rewards of texts, shape (n, B)."""
        if self.fitted is None:
            raise ValueError("phi after fit or load")
        return self.fitted.phi(self._features(texts, self.compute))

    def posterior(self, phi: FloatArray, answers: Judgements) -> Placement:
        """The mixtures that `adapt` gives, and how sure they are inside the simplex.

        With compat too, by the prior of the logits. To first order: margins are not linear in the
        logits that have the prior (`plt.train.heads.posterior.simplex_posterior`).
        """
        if self.fitted is None:
            raise ValueError("posterior after fit or load")
        return factor_posterior(self.fitted, phi, answers)

    def linear(self) -> LinearHeads | None:
        """The heads on frozen features; None after fine-tuning."""
        if self.fitted is None or self.backbone is not None:
            return None
        return LinearHeads(
            self.users, self.fitted.heads, (self.config.model, self.config.max_length)
        )

    def with_linear(self, weights: FloatArray) -> Self:
        """A copy with other heads of the same users, the population last."""
        if self.fitted is None:
            raise ValueError("with_linear after fit or load")
        return replace(self, fitted=self.fitted.with_heads(weights))

    def save(self, path: Path) -> None:
        """Writes basis, weights, users and config."""
        if self.fitted is None:
            raise ValueError("save after fit or load")
        record = {"config": asdict(self.config), "users": self.users, "notes": self.notes}
        if self.backbone is not None:
            self.backbone.save(path / TUNED)
        save_artifact(path, NAME, self.fitted.arrays(), record)

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        arrays, record = load_artifact(path, NAME)
        rewards = FactorTable.from_arrays(arrays, record["users"], simplex=True)
        backbone = load_tuned(path / TUNED) if (path / TUNED).exists() else None
        return cls(Config(**record["config"]), rewards, backbone, compute, tuple(record["notes"]))

    def _features(self, texts: Texts, compute: Compute) -> NDArray[np.float32]:
        return text_features(texts, self.config, self.backbone, compute)


def _fit_as_published(
    problems: Problems, rng: np.random.Generator, rank: int
) -> tuple[FactorFit, float, str]:
    """Full-batch Adam on basis and logits without a penalty."""
    shape = (len(problems.sizes), rank)
    start = Factors(
        rng.normal(size=(rank, problems.features.shape[1])), rng.normal(size=shape), simplex=True
    )
    rows = FactorRows(problems, TEMPERATURE)
    fit = descend(rows, start, Penalties(0.0, 0.0), steps=FIT_STEPS, rate=FIT_RATE)
    return fit, TEMPERATURE, f"compat 'lore': {FIT_STEPS} steps of Adam, no penalty"


def _place_as_published(problems: Problems, basis: FloatArray) -> FloatArray:
    """Adam on the logits alone, from equal weights."""
    start = Factors(basis, np.zeros((len(problems.sizes), len(basis))), simplex=True)
    rows = FactorRows(user_averaged(problems), 1.0)
    fit = descend(
        rows, start, Penalties(0.0, 0.0), steps=PLACE_STEPS, rate=PLACE_RATE, moves_basis=False
    )
    return fit.factors.coordinates


def descend(
    rows: FactorRows,
    start: Factors,
    penalties: Penalties,
    *,
    steps: int,
    rate: float,
    moves_basis: bool = True,
) -> FactorFit:
    """Full-batch Adam (Kingma and Ba 2015, their moments and epsilon), for `compat` presets.

    Args:
        rows: Training rows.
        start: Where it starts.
        penalties: 0 in the reference codes.
        steps: Of Adam.
        rate: Learning rate.
        moves_basis: Whether the basis is learnt, or the coordinates only.
    """
    here, value = start, np.nan
    moments = [np.zeros((2, *array.shape)) for array in (start.basis, start.coordinates)]
    for step in range(1, steps + 1):
        value, *gradients = objective(rows, here, penalties)
        moved = []
        for array, gradient, (mean, square) in zip(
            (here.basis, here.coordinates), gradients, moments, strict=True
        ):
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient**2 - square)
            scaled = mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
            moved.append(array - rate * scaled)
        here = Factors(moved[0] if moves_basis else here.basis, moved[1], here.simplex)
    return FactorFit(here, float(value), steps)
