"""log pi_ref(y | x), once per distinct (prompt, response), whoever judged it.

The reference knows no user: it sees neither soft tokens nor what users say of themselves, as
printed in Li et al. 2024 (the published code leaves the words in). So its log-probabilities are
shared by users, epochs, both branches of the loss and, through the cache, by runs.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from plt.train.features.frozen import Features, find_or_encode, kept_vectors
from plt.train.method import Compute, IntArray, Texts
from plt.train.models.log_probs import (
    answer_batch,
    encode_answers,
    length_batches,
    response_log_probs,
)
from plt.train.models.source import ModelSource
from plt.train.models.text_encoder import RENDERING_VERSION, TextEncoder
from plt.train.runtime.devices import resolve_device, resolve_dtype
from plt.train.runtime.processes import mine, summed

Borrowed: TypeAlias = Callable[[], AbstractContextManager[Any]]
"""Gives the reference model for the time of a `with` block."""


def reference_log_probs(
    texts: Texts, source: ModelSource, encoder: TextEncoder, borrowed: Borrowed, compute: Compute
) -> Features:
    """Log pi_ref of every text, found in the cache or computed in batches of like length.

    Args:
        texts: n texts.
        source: The reference model; its fingerprint names the cache's entries.
        encoder: How its texts are written.
        borrowed: Gives the model, which is loaded only when a text is missing.
        compute: Device, dtype, batch size, progress, and the cache (None keeps nothing).

    Returns:
        Log-probabilities (n, 1), and how many texts were computed and found.
    """

    def load() -> tuple[int, Callable[[IntArray], NDArray[np.float32]]]:
        return 1, lambda rows: _window(texts, rows, encoder, borrowed, compute)

    facts = {
        "rendering": RENDERING_VERSION,
        "dtype": compute.dtype,
        "max_length": encoder.max_length,
    }
    store = kept_vectors("reference", source, facts, compute)
    return find_or_encode(texts, True, store, load, compute, "reference log-probs")


def _window(
    texts: Texts, rows: IntArray, encoder: TextEncoder, borrowed: Borrowed, compute: Compute
) -> NDArray[np.float32]:
    """Log-probabilities (len(rows), 1); several processes share the batches."""
    answers = encode_answers(
        encoder, [texts.prompts[row] for row in rows], [texts.responses[row] for row in rows]
    )
    found = np.zeros((len(rows), 1), dtype=np.float32)
    sizes = [len(answer) for answer in answers]
    device, dtype = resolve_device(compute.device), resolve_dtype(compute.dtype)
    everything = np.arange(len(rows), dtype=np.int64)
    with (
        borrowed() as model,
        torch.no_grad(),
        torch.autocast(device.type, dtype, enabled=dtype != torch.float32),
    ):
        model.to(device)
        for number, places in enumerate(length_batches(sizes, everything, compute.batch_size)):
            if not mine(number):
                continue
            batch = answer_batch([answers[i] for i in places]).to(device)
            nothing = torch.zeros(len(places), 0, 1, device=device)
            values = response_log_probs(model, batch, nothing, 0)
            found[places, 0] = values.float().cpu().numpy()
    return summed(found, compute.device)
