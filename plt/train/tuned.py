"""One user-blind reward model, fine-tuned by TRL: `--tune lora` and `--tune full`."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from plt.data.table import atomic_path, write_text
from plt.errors import ArtifactError, DataError, FailedError, UsageError
from plt.train.backbone import load_tokenizer, pad_batch, resolve_device, resolve_dtype
from plt.train.feature_store import content_key
from plt.train.method import Compute, FloatArray, Texts, TrainContext
from plt.train.model_source import ModelSource, resolve_model
from plt.train.processes import mine, summed
from plt.train.reward_model import add_lora, build_reward_model, own_head
from plt.train.tokens import (
    WINDOW_TEXTS,
    Ids,
    TextEncoder,
    read_content,
    text_encoder,
    window_batches,
)
from plt.train.trl_bridge import DirectedPairs, Schedule, reward_arguments, silenced, train

WEIGHTS = "tuned.safetensors"
RECORD = "tuned.json"
VERSION = 1
LEARNING_RATES = {"lora": 3e-4, "full": 2e-5}
# Scored when a model is saved and again when it is loaded.
PROBES = Texts(
    prompts=[
        [],
        [{"role": "user", "content": "How do I make tea?"}],
        [
            {"role": "system", "content": "Answer in one sentence."},
            {"role": "user", "content": "What is a heap?"},
        ],
        [{"role": "user", "content": "Tell me a joke."}],
    ],
    responses=[
        "Yes.",
        "Boil water, pour it over the leaves and wait for four minutes. Would you like milk?",
        "A heap is a tree in which every parent is at least as large as its children.",
        "I would rather not! " + "Haha, please ask me something else. " * 20,
    ],
)
TOLERANCES = {"float32": 1e-4, "bfloat16": 0.1, "float16": 0.02}


@dataclass(frozen=True)
class Tuning:
    """How a reward model is fine-tuned.

    Attributes:
        tune: ``lora`` trains low-rank adapters and the head, ``full`` every weight.
        epochs: Passes over the judgements.
        learning_rate: None is 3e-4 for ``lora`` (Dong et al. 2025), 2e-5 for ``full``.
        batch_size: Judgements a step of the optimiser.
        max_length: Tokens of a text at most; None is the model's own, at most 1,024.
        lora_rank: Rank of the adapters (16 in Dong et al. 2025).
        lora_alpha: Their scale is alpha / rank (32 there).
        lora_targets: Names of layers, separated by commas; None takes the architecture's own,
            ``all-linear`` all.
    """

    tune: Literal["lora", "full"] = "lora"
    epochs: float = 1.0
    learning_rate: float | None = None
    batch_size: int = 32
    max_length: int | None = None
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_targets: str | None = None

    def __post_init__(self) -> None:
        if self.tune not in LEARNING_RATES:
            raise UsageError(f"tune is lora or full here, not {self.tune!r}", hint="--tune lora")
        for name in ("epochs", "learning_rate", "batch_size", "lora_rank", "lora_alpha"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} is {value}; it must be above 0")

    @property
    def schedule(self) -> Schedule:
        """Epochs, learning rate and batch size, defaults filled in."""
        rate = self.learning_rate or LEARNING_RATES[self.tune]
        return Schedule(self.epochs, rate, self.batch_size)

    @property
    def targets(self) -> tuple[str, ...] | None:
        """The layers named in `lora_targets`."""
        if self.lora_targets is None:
            return None
        return tuple(name.strip() for name in self.lora_targets.split(",") if name.strip())


@dataclass(frozen=True, eq=False)
class TunedReward:
    """A fine-tuned scalar reward model; made by `fit`, `pretrained` or `load`.

    Attributes:
        source: The model it began from.
        tuning: How it was tuned; None for a public reward model as it is.
        dtype: Of forward passes; the head is float32 always.
        losses: Mean loss of every logged interval of training.
        model: The torch model, of which device is the only state that changes.
        encoder: How texts become token ids.
    """

    source: ModelSource
    tuning: Tuning | None
    dtype: str
    losses: Sequence[float]
    model: Any = field(repr=False)
    encoder: TextEncoder = field(repr=False)

    @classmethod
    def fit(
        cls, texts: Texts, pairs: DirectedPairs, *, model: str, tuning: Tuning, ctx: TrainContext
    ) -> Self:
        """Learns a reward from judgements by TRL's RewardTrainer.

        The loss is Bradley-Terry's cross-entropy; a soft label enters with its probability and a
        tie as half a win for each side, as in the head methods. A text longer than the window is
        cut, never left out. A run that was killed is resumed from ``checkpoints/`` of the work
        directory and ends, on the CPU, with the same bits.

        Args:
            texts: n distinct texts.
            pairs: N judgements of them.
            model: As `plt.train.model_source.resolve_model`; a reward model keeps its head,
                any other begins with a zero head.
            tuning: How to train.
            ctx: Seed, work directory, device, dtype, progress; `ctx.compute.batch_size` texts go
                through the model at once, which changes no result beyond rounding.

        Raises:
            DataError: There is no judgement to learn from.
            ArtifactError: The model cannot be loaded or adapted.
            FailedError: A loss or weight is no number.
        """
        if not len(pairs):
            raise DataError(
                "there is no judgement to learn a reward from", hint="plt dataset-stats"
            )
        source = resolve_model(model)
        tokenizer = load_tokenizer(source)
        encoder = _encoder(tokenizer, source, tuning.max_length)
        seed = int(np.random.SeedSequence(ctx.seed).generate_state(1)[0])
        net = _network(source, tuning, ctx.compute.dtype, seed)
        arguments = reward_arguments(
            ctx.work_dir / "checkpoints" / _fit_key(texts, pairs, source, tuning, ctx),
            tuning.schedule,
            len(pairs),
            seed=seed,
            device=resolve_device(ctx.compute.device),
            dtype=resolve_dtype(ctx.compute.dtype),
            texts_per_pass=ctx.compute.batch_size,
        )
        ids = encoder.encode(texts.prompts, texts.responses)
        losses = train(net, tokenizer, ids, pairs, arguments, ctx.compute.progress)
        return cls(source, tuning, ctx.compute.dtype, losses, net.eval(), encoder)

    @classmethod
    def pretrained(cls, model: str, dtype: str = "float32", max_length: int | None = None) -> Self:
        """A public reward model as it is, with its own chat template and head.

        Raises:
            ArtifactError: The model has no scalar head that plt reads (a causal model's
                ``score.weight``).
        """
        source = resolve_model(model)
        if own_head(source) is None:
            raise ArtifactError(
                f"model {model} is no reward model: it has no scalar head score.weight",
                hint="plt train --method bradley-terry --model " + model,
            )
        encoder = _encoder(load_tokenizer(source), source, max_length)
        return cls(source, None, dtype, (), _network(source, None, dtype), encoder)

    def reward(self, texts: Texts, compute: Compute) -> FloatArray:
        """Rewards (n,) of n texts, in log-odds: a margin is a difference of two.

        Args:
            texts: n texts.
            compute: Device, batch size and progress; the dtype is the one of training.

        Raises:
            FailedError: A reward is no number.
        """
        device = resolve_device(compute.device)
        self.model.to(device)
        rewards = np.zeros(len(texts))
        sizes = [-len(response) for response in texts.responses]
        order = np.argsort(sizes, kind="stable")
        for start in range(0, len(texts), WINDOW_TEXTS):
            rows = order[start : start + WINDOW_TEXTS]
            batches = window_batches(self.encoder, texts, rows, compute.batch_size)
            for number, (places, ids) in enumerate(batches):
                if mine(number):
                    rewards[rows[places]] = self._score(ids, device)
            compute.progress("scoring texts", start + len(rows), len(texts))
        rewards = summed(rewards, compute.device)
        if not np.isfinite(rewards).all():
            raise FailedError(
                f"{int((~np.isfinite(rewards)).sum())} of {len(texts)} rewards are no numbers,"
                f" in {self.dtype}",
                hint="--dtype float32",
            )
        return rewards

    def _score(self, ids: Sequence[Ids], device: torch.device) -> FloatArray:
        tokens, mask = (tensor.to(device) for tensor in pad_batch(ids))
        dtype = resolve_dtype(self.dtype)
        autocast = torch.autocast(device.type, dtype, enabled=dtype != torch.float32)
        with torch.inference_mode(), autocast:
            logits = self.model(input_ids=tokens, attention_mask=mask).logits
        found: FloatArray = logits[:, 0].double().cpu().numpy()
        return found

    def save(self, path: Path) -> None:
        """Writes the trained weights, head included, and what they stand on.

        The model it began from is named with its fingerprint, not copied.

        Args:
            path: The folder; the JSON is written last, so half an artifact is never read.
        """
        trained = {name: weight.contiguous() for name, weight in _trained(self.model).items()}
        with atomic_path(path / WEIGHTS) as temporary:
            temporary.write_bytes(save(trained))
        record = {
            "version": VERSION,
            "model": _lasting_name(self.source),
            "fingerprint": self.source.fingerprint,
            "tuning": None if self.tuning is None else asdict(self.tuning),
            "dtype": self.dtype,
            "max_length": self.encoder.max_length,
            "losses": list(self.losses),
            "probes": self.reward(PROBES, Compute()).tolist(),
        }
        write_text(path / RECORD, json.dumps(record, indent=1, sort_keys=True))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The inverse of `save`; scores the probes again and compares.

        Raises:
            ArtifactError: Something is missing or damaged, the model it began from is not there
                or has changed, or the scores are not those of the model that was saved.
        """
        record, trained = _read(path)
        source = resolve_model(record["model"])
        if source.fingerprint != record["fingerprint"]:
            raise ArtifactError(
                f"{path} was tuned from another {record['model']}: its weights or tokenizer have"
                " changed since",
                hint="restore the model, or train again",
            )
        tuning = None if record["tuning"] is None else Tuning(**record["tuning"])
        net = _network(source, tuning, record["dtype"])
        _put(net, trained, path)
        encoder = _encoder(load_tokenizer(source), source, record["max_length"])
        loaded = cls(source, tuning, record["dtype"], tuple(record["losses"]), net, encoder)
        _self_check(loaded, np.array(record["probes"]), path)
        return loaded


