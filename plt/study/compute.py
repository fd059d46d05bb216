"""How a study computes: device, dtype, batch size and cache, checked before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plt.train.method import Compute, Progress


def compute_options(device: str, dtype: str, batch_size: int, progress: Progress) -> Compute:
    """How to compute, as it was typed.

    Raises:
        UsageError: There is no such device here, or no such dtype; nothing was written yet.
    """
    from plt.data.cache import cache_dir
    from plt.train.method import Compute

    if device not in ("auto", "cpu") or dtype != "float32":
        from plt.train.runtime.devices import resolve_device, resolve_dtype

        resolve_device(device)
        resolve_dtype(dtype)
    return Compute(device, dtype, batch_size, cache_dir(), progress)
