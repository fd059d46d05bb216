"""The pooled model: one flexible taste for everybody, on features of both responses.

What a test of heterogeneity calls taste is what this model leaves over, so it must be able to bend.
With a line per feature, or squares only, a taste with a threshold or a ceiling looks like
differences between people as soon as their responses differ in spread (see
`plt.analyze.taste.heterogeneity`). Each feature therefore enters as a piecewise linear function
with a square, features enter in products of two, and slopes may change with the context.

Who wrote a response enters too, where it is known: one quality a source, with a normal prior of
standard deviation 1 in log-odds, so that they sum to 0 where all are known and a source seen a few
times stays near it; an unknown source has the quality 0. Without them a good model that writes at
length in some people's material, and briefly in that of others, makes two camps out of people who
only want good responses.
"""

from dataclasses import dataclass, replace

import numpy as np

from plt.analyze.intervals.clusters import BoolArray, CodeArray, FloatArray
from plt.analyze.taste.logistic import logistic

KNOTS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Quantiles of a feature, over both responses, at which its slope may change."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Choices:
    """Judgements with what is known of both responses; one row a judgement.

    Attributes:
        a: Features of response_a, [n, k].
        b: Features of response_b, [n, k].
        context: What both responses share, [n, c]; c may be 0.
        prefers_a: 1 where response_a was preferred, else 0, [n].
        users: Codes >= 0, [n].
        groups: Codes >= 0 of the conversations, [n].
        sources: Codes of who wrote response_a and response_b, negative where that is not known,
            [n, 2]; None where nothing is.
    """

    a: FloatArray
    b: FloatArray
    context: FloatArray
    prefers_a: FloatArray
    users: CodeArray
    groups: CodeArray
    sources: CodeArray | None = None

    def where(self, rows: BoolArray) -> "Choices":
        """The rows that the mask marks."""
        return Choices(
            self.a[rows],
            self.b[rows],
            self.context[rows],
            self.prefers_a[rows],
            self.users[rows],
            self.groups[rows],
            None if self.sources is None else self.sources[rows],
        )

    def features(self, kept: BoolArray) -> "Choices":
        """The same rows with fewer features."""
        return replace(self, a=self.a[:, kept], b=self.b[:, kept])


@dataclass(frozen=True)
class Basis:
    """Functions of the features of one response; a pair has the difference of both responses'.

    Attributes:
        centre: Mean of each feature, [k].
        scale: Standard deviation of each feature, [k].
        knots: Per feature the points where its slope may change, standardised; between its ends.
        context_centre: Mean of each context, [c].
        context_scale: Standard deviation of each context, 1 where it is constant, [c].
        slope_scale: Root mean square difference of each feature, [k].
        n_sources: How many sources have a quality; those with higher codes count as unknown.
    """

    centre: FloatArray
    scale: FloatArray
    knots: tuple[FloatArray, ...]
    context_centre: FloatArray
    context_scale: FloatArray
    slope_scale: FloatArray
    n_sources: int

    def design(self, choices: Choices) -> FloatArray:
        """The columns of each pair, [n, m], sources last: swapping a and b negates them."""
        columns = self._bend((choices.a - self.centre) / self.scale)
        columns -= self._bend((choices.b - self.centre) / self.scale)
        moved = (choices.context - self.context_centre) / self.context_scale
        slopes = self.slopes(choices)
        products = [slopes * moved[:, [j]] for j in range(moved.shape[1])]
        return np.concatenate([columns, *products, self._wrote(choices)], axis=1)

    def _wrote(self, choices: Choices) -> FloatArray:
        """1 for the source of a, -1 for that of b, 0 where both are one, [n, n_sources]."""
        found = np.zeros((choices.users.size, self.n_sources))
        if choices.sources is not None:
            for codes, sign in zip(choices.sources.T, (1.0, -1.0), strict=True):
                known = np.flatnonzero((codes >= 0) & (codes < self.n_sources))
                found[known, codes[known]] += sign
        return found

    def slopes(self, choices: Choices) -> FloatArray:
        """Differences of the features (a - b), in units of their root mean square, [n, k]."""
        return (choices.a - choices.b) / self.slope_scale

    def _bend(self, z: FloatArray) -> FloatArray:
        first, second = np.triu_indices(z.shape[1])
        hinges = [np.maximum(z[:, [j]] - knots, 0.0) for j, knots in enumerate(self.knots)]
        return np.concatenate([z, z[:, first] * z[:, second], *hinges], axis=1)


@dataclass(frozen=True)
class PooledModel:
    """A fitted pooled model.

    Attributes:
        basis: Its columns.
        weights: Their coefficients, [m].
        learned: Log-odds of response_a in the rows that it was fitted on, [n].
    """

    basis: Basis
    weights: FloatArray
    learned: FloatArray

    def margin(self, choices: Choices) -> FloatArray:
        """Log-odds that response_a is preferred, [n]."""
        return np.asarray(self.basis.design(choices) @ self.weights)


def fit_pooled(choices: Choices) -> PooledModel:
    """Fits the pooled model by penalised maximum likelihood (`plt.analyze.taste.logistic`).

    The columns of the design are penalised in units of their root mean square, the qualities of
    sources in log-odds.

    Args:
        choices: At least one row. A feature that is constant counts for nothing.

    Returns:
        The model. Turning any row round (a with b, 1 with 0) changes it by rounding only.
    """
    basis = _fit_basis(choices)
    design = basis.design(choices)
    scale = _positive(_root_mean_square(design))
    scale[scale.size - basis.n_sources :] = 1.0
    design /= scale
    weights = logistic(design, choices.prefers_a)
    return PooledModel(basis, weights / scale, design @ weights)


def _fit_basis(choices: Choices) -> Basis:
    both = np.concatenate([choices.a, choices.b])
    centre, scale = both.mean(axis=0), _positive(both.std(axis=0))
    return Basis(
        centre=centre,
        scale=scale,
        knots=tuple(_knots(values) for values in ((both - centre) / scale).T),
        context_centre=choices.context.mean(axis=0),
        context_scale=_positive(choices.context.std(axis=0)),
        slope_scale=_positive(_root_mean_square(choices.a - choices.b)),
        n_sources=0 if choices.sources is None else max(0, int(choices.sources.max()) + 1),
    )


def _knots(values: FloatArray) -> FloatArray:
    """Distinct quantiles strictly inside the range; none for a feature with two values."""
    points = np.unique(np.quantile(values, KNOTS))
    return np.asarray(points[(points > values.min()) & (points < values.max())])


def _root_mean_square(columns: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.mean(columns**2, axis=0)))


def _positive(scale: FloatArray) -> FloatArray:
    """The scale, or 1 where it is 0 but for rounding."""
    return np.where(scale > _ROUNDING, scale, 1.0)
