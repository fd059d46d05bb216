"""The training loop of many users' adapters at once, in which everybody learns as if alone.

In every step each user who still has steps to make takes a batch of their own rows, in the order
and with the schedule that TRL's trainer would give to a run on their rows alone. The loss is the
sum over users of their own mean, so that nobody's gradient knows of anybody else; clipping and
Adam are those of `plt.train.tuning.row_adam`. Rows of all users are sorted by length and share
passes.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import logsigmoid

from plt.data.tables.files import atomic_path
from plt.errors import ArtifactError, FailedError
from plt.train.method import FloatArray, IntArray, Progress, unhindered
from plt.train.models.backbone import pad_batch
from plt.train.models.text_encoder import Ids
from plt.train.multi_user.stacked_network import StackedNetwork
from plt.train.tuning.row_adam import LazyAdam, schedule_factor
from plt.train.tuning.trl import SAVED_FRACTION, Schedule


@dataclass(frozen=True)
class UserRows:
    """Judgements of U users, one user's after the other's.

    Attributes:
        ids: Token ids of T texts.
        a: (N,) text of response a.
        b: (N,) text of response b.
        label: (N,) probability that a is preferred; 0.5 is a tie.
        starts: (U + 1,) where the rows of each user begin; nobody has none.
    """

    ids: Sequence[Ids]
    a: IntArray
    b: IntArray
    label: FloatArray
    starts: IntArray

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def counts(self) -> IntArray:
        """(U,) rows of each user."""
        return np.diff(self.starts)

    def of(self, users: slice) -> "UserRows":
        """The rows of some of the users; the texts stay as they are."""
        bounds = self.starts[users.start : users.stop + 1]
        rows = slice(bounds[0], bounds[-1])
        return UserRows(self.ids, self.a[rows], self.b[rows], self.label[rows], bounds - bounds[0])


def row_order(n: int, seed: int, epoch: int) -> IntArray:
    """(n,) the order in which TRL's trainer reads n rows in an epoch, from its data seed."""
    generator = torch.Generator().manual_seed(seed + epoch)
    order: IntArray = torch.randperm(n, generator=generator).numpy()
    return order


def total_steps(rows: UserRows, schedule: Schedule) -> IntArray:
    """(U,) steps of the optimiser of each user."""
    return np.array([schedule.steps(int(n)) for n in rows.counts], dtype=np.int64)


@dataclass(frozen=True)
class Step:
    """The judgements of one step.

    Attributes:
        rows: (k,) which judgements.
        user: (k,) whose.
        weight: (k,) of the loss of each: one over the rows of that user in this step.
        active: (v,) users with a row, ascending.
    """

    rows: IntArray
    user: IntArray
    weight: FloatArray
    active: IntArray


