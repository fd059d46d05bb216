"""`plt score`: scores any pairs with a run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from plt.cli.shell.options import (
    BatchSize,
    Config,
    Device,
    Dtype,
    Force,
    Json,
    NoClobber,
    Out,
    Parents,
    Quiet,
)
from plt.cli.shell.streams import Result, progress_bar, say
from plt.cli.shell.table_output import for_table, put


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run directory.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="Registry name, Parquet path or -.")],
    as_user: Annotated[
        str | None,
        typer.Option("--as-user", help="Score every row as this user; 'population' is nobody."),
    ] = None,
    users: Annotated[
        Path | None,
        typer.Option("--users", help="A users/1 table: what strangers say of themselves."),
    ] = None,
    out: Out = None,
    force: Force = False,
    no_clobber: NoClobber = False,
    parents: Parents = False,
    device: Device = "auto",
    dtype: Dtype = "float32",
    batch_size: BatchSize = 32,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> Result:
    """Score pairs with a trained run: margins and rewards, one row a judgement.

    Labels are not needed. A user whom the run does not know gets the population's reward, with
    their own words (--users) where the run reads those.
    Processes that torchrun started share the texts.

    Example: plt score runs/bradley-terry-3f9c2a1b0d new-pairs.parquet -o scores.parquet

    Example: plt score RUN pairs.parquet --as-user u07 | plt report -
    """
    from plt.cli.shell.inputs import load_preferences, run_path, users_table
    from plt.data.tables.schema import SCORES
    from plt.data.tables.table import Meta, write_table
    from plt.study.compute import compute_options
    from plt.train.runs.fitted_run import load_fitted_run
    from plt.train.runtime.processes import leads

    output = for_table(
        out, "a scores table", as_json=as_json, force=force, no_clobber=no_clobber, parents=parents
    )
    path = run_path(run)
    prefs = load_preferences(data)
    with progress_bar() as progress:
        compute = compute_options(device, dtype, batch_size, progress)
        fitted = load_fitted_run(path, compute)
        strangers = fitted.strangers(prefs)
        if users is not None:
            with tempfile.TemporaryDirectory(prefix="plt-") as work:
                fitted = fitted.introduced(prefs, users_table(users), Path(work))
        scores = fitted.score(prefs, as_user)
    said = set(strangers) & set(fitted.users)
    if said:
        say(f"{len(said)} users are known to the run by their own words only")
    strangers = [user for user in strangers if user not in said]
    if strangers and as_user is None:
        say(f"{len(strangers)} users are unknown to the run: they got the population's reward")
    meta = Meta(
        dataset=prefs.meta.dataset,
        license=prefs.meta.license,
        split=prefs.meta.split,
        dropped=dict(scores.dropped),
    )
    payload = write_table(scores.frame, SCORES, None, meta) if leads() else None
    if output is not None and payload is not None:
        put(payload, output)
    summary = {
        "scores": None if output is None else str(output.path),
        "run_id": fitted.run.run_id,
        "n_scores": scores.frame.height,
        "n_unknown_users": len(strangers),
        "dropped": dict(scores.dropped),
    }
    if output is None:
        return Result(data=summary, payload=payload)
    return Result(data=summary, path=output.path, hint=f"plt report {output.path}")
