"""`plt train`: fits reward models, scores them and measures them; each is a run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plt.cli.shell.options import (
    BatchSize,
    Config,
    Device,
    Dtype,
    Force,
    Json,
    MaxLength,
    Parents,
    Quiet,
    Runs,
    Seed,
    Settings,
)
from plt.cli.shell.streams import Result, progress_bar, say, typed

if TYPE_CHECKING:
    from plt.study.outcome import Outcome

DEFAULT_DATA = "[synthetic:attributes; synthetic:length for policies]"
DEFAULT_MODEL = "[builtin:minilm; builtin:small for policies]"


def command(
    data: Annotated[
        str | None,
        typer.Argument(metavar="[DATA]", help=f"Table, name or -. {DEFAULT_DATA}"),
    ] = None,
    method: Annotated[
        str, typer.Option("--method", help="Methods, with commas, or all: plt ls methods.")
    ] = "bradley-terry",
    model: Annotated[
        str | None,
        typer.Option("--model", help=f"builtin:*, paths, hub ids. {DEFAULT_MODEL}"),
    ] = None,
    tune: Annotated[
        str | None,
        typer.Option("--tune", help="head, lora or full; lora, full or soft-prompt for policies."),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", min=1, help="Passes over the data (lora and full)."),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option("--learning-rate", help="Of the optimiser (lora and full)."),
    ] = None,
    max_length: MaxLength = None,
    settings: Settings = None,
    train_size: Annotated[
        str | None,
        typer.Option("--train-size", help="Training rows: numbers, with commas, and all. [all]"),
    ] = None,
    train_size_of: Annotated[
        str, typer.Option("--train-size-of", help="total, or user: rows of each user.")
    ] = "total",
    sham: Annotated[
        str | None,
        typer.Option("--sham", help="train (also refit on shuffled ids), score, none."),
    ] = None,
    baseline: Annotated[
        bool, typer.Option("--baseline/--no-baseline", help="Fit vanilla too, where it is quick.")
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Folder of the run. [RUNS/METHOD-RUN_ID]"),
    ] = None,
    runs: Runs = Path("runs"),
    users: Annotated[
        Path | None,
        typer.Option("--users", help="A users/1 table: profiles and attributes of people."),
    ] = None,
    launch: Annotated[
        Path | None,
        typer.Option("--launch", help="An Accelerate config: run in the processes it says."),
    ] = None,
    device: Device = "auto",
    dtype: Dtype = "float32",
    batch_size: BatchSize = 32,
    force: Force = False,
    parents: Parents = False,
    as_json: Json = False,
    seed: Seed = 0,
    quiet: Quiet = False,
    config: Config = None,
) -> Result:
    """Fit reward models on the training rows, score val and test rows, and measure.

    Prints the path of each run, one a line: of every method, model and training size. An unsplit
    table is split first, by the default of dataset-split. The same line typed again finds the
    finished runs, and resumes a killed one. Where a run of several fails, the others go on.

    A personal method is also scored as the wrong user, and with --sham train (the default for
    heads) fitted again on shuffled ids; its gain over bradley-terry is said with both beside it.

    Started by torchrun, by accelerate or by --launch, processes share texts and batches, and the
    first one writes.

    Alone, `plt train --method pdpo` is the controlled experiment of P-RLHF at toy size: about two
    minutes the first time, and its table is shown before the run's path.

    Example: plt train --method pdpo

    Example: plt train split.parquet --method bradley-terry

    Example: plt train split.parquet --method all | plt report -

    Example: plt train split.parquet --method bradley-terry,individual --train-size 500,2000,all
    """
    from plt.cli.shell.inputs import load_preferences, users_table
    from plt.data.tables.content import input_hashes
    from plt.data.tables.output import check_folder
    from plt.study.compute import compute_options
    from plt.study.execute import execute
    from plt.study.make_run import Session
    from plt.study.plan import Asked, method_names, on_device, plan, split_if_needed
    from plt.train.runtime.launch import launch as start
    from plt.train.runtime.processes import world_size

    if launch is not None and world_size() == 1:
        return Result(takeover=partial(start, launch, typed()))
    check_folder(runs if out is None else out, "--runs" if out is None else "-o", parents=parents)
    shared = {"tune": tune, "epochs": epochs, "learning_rate": learning_rate,
              "max_length": max_length}  # fmt: skip
    names, _ = method_names(method)  # a name that is wrong is said before any table is read
    data = data or _embedded(names)
    asked = Asked(method, model, shared, settings or [], train_size, train_size_of, sham)
    asked = on_device(asked, device)
    prefs = split_if_needed(load_preferences(data), seed, say)
    people = None if users is None else users_table(users)
    cells = plan(asked, prefs, people is not None and "profile" in people.columns)
    arguments = {"data": data} | ({"users": str(users)} if users else {})
    with progress_bar() as progress:
        compute = compute_options(device, dtype, batch_size, progress)
        session = Session(
            prefs, people, compute, seed, runs, say, input_hashes(prefs, people), arguments,
            out=out, force=force,
        )  # fmt: skip
        outcome = execute(cells, session, fit_baseline=baseline)
    return _result(outcome)


def _embedded(names: list[str]) -> str:
    from plt.study.plan import default_data

    data = default_data(names)
    say(f"no DATA given: using the embedded population {data}")
    return data


def _result(outcome: Outcome) -> Result:
    from plt.cli.pages.length_experiment import length_experiment_blocks

    made, failed = outcome.made, outcome.failed
    if failed:
        labels = ", ".join(each.label for each in failed)
        say(f"{len(failed)} of {len(made) + len(failed)} runs failed: {labels}")
    paths = [str(run.path) for run in made]
    experiments = [run.experiment for run in made if run.experiment is not None]
    aside = [block for found in experiments for block in length_experiment_blocks(found)]
    return Result(
        data=outcome.to_json(),
        lines=tuple(paths),
        exit_code=outcome.exit_code,
        aside=tuple(aside),
        hint=f"plt report {' '.join(paths)}" if paths else None,
    )
