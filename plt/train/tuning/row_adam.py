"""Adam for many rows that each learn as if alone: one state, step count and clip a row.

A row holds all trained weights of one user. A user without a judgement in a step must stay
exactly where they are; torch's Adam would let the moments decay, count the step and move the
weights by what momentum is left (Kingma and Ba 2015 define the update for a present gradient).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plt.train.method import FloatArray, IntArray

BETAS = (0.9, 0.999)
EPSILON = 1e-8
MAX_NORM = 1.0
WARMUP = 0.03
# Rows are updated in blocks that stay in a processor's cache.
BLOCK_WEIGHTS = 1 << 20


def schedule_factor(
    step: int | IntArray | NDArray[np.int64], total: int | IntArray | NDArray[np.int64]
) -> FloatArray:
    """What the learning rate is multiplied by: up from 0 over `warmup_steps`, then down to 0.

    The schedule of `plt.train.tuning.trl.reward_arguments`.

    Args:
        step: Steps done before this one.
        total: Steps of the whole run; both may be arrays, one element a user.
    """
    done, steps = np.asarray(step, dtype=np.float64), np.asarray(total, dtype=np.float64)
    warmup = warmup_steps(steps)
    down = (steps - done) / np.maximum(1.0, steps - warmup)
    factor: FloatArray = np.where(
        done < warmup, done / np.maximum(1.0, warmup), np.maximum(0.0, down)
    )
    return factor


def warmup_steps(total: int | FloatArray) -> FloatArray:
    """How many of all steps the learning rate goes up: 3 %, rounded down.

    The first of them has a rate of 0. Rounded up, a fit of one step, as of a person with few
    answers, would be all warm-up and learn nothing.
    """
    return np.floor(np.asarray(total) * WARMUP)


def clip_factors(gradients: Tensor, max_norm: float = MAX_NORM) -> Tensor:
    """(R, 1) what each row of (R, P) gradients is multiplied by, so that no norm is above a bound.

    The formula of `torch.nn.utils.clip_grad_norm_`, for each row by itself.
    """
    norms = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
    factors: Tensor = (max_norm / (norms + 1e-6)).clamp(max=1.0)
    return factors


@dataclass(eq=False)
class LazyAdam:
    """Adam without weight decay on the rows of a matrix, each with its own count of steps.

    Attributes:
        weights: (R, P) float32, changed in place.
        mean: (R, P) running mean of the gradients.
        square: (R, P) running mean of their squares.
        steps: (R,) int64 steps that each row has made.
    """

    weights: Tensor
    mean: Tensor = field(repr=False)
    square: Tensor = field(repr=False)
    steps: Tensor

    @classmethod
    def of(cls, weights: Tensor) -> Self:
        """A fresh optimiser."""
        steps = torch.zeros(len(weights), dtype=torch.int64, device=weights.device)
        return cls(weights, torch.zeros_like(weights), torch.zeros_like(weights), steps)

    @torch.no_grad()
    def step(self, gradients: Tensor, rows: Tensor, rates: Tensor) -> None:
        """Clips and applies the gradients of some rows; the others do not move at all.

        Args:
            gradients: (R, P); only `rows` of it are read.
            rows: (k,) int64, distinct rows that take part.
            rates: (k,) float64 learning rates.
        """
        self.steps[rows] += 1
        size = max(1, BLOCK_WEIGHTS // max(1, self.weights.shape[1]))
        for block, rate in zip(torch.split(rows, size), torch.split(rates, size), strict=True):
            self._update(gradients[block], block, rate)

    def _update(self, gradient: Tensor, rows: Tensor, rates: Tensor) -> None:
        gradient *= clip_factors(gradient)
        first, second = BETAS
        mean = self.mean[rows].lerp_(gradient, 1 - first)
        square = self.square[rows].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        done = self.steps[rows].double()
        scale = (1 - second**done).sqrt().to(gradient.dtype).unsqueeze(1)
        size = (rates.double() / (1 - first**done)).to(gradient.dtype).unsqueeze(1)
        self.mean[rows], self.square[rows] = mean, square
        update = mean.div_((square.sqrt_() / scale).add_(EPSILON)).mul_(size)
        self.weights[rows] = self.weights[rows].sub_(update)

    def state(self) -> dict[str, Tensor]:
        """Everything that a resumed run needs, weights included, on the CPU."""
        parts = {
            "weights": self.weights, "mean": self.mean, "square": self.square, "steps": self.steps,
        }  # fmt: skip
        return {name: tensor.cpu().contiguous() for name, tensor in parts.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`."""
        for name, tensor in state.items():
            getattr(self, name).copy_(tensor)


def state_bytes(n_weights: int) -> int:
    """Bytes that one row takes while it learns: weights, gradient and two moments."""
    return 4 * 4 * n_weights


def own_turns(user: IntArray, steps: int, at_most: int, seed: int) -> list[IntArray]:
    """The rows of every step when people learn side by side, each as if alone.

    Every step has `at_most` rows of everybody, or all that they have: their own in turn, in an
    order that depends on nobody else.

    Args:
        user: (N,) whose each row is.
        steps: How many steps.
        at_most: Rows of one person a step.
        seed: Of the order.
    """
    starts = np.unique(np.sort(user), return_index=True)[1]
    orders = [
        own[np.random.default_rng(seed).permutation(len(own))]
        for own in np.split(np.argsort(user, kind="stable"), starts[1:])
    ]

    def turn(rows: IntArray, step: int) -> IntArray:
        size = min(at_most, len(rows))
        return rows[np.arange(step * size, (step + 1) * size) % len(rows)]

    return [np.concatenate([turn(rows, step) for rows in orders]) for step in range(steps)]
