"""`plt report`: runs side by side on the same judgements."""

from __future__ import annotations

from typing import Annotated

import typer

from plt.cli.shell.options import Config, Force, Json, NoClobber, Out, Parents, Quiet
from plt.cli.shell.streams import Result, say
from plt.cli.shell.table_output import named, put
from plt.errors import UsageError

# Format -> what stands near the beginning of each such page, by which plt knows its own.
MARKS = {
    "auto": b"| method ",
    "rich": "\u250f\u2501".encode(),
    "markdown": b"| method ",
    "json": b'"baseline": ',
}
FORMATS = tuple(MARKS)
USERS = ("seen", "unseen", "all")


def command(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN|SCORES...", help="Runs, scores tables, or -.")
    ],
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", help="Whose accuracy gains are over. [bradley-terry]"),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="train, val or test.")] = "test",
    users: Annotated[str, typer.Option("--users", help="seen, unseen or all.")] = "seen",
    by_user: Annotated[
        bool, typer.Option("--by-user", help="Add each person's accuracy with its interval.")
    ] = False,
    by_novelty: Annotated[
        bool, typer.Option("--by-novelty", help="Add accuracies by what was new to the models.")
    ] = False,
    minority: Annotated[
        str | None,
        typer.Option("--minority", help="Users, with commas: adds P-RLHF's accuracies."),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option("--margin", help="Points within which a run is as good as the baseline."),
    ] = None,
    pivot: Annotated[
        str, typer.Option("--pivot", help="Columns of a sweep: auto, train-size, model or none.")
    ] = "auto",
    form: Annotated[str, typer.Option("--format", help="auto, rich, markdown or json.")] = "auto",
    out: Out = None,
    force: Force = False,
    no_clobber: NoClobber = False,
    parents: Parents = False,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> Result:
    """Compare runs on the judgements that all of them scored: which differences are real?

    Accuracies are averaged over users and over judgements; gains are paired differences whose
    intervals over users and groups hold together. A gain is called personal where scores as the
    wrong user lose it. Runs of several training sizes or models are shown as a table of methods by
    sizes or models too. docs/coverage.md of the project says how often these intervals hold.

    Example: plt report runs/*

    Example: plt train pandalm.parquet --method random,bradley-terry | plt report - --json
    """
    from plt.analyze.comparison.breakdowns import by_novelty as novelty_apart
    from plt.analyze.comparison.breakdowns import implicit_accuracies
    from plt.analyze.comparison.compare import compare
    from plt.analyze.comparison.sweep import PIVOTS, sweep_tables
    from plt.cli.pages.comparison import (
        comparison_blocks,
        comparison_json,
        implicit_blocks,
        implicit_json,
        novelty_blocks,
        novelty_json,
        sweep_blocks,
        sweep_json,
        user_blocks,
    )
    from plt.cli.shell.inputs import run_sources
    from plt.cli.shell.render import to_json, to_markdown, to_terminal
    from plt.data.tables.schema import SPLITS
    from plt.study.entries import load_entries

    _check(form, FORMATS, "--format")
    _check(split, SPLITS, "--split")
    _check(users, USERS, "--users")
    _check(pivot, PIVOTS, "--pivot")
    kind_of_page = "json" if as_json else form
    output = named(
        out, force=force, no_clobber=no_clobber, parents=parents, mark=MARKS[kind_of_page]
    )
    entries = load_entries(run_sources(runs), say)
    kind = None if users == "all" else users
    found = compare(
        entries,
        baseline=baseline,
        splits=(split,),
        user_split=kind,
        margin=None if margin is None else margin / 100,
    )
    tables = sweep_tables(found, next(known for known in PIVOTS if known == pivot))
    data = comparison_json(found) | {"sweep": sweep_json(tables)}
    blocks = comparison_blocks(found) + sweep_blocks(tables)
    if by_novelty:
        apart = novelty_apart(entries, found, baseline=baseline, split=split, user_split=kind)
        blocks += novelty_blocks(found, apart)
        data |= {"by_novelty": novelty_json(apart)}
    if minority is not None:
        rare = [name.strip() for name in minority.split(",") if name.strip()]
        implicit = implicit_accuracies(entries, split, rare)
        data["implicit_accuracy"] = implicit_json(implicit)
        blocks += implicit_blocks(implicit)
    if by_user:
        blocks += user_blocks(entries, split, kind)
    result = Result(data=data, blocks=blocks)
    if form == "auto" and (output is None or output.is_stdout):
        return result
    if kind_of_page == "json":
        text = to_json(result)
    else:
        text = to_terminal(blocks) if form == "rich" else to_markdown(blocks)
    page = text.encode("utf-8", "backslashreplace")
    if output is None or output.is_stdout:
        return Result(payload=page)
    put(page, output)
    return Result(data=result.data, path=output.path)


def _check(value: str, known: tuple[str, ...], flag: str) -> None:
    if value not in known:
        raise UsageError(f"{flag} is '{value}'; known are {', '.join(known)}")
