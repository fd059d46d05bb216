"""The flags that mean the same everywhere, declared once."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from plt.cli.shell.config import apply_config
from plt.settings import MAX_SEED

Out: TypeAlias = Annotated[
    Path | None,
    typer.Option("-o", "--out", help="Where to write; by default stdout when it is a pipe."),
]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one documented JSON object and nothing else.")
]
Seed: TypeAlias = Annotated[
    int,
    typer.Option(
        "--seed", min=0, max=MAX_SEED, envvar="PLT_SEED", help="Seed of everything random."
    ),
]
Quiet: TypeAlias = Annotated[
    bool, typer.Option("-q", "--quiet", envvar="PLT_QUIET", help="Say nothing on stderr.")
]
Force: TypeAlias = Annotated[
    bool, typer.Option("--force", help="Do it again even if it is done, replacing what is there.")
]
NoClobber: TypeAlias = Annotated[
    bool, typer.Option("--no-clobber", help="Replace no file that is there, whoever wrote it.")
]
Parents: TypeAlias = Annotated[
    bool, typer.Option("--parents", help="Make the folder to write in if it is not there.")
]
Config: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        is_eager=True,
        callback=apply_config,
        envvar="PLT_CONFIG",
        help="A TOML file with one table a command; flags and PLT_* stand above it.",
    ),
]
Device: TypeAlias = Annotated[
    str, typer.Option("--device", envvar="PLT_DEVICE", help="auto, cpu, cuda, cuda:1, mps.")
]
Dtype: TypeAlias = Annotated[
    str, typer.Option("--dtype", envvar="PLT_DTYPE", help="Of the backbone: float32, bfloat16.")
]
BatchSize: TypeAlias = Annotated[
    int, typer.Option("--batch-size", min=1, envvar="PLT_BATCH_SIZE", help="Texts a forward pass.")
]
MaxLength: TypeAlias = Annotated[
    int | None,
    typer.Option("--max-length", min=8, help="Tokens a text; by default what the model takes."),
]
Settings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A knob of the method; may be repeated."),
]
Runs: TypeAlias = Annotated[
    Path, typer.Option("--runs", envvar="PLT_RUNS", help="Folder that runs are made in.")
]
Bench: TypeAlias = Annotated[
    str,
    typer.Option("--bench", help="rewardbench, rewardbench2, rm-bench, a table or raw file."),
]
ScoredUsers: TypeAlias = Annotated[
    str, typer.Option("--users", help="How many users are scored, or all.")
]
Compat: TypeAlias = Annotated[
    str,
    typer.Option("--compat", help="official, or s0: RewardBench as Dong et al. 2025 read it."),
]
