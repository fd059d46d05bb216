"""A transformer that reads a person's judgements and answers for further texts: of `gpo`."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from plt.train.in_context.episodes import Moment, pair_loss
from plt.train.in_context.history import Pairs, Points, points_of

Loss = Literal["cross-entropy", "gaussian"]
LEAST_SPREAD, SPREAD_SHARE = 0.05, 0.95
"""A spread is at least the first: without a bound the likelihood of answers that can be told apart
has no maximum (neural processes bound it in this way; Le et al. 2018)."""


@dataclass(frozen=True)
class ReaderShape:
    """What a network looks like; `gpo.Config` says what each field is."""

    features: int
    width: int
    layers: int
    heads: int
    depth: int
    points: Points
    loss: Loss


class Layer(nn.Module):
    """One post-norm layer; everything attends to the context alone, targets not to themselves."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out, self.up, self.down = (
            nn.Linear(width, width) for _ in range(6)
        )
        self.after_attention, self.after_feed = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, points: Tensor, n_context: int, present: Tensor) -> Tensor:
        """Points (B, M + P, W) after reading the first M, the context, of which some are `present`.

        `present` has shape (B, M).
        """
        context = points[:, :n_context]
        parts = (self.query(points), self.key(context), self.value(context))
        query, key, value = (p.unflatten(2, (self.heads, -1)).transpose(1, 2) for p in parts)
        read = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=present[:, None, None]
        )
        points = self.after_attention(points + self.out(read.transpose(1, 2).flatten(2)))
        fed = self.down(functional.relu(self.up(points)))
        result: Tensor = self.after_feed(points + fed)
        return result


class Reader(nn.Module):
    """Every response is a point (features, answer); further responses have no answer yet.

    The answer is 1 for the preferred and -1 for the other response of a judged pair, 2 p - 1 in
    general, and 0 where it is asked for. In front of the context stands a learnt point, which is
    all that there is to read of somebody who judged nothing.
    """

    def __init__(self, shape: ReaderShape, seed: int) -> None:
        super().__init__()
        self.shape = shape
        width = shape.width
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers: list[nn.Module] = [nn.Linear(shape.features + 1, width)]
            for _ in range(shape.depth - 1):
                layers += [nn.ReLU(), nn.Linear(width, width)]
            self.embedder = nn.Sequential(*layers)
            self.nothing = nn.Parameter(torch.randn(width) / math.sqrt(width))
            self.layers = nn.ModuleList(Layer(width, shape.heads) for _ in range(shape.layers))
            self.predictor = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2))

    def answers(self, context: Pairs, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Of K pairs, features (B, K, d): means and raw spreads of both answers, (B, 2, K)."""
        responses = torch.cat(
            [
                *points_of(context.a, context.b, self.shape.points),
                *points_of(a, b, self.shape.points),
            ],
            dim=1,
        )
        signed = 2 * context.label - 1
        answer = torch.cat([signed, -signed, a.new_zeros(len(a), 2 * a.shape[1])], dim=1)
        embedded = self.embedder(torch.cat([responses, answer[..., None]], dim=-1))
        points = torch.cat([self.nothing.expand(len(a), 1, -1), embedded], dim=1)
        present = torch.cat([context.present.new_ones(len(a), 1), *[context.present] * 2], dim=1)
        for layer in self.layers:
            points = layer(points, present.shape[1], present)
        found = self.predictor(points[:, present.shape[1] :]).unflatten(1, (2, -1))
        return found[..., 0], found[..., 1]

    def margins(self, context: Pairs, a: Tensor, b: Tensor) -> Tensor:
        """Log-odds (B, K): the difference of the two means, as their softmax has it."""
        mean, _ = self.answers(context, a, b)
        return mean[:, 0] - mean[:, 1]

    def loss(self, context: Pairs, targets: Pairs, now: Moment, noise: torch.Generator) -> Tensor:
        """Cross-entropy of the softmax over the two responses, or the likelihood of answers."""
        mean, spread = self.answers(context, targets.a, targets.b)
        if self.shape.loss == "cross-entropy":
            return pair_loss(mean[:, 0] - mean[:, 1], targets)
        chance = mean.softmax(dim=1)
        wide = LEAST_SPREAD + SPREAD_SHARE * functional.softplus(spread)
        answer = torch.stack([targets.label, 1 - targets.label], dim=1)
        losses = functional.gaussian_nll_loss(chance, answer, wide.square(), reduction="none")
        present = targets.present[:, None].expand_as(losses)
        return losses[present].sum() / present.sum().clamp_min(1)
