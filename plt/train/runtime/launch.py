"""`--launch CONFIG.yaml`: the same line again, in the processes of an Accelerate configuration."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plt.errors import UsageError

FLAG = "--launch"
VARIABLES = ("PLT_LAUNCH", "PLT_TRAIN_LAUNCH")
ON_CPU = "MULTI_CPU"
HINT = (
    "on GPUs distributed_type: MULTI_GPU, FSDP or DEEPSPEED; on CPUs distributed_type: MULTI_CPU,"
    " use_cpu: true; both with num_processes: N"
)


def read_launch_config(path: Path, accelerators: int) -> Any:
    """An Accelerate configuration that starts as many processes as it says.

    Accelerate itself starts one process, without a word, for several of the configurations that
    are refused here, and trains by plain data parallelism where FSDP is asked for on a CPU.

    Args:
        path: As ``accelerate config`` writes it, YAML or JSON.
        accelerators: How many this machine has.

    Raises:
        UsageError: It cannot be read, or would start one process or another kind of training.
    """
    from accelerate.commands.config.config_args import load_config_from_file

    try:
        config: Any = load_config_from_file(str(path))
    except Exception as error:  # YAML, JSON, missing keys and files: each has its own
        raise UsageError(
            f"--launch cannot read {path}: {error}", hint="accelerate config"
        ) from error
    kind = str(getattr(config.distributed_type, "value", config.distributed_type))
    count = config.num_processes or 0
    on_cpu = bool(config.use_cpu) or not accelerators
    problems = []
    if count < 2:
        problems.append(f"num_processes is {count}; one process needs no --launch")
    if kind == "NO":
        problems.append("distributed_type is NO: one process starts, whatever num_processes is")
    if on_cpu and kind not in ("NO", ON_CPU):
        why = "use_cpu is true" if config.use_cpu else "this machine has no accelerator"
        problems.append(f"distributed_type is {kind}, but {why}: it would be left out silently")
    if kind == ON_CPU and not on_cpu:
        problems.append("distributed_type is MULTI_CPU, but use_cpu is not true")
    if on_cpu and (getattr(config, "num_machines", 1) or 1) > 1:
        problems.append("several machines without accelerators: start plt by torchrun on each")
    if problems:
        raise UsageError(f"{path} does not start what it says", problems=problems, hint=HINT)
    return config


def launch(path: Path, arguments: Sequence[str]) -> int:
    """Runs ``plt ARGUMENTS`` in the processes that a configuration asks for.

    Returns:
        0, or the exit code of the first process that failed.

    Raises:
        UsageError: As `read_launch_config`.
    """
    import torch
    from accelerate.utils import is_cuda_available, is_mps_available, is_xpu_available

    found = is_cuda_available() or is_mps_available() or is_xpu_available()
    config = read_launch_config(path, torch.accelerator.device_count() if found else 0)
    line = ["-m", "plt", *without_flag(arguments)]
    for variable in VARIABLES:
        os.environ.pop(variable, None)
    if str(getattr(config.distributed_type, "value", config.distributed_type)) == ON_CPU:
        return _on_cpu(config.num_processes, line)
    from accelerate.commands.launch import launch_command, launch_command_parser

    launch_command(launch_command_parser().parse_args(["--config_file", str(path), *line]))
    return 0


def without_flag(arguments: Sequence[str]) -> list[str]:
    """What was typed, less ``--launch`` and its value."""
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument == FLAG:
            skip = True
        elif not argument.startswith(f"{FLAG}="):
            kept.append(argument)
    return kept


def _on_cpu(count: int, line: Sequence[str]) -> int:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ["ACCELERATE_USE_CPU"] = "true"
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-u", *line)
    except ChildFailedError as error:
        return max(1, error.get_first_failure()[1].exitcode)
    return 0
