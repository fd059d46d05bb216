"""Learning to read a history: in every step a part of each person's judgements explains the rest.

What a step draws of a person depends on the seed and the person's name alone. The judgements that
are read and those that are predicted never show the same text. How many are read is drawn anew each
time, from none to what is possible.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from plt.errors import FailedError
from plt.train.in_context.history import ContextScorer, History, JudgedRows, Pairs
from plt.train.in_context.settings import ContextSettings
from plt.train.method import IntArray, Progress

EMPTY_SHARE = 0.125
"""How often a person is shown without history: that is how the population is learnt."""
WARMUP = 0.03
MAX_NORM = 1.0


@dataclass(frozen=True)
class Moment:
    """How far a fit is.

    Attributes:
        step: Steps done.
        total: Steps of the whole fit.
    """

    step: int
    total: int

    @property
    def share(self) -> float:
        """What is done, from 0 to 1."""
        return self.step / self.total


class ContextNetwork(ContextScorer, Protocol):
    """A torch module that learns from episodes; of its methods those that are used here."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """All weights."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All weights by name."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """The inverse of `state_dict`."""
        ...

    def double(self) -> Any:
        """Makes all weights float64."""
        ...

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Freezes the weights, or sets them free."""
        ...

    def loss(self, context: Pairs, targets: Pairs, now: Moment, noise: torch.Generator) -> Tensor:
        """The objective of a step, a scalar."""
        ...


class Episodes:
    """What of people's judgements is read and what is predicted, drawn step by step.

    Args:
        history: The training judgements.
        settings: How much a step has.
        seed: Of the draws.
    """

    def __init__(self, history: History, settings: ContextSettings, seed: int) -> None:
        self.history = history
        self.settings = settings
        self.rows = JudgedRows.of(history, torch.float32)
        self._order = np.random.default_rng(np.random.SeedSequence([seed, 0]))
        self._draws = [
            np.random.default_rng(
                np.random.SeedSequence([seed, 1, *user.encode("utf-8", "surrogatepass")])
            )
            for user in history.users
        ]

    @property
    def steps_an_epoch(self) -> int:
        """Steps in which everybody is seen once."""
        return math.ceil(len(self.history.users) / self.settings.people_per_step)

    def epoch(self) -> Iterator[tuple[Pairs, Pairs]]:
        """Contexts and targets of everybody, some people at a time."""
        for people in np.array_split(
            self._order.permutation(len(self.history.users)), self.steps_an_epoch
        ):
            read, predicted = zip(*(self.draw(int(user)) for user in people), strict=True)
            yield self.rows.pairs(read), self.rows.pairs(predicted)

    def draw(self, user: int) -> tuple[IntArray, IntArray]:
        """Rows of users[user] to read and rows to predict, no text in both.

        How many are read is `mixed_size` of what is possible (uniform without `few_as_many`), or 0
        with `EMPTY_SHARE`.
        """
        rng, rows = self._draws[user], self.history.rows(user)
        shows = np.stack([self.history.a[rows], self.history.b[rows]], axis=1)
        most = min(self.settings.n_context, len(rows) - 1)
        wanted = 0
        if most and rng.random() >= EMPTY_SHARE:
            log = self.settings.few_as_many
            wanted = mixed_size(rng, most) if log else int(rng.integers(1, most + 1))
        read, predicted = parted(rng, shows, wanted, self.settings.n_targets)
        return rows[read], rows[predicted]


def mixed_size(rng: np.random.Generator, most: int) -> int:
    """How many judgements to read, from 1 to `most`: few as often as many (log-uniform)."""
    return min(most, int((most + 1) ** rng.random()))


def parted(
    rng: np.random.Generator, shows: IntArray, wanted: int, n_targets: int
) -> tuple[IntArray, IntArray]:
    """Divides one person's judgements into some to read and some to predict, no text in both.

    Where the person saw the same text again and again, fewer are predicted so that enough can be
    read.

    Args:
        rng: Draws which.
        shows: The two texts of each of n judgements, shape (n, 2).
        wanted: How many to read, at most.
        n_targets: How many to predict, at most.

    Returns:
        Positions to read, at most `wanted`, and positions to predict, at least one.
    """
    mixed = rng.permutation(len(shows))
    size = min(n_targets, len(shows) - min(wanted, 1))
    while True:
        predicted, rest = mixed[:size], mixed[size:]
        read = rest[~_shown(shows[rest], shows[predicted])]
        if len(read) >= wanted or size == 1:
            break
        size = (size + 1) // 2
    read = read[:wanted]
    # Of the others, all that show nothing of what is read can be predicted too.
    apart = mixed[~_shown(shows[mixed], shows[read])]
    return read, apart[:n_targets]


def _shown(shows: IntArray, others: IntArray) -> NDArray[np.bool_]:
    """Which of n judgements, texts (n, 2), show a text of the others, (m, 2)."""
    return np.asarray((shows[:, :, None] == others.reshape(-1)).any(axis=(1, 2)))


def pair_loss(margins: Tensor, targets: Pairs) -> Tensor:
    """Mean cross-entropy of the judgements that are present, a scalar; 0 without any."""
    losses = functional.binary_cross_entropy_with_logits(margins, targets.label, reduction="none")
    return losses[targets.present].sum() / targets.present.sum().clamp_min(1)


def rate(done: float) -> float:
    """What the learning rate is multiplied by: up over `WARMUP`, then down to 0 as a cosine."""
    if done < WARMUP:
        return (done + 1e-3) / WARMUP
    return (1 + math.cos(math.pi * (done - WARMUP) / (1 - WARMUP))) / 2


def learn(
    network: ContextNetwork,
    episodes: Episodes,
    epochs: int,
    seed: int,
    progress: Progress,
    look: Callable[[int], None] = lambda epoch: None,
) -> None:
    """Trains a network for some epochs.

    Args:
        network: A `ContextNetwork`, float32.
        episodes: What it learns from.
        epochs: Passes over the people, over which the learning rate rises and falls.
        seed: Of the network's own noise.
        progress: Called once an epoch.
        look: Called after each epoch with how many are done.

    Raises:
        FailedError: The objective is no number.
    """
    settings = episodes.settings
    noise = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(
        network.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    now = Moment(0, epochs * episodes.steps_an_epoch)
    for epoch in range(epochs):
        progress("learning to read histories", epoch, epochs)
        for context, targets in episodes.epoch():
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * rate(now.share)
            optimiser.zero_grad()
            objective = network.loss(context, targets, now, noise)
            objective.backward()  # type: ignore[no-untyped-call] # of torch
            torch.nn.utils.clip_grad_norm_(network.parameters(), MAX_NORM)
            optimiser.step()
            now = replace(now, step=now.step + 1)
        if not math.isfinite(objective.item()):
            raise FailedError(f"the fit left the numbers: its objective is {objective.item()}")
        look(epoch + 1)
