"""Where a model comes from: `builtin:*`, a folder or a hub id, checked before anything is loaded.

Reads names, JSON and bytes only (no torch), so that a run whose features are all cached never
loads a model. `plt.train.models.backbone` loads what this module has found to be sound.
"""

import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from plt.data.cache import cache_dir
from plt.data.run import MANIFEST, MODEL, load_run
from plt.errors import ArtifactError
from plt.train.method import Progress, silent
from plt.train.models.embedded.cards import MODELS, PREFIX, make_embedded
from plt.train.models.hub import FILES, hub_model, refuse_pickles

Pooling = Literal["last", "mean", "cls", "max"]

DEFAULT_MAX_LENGTH = 1024
HUB_ID = re.compile(r"[\w][\w.-]*(/[\w][\w.-]*)?(@[\w.-]+)?")
LANGUAGE_MODEL = "language_model"
"""The folder in the model of a run that other runs can begin from."""


@dataclass(frozen=True)
class Architecture:
    """What is known of one `model_type`.

    Attributes:
        causal: Read left to right (the last token has seen everything), else an encoder.
        lora_targets: Names of the linear layers that LoRA adapts: attention and feed-forward.
    """

    causal: bool
    lora_targets: tuple[str, ...]


_GATED = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_FUSED_QKV = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")
_BERT = ("query", "key", "value", "dense")

