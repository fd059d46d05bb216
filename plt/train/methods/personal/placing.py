"""Where people stand: the most probable coordinates of many at once, each from their rows alone.

The coordinates z of a person have a normal prior, and the margins of their rows are a smooth
function of z that need not be linear. Each person's coordinates maximise

    - sum_i weight_i * loss(label_i, m_i(z)) - (z - mean)' P (z - mean) / 2

with P the precision of the prior, by Gauss-Newton with step halving from the prior's mean, for
everybody in one batch. Whoever has converged stands still, rows are padded by their own number
alone, and every product is one person's, so that nobody's coordinates depend on who else is placed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from plt.errors import FailedError
from plt.train.heads.empirical_bayes import Prior
from plt.train.heads.newton import BATCH_ELEMENTS, Problems
from plt.train.method import FloatArray, IntArray

MAX_STEPS = 500
MAX_HALVINGS = 30
NO_GAIN = 1e-15
"""Relative gain of the log posterior that a person's last step expects: far below rounding."""
ROUNDING = 1e-14
"""Relative loss of the log posterior by a step that may be no loss at all."""
STEEP = 0.05
"""Least curvature of the whole Hessian, over Gauss and Newton's, for Newton's own step."""
STILL_MOVING = 1e-8
"""Relative gain of the log posterior by the last of all steps that is worth a word."""
EM_STEPS = 3
FEW_USERS = 0.01
"""Share of the mean variance that every direction has at least: a handful of people leave
directions without any, in which a newcomer could not differ."""


@dataclass(frozen=True)
class PaddedRows:
    """Rows of U people, filled up to one width; the padding has weight 0.

    Attributes:
        a: Text of response a, shape (U, n).
        b: Text of response b, shape (U, n).
        label: Probability that a is preferred, shape (U, n).
        weight: How often the row counts, shape (U, n).
    """

    a: IntArray
    b: IntArray
    label: FloatArray
    weight: FloatArray


class Block(Protocol):
    """Margins of the rows of U people by their coordinates z of shape (U, K)."""

    def margins(self, z: FloatArray) -> FloatArray:
        """Log-odds that a is preferred, shape (U, n)."""
        ...

    def slopes(self, z: FloatArray) -> FloatArray:
        """Derivatives of the margins by z, shape (U, n, K)."""
        ...

    def bend(self, z: FloatArray, pull: FloatArray) -> FloatArray | None:
        """Sum over rows of pull (U, n) times the second derivatives of the margins by z.

        Shape (U, K), where those are diagonal; None where Gauss and Newton's curvature serves.
        """
        ...


Curve = Callable[[PaddedRows], Block]


class Loss(Protocol):
    """What a margin costs, elementwise; `curvature` is that of a bound from above, and above 0."""

    def value(self, label: FloatArray, margin: FloatArray) -> FloatArray:
        """The loss."""
        ...

    def slope(self, label: FloatArray, margin: FloatArray) -> FloatArray:
        """Its derivative by the margin."""
        ...

    def curvature(self, label: FloatArray, margin: FloatArray) -> FloatArray:
        """Its second derivative, or what bounds it."""
        ...


class Logistic:
    """The cross-entropy of a soft label."""

    def value(self, label: FloatArray, margin: FloatArray) -> FloatArray:
        """As `Loss.value`."""
        return np.asarray(np.logaddexp(0.0, margin) - label * margin)

    def slope(self, label: FloatArray, margin: FloatArray) -> FloatArray:
        """As `Loss.slope`."""
        return np.asarray(expit(margin) - label)

    def curvature(self, label: FloatArray, margin: FloatArray) -> FloatArray:
        """As `Loss.curvature`."""
        return np.asarray(expit(margin) * expit(-margin))


class Mixture:
    """Margins w . (t_a - t_b), with weights w the softmax of the coordinates.

    Args:
        table: Rewards of T texts under each of K experts, shape (T, K).
        rows: Whose margins are asked for.
    """

    def __init__(self, table: FloatArray, rows: PaddedRows) -> None:
        self.x = table[rows.a] - table[rows.b]

    def margins(self, z: FloatArray) -> FloatArray:
        """As `Block.margins`."""
        return each(self.x, softmax(z, axis=1))

    def slopes(self, z: FloatArray) -> FloatArray:
        """As `Block.slopes`: w_k (x_k - w . x)."""
        weights = softmax(z, axis=1)
        return np.asarray(weights[:, None, :] * (self.x - each(self.x, weights)[:, :, None]))

    def bend(self, z: FloatArray, pull: FloatArray) -> FloatArray | None:
        """As `Block.bend`."""
        return None


