"""`plt verify`: re-hashes a run, compares it with a reference, or keeps one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plt.cli.shell.options import Json, Quiet
from plt.cli.shell.streams import Block, Line, Result
from plt.errors import UsageError

if TYPE_CHECKING:
    from plt.data.verify import Verification

STORED = 1e-4
"""Log-odds that another machine may be away from a stored reference, unless it says otherwise."""


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run directory, or -.")],
    reference: Annotated[
        Path | None,
        typer.Argument(metavar="[REFERENCE]", help="A run, or stored reference, that says it too."),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance",
            min=0.0,
            help="Largest difference of two margins. [0; between machines what is stored]",
        ),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option("--store", metavar="DIR", help="Keep the run as a small reference."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> Result:
    """Check that a run's files are what they were, or that two runs say the same.

    Exit code 0 when it is reproduced and 1 when it is not: a reproducibility check for CI. On the
    machine that made the reference a run must say the same to the bit; on another one (processor,
    threads, versions) each margin may differ by the tolerance that is stored with the reference,
    and all of them together by no more than a tenth of it, since rounding has no direction.

    Example: plt verify runs/bradley-terry-3f9c2a1b0d

    Example: plt verify runs/bradley-terry-3f9c2a1b0d --store golden/bradley-terry

    Example: plt verify runs/bradley-terry-3f9c2a1b0d golden/bradley-terry
    """
    from plt.cli.shell.inputs import run_path
    from plt.data.verify import store_reference, verify

    path = run_path(run)
    if store is not None:
        if reference is not None:
            raise UsageError(
                "--store keeps a run and compares it with nothing",
                hint=f"plt verify {path} --store {store}",
            )
        kept = STORED if tolerance is None else tolerance
        if kept == 0:
            raise UsageError(
                "no other machine rounds alike: a stored reference needs a tolerance above 0",
                hint="--tolerance 1e-4",
            )
        store_reference(path, store, kept)
        return Result(
            data={"reference": str(store), "margin_tolerance": kept},
            path=store,
            hint=f"plt verify RUN {store}",
        )
    found = verify(path, reference, tolerance=tolerance)
    data = {
        "reproduced": not found.problems,
        "problems": found.problems,
        "n_files": found.n_files,
        "n_margins": found.n_margins,
        "largest_difference": found.largest,
        "tolerance": found.tolerance,
        "machine": list(found.machine),
    }
    blocks: list[Block] = [Line(problem) for problem in found.problems]
    if found.problems:
        grows = _grows(path) if found.largest else None
        blocks += [Line(grows)] if grows else []
        blocks.append(Line(f"{path} is not reproduced."))
    else:
        blocks.append(Line(f"{path} is what it was: {_agreement(found)} agree{_within(found)}."))
    return Result(data=data, blocks=tuple(blocks), exit_code=1 if found.problems else 0)


def _agreement(found: Verification) -> str:
    margins = f" and {found.n_margins} margins" if found.n_margins is not None else ""
    return f"{found.n_files} files{margins}"


def _within(found: Verification) -> str:
    """How far margins may differ that still agree."""
    if not found.tolerance or found.largest is None:
        return ""
    machines = ", on another machine" if found.machine else ""
    return f" (by {found.largest:.2g} at most, {found.tolerance:g} allowed{machines})"


def _grows(path: Path) -> str | None:
    """What must be known of a method whose fit makes small differences large."""
    from plt.data.run import load_run
    from plt.train.registry import METHODS

    card = METHODS.get(load_run(path).identity.method)
    if card is None or not card.rounding_grows:
        return None
    return (
        f"{load_run(path).identity.method} takes many steps of a network, in which rounding grows:"
        " another processor or number of threads gives another model, so compare its accuracy and"
        " not its margins"
    )
