"""How reward models are fine-tuned, and the torch model that the settings mean."""

from typing import Any

import torch

from plt.errors import UsageError
from plt.train.models.scalar_head import add_lora, build_reward_model
from plt.train.models.source import ModelSource
from plt.train.models.text_encoder import MIN_MAX_LENGTH, TextEncoder, text_encoder
from plt.train.runtime.devices import resolve_dtype
from plt.train.tuning.options import Tuning
from plt.train.tuning.trl import silenced


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


def refuse_float16(dtype: str) -> None:
    """Raises `UsageError` for float16, which plt's own loops do not scale gradients for."""
    if dtype == "float16":
        raise UsageError(
            "users cannot be fine-tuned in float16: small gradients vanish in it",
            hint="--dtype bfloat16",
        )
