"""Model, tokenizer, chat template and pooling, got right once.

Every consumer reads a text the same way: `plt.train.models.text_encoder` writes it, rows are
aligned so that real tokens come first (whatever the padding side), and states are read by the
attention mask, never by looking for the padding token, which may equal the end token.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from plt.errors import ArtifactError, FailedError
from plt.train.method import Quantize
from plt.train.models.source import ModelSource, Pooling, resolve_model
from plt.train.models.text_encoder import Ids, TextEncoder, text_encoder
from plt.train.runtime.devices import quiet, resolve_device, resolve_dtype

Batch: TypeAlias = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Backbone:
    """A loaded model without a head.

    Attributes:
        source: Where it came from and how it pools.
        body: The transformers model that returns `last_hidden_state`.
        encoder: How texts become its token ids.
        device: Where it computes.
    """

    source: ModelSource
    body: Any
    encoder: TextEncoder
    device: torch.device

    @property
    def dim(self) -> int:
        """Length d of a pooled vector."""
        return int(self.body.config.hidden_size)

    def embed(self, ids: Sequence[Ids]) -> NDArray[np.float32]:
        """Pooled vectors (n, d) of n texts' token ids, in one forward pass.

        Raises:
            FailedError: The model gave something that is no number.
        """
        tokens, mask = (tensor.to(self.device) for tensor in pad_batch(ids))
        with torch.inference_mode():
            states = self.body(input_ids=tokens, attention_mask=mask).last_hidden_state
            vectors = pool(states.float(), mask, self.source.pooling, self.source.normalize)
        found = vectors.cpu().numpy()
        if not np.isfinite(found).all():
            raise FailedError(
                f"{self.source.name} gave states that are no numbers, in {self.body.dtype}",
                hint="--dtype float32",
            )
        return found


def load_backbone(
    model: str, device: str = "auto", dtype: str = "float32", max_length: int | None = None
) -> Backbone:
    """Loads a model for reading texts; the last one loaded is kept.

    Args:
        model: As `plt.train.models.source.resolve_model`.
        device: ``auto`` is an accelerator where there is one, else the CPU.
        dtype: ``float32``, ``bfloat16`` or ``float16``.
        max_length: Tokens at most; None is the model's own, at most 1,024.

    Raises:
        ArtifactError: As `resolve_model`, or the weights do not fit the configuration.
        UsageError: No such device or dtype.
    """
    return _load(resolve_model(model), resolve_device(device), resolve_dtype(dtype), max_length)


# Keyed by the content of the model's files: one that changes on disk is read again.
@lru_cache(maxsize=1)
def _load(
    source: ModelSource, device: torch.device, dtype: torch.dtype, max_length: int | None
) -> Backbone:
    body = load_body(source, dtype).eval().to(device)
    encoder = text_encoder(
        load_tokenizer(source), causal=source.causal, max_length=max_length or source.max_length
    )
    return Backbone(source, body, encoder, device)


def load_body(source: ModelSource, dtype: torch.dtype, quantize: Quantize | None = None) -> Any:
    """The transformers model of a source, without any head, in training mode off and unmoved.

    Args:
        source: The model.
        dtype: Of its weights.
        quantize: ``4bit`` lets bitsandbytes keep the linear layers in 4 bits, which moves them to
            its own device. The caller has made sure that the package is installed; this path has
            never run on the machines that the tests run on, which lack it.
    """
    from transformers import AutoModel

    options = {} if quantize is None else {"quantization_config": _four_bits()}
    body, missing = _read_weights(AutoModel, source, dtype, **options)
    # BERT's pooler is trained for another task, is often absent, and nothing here reads it.
    if getattr(body, "pooler", None) is not None:
        body.pooler = None
    _refuse_random(source, body, (key for key in missing if not key.startswith("pooler.")))
    return body


def load_language_model(source: ModelSource, dtype: torch.dtype) -> Any:
    """The causal language model of a source, head over the vocabulary included, unmoved.

    Raises:
        ArtifactError: It is an encoder, or its weights cannot be loaded or lack parts, such as the
            head of a model that was saved without it.
    """
    from transformers import AutoModelForCausalLM

    if not source.causal:
        raise ArtifactError(
            f"model {source.name} is an encoder ({source.model_type}), which writes no text",
            hint="--model builtin:tiny, or any other causal language model",
        )
    model, missing = _read_weights(AutoModelForCausalLM, source, dtype)
    _refuse_random(source, model, missing)
    return model.eval()


def _four_bits() -> Any:
    """NF4 with double quantisation and products in bfloat16 (Dettmers et al. 2023)."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_use_double_quant=True,
    )