ARCHITECTURES: Mapping[str, Architecture] = {
    **{
        name: Architecture(True, _GATED)
        for name in (
            "llama", "mistral", "ministral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text",
            "smollm3", "olmo", "olmo2", "olmo3", "granite", "cohere", "stablelm", "seed_oss",
        )
    },
    "phi": Architecture(True, ("q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2")),
    "phi3": Architecture(True, ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")),
    "gpt2": Architecture(True, ("c_attn", "c_proj", "c_fc")),
    "gpt_neo": Architecture(True, ("q_proj", "k_proj", "v_proj", "out_proj", "c_fc", "c_proj")),
    "gptj": Architecture(True, ("q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_out")),
    "opt": Architecture(True, ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")),
    **{name: Architecture(True, _FUSED_QKV) for name in ("gpt_neox", "bloom", "falcon")},
    **{
        name: Architecture(False, _BERT)
        for name in ("bert", "roberta", "xlm-roberta", "camembert", "electra")
    },
    "distilbert": Architecture(False, ("q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2")),
    "mpnet": Architecture(False, ("q", "k", "v", "o", "dense")),
    "deberta-v2": Architecture(False, ("query_proj", "key_proj", "value_proj", "dense")),
    "modernbert": Architecture(False, ("Wqkv", "Wo", "Wi")),
}  # fmt: skip


@dataclass(frozen=True)
class ModelSource:
    """A sound model folder, and how its text is read.

    Attributes:
        name: As the person wrote it.
        path: The folder that holds configuration, tokenizer and safetensors.
        fingerprint: SHA-256 over the content of those files: equal weights, equal name.
        revision: The commit, for a model of the hub.
        model_type: Of `config.json`.
        causal: Whether it is a decoder-only language model.
        pooling: How token states become one vector.
        normalize: Whether that vector is scaled to length 1.
        max_length: Tokens read of a text unless the person says otherwise.
        positions: Tokens that the model can read at all; None where its configuration says nothing.
    """

    name: str
    path: Path
    fingerprint: str
    revision: str | None
    model_type: str
    causal: bool
    pooling: Pooling
    normalize: bool
    max_length: int
    positions: int | None


def resolve_model(model: str, progress: Progress = silent) -> ModelSource:
    """Finds a model and refuses what plt cannot read, before any of it is loaded.

    Args:
        model: One of `embedded.cards.MODELS`, a folder, a finished run that wrote a language model
            (`sft`), or a hub id, which may end in ``@revision``. A hub id that is in the local
            Hugging Face cache is taken from there without asking the network.
        progress: Takes (what, done, total) where an embedded model must be made first.

    Raises:
        ArtifactError: No such model, or one that is offline, without weights, pickled, damaged, an
            adapter, an encoder-decoder, or that needs code from its repository.
    """
    path, revision = _locate(model, progress)
    config = _checked_config(model, path)
    _check_weights(model, path)
    causal = _is_causal(model, config)
    sentence = _sentence_modules(model, path)
    pooling, normalize = sentence or (("last" if causal else "mean"), False)
    return ModelSource(
        name=model,
        path=path,
        fingerprint=fingerprint(path),
        revision=revision,
        model_type=config["model_type"],
        causal=causal,
        pooling=pooling,
        normalize=normalize,
        max_length=_max_length(path, config),
        positions=_positions(config),
    )


def _locate(model: str, progress: Progress) -> tuple[Path, str | None]:
    if model in MODELS:
        return make_embedded(model, cache_dir(), progress), None
    if model.startswith(PREFIX):
        names = [name.removeprefix(PREFIX) for name in MODELS]
        near = difflib.get_close_matches(model.removeprefix(PREFIX), names, n=1)
        suggestion = f"; did you mean {PREFIX}{near[0]}?" if near else ""
        raise ArtifactError(
            f"there is no model {model}{suggestion}",
            problems=["embedded are " + ", ".join(MODELS)],
            hint="plt ls models",
        )
    folder = Path(model).expanduser()
    if (folder / MANIFEST).is_file():
        return _model_of_run(model, folder), None
    if folder.is_dir():
        return folder.resolve(), None
    if folder.exists():
        raise ArtifactError(f"model {model} is a file, not a model folder")
    if model.startswith(("/", "./", "../", "~")) or not HUB_ID.fullmatch(model):
        raise ArtifactError(f"model {model} does not exist", hint="plt ls models")
    return hub_model(model)


def _model_of_run(model: str, run: Path) -> Path:
    found = load_run(run).path / MODEL / LANGUAGE_MODEL
    if not found.is_dir():
        raise ArtifactError(
            f"{model} is a run, but none that wrote a whole language model to begin from",
            hint="plt train DATA --method sft",
        )
    return found.resolve()


def _checked_config(model: str, path: Path) -> dict[str, Any]:
    if (path / "adapter_config.json").exists() and not (path / "config.json").exists():
        raise ArtifactError(
            f"model {model} is an adapter without its base model",
            hint="merge it into its base with peft's merge_and_unload, then save_pretrained",
        )
    config: dict[str, Any] | None = _read_json(model, path, "config.json")
    if config is None:
        raise ArtifactError(f"model {model} has no config.json in {path}", hint="plt ls models")
    model_type = config.get("model_type")
    if "auto_map" in config and model_type not in ARCHITECTURES:
        raise ArtifactError(
            f"model {model} runs code from its own repository (trust_remote_code), which plt"
            " does not load",
            hint="choose an architecture that transformers has itself",
        )
    if not isinstance(model_type, str):
        raise ArtifactError(f"model {model}: config.json does not say its model_type")
    if config.get("is_encoder_decoder"):
        raise ArtifactError(
            f"model {model} is an encoder-decoder ({model_type}); plt reads encoders and"
            " decoder-only models"
        )
    return config


def _read_json(model: str, path: Path, name: str) -> Any:
    file = path / name
    if not file.exists():
        return None
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtifactError(f"model {model}: {file} is not JSON: {error}") from error


def _check_weights(model: str, path: Path) -> None:
    refuse_pickles(model, [file.name for file in path.iterdir()])
    index = _read_json(model, path, "model.safetensors.index.json")
    if index is None:
        return
    missing = sorted({n for n in index["weight_map"].values() if not (path / n).exists()})
    if missing:
        raise ArtifactError(
            f"model {model} is incomplete: {path} lacks weight files",
            problems=[f"{name} is missing" for name in missing],
        )


def _is_causal(model: str, config: Mapping[str, Any]) -> bool:
    known = ARCHITECTURES.get(config["model_type"])
    if known is not None:
        return known.causal
    names = " ".join(config.get("architectures") or ())
    if "CausalLM" in names or "LMHead" in names:
        return True
    if "MaskedLM" in names or "PreTraining" in names:
        return False
    raise ArtifactError(
        f"model {model}: cannot tell whether {config['model_type']} ({names or 'no architecture'})"
        " is an encoder or a decoder-only language model",
        problems=["known without being told: " + ", ".join(sorted(ARCHITECTURES))],
    )


def _sentence_modules(model: str, path: Path) -> tuple[Pooling, bool] | None:
    """Pooling and normalisation of a sentence-transformers folder, None for any other."""
    modules = _read_json(model, path, "modules.json")
    if modules is None:
        return None
    kinds = [module["type"].rpartition(".")[2] for module in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or kinds[2:] not in ([], ["Normalize"]):
        raise ArtifactError(
            f"model {model} is a sentence encoder with modules that plt does not compute:"
            f" {', '.join(kinds)}"
        )
    pooling = _read_json(model, path, f"{modules[1]['path']}/config.json") or {}
    return _pooling_mode(model, pooling), "Normalize" in kinds


def _pooling_mode(model: str, config: Mapping[str, Any]) -> Pooling:
    modes: dict[str, Pooling] = {
        "cls": "cls", "cls_token": "cls", "mean": "mean", "mean_tokens": "mean",
        "max": "max", "max_tokens": "max", "lasttoken": "last",
    }  # fmt: skip
    named = config.get("pooling_mode")
    flags = [key.removeprefix("pooling_mode_") for key, on in config.items() if on is True]
    asked = (
        [named] if isinstance(named, str) else [flag for flag in flags if flag != "include_prompt"]
    )
    if len(asked) != 1 or asked[0] not in modes:
        raise ArtifactError(
            f"model {model} pools its tokens in a way that plt does not compute: {asked}"
        )
    return modes[asked[0]]


def _max_length(path: Path, config: Mapping[str, Any]) -> int:
    sentence = _read_json(str(path), path, "sentence_bert_config.json") or {}
    if sentence.get("max_seq_length"):
        return int(sentence["max_seq_length"])
    return min(DEFAULT_MAX_LENGTH, _positions(config) or DEFAULT_MAX_LENGTH)


def _positions(config: Mapping[str, Any]) -> int | None:
    positions = config.get("max_position_embeddings") or config.get("n_positions")
    # Roberta-like models number their positions from 2.
    spare = 2 if config["model_type"] in ("roberta", "xlm-roberta", "camembert", "mpnet") else 0
    return int(positions) - spare if positions else None


def lora_targets(source: ModelSource) -> tuple[str, ...]:
    """The layers that LoRA adapts in this architecture.

    Raises:
        ArtifactError: The architecture is not listed; the person must name the layers.
    """
    known = ARCHITECTURES.get(source.model_type)
    if known is None:
        raise ArtifactError(
            f"model {source.name}: no LoRA layers are listed for {source.model_type}",
            hint="--set lora_targets=q_proj,v_proj (the layers' names), or lora_targets=all-linear",
        )
    return known.lora_targets


def fingerprint(path: Path) -> str:
    """SHA-256 over the names and contents of the files that decide what a model computes."""
    files = sorted({file for pattern in FILES for file in path.glob(pattern)})
    facts = [(str(file.relative_to(path)), file.stat()) for file in files]
    return _fingerprint(path, tuple((name, s.st_size, s.st_mtime_ns) for name, s in facts))


@lru_cache(maxsize=16)
def _fingerprint(path: Path, files: tuple[tuple[str, int, int], ...]) -> str:
    total = hashlib.sha256()
    for name, _, _ in files:
        with (path / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{name}\0{digest}\n".encode())
    return total.hexdigest()