def plan_step(rows: UserRows, schedule: Schedule, seed: int, step: int) -> Step:
    """What step number `step` of everybody's training reads; it depends on nobody else's rows."""
    active = np.flatnonzero(step < total_steps(rows, schedule))
    parts = []
    for user in active:
        n, size = int(rows.counts[user]), schedule.batch_size
        epoch, batch = divmod(step, -(-n // size))
        taken = row_order(n, seed, epoch)[batch * size : (batch + 1) * size]
        parts.append(rows.starts[user] + taken)
    sizes = np.array([len(part) for part in parts], dtype=np.int64)
    chosen = np.concatenate(parts)
    return Step(chosen, np.repeat(active, sizes), np.repeat(1.0 / sizes, sizes), active)


def passes(rows: UserRows, step: Step, texts_per_pass: int, shared: bool) -> Iterator[IntArray]:
    """Positions in a step of the judgements of each forward pass, texts of like length together.

    Args:
        rows: All judgements.
        step: Some of them.
        texts_per_pass: Texts a pass; a judgement has two.
        shared: Whether a pass may hold several users.
    """
    size = np.array([len(text) for text in rows.ids])
    longest = np.maximum(size[rows.a[step.rows]], size[rows.b[step.rows]])
    together = max(1, texts_per_pass // 2)
    groups = [np.arange(len(step.rows))]
    if not shared:
        groups = [np.flatnonzero(step.user == user) for user in step.active]
    for group in groups:
        by_length = group[np.argsort(-longest[group], kind="stable")]
        for start in range(0, len(group), together):
            yield by_length[start : start + together]


class StackTrainer:
    """Trains the rows of a weight matrix; `run` does it.

    Args:
        network: The model.
        rows: The judgements of U users.
        schedule: Epochs, learning rate and rows a step, for each user.
        seed: Of the order of the rows.
        device: Where to compute.
        dtype: Passes run under autocast to it unless it is float32; weights stay float32.
        texts_per_pass: Texts a forward pass.
    """

    def __init__(
        self,
        network: StackedNetwork,
        rows: UserRows,
        schedule: Schedule,
        *,
        seed: int,
        device: torch.device,
        dtype: torch.dtype,
        texts_per_pass: int,
    ) -> None:
        self.network = network
        self.rows = rows
        self.schedule = schedule
        self.seed = seed
        self.device = device
        self.dtype = dtype
        self.texts_per_pass = texts_per_pass
        self.totals = total_steps(rows, schedule)
        weights = network.initial.to(device).repeat(len(rows), 1)
        self.adam = LazyAdam.of(weights)
        self.losses: list[float] = []

    def run(
        self,
        checkpoint: Path,
        progress: Progress,
        before_checkpoint: Callable[[], None] = unhindered,
    ) -> tuple[Tensor, list[float]]:
        """Trains to the end, or finishes what a killed run left in `checkpoint`.

        Args:
            checkpoint: A safetensors file, replaced ten times over the run.
            progress: Told of every step.
            before_checkpoint: As `TrainContext.before_checkpoint`.

        Returns:
            Weights (U, P) on the CPU, and the sum over users of the loss of every step.

        Raises:
            FailedError: A loss is no number.
            ArtifactError: The checkpoint is damaged.
        """
        last = int(self.totals.max())
        every = max(1, int(np.ceil(last * SAVED_FRACTION)))
        gradients = torch.zeros_like(self.adam.weights)
        for step in range(self._resume(checkpoint), last):
            self._step(step, gradients)
            if (step + 1) % every == 0 or step + 1 == last:
                before_checkpoint()
                self._save(checkpoint, finished=step + 1 == last)
            progress("training users together", step + 1, last)
        return self.adam.weights.cpu(), self.losses

    def _step(self, number: int, gradients: Tensor) -> None:
        step = plan_step(self.rows, self.schedule, self.seed, number)
        gradients.zero_()
        losses = np.zeros(len(self.rows))
        shared = self.network.shared_passes
        for part in passes(self.rows, step, self.texts_per_pass, shared):
            found = self._pass(step, part, gradients)
            np.add.at(losses, step.user[part], found)
        bad = step.active[~np.isfinite(losses[step.active])]
        if len(bad):
            raise FailedError(
                f"training diverged: the loss of step {number + 1} is no number for {len(bad)} of"
                f" {len(step.active)} users",
                hint="a smaller --learning-rate, or --dtype float32",
            )
        rates = self.schedule.learning_rate * schedule_factor(number, self.totals[step.active])
        active, rate = (torch.from_numpy(x).to(self.device) for x in (step.active, rates))
        self.adam.step(gradients, active, rate)
        self.losses.append(float(losses.sum()))

    def _pass(self, step: Step, part: IntArray, gradients: Tensor) -> FloatArray:
        """One forward and backward pass; the weighted losses (k,) of its k judgements."""
        judged, owner = step.rows[part], step.user[part]
        users, user = np.unique(owner, return_inverse=True)
        # A text that a user judged twice in the step is read once.
        n_texts = len(self.rows.ids)
        keys = np.concatenate(
            [user * n_texts + side[judged] for side in (self.rows.a, self.rows.b)]
        )
        distinct, place = np.unique(keys, return_inverse=True)
        present = torch.from_numpy(users).to(self.device)
        weights = self.adam.weights[present].requires_grad_()
        index = None if len(users) == 1 else self._tensor(distinct // n_texts)
        tokens, mask = pad_batch([self.rows.ids[key % n_texts] for key in distinct])
        batch = (tokens.to(self.device), mask.to(self.device))
        enabled = self.dtype != torch.float32
        with torch.autocast(self.device.type, self.dtype, enabled=enabled):
            rewards = self.network.rewards(batch, weights, index)
        first, second = rewards.index_select(0, self._tensor(place)).chunk(2)
        margin = first - second
        label, weight = self._tensor(self.rows.label[judged]), self._tensor(step.weight[part])
        losses = -weight * (label * logsigmoid(margin) + (1 - label) * logsigmoid(-margin))
        (gradient,) = torch.autograd.grad(losses.sum(), weights)
        gradients.index_add_(0, present, gradient)
        found: FloatArray = losses.detach().double().cpu().numpy()
        return found

    def _tensor(self, values: IntArray | FloatArray) -> Tensor:
        tensor = torch.from_numpy(values)
        return tensor.to(self.device, torch.float32 if tensor.is_floating_point() else None)

    def _save(self, path: Path, *, finished: bool) -> None:
        state = self.adam.state()
        if finished:
            state = {"weights": state["weights"]}
        with atomic_path(path) as temporary:
            save_file(state, temporary, {"losses": json.dumps(self.losses)})

    def _resume(self, path: Path) -> int:
        """Takes over a checkpoint; how many steps are done."""
        if not path.exists():
            return 0
        try:
            with safe_open(path, framework="pt") as file:
                self.adam.restore({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
                self.losses = json.loads(file.metadata()["losses"])
        except (SafetensorError, OSError, ValueError, RuntimeError) as error:
            raise ArtifactError(
                f"the checkpoint {path} cannot be read: {error}", hint=f"rm {path}"
            ) from error
        return len(self.losses)
