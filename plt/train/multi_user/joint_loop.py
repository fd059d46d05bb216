"""The training loop of reward models in which many users share one fine-tuned backbone.

What is learnt of everybody follows torch's AdamW under the schedule of TRL's trainers
(`plt.train.tuning.trl`); what a user has of their own moves only in the steps that read a judgement
of theirs (`plt.train.tuning.row_adam`). Within a pass a text is read once, whoever judged it.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from plt.data.tables.files import atomic_path
from plt.errors import ArtifactError, FailedError
from plt.train.method import FloatArray, IntArray, Progress, unhindered
from plt.train.models.text_encoder import Ids
from plt.train.multi_user.stacked_loop import row_order
from plt.train.people.soft_users import GENERIC, UserModel
from plt.train.tuning.losses import bradley_terry, mixed
from plt.train.tuning.row_adam import BETAS, EPSILON, MAX_NORM, LazyAdam, schedule_factor
from plt.train.tuning.trl import SAVED_FRACTION, Schedule

MIN_PAIRS = 4
"""Distinct pairs that a grouped step has at least: many votes on one pair are one direction."""


@dataclass(frozen=True)
class JointRows:
    """N judgements by users who share a model.

    Attributes:
        ids: Token ids of T texts.
        a: (N,) text of response a.
        b: (N,) text of response b.
        pair: (N,) code of the pair.
        user: (N,) whose; `GENERIC` where nobody is named, else one more than the user's place.
        label: (N,) probability that a is preferred; 0.5 is a tie.
        weight: (N,) how much the loss of each counts; 1 on average.
    """

    ids: Sequence[Ids]
    a: IntArray
    b: IntArray
    pair: IntArray
    user: IntArray
    label: FloatArray
    weight: FloatArray

    def __len__(self) -> int:
        return len(self.label)


@dataclass(frozen=True)
class JointPlan:
    """How the loss is made and the optimiser runs.

    Attributes:
        schedule: Epochs, rate of what is shared, and judgements a step.
        users_rate: Learning rate of what users have of their own.
        alpha: Weight of the loss as the user; the rest is the loss as the generic user.
        grouped: Whether a step reads all judgements of its pairs.
    """

    schedule: Schedule
    users_rate: float
    alpha: float = 1.0
    grouped: bool = False


class JointNetwork(Protocol):
    """What the loop trains."""

    shares_texts: bool
    """Whether one reading of a text serves every user."""

    @property
    def users(self) -> UserModel:
        """What depends on the user."""
        ...

    def shared(self) -> list[nn.Parameter]:
        """What is learnt of everybody, `users.shared` included, in a fixed order."""
        ...

    def rewards(self, ids: Sequence[Ids], text: IntArray, user: IntArray) -> Tensor:
        """Rewards (m,) of ids[text[i]] for user[i], each (text, user) given once."""
        ...


def plan_steps(rows: JointRows, plan: JointPlan, seed: int) -> list[IntArray]:
    """The judgements of every step of training.

    Without groups they come as TRL's trainer reads them. With groups a step is as many whole pairs
    as hold a batch of judgements, and `MIN_PAIRS` at least; where nobody shares a pair, these are
    the same steps.
    """
    epochs = math.ceil(plan.schedule.epochs)
    steps = []
    for epoch in range(epochs):
        steps += _epoch(rows, plan, seed, epoch)
    share = plan.schedule.epochs / epochs
    # Rounded first: 3 * (1 / 3) must not become one step more.
    return steps[: math.ceil(round(len(steps) * share, 9))]


def _epoch(rows: JointRows, plan: JointPlan, seed: int, epoch: int) -> list[IntArray]:
    size = plan.schedule.batch_size
    if not plan.grouped:
        order = row_order(len(rows), seed, epoch)
        return [order[start : start + size] for start in range(0, len(order), size)]
    _, first, code, counts = np.unique(
        rows.pair, return_index=True, return_inverse=True, return_counts=True
    )
    # Pairs in the order of their first judgement, whatever their codes are.
    by_first = np.argsort(first, kind="stable")
    members = np.split(np.argsort(code, kind="stable"), np.cumsum(counts)[:-1])
    steps: list[IntArray] = []
    waiting: list[IntArray] = []
    for place in row_order(len(by_first), seed, epoch):
        waiting.append(members[by_first[place]])
        if sum(map(len, waiting)) >= size and len(waiting) >= min(MIN_PAIRS, size):
            steps.append(np.concatenate(waiting))
            waiting = []
    return [*steps, np.concatenate(waiting)] if waiting else steps


class JointTrainer:
    """Trains a network in place; `run` does it.

    Args:
        network: The model, on its device.
        rows: What is learnt from.
        plan: How.
        seed: Of the order of the rows.
        device: Where to compute.
        dtype: Passes run under autocast to it unless it is float32; trained weights are float32.
        texts_per_pass: Texts a forward pass, or as many as one judgement needs.
        steps: The judgements of every step; None is `plan_steps`.
    """

    def __init__(
        self,
        network: JointNetwork,
        rows: JointRows,
        plan: JointPlan,
        *,
        seed: int,
        device: torch.device,
        dtype: torch.dtype,
        texts_per_pass: int,
        steps: Sequence[IntArray] | None = None,
    ) -> None:
        self.network = network
        self.rows = rows
        self.plan = plan
        self.device = device
        self.dtype = dtype
        self.texts_per_pass = texts_per_pass
        self.steps = plan_steps(rows, plan, seed) if steps is None else steps
        self.sizes = np.array([len(text) for text in rows.ids])
        self.shared = network.shared()
        rate = plan.schedule.learning_rate
        self.adam = None
        if self.shared:
            self.adam = torch.optim.AdamW(
                self.shared, lr=rate, betas=BETAS, eps=EPSILON, weight_decay=0.0
            )
        states = network.users.states
        # At alpha 0 no judgement says anything of its user.
        self.lazy = None
        if states.requires_grad and plan.alpha > 0:
            self.lazy = LazyAdam.of(states.data.view(len(states), -1))
        self.losses: list[float] = []
        self.texts_read = 0
        self.tokens_read = 0

    def run(
        self,
        checkpoint: Path | None,
        progress: Progress,
        before_checkpoint: Callable[[], None] = unhindered,
    ) -> list[float]:
        """Trains to the end, or finishes what a killed run left in `checkpoint`.

        Args:
            checkpoint: A safetensors file, replaced ten times over the run; None keeps nothing.
            progress: Told of every step.
            before_checkpoint: As `TrainContext.before_checkpoint`.

        Returns:
            The mean loss of every step, those before a kill included.

        Raises:
            FailedError: A loss is no number.
            ArtifactError: The checkpoint is damaged.
        """
        last = len(self.steps)
        every = max(1, math.ceil(last * SAVED_FRACTION))
        for number in range(self._resume(checkpoint), last):
            self.losses.append(self._step(number))
            if checkpoint is not None and ((number + 1) % every == 0 or number + 1 == last):
                before_checkpoint()
                self._save(checkpoint)
            progress("training", number + 1, last)
        return self.losses

    def gradients(self, step: IntArray) -> float:
        """Adds the gradients of the mean loss of some judgements; returns that loss."""
        loss = 0.0
        for part in self.passes(step):
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
                losses = self._losses(part)
            total = losses.sum() / len(step)
            torch.autograd.backward(total)
            loss += float(total.detach())
        return loss

    def passes(self, step: IntArray) -> list[IntArray]:
        """The judgements of each forward pass of a step, long texts first."""
        longest = np.maximum(self.sizes[self.rows.a[step]], self.sizes[self.rows.b[step]])
        parts: list[list[int]] = [[]]
        held: set[int] = set()
        for row in step[np.lexsort((self.rows.pair[step], -longest))]:
            needed = set(self._keys(*self._asked(np.array([row]))).tolist())
            if parts[-1] and len(held | needed) > self.texts_per_pass:
                parts.append([])
                held = set()
            parts[-1].append(int(row))
            held |= needed
        return [np.array(part) for part in parts]

    def _asked(self, part: IntArray) -> tuple[IntArray, IntArray]:
        """Text and user of every reward that k judgements need: as the user, then as generic."""
        texts = np.concatenate([self.rows.a[part], self.rows.b[part]])
        own = np.tile(self.rows.user[part], 2)
        nobody = np.full_like(own, GENERIC)
        if self.plan.alpha == 0:
            return texts, nobody
        if self.plan.alpha == 1:
            return texts, own
        return np.tile(texts, 2), np.concatenate([own, nobody])

    def _keys(self, text: IntArray, user: IntArray) -> IntArray:
        return text if self.network.shares_texts else text * (self.network.users.n_users + 1) + user

    def _losses(self, part: IntArray) -> Tensor:
        """Weighted losses (k,) of k judgements."""
        rows, alpha = self.rows, self.plan.alpha
        text, user = self._asked(part)
        width = self.network.users.n_users + 1
        asked, place = np.unique(text * width + user, return_inverse=True)
        read = np.unique(self._keys(asked // width, asked % width), return_index=True)[1]
        self.texts_read += len(read)
        self.tokens_read += int(self.sizes[asked[read] // width].sum())
        found = self.network.rewards(rows.ids, asked // width, asked % width)
        sides = found.index_select(0, torch.from_numpy(place).to(self.device)).chunk(
            len(text) // len(part)
        )
        label = torch.from_numpy(rows.label[part]).to(self.device, torch.float32)
        branches = [bradley_terry(sides[i] - sides[i + 1], label) for i in range(0, len(sides), 2)]
        own = branches[0] if alpha > 0 else None
        losses = mixed(own, branches[-1] if alpha < 1 else None, alpha)
        # A judgement of nobody is the generic user's alone.
        weight = rows.weight[part] * np.where(rows.user[part] == GENERIC, 1 - alpha, 1.0)
        return losses * torch.from_numpy(weight).to(self.device, torch.float32)

    def _step(self, number: int) -> float:
        step, total = self.steps[number], len(self.steps)
        states = self.network.users.states
        for weight in (*self.shared, states):
            weight.grad = None
        loss = self.gradients(step)
        if not math.isfinite(loss):
            raise FailedError(
                f"training diverged: the loss of step {number + 1} is no number",
                hint="a smaller --learning-rate, or --dtype float32",
            )
        factor = float(schedule_factor(number, total))
        if self.adam is not None:
            torch.nn.utils.clip_grad_norm_(self.shared, MAX_NORM)
            for group in self.adam.param_groups:
                group["lr"] = self.plan.schedule.learning_rate * factor
            self.adam.step()
        if self.lazy is not None and states.grad is not None:
            active = np.unique(self.rows.user[step])
            active = active[active != GENERIC] - 1
            rates = torch.full((len(active),), self.plan.users_rate * factor, dtype=torch.float64)
            self.lazy.step(
                states.grad.view(len(states), -1),
                torch.from_numpy(active).to(self.device),
                rates.to(self.device),
            )
        return loss

    def _save(self, path: Path) -> None:
        tensors = {f"weight.{i}": weight.detach() for i, weight in enumerate(self.shared)}
        moments = {} if self.adam is None else self.adam.state_dict()["state"]
        for i, state in moments.items():
            tensors |= {f"adam.{i}.{name}": value for name, value in state.items()}
        if self.lazy is not None:
            tensors |= {f"users.{name}": value for name, value in self.lazy.state().items()}
        kept = {name: value.cpu().contiguous() for name, value in tensors.items()}
        with atomic_path(path) as temporary:
            save_file(kept, temporary, {"losses": json.dumps(self.losses)})

    def _resume(self, path: Path | None) -> int:
        """Takes over a checkpoint; how many steps are done."""
        if path is None or not path.exists():
            return 0
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                self.losses = json.loads(file.metadata()["losses"])
            self._restore(tensors)
        except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as error:
            raise ArtifactError(
                f"the checkpoint {path} cannot be read: {error}", hint=f"rm {path}"
            ) from error
        return len(self.losses)

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        state: dict[int, dict[str, Tensor]] = {}
        lazy: dict[str, Tensor] = {}
        for name, value in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "users":
                lazy[rest] = value
            elif kind == "weight":
                with torch.no_grad():
                    self.shared[int(rest)].copy_(value)
            else:
                number, _, what = rest.partition(".")
                state.setdefault(int(number), {})[what] = value
        if self.adam is not None:
            groups = self.adam.state_dict()["param_groups"]
            self.adam.load_state_dict({"state": state, "param_groups": groups})
        if self.lazy is not None:
            self.lazy.restore(lazy)
