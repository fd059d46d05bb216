"""Factorised rewards r_u(x) = w_u . V h(x): one solver for PReF, LoRe and the clusters of P-RM.

The margin of user u on a pair is w_u . V x, x the difference of the features of its two responses
divided by a common scale. Basis V (K, d) and coordinates (U, K) are learnt together by

    sum_i weight_i * CE(label_i, w_u(i) . V x_i) + l2_users / 2 |coordinates|^2 + l2_basis / 2 |V|^2

with CE the cross-entropy of a soft label. The weights w_u are the coordinates themselves (PReF,
Shenfeld et al. 2025) or their softmax (LoRe; clusters of P-RM). Free weights have both penalties or
none: V times c and w divided by c give the same rewards, so a penalty on the users alone would be
escaped by a large basis; together the two act as one of sqrt(l2_users * l2_basis) on the nuclear
norm of the (U, d) matrix of heads (Srebro et al. 2005). A loss that mixes each user with a generic
one is no special case: the generic user is a group of its own that has every row.

Everything is float64; the cost of a step is that of one product of the items with V and one back,
and at most of N K beside it, whoever and however many the users are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import softmax

from plt.errors import FailedError
from plt.train.heads.newton import Problems
from plt.train.heads.ridge import MIN_VALIDATION_ROWS
from plt.train.method import FloatArray, IntArray

L2_GRID = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03)
"""From strong to weak, half a decade apart, on features whose differences have mean square 1."""
DEFAULT_L2 = {False: 1.0, True: 0.3}
"""By `simplex`, where too few validation rows can choose: a margin's prior variance of about 1. A
mixture of several experts has a smaller variance than each of them."""
LOGIT_PRECISION = 1.0
"""Logits of mixing weights are a priori standard normal, as P-RM's reference code draws them."""
MAX_ITERATIONS = 1000
TOLERANCE = 1e-7
"""Relative decrease of the objective below which a step is the last."""
LIMIT = 1
"""What scipy calls an end by the number of steps."""
MEMORY = 20
"""Pairs of steps that L-BFGS keeps."""
MEAN_CURVATURE = 0.2
"""s(m) s(-m) at margins of about 1."""
SAMPLE_OVER_DIM = 8
"""Rows a dimension from which the curvature is estimated."""
MOST_CELLS = 16
"""Users by items a row, up to which they are a table."""
PART_CELLS, PART_ROWS = 1 << 17, 1 << 14
"""Of a part of the users: about a megabyte."""


@dataclass(frozen=True)
class Factors:
    """A basis and where each group stands in it, on scaled features.

    Attributes:
        basis: V, shape (K, d).
        coordinates: Shape (U, K): the weights, or the logits of the weights.
        simplex: Whether weights are the softmax of the coordinates.
    """

    basis: FloatArray
    coordinates: FloatArray
    simplex: bool

    @property
    def weights(self) -> FloatArray:
        """Of shape (U, K)."""
        return mixing_weights(self.coordinates, self.simplex)


@dataclass(frozen=True)
class Penalties:
    """Of the coordinates and of the basis, on scaled features; 0 is none."""

    users: float
    basis: float


@dataclass(frozen=True)
class FactorFit:
    """A stationary point of the penalised loss, or where the iterations ended.

    Attributes:
        factors: Basis and coordinates.
        value: The objective there.
        iterations: Steps of L-BFGS.
        l2: The penalty that was chosen or given.
        by_validation: Whether validation rows chose it.
        limited: Whether the most steps ended it and not the tolerance.
    """

    factors: Factors
    value: float
    iterations: int
    l2: float = float("nan")
    by_validation: bool = False
    limited: bool = False

    def describe(self, given: bool) -> str:
        """How the fit came about, in one line for the notes of a run."""
        how = "by validation" if self.by_validation else "by default: few validation rows"
        chosen = "as set" if given else f"chosen {how}"
        end = ", the most that are made: it had not converged" if self.limited else ""
        return f"penalty l2 = {self.l2:g}, {chosen}; {self.iterations} steps of L-BFGS{end}"


