"""A small network that reads a text and the code of a person: `conditional`'s head."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.special import ndtr
from torch import Tensor, nn
from torch.nn import functional

from plt.train.heads.small_networks import Rows, drawn
from plt.train.method import FloatArray
from plt.train.methods.personal.placing import PaddedRows

FIRST_OUTPUT = 0.3
"""Of the hidden layer at the start, in log-odds: small beside what is learnt, and not 0, where the
slope of the inner weights would be 0."""


@dataclass(frozen=True)
class Read:
    """T texts on their way to meet people.

    Attributes:
        inner: What each adds to the hidden units, shape (T, H).
        alone: What each is worth whoever reads it, shape (T,).
    """

    inner: Tensor
    alone: Tensor


class IdNetwork(nn.Module):
    """r(x, u) = w x + v gelu(A x + B c_u + b), with the frozen code c_u of u.

    Without the hidden layer c_u would add the same to both responses and cancel.
    """

    codes: Tensor

    def __init__(self, features: int, hidden: int, codes: FloatArray, rng: np.random.Generator):
        super().__init__()
        self.register_buffer("codes", torch.from_numpy(codes))
        self.skip = nn.Parameter(torch.zeros(features, dtype=torch.float64))
        self.inner = drawn(rng, (hidden, features), 1.0)
        self.of_code = drawn(rng, (hidden, codes.shape[1]), 1.0)
        self.bias = nn.Parameter(torch.zeros(hidden, dtype=torch.float64))
        self.outer = drawn(rng, (hidden,), FIRST_OUTPUT * hidden**-0.5)

    def read(self, phi: Tensor) -> Read:
        """Texts (T, features) on their way to meet people."""
        return Read(phi @ self.inner.T + self.bias, phi @ self.skip)

    def met(self, codes: Tensor) -> FloatArray:
        """What people with the codes (U, k) add to the hidden units, shape (U, H)."""
        with torch.no_grad():
            return np.asarray((codes @ self.of_code.T).numpy())

    def rewards(self, read: Read, text: Tensor, person: Tensor) -> Tensor:
        """Rewards (n,) of texts (n,) for people who add `person` (n, H) to the hidden units."""
        hidden = functional.gelu(read.inner.index_select(0, text) + person)
        found: Tensor = (hidden * self.outer).sum(1)
        return read.alone.index_select(0, text) + found

    def row_losses(self, phi: Tensor, a: Tensor, b: Tensor, user: Tensor, label: Tensor) -> Tensor:
        """What each judgement costs, shape (N,)."""
        people, read = self.codes @ self.of_code.T, self.read(phi)
        n_texts = len(phi)
        if len(people) * n_texts <= 2 * len(a):
            # Everybody meets every text once: no more meetings than there are, one a side of a row.
            hidden = functional.gelu(read.inner + people[:, None])
            rewards = (hidden @ self.outer + read.alone).flatten()
            at = user * n_texts
            margin = rewards.index_select(0, at + a) - rewards.index_select(0, at + b)
        else:
            met = people.index_select(0, user)
            margin = self.rewards(read, a, met) - self.rewards(read, b, met)
        return functional.softplus(margin) - label * margin

    def beyond_rows(self, rows: Rows, l2: float) -> Tensor:
        """The penalty on every weight."""
        return l2 / 2 * sum_of_squares(tuple(self.parameters()))


class Meets:
    """Margins by what a person adds to the hidden units.

    Args:
        network: The weights.
        read: T texts on their way to meet people.
        rows: Whose margins are asked for.
    """

    def __init__(self, network: IdNetwork, read: Read, rows: PaddedRows) -> None:
        inner, alone = read.inner.numpy(), read.alone.numpy()
        self.inner = np.stack([inner[rows.a], inner[rows.b]])
        self.alone = alone[rows.a] - alone[rows.b]
        self.outer = network.outer.detach().numpy()
        self._last: tuple[FloatArray, Hidden] | None = None

    def margins(self, z: FloatArray) -> FloatArray:
        """As `placing.Block.margins`."""
        at = self._hidden(z)
        a, b = at.x * at.below
        return np.asarray(self.alone + (a - b) @ self.outer)

    def slopes(self, z: FloatArray) -> FloatArray:
        """As `placing.Block.slopes`."""
        at = self._hidden(z)
        a, b = at.below + at.x * at.density
        return np.asarray(self.outer * (a - b))

    def bend(self, z: FloatArray, pull: FloatArray) -> FloatArray | None:
        """As `placing.Block.bend`: a hidden unit bends by itself."""
        at = self._hidden(z)
        a, b = (2 - at.x**2) * at.density
        return np.asarray(self.outer * (pull[:, None, :] @ (a - b))[:, 0])

    def _hidden(self, z: FloatArray) -> "Hidden":
        """The units at z; kept, since a climber asks for all of the above at one place."""
        if self._last is None or not np.array_equal(self._last[0], z):
            self._last = (z, Hidden(self.inner + z[:, None, :]))
        return self._last[1]


class Hidden:
    """gelu(x) = x P(x) and what its derivatives need, P the normal distribution function.

    Args:
        x: Before the bend, any shape.
    """

    def __init__(self, x: FloatArray) -> None:
        self.x = x
        self.below = np.asarray(ndtr(x))

    @cached_property
    def density(self) -> FloatArray:
        """Of the normal distribution at x."""
        return np.asarray(np.exp(-(self.x**2) / 2) / np.sqrt(2 * np.pi))


def sum_of_squares(weights: Sequence[Tensor]) -> Tensor:
    """Over all of them, a scalar."""
    return torch.stack([weight.square().sum() for weight in weights]).sum()
