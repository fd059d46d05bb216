"""`plt train`: fits reward models, scores them and measures them; each is a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from plt.cli.options import (
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
from plt.cli.streams import Result, progress_bar, say
from plt.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from plt.data.preferences import Preferences
    from plt.train.method import Compute

DEFAULT_DATA = "synthetic:attributes"


def command(
    data: Annotated[
        Optional[str],  # noqa: UP045 - Typer reads Optional at run time
        typer.Argument(metavar="[DATA]", help=f"Table, name or -. [{DEFAULT_DATA}]"),
    ] = None,
    method: Annotated[
        str, typer.Option("--method", help="One method or several: plt ls methods.")
    ] = "bradley-terry",
    model: Annotated[
        Optional[str],  # noqa: UP045 - Typer reads Optional at run time
        typer.Option("--model", help="Backbone: builtin:*, a path or a hub id. [builtin:minilm]"),
    ] = None,
    tune: Annotated[
        Optional[str],  # noqa: UP045 - Typer reads Optional at run time
        typer.Option("--tune", help="head, lora or full. [head]"),
    ] = None,
    epochs: Annotated[
        Optional[int],  # noqa: UP045 - Typer reads Optional at run time
        typer.Option("--epochs", min=1, help="Passes over the data (lora and full)."),
    ] = None,
    learning_rate: Annotated[
        Optional[float],  # noqa: UP045 - Typer reads Optional at run time
        typer.Option("--learning-rate", help="Of the optimiser (lora and full)."),
    ] = None,
    max_length: MaxLength = None,
    settings: Settings = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045 - Typer reads Optional at run time
        typer.Option("-o", "--out", help="Folder of the run. [RUNS/METHOD-RUN_ID]"),
    ] = None,
    runs: Annotated[
        Path, typer.Option("--runs", envvar="PLT_RUNS", help="Folder that runs are made in.")
    ] = Path("runs"),
    users: Annotated[
        Optional[Path],  # noqa: UP045 - Typer reads Optional at run time
        typer.Option("--users", help="A users/1 table: profiles and attributes of people."),
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
    """Fit a reward model on the training rows, score val and test rows, and measure.

    Prints the path of the run, one line a method. An unsplit table is split first, by the default
    of dataset-split. The same line typed again finds the finished run, and resumes a killed one.

    Example: plt train split.parquet --method bradley-terry

    Example: plt train split.parquet --method random,length,individual,eb-shrinkage | plt report -
    """
    from plt.train.method import Compute
    from plt.train.registry import method_name

    names = [method_name(name) for name in method.split(",") if name.strip()]
    if not names:
        raise UsageError("--method names no method", hint="plt ls methods")
    if out is not None and len(names) > 1:
        raise UsageError("--out is the folder of one run; several are asked for", hint="--runs DIR")
    if data is None:
        say(f"no DATA given: using the embedded population {DEFAULT_DATA}")
    prefs = _split_table(data or DEFAULT_DATA, seed)
    shared = {
        "model": model,
        "tune": tune,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "max_length": max_length,
    }
    people = _users_table(users)
    arguments = {"data": data or DEFAULT_DATA} | ({"users": str(users)} if users else {})
    with progress_bar() as progress:
        from plt.data.cache import cache_dir

        compute = Compute(device, dtype, batch_size, cache_dir(), progress)
        entries = [
            _train_one(
                prefs, name, _settings(name, shared, settings or [], alone=len(names) == 1),
                compute, people, where=(out, runs, arguments), seed=seed,
                force=force,
            )
            for name in names
        ]  # fmt: skip
    paths = [entry["run"] for entry in entries]
    hint = f"plt report {' '.join(paths)}"
    return Result(data={"runs": entries}, lines=tuple(paths), hint=hint)


def _split_table(data: str, seed: int) -> Preferences:
    from plt.cli.inputs import load_preferences
    from plt.data.splits import SplitPlan, is_split, split

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
    from plt.data.schema import USERS
    from plt.data.table import read_table

    return read_table(path, USERS)[0]


def _settings(
    name: str, shared: dict[str, Any], items: list[str], *, alone: bool
) -> dict[str, object]:
    """The settings of one method: shared flags where it has such a knob, and ``--set``.

    Raises:
        UsageError: A flag was given to the only method, which has no such knob.
    """
    from plt.data.settings import parse_settings
    from plt.train.registry import config_keys

    known = config_keys(name)
    values: dict[str, object] = {}
    for key, value in shared.items():
        if value is None:
            continue
        if key in known:
            values[key] = value
        elif alone:
            flag = "--" + key.replace("_", "-")
            raise UsageError(f"{name} has no {flag}", hint=f"plt train --method {name}")
    own = parse_settings(items)
    return values | {key: value for key, value in own.items() if alone or key in known}


def _train_one(
    prefs: Preferences,
    name: str,
    settings: dict[str, object],
    compute: Compute,
    people: pl.DataFrame | None,
    *,
    where: tuple[Path | None, Path, dict[str, str]],
    seed: int,
    force: bool,
) -> dict[str, Any]:
    """Makes one run, or finds it, and says what came out."""
    from plt.data.content import input_hashes, users_hash
    from plt.data.run import Identity, open_run, recording
    from plt.train.fitted_run import model_fingerprint
    from plt.train.registry import config_dict, make_method

    out, runs, arguments = where
    made = make_method(name, settings)
    resolved: dict[str, Any] = {"set": config_dict(made)}
    inputs = input_hashes(prefs)
    if people is not None:
        inputs["users"] = users_hash(people)
    if (fingerprint := model_fingerprint(resolved["set"])) is not None:
        inputs["model"] = fingerprint
        resolved["dtype"] = compute.dtype
    identity = Identity("train", name, resolved, seed, inputs)
    run = open_run(identity, out or runs / f"{name}-{identity.run_id}", force=force)
    if run.finished:
        say(f"{name}: this run is done already; --force does it again")
    else:
        if run.resumed:
            say(f"{name}: resuming {run.path}")
        with recording(run, arguments):
            _fit(run, made, prefs, compute, people)
    return _summary(run)


def _fit(run: Any, made: Any, prefs: Preferences, compute: Compute, people: Any) -> None:
    from plt.analyze.evaluation import measure
    from plt.data.run import METRICS, MODEL, SCORES
    from plt.data.schema import METRICS as METRICS_TABLE
    from plt.data.schema import SCORES as SCORES_TABLE
    from plt.data.table import Meta, write_table
    from plt.train.fit import fit_and_score
    from plt.train.method import TrainContext
    from plt.train.scoring import Label

    ctx = TrainContext(run.identity.seed, run.path, compute, people)
    label = Label(run.run_id, run.identity.method, run.identity.seed)
    fitted = fit_and_score(prefs, made, ctx, label)
    meta = Meta(
        dataset=prefs.meta.dataset,
        license=prefs.meta.license,
        split=prefs.meta.split,
        dropped=dict(fitted.scores.dropped),
    )
    fitted.method.save(run.path / MODEL)
    write_table(fitted.scores.frame, SCORES_TABLE, run.path / SCORES, meta)
    write_table(
        measure(fitted.scores.frame, command="train"), METRICS_TABLE, run.path / METRICS, meta
    )
    run.record |= {"dropped": dict(fitted.scores.dropped), "notes": list(fitted.notes)}
    for note in fitted.notes:
        run.log(note=note)
        say(f"{run.identity.method}: {note}")


def _summary(run: Any) -> dict[str, Any]:
    """The run's path and its test accuracy, said on stderr too."""
    import polars as pl

    from plt.cli.figures import number
    from plt.data.run import METRICS
    from plt.data.schema import METRICS as METRICS_TABLE
    from plt.data.table import read_table

    metrics, _ = read_table(run.path / METRICS, METRICS_TABLE)
    rows = metrics.filter(
        pl.col("metric") == "accuracy", pl.col("split") == "test", pl.col("control").is_null()
    )
    found = {row["average"]: row for row in rows.iter_rows(named=True)}
    best = (
        found.get("user") if found.get("user", {}).get("value") is not None else found.get("pair")
    )
    figure = None
    if best is not None:
        figure = {k: best[k] for k in ("value", "ci_low", "ci_high", "interval", "average")}
        ends = f"[{number(best['ci_low'])}, {number(best['ci_high'])}]"
        unit = "over users" if best["average"] == "user" else "over judgements"
        say(
            f"{run.identity.method}: test accuracy {number(best['value'])} {ends} {unit},"
            f" {best['n_pairs']} judgements"
        )
    return {
        "run": str(run.path),
        "run_id": run.run_id,
        "method": run.identity.method,
        "accuracy": figure,
    }
