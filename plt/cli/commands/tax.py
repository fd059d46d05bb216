"""`plt tax`: what personalization costs in chat, reasoning and safety."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from plt.cli.shell.streams import Block, Result, progress_bar, say
from plt.cli.shell.table_output import named, put
from plt.errors import UsageError

if TYPE_CHECKING:
    from plt.data.tables.output import Output


def command(
    run: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Run directories, or - for paths piped in."),
    ],
    bench: Bench = "rewardbench",
    base: Annotated[
        str | None,
        typer.Option("--base", help="A run or a reward model. [the run's own, which is said]"),
    ] = None,
    users: ScoredUsers = "100",
    compat: Compat = "official",
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw the changes as .svg or .png."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Folder of the run. [RUNS/tax-METHOD-RUN_ID]"),
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
    """Score a run on a benchmark as its users, against its base, section by section.

    The base is, in this order: --base; the run's --model, if it brings a trained reward head; the
    generic user of a personal method; the reference of a policy, by its log-probability per token;
    else none, and then there are scores and no change. All users are scored in one pass over the
    texts.

    A section of which some subsets are missing is the weighted mean of the others, and they are
    named; of which all are missing, it is null.

    Prints the path of each run, one a line; tables are shown on stderr.

    Example: plt tax runs/lore-3f9c2a1b0d --bench rewardbench

    Example: plt train split.parquet --method individual,lore | plt tax - --bench safety.jsonl
    """
    from plt.analyze.tax.plot import plot_tax
    from plt.cli.pages.tax import outcome_json, tax_blocks, title
    from plt.cli.shell.inputs import run_paths
    from plt.data.tables.output import check_folder
    from plt.study.compute import compute_options
    from plt.study.costs.benchmark import find_benchmark
    from plt.study.costs.scored_users import parse_users
    from plt.study.costs.tax import Asked, tax_runs
    from plt.study.make_run import Session

    check_folder(runs if out is None else out, "--runs" if out is None else "-o", parents=parents)
    asked = Asked(base, parse_users(users))
    paths = run_paths(run, "plt train DATA | plt tax -")
    picture = _picture(plot, len(paths), force=force, parents=parents)
    benchmark = find_benchmark(bench, compat, say)
    arguments = {"bench": bench, "users": users, "compat": compat}
    arguments |= {} if base is None else {"base": base}
    with progress_bar() as progress:
        compute = compute_options(device, dtype, batch_size, progress)
        session = Session(
            benchmark.prefs, None, compute, seed, runs, say, {"bench": benchmark.content},
            arguments, out=out, force=force,
        )  # fmt: skip
        outcome = tax_runs(paths, asked, benchmark, session)
    if picture is not None:
        output, kind = picture
        put(plot_tax(outcome.made[0].tax, title(outcome.made[0]), kind), output)
    blocks: list[Block] = [block for each in outcome.made for block in tax_blocks(each)]
    lines = tuple(str(each.path) for each in outcome.made)
    return Result(
        data=outcome_json(outcome),
        lines=lines,
        exit_code=outcome.exit_code,
        aside=tuple(blocks),
    )


def _picture(
    plot: Path | None, n_runs: int, *, force: bool, parents: bool
) -> tuple[Output, str] | None:
    """Where the figure goes, and which kind it is; refused before anything is computed."""
    if plot is None:
        return None
    from plt.analyze.dataset.plots import picture_kind
    from plt.analyze.tax.plot import MARK

    if n_runs != 1:
        raise UsageError(f"--plot draws one run; {n_runs} are given", hint="plt tax RUN --plot F")
    kind = picture_kind(plot)
    output = named(plot, flag="--plot", mark=MARK, force=force, no_clobber=False, parents=parents)
    assert output is not None
    return output, kind
