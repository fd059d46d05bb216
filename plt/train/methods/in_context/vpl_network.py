"""A person as a latent vector that is read off their judgements: the networks of `vpl`."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from plt.train.in_context.episodes import Moment, pair_loss
from plt.train.in_context.history import Pairs, Points, points_of

EvalZ = Literal["mean", "mean-projected", "samples"]
SLOPE = 0.2
BOUND = 1.0
"""Means and log-variances are kept within this of 0, as in the reference code."""
LEAST_WEIGHT = 0.1
"""Of the KL term when its ramp begins."""
CYCLE = 10_000
"""Steps after which the reference code begins its ramp anew."""
N_SAMPLES = 32
FAR = -1e9
ACTIVE_ABOVE = 0.01
"""Variance over people of a unit's posterior mean from which the unit says something."""


@dataclass(frozen=True)
class LatentShape:
    """What a network looks like; `vpl.Config` says what each field is."""

    features: int
    latent: int
    hidden: int
    beta: float
    anneal: float
    swap_weight: float
    eval_z: EvalZ
    points: Points
    cyclic: bool


class Latent(nn.Module):
    """Encoder of a set of judged pairs, and a reward that reads text and latent.

    Encoder: a perceptron on (preferred, other) of each pair, one head of self-attention without
    positions, the mean over the pairs, and two linear maps. A person without a judged pair has the
    prior's mean, 0.
    """

    def __init__(self, shape: LatentShape, seed: int) -> None:
        super().__init__()
        self.shape = shape
        self.draws: Tensor
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = _perceptron(2 * shape.features, shape.hidden, shape.latent)
            self.query, self.key, self.value, self.mean, self.spread = (
                nn.Linear(shape.latent, shape.latent) for _ in range(5)
            )
            self.decoder = _perceptron(shape.features + shape.latent, shape.hidden, 1)
            draws = torch.randn(N_SAMPLES, shape.latent)
        self.register_buffer("draws", draws)

    def posterior(self, context: Pairs) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and log-variance of z, both (B, Z), and whether anything was read, (B, 1).

        Ties say nothing of who was preferred and are not read; soft labels count by their side.
        """
        first, second = points_of(context.a, context.b, self.shape.points)
        prefers_a = (context.label > 0.5)[..., None]
        preferred = torch.where(prefers_a, first, second)
        other = torch.where(prefers_a, second, first)
        read = context.present & (context.label != 0.5)
        known = read.any(dim=1, keepdim=True)
        codes = self.encoder(torch.cat([preferred, other], dim=-1))
        likeness = self.query(codes) @ self.key(codes).transpose(1, 2)
        likeness = likeness / math.sqrt(self.shape.latent)
        attention = likeness.masked_fill(~read[:, None], FAR).softmax(dim=-1)
        weights = read.to(codes) / read.sum(dim=1, keepdim=True).clamp_min(1)
        pooled = (weights[:, None] @ (attention @ self.value(codes)))[:, 0]
        mean = self.mean(pooled).clamp(-BOUND, BOUND) * known
        spread = self.spread(pooled).clamp(-BOUND, BOUND) * known
        return mean, spread, known

    def rewards(self, phi: Tensor, z: Tensor) -> Tensor:
        """Rewards (B, K) of texts (B, K, D) for people (B, Z)."""
        people = z[:, None].expand(-1, phi.shape[1], -1)
        found: Tensor = self.decoder(torch.cat([phi, people], dim=-1))[..., 0]
        return found

    def margins(self, context: Pairs, a: Tensor, b: Tensor) -> Tensor:
        """Log-odds (B, K); with samples of z their mean."""
        mean, spread, known = self.posterior(context)
        if self.shape.eval_z == "mean":
            latents = [mean]
        elif self.shape.eval_z == "mean-projected":
            latents = [self._on_sphere(mean)]
        else:
            drawn = (mean + (spread / 2).exp() * draw for draw in self.draws)
            latents = [self._on_sphere(z) * known for z in drawn]
        margins = [self.rewards(a, z) - self.rewards(b, z) for z in latents]
        return torch.stack(margins).mean(dim=0)

    def loss(self, context: Pairs, targets: Pairs, now: Moment, noise: torch.Generator) -> Tensor:
        """Cross-entropy at a sampled z, plus the weighted divergence from the prior."""
        mean, spread, known = self.posterior(context)
        draw = torch.randn(mean.shape, generator=noise).to(mean)
        z = self._on_sphere(mean + (spread / 2).exp() * draw) * known
        loss = pair_loss(self.rewards(targets.a, z) - self.rewards(targets.b, z), targets)
        loss = loss + self.kl_weight(now) * divergence(mean, spread).mean()
        if self.shape.swap_weight:
            mirrored, wide, _ = self.posterior(context.turned())
            apart = (mean + mirrored).square().sum(dim=1) + (spread - wide).square().sum(dim=1)
            loss = loss + self.shape.swap_weight * apart.mean() / self.shape.latent
        return loss

    def kl_weight(self, now: Moment) -> float:
        """What the divergence is multiplied by."""
        if self.shape.cyclic:
            part = now.step % CYCLE / CYCLE
        else:
            part = min(1.0, now.share / self.shape.anneal) if self.shape.anneal else 1.0
        ramp = (1 - math.cos(math.pi * part)) / 2
        return self.shape.beta * (LEAST_WEIGHT + (1 - LEAST_WEIGHT) * ramp)

    def _on_sphere(self, z: Tensor) -> Tensor:
        """The point of length sqrt(Z) in the direction of z; 0 stays where it is."""
        return functional.normalize(z, dim=-1) * math.sqrt(self.shape.latent)


def divergence(mean: Tensor, spread: Tensor) -> Tensor:
    """KL(N(mean, exp(spread)) || N(0, 1)) summed over dimensions, (B,) from (B, Z); never below 0.

    Kingma and Welling 2014, appendix B; each term x^2 + e^s - 1 - s is 0 only where x = s = 0.
    """
    return (mean.square() + spread.exp() - 1 - spread).sum(dim=-1) / 2


def _perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.LeakyReLU(SLOPE),
        nn.Linear(hidden, hidden),
        nn.LeakyReLU(SLOPE),
        nn.Linear(hidden, outputs),
    )
