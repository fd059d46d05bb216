"""A small network that reads a text and the code of a person: `conditional`'s head."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from plt.train.heads.small_networks import Rows, drawn
from plt.train.method import FloatArray

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

    def losses(self, read: Read, a: Tensor, b: Tensor, person: Tensor, label: Tensor) -> Tensor:
        """Cross-entropies, shape (N,)."""
        margin = self.rewards(read, a, person) - self.rewards(read, b, person)
        return functional.softplus(margin) - label * margin

    def row_losses(self, phi: Tensor, a: Tensor, b: Tensor, user: Tensor, label: Tensor) -> Tensor:
        """What each judgement costs, shape (N,)."""
        person = (self.codes @ self.of_code.T).index_select(0, user)
        return self.losses(self.read(phi), a, b, person, label)

    def beyond_rows(self, rows: Rows, l2: float) -> Tensor:
        """The penalty on every weight."""
        return l2 / 2 * sum_of_squares(tuple(self.parameters()))


class Newcomer(nn.Module):
    """The code of one further user, from the mean of all known ones; everything else is fixed."""

    def __init__(self, known: IdNetwork) -> None:
        super().__init__()
        self.known = known
        self.code = nn.Parameter(torch.zeros(known.codes.shape[1], dtype=torch.float64))

    def row_losses(self, phi: Tensor, a: Tensor, b: Tensor, user: Tensor, label: Tensor) -> Tensor:
        """What each judgement of the newcomer costs, shape (N,); `user` changes nothing."""
        person = (self.code @ self.known.of_code.T).expand(len(a), -1)
        return self.known.losses(self.known.read(phi), a, b, person, label)

    def beyond_rows(self, rows: Rows, l2: float) -> Tensor:
        """A standard normal prior of the code; `l2` changes nothing."""
        return sum_of_squares((self.code,)) / 2


def sum_of_squares(weights: Sequence[Tensor]) -> Tensor:
    """Over all of them, a scalar."""
    return torch.stack([weight.square().sum() for weight in weights]).sum()