def _read_weights(
    kind: Any, source: ModelSource, dtype: torch.dtype, **options: Any
) -> tuple[Any, Sequence[str]]:
    """A model of one of transformers' Auto classes, and the weights that its files lack."""
    with quiet():
        try:
            model, report = kind.from_pretrained(
                source.path,
                dtype=dtype,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                **options,
            )
        except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
            raise ArtifactError(f"model {source.name} cannot be loaded: {error}") from error
    return model, report["missing_keys"]


def _refuse_random(source: ModelSource, model: Any, missing: Iterable[str]) -> None:
    lacking = sorted(missing)
    if lacking:
        raise ArtifactError(
            f"model {source.name}: its weights lack parts of {type(model).__name__}, which would"
            " be random",
            problems=lacking,
        )


def load_tokenizer(source: ModelSource) -> Any:
    """The fast tokenizer of a source, with a padding token.

    Raises:
        ArtifactError: There is none, or it is not a fast one.
    """
    from transformers import AutoTokenizer

    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                source.path, local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise ArtifactError(
                f"model {source.name} has no tokenizer that can be loaded: {error}"
            ) from error
    if not tokenizer.is_fast:
        raise ArtifactError(f"model {source.name} has no fast tokenizer (tokenizer.json)")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    # Batches are padded here, on the right; a saved tokenizer may forget its own side.
    tokenizer.padding_side = "right"
    # Texts are cut by `TextEncoder`; the tokenizer's own limit would only print a warning.
    tokenizer.model_max_length = sys.maxsize
    return tokenizer


def pad_batch(ids: Sequence[Ids]) -> Batch:
    """Token ids of n texts as (n, L) tokens and mask, padded on the right.

    What stands under the mask's zeros is never read; it is 0, a valid token of every model.
    """
    length = max(len(row) for row in ids)
    tokens = np.zeros((len(ids), max(length, 1)), dtype=np.int64)
    mask = np.zeros_like(tokens)
    for row, values in enumerate(ids):
        tokens[row, : len(values)] = values
        mask[row, : len(values)] = 1
    return torch.from_numpy(tokens), torch.from_numpy(mask)


def align(tokens: Tensor, mask: Tensor) -> Batch:
    """Moves the real tokens of every row to its front, in their order.

    Positions are then 0, 1, ... for real tokens in every architecture, so that neither the
    padding side nor how a model derives positions (from the mask, from the padding token or from
    the column) can change a score.

    Args:
        tokens: (n, L) ids padded anywhere.
        mask: (n, L), 1 on real tokens.
    """
    order = torch.argsort(mask, dim=1, descending=True, stable=True)
    return tokens.gather(1, order), mask.gather(1, order)


def last_real(mask: Tensor) -> Tensor:
    """(n,) the column of each row's last real token: the largest position with mask 1."""
    columns = torch.arange(mask.shape[1], device=mask.device)
    return (columns * mask).argmax(dim=1)


def pool(states: Tensor, mask: Tensor, pooling: Pooling, normalize: bool) -> Tensor:
    """One vector per row of token states.

    Args:
        states: (n, L, d) states, of rows whose real tokens come first.
        mask: (n, L), 1 on real tokens.
        pooling: ``last`` real token, ``mean`` or ``max`` of the real tokens, ``cls`` the first.
        normalize: Whether to scale to Euclidean length 1.

    Returns:
        (n, d). A row without any real token pools to its padding under ``last`` and ``cls``, and
        to 0 under ``mean``.
    """
    real = mask.unsqueeze(-1)
    if pooling == "last":
        vectors = states[torch.arange(len(states), device=states.device), last_real(mask)]
    elif pooling == "cls":
        vectors = states[:, 0]
    elif pooling == "max":
        vectors = states.masked_fill(real == 0, float("-inf")).amax(dim=1)
    else:
        vectors = (states * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)
    return torch.nn.functional.normalize(vectors, dim=1) if normalize else vectors
