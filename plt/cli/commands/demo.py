"""`plt demo`: the whole chain on embedded data and the embedded model."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from plt.cli.shell.options import Force, Json, Parents, Quiet, Seed
from plt.cli.shell.streams import Block, Heading, Line, Result, say

METHODS = "random,length,bradley-terry,individual,eb-shrinkage"
POLICY = "p-dpo"


def command(
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder for the tables and runs of the demo.")
    ] = Path("demo"),
    users: Annotated[int, typer.Option("--users", min=8, help="How many simulated people.")] = 84,
    policy: Annotated[
        bool, typer.Option("--policy/--no-policy", help="Train a policy too, up to two minutes.")
    ] = True,
    force: Force = False,
    parents: Parents = False,
    as_json: Json = False,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> Result:
    """Simulate people, split, lint, describe, train and compare models, then train a policy.

    Every step is a plt command that is shown before its output, so that each can be typed alone.
    Nothing is downloaded. It takes two to three minutes on two cores, less the second time. Where a
    run fails, the others are compared, and the exit code is that of the worst step.

    Example: plt demo
    """
    from plt.data.tables.output import check_folder

    check_folder(out, "-o", parents=parents)
    out.mkdir(parents=True, exist_ok=True)
    table, split = out / "people.parquet", out / "split.parquet"
    again = ["--force"] if force else []
    steps = [
        ["dataset-simulate", "attributes", "--users", str(users), "--seed", str(seed),
         "-o", str(table), *again],
        ["dataset-stats", str(table)],
        ["dataset-split", str(table), "--fractions", "70,10,20", "--unseen-users", "0",
         "-o", str(split), *again],
        ["dataset-lint", str(split)],
        ["train", str(split), "--method", METHODS, "--runs", str(out / "runs"), *again],
    ]  # fmt: skip
    blocks: list[Block] = []
    data: dict[str, object] = {}
    codes = []
    for step in steps:
        result = _run(step, blocks)
        data[step[0]] = result.data
        codes.append(result.exit_code)
    trained = result.data
    for failure in trained["failed"]:
        blocks.append(Line(f"Failed: {failure['run']}: {failure['reason']}"))
    if runs := [entry["run"] for entry in trained["runs"]]:
        result = _run(["report", *runs], blocks)
        data["report"] = result.data
        codes.append(result.exit_code)
        page = out / "report.html"
        result = _run(["report", *runs, "-o", str(page), *again], blocks)
        codes.append(result.exit_code)
    if policy:
        line = ["train", "--method", POLICY, "--runs", str(out / "policies"), "--seed", str(seed)]
        result = _run([*line, *again], blocks)
        data["policy"] = result.data
        codes.append(result.exit_code)
    blocks.append(Line("Next: the same on your own data, plt dataset-convert generic FILE --help"))
    if runs:
        blocks.append(Line(str(page)))
    return Result(
        data=data,
        blocks=tuple(blocks),
        hint=f"plt report {out / 'runs'}/* --by-user" if runs else None,
        exit_code=max(codes),
    )


def _run(line: list[str], blocks: list[Block]) -> Result:
    """Runs one command line and adds what it says to `blocks`."""
    from plt.cli.shell.app import app

    shown = shlex.join(["plt", *line])
    say(f"running: {shown}")
    result, _ = app(args=line, prog_name="plt", standalone_mode=False)
    blocks.append(Heading(f"$ {shown}"))
    blocks.extend(result.blocks or ([Line(str(result.path))] if result.path else []))
    blocks.extend(result.aside)
    found: Result = result
    return found
