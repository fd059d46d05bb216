"""Devices and dtypes: what a name means on this machine, and libraries kept quiet."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

from plt.errors import UsageError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def resolve_device(device: str) -> torch.device:
    """``auto`` is CUDA, then Apple's MPS, then the CPU; anything else is taken as it is.

    Raises:
        UsageError: There is no such device here.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"no device {device!r} here: {reason}", hint="--device cpu") from error
    return place


def machine(device: str) -> dict[str, str | int]:
    """What decides how sums are rounded: the family of what computes, and its threads."""
    return {"processor": processor(device), "threads": torch.get_num_threads()}


def processor(device: str) -> str:
    """The family of what computes: within one, sums are rounded alike.

    Of a CPU its kind, its vendor where Linux says it, and the instructions that torch uses, as
    ``x86_64 AuthenticAMD AVX512``; of an accelerator its name.

    Raises:
        UsageError: As `resolve_device`.
    """
    place = resolve_device(device)
    if place.type == "cuda":
        return torch.cuda.get_device_name(place)
    if place.type != "cpu":
        return f"{platform.machine()} {place.type}"
    return " ".join(filter(None, (platform.machine(), _vendor(), _instructions())))


def _instructions() -> str:
    return str(torch.backends.cpu.get_cpu_capability())


@cache
def _vendor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":")[1].strip() for line in lines if line.startswith("vendor_id")), "")


def resolve_dtype(dtype: str) -> torch.dtype:
    """The torch dtype of a name.

    Raises:
        UsageError: Not one of `DTYPES`.
    """
    if dtype not in DTYPES:
        raise UsageError(
            f"no dtype {dtype!r}; there are {', '.join(DTYPES)}", hint="--dtype float32"
        )
    return DTYPES[dtype]


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps transformers' reports and progress bars from the person's terminal."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
