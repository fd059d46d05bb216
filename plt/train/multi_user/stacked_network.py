"""One backbone with the adapters and heads of many users, gathered row by row in one pass.

The trained weights of a user are one row of a matrix (U, P): low-rank matrices A (r, in) and
B (out, r) of every adapted layer (Hu et al. 2022) and the head, in the order and under the names
that peft gives them, so that any row is also an ordinary adapter. A pass of n texts of different
users costs the backbone once; each row of the batch is multiplied by the A and B of its user.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from peft.tuners.lora import LoraLayer
from peft.utils import ModulesToSaveWrapper
from torch import Tensor, nn
from torch.nn.functional import linear

from plt.errors import FailedError
from plt.train.models.backbone import Batch
from plt.train.models.scalar_head import RewardModel
from plt.train.models.source import ARCHITECTURES

ADAPTER = "default"
# Applies its layers to relative positions too, which belong to no row of the batch.
ONE_USER_A_PASS = ("deberta-v2",)

Shape = tuple[int, ...]


@dataclass(eq=False)
class Chosen:
    """Whose weights the next pass uses; every stacked layer holds the same object.

    Attributes:
        weights: Each name's weights (p, ...) of the p users of the pass.
        index: (n,) user of each row of the batch, or None when there is one user only.
    """

    weights: dict[str, Tensor] = field(default_factory=dict)
    index: Tensor | None = None

    def rows(self, name: str) -> Tensor:
        """The weights of a name for each row of the batch, (n, ...)."""
        # The gradient of index_select is summed in the order of the rows: the same bits each time.
        return self.weights[name].index_select(0, self.index)  # type: ignore[arg-type]


class StackedLinear(nn.Module):
    """A frozen layer plus scale * B A x, with A and B of the user of each row.

    Args:
        base: The frozen layer.
        name: Of its peft module.
        scale: alpha / rank.
        chosen: Whose weights.
    """

    def __init__(self, base: nn.Module, name: str, scale: float, chosen: Chosen) -> None:
        super().__init__()
        self.base = base
        self.names = tuple(f"{name}.lora_{part}.{ADAPTER}.weight" for part in "AB")
        self.scale = scale
        self.chosen = chosen

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (..., out) of inputs (..., in), in the dtype of the frozen layer."""
        frozen: Tensor = self.base(x)
        down, up = self.names
        weights, index = self.chosen.weights, self.chosen.index
        inputs = x.to(weights[down].dtype)
        if index is None:
            low = linear(linear(inputs, weights[down][0]), weights[up][0])
            return (frozen + low * self.scale).to(frozen.dtype)
        if x.shape[:-1].numel() % len(index):
            raise FailedError(f"layer {down} does not read its batch row by row")
        # Some models flatten (n, L, in) to (n L, in) before a layer.
        by_row = inputs.reshape(len(index), -1, x.shape[-1])
        low = torch.bmm(by_row, self.chosen.rows(down).transpose(1, 2))
        low = torch.bmm(low, self.chosen.rows(up).transpose(1, 2))
        return (frozen + low.reshape(frozen.shape) * self.scale).to(frozen.dtype)


class StackedHead(nn.Module):
    """The head of the user of each row.

    Args:
        name: Of its weight.
        chosen: Whose weights.
    """

    def __init__(self, name: str, chosen: Chosen) -> None:
        super().__init__()
        self.name = name
        self.chosen = chosen

    def forward(self, vectors: Tensor) -> Tensor:
        """Rewards (n, 1) of vectors (n, d)."""
        if self.chosen.index is None:
            return linear(vectors, self.chosen.weights[self.name][0])
        return (vectors * self.chosen.rows(self.name)[:, 0]).sum(dim=1, keepdim=True)


@dataclass(frozen=True, eq=False)
class StackedNetwork:
    """A reward model whose trained weights are given with each pass.

    Attributes:
        model: The frozen body; its adapted layers and its head read `chosen`.
        layout: Name and shape of every trained weight of one user, in the order of a row.
        initial: (P,) the row that everybody begins from, float32.
        chosen: Whose weights the next pass uses.
        shared_passes: Whether a pass may mix users.
    """

    model: RewardModel
    layout: tuple[tuple[str, Shape], ...]
    initial: Tensor = field(repr=False)
    chosen: Chosen = field(repr=False)
    shared_passes: bool

    @classmethod
    def of(cls, net: Any) -> Self:
        """Takes a peft model apart, as `tuning.network` makes it; `net` is used up."""
        weights = {n: w.detach().float() for n, w in net.named_parameters() if w.requires_grad}
        layout = tuple((name, tuple(weight.shape)) for name, weight in weights.items())
        initial = torch.cat([weight.reshape(-1) for weight in weights.values()])
        chosen = Chosen()
        for name, module in list(net.named_modules()):
            if isinstance(module, LoraLayer):
                scale = float(module.scaling[ADAPTER])
                stacked: nn.Module = StackedLinear(module.get_base_layer(), name, scale, chosen)
            elif isinstance(module, ModulesToSaveWrapper):
                stacked = StackedHead(f"{name}.modules_to_save.{ADAPTER}.weight", chosen)
            else:
                continue
            net.set_submodule(name, stacked)
        model: RewardModel = net.get_base_model()
        model.requires_grad_(False)
        known = model.source.model_type in ARCHITECTURES
        shared = known and model.source.model_type not in ONE_USER_A_PASS
        return cls(model.eval(), layout, initial, chosen, shared)

    @property
    def size(self) -> int:
        """P, the trained weights of one user."""
        return len(self.initial)

    def split(self, rows: Tensor) -> dict[str, Tensor]:
        """The named weights (p, ...) in the rows (p, P) of p users."""
        sizes = [math.prod(shape) for _, shape in self.layout]
        parts = torch.split(rows, sizes, dim=1)
        return {
            name: part.reshape(-1, *shape)
            for (name, shape), part in zip(self.layout, parts, strict=True)
        }

    @contextmanager
    def using(self, rows: Tensor, index: Tensor | None = None) -> Iterator[RewardModel]:
        """The model with the weights of some users; gradients go to `rows`.

        Args:
            rows: (p, P) weights of p users.
            index: (n,) which of them each row of the batch belongs to; None where p is 1.
        """
        self.chosen.weights, self.chosen.index = self.split(rows), index
        try:
            yield self.model
        finally:
            self.chosen.weights, self.chosen.index = {}, None

    def rewards(self, batch: Batch, rows: Tensor, index: Tensor | None = None) -> Tensor:
        """Rewards (n,) of a batch of tokens and mask (n, L); the rest as `using`."""
        tokens, mask = batch
        with self.using(rows, index) as model:
            logits: Tensor = model(input_ids=tokens, attention_mask=mask).logits
        return logits[:, 0]