def _encoder(tokenizer: Any, source: ModelSource, max_length: int | None) -> TextEncoder:
    return text_encoder(tokenizer, causal=source.causal, max_length=max_length or source.max_length)


def _network(source: ModelSource, tuning: Tuning | None, dtype: str, seed: int = 0) -> Any:
    """The torch model, what is trained set to be trained; `seed` is of the adapters."""
    # Fully trained weights stay float32 (autocast lowers the passes): small steps must add up.
    full = tuning is not None and tuning.tune == "full"
    with silenced(), torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_reward_model(source, torch.float32 if full else resolve_dtype(dtype))
        if tuning is None:
            return model.requires_grad_(False)
        if full:
            return model
        adapted = add_lora(
            model, rank=tuning.lora_rank, alpha=tuning.lora_alpha, targets=tuning.targets
        )
    return adapted.eval()


def _trained(model: Any) -> dict[str, torch.Tensor]:
    return {n: p.detach().cpu() for n, p in model.named_parameters() if p.requires_grad}


def _fit_key(
    texts: Texts, pairs: DirectedPairs, source: ModelSource, tuning: Tuning, ctx: TrainContext
) -> str:
    """A name for one fit: no other fit may resume from its checkpoints."""
    facts = [source.fingerprint, asdict(tuning), ctx.seed, ctx.compute.dtype]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for prompt, response in zip(texts.prompts, texts.responses, strict=True):
        digest.update(content_key(read_content(prompt, response, causal=source.causal)))
    for column in (pairs.chosen, pairs.rejected, pairs.confidence):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:16]