class FactorRows:
    """The rows of U groups in the form in which a step costs least.

    A row's difference is that of two items: items are the distinct texts, or the differences of the
    distinct pairs and nothing, where those are fewer. What a row needs of its user and of its items
    is a number, w_u . V item, wherever users by items are not many more than rows; else it is K
    numbers of each. Either way users are taken a part at a time, so that what a step touches stays
    near the processor: else a fit of ten times as many users takes twenty times as long.

    Args:
        problems: One group a user; its features are divided by `scale`.
        scale: Common to all groups.

    Raises:
        FailedError: The features are not finite.
    """

    def __init__(self, problems: Problems, scale: float) -> None:
        texts, ends = np.unique(np.stack([problems.a, problems.b]), return_inverse=True)
        self.a, self.b = ends.reshape(2, -1)
        pairs, pair = np.unique(self.a * len(texts) + self.b, return_inverse=True)
        x = problems.features[texts].astype(np.float64) / scale
        if not np.isfinite(x).all():
            raise FailedError("factors cannot be fitted: the features are not finite numbers")
        if len(pairs) < len(texts):
            self.a, self.b = pair.reshape(-1), np.full(len(pair), len(pairs))
            x = np.concatenate([x[pairs // len(texts)] - x[pairs % len(texts)], 0 * x[:1]])
        self.items = x
        self.starts, self.user = problems.starts, problems.owner
        self.label, self.weight = problems.label, problems.weight
        self.by_cells = len(problems.sizes) * len(x) <= MOST_CELLS * len(self.a)
        self.parts = list(self._parts())

    def __len__(self) -> int:
        return len(self.label)

    @property
    def totals(self) -> FloatArray:
        """Weight of each group's rows, shape (U,)."""
        return np.bincount(self.user, self.weight, len(self.starts) - 1).astype(np.float64)

    def differences(self, rows: slice) -> FloatArray:
        """X of some rows, shape (n, d)."""
        return np.asarray(self.items[self.a[rows]] - self.items[self.b[rows]])

    def margins(self, factors: Factors) -> FloatArray:
        """w_u . V x of every row, shape (N,)."""
        places, weights = self.items @ factors.basis.T, factors.weights
        margins = [self._forward(part, places, weights) for part in self.parts]
        return np.concatenate([np.zeros(0), *margins])

    def loss(self, factors: Factors) -> float:
        """Weighted mean cross-entropy of the rows."""
        margin = self.margins(factors)
        losses = np.logaddexp(0.0, margin) - self.label * margin
        return float(self.weight @ losses / self.weight.sum())

    def expanded(self, factors: Factors) -> tuple[float, FloatArray, FloatArray]:
        """Weighted sum of cross-entropies, and its gradients by basis (K, d) and weights (U, K)."""
        places, weights = self.items @ factors.basis.T, factors.weights
        loss, by_places, by_weights = 0.0, np.zeros(places.shape), np.zeros(weights.shape)
        for part in self.parts:
            label, weight = self.label[part.rows], self.weight[part.rows]
            margin = self._forward(part, places, weights)
            tail = np.exp(-np.abs(margin))
            # log(1 + e^m) in a form that neither overflows nor costs half of the step.
            softplus = np.maximum(margin, 0.0) + np.log1p(tail)
            loss += float(weight @ (softplus - label * margin))
            share = np.where(margin >= 0, 1.0, tail) / (1 + tail)
            pull = self._backward(part, weight * (share - label))
            by_weights[part.users] = pull @ places
            by_places += pull.T @ weights[part.users]
        return loss, by_places.T @ self.items, by_weights

    def _forward(self, part: "_Part", places: FloatArray, weights: FloatArray) -> FloatArray:
        """Margins of a part's rows from items in the basis (T, K) and weights (U, K)."""
        if self.by_cells:
            rewards = (weights[part.users] @ places.T).ravel()
            return np.asarray(rewards[part.cell_a] - rewards[part.cell_b])
        z = places[self.a[part.rows]] - places[self.b[part.rows]]
        return np.asarray(np.einsum("nk,nk->n", z, weights[self.user[part.rows]]))

    def _backward(self, part: "_Part", slope: FloatArray) -> "FloatArray | sparse.csr_array":
        """What each user of a part pulls each item, shape (u, T)."""
        n_users, n_items = part.users.stop - part.users.start, len(self.items)
        if self.by_cells:
            cells = n_users * n_items
            pull = np.bincount(part.cell_a, slope, cells) - np.bincount(part.cell_b, slope, cells)
            return pull.astype(np.float64, copy=False).reshape(n_users, n_items)
        items = np.stack([self.a[part.rows], self.b[part.rows]], axis=1).ravel()
        ends = 2 * (self.starts[part.users.start : part.users.stop + 1] - part.rows.start)
        data = np.stack([slope, -slope], axis=1).ravel()
        return sparse.csr_array((data, items, ends), shape=(n_users, n_items))

    def _parts(self) -> "Iterator[_Part]":
        n_users, first = len(self.starts) - 1, 0
        while first < n_users:
            fit = np.searchsorted(self.starts, self.starts[first] + PART_ROWS, side="right") - 1
            if self.by_cells:
                fit = min(fit, first + PART_CELLS // max(1, len(self.items)))
            last = min(max(first + 1, int(fit)), n_users)
            users, rows = slice(first, last), slice(self.starts[first], self.starts[last])
            base = (self.user[rows] - first) * len(self.items)
            yield _Part(users, rows, base + self.a[rows], base + self.b[rows])
            first = last


@dataclass(frozen=True)
class _Part:
    """Some users, their rows, and where in a table of users by items a row's responses stand."""

    users: slice
    rows: slice
    cell_a: IntArray
    cell_b: IntArray


def mixing_weights(coordinates: FloatArray, simplex: bool) -> FloatArray:
    """The weights of shape (U, K) that coordinates stand for."""
    return np.asarray(softmax(coordinates, axis=1)) if simplex else coordinates


def objective(
    rows: FactorRows, factors: Factors, penalties: Penalties
) -> tuple[float, FloatArray, FloatArray]:
    """The penalised loss, and its gradients by basis (K, d) and coordinates (U, K)."""
    value, by_basis, by_weights = rows.expanded(factors)
    if factors.simplex:
        weights = factors.weights
        mean = np.einsum("uk,uk->u", weights, by_weights)
        by_weights = weights * (by_weights - mean[:, None])
    value += penalties.users / 2 * float(np.vdot(factors.coordinates, factors.coordinates))
    value += penalties.basis / 2 * float(np.vdot(factors.basis, factors.basis))
    by_coordinates = by_weights + penalties.users * factors.coordinates
    return value, by_basis + penalties.basis * factors.basis, by_coordinates


def fit_factors(
    rows: FactorRows,
    start: Factors,
    penalties: Penalties,
    *,
    max_iterations: int = MAX_ITERATIONS,
    tolerance: float = TOLERANCE,
) -> FactorFit:
    """Minimises the penalised loss by L-BFGS from `start`.

    The loss is not convex, so where it ends can depend on the start. Without penalties it may have
    no finite minimum; the iterations are then what ends it, as in the papers.
    """
    form = _RoundForm.of(rows, start, penalties)

    def value_and_gradient(point: FloatArray) -> tuple[float, FloatArray]:
        value, by_basis, by_coordinates = objective(rows, form.factors(point), penalties)
        return value, form.gradient(by_basis, by_coordinates)

    found = minimize(
        value_and_gradient,
        form.point(start),
        jac=True,
        method="L-BFGS-B",
        options={
            "maxiter": max_iterations,
            "maxfun": 2 * max_iterations,
            "maxcor": MEMORY,
            "ftol": tolerance,
            "gtol": tolerance,
        },
    )
    limited = found.status == LIMIT
    return FactorFit(form.factors(found.x), float(found.fun), int(found.nit), limited=limited)


@dataclass(frozen=True)
class _RoundForm:
    """Variables in which the loss curves about equally in all directions, for L-BFGS.

    Embeddings have a few directions with most of the variance: without this a fit takes two to
    three times as many steps.

    Attributes:
        root: basis = variables @ root, shape (d, d).
        inverse: Of `root`.
        users: Coordinates times this are the variables, shape (U, 1).
        simplex: Of the factors.
    """

    root: FloatArray
    inverse: FloatArray
    users: FloatArray
    simplex: bool

    @classmethod
    def of(cls, rows: FactorRows, start: Factors, penalties: Penalties) -> "_RoundForm":
        d = rows.items.shape[1]
        step = max(1, len(rows) // (SAMPLE_OVER_DIM * d))
        x = rows.differences(slice(None, None, step))
        total = MEAN_CURVATURE * rows.weight.sum() * np.mean(start.weights**2)
        hessian = total * (x.T @ x) / len(x)
        ridge = max(penalties.basis, 1e-3 * np.trace(hessian) / d, np.finfo(float).tiny)
        hessian[np.arange(d), np.arange(d)] += ridge
        lower = np.linalg.cholesky(hessian)
        curvature = penalties.users + MEAN_CURVATURE * rows.totals
        users = np.sqrt(np.where(curvature > 0, curvature, 1.0))[:, None]
        # basis = variables @ L^-1 for the Hessian L L', so that the variables see the identity.
        return cls(np.linalg.inv(lower), lower, users, start.simplex)

    def point(self, factors: Factors) -> FloatArray:
        """Factors as one vector of variables."""
        basis, coordinates = factors.basis @ self.inverse, factors.coordinates * self.users
        return np.concatenate([basis.ravel(), coordinates.ravel()])

    def factors(self, point: FloatArray) -> Factors:
        """The inverse of `point`."""
        n_users, d = len(self.users), len(self.root)
        rank = len(point) // (n_users + d)
        basis = point[: rank * d].reshape(rank, d) @ self.root
        return Factors(basis, point[rank * d :].reshape(n_users, rank) / self.users, self.simplex)

    def gradient(self, by_basis: FloatArray, by_coordinates: FloatArray) -> FloatArray:
        """By the variables."""
        return np.concatenate(
            [(by_basis @ self.root.T).ravel(), (by_coordinates / self.users).ravel()]
        )


def random_factors(rng: np.random.Generator, shape: tuple[int, int, int], simplex: bool) -> Factors:
    """Where users and basis are drawn: (U, K, d) in `shape`.

    Coordinates are standard normal, as the logits of P-RM's clusters are in its reference code;
    basis vectors have a mean square length of 1, so that first margins are of order 1.
    """
    n_users, rank, d = shape
    basis = rng.normal(size=(rank, d)) / np.sqrt(d)
    return Factors(basis, rng.normal(size=(n_users, rank)), simplex)


def fit_best(
    rows: FactorRows, validation: FactorRows, start: Factors, l2: float | None
) -> FactorFit:
    """As `fit_factors`, with a missing penalty chosen by the validation rows.

    Args:
        rows: Training rows.
        validation: Rows of the same groups.
        start: Every penalty starts there: a path of warm starts would not leave the zero that
            strong penalties lead to.
        l2: Of the basis, and of free weights; None chooses from `L2_GRID` by the loss of the
            validation rows, or takes the default where there are fewer than `MIN_VALIDATION_ROWS`.
            The search walks from the default to stronger ones while they are better, and where none
            is, to weaker ones, whose fits take more steps.
    """
    chooses = l2 is None and float(validation.weight.sum()) >= MIN_VALIDATION_ROWS
    if not chooses:
        l2 = DEFAULT_L2[start.simplex] if l2 is None else l2
        return replace(fit_factors(rows, start, _penalties(l2, start.simplex)), l2=l2)

    def judged(place: int) -> tuple[float, FactorFit]:
        fit = fit_factors(rows, start, _penalties(L2_GRID[place], start.simplex))
        return validation.loss(fit.factors), replace(fit, l2=L2_GRID[place], by_validation=True)

    origin = L2_GRID.index(DEFAULT_L2[start.simplex])
    lowest, best = judged(origin)
    for places in (range(origin - 1, -1, -1), range(origin + 1, len(L2_GRID))):
        for place in places:
            loss, fit = judged(place)
            if loss >= lowest:
                break
            lowest, best = loss, fit
        if best.l2 != L2_GRID[origin]:
            break
    return best


def _penalties(l2: float, simplex: bool) -> Penalties:
    return Penalties(LOGIT_PRECISION if simplex else l2, l2)
