"""`plt train`: fits reward models, scores them and measures them; each is a run."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
    Quiet,
    Seed,
    Settings,
)
from plt.cli.shell.streams import Result, progress_bar, say, typed
from plt.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from plt.data.tables.preferences import Preferences
    from plt.study.execute import Outcome, Session
    from plt.study.plan import Asked, Cell, Plan

DEFAULT_DATA = "synthetic:attributes"


def command(
    data: Annotated[
        str | None,
        typer.Argument(metavar="[DATA]", help=f"Table, name or -. [{DEFAULT_DATA}]"),
    ] = None,
    method: Annotated[
        str, typer.Option("--method", help="Methods, with commas, or all: plt ls methods.")
    ] = "bradley-terry",
    model: Annotated[
        str | None,
        typer.Option("--model", help="Backbones: builtin:*, paths, hub ids. [builtin:minilm]"),
    ] = None,
    tune: Annotated[
        str | None,
        typer.Option("--tune", help="head, lora or full. [head; lora on a GPU]"),
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
        bool, typer.Option("--baseline/--no-baseline", help="Fit bradley-terry for the gain.")
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Folder of the run. [RUNS/METHOD-RUN_ID]"),
    ] = None,
    runs: Annotated[
        Path, typer.Option("--runs", envvar="PLT_RUNS", help="Folder that runs are made in.")
    ] = Path("runs"),
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

    Example: plt train split.parquet --method bradley-terry

    Example: plt train split.parquet --method all | plt report -

    Example: plt train split.parquet --method bradley-terry,individual --train-size 500,2000,all
    """
    from plt.cli.shell.inputs import compute_options
    from plt.study.execute import Session, scratch_folder
    from plt.study.plan import Asked, method_names, plan
    from plt.train.runtime.launch import launch as start
    from plt.train.runtime.processes import world_size

    if launch is not None and world_size() == 1:
        return Result(takeover=partial(start, launch, typed()))
    if data is None:
        say(f"no DATA given: using the embedded population {DEFAULT_DATA}")
    shared = {
        "tune": tune,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "max_length": max_length,
    }
    method_names(method)  # a name that is wrong is said before any table is read
    asked = Asked(method, model, shared, settings or [], train_size, train_size_of, sham)
    asked = replace(asked, accelerated=_accelerated(asked, device))
    prefs = _split_table(data or DEFAULT_DATA, seed)
    people = _users_table(users)
    cells = plan(asked, prefs, people is not None and "profile" in people.columns)
    if out is not None and len(cells.cells) > 1:
        raise UsageError("--out is the folder of one run; several are asked for", hint="--runs DIR")
    _say_plan(cells, asked.accelerated)
    arguments = {"data": data or DEFAULT_DATA} | ({"users": str(users)} if users else {})
    with progress_bar() as progress, scratch_folder() as scratch:
        compute = compute_options(device, dtype, batch_size, progress)
        inputs = _inputs(prefs, people)
        session = Session(
            prefs, people, compute, seed, runs, out, arguments, force, inputs, scratch
        )
        outcome = _run_all(cells.cells, session, fit_baseline=baseline)
    return _result(outcome, cells.skipped)


def _accelerated(asked: Asked, device: str) -> bool:
    """Whether nobody typed how to tune, and a model that was named runs on an accelerator."""
    from plt.settings import parse_settings

    models = [name.strip() for name in (asked.models or "").split(",") if name.strip()]
    typed = asked.shared["tune"] is not None or "tune" in parse_settings(asked.settings)
    if typed or all(name.startswith("builtin:") for name in models):
        return False
    from plt.train.runtime.devices import resolve_device

    return resolve_device(device).type != "cpu"


def _say_plan(found: Plan, accelerated: bool) -> None:
    """Says what is left out, and what an accelerator decided where nobody typed --tune."""
    for name, reason in found.skipped.items():
        say(f"{name} is left out: {reason}")
    if not accelerated:
        return
    lora = "; ".join(cell.label for cell in found.cells if cell.tune_chosen)
    heads = "; ".join(cell.label for cell in found.cells if cell.config.get("tune") == "head")
    if lora:
        say(f"there is an accelerator, so this is --tune lora (else type --tune head): {lora}")
    if heads:
        say(f"this is --tune head: {heads}")


def _split_table(data: str, seed: int) -> Preferences:
    from plt.cli.shell.inputs import load_preferences
    from plt.data.splitting.splits import SplitPlan, is_split, split

    prefs = load_preferences(data)
    if is_split(prefs):
        return prefs
    made = split(prefs, SplitPlan(seed=seed))
    unit = (made.meta.split or {})["unit"]
    say(f"the table had no split: divided by {unit}, with 20 % of the users kept unseen")
    return made


def _users_table(path: Path | None) -> pl.DataFrame | None:
    if path is None:
        return None
    from plt.data.tables.schema import USERS
    from plt.data.tables.table import read_table

    return read_table(path, USERS)[0]


def _inputs(prefs: Preferences, people: pl.DataFrame | None) -> dict[str, str]:
    from plt.data.tables.content import input_hashes, users_hash

    found = input_hashes(prefs)
    return found if people is None else found | {"users": users_hash(people)}


def _run_all(cells: Sequence[Cell], session: Session, *, fit_baseline: bool) -> Outcome:
    """Every cell in order; gains after the methods of each model and training size."""
    from plt.study.execute import Outcome, run_cell
    from plt.study.gains import add_gains

    outcome = Outcome()
    for _, group in itertools.groupby(cells, key=lambda cell: cell.group):
        before = len(outcome.done)
        for cell in group:
            run_cell(cell, session, outcome, alone=len(cells) == 1)
        add_gains(outcome.done[before:], session, fit_baseline=fit_baseline)
    return outcome


def _result(outcome: Outcome, skipped: Mapping[str, str]) -> Result:
    entries = [entry for _, entry in outcome.done]
    if outcome.failed:
        labels = ", ".join(label for label, _ in outcome.failed)
        say(f"{len(outcome.failed)} of {len(entries) + len(outcome.failed)} runs failed: {labels}")
    paths = [entry["run"] for entry in entries]
    return Result(
        data={
            "runs": entries,
            "skipped": [{"method": name, "reason": why} for name, why in skipped.items()],
            "failed": [{"run": label, "reason": why} for label, why in outcome.failed],
        },
        lines=tuple(paths),
        exit_code=outcome.exit_code,
        hint=f"plt report {' '.join(paths)}" if paths else None,
    )