def _lasting_name(source: ModelSource) -> str:
    """A name that finds the same weights again from another folder and at another time."""
    if source.name.startswith("builtin:"):
        return source.name
    if source.revision is not None:
        return f"{source.name.partition('@')[0]}@{source.revision}"
    return str(source.path)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    try:
        record = json.loads((path / RECORD).read_text(encoding="utf-8"))
        trained = load_file(path / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise ArtifactError(f"{path} holds no readable reward model: {error}") from error
    if record.get("version") != VERSION:
        raise ArtifactError(
            f"{path} was written in format {record.get('version')}; this plt reads {VERSION}"
        )
    return record, trained


def _put(net: Any, trained: dict[str, torch.Tensor], path: Path) -> None:
    """Sets the trained weights, all of them and nothing else."""
    wanted = {name: weight for name, weight in net.named_parameters() if weight.requires_grad}
    problems = [f"{name} is missing" for name in sorted(set(wanted).difference(trained))]
    problems += [f"{name} is unknown" for name in sorted(set(trained).difference(wanted))]
    problems += [
        f"{name} has shape {tuple(trained[name].shape)}, not {tuple(weight.shape)}"
        for name, weight in wanted.items()
        if name in trained and trained[name].shape != weight.shape
    ]
    if problems:
        raise ArtifactError(f"{path / WEIGHTS} does not fit its model", problems=problems)
    with torch.no_grad():
        for name, weight in wanted.items():
            weight.copy_(trained[name])


def _self_check(loaded: TunedReward, expected: FloatArray, path: Path) -> None:
    found = loaded.reward(PROBES, Compute())
    allowed = TOLERANCES[loaded.dtype] * max(1.0, float(np.abs(expected).max()))
    worst = float(np.abs(found - expected).max())
    if not worst <= allowed:
        raise ArtifactError(
            f"{path} does not score as when it was saved: a probe differs by {worst:.3g}"
            f" (allowed {allowed:.3g})",
            hint="plt verify RUN, then train again",
        )
