"""`plt export`: a run's reward as a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plt.cli.shell.options import BatchSize, Config, Device, Force, Json, Parents, Quiet
from plt.cli.shell.streams import Result, progress_bar, say


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run directory, or -.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write; new or empty.")],
    user: Annotated[
        str | None,
        typer.Option("--user", help="Whose reward; 'population' is that of a stranger."),
    ] = None,
    device: Device = "auto",
    batch_size: BatchSize = 32,
    force: Force = False,
    parents: Parents = False,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> Result:
    """Write a run's reward as a plain reward model that transformers, TRL and vLLM load.

    A head on frozen features becomes the model's score layer, adapters are merged. The folder is
    loaded again and must give the run's rewards. Personal methods need --user.

    Example: plt export runs/bradley-terry-3f9c2a1b0d reward-model

    Example: plt export runs/individual-77aa01c2de u07-model --user u07
    """
    from plt.cli.shell.inputs import run_path
    from plt.data.run import load_run
    from plt.data.tables.output import check_folder
    from plt.study.compute import compute_options
    from plt.train.runs.export import export
    from plt.train.runs.fitted_run import load_fitted_run
    from plt.train.runtime.processes import refuse_several

    refuse_several("export")
    check_folder(folder, "DIR", parents=parents)
    path = run_path(run)
    dtype = str(load_run(path).identity.config.get("dtype", "float32"))
    with progress_bar() as progress:
        compute = compute_options(device, dtype, batch_size, progress)
        fitted = load_fitted_run(path, compute)
        made = export(fitted, folder, user=user, force=force)
    for note in made.notes:
        say(note)
    data = {
        "folder": str(made.folder),
        "run_id": fitted.run.run_id,
        "method": made.method,
        "user": made.user,
        "base": made.base,
        "largest_difference": made.difference,
        "notes": list(made.notes),
    }
    return Result(data=data, path=made.folder)
