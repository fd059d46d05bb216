"""What a fine-tuned model leaves on disk: its weights, its checkpoints and whose they are."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plt.errors import ArtifactError
from plt.train.features.store import content_key
from plt.train.method import Texts, TrainContext
from plt.train.models.source import ModelSource, resolve_model
from plt.train.models.text_encoder import read_content


def trained_weights(model: Any) -> dict[str, Tensor]:
    """The weights that learn, by name, on the CPU."""
    return {
        name: weight.detach().cpu().contiguous()
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }


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


def same_source(record: Mapping[str, Any], path: Path) -> ModelSource:
    """The model that saved weights stand on, unchanged since.

    Args:
        record: What was saved beside them: `model`, as `lasting_name`, and its `fingerprint`.
        path: Where it was read, for the message.

    Raises:
        ArtifactError: The model is not there, or its weights or tokenizer have changed.
    """
    source = resolve_model(record["model"])
    if source.fingerprint != record["fingerprint"]:
        raise ArtifactError(
            f"{path} was trained from another {record['model']}: its weights or tokenizer have"
            " changed since",
            hint="restore the model, or train again",
        )
    return source


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
