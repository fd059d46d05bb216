"""PReF: a few shared reward factors, and how much each user cares for each of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from plt.data.tables.preferences import Preferences
from plt.train.artifact import load_artifact, save_artifact
from plt.train.heads.empirical_bayes import Prior, moments
from plt.train.heads.factor_fit import FactorFit, FactorRows, Factors, fit_best, random_factors
from plt.train.heads.factor_table import (
    FactorTable,
    factor_table,
    learnt_prior,
    on_basis,
    refuse_factorisation,
)
from plt.train.heads.head_table import user_problems
from plt.train.heads.newton import Problems
from plt.train.heads.posterior import factor_posterior
from plt.train.heads.vote_svd import VoteMatrix, regressed, vote_factors, with_vote_factors
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

NAME = "pref"
SEED_STAGE = 12
COMPAT_IMPUTATIONS = 10
COMPAT_STEPS, COMPAT_RATE = 1000, 0.01
"""Gradient steps on a new user's weights in the reference code's final evaluation."""


@dataclass(frozen=True)
class Config(FactorSettings):
    """Backbone, factors and how they are fitted.

    Attributes:
        factors: J, how many reward factors (8 for Attributes, 6 for PRISM in Shenfeld et al. 2025,
            table 3).
        init: ``svd`` begins at the singular vectors of the centred votes; ``random`` is the No-SVD
            ablation of figure 3A.
        impute: How often missing votes are filled in before the singular vectors are taken.
        prior: Of a newcomer's lambda, around the mean lambda of the training users:
            ``covariance`` is theirs, ``isotropic`` that of the penalty.
        compat: ``pref`` follows the reference code: votes are not centred and imputed 10 times,
            only the lambdas start from them (its regression of the factors has a learning rate of
            1e-6), and newcomers get 1,000 gradient steps of 0.01 from a standard normal start
            without a penalty. Its penalty, on the norm of phi instead of lambda, is left out.
    """

    zero_l2: ClassVar[bool] = True
    factors: int = 8
    init: Literal["svd", "random"] = "svd"
    impute: int = 0
    prior: Literal["covariance", "isotropic"] = "covariance"
    compat: Literal["none", "pref"] = "none"

    def __post_init__(self) -> None:
        problems = []
        if self.impute < 0:
            problems.append(f"'impute' is {self.impute}, expected 0 or more")
        if self.l2 is not None and not 0 <= self.l2 < np.inf:
            problems.append(f"'l2' is {self.l2}, expected 0 or more")
        if self.l2 == 0 and self.prior == "isotropic":
            problems.append("'l2' is 0, which is no prior of a newcomer: not with prior=isotropic")
        if self.compat == "pref" and self.init == "random":
            problems.append("'init' is 'random', but compat 'pref' starts from the votes")
        if self.tune != "head":
            frozen = {"prior": self.prior == "isotropic", "compat": self.compat == "pref"}
            problems += self.needs_head(frozen)
        refuse_factorisation(NAME, "factors", self.factors, problems)
        super().__post_init__()


@dataclass(frozen=True)
class Pref:
    """P(u prefers a to b) = s(lambda_u . (phi(a) - phi(b))), phi linear in frozen features.

    Shenfeld et al. 2025. Votes are centred by one half before the decomposition (uncentred, the
    first singular vector is the constant), its pair factors are regressed on the features, and
    both factors are then fitted to the judgements together (`plt.train.heads.factor_fit`). The
    paper penalises lambda alone, which a large phi escapes; here phi has the same penalty, chosen
    on validation rows. l2 = 0 is the No-Reg ablation: the number of steps ends it. With `tune` =
    ``lora`` or ``full`` the backbone learns with both factors, from the same start and without a
    penalty, and validation rows are not used. A newcomer gets the
    most probable lambda under a Gaussian around the training users' mean, found by Newton's
    method; the population has that mean.

    Attributes:
        config: What is fitted, on what.
        fitted: Factors and lambdas; None before `fit`.
        backbone: What was fine-tuned under them; None with frozen features.
        compute: How to compute features when scoring.
        notes: How the fit came about, and who has no lambda.
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

    @property
    def lambdas(self) -> FloatArray:
        """Weights of the known users, shape (U, J), in the order of `users`."""
        return self._fitted().coordinates

    def phi(self, texts: Texts) -> FloatArray:
        """Reward factors of texts, shape (n, J)."""
        return self._fitted().phi(self._features(texts, self.compute))

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),)."""
        return self._fitted().reward(self._features(texts, self.compute), rows, users)

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Learns the factors from all users, and the lambda of every user with a training row."""
        judgements = read_judgements(prefs)
        train = judgements.select(~judgements.validation)
        users, notes = named_users(train, judgements)
        vectors = text_features(judgements.texts, self.config, None, ctx.compute)
        problems = user_problems(train, vectors, users)
        held_out = user_problems(judgements.select(judgements.validation), vectors, users)
        scale = problems.pooled_scale()
        rows, held_out_rows = FactorRows(problems, scale), FactorRows(held_out, scale)
        start = self._start(problems, scale, ctx.seed)
        if self.config.tune != "head":
            start = replace(start, basis=start.basis / scale)
            backbone, fitted, how = fine_tune_factors(train, users, self.config, ctx, start)
            notes = (f"{self.config.factors} factors, {how}", *notes)
            return replace(self, fitted=fitted, backbone=backbone, compute=ctx.compute, notes=notes)
        fit = fit_best(rows, held_out_rows, start, self.config.l2)
        prior = self._prior(problems, fit, scale)
        population = fit.factors.weights.mean(axis=0)
        fitted = factor_table(fit.factors, users, scale, population, prior)
        how = f"{self.config.factors} factors, {fit.describe(self.config.l2 is not None)}"
        return replace(self, fitted=fitted, compute=ctx.compute, notes=(how, *notes))

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Gives every user in `support` a lambda from their rows; the factors stay."""
        fitted = self._fitted()
        judgements = support.judgements
        vectors = self._features(judgements.texts, ctx.compute)
        users = judgements.users
        problems = user_problems(judgements, vectors, users)
        if self.config.compat == "pref":
            lambdas = _placed_as_published(on_basis(problems, fitted.basis), users, ctx.seed)
            return replace(self, fitted=fitted.joined(users, lambdas), compute=ctx.compute)
        return replace(self, fitted=fitted.with_newcomers(problems, users), compute=ctx.compute)

    def posterior(self, phi: FloatArray, answers: Judgements) -> Placement:
        """The lambdas that `adapt` gives, and how sure they are; with compat too, by the prior."""
        return factor_posterior(self._fitted(), phi, answers)

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
        """Writes factors, lambdas, users and config."""
        record = {"config": asdict(self.config), "users": self.users, "notes": self.notes}
        if self.backbone is not None:
            self.backbone.save(path / TUNED)
        save_artifact(path, NAME, self._fitted().arrays(), record)

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        arrays, record = load_artifact(path, NAME)
        fitted = FactorTable.from_arrays(arrays, record["users"], simplex=False)
        backbone = load_tuned(path / TUNED) if (path / TUNED).exists() else None
        return cls(Config(**record["config"]), fitted, backbone, compute, tuple(record["notes"]))

    def _fitted(self) -> FactorTable:
        if self.fitted is None:
            raise ValueError("score after fit or load")
        return self.fitted

    def _features(self, texts: Texts, compute: Compute) -> NDArray[np.float32]:
        return text_features(texts, self.config, self.backbone, compute)

    def _start(self, problems: Problems, scale: float, seed: int) -> Factors:
        config = self.config
        rng = np.random.default_rng([seed, SEED_STAGE])
        shape = (len(problems.sizes), config.factors, problems.features.shape[1])
        start = random_factors(rng, shape, simplex=False)
        if config.init == "random":
            return start
        matrix = VoteMatrix.of(problems)
        if config.compat == "pref":
            impute = config.impute or COMPAT_IMPUTATIONS
            lambdas, _ = vote_factors(
                matrix, config.factors, rng, centred=False, imputations=impute
            )
            return with_vote_factors(start, lambdas, None)
        lambdas, pairs = vote_factors(matrix, config.factors, rng, imputations=config.impute)
        return with_vote_factors(start, lambdas, regressed(matrix, problems, scale, pairs))

    def _prior(self, problems: Problems, fit: FactorFit, scale: float) -> Prior:
        mean, rank = fit.factors.weights.mean(axis=0), self.config.factors
        if self.config.prior == "isotropic":
            return Prior(mean, np.eye(rank) / np.sqrt(fit.l2))
        if fit.l2 == 0:
            return moments(fit.factors.weights)
        # Its mean is this one up to the tolerance of the fit: one population, not two.
        return Prior(mean, learnt_prior(problems, fit.factors, scale, fit.l2).factor)


def _placed_as_published(problems: Problems, users: Sequence[str], seed: int) -> FloatArray:
    """Gradient steps on the mean loss of each user's rows on phi, from N(0, I); shape (U', J)."""
    rank = problems.features.shape[1]
    starts = [
        np.random.default_rng([seed, SEED_STAGE, *user.encode()]).normal(size=rank)
        for user in users
    ]
    lambdas = np.array(starts).reshape(len(users), rank)
    for block in problems.blocks():
        x = problems.padded(block)
        share = block.weight / np.maximum(block.weight.sum(axis=1, keepdims=True), 1.0)
        here = lambdas[block.groups]
        for _ in range(COMPAT_STEPS):
            margin = np.einsum("unj,uj->un", x, here)
            here = here + COMPAT_RATE * np.einsum(
                "un,unj->uj", share * (block.label - expit(margin)), x
            )
        lambdas[block.groups] = here
    return lambdas
