"""Distributions of utility that are linear in a text's features: the networks of `dpl`."""

import math
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from plt.train.heads.small_networks import Rows

Compat = Literal["none", "hidden-context"]
OFFICIAL_SLOPE = math.sqrt(2 * math.pi)
UNIT_SPREAD = math.log(math.e - 1)
"""What softplus takes to 1."""
LEAST_SPREAD = 1e-6


class MeanVariance(nn.Module):
    """Utility ~ N(w.x, softplus(v.x + c)^2), and P(a over b) = Phi(z), z the scaled difference.

    z = (mean_a - mean_b) / sqrt(spread_a^2 + spread_b^2) does not change when all means and
    spreads are multiplied by one number, so c is fixed: the average text has spread 1.
    """

    def __init__(self, dim: int, compat: Compat, *, one_spread: bool) -> None:
        super().__init__()
        self.compat = compat
        self.mean = nn.Parameter(torch.zeros(dim, dtype=torch.float64))
        self.spread = nn.Parameter(
            torch.zeros(dim, dtype=torch.float64), requires_grad=not one_spread
        )

    def moments(self, phi: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the utility of each text, both (T,)."""
        spread = functional.softplus(phi @ self.spread + UNIT_SPREAD)
        return phi @ self.mean, spread.clamp_min(LEAST_SPREAD)

    def log_chances(self, phi: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithms of P(a over b) and P(b over a), both (N,)."""
        mean, spread = self.moments(phi)
        variance = spread.square()
        # index_select, whose gradient is summed in one order; that of mean[a] need not be.
        difference = mean.index_select(0, a) - mean.index_select(0, b)
        z = difference / (variance.index_select(0, a) + variance.index_select(0, b)).sqrt()
        if self.compat == "hidden-context":
            z = OFFICIAL_SLOPE * z
            return functional.logsigmoid(z), functional.logsigmoid(-z)
        return torch.special.log_ndtr(z), torch.special.log_ndtr(-z)

    def row_losses(self, phi: Tensor, a: Tensor, b: Tensor, user: Tensor, label: Tensor) -> Tensor:
        """Cross-entropies, shape (N,); `user` changes nothing."""
        return _cross_entropy(self, phi, a, b, label)

    def beyond_rows(self, rows: Rows, l2: float) -> Tensor:
        """The penalty on both heads."""
        return l2 / 2 * (self.mean.square().sum() + self.spread.square().sum())


class Categorical(nn.Module):
    """Utility among equally spaced values, with the softmax of a linear map as probabilities.

    P(a over b) is the chance that a's value is above b's, plus half of that of equal values. With
    one value it is 1/2.
    """

    def __init__(self, dim: int, atoms: int, entropy: float) -> None:
        super().__init__()
        self.entropy = entropy
        self.weights = nn.Parameter(torch.zeros(atoms, dim, dtype=torch.float64))
        self.bias = nn.Parameter(torch.zeros(atoms, dtype=torch.float64))
        # Pairs of values of which the first is no lower, with log 1 or log 1/2.
        self.upper, self.lower = torch.tril_indices(atoms, atoms)
        self.share = math.log(0.5) * (self.upper == self.lower).double()

    def log_probabilities(self, phi: Tensor) -> Tensor:
        """Of each value, shape (T, atoms)."""
        return functional.log_softmax(phi @ self.weights.T + self.bias, dim=1)

    def moments(self, phi: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the utility of each text, both (T,)."""
        values = torch.linspace(0, 1, len(self.bias), dtype=torch.float64)
        chances = self.log_probabilities(phi).exp()
        mean = chances @ values
        return mean, (chances @ values.square() - mean.square()).clamp_min(0).sqrt()

    def log_chances(self, phi: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithms of P(a over b) and P(b over a), both (N,)."""
        texts = self.log_probabilities(phi)
        of_a, of_b = texts.index_select(0, a), texts.index_select(0, b)
        return self._log_above(of_a, of_b), self._log_above(of_b, of_a)

    def _log_above(self, one: Tensor, other: Tensor) -> Tensor:
        terms = one.index_select(1, self.upper) + other.index_select(1, self.lower) + self.share
        return torch.logsumexp(terms, dim=1)

    def row_losses(self, phi: Tensor, a: Tensor, b: Tensor, user: Tensor, label: Tensor) -> Tensor:
        """Cross-entropies, shape (N,); `user` changes nothing."""
        return _cross_entropy(self, phi, a, b, label)

    def beyond_rows(self, rows: Rows, l2: float) -> Tensor:
        """The penalty on the map, and the reward for using all values on average."""
        total = rows.weight.sum()
        shown = torch.zeros(len(rows.phi), dtype=torch.float64)
        shown = shown.index_add(0, rows.a, rows.weight).index_add(0, rows.b, rows.weight)
        average = (shown / (2 * total)) @ self.log_probabilities(rows.phi).exp()
        entropy = -(average * average.log()).sum()
        return l2 / 2 * self.weights.square().sum() - total * self.entropy * entropy


Distribution: TypeAlias = MeanVariance | Categorical


def _cross_entropy(
    network: Distribution, phi: Tensor, a: Tensor, b: Tensor, label: Tensor
) -> Tensor:
    won, lost = network.log_chances(phi, a, b)
    return -(label * won + (1 - label) * lost)
