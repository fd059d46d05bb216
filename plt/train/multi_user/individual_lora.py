"""A low-rank adapted reward model a user, all of them trained and scored on one backbone."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from plt.data.tables.files import atomic_path, write_text
from plt.errors import ArtifactError, FailedError
from plt.train.judgements import used_texts
from plt.train.method import (
    Compute,
    FloatArray,
    IntArray,
    Judgements,
    Progress,
    Texts,
    TrainContext,
)
from plt.train.models.backbone import load_tokenizer, pad_batch
from plt.train.models.probes import PROBES, check_probes
from plt.train.models.scalar_head import own_head
from plt.train.models.source import ModelSource, resolve_model
from plt.train.models.text_encoder import Ids, TextEncoder
from plt.train.multi_user.stacked_loop import StackTrainer, UserRows, total_steps
from plt.train.multi_user.stacked_network import StackedNetwork
from plt.train.runtime.devices import resolve_device, resolve_dtype
from plt.train.runtime.processes import mine, summed, world_size
from plt.train.runtime.seeds import training_seed
from plt.train.tuning.network import encoder_of, network, refuse_float16
from plt.train.tuning.options import Tuning
from plt.train.tuning.row_adam import state_bytes
from plt.train.tuning.saved import (
    checkpoint_folder,
    lasting_name,
    put_weights,
    refuse_other_weights,
    same_source,
)
from plt.train.tuning.tuned_reward import TunedReward

WEIGHTS = "users.safetensors"
RECORD = "users.json"
LORA_A = "lora_A"
"""The factor of an adapter that begins at random; the other begins at 0."""
VERSION = 1
# Weights, gradients and moments of the users who learn together; not what a machine happens to
# have free, since a resumed run must form the same groups.
GROUP_BYTES = 2 << 30


@dataclass(frozen=True, eq=False)
class BatchedUsers:
    """A reward a user: an adapter and a head of their own on a backbone that all share.

    A user's weights are those of a run of `TunedReward` on that user's rows alone with the same
    seed (initial weights, order of the rows, schedule), up to rounding: who else is trained, and
    in which order, does not matter. Everybody else, the population, has the mean reward of the
    users it was fitted on, which costs a pass for each of them.

    Attributes:
        source: The model that everybody began from.
        tuning: How each was tuned.
        dtype: Of forward passes; adapters and heads are float32 always.
        losses: Of every step, the mean over the users who made it.
        users: Whom it knows, sorted.
        population: The users whose mean reward everybody else has, sorted.
        stack: Name to (U, ...) float32 on the CPU, row u the weights of users[u].
        network: The backbone.
        encoder: How texts become token ids.
    """

    source: ModelSource
    tuning: Tuning
    dtype: str
    losses: tuple[float, ...]
    users: tuple[str, ...]
    population: tuple[str, ...]
    stack: Mapping[str, Tensor] = field(repr=False)
    network: StackedNetwork = field(repr=False)
    encoder: TextEncoder = field(repr=False)

    @classmethod
    def fit(
        cls,
        judgements: Judgements,
        users: Sequence[str],
        *,
        model: str,
        tuning: Tuning,
        ctx: TrainContext,
    ) -> Self:
        """Trains an adapter for each of `users` on their training rows.

        As many users learn together as `GROUP_BYTES` holds. Started in several processes, each
        trains its share of the users. A run that was killed is resumed from ``checkpoints/`` of
        the work directory and ends, on the CPU, with the same bits.

        Args:
            judgements: Training rows are learnt from, validation rows are not used.
            users: With at least one training row each.
            model: As `plt.train.models.source.resolve_model`.
            tuning: How to train each; `tune` is ``lora``.
            ctx: Seed, work directory, and how to compute, which changes nothing beyond rounding.

        Raises:
            UsageError: The dtype is float16, whose gradients vanish.
            FailedError: A loss is no number.
        """
        refuse_float16(ctx.compute.dtype)
        source = resolve_model(model)
        encoder = encoder_of(load_tokenizer(source), source, tuning.max_length)
        names = tuple(sorted(users))
        seed = training_seed(ctx.seed)
        stacked = StackedNetwork.of(network(source, tuning, ctx.compute.dtype, seed))
        device = resolve_device(ctx.compute.device)
        stacked.model.to(device)
        texts, rows = _user_rows(judgements, names, encoder)
        columns = (rows.a, rows.b, rows.label, rows.starts)
        folder = checkpoint_folder(texts, columns, source, tuning, ctx)
        steps = total_steps(rows, tuning.schedule)
        stack = np.zeros((len(names), stacked.size), dtype=np.float32)
        losses = np.zeros(int(steps.max()))
        groups = _groups(len(names), stacked.size)
        for number in filter(mine, range(len(groups))):
            group = groups[number]
            trainer = StackTrainer(
                stacked,
                rows.of(group),
                tuning.schedule,
                seed=seed,
                device=device,
                dtype=resolve_dtype(ctx.compute.dtype),
                texts_per_pass=ctx.compute.batch_size,
            )
            checkpoint = folder / f"users-{number:05d}-of-{len(groups):05d}.safetensors"
            told = _of_all(ctx.compute.progress, steps, groups, number)
            weights, found = trainer.run(checkpoint, told, ctx.before_checkpoint)
            stack[group.start : group.stop] = weights.numpy()
            losses[: len(found)] += found
        active = (steps[:, None] > np.arange(len(losses))).sum(axis=0)
        mean = summed(losses, ctx.compute.device) / active
        whole = torch.from_numpy(summed(stack, ctx.compute.device))
        return cls(
            source, tuning, ctx.compute.dtype, tuple(mean.tolist()), names, names,
            stacked.split(whole), stacked, encoder,
        )  # fmt: skip

    def reward(
        self, texts: Texts, rows: IntArray, users: Sequence[str | None], compute: Compute
    ) -> FloatArray:
        """Rewards of shape (len(rows),): of text rows[i] for users[i].

        A pass holds texts of one user, so that nobody's last bits depend on who else is asked for.

        Raises:
            FailedError: A reward is no number.
        """
        codes: dict[str | None, int] = {user: code for code, user in enumerate(self.users)}
        code = np.array([codes.get(user, -1) for user in users], dtype=np.int64)
        known = np.unique(code[code >= 0])
        strangers = np.unique(rows[code < 0])
        members = [codes[user] for user in self.population] if len(strangers) else []
        jobs = [(int(user), np.unique(rows[code == user])) for user in known]
        jobs += [(user, strangers) for user in members]
        found = self._read(texts, jobs, compute)
        rewards = np.empty(len(rows))
        for (user, read), values in zip(jobs[: len(known)], found, strict=False):
            rewards[code == user] = values[np.searchsorted(read, rows[code == user])]
        if members:
            mean = np.mean(found[len(known) :], axis=0)
            rewards[code < 0] = mean[np.searchsorted(strangers, rows[code < 0])]
        return rewards

    def _read(
        self, texts: Texts, jobs: Sequence[tuple[int, IntArray]], compute: Compute
    ) -> list[FloatArray]:
        """The rewards of every job: a user and the texts to read as that user."""
        self.network.model.to(resolve_device(compute.device))
        ids = _token_ids(self.encoder, texts, [read for _, read in jobs])
        sizes = [len(read) for _, read in jobs]
        rewards = np.zeros(sum(sizes))
        places = np.split(np.arange(len(rewards)), np.cumsum(sizes)[:-1])
        number = 0
        for done, ((user, read), place) in enumerate(zip(jobs, places, strict=False)):
            compute.progress("scoring users", done, len(jobs))
            weights = self._row(user)
            by_length = np.argsort([-len(ids[text]) for text in read], kind="stable")
            for start in range(0, len(read), compute.batch_size):
                batch = by_length[start : start + compute.batch_size]
                if mine(number):
                    tokens = [ids[text] for text in read[batch]]
                    rewards[place[batch]] = self._score(tokens, weights, compute)
                number += 1
        rewards = summed(rewards, compute.device)
        if not np.isfinite(rewards).all():
            raise FailedError(
                f"{int((~np.isfinite(rewards)).sum())} of {len(rewards)} rewards are no numbers,"
                f" in {self.dtype}",
                hint="--dtype float32",
            )
        return [rewards[place] for place in places]

    def _row(self, user: int) -> Tensor:
        """(1, P) the weights of a user."""
        return torch.cat([weight[user].reshape(1, -1) for weight in self.stack.values()], dim=1)

    def _score(self, ids: Sequence[Ids], weights: Tensor, compute: Compute) -> FloatArray:
        """Rewards (n,) of n texts, read in one pass as the user whose weights (1, P) these are."""
        device = resolve_device(compute.device)
        tokens, mask = pad_batch(ids)
        dtype = resolve_dtype(self.dtype)
        autocast = torch.autocast(device.type, dtype, enabled=dtype != torch.float32)
        with torch.inference_mode(), autocast:
            batch = (tokens.to(device), mask.to(device))
            rewards = self.network.rewards(batch, weights.to(device))
        found: FloatArray = rewards.double().cpu().numpy()
        return found

    def joined(self, newcomers: "BatchedUsers") -> Self:
        """A copy that knows the newcomers too; the population stays who it was."""
        rows = {user: (self.stack, code) for code, user in enumerate(self.users)}
        rows |= {user: (newcomers.stack, code) for code, user in enumerate(newcomers.users)}
        names = tuple(rows)  # known users keep their places; newcomers come behind them
        stack = {
            name: torch.stack([rows[user][0][name][rows[user][1]] for user in names])
            for name in self.stack
        }
        return replace(self, users=names, stack=stack)

    def at(self, share: float) -> Self | None:
        """A copy between the reward model that everybody began from (0) and their own (1).

        The effect of an adapter is a product, of which one factor is scaled; heads are mixed. None
        where the model brought no trained head: without one it has no reward.
        """
        if own_head(self.source) is None:
            return None
        start = self.network.split(self.network.initial[None])
        stack = {
            name: weight if LORA_A in name else (1 - share) * start[name] + share * weight
            for name, weight in self.stack.items()
        }
        return replace(self, stack=stack)

    def user_model(self, user: str) -> TunedReward:
        """One user's reward as a model of its own, which can be saved and exported as any other."""
        code = self.users.index(user)
        net = network(self.source, self.tuning, self.dtype)
        own = {name: weight[code] for name, weight in self.stack.items()}
        put_weights(net, own, Path(WEIGHTS))
        return TunedReward(self.source, self.tuning, self.dtype, (), net, self.encoder)

    def save(self, path: Path) -> None:
        """Writes the stacked weights and what they stand on; the base model is named, not copied.

        Args:
            path: The folder; the JSON is written last, so half an artifact is never read.
        """
        with atomic_path(path / WEIGHTS) as temporary:
            save_file({name: weight.contiguous() for name, weight in self.stack.items()}, temporary)
        record = {
            "version": VERSION,
            "model": lasting_name(self.source),
            "fingerprint": self.source.fingerprint,
            "tuning": asdict(self.tuning),
            "dtype": self.dtype,
            "max_length": self.encoder.max_length,
            "losses": self.losses,
            "users": self.users,
            "population": self.population,
            "probes": self._probes().tolist(),
        }
        write_text(path / RECORD, json.dumps(record, indent=1, sort_keys=True))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The inverse of `save`; scores the probes again and compares.

        Raises:
            ArtifactError: Something is missing or damaged, the model it began from is not there
                or has changed, or the scores are not those of the users who were saved.
        """
        record, stack = _read_folder(path)
        source = same_source(record, path)
        tuning = Tuning(**record["tuning"])
        stacked = StackedNetwork.of(network(source, tuning, record["dtype"]))
        users, population = tuple(record["users"]), tuple(record["population"])
        refuse_other_weights(stack, {n: (len(users), *s) for n, s in stacked.layout}, path)
        encoder = encoder_of(load_tokenizer(source), source, record["max_length"])
        ordered = {name: stack[name] for name, _ in stacked.layout}
        losses = tuple(record["losses"])
        loaded = cls(
            source, tuning, record["dtype"], losses, users, population, ordered, stacked, encoder
        )
        check_probes(loaded._probes(), np.array(record["probes"]), record["dtype"], path)
        return loaded

    def _probes(self) -> FloatArray:
        """What the mean of everybody's weights says of the probes: no user's damage escapes it."""
        parts = [weight.mean(dim=0).reshape(1, -1) for weight in self.stack.values()]
        self.network.model.to("cpu")
        ids = self.encoder.encode(PROBES.prompts, PROBES.responses)
        return self._score(ids, torch.cat(parts, dim=1), Compute(device="cpu"))


def _user_rows(
    judgements: Judgements, users: Sequence[str], encoder: TextEncoder
) -> tuple[Texts, UserRows]:
    """The training rows of some users, and the texts that these are about."""
    codes = [judgements.users.index(user) for user in users]
    train = ~judgements.validation
    rows = [np.flatnonzero(train & (judgements.user == code)) for code in codes]
    order = np.concatenate(rows)
    texts, used = used_texts(
        judgements.texts, np.concatenate([judgements.a[order], judgements.b[order]])
    )
    ids = encoder.encode(texts.prompts, texts.responses)
    a, b = np.split(used, 2)
    starts = np.cumsum([0, *map(len, rows)])
    return texts, UserRows(ids, a, b, judgements.label[order], starts)


def _groups(n_users: int, n_weights: int) -> list[slice]:
    """Users who are trained together: as few groups as memory allows, of like size."""
    held = max(1, GROUP_BYTES // state_bytes(n_weights))
    count = max(-(-n_users // held), min(world_size(), n_users))
    ends = [n_users * number // count for number in range(count + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(ends)]


def _of_all(progress: Progress, steps: IntArray, groups: Sequence[slice], number: int) -> Progress:
    """Tells the steps of one group as a part of those of all groups."""
    lengths = [int(steps[group].max()) for group in groups]
    before = sum(lengths[:number])
    return lambda what, done, _: progress(what, before + done, sum(lengths))


def _token_ids(encoder: TextEncoder, texts: Texts, reads: Sequence[IntArray]) -> dict[int, Ids]:
    """Token ids of every text that is read, by its number."""
    used = sorted({int(text) for read in reads for text in read})
    encoded = encoder.encode(
        [texts.prompts[text] for text in used], [texts.responses[text] for text in used]
    )
    return dict(zip(used, encoded, strict=True))


def _read_folder(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        record = json.loads((path / RECORD).read_text(encoding="utf-8"))
        stack = load_file(path / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise ArtifactError(f"{path} holds no readable reward models: {error}") from error
    if record.get("version") != VERSION:
        raise ArtifactError(
            f"{path} was written in format {record.get('version')}; this plt reads {VERSION}"
        )
    return record, stack
