"""`plt adapt`: how good a run is for new people after 5, 30 or 300 of their answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plt.cli.shell.options import (
    BatchSize,
    Config,
    Device,
    Dtype,
    Force,
    Json,
    Parents,
    Quiet,
    Runs,
    Seed,
)
from plt.cli.shell.streams import STDIN, Result, progress_bar, say
from plt.errors import UsageError

if TYPE_CHECKING:
    from plt.analyze.adaptation.curves import Adaptation


def command(
    run: Annotated[
        list[str],
        typer.Argument(metavar="RUN... [DATA]", help="Runs, or -; a table may stand behind them."),
    ],
    data: Annotated[
        str | None,
        typer.Option("--data", help="Table of the new people. [the run's own, unseen users]"),
    ] = None,
    n_shots: Annotated[
        str, typer.Option("--n-shots", help="Answers of each person, with commas.")
    ] = "0,5,10,30,100,300",
    draws: Annotated[int, typer.Option("--draws", min=1, help="Draws of the answers.")] = 5,
    apart: Annotated[
        str,
        typer.Option("--apart", help="Shots and questions share no: auto, group, response, pair."),
    ] = "auto",
    select: Annotated[
        str,
        typer.Option(
            "--select",
            help="Who chooses the answers: random, uncertainty, weighted, d-optimal, information.",
        ),
    ] = "random",
    baselines: Annotated[
        bool,
        typer.Option("--baselines/--no-baselines", help="Adapt what heads are measured by too."),
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Folder of the run. [RUNS/adapt-METHOD-RUN_ID]"),
    ] = None,
    runs: Runs = Path("runs"),
    users: Annotated[
        Path | None,
        typer.Option("--users", help="A users/1 table: what the new people say of themselves."),
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
    """Adapt runs to new people from n of their answers, and say what that is worth.

    The people are those that the run's own table keeps unseen, or those of DATA. Their answers to
    test pairs are the questions; what is shown of them is drawn from their other answers, the same
    for every run, smaller draws inside larger ones. Who has fewer than n answers is left out at n,
    and counted.

    With --select a run that can say how sure it is of a person (pref, lore, eb-shrinkage, p-rm,
    individual) chooses which of the other answers it is shown, one after the other. In simulations
    weighted is the best or as good; with raters of jokes no choice gained more than a point.

    Prints the path of each run, one a line; learning curves are shown on stderr. With baselines,
    heads are measured beside vanilla, a model of each person's answers alone (also of all of them),
    vanilla fine-tuned on them, and the most similar known user.

    Example: plt adapt runs/pref-3f9c2a1b0d --n-shots 0,5,10,20

    Example: plt train split.parquet --method pref,lore | plt adapt - | plt report - --plot f4.svg
    """
    from plt.cli.pages.adaptation import adaptation_blocks
    from plt.cli.shell.inputs import load_preferences, users_table
    from plt.data.run import load_run
    from plt.data.splitting.shots import check_apart, parse_shots
    from plt.data.tables.content import input_hashes
    from plt.data.tables.output import check_folder
    from plt.study.compute import compute_options
    from plt.study.make_run import Session
    from plt.study.newcomers.adapt import Asked, adapt, described
    from plt.study.newcomers.baselines import with_baselines
    from plt.study.newcomers.tables import other_table, own_table
    from plt.train.heads.selection import check_criterion

    check_folder(runs if out is None else out, "--runs" if out is None else "-o", parents=parents)
    asked = Asked(parse_shots(n_shots), draws, check_apart(apart), check_criterion(select))
    paths, named = _runs_and_data(run, data)
    trained = [load_run(path) for path in paths]
    if named is None:
        prefs, people, arguments = own_table(
            trained, load_preferences, lambda text: users_table(Path(text)), say
        )
        own = True
    else:
        prefs = other_table(load_preferences(named), trained, say)
        people, arguments, own = None, {"data": named}, False
    if users is not None:
        people, arguments = users_table(users), arguments | {"users": str(users)}
    with progress_bar() as progress:
        compute = compute_options(device, dtype, batch_size, progress)
        session = Session(
            prefs, people, compute, seed, runs, say, input_hashes(prefs, people), arguments,
            out=out, force=force,
        )  # fmt: skip
        if baselines and own and out is None:
            paths = with_baselines(trained, session)
        outcome = adapt(paths, asked, session)
    found = described(outcome, say)
    lines = tuple(str(each.path) for each in outcome.made)
    return Result(
        data=outcome.to_json() | {"adaptation": None if found is None else _document(found)},
        lines=lines,
        exit_code=outcome.exit_code,
        aside=() if found is None else adaptation_blocks(found),
        hint=f"plt report {' '.join(lines)} --plot curves.svg" if lines else None,
    )


def _document(found: Adaptation) -> dict[str, Any]:
    from plt.cli.pages.adaptation import adaptation_json

    return adaptation_json(found)


def _runs_and_data(arguments: list[str], data: str | None) -> tuple[list[Path], str | None]:
    """Run directories, and the table that may stand behind them.

    Raises:
        UsageError: No run is given, two tables are, or a table stands before a run.
    """
    from plt.cli.shell.inputs import run_sources

    given = list(arguments)
    last = given[-1] if given else STDIN
    if len(given) > 1 and last != STDIN and not Path(last).is_dir():
        if data is not None:
            raise UsageError(
                f"two tables are given: {last} and --data {data}", hint="leave one of them out"
            )
        data = given.pop()
    paths = []
    for source in run_sources(given):
        if isinstance(source, bytes):
            raise UsageError("runs are wanted, and standard input is a table", hint="plt adapt RUN")
        paths.append(source)
    if not paths:
        raise UsageError("there is no run to adapt", hint="plt train DATA --method pref")
    return list(dict.fromkeys(paths)), data
