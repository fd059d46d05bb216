"""Learning to read a history: in every step a part of each person's judgements explains the rest.

What a step draws of a person depends on the seed and the person's name alone. The judgements that
are read and those that are predicted never show the same text.
"""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from plt.errors import FailedError
from plt.train.heads.ridge import MIN_VALIDATION_ROWS
from plt.train.in_context.history import ContextScorer, History, JudgedRows, Pairs
from plt.train.in_context.settings import ContextSettings
from plt.train.method import IntArray, Progress

EMPTY_SHARE = 0.125
"""How often a person is shown without history: that is how the population is learnt."""
CHECKS = 20
"""How often validation rows are looked at."""
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


@dataclass(frozen=True)
class Learnt:
    """How a fit ended.

    Attributes:
        how: For the notes of a run.
        kept: After which step the weights were kept.
    """

    how: str
    kept: Moment


class Episodes:
    """What of people's judgements is read and what is predicted, drawn step by step.

    Args:
        history: The training judgements.
        held_out: The validation judgements; people without a training judgement do not count.
        settings: How much a step has.
        seed: Of the draws.
    """

    def __init__(
        self,
        history: History,
        held_out: History,
        settings: ContextSettings,
        seed: int,
    ) -> None:
        self.history = history
        self.held_out = held_out
        self.settings = settings
        self.rows, self.later = (JudgedRows.of(part, torch.float32) for part in (history, held_out))
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

        How many are read is uniform from 1 to what is possible, or 0 with `EMPTY_SHARE`. Where
        people saw the same text again and again, fewer are predicted so that enough can be read.
        """
        rng, rows = self._draws[user], self.history.rows(user)
        mixed = rng.permutation(rows)
        most = min(self.settings.n_context, len(rows) - 1)
        wanted = 0 if most == 0 or rng.random() < EMPTY_SHARE else int(rng.integers(1, most + 1))
        n_targets = min(self.settings.n_targets, len(rows) - min(wanted, 1))
        while True:
            predicted, rest = mixed[:n_targets], mixed[n_targets:]
            read = rest[~self._shown(rest, self._texts(predicted))]
            if len(read) >= wanted or n_targets == 1:
                break
            n_targets = (n_targets + 1) // 2
        read = read[:wanted]
        # Of the others, all that show nothing of what is read can be predicted too.
        apart = mixed[~self._shown(mixed, self._texts(read))]
        return read, apart[: self.settings.n_targets]

    def validation(self) -> Iterator[tuple[Pairs, Pairs]]:
        """All training judgements of everybody as context, the validation judgements as targets.

        Training judgements that show a text of the person's validation judgements are left out.
        """
        whose = {user: code for code, user in enumerate(self.history.users)}
        place = {digest.tobytes(): code for code, digest in enumerate(self.history.digests)}
        known = np.array(
            [place.get(digest.tobytes(), -1) for digest in self.held_out.digests], dtype=np.int64
        )
        read, predicted = [], []
        for code, user in enumerate(self.held_out.users):
            if user not in whose:
                continue
            rows, targets = self.history.rows(whose[user]), self.held_out.rows(code)
            texts = known[np.concatenate([self.held_out.a[targets], self.held_out.b[targets]])]
            read.append(rows[~self._shown(rows, texts[texts >= 0])])
            predicted.append(targets)
        step = self.settings.people_per_step
        for start in range(0, len(read), step):
            yield (
                self.rows.pairs(read[start : start + step]),
                self.later.pairs(predicted[start : start + step]),
            )

    def _texts(self, rows: IntArray) -> IntArray:
        return np.concatenate([self.history.a[rows], self.history.b[rows]])

    def _shown(self, rows: IntArray, texts: IntArray) -> NDArray[np.bool_]:
        """Which of the rows show one of these texts."""
        mark = np.zeros(len(self.history.digests), dtype=bool)
        mark[texts] = True
        return mark[self.history.a[rows]] | mark[self.history.b[rows]]


def pair_loss(margins: Tensor, targets: Pairs) -> Tensor:
    """Mean cross-entropy of the judgements that are present, a scalar; 0 without any."""
    losses = functional.binary_cross_entropy_with_logits(margins, targets.label, reduction="none")
    return losses[targets.present].sum() / targets.present.sum().clamp_min(1)


def rate(done: float) -> float:
    """What the learning rate is multiplied by: up over `WARMUP`, then down to 0 as a cosine."""
    if done < WARMUP:
        return (done + 1e-3) / WARMUP
    return (1 + math.cos(math.pi * (done - WARMUP) / (1 - WARMUP))) / 2


def learn(network: ContextNetwork, episodes: Episodes, seed: int, progress: Progress) -> Learnt:
    """Trains a network and leaves it in float64, with the weights of the least validation loss.

    Args:
        network: A `ContextNetwork`, float32.
        episodes: What it learns from.
        seed: Of the network's own noise.
        progress: Called once an epoch.

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
    validation = list(episodes.validation())
    n_validation = sum(int(targets.present.sum()) for _, targets in validation)
    enough = n_validation >= MIN_VALIDATION_ROWS
    epochs = settings.epochs or settings.default_epochs[enough]
    every = max(1, epochs // CHECKS)
    now = Moment(0, epochs * episodes.steps_an_epoch)
    best: tuple[float, Moment, dict[str, Any]] | None = None
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
        if enough and (epoch + 1) % every == 0:
            loss = validation_loss(network, validation)
            if best is None or loss < best[0]:
                best = (loss, now, copy.deepcopy(network.state_dict()))
    how = f"weights of the last of {epochs} epochs"
    if best is not None:
        _, now, weights = best
        network.load_state_dict(weights)
        epoch = now.step // episodes.steps_an_epoch
        how = f"weights of epoch {epoch} of {epochs}, where validation loss was least"
    network.double().requires_grad_(False)
    return Learnt(how, now)


def validation_loss(network: ContextNetwork, validation: Sequence[tuple[Pairs, Pairs]]) -> float:
    """Mean cross-entropy over all validation judgements."""
    lost, n = 0.0, 0
    with torch.no_grad():
        for context, targets in validation:
            size = int(targets.present.sum())
            margins = network.margins(context, targets.a, targets.b)
            lost += size * float(pair_loss(margins, targets))
            n += size
    return lost / n
