"""Fitted factorised rewards: who stands where in a basis, and how a newcomer is placed in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from plt.errors import FailedError, UsageError
from plt.train.heads.empirical_bayes import Prior, fit_prior, shrunken_heads
from plt.train.heads.factor_fit import Factors, mixing_weights
from plt.train.heads.head_table import HeadTable
from plt.train.heads.newton import Block, Problems
from plt.train.method import FloatArray, IntArray

MAX_STEPS = 200
MAX_HALVINGS = 40
SMALL_STEP = 1e-10
TINY = 1e-12
IN_BASIS = 1e-8


@dataclass(frozen=True)
class FactorTable:
    """Rewards w_u . phi(x) with phi(x) = V h(x), in the units of the unscaled features.

    Attributes:
        table: The same rewards as heads w_u V: what scores.
        basis: V, shape (K, d).
        coordinates: Where each of `table.users` stands, shape (U, K): w, or its logits.
        prior: Of a newcomer's coordinates.
        simplex: Whether weights are the softmax of the coordinates.
    """

    table: HeadTable
    basis: FloatArray
    coordinates: FloatArray
    prior: Prior
    simplex: bool

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows, sorted."""
        return self.table.users

    @property
    def weights(self) -> FloatArray:
        """Of shape (U, K), row u those of `users[u]`."""
        return mixing_weights(self.coordinates, self.simplex)

    @property
    def heads(self) -> FloatArray:
        """Everybody's heads, shape (U + 1, d), the population last."""
        return self.table.weights

    def with_heads(self, heads: FloatArray) -> Self:
        """A copy with other heads of the same users, shape (U + 1, d), the population last.

        Coordinates follow by least squares: a weight of 0 on the simplex has the logit of `TINY`.

        Raises:
            UsageError: A head is no mixture of the basis.
        """
        found = np.linalg.lstsq(self.basis.T, heads.T, rcond=None)[0].T
        off = np.abs(found @ self.basis - heads).max(initial=0.0)
        if off > IN_BASIS * np.abs(heads).max(initial=1.0):
            raise UsageError(
                "these users are mixtures of a basis, and the other head is none of it",
                hint="plt dose RUN, without --base, moves them towards their own generic user",
            )
        weights = np.asarray(found[:-1], dtype=np.float64)
        coordinates = np.log(np.maximum(weights, TINY)) if self.simplex else weights
        return replace(self, table=self.table.with_weights(heads), coordinates=coordinates)

    def phi(self, features: NDArray[np.float32]) -> FloatArray:
        """The texts in the basis: (T, d) features as (T, K)."""
        return np.asarray(features.astype(np.float64) @ self.basis.T)

    def reward(
        self, features: NDArray[np.float32], rows: IntArray, users: Sequence[str | None]
    ) -> FloatArray:
        """As `HeadTable.reward`."""
        return self.table.reward(features, rows, users)

    def with_newcomers(self, problems: Problems, users: Sequence[str]) -> Self:
        """A copy that knows `users`, each placed by the rows of their group; the basis stays.

        Args:
            problems: One group a user, on the features of the backbone.
            users: Their names, in the order of the groups.
        """
        return self.joined(users, self.placed(problems))

    def joined(self, users: Sequence[str], coordinates: FloatArray) -> Self:
        """A copy in which `users` stand at `coordinates` (U', K)."""
        where = dict(zip(self.users, self.coordinates, strict=True))
        where.update(zip(users, coordinates, strict=True))
        # Old heads are kept as they are: multiplied again beside newcomers, bits could change.
        heads = heads_of(mixing_weights(coordinates, self.simplex), self.basis)
        table = self.table.with_heads(users, heads)
        stacked = np.stack([where[name] for name in table.users])
        return replace(self, table=table, coordinates=stacked)

    def placed(self, problems: Problems) -> FloatArray:
        """The most probable coordinates of each group, shape (U', K); of no row the prior's."""
        in_basis = on_basis(problems, self.basis)
        if self.simplex:
            return place_on_simplex(in_basis, self.prior)
        return shrunken_heads(in_basis, self.prior)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `plt.train.artifact` writes; users and form go to its JSON."""
        return {
            **self.table.arrays(),
            "basis": self.basis,
            "coordinates": self.coordinates,
            "prior_mean": self.prior.mean,
            "prior_factor": self.prior.factor,
        }

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[Any]], users: Sequence[str], *, simplex: bool
    ) -> Self:
        """The inverse of `arrays`."""
        prior = Prior(arrays["prior_mean"], arrays["prior_factor"])
        table = HeadTable.from_arrays(arrays, users)
        return cls(table, arrays["basis"], arrays["coordinates"], prior, simplex)


def refuse_factorisation(name: str, size_key: str, size: int, problems: Sequence[str]) -> None:
    """Raises `UsageError` with everything that is wrong with the settings of `name`.

    Args:
        name: The method.
        size_key: What the method calls its number of factors.
        size: The number.
        problems: What is wrong besides.
    """
    found = list(problems)
    if size < 1:
        found.append(f"'{size_key}' is {size}, expected 1 or more")
    if found:
        raise UsageError(
            f"method '{name}' does not take these settings",
            problems=found,
            hint=f"plt ls methods {name}",
        )


def factor_table(
    factors: Factors, users: Sequence[str], scale: float, population: FloatArray, prior: Prior
) -> FactorTable:
    """Factors in the units of the features.

    Args:
        factors: On features divided by `scale`, one row of coordinates a user.
        users: Sorted.
        scale: What features were divided by.
        population: Weights of everybody else, shape (K,).
        prior: Of a newcomer's coordinates.
    """
    basis = factors.basis / scale
    heads = HeadTable(
        tuple(users), heads_of(factors.weights, basis), heads_of(population[None], basis)[0]
    )
    return FactorTable(heads, basis, factors.coordinates, prior, factors.simplex)


def heads_of(weights: FloatArray, basis: FloatArray) -> FloatArray:
    """The heads w_u V of shape (U, d)."""
    return np.asarray(weights @ basis)


def on_basis(problems: Problems, basis: FloatArray) -> Problems:
    """The same rows on the features phi = V h of shape (T, K)."""
    return replace(problems, features=problems.features.astype(np.float64) @ basis.T)


def learnt_prior(problems: Problems, factors: Factors, scale: float, precision: float) -> Prior:
    """The population of free weights: moments of the training users' posteriors given the basis.

    One EM step of `fit_prior` from the prior N(0, I / precision) that the weights were learnt
    under. Given the basis, the users' weights are the most probable ones under that prior, so the
    mean is the mean of the training users' weights; the covariance is theirs and the mean of their
    posterior covariances, without which a population of shrunken estimates looks too narrow.

    Args:
        problems: Training rows, one group a user, on the features of the backbone.
        factors: What was learnt from them, on features divided by `scale`.
        scale: What features were divided by.
        precision: l2 of the users' weights, above 0.
    """
    rank = len(factors.basis)
    start = Prior(np.zeros(rank), np.eye(rank) / np.sqrt(precision))
    return fit_prior(on_basis(problems, factors.basis / scale), start, 1)


def place_on_simplex(problems: Problems, prior: Prior) -> FloatArray:
    """The most probable logits of each group, shape (U, K), given rows on phi and N(mean, F F').

    Gauss-Newton with step halving from the prior's mean, for all groups at once. A factor of 0
    gives everybody the mean.
    """
    logits = np.tile(prior.mean, (len(problems.sizes), 1))
    if not prior.factor.any():
        return logits
    precision = np.asarray(np.linalg.inv(prior.factor @ prior.factor.T), dtype=np.float64)
    for block in problems.blocks():
        rows = Rows(problems.padded(block), block)
        logits[block.groups] = _climbed(rows, logits[block.groups], prior.mean, precision)
    return logits


@dataclass(frozen=True)
class Rows:
    """The differences of a block, shape (U, n, K), and its answers."""

    x: FloatArray
    answers: Block


def _climbed(batch: Rows, start: FloatArray, mean: FloatArray, precision: FloatArray) -> FloatArray:
    here, value = start, _log_posterior(batch, start, mean, precision)
    for _ in range(MAX_STEPS):
        step = _step(batch, here, mean, precision)
        length = np.ones(len(here))
        for _ in range(MAX_HALVINGS):
            there = here + length[:, None] * step
            new = _log_posterior(batch, there, mean, precision)
            worse = ~(new >= value)
            if not worse.any():
                break
            length[worse] /= 2
        else:
            # No length is uphill any more: these groups stand where rounding ends.
            there = np.where(worse[:, None], here, there)
            new = np.where(worse, value, new)
        moved = np.abs(there - here).max(initial=0.0)
        here, value = there, new
        if not np.isfinite(here).all():
            raise FailedError("a user cannot be placed: the features are not finite numbers")
        if moved < SMALL_STEP:
            break
    return here


def _log_posterior(
    batch: Rows, logits: FloatArray, mean: FloatArray, precision: FloatArray
) -> FloatArray:
    weights = mixing_weights(logits, simplex=True)
    margin = np.einsum("unk,uk->un", batch.x, weights)
    loss = batch.answers.weight * (np.logaddexp(0.0, margin) - batch.answers.label * margin)
    off = logits - mean
    return np.asarray(-loss.sum(axis=1) - np.einsum("uk,kl,ul->u", off, precision, off) / 2)


def _step(batch: Rows, logits: FloatArray, mean: FloatArray, precision: FloatArray) -> FloatArray:
    weights = mixing_weights(logits, simplex=True)
    margin = np.einsum("unk,uk->un", batch.x, weights)
    probability = expit(margin)
    # The margin by the logits: w_k (z_k - w . z).
    slopes = weights[:, None, :] * (batch.x - margin[:, :, None])
    pull = batch.answers.weight * (batch.answers.label - probability)
    curvature = batch.answers.weight * probability * expit(-margin)
    gradient = np.einsum("un,unk->uk", pull, slopes) - (logits - mean) @ precision
    rows = np.sqrt(curvature)[:, :, None] * slopes
    hessian = rows.transpose(0, 2, 1) @ rows + precision
    return np.asarray(np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0])
