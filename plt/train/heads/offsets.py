"""Heads e_0 + o_u: one for everybody and what each user adds, learnt together.

The linear head of P-RM with individual users (Li et al. 2024, appendix F.2) minimises

    alpha * sum_i CE(label_i, x_i . (e_0 + o_u(i))) + (1 - alpha) * sum_i CE(label_i, x_i . e_0)
        + l2_generic / 2 |e_0|^2 + l2 / 2 sum_u |o_u|^2,

which is convex. Given e_0 the offsets are one batched solve, so Newton's method runs on e_0 alone:
what remains of the Hessian when the offsets follow their optimum is, by Woodbury's identity,
X' (C^-1 + X X' / l2)^-1 X a user, and no d x d matrix a user is made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from plt.errors import FailedError
from plt.train.heads.empirical_bayes import Learnt, offset_of
from plt.train.heads.factor_fit import L2_GRID
from plt.train.heads.head_table import HeadTable
from plt.train.heads.newton import Block, Problems, maximise
from plt.train.heads.ridge import MIN_VALIDATION_ROWS, RidgeHeads
from plt.train.method import FloatArray, IntArray
from plt.train.solvers.forms import Form, Paired

KEPT_ELEMENTS = 1 << 25
"""Most float64 of users' rows that are kept between steps: 256 MiB."""
MAX_STEPS = 100
MAX_HALVINGS = 40
CONVERGED = 1e-12
"""Relative gain that Newton's quadratic model promises, below which a step is the last."""


@dataclass(frozen=True)
class OffsetTable:
    """Users' heads around a generic one, in the units of the unscaled features.

    Attributes:
        table: Heads e_0 + o_u; the population is e_0.
        centre: Where a newcomer's head starts from, shape (d,): e_0, or 0 without offsets.
        deviation: Prior standard deviation of an offset in each direction, for newcomers: of the
            posterior whose likelihood counts fully, so sqrt(alpha / l2) on scaled features.
    """

    table: HeadTable
    centre: FloatArray
    deviation: float

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows, sorted."""
        return self.table.users

    def reward(
        self, features: NDArray[np.float32], rows: IntArray, users: Sequence[str | None]
    ) -> FloatArray:
        """As `HeadTable.reward`."""
        return self.table.reward(features, rows, users)

    def with_heads(self, heads: FloatArray) -> Self:
        """A copy with other heads of the same users; newcomers start from where they did."""
        return replace(self, table=self.table.with_weights(heads))

    def with_newcomers(self, problems: Problems, users: Sequence[str]) -> Self:
        """A copy that knows `users`, each with the most probable offset given the own rows."""
        heads = offset_heads(problems, self.centre, self.deviation)
        return replace(self, table=self.table.with_heads(users, heads))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `plt.train.artifact` writes; the names of the users go to its JSON."""
        own = {"centre": self.centre, "deviation": np.array([self.deviation])}
        return {**self.table.arrays(), **own}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], users: Sequence[str]) -> Self:
        """The inverse of `arrays`."""
        table = HeadTable.from_arrays(arrays, users)
        return cls(table, arrays["centre"], float(arrays["deviation"][0]))


@dataclass(frozen=True)
class OffsetRows:
    """What e_0 and offsets are learnt from.

    Attributes:
        users: Training rows, one group a user.
        everybody: All training rows as one group.
        held_out: Validation rows, of the groups of `users`.
    """

    users: Problems
    everybody: Problems
    held_out: Problems


@dataclass(frozen=True)
class OffsetPenalties:
    """Of e_0 and of every offset, above 0, on features divided by `scale`."""

    generic: float
    users: float
    scale: float

    def deviation(self, alpha: float) -> float:
        """As `OffsetTable.deviation`."""
        return float(np.sqrt(alpha / self.users) / self.scale)