def each(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    """Matrices (U, n, K) times vectors (U, K), shape (U, n): the same bits for every U."""
    return np.asarray((matrix @ vector[:, :, None])[:, :, 0])


@dataclass(frozen=True)
class Standing:
    """Where U people stand.

    Attributes:
        coordinates: The most probable ones, shape (U, K); of no row the prior's mean.
        covariance: Laplace's approximation around them with Gauss and Newton's curvature, shape
            (U, K, K).
        unfinished: How many were still moving after `MAX_STEPS`.
    """

    coordinates: FloatArray
    covariance: FloatArray
    unfinished: int

    def note(self) -> tuple[str, ...]:
        """What must be said of a placement."""
        if not self.unfinished:
            return ()
        return (
            f"{self.unfinished} of {len(self.coordinates)} people were still moving after"
            f" {MAX_STEPS} steps",
        )


def placed(problems: Problems, curve: Curve, prior: Prior, loss: Loss | None = None) -> Standing:
    """Places the U groups of `problems`.

    Args:
        problems: Rows; `features` are not read, `curve` knows the texts.
        curve: Margins of rows by coordinates.
        prior: Of coordinates, with a factor of full rank; one of 0 leaves everybody at its mean.
        loss: Of a margin; None is the cross-entropy.

    Raises:
        FailedError: The margins are no finite numbers.
    """
    n_groups, rank = len(problems.sizes), len(prior.mean)
    here = np.tile(prior.mean, (n_groups, 1))
    covariance = np.tile(prior.factor @ prior.factor.T, (n_groups, 1, 1))
    if not prior.factor.any():
        return Standing(here, covariance, 0)
    precision = np.asarray(np.linalg.inv(prior.factor @ prior.factor.T), dtype=np.float64)
    unfinished = 0
    for groups, width in _blocks(problems.sizes, rank):
        rows = _padded(problems, groups, width)
        climb = _Climb(curve, rows, prior.mean, precision, loss or Logistic())
        here[groups], moving = climb.to_the_top(here[groups])
        covariance[groups] = np.linalg.inv(climb.hessian(here[groups]))
        unfinished += moving
    return Standing(here, covariance, unfinished)


def spread_around(coordinates: FloatArray, mean: FloatArray) -> FloatArray:
    """Second moment of coordinates (U, K) around `mean` (K,), shape (K, K).

    Args:
        coordinates: Of the people whose population it is.
        mean: Where the population stands.
    """
    off = coordinates - mean
    moment = off.T @ off / len(coordinates)
    least = FEW_USERS * float(np.trace(moment)) / len(mean) + np.finfo(float).tiny
    return np.asarray(moment + least * np.eye(len(mean)))


def population_of_mixtures(
    problems: Problems, curve: Curve, weights: FloatArray, loss: Loss | None = None
) -> tuple[Prior, Standing]:
    """The prior of people's logits, learnt from all of them, and where it puts each: EM.

    The mean is that of the people's weights, so that a person without an answer is the population;
    the covariance is the second moment of their logits around it and the mean of their posterior
    covariances, without which a population of shrunken estimates looks too narrow (`fit_prior`).

    Args:
        problems: Training rows, one group a user.
        curve: Margins by logits.
        weights: Where the users are to begin with, shape (U, K), on the simplex; the first prior
            has their mean and standard normal logits.
        loss: Of a margin; None is the cross-entropy.

    Returns:
        The prior of everybody else, and the users under the prior of the step before.
    """
    prior = Prior(centred_logits(weights), np.eye(weights.shape[1]))
    for step in range(EM_STEPS + 1):
        found = placed(problems, curve, prior, loss)
        mean = centred_logits(softmax(found.coordinates, axis=1))
        if step == EM_STEPS:
            prior = Prior(mean, prior.factor)
            break
        moment = spread_around(found.coordinates, mean) + found.covariance.mean(axis=0)
        prior = Prior(mean, np.linalg.cholesky(moment))
    return prior, found


def centred_logits(weights: FloatArray) -> FloatArray:
    """Logits with sum 0 of the mean of weights (U, K), shape (K,)."""
    logits = np.log(weights.mean(axis=0))
    return np.asarray(logits - logits.mean())


class _Climb:
    """Gauss-Newton on one block of people."""

    def __init__(
        self, curve: Curve, rows: PaddedRows, mean: FloatArray, precision: FloatArray, loss: Loss
    ) -> None:
        self.curve = curve
        self.block = curve(rows)
        self.rows = rows
        self.mean = mean
        self.precision = precision
        self.loss = loss

    def to_the_top(self, start: FloatArray) -> tuple[FloatArray, int]:
        """Coordinates (U, K), and how many were still on the way when the steps ended."""
        found = start.copy()
        whose: IntArray = np.arange(len(start))
        climb, here, value = self, start, self.value(start)
        gain: FloatArray = np.zeros(len(start))
        for _ in range(MAX_STEPS):
            there, new, moving = climb._higher(here, value)
            if not np.isfinite(new).all():
                raise FailedError("a user cannot be placed: the features are not finite numbers")
            gain = np.where(moving, new - value, 0.0)
            here, value = there, new
            found[whose] = here
            if not moving.all():
                # Whoever has arrived costs nothing more.
                whose, here = whose[moving], here[moving]
                value, gain = value[moving], gain[moving]
                if not len(whose):
                    break
                climb = climb._of(moving)
        return found, int((gain > STILL_MOVING * (1 + np.abs(value))).sum())

    def _of(self, kept: NDArray[np.bool_]) -> "_Climb":
        rows = self.rows
        part = PaddedRows(rows.a[kept], rows.b[kept], rows.label[kept], rows.weight[kept])
        return _Climb(self.curve, part, self.mean, self.precision, self.loss)

    def _higher(
        self, here: FloatArray, value: FloatArray
    ) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
        """One step up, the log posterior there, and who has further to go."""
        step, expected = self._step(here)
        moving = expected > NO_GAIN * (1 + np.abs(value))
        length = np.ones(len(here))
        for _ in range(MAX_HALVINGS):
            there = here + length[:, None] * step
            new = self.value(there)
            worse = ~(new >= value - ROUNDING * (1 + np.abs(value)))
            if not worse.any():
                return there, new, moving
            length[worse] /= 2
        # No length is uphill any more: they stand where rounding ends.
        there = np.where(worse[:, None], here, there)
        return there, np.where(worse, value, new), moving & ~worse

    def value(self, z: FloatArray) -> FloatArray:
        """Log posterior up to a constant, shape (U,)."""
        lost = self.rows.weight * self.loss.value(self.rows.label, self.block.margins(z))
        off = z - self.mean
        return np.asarray(
            -lost.sum(axis=1) - np.einsum("uk,kl,ul->u", off, self.precision, off) / 2
        )

    def hessian(self, z: FloatArray) -> FloatArray:
        """Of the negative log posterior by Gauss and Newton, shape (U, K, K)."""
        return self._hessian(self.block.margins(z), self.block.slopes(z))

    def _hessian(self, margin: FloatArray, slopes: FloatArray) -> FloatArray:
        curvature = self.rows.weight * self.loss.curvature(self.rows.label, margin)
        rows = np.sqrt(curvature)[:, :, None] * slopes
        return np.asarray(rows.transpose(0, 2, 1) @ rows + self.precision)

    def _pull(self, off: FloatArray) -> FloatArray:
        """The prior's, at (U, K) from its mean."""
        return np.asarray((off[:, None, :] @ self.precision)[:, 0])

    def _bent(self, hessian: FloatArray, z: FloatArray, pull: FloatArray) -> FloatArray:
        """The whole Hessian of those for whom it has no direction that curves up."""
        bend = self.block.bend(z, pull)
        if bend is None:
            return hessian
        axis = np.arange(bend.shape[1])
        whole = hessian.copy()
        whole[:, axis, axis] -= bend
        least = np.linalg.eigvalsh(whole)[:, 0]
        steep = least > STEEP * np.linalg.eigvalsh(hessian)[:, 0]
        return np.where(steep[:, None, None], whole, hessian)

    def _step(self, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Newton's step (U, K), and what it gains if the curvature is right, shape (U,)."""
        margin, slopes = self.block.margins(z), self.block.slopes(z)
        pull = -self.rows.weight * self.loss.slope(self.rows.label, margin)
        gradient = each(slopes.transpose(0, 2, 1), pull) - self._pull(z - self.mean)
        hessian = self._bent(self._hessian(margin, slopes), z, pull)
        step = np.asarray(np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0])
        return step, (gradient * step).sum(axis=1) / 2


def _blocks(sizes: IntArray, rank: int) -> Iterator[tuple[IntArray, int]]:
    """Groups whose rows are padded to one width, that of their own number with two further bits."""
    unit = 1 << np.maximum(np.floor(np.log2(np.maximum(sizes, 1))).astype(np.int64) - 2, 0)
    widths = np.maximum(-(-sizes // unit) * unit, 1)
    for width in np.unique(widths):
        groups = np.flatnonzero(widths == width)
        fit = max(1, BATCH_ELEMENTS // int(4 * width * rank))
        for start in range(0, len(groups), fit):
            yield groups[start : start + fit], int(width)


def _padded(problems: Problems, groups: IntArray, width: int) -> PaddedRows:
    column = np.arange(width)
    real = column < problems.sizes[groups][:, None]
    rows = np.where(real, problems.starts[:-1][groups][:, None] + column, 0)
    if len(problems.a) == 0:
        nothing = np.zeros(rows.shape, dtype=np.int64)
        return PaddedRows(nothing, nothing, np.full(rows.shape, 0.5), np.zeros(rows.shape))
    label = np.where(real, problems.label[rows], 0.5)
    return PaddedRows(problems.a[rows], problems.b[rows], label, problems.weight[rows] * real)
