"""The heads of P-RM on frozen features: one solve for each user model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plt.train.heads.empirical_bayes import Prior
from plt.train.heads.factor_fit import (
    LOGIT_PRECISION,
    FactorRows,
    Factors,
    fit_best,
    random_factors,
)
from plt.train.heads.factor_table import FactorTable, factor_table, learnt_prior
from plt.train.heads.head_table import (
    HeadTable,
    blind_table,
    fit_shared_head,
    pair_problem,
    user_problems,
)
from plt.train.heads.newton import Problems, stacked
from plt.train.heads.offsets import OffsetRows, OffsetTable, fit_offsets
from plt.train.heads.ridge import RidgeHeads, fit_ridge
from plt.train.judgements import named_users
from plt.train.method import Judgements

if TYPE_CHECKING:
    from plt.train.methods.personal.p_rm_config import Config

SEED_STAGE = 5
UserHeads: TypeAlias = HeadTable | OffsetTable | FactorTable


@dataclass(frozen=True)
class HeadData:
    """Judgements, and the features of their texts (T, d)."""

    judgements: Judgements
    vectors: NDArray[np.float32]

    @property
    def train(self) -> Judgements:
        """What moves a weight."""
        return self.judgements.select(~self.judgements.validation)

    @property
    def held_out(self) -> Judgements:
        """What chooses a penalty."""
        return self.judgements.select(self.judgements.validation)

    def shared_head(self, l2: float | None) -> RidgeHeads:
        """The head of `bradley-terry`."""
        return fit_shared_head(self.judgements, self.vectors, l2)


def uniform_heads(data: HeadData, config: "Config", seed: int) -> tuple[UserHeads, tuple[str, ...]]:
    """Both branches are the same, so their mixture is the loss of `bradley-terry` at any alpha."""
    shared = data.shared_head(config.l2)
    return blind_table(shared.weights[0]), (shared.describe(),)


def individual_heads(
    data: HeadData, config: "Config", seed: int
) -> tuple[UserHeads, tuple[str, ...]]:
    """Offsets from the generic head, or heads of their own."""
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
    data: HeadData, config: "Config", users: Sequence[str], own: Problems, held_out: Problems
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


def cluster_heads(data: HeadData, config: "Config", seed: int) -> tuple[UserHeads, tuple[str, ...]]:
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
