"""Several processes that do one job, as torchrun and `accelerate launch` start them.

Every process runs the same lines on the same data, takes its share where texts go through a
model, and holds the whole result afterwards: whatever follows is the same everywhere, so that no
process ever waits for a message that another does not send. Only the first one writes and speaks.
Alone, nothing here imports torch.
"""

import atexit
import os
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from plt.errors import PltError, UsageError

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")
Array = TypeVar("Array", bound="np.ndarray[Any, Any]")


def world_size() -> int:
    """How many processes work together; 1 when nothing launched several."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def leads() -> bool:
    """Whether this is the process that writes files and speaks."""
    return int(os.environ.get("RANK", "0")) == 0


def mine(number: int) -> bool:
    """Whether the share `number` of a job belongs to this process."""
    return number % world_size() == int(os.environ.get("RANK", "0"))


def summed(part: Array, device: str) -> Array:
    """The sum over processes of arrays of one shape.

    Args:
        part: This process's share, 0 wherever another process's stands: the sum is then exact.
        device: Where the job computes, as `Compute.device`; decides how processes talk.
    """
    if world_size() == 1:
        return part
    import torch
    import torch.distributed

    whole = torch.from_numpy(part).to(_joined(device))
    torch.distributed.all_reduce(whole)
    found: Any = whole.cpu().numpy()
    return found  # type: ignore[no-any-return]  # of the dtype and shape of `part`


def agreed(value: T, device: str) -> T:
    """The first process's value, for all: what was read from a disk that others write to."""
    if world_size() == 1:
        return value
    import torch.distributed

    _joined(device)
    box = [value]
    torch.distributed.broadcast_object_list(box)
    return box[0]


def first_decides(decide: Callable[[], T], device: str) -> T:
    """What the first process finds or does on the disk, for all; the others wait for it.

    Args:
        decide: Called in the first process only; what it returns can be pickled.
        device: As in `summed`.

    Raises:
        PltError: `decide` raised it; every process does, so that none is waited for.
    """
    if world_size() == 1:
        return decide()
    outcome: T | PltError | None = None
    if leads():
        try:
            outcome = decide()
        except PltError as error:
            outcome = error
    outcome = agreed(outcome, device)
    if isinstance(outcome, PltError):
        raise outcome
    return outcome  # type: ignore[return-value]  # None only where `decide` returned it


def gathered(part: T, device: str) -> list[T]:
    """Every process's `part`, in the order of the processes; parts can be pickled."""
    if world_size() == 1:
        return [part]
    import torch.distributed

    _joined(device)
    parts: list[Any] = [None] * world_size()
    torch.distributed.all_gather_object(parts, part)
    return parts


def refuse_several(command: str) -> None:
    """Raises `UsageError` where a launcher started several of what one process does alone."""
    if world_size() > 1:
        raise UsageError(
            f"plt {command} works in one process, and WORLD_SIZE says that there are"
            f" {world_size()}",
            hint=f"env -u WORLD_SIZE -u RANK plt {command} ...",
        )


def wait_for_all(device: str) -> None:
    """Returns when every process has come here."""
    if world_size() > 1:
        import torch.distributed

        _joined(device)
        torch.distributed.barrier()


def equal_share(total: int, what: str) -> int:
    """The share of each process of something that all must have alike.

    Raises:
        UsageError: It cannot be divided.
    """
    if total % world_size():
        raise UsageError(
            f"{total} {what} cannot be shared equally by {world_size()} processes",
            hint=f"--set pairs_per_step={world_size() * max(1, total // world_size())}",
        )
    return total // world_size()


@lru_cache(maxsize=1)
def _joined(device: str) -> Any:
    """The device for messages; the first call makes the group that trainers use as well.

    The group is left when the process ends: one that is still open while the interpreter is taken
    down aborts the process now and then, after all work is done.
    """
    from accelerate import PartialState

    from plt.train.runtime.devices import resolve_device

    place = PartialState(cpu=resolve_device(device).type == "cpu").device
    atexit.register(_leave)
    return place


def _leave() -> None:
    import torch.distributed

    # Without a barrier: after an error it would keep the process from telling its launcher.
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
