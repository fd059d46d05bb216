"""A language model and the soft tokens of its users, in the form that TRL's trainers accept."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from plt.train.models.backbone import load_language_model
from plt.train.models.log_probs import AnswerBatch, response_log_probs
from plt.train.models.scalar_head import lora_config
from plt.train.models.source import ModelSource
from plt.train.people.soft_users import UserModel
from plt.train.policies.settings import PolicyTune
from plt.train.runtime.devices import resolve_dtype
from plt.train.tuning.trl import silenced

USERS = "users."


@dataclass(frozen=True)
class Trained:
    """What of a language model learns.

    Attributes:
        tune: ``lora``, ``full`` or ``soft-prompt``: nothing of the model itself.
        rank: Of the adapters.
        alpha: Their scale is alpha / rank.
        targets: Names of layers; None takes the architecture's own.
    """

    tune: PolicyTune
    rank: int = 8
    alpha: int = 16
    targets: Sequence[str] | None = None


class PolicyNetwork(PreTrainedModel):  # type: ignore[misc]  # transformers has no type stubs
    """log pi(y | x, u): soft tokens stand behind the begin token, before everything else.

    Args:
        model: A causal language model (`load_language_model`), with or without adapters.
        users: The soft tokens; with T_u = 0 the model alone.
        at: Tokens in front of the soft ones.
    """

    supports_gradient_checkpointing = True
    base_model_prefix = "language"
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def __init__(self, model: Any, users: UserModel, at: int) -> None:
        super().__init__(copy.deepcopy(model.config))
        # Before the modules are there: post_init gives random weights to what it finds.
        self.post_init()
        self.generation_config = model.generation_config
        self.language = model
        self.users = users
        self.at = at

    def get_input_embeddings(self) -> Any:
        """The token embeddings of the language model."""
        return self.language.get_input_embeddings()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, response_mask: Tensor, user: Tensor
    ) -> Tensor:
        """Log-probabilities of n responses.

        Args:
            input_ids: (n, L), padded on any side.
            attention_mask: (n, L), 1 on real tokens.
            response_mask: (n, L), 1 on the tokens that count.
            user: (n,) indices of the user model; 0 is the generic user.

        Returns:
            (n,), float32.
        """
        batch = AnswerBatch(input_ids, attention_mask, response_mask)
        return response_log_probs(self.language, batch, self.users(user), self.at).float()


def trainable(source: ModelSource, trained: Trained, dtype: str, seed: int = 0) -> Any:
    """The language model, what is trained set to be trained.

    Args:
        source: Where it comes from.
        trained: What of it learns.
        dtype: Of the weights that do not move; what is fully trained is float32.
        seed: Of the adapters.
    """
    full = trained.tune == "full"
    with silenced(), torch.random.fork_rng():
        torch.manual_seed(seed)
        model = load_language_model(source, torch.float32 if full else resolve_dtype(dtype))
        if trained.tune == "soft-prompt":
            model.requires_grad_(False)
        return with_lora(model, source, trained) if trained.tune == "lora" else model


def with_lora(model: Any, source: ModelSource, trained: Trained) -> Any:
    """The peft model; adapters begin at no effect."""
    from peft import get_peft_model

    config = lora_config(
        model, source, rank=trained.rank, alpha=trained.alpha, targets=trained.targets
    )
    return get_peft_model(model, config).eval()


@contextmanager
def reference_of(network: PolicyNetwork, source: ModelSource, trained: Trained) -> Iterator[Any]:
    """The model as it was before training: adapters off, or the source's weights again."""
    if trained.tune == "lora":
        with network.language.disable_adapter():
            yield network.language
    elif trained.tune == "soft-prompt":
        yield network.language
    else:
        yield _reloaded(source)


# Keyed by the content of the model's files.
@lru_cache(maxsize=1)
def _reloaded(source: ModelSource) -> Any:
    # In the precision in which it was the reference of the training.
    with silenced():
        return load_language_model(source, torch.float32).requires_grad_(False)
