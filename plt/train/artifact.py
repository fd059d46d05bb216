"""A fitted method on disk: arrays as safetensors, everything else as JSON; never a pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from plt.data.tables.files import atomic_path, write_text
from plt.errors import ArtifactError

ARRAYS = "model.safetensors"
RECORD = "model.json"
VERSION = 1


def save_artifact(
    folder: Path, method: str, arrays: Mapping[str, NDArray[Any]], record: Mapping[str, Any]
) -> None:
    """Writes a fitted method.

    Args:
        folder: Where; the JSON is written last, so half an artifact is never taken for a whole.
        method: The registry name, checked on reading.
        arrays: Named arrays.
        record: What JSON can hold: the config, user ids, the seed.
    """
    with atomic_path(folder / ARRAYS) as temporary:
        temporary.write_bytes(save({name: np.ascontiguousarray(v) for name, v in arrays.items()}))
    document = {"method": method, "version": VERSION, **record}
    write_text(folder / RECORD, json.dumps(document, indent=1, sort_keys=True))


def load_artifact(folder: Path, method: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The inverse of `save_artifact`.

    Raises:
        ArtifactError: Nothing is there, it is damaged, or it is another method's.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        arrays = load((folder / ARRAYS).read_bytes())
    except (OSError, ValueError, SafetensorError) as error:
        raise ArtifactError(
            f"{folder} holds no readable model: {error}", hint="plt verify RUN"
        ) from error
    if not isinstance(record, dict) or record.get("method") != method:
        found = record.get("method") if isinstance(record, dict) else None
        raise ArtifactError(f"{folder} holds a model of '{found}', not of '{method}'")
    if record.get("version") != VERSION:
        raise ArtifactError(
            f"{folder} was written in format {record.get('version')}; this plt reads {VERSION}"
        )
    return arrays, record
