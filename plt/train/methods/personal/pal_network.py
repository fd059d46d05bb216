"""Ideal points that are mixtures of a few prototypes: the networks of `pal`."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from plt.train.heads.small_networks import Rows, drawn
from plt.train.method import FloatArray

Variant = Literal["a", "b"]
Distance = Literal["squared", "unsquared", "angle"]
Loss = Literal["logistic", "hinge"]
FIRST_TEMPERATURE, LARGEST_TEMPERATURE = 1 / 0.07, 100.0
ZERO = torch.zeros((), dtype=torch.float64)
TEMPERATURE_PENALTY = 10.0
"""How much more the logarithm of the temperature costs than a weight: with 1, rewards of 84
simulated users were too sure of themselves (validation log loss .77 against .54)."""
CELLS_A_ROW = 32
"""Users times texts a judgement up to which the rewards of everybody for everything cost less than
gathering what each judgement needs."""
TINY = 1e-12
"""Added under a root, whose slope at 0 is infinite."""


@dataclass(frozen=True)
class IdealPointShape:
    """What a network looks like; `pal.Config` says what each field is."""

    features: int
    dim: int
    hidden: int
    prototypes: int
    variant: Variant
    distance: Distance
    loss: Loss
    inverted: bool
    norm_bound: float | None


class Map(nn.Module):
    """f(x) = S x + V gelu(W x + c) + b, a perceptron of two layers with a residual."""

    def __init__(self, features: int, dim: int, hidden: int, rng: np.random.Generator) -> None:
        super().__init__()
        # A scaled text has |x|^2 of about 1/2, so every layer begins with values of about 1.
        self.skip = drawn(rng, (dim, features), dim**-0.5)
        self.inner = drawn(rng, (hidden, features), 1.0)
        self.outer = drawn(rng, (dim, hidden), 0.1 * max(hidden, 1) ** -0.5)
        self.inner_bias = nn.Parameter(torch.zeros(hidden, dtype=torch.float64))
        self.bias = nn.Parameter(torch.zeros(dim, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """From (T, features) to (T, dim)."""
        hidden = functional.gelu(x @ self.inner.T + self.inner_bias)
        points: Tensor = x @ self.skip.T + hidden @ self.outer.T + self.bias
        return points

    def squares(self) -> Tensor:
        """The sum of squares of all weights, biases too: large ones make small weights do much."""
        total: Tensor = sum((weight.square().sum() for weight in self.parameters()), ZERO)
        return total


class IdealPoints(nn.Module):
    """Reward = closeness of a text's point f(x) to the ideal point of the user, sum_k w_k p_k.

    The weights w are the softmax of the user's logits. In variant ``a`` the prototypes p_k are
    points; in variant ``b`` they are maps of the prompt, whose features then stand behind those of
    the text: phi has shape (T, 2 * features).
    """

    def __init__(
        self, shape: IdealPointShape, logits: FloatArray, rng: np.random.Generator
    ) -> None:
        super().__init__()
        self.shape = shape
        self.logits = nn.Parameter(torch.from_numpy(logits))
        sizes = (shape.features, shape.dim, shape.hidden)
        self.items = Map(*sizes, rng)
        self.prototypes = drawn(rng, (shape.prototypes, shape.dim), shape.dim**-0.5)
        self.log_temperature = nn.Parameter(
            torch.tensor(math.log(FIRST_TEMPERATURE), dtype=torch.float64),
            requires_grad=shape.distance == "angle",
        )
        if shape.variant == "b":
            self.prototypes.requires_grad_(False)
            for number in range(shape.prototypes):
                self.add_module(f"question{number}", Map(*sizes, rng))

    def rewards(self, phi: Tensor, text: Tensor, logits: Tensor) -> Tensor:
        """Rewards (n,) of texts `text` (n,) for people whose logits are (n, K)."""
        return self._closeness(self._points(phi, text), self._ideal(phi, text, logits))

    def losses(self, margin: Tensor, label: Tensor) -> Tensor:
        """What judgements with these differences of closeness (N,) cost, shape (N,)."""
        margin = -margin if self.shape.inverted else margin
        if self.shape.loss == "hinge":
            return label * functional.relu(1 - margin) + (1 - label) * functional.relu(1 + margin)
        return functional.softplus(margin) - label * margin

    def margins(self, phi: Tensor, a: Tensor, b: Tensor, user: Tensor) -> Tensor:
        """How much closer a is than b to the ideals of users (N,) of the table, shape (N,).

        The two responses of a pair answer one prompt, so one ideal serves both.
        """
        weights = functional.softmax(self.logits, dim=1)
        if self.shape.distance == "squared":
            # Affine in the weights: each text is compared with each prototype once.
            table = self.expert_rewards(phi)
            if len(weights) * len(phi) <= CELLS_A_ROW * len(a):
                rewards, own = (weights @ table.T).flatten(), user * len(phi)
                return rewards.index_select(0, own + a) - rewards.index_select(0, own + b)
            difference = table.index_select(0, a) - table.index_select(0, b)
            margin: Tensor = (difference * weights.index_select(0, user)).sum(1)
            return margin
        points = self._points(phi, torch.cat([a, b]))
        ideal = self._mixed(phi, a, weights.index_select(0, user)).repeat(2, 1)
        reward_a, reward_b = self._closeness(points, ideal).chunk(2)
        return reward_a - reward_b

    def expert_rewards(self, phi: Tensor) -> Tensor:
        """What each prototype alone makes of texts under squared distances, shape (T, K).

        Up to what is the same for all answers to one prompt.
        """
        points: Tensor = self.items(phi[:, : self.shape.features])
        length = points.square().sum(1, keepdim=True)
        if self.shape.variant == "a":
            own = self.prototypes.square().sum(1)
            return 2 * points @ self.prototypes.T - own - length
        return 2 * torch.einsum("td,tkd->tk", points, self.anchors(phi)) - length

    def anchors(self, phi: Tensor) -> Tensor:
        """The prototypes as seen from each text's question: (K, dim), in variant b (T, K, dim)."""
        if self.shape.variant == "a":
            return self.prototypes
        asked = phi[:, self.shape.features :]
        return torch.stack([question(asked) for question in self._questions()], dim=1)

    def _points(self, phi: Tensor, text: Tensor) -> Tensor:
        points: Tensor = self.items(phi[:, : self.shape.features])
        return points.index_select(0, text)

    def _ideal(self, phi: Tensor, text: Tensor, logits: Tensor) -> Tensor:
        return self._mixed(phi, text, functional.softmax(logits, dim=1))

    def _mixed(self, phi: Tensor, text: Tensor, weights: Tensor) -> Tensor:
        anchors = self.anchors(phi)
        if self.shape.variant == "a":
            return weights @ anchors
        return torch.einsum("nk,nkd->nd", weights, anchors.index_select(0, text))

    def _closeness(self, points: Tensor, ideal: Tensor) -> Tensor:
        if self.shape.distance == "angle":
            return self.temperature() * functional.cosine_similarity(points, ideal, dim=1)
        squared = (points - ideal).square().sum(1)
        return -squared if self.shape.distance == "squared" else -(squared + TINY).sqrt()

    def _questions(self) -> list[Map]:
        """The maps of prompts, one a prototype, of variant ``b``."""
        return [part for part in self.children() if isinstance(part, Map)][1:]

    def temperature(self) -> Tensor:
        """What cosines are multiplied by."""
        return self.log_temperature.exp().clamp_max(LARGEST_TEMPERATURE)

    def row_losses(self, phi: Tensor, a: Tensor, b: Tensor, user: Tensor, label: Tensor) -> Tensor:
        """What each judgement costs, shape (N,)."""
        return self.losses(self.margins(phi, a, b, user), label)

    def beyond_rows(self, rows: Rows, l2: float) -> Tensor:
        """The penalty on the maps and points, and the standard normal prior of users' logits."""
        squares = self.items.squares()
        if self.shape.variant == "b":
            squares = sum((question.squares() for question in self._questions()), squares)
        else:
            squares = squares + self.prototypes.square().sum()
        if self.shape.distance == "angle":
            # An angle does not change with the length of its arms: only this keeps rewards small.
            # Of the logarithm, since temperatures that were driven to 0 would not come back.
            squares = squares + TEMPERATURE_PENALTY * self.log_temperature.square()
        value = l2 / 2 * squares + self.logits.square().sum() / 2
        if self.shape.norm_bound is not None:
            beyond = functional.relu(self.prototypes.norm(dim=1) - self.shape.norm_bound)
            value = value + rows.weight.sum() * beyond.square().sum()
        return value

    def weights(self) -> FloatArray:
        """Of all users, shape (U, K)."""
        with torch.no_grad():
            found: FloatArray = functional.softmax(self.logits, dim=1).numpy()
        return found
