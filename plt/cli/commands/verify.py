"""`plt verify`: re-hashes a run, or compares it with a reference."""

from pathlib import Path
from typing import Annotated

import typer

from plt.cli.shell.options import Json, Quiet
from plt.cli.shell.streams import Block, Line, Result


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run directory, or -.")],
    reference: Annotated[
        Path | None,
        typer.Argument(metavar="[REFERENCE]", help="Another run that must say the same."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0.0, help="Largest difference of two margins.")
    ] = 0.0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> Result:
    """Check that a run's files are what they were, or that two runs say the same.

    Exit code 0 when it is reproduced and 1 when it is not: a reproducibility check for CI.

    Example: plt verify runs/bradley-terry-3f9c2a1b0d

    Example: plt verify runs/bradley-terry-3f9c2a1b0d golden/bradley-terry --tolerance 1e-5
    """
    from plt.cli.shell.inputs import run_path
    from plt.data.verify import verify

    path = run_path(run)
    found = verify(path, reference, tolerance=tolerance)
    data = {
        "reproduced": not found.problems,
        "problems": found.problems,
        "n_files": found.n_files,
        "n_margins": found.n_margins,
        "largest_difference": found.largest,
    }
    blocks: list[Block] = [Line(problem) for problem in found.problems]
    if found.problems:
        blocks.append(Line(f"{path} is not reproduced."))
    else:
        margins = f" and {found.n_margins} margins" if found.n_margins is not None else ""
        blocks.append(Line(f"{path} is what it was: {found.n_files} files{margins} agree."))
    return Result(data=data, blocks=tuple(blocks), exit_code=1 if found.problems else 0)
