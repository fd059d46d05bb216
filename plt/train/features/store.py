"""Vectors on disk by the content of what they stand for; any run finds any other run's work.

A folder of safetensors files, each written once under the hash of its content and never changed.
Files appear by an atomic rename, so that a kill loses at most what was not flushed and two
processes cannot harm each other: at worst both keep the same vector.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from plt.data.cache import CACHE_ELSEWHERE
from plt.data.tables.files import write_bytes
from plt.errors import ArtifactError

KEY_BYTES = 16
MAX_FLOAT32_DIM = 1024
MADE_BY = "made_by"
UNKNOWN = "not known: kept by an earlier version"

Vectors: TypeAlias = NDArray[np.float32 | np.float16]


def content_key(content: str) -> bytes:
    """The name of a content: 16 bytes of BLAKE2b."""
    return hashlib.blake2b(content.encode(), digest_size=KEY_BYTES).digest()


def stored(vectors: NDArray[np.float32]) -> Vectors:
    """Vectors in the precision that is kept: fp32 up to d = 1,024, fp16 above."""
    return vectors if vectors.shape[1] <= MAX_FLOAT32_DIM else vectors.astype(np.float16)


class FeatureStore:
    """The vectors of one model, read in one way.

    Args:
        folder: Its files; need not exist yet.

    Attributes:
        made_by: The processors that made what was found and added.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made_by: set[str] = set()

    def find(self, keys: Sequence[bytes]) -> tuple[NDArray[np.int64], Vectors | None]:
        """Looks keys up.

        Args:
            keys: n distinct keys.

        Returns:
            Which of them are kept, as k increasing indices; and their (k, d) vectors, None when
            k is 0.

        Raises:
            ArtifactError: A file is damaged.
        """
        wanted = {key: position for position, key in enumerate(keys)}
        places: list[NDArray[np.int64]] = []
        parts: list[Vectors] = []
        for path in sorted(self.folder.glob("*.safetensors")):
            if not wanted:
                break
            rows, vectors = self._take(path, wanted)
            if len(rows):
                places.append(rows)
                parts.append(vectors)
        if not places:
            return np.zeros(0, dtype=np.int64), None
        found = np.concatenate(places)
        order = np.argsort(found)
        return found[order], np.concatenate(parts)[order]

    def add(self, keys: Sequence[bytes], vectors: Vectors, made_by: str) -> None:
        """Keeps (n, d) vectors under n keys, and the processor that made them.

        Raises:
            ArtifactError: The folder cannot be written.
        """
        names = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), KEY_BYTES)
        arrays = {"keys": names, "vectors": np.ascontiguousarray(vectors)}
        blob = save(arrays, metadata={MADE_BY: made_by})
        self.made_by.add(made_by)
        name = hashlib.blake2b(blob, digest_size=16).hexdigest()
        write_bytes(self.folder / f"{name}.safetensors", blob, CACHE_ELSEWHERE)

    def _take(self, path: Path, wanted: dict[bytes, int]) -> tuple[NDArray[np.int64], Vectors]:
        """Takes what a file holds of `wanted` out of it."""
        try:
            with safe_open(path, framework="numpy") as file:
                blob = file.get_tensor("keys").tobytes()
                names = [blob[i : i + KEY_BYTES] for i in range(0, len(blob), KEY_BYTES)]
                hits = [(row, wanted.pop(name)) for row, name in enumerate(names) if name in wanted]
                rows, places = np.array(hits, dtype=np.int64).reshape(-1, 2).T
                vectors: Any = file.get_tensor("vectors")[rows] if hits else None
                if hits:
                    self.made_by.add((file.metadata() or {}).get(MADE_BY, UNKNOWN))
        except (SafetensorError, OSError) as error:
            raise ArtifactError(
                f"{path} in the feature cache is damaged: {error}", hint=f"rm {path}"
            ) from error
        return places, vectors
