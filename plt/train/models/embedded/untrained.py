"""A small causal language model for texts of a narrow world: own tokenizer, random weights.

`builtin:tiny` spells every byte. On the simulators' texts a tokenizer of their own words makes
texts five times shorter, and a model of 130,000 weights then learns to write like them within a
minute on a CPU. `builtin:small` is one that has learnt `synthetic:length`; for texts of another
world make one here, train it with the method `sft` (``learn=text``), and give that run to the
policies as ``--model``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plt.data.tables.preferences import Preferences
from plt.errors import UsageError
from plt.train.judgements import distinct_texts, training_view
from plt.train.models.embedded.tiny import SPECIAL_TOKENS, byte_level, chat_tokenizer
from plt.train.runtime.seeds import training_seed


@dataclass(frozen=True)
class SmallModel:
    """Sizes of a Llama-style model with tied embeddings.

    Attributes:
        vocabulary: Tokens at most; fewer where the texts have fewer pieces.
        hidden_size: Width d.
        layers: Blocks.
        heads: Attention heads; they divide the width.
        positions: Tokens of a text at most.
    """

    vocabulary: int = 1024
    hidden_size: int = 64
    layers: int = 2
    heads: int = 4
    positions: int = 512

    def __post_init__(self) -> None:
        if self.hidden_size % (2 * self.heads):
            raise UsageError(
                f"hidden_size is {self.hidden_size}, which is no even number a head of"
                f" {self.heads}",
                hint="SmallModel(hidden_size=64, heads=4)",
            )


def make_small_model(
    prefs: Preferences, folder: Path, sizes: SmallModel | None = None, seed: int = 0
) -> Path:
    """Writes a model with random weights and a tokenizer of the training rows' texts.

    Args:
        prefs: A split table; only texts of training and validation rows are read.
        folder: Where; must not exist yet.
        sizes: Of the model; None is the default.
        seed: Of the weights.

    Returns:
        `folder`, which is a ``--model``.

    Raises:
        UsageError: The folder holds something already.
        DataError: The table has no split.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from plt.train.runtime.devices import quiet

    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} holds files already", hint="choose another folder")
    sizes = sizes or SmallModel()
    texts, _, _ = distinct_texts(training_view(prefs).pairs.sort("pair_id"))
    messages = dict.fromkeys(turn["content"] for prompt in texts.prompts for turn in prompt)
    tokenizer = own_tokenizer([*messages, *dict.fromkeys(texts.responses)], sizes)
    config = AutoConfig.for_model(
        "llama",
        vocab_size=len(tokenizer),
        hidden_size=sizes.hidden_size,
        intermediate_size=2 * sizes.hidden_size,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.heads,
        max_position_embeddings=sizes.positions,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(training_seed(seed))
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def own_tokenizer(texts: Iterable[str], sizes: SmallModel) -> Any:
    """A byte-level BPE tokenizer of the texts, with the chat template of `builtin:tiny`."""
    from tokenizers import models, pre_tokenizers, trainers

    tokenizer = byte_level(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=sizes.vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return chat_tokenizer(tokenizer, sizes.positions)
