"""`plt dose`: how much of a person's taste stays within a budget of tax."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plt.cli.shell.options import (
    BatchSize,
    Bench,
    Compat,
    Config,
    Device,
    Dtype,
    Force,
    Json,
    Parents,
    Quiet,
    Runs,
    ScoredUsers,
    Seed,
)
from plt.cli.shell.streams import Result, progress_bar, say
from plt.cli.shell.table_output import named, put


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run of plt train, or -.")],
    max_tax: Annotated[
        float, typer.Option("--max-tax", help="Points that any section may lose at most.")
    ] = 2.0,
    bench: Bench = "rewardbench",
    base: Annotated[
        str | None,
        typer.Option("--base", help="A run of heads on the same features. [the generic user]"),
    ] = None,
    users: ScoredUsers = "100",
    compat: Compat = "official",
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw the frontier as .svg or .png."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Folder of the run. [RUNS/dose-METHOD-RUN_ID]"),
    ] = None,
    runs: Runs = Path("runs"),
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
    """Find the largest share of each person's taste that stays within a budget of tax.

    Each user is moved between the base, a share of 0, and their own model, 1: heads on frozen
    features are mixed, w = (1 - share) w_base + share w_person; soft tokens and adapters move
    likewise. Chosen is the largest share at which the upper bound of every section's loss is
    within --max-tax points on one half of each subset, halved by a hash of the prompt; the other
    half says what that is worth.

    Prints the path of a run, which score, export, generate and report take.

    Example: plt dose runs/lore-3f9c2a1b0d --max-tax 2 --bench safety.jsonl
    """
    from plt.analyze.dataset.plots import picture_kind
    from plt.analyze.tax.plot import MARK_DOSE, plot_dose
    from plt.cli.pages.dose import dose_blocks
    from plt.cli.shell.inputs import load_preferences, run_path
    from plt.data.tables.output import check_folder
    from plt.study.compute import compute_options
    from plt.study.costs.benchmark import find_benchmark
    from plt.study.costs.dose import Asked, dose_run, own_test_rows
    from plt.study.costs.scored_users import parse_users
    from plt.study.make_run import Session

    check_folder(runs if out is None else out, "--runs" if out is None else "-o", parents=parents)
    asked = Asked(max_tax, base, parse_users(users))
    kind = "" if plot is None else picture_kind(plot)
    picture = named(
        plot, flag="--plot", mark=MARK_DOSE, force=force, no_clobber=False, parents=parents
    )
    path = run_path(run)
    benchmark = find_benchmark(bench, compat, say)
    own = own_test_rows(path, load_preferences, say)
    arguments = {"bench": bench} | ({} if base is None else {"base": base})
    with progress_bar() as progress:
        compute = compute_options(device, dtype, batch_size, progress)
        session = Session(
            benchmark.prefs, None, compute, seed, runs, say, {"bench": benchmark.content},
            arguments, out=out, force=force,
        )  # fmt: skip
        found = dose_run(path, asked, benchmark, session, own)
    if picture is not None:
        put(plot_dose(found.to_json(), kind), picture)
    return Result(
        data=found.to_json(),
        path=found.path,
        aside=dose_blocks(found),
        hint=f"plt report {path} {found.path}",
    )
