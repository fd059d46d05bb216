"""P-RM: a reward for each user and a generic one, learnt from every answer at once."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plt.data.preferences import Preferences
from plt.errors import UsageError
from plt.train.artifact import load_artifact, save_artifact
from plt.train.factor_table import FactorTable, factor_table, learnt_prior
from plt.train.factors import (
    LOGIT_PRECISION,
    FactorRows,
    Factors,
    fit_best,
    random_factors,
    stacked,
)
from plt.train.features import features
from plt.train.heads import Problems
from plt.train.judgements import Judgements, named_users, read_judgements
from plt.train.linear import (
    HeadTable,
    blind_table,
    fit_shared_head,
    pair_problem,
    user_problems,
)
from plt.train.method import Compute, FloatArray, IntArray, Texts, TrainContext
from plt.train.offsets import OffsetRows, OffsetTable, fit_offsets
from plt.train.prior import Prior
from plt.train.ridge import RidgeHeads, fit_ridge
from plt.train.settings import RewardSettings

NAME = "p-rm"
SEED_STAGE = 5
UserRewards: TypeAlias = HeadTable | OffsetTable | FactorTable
PROFILES_UNREAD = (
    "what users say of themselves is not read: beside a linear head it would add the same to both"
    " responses and cancel"
)


@dataclass(frozen=True)
class Config(RewardSettings):
    """User model, aggregation and how they are trained; Li et al. 2024, section 4 and appendix F.2.

    Attributes:
        aggregation: How user and text meet: ``linear`` takes the inner product of a user vector
            with the text's state, so that the user model is the head.
        users: ``individual`` gives everybody a vector e_0 + o_u around the generic e_0;
            ``cluster`` a mixture of a few vectors; ``uniform`` everybody the same one, which is
            `bradley-terry` whatever alpha is.
        n_clusters: Vectors that a cluster model mixes, K; the paper uses 5 for its 10 workers of
            TL;DR.
        n_tokens: Vectors a user, T_u. A linear head has 1; None is that.
        alpha: Weight of the loss as the user; the rest is the loss as the generic user, on the
            same answers. The paper's 0.5.
        simplex: Whether mixtures are shares (softmax), as in the reference code; the paper writes
            free weights.
        generic_offset: Whether vectors are e_0 + o_u; false is the ablation e_u = o_u, in which
            the generic user shares nothing with anybody.
    """

    aggregation: Literal["linear", "soft-prompt"] = "linear"
    users: Literal["uniform", "individual", "cluster"] = "individual"
    n_clusters: int = 5
    n_tokens: int | None = None
    alpha: float = 0.5
    simplex: bool = True
    generic_offset: bool = True

    def __post_init__(self) -> None:
        problems = []
        if self.aggregation != "linear":
            problems.append(f"'aggregation' is '{self.aggregation}', expected 'linear'")
        if self.tune != "head":
            problems.append(f"'tune' is '{self.tune}', expected 'head'")
        if self.n_clusters < 1:
            problems.append(f"'n_clusters' is {self.n_clusters}, expected 1 or more")
        if self.n_tokens not in (None, 1):
            problems.append(f"'n_tokens' is {self.n_tokens}, but a linear head has 1 vector a user")
        if not 0 <= self.alpha <= 1:
            problems.append(f"'alpha' is {self.alpha}, expected 0 to 1")
        if self.users == "individual" and not self.generic_offset and self.alpha == 0:
            problems.append("'alpha' is 0 and 'generic_offset' false: that trains no user at all")
        if problems:
            raise UsageError(
                f"method '{NAME}' does not take these settings",
                problems=problems,
                hint=f"plt ls methods {NAME}",
            )
        super().__post_init__()


@dataclass(frozen=True)
class PRm:
    """P(u prefers a to b) = s(<e_u, h(a)> - <e_u, h(b)>), trained as user and as generic user.

    Every answer counts with weight alpha as its user's and 1 - alpha as the generic user's, row by
    row (the reference code duplicates rows and loses a factor 1 - 2^-B). The fit is float64 on
    frozen features; validation rows choose penalties only. The population (unknown users and None)
    is the generic user: e_0, or the mixture of row 0 of a cluster model. A newcomer gets an offset
    or a mixture of their own, everything else stays.

    Attributes:
        config: What is fitted, on what.
        rewards: The fitted heads; None before `fit`.
        compute: How to compute features when scoring.
        notes: How the fit came about, and who has no head.
    """

    config: Config = field(default_factory=Config)
    rewards: UserRewards | None = None
    compute: Compute = field(default_factory=Compute)
    notes: tuple[str, ...] = ()

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows, sorted; empty for a uniform model."""
        return self.rewards.users if self.rewards else ()

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),)."""
        if self.rewards is None:
            raise ValueError("score after fit or load")
        return self.rewards.reward(self._features(texts, self.compute), rows, users)

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Learns the generic reward and that of every user with a training row."""
        judgements = read_judgements(prefs)
        vectors = self._features(judgements.texts, ctx.compute)
        data = _Data(judgements, vectors)
        fit = {"uniform": _uniform, "individual": _individual, "cluster": _cluster}
        rewards, notes = fit[self.config.users](data, self.config, ctx.seed)
        if _has_profiles(prefs, ctx):
            notes = (*notes, PROFILES_UNREAD)
        return replace(self, rewards=rewards, compute=ctx.compute, notes=notes)

    def adapt(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Gives every user in `prefs` what these rows add to the population; nothing else moves."""
        if self.rewards is None:
            raise ValueError("adapt after fit or load")
        if isinstance(self.rewards, HeadTable):
            return self
        judgements = read_judgements(prefs)
        vectors = self._features(judgements.texts, ctx.compute)
        problems = user_problems(judgements, vectors, judgements.users)
        rewards = self.rewards.with_newcomers(problems, judgements.users)
        return replace(self, rewards=rewards, compute=ctx.compute)

    def save(self, path: Path) -> None:
        """Writes heads, users and config."""
        if self.rewards is None:
            raise ValueError("save after fit or load")
        record = {"config": asdict(self.config), "users": self.users, "notes": self.notes}
        save_artifact(path, NAME, self.rewards.arrays(), record)

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        arrays, record = load_artifact(path, NAME)
        config = Config(**record["config"])
        rewards: UserRewards
        if config.users == "uniform":
            rewards = HeadTable.from_arrays(arrays, ())
        elif config.users == "individual":
            rewards = OffsetTable.from_arrays(arrays, record["users"])
        else:
            rewards = FactorTable.from_arrays(arrays, record["users"], simplex=config.simplex)
        return cls(config, rewards, compute, tuple(record["notes"]))

    def _features(self, texts: Texts, compute: Compute) -> NDArray[np.float32]:
        return features(texts, self.config.model, compute, max_length=self.config.max_length)


@dataclass(frozen=True)
class _Data:
    """Judgements, and the features of their texts (T, d)."""

    judgements: Judgements
    vectors: NDArray[np.float32]

    @property
    def train(self) -> Judgements:
        return self.judgements.select(~self.judgements.validation)

    @property
    def held_out(self) -> Judgements:
        return self.judgements.select(self.judgements.validation)

    def shared_head(self, l2: float | None) -> RidgeHeads:
        """The head of `bradley-terry`."""
        return fit_shared_head(self.judgements, self.vectors, l2)


def _uniform(data: _Data, config: Config, seed: int) -> tuple[UserRewards, tuple[str, ...]]:
    """Both branches are the same, so their mixture is the loss of `bradley-terry` at any alpha."""
    shared = data.shared_head(config.l2)
    return blind_table(shared.weights[0]), (shared.describe(),)


def _individual(data: _Data, config: Config, seed: int) -> tuple[UserRewards, tuple[str, ...]]:
    users, notes = named_users(data.train, data.judgements)
    own, held_out = (
        user_problems(part, data.vectors, users) for part in (data.train, data.held_out)
    )
    if not config.generic_offset:
        rewards, hows = _apart(data, config, users, own, held_out)
        return rewards, (*hows, *notes)
    shared = data.shared_head(config.l2)
    e_0 = shared.weights[0]
    if config.alpha == 0:
        # No row moves an offset, and the generic branch alone is the loss of `bradley-terry`.
        table = HeadTable(users, np.tile(e_0, (len(users), 1)), e_0)
        return OffsetTable(table, e_0, 0.0), (f"e_0: {shared.describe()}", *notes)
    rows = OffsetRows(own, pair_problem(data.train, data.vectors), held_out)
    fit = fit_offsets(rows, config.alpha, config.l2, shared)
    how = f"e_0: {shared.describe()}; offsets: penalty l2 = {fit.penalties.users:g}, {fit.chosen}"
    table = HeadTable(users, fit.heads, fit.generic)
    return OffsetTable(table, fit.generic, fit.penalties.deviation(config.alpha)), (how, *notes)


def _apart(
    data: _Data, config: Config, users: Sequence[str], own: Problems, held_out: Problems
) -> tuple[OffsetTable, tuple[str, ...]]:
    """Without e_0 in them users are those of `individual`, and the generic user is on its own."""
    l2, alpha = config.l2, config.alpha
    # A weight on a likelihood is one over it on the penalty.
    heads = fit_ridge(own, None if l2 is None else l2 / alpha, held_out)
    d = data.vectors.shape[1]
    generic, how = np.zeros(d), "alpha is 1: no row trains the generic user, whose rewards are 0"
    if alpha < 1:
        shared = data.shared_head(None if l2 is None else l2 / (1 - alpha))
        generic, how = shared.weights[0], f"generic user: {shared.describe()}"
    deviation = float(np.median(1 / (np.sqrt(heads.l2) * own.scales())))
    table = HeadTable(tuple(users), heads.weights, generic)
    return OffsetTable(table, np.zeros(d), deviation), (f"users: {heads.describe()}", how)


def _cluster(data: _Data, config: Config, seed: int) -> tuple[UserRewards, tuple[str, ...]]:
    """Row 0 is the generic user, who has every answer of everybody."""
    users, notes = named_users(data.train, data.judgements)
    own = user_problems(data.train, data.vectors, users)
    scale = own.pooled_scale()
    train, held_out = (
        FactorRows(_two_branches(part, data.vectors, users, config.alpha), scale)
        for part in (data.train, data.held_out)
    )
    shape = (len(users) + 1, config.n_clusters, data.vectors.shape[1])
    start = random_factors(np.random.default_rng([seed, SEED_STAGE]), shape, config.simplex)
    fit = fit_best(train, held_out, start, config.l2)
    basis, rows = fit.factors.basis, fit.factors.coordinates
    members = Factors(basis, rows[1:], config.simplex)
    if config.simplex or config.alpha == 0:
        spread = np.sqrt(config.alpha / LOGIT_PRECISION) * np.eye(len(basis))
        prior = Prior(rows[1:].mean(axis=0), spread)
    else:
        prior = learnt_prior(own, members, scale, fit.l2 / config.alpha)
    generic = fit.factors.weights[0]
    table = factor_table(members, users, scale, generic, prior)
    return table, (fit.describe(config.l2 is not None), *notes)


def _two_branches(
    judgements: Judgements, vectors: NDArray[np.float32], users: Sequence[str], alpha: float
) -> Problems:
    """Group 0 has all rows with weight 1 - alpha, group i those of users[i - 1] with alpha."""
    generic = pair_problem(judgements, vectors)
    own = user_problems(judgements, vectors, users)
    return stacked(
        [
            replace(generic, weight=(1 - alpha) * generic.weight),
            replace(own, weight=alpha * own.weight),
        ]
    )


def _has_profiles(prefs: Preferences, ctx: TrainContext) -> bool:
    tables = [prefs.votes] if ctx.users is None else [prefs.votes, ctx.users]
    return any(
        "profile" in table.columns and table["profile"].null_count() < table.height
        for table in tables
    )