@dataclass(frozen=True)
class OffsetFit:
    """The joint optimum at a penalty.

    Attributes:
        generic: e_0, shape (d,).
        heads: e_0 + o_u, shape (U, d).
        penalties: That were given or chosen.
        chosen: How the penalty of offsets came about.
    """

    generic: FloatArray
    heads: FloatArray
    penalties: OffsetPenalties
    chosen: str


def fit_offsets(rows: OffsetRows, alpha: float, l2: float | None, shared: RidgeHeads) -> OffsetFit:
    """e_0 and all offsets.

    Args:
        rows: What is learnt from.
        alpha: Weight of the users' branch, above 0.
        l2: Penalty of offsets; None chooses it from `L2_GRID`: by the loss of the validation rows,
            or, where there are fewer than `MIN_VALIDATION_ROWS`, by the evidence of the users'
            rows around the shared head.
        shared: The head of `bradley-terry` on the same rows: where e_0 starts, and its penalty.
    """
    scale = rows.everybody.pooled_scale()
    start, generic_l2 = shared.weights[0], float(shared.l2[0])

    def fitted(candidate: float, chosen: str, start: FloatArray = start) -> OffsetFit:
        penalties = OffsetPenalties(generic_l2, candidate, scale)
        generic = fit_generic(rows.users, rows.everybody, alpha, penalties, start)
        heads = offset_heads(rows.users, generic, penalties.deviation(alpha))
        return OffsetFit(generic, heads, penalties, chosen)

    if l2 is not None:
        return fitted(l2, "as set")
    if float(rows.held_out.weight.sum()) < MIN_VALIDATION_ROWS:
        return fitted(l2_by_evidence(rows.users, start, scale, alpha), "chosen by evidence")
    held_out, lowest, here = rows.held_out, np.inf, start
    for candidate in L2_GRID:
        fit = fitted(candidate, "chosen by validation", here)
        here = fit.generic
        loss = float(held_out.losses(held_out.margins(fit.heads)).sum())
        if loss < lowest:
            lowest, best = loss, fit
    return best


def offset_heads(problems: Problems, generic: FloatArray, deviation: float) -> FloatArray:
    """The most probable heads e_0 + o_u of shape (U, d) under o_u ~ N(0, deviation^2)."""
    heads = np.tile(generic, (len(problems.sizes), 1))
    if deviation == 0:
        return heads
    offset = problems.margins(generic)
    for block in problems.blocks():
        form, l2 = problems.form(block), np.full(len(block), deviation**-2)
        fit = maximise(form, block, l2, offset_of(block, offset))
        heads[block.groups] += form.weights(fit.coordinates)
    return heads


def offset_evidence(
    problems: Problems, generic: FloatArray, deviations: Sequence[float]
) -> FloatArray:
    """Laplace's log marginal likelihood of all groups' rows around a given e_0.

    Args:
        problems: Training rows, one group a user.
        generic: e_0, shape (d,).
        deviations: Candidates for the prior's standard deviation, above 0, in order of size.

    Returns:
        One a candidate.
    """
    total = np.zeros(len(deviations))
    offset = problems.margins(generic)
    for block in problems.blocks():
        form, coordinates = problems.form(block), None
        for number, deviation in enumerate(deviations):
            l2 = np.full(len(block), deviation**-2)
            fit = maximise(form, block, l2, offset_of(block, offset), coordinates)
            coordinates = fit.coordinates
            total[number] += float(fit.log_evidence(form, l2).sum())
    return total


def l2_by_evidence(problems: Problems, generic: FloatArray, scale: float, alpha: float) -> float:
    """The penalty of `L2_GRID` under which all groups' rows are most probable around a given e_0.

    Args:
        problems: Training rows, one group a user.
        generic: e_0, shape (d,).
        scale: What features are divided by.
        alpha: Weight of the users' branch, above 0.
    """
    deviations = [OffsetPenalties(1.0, l2, scale).deviation(alpha) for l2 in L2_GRID]
    return L2_GRID[int(np.argmax(offset_evidence(problems, generic, deviations)))]


