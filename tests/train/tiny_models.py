"""Tiny models of any architecture, written to a folder as `save_pretrained` writes real ones."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast
from transformers import AutoModelForCausalLM as CausalLM

from plt.train.models.embedded.tiny import CHAT_TEMPLATE, _tokenizer

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
# Names that other families use for the same sizes.
SPECIAL: dict[str, dict[str, Any]] = {
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256},
    "gptj": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256, "rotary_dim": 4},
    "gpt_neo": {
        "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]],
        "window_size": 64,
    },
    "gpt_neox": {"num_key_value_heads": None},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "bloom": {"n_layer": 2, "n_head": 4},
    "gemma": {"head_dim": 8}, "gemma2": {"head_dim": 8}, "gemma3_text": {"head_dim": 8},
    "qwen3": {"head_dim": 8}, "ministral": {"head_dim": 8}, "seed_oss": {"head_dim": 8},
    "electra": {"embedding_size": 32},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "mpnet": {"num_key_value_heads": None},
}  # fmt: skip


def tiny_config(model_type: str, **own: Any) -> Any:
    """A configuration of `model_type` with 2 layers, d = 32 and the byte vocabulary."""
    tokenizer = _tokenizer()
    sizes = {**SMALL, **SPECIAL.get(model_type, {}), **own}
    sizes = {name: value for name, value in sizes.items() if value is not None}
    return AutoConfig.for_model(
        model_type,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **sizes,
    )


def tiny_body(model_type: str, seed: int = 0) -> Any:
    """A headless model of `model_type` with random weights, in evaluation mode."""
    torch.manual_seed(seed)
    return AutoModel.from_config(tiny_config(model_type), dtype=torch.float32).eval()


def language_model(model_type: str, seed: int = 0) -> Any:
    """A causal model of `model_type` whose random weights write many different texts."""
    torch.manual_seed(seed)
    model = CausalLM.from_config(tiny_config(model_type), dtype=torch.float32).eval()
    # Weights as small as they are drawn barely tell tokens apart.
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.mul_(6)
    return model


def tiny_tokenizer(chat_template: str | None = CHAT_TEMPLATE) -> PreTrainedTokenizerFast:
    """The byte-level tokenizer of `builtin:tiny`, with another or no chat template."""
    tokenizer: PreTrainedTokenizerFast = _tokenizer()
    tokenizer.chat_template = chat_template
    tokenizer.model_max_length = 10**9
    return tokenizer


def save_tiny(
    folder: Path, model_type: str = "llama", *, causal: bool = True, seed: int = 0, **options: Any
) -> Path:
    """Writes a tiny model and tokenizer; `options` go to `tiny_tokenizer`."""
    if causal:
        torch.manual_seed(seed)
        CausalLM.from_config(tiny_config(model_type), dtype=torch.float32).save_pretrained(folder)
    else:
        tiny_body(model_type, seed).save_pretrained(folder)
    tiny_tokenizer(**options).save_pretrained(folder)
    return folder
