"""Folders of models that are made once and kept in the cache."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from plt.data.cache import CACHE_ELSEWHERE
from plt.data.tables.files import cannot_write


def kept_folder(kind: str, recipe: Any, cache: Path) -> Path:
    """Where a model of that recipe is kept.

    Args:
        kind: Its name behind ``builtin:``.
        recipe: Everything that decides the files, as JSON holds it: another recipe, another folder.
        cache: The cache folder.
    """
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:12]
    return cache / "models" / f"builtin-{kind}-{digest}"


def made_once(kind: str, recipe: Any, cache: Path, write: Callable[[Path], None]) -> Path:
    """The folder of a model; two processes may ask at once: the first rename wins.

    Args:
        kind: As `kept_folder`.
        recipe: As `kept_folder`.
        cache: As `kept_folder`.
        write: Fills an empty folder.

    Raises:
        ArtifactError: The cache cannot be written.
    """
    target = kept_folder(kind, recipe, cache)
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    except OSError as error:
        raise cannot_write(target, error, CACHE_ELSEWHERE) from error
    try:
        write(temporary)
        os.rename(temporary, target)
    except (OSError, SafetensorError) as error:
        if not target.is_dir():
            raise cannot_write(target, error, CACHE_ELSEWHERE) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target