def fit_generic(
    users: Problems,
    everybody: Problems,
    alpha: float,
    penalties: OffsetPenalties,
    start: FloatArray,
) -> FloatArray:
    """e_0 of shape (d,) at the joint optimum; the offsets there are `offset_heads`.

    Args:
        users: Training rows, one group a user.
        everybody: All training rows as one group.
        alpha: Weight of the users' branch, above 0.
        penalties: Above 0.
        start: Where e_0 starts, shape (d,).

    Raises:
        FailedError: No convergence in `MAX_STEPS`.
    """
    profile = _Profile(users, everybody, alpha, penalties)
    here = start
    value, gradient, hessian = profile.expanded(here)
    for _ in range(MAX_STEPS):
        step = -np.linalg.solve(hessian, gradient)
        promised = -float(gradient @ step)
        if promised <= CONVERGED * (1 + abs(value)):
            return np.asarray(here + step)
        length = 1.0
        for _ in range(MAX_HALVINGS):
            there = here + length * step
            new, *derivatives = profile.expanded(there)
            if new <= value:
                break
            length /= 2
        else:
            return here
        here, value, (gradient, hessian) = there, new, derivatives
    raise FailedError(
        f"the shared part of the heads did not converge in {MAX_STEPS} steps",
        hint="raise the penalty: --set l2=1",
    )


class _Profile:
    """The loss as a function of e_0 when every offset is at its optimum."""

    def __init__(
        self, users: Problems, everybody: Problems, alpha: float, penalties: OffsetPenalties
    ) -> None:
        # The likelihood is already weighted.
        self.users = replace(users, weight=users.weight * alpha)
        self.everybody = replace(everybody, weight=everybody.weight * (1 - alpha))
        self.has_generic = alpha < 1 and bool(len(everybody.a))
        self.ridge = penalties.generic * penalties.scale**2
        self.precision = penalties.deviation(1.0) ** -2
        self.blocks = list(self.users.blocks())
        n_elements = len(users.a) * users.features.shape[1]
        self.forms: dict[int, Form] | None = {} if n_elements <= KEPT_ELEMENTS else None
        self.coordinates: list[FloatArray | None] = [None] * len(self.blocks)
        self.shared = Paired(everybody.features, everybody.a, everybody.b)

    def expanded(self, generic: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Value, gradient (d,) and Hessian (d, d) at e_0."""
        d = len(generic)
        value, gradient, hessian = self._of_everybody(generic)
        learnt, offset = Learnt(self.users), self.users.margins(generic)
        for number, block in enumerate(self.blocks):
            form = self._form(number, block)
            l2 = np.full(len(block), self.precision)
            start = self.coordinates[number]
            fit = maximise(form, block, l2, offset_of(block, offset), start)
            self.coordinates[number] = fit.coordinates
            value -= float(fit.value.sum())
            # Stationary offsets: X' slope = o_u / deviation^2.
            gradient -= form.weights(fit.coordinates).sum(axis=0) * self.precision
            learnt.add(form, block, fit, l2)
        hessian += learnt.total() * self.precision
        hessian[np.arange(d), np.arange(d)] += self.ridge
        value += self.ridge / 2 * float(generic @ generic)
        return value, gradient + self.ridge * generic, hessian

    def _form(self, number: int, block: Block) -> Form:
        if self.forms is None:
            return self.users.form(block)
        if number not in self.forms:
            self.forms[number] = self.users.form(block)
        return self.forms[number]

    def _of_everybody(self, generic: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        d = len(generic)
        if not self.has_generic:
            return 0.0, np.zeros(d), np.zeros((d, d))
        margin = self.everybody.margins(generic)
        loss = float(self.everybody.losses(margin).sum())
        slope, curvature = self.everybody.derivatives(margin)
        return loss, -self.shared.pull(slope), self.shared.curved(curvature)
