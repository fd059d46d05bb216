"""Frozen embeddings, one per distinct text, kept for every later run.

Imports no torch until a text is really encoded: with a warm cache a fit on features never loads
the model.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plt.data.cache import CACHE_ELSEWHERE
from plt.data.tables.files import write_text
from plt.train.features.store import FeatureStore, Vectors, content_key, stored
from plt.train.method import Compute, Texts
from plt.train.models.source import ModelSource, resolve_model
from plt.train.models.text_encoder import (
    RENDERING_VERSION,
    WINDOW_TEXTS,
    read_content,
    window_batches,
)
from plt.train.runtime.processes import agreed, leads, mine, summed

if TYPE_CHECKING:
    from plt.train.models.backbone import Backbone

# A flush falls on a boundary of windows, so that a resumed run forms the same batches as an
# uninterrupted one and gives the same bits.
FLUSH_SECONDS = 20.0

EncodeWindow: TypeAlias = Callable[[NDArray[np.int64]], NDArray[np.float32]]


@dataclass(frozen=True)
class Features:
    """Vectors of texts and what they cost.

    Attributes:
        vectors: (n, d), row i of text i.
        n_encoded: Distinct contents that went through the model now.
        n_found: Distinct contents whose vector was in the cache.
    """

    vectors: NDArray[np.float32]
    n_encoded: int
    n_found: int


def features(
    texts: Texts, model: str, compute: Compute, *, max_length: int | None = None
) -> NDArray[np.float32]:
    """Frozen embeddings of texts; see `encode_features`.

    Returns:
        (n, d) vectors, row i of text i.
    """
    return encode_features(texts, model, compute, max_length=max_length).vectors


def encode_features(
    texts: Texts, model: str, compute: Compute, *, max_length: int | None = None
) -> Features:
    """Embeds every distinct text once, and finds again what any earlier run embedded.

    The vector is the last real token's state for causal models, a sentence encoder's own pooling,
    and the mean of the token states for other encoders. What of a text is read, and how it is cut,
    is `plt.train.models.text_encoder.text_encoder`'s.

    Args:
        texts: n texts.
        model: As `plt.train.models.source.resolve_model`.
        compute: Device, dtype, batch size, progress, and the cache (None keeps nothing).
        max_length: Tokens at most; None is the model's own, at most 1,024.

    Returns:
        The vectors and how many were encoded and found. Vectors longer than 1,024 have fp16
        precision, found or not.

    Raises:
        ArtifactError: The model or the cache cannot be read, or the cache not written.
        FailedError: The model gave states that are no numbers.
    """
    source = resolve_model(model)

    def loaded() -> tuple[int, EncodeWindow]:
        from plt.train.models.backbone import load_backbone

        backbone = load_backbone(model, compute.device, compute.dtype, max_length)
        return backbone.dim, lambda rows: _encode_window(texts, rows, backbone, compute)

    facts = {
        "rendering": RENDERING_VERSION,
        "pooling": source.pooling,
        "normalize": source.normalize,
        "dtype": compute.dtype,
        "max_length": max_length or source.max_length,
    }
    store = kept_vectors("features", source, facts, compute)
    return find_or_encode(texts, source.causal, store, loaded, compute, "encoding texts")


def find_or_encode(
    texts: Texts,
    causal: bool,
    store: FeatureStore | None,
    load: Callable[[], tuple[int, EncodeWindow]],
    compute: Compute,
    what: str,
) -> Features:
    """A vector of every distinct content, from the store or from a model.

    Args:
        texts: n texts.
        causal: Whether the model reads the whole conversation.
        store: Where vectors are kept; None keeps nothing.
        load: Loads the model, which happens only when a content is missing; returns the length d
            of a vector, and a function from rows of `texts` to their (k, d) vectors.
        compute: Device and progress; `made_by` is told who made the vectors.
        what: The work, in the words of a progress bar.
    """
    keys, sizes, inverse, firsts = _distinct(texts, causal)
    nothing: tuple[NDArray[np.int64], Vectors | None] = (np.zeros(0, dtype=np.int64), None)
    # One process reads the cache for all: another run may write to it at any moment.
    read = store.find(keys) if store is not None and leads() else nothing
    found, known = agreed(read, compute.device)
    missing = np.setdiff1d(np.arange(len(keys)), found)
    # Long texts first: memory that does not suffice is known at once. Ties go by content, so that
    # the order of the texts changes no batch.
    missing = np.array(sorted(missing, key=lambda i: (-sizes[i], keys[i])), dtype=np.int64)
    if store is not None:
        compute.made_by.update(store.made_by)
    if known is not None and not len(missing):
        return Features(known.astype(np.float32)[inverse], 0, len(found))
    from plt.train.runtime.devices import processor

    dim, encode = load()
    here = processor(compute.device)
    compute.made_by.add(here)
    vectors = np.empty((len(keys), dim), dtype=np.float32)
    if known is not None:
        vectors[found] = known
    names = [keys[i] for i in missing]
    start = 0
    for part in _windows(firsts[missing], encode, compute, what):
        stop = start + len(part)
        vectors[missing[start:stop]] = part
        if store is not None and leads():
            store.add(names[start:stop], part, here)
        start = stop
    return Features(vectors[inverse], len(missing), len(found))


def kept_vectors(
    kind: str, source: ModelSource, facts: Mapping[str, object], compute: Compute
) -> FeatureStore | None:
    """Where the vectors of one model, read in one way, are kept; None without a cache.

    Args:
        kind: The folder in the cache: what the vectors are.
        source: The model.
        facts: Everything else on which they depend.
        compute: Has the cache.
    """
    if compute.cache_dir is None:
        return None
    about = {"model": source.fingerprint, **facts}
    text = json.dumps(about, sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:32]
    folder = Path(compute.cache_dir) / kind / name
    if not (folder / "about.json").exists():
        said = json.dumps({**about, "name": source.name}, indent=2)
        write_text(folder / "about.json", said, CACHE_ELSEWHERE)
    return FeatureStore(folder)


def _distinct(
    texts: Texts, causal: bool
) -> tuple[list[bytes], list[int], NDArray[np.int64], NDArray[np.int64]]:
    """Keys and sizes of distinct contents, each text's content, and each content's first text."""
    order: dict[bytes, int] = {}
    sizes: list[int] = []
    inverse = np.empty(len(texts), dtype=np.int64)
    firsts: list[int] = []
    for row, (prompt, response) in enumerate(zip(texts.prompts, texts.responses, strict=True)):
        content = read_content(prompt, response, causal=causal)
        key = content_key(content)
        if key not in order:
            order[key] = len(order)
            sizes.append(len(content))
            firsts.append(row)
        inverse[row] = order[key]
    return list(order), sizes, inverse, np.array(firsts, dtype=np.int64)


def _windows(
    rows: NDArray[np.int64], encode: EncodeWindow, compute: Compute, what: str
) -> Iterator[Vectors]:
    """Vectors of `rows`, in their order, in parts that are worth writing to disk."""
    waiting: list[Vectors] = []
    flushed = time.monotonic()
    for start in range(0, len(rows), WINDOW_TEXTS):
        window = rows[start : start + WINDOW_TEXTS]
        waiting.append(stored(encode(window)))
        done = start + len(window)
        compute.progress(what, done, len(rows))
        if done == len(rows) or time.monotonic() - flushed > FLUSH_SECONDS:
            yield np.concatenate(waiting)
            waiting = []
            flushed = time.monotonic()


def _encode_window(
    texts: Texts, rows: NDArray[np.int64], backbone: "Backbone", compute: Compute
) -> NDArray[np.float32]:
    """Vectors of a window; several processes share its batches, which are those of one."""
    vectors = np.zeros((len(rows), backbone.dim), dtype=np.float32)
    batches = window_batches(backbone.encoder, texts, rows, compute.batch_size)
    for number, (places, ids) in enumerate(batches):
        if mine(number):
            vectors[places] = backbone.embed(ids)
    return summed(vectors, compute.device)
