"""How reward models are fine-tuned, and the torch model that the settings mean."""

import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plt.errors import ArtifactError, UsageError
from plt.train.backbone import resolve_dtype
from plt.train.feature_store import content_key
from plt.train.method import Quantize, Texts, TrainContext
from plt.train.model_source import ModelSource
from plt.train.reward_model import add_lora, build_reward_model
from plt.train.tokens import MIN_MAX_LENGTH, TextEncoder, read_content, text_encoder
from plt.train.trl_bridge import Schedule, silenced

LEARNING_RATES = {"lora": 3e-4, "full": 2e-5}


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
        quantize: ``4bit`` keeps the frozen weights under ``lora`` in 4 bits: NF4, double
            quantisation, products in bfloat16 (QLoRA, Dettmers et al. 2023). None keeps them as
            they are.

    Raises:
        UsageError: A value is out of range, or `quantize` is asked for with ``full`` or where
            bitsandbytes is not installed.
    """

    tune: Literal["lora", "full"] = "lora"
    epochs: float = 1.0
    learning_rate: float | None = None
    batch_size: int = 32
    max_length: int | None = None
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_targets: str | None = None
    quantize: Quantize | None = None

    def __post_init__(self) -> None:
        if self.tune not in LEARNING_RATES:
            raise UsageError(f"tune is lora or full here, not {self.tune!r}", hint="--tune lora")
        values = {
            "epochs": self.epochs, "learning_rate": self.learning_rate,
            "pairs_per_step": self.batch_size, "lora_rank": self.lora_rank,
            "lora_alpha": self.lora_alpha,
        }  # fmt: skip
        problems = [
            f"'{name}' is {value}, expected a number above 0"
            for name, value in values.items()
            if value is not None and not 0 < value < float("inf")
        ]
        if problems:
            raise UsageError(
                f"--tune {self.tune} does not take these settings",
                problems=problems,
                hint=f"plt train --tune {self.tune} --epochs 1",
            )
        if self.quantize is not None:
            _refuse_quantized(self.quantize, self.tune)

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


def _refuse_quantized(quantize: Quantize, tune: str) -> None:
    if tune != "lora":
        raise UsageError(
            f"quantize is {quantize}, whose weights stay as they are; --tune {tune} moves them",
            hint="--tune lora",
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UsageError(
            f"quantize={quantize} needs the package bitsandbytes, which is not installed",
            hint="pip install bitsandbytes",
        )


def encoder_of(tokenizer: Any, source: ModelSource, max_length: int | None) -> TextEncoder:
    """How the texts of a model are written; None is the model's own length."""
    return text_encoder(tokenizer, causal=source.causal, max_length=max_length or source.max_length)


def window_beside(source: ModelSource, max_length: int | None, n_soft: int) -> int:
    """Tokens of a text at most, where soft tokens take positions of their own.

    Args:
        source: The model.
        max_length: What the person wants; None is the model's own, made to fit.
        n_soft: Soft tokens.

    Raises:
        UsageError: The model has too few positions.
    """
    if source.positions is None:
        return max_length or source.max_length
    room = source.positions - n_soft
    if room < MIN_MAX_LENGTH:
        raise UsageError(
            f"{n_soft} soft tokens leave {max(room, 0)} of the {source.positions} positions of"
            f" {source.name}, and a text needs {MIN_MAX_LENGTH}",
            hint="--set n_tokens=10",
        )
    if max_length is not None and max_length > room:
        beside = f" and {n_soft} soft tokens" if n_soft else ""
        raise UsageError(
            f"{source.name} has {source.positions} positions, too few for a text of"
            f" {max_length}{beside}",
            hint=f"--max-length {room}",
        )
    return max_length or min(source.max_length, room)


def network(source: ModelSource, tuning: Tuning | None, dtype: str, seed: int = 0) -> Any:
    """The torch model, what is trained set to be trained; `seed` is of the adapters."""
    # Fully trained weights stay float32 (autocast lowers the passes): small steps must add up.
    full = tuning is not None and tuning.tune == "full"
    with silenced(), torch.random.fork_rng():
        torch.manual_seed(seed)
        quantize = None if tuning is None else tuning.quantize
        kept = torch.float32 if full else resolve_dtype(dtype)
        model = build_reward_model(source, kept, quantize)
        if tuning is None:
            return model.requires_grad_(False)
        if full:
            return model
        adapted = add_lora(
            model, rank=tuning.lora_rank, alpha=tuning.lora_alpha, targets=tuning.targets
        )
    return adapted.eval()


def trained_weights(model: Any) -> dict[str, Tensor]:
    """The weights that learn, by name, on the CPU."""
    return {
        name: weight.detach().cpu().contiguous()
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }


def training_seed(seed: int) -> int:
    """The seed of initial weights and of the order of rows, from that of a run."""
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


def refuse_float16(dtype: str) -> None:
    """Raises `UsageError` for float16, which plt's own loops do not scale gradients for."""
    if dtype == "float16":
        raise UsageError(
            "users cannot be fine-tuned in float16: small gradients vanish in it",
            hint="--dtype bfloat16",
        )


def checkpoint_folder(
    texts: Texts,
    columns: Sequence[NDArray[Any]],
    source: ModelSource,
    tuning: Any,
    ctx: TrainContext,
) -> Path:
    """Where one fit keeps its checkpoints: no other fit may resume from them.

    Args:
        texts: What is read.
        columns: What is learnt of it, as arrays.
        source: The model it begins from.
        tuning: How it is trained, a dataclass.
        ctx: Seed, dtype and work directory.
    """
    facts = [source.fingerprint, asdict(tuning), ctx.seed, ctx.compute.dtype]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for prompt, response in zip(texts.prompts, texts.responses, strict=True):
        digest.update(content_key(read_content(prompt, response, causal=source.causal)))
    for column in columns:
        digest.update(np.ascontiguousarray(column).tobytes())
    return ctx.work_dir / "checkpoints" / digest.hexdigest()[:16]


def lasting_name(source: ModelSource) -> str:
    """A name that finds the same weights again from another folder and at another time."""
    if source.name.startswith("builtin:"):
        return source.name
    if source.revision is not None:
        return f"{source.name.partition('@')[0]}@{source.revision}"
    return str(source.path)


def put_weights(net: Any, trained: Mapping[str, Tensor], path: Path) -> None:
    """Sets the trained weights, all of them and nothing else.

    Args:
        net: As `network` makes it.
        trained: As `trained_weights`.
        path: Where they were read, for the message.

    Raises:
        ArtifactError: As `refuse_other_weights`.
    """
    wanted = {name: weight for name, weight in net.named_parameters() if weight.requires_grad}
    shapes = {name: tuple(weight.shape) for name, weight in wanted.items()}
    refuse_other_weights(trained, shapes, path)
    with torch.no_grad():
        for name, weight in wanted.items():
            weight.copy_(trained[name])


def refuse_other_weights(
    found: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]], path: Path
) -> None:
    """Checks names and shapes of weights that were read from `path`.

    Raises:
        ArtifactError: A weight is missing, unknown or of another shape; all are named.
    """
    problems = [f"{name} is missing" for name in sorted(set(wanted).difference(found))]
    problems += [f"{name} is unknown" for name in sorted(set(found).difference(wanted))]
    problems += [
        f"{name} has shape {tuple(found[name].shape)}, not {shape}"
        for name, shape in wanted.items()
        if name in found and found[name].shape != shape
    ]
    if problems:
        raise ArtifactError(f"{path} does not fit its model", problems=problems)
