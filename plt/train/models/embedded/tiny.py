"""`builtin:tiny` and `builtin:tiny-reward`: small Llama-style models with a byte-level tokenizer.

They have random weights from a fixed seed and have read nothing. They exist so that everything that
trains or scores with a causal model runs in seconds, offline, the same way as with a large one.
`builtin:tiny` is a language model; `builtin:tiny-reward` has the same body and a random scalar
head, so it stands for a public reward model, of an arbitrary taste.
"""

from pathlib import Path
from typing import Any

from plt.train.method import Progress, silent
from plt.train.models.embedded.kept import made_once

SPECIAL_TOKENS = ("<|pad|>", "<|bos|>", "<|im_start|>", "<|im_end|>")
CHAT_TEMPLATE = (
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)
SEED = 20_240_229
RECIPE_VERSION = 1  # to be raised with any change below that CONFIG does not show
CONFIG: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
}
RECIPE = [RECIPE_VERSION, CONFIG, SEED, SPECIAL_TOKENS, CHAT_TEMPLATE]


def tiny_model(cache: Path, progress: Progress = silent) -> Path:
    """The folder of `builtin:tiny` under `cache`, written when it is not there yet.

    Raises:
        ArtifactError: The cache cannot be written.
    """
    del progress  # it takes no time
    return made_once("tiny", RECIPE, cache, _write_language_model)


def tiny_reward_model(cache: Path, progress: Progress = silent) -> Path:
    """As `tiny_model`, the folder of `builtin:tiny-reward`."""
    del progress
    return made_once("tiny-reward", RECIPE, cache, _write_reward_model)


def _write_language_model(folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = _tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = AutoModelForCausalLM.from_config(_config(tokenizer), dtype=torch.float32)
    _save(model, tokenizer, folder)


def _write_reward_model(folder: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    tokenizer = _tokenizer()
    config = _config(tokenizer)
    config.num_labels = 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
        # States after the last norm have length sqrt(d): rewards then spread by a few log-odds.
        torch.nn.init.normal_(model.score.weight)
    _save(model, tokenizer, folder)


def _config(tokenizer: Any) -> Any:
    from transformers import AutoConfig

    return AutoConfig.for_model(
        "llama",
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **CONFIG,
    )


def _save(model: Any, tokenizer: Any, folder: Path) -> None:
    from plt.train.runtime.devices import quiet

    with quiet():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _tokenizer() -> Any:
    from tokenizers import models, pre_tokenizers

    symbols = [*SPECIAL_TOKENS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary = {symbol: index for index, symbol in enumerate(symbols)}
    tokenizer = byte_level(models.BPE(vocab=vocabulary, merges=[]))
    return chat_tokenizer(tokenizer, CONFIG["max_position_embeddings"])


def byte_level(pieces: Any) -> Any:
    """A tokenizer of `tokenizers` over bytes, so that every text has a spelling and gets it back.

    Args:
        pieces: Its model, `tokenizers.models.BPE`.
    """
    from tokenizers import Tokenizer, decoders, pre_tokenizers

    tokenizer = Tokenizer(pieces)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def chat_tokenizer(tokenizer: Any, positions: int) -> Any:
    """A tokenizer with `SPECIAL_TOKENS` as transformers knows it, with `CHAT_TEMPLATE`.

    Args:
        tokenizer: As `byte_level` makes it.
        positions: Tokens of a text at most.
    """
    from transformers import PreTrainedTokenizerFast

    pad, bos, start, end = SPECIAL_TOKENS
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=pad,
        bos_token=bos,
        eos_token=end,
        additional_special_tokens=[start],
        chat_template=CHAT_TEMPLATE,
        model_max_length=positions,
        clean_up_tokenization_spaces=False,
    )
