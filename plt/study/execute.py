"""Runs a plan: finds or makes each cell, then its gain over vanilla; a failure stops no other.

A cell that another process is making goes to the end of the line, so that a study typed in several
terminals, or on several machines over one folder, is shared: each process makes what no other one
is making, and all end with all runs.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from plt.data.claims import TakenOver
from plt.errors import PltError, UsageError
from plt.study.gains import with_gains
from plt.study.length_experiment import is_length_experiment, length_experiment
from plt.study.make_run import is_free, make_run
from plt.study.outcome import Failed, Made, Outcome

if TYPE_CHECKING:
    from plt.data.run import Held
    from plt.study.make_run import Session
    from plt.study.plan import Cell, Plan

FAILED = 3
"""Exit code of a failure that is no `PltError`."""


def execute(plan: Plan, session: Session, *, fit_baseline: bool = True) -> Outcome:
    """Makes every run of a plan; gains follow when all methods of a model and size are settled.

    Args:
        plan: Which cells.
        session: The tables, the seed, the folders, and who is told what happens.
        fit_baseline: Whether vanilla is fitted, for heads, where no run of it is at hand.

    Returns:
        The runs, and what failed, in the order of the plan. Where several are asked for, one that
        fails stops no other.

    Raises:
        UsageError: `session.out` names one folder for several runs.
        PltError: The only run failed.
    """
    if session.out is not None and len(plan.cells) > 1:
        raise UsageError("--out is the folder of one run; several are asked for", hint="--runs DIR")
    _report_plan(plan, session)
    with _scratch_folder() as scratch:
        ends = _each(plan.cells, replace(session, scratch=scratch), fit_baseline)
    made = tuple(end for end in ends if isinstance(end, Made))
    failed = tuple(end for end in ends if isinstance(end, Failed))
    return Outcome(made, failed, plan.skipped)


def _each(cells: Sequence[Cell], session: Session, fit_baseline: bool) -> list[Made | Failed]:
    """What became of each cell, in their order."""
    ends: dict[int, Made | Failed] = {}
    held: dict[int, Held] = {}
    line = deque(range(len(cells)))
    while line:
        number = line.popleft()
        cell, waited = cells[number], held.get(number)
        if waited is not None:
            if len(held) > len(line):
                time.sleep(session.watch.timing.poll)
            if not is_free(waited, session):
                line.append(number)
                continue
        # What another process made while we waited is made anew already.
        asked = session if waited is None else replace(session, force=False)
        found = _run_cell(cell, asked, alone=len(cells) == 1)
        if isinstance(found, Made | Failed):
            held.pop(number, None)
            ends[number] = found
            group = [n for n, other in enumerate(cells) if other.group == cell.group]
            if all(n in ends for n in group):
                finished = {n: end for n in group if isinstance(end := ends[n], Made)}
                gains = with_gains(list(finished.values()), session, fit_baseline=fit_baseline)
                told = [_with_experiment(run, session) for run in gains]
                ends |= zip(finished, told, strict=True)
            continue
        if waited is None:
            meanwhile = "going on with the others" if set(line) - set(held) else "waiting for it"
            session.report(f"{cell.label}: {found.holder} is making this run: {meanwhile}")
        held[number] = found
        line.append(number)
    return [ends[number] for number in range(len(cells))]


def _with_experiment(run: Made, session: Session) -> Made:
    """The run with P-RLHF's experiment where it is one; a failure takes no finished run with it."""
    from plt.train.runtime.processes import world_size

    if not is_length_experiment(run.cell.name, session.prefs):
        return run
    if world_size() > 1:
        # Only the first process's folder holds the run that the others would load.
        session.report(f"{run.cell.label}: the same line in one process shows what it writes")
        return run
    vanilla = None if run.gain is None else run.gain.baseline
    try:
        found = length_experiment(run.path, vanilla, session.prefs, session.compute)
    except PltError as error:
        session.report(f"{run.cell.label}: no table of what it writes: {error.message}")
        return run
    return replace(run, experiment=found)


def _report_plan(plan: Plan, session: Session) -> None:
    """Says what is left out, and what an accelerator decided where nobody typed --tune."""
    for name, reason in plan.skipped.items():
        session.report(f"{name} is left out: {reason}")
    if not plan.accelerated:
        return
    lora = "; ".join(cell.label for cell in plan.cells if cell.tune_chosen)
    heads = "; ".join(cell.label for cell in plan.cells if cell.config.get("tune") == "head")
    if lora:
        session.report(
            f"there is an accelerator, so this is --tune lora (else type --tune head): {lora}"
        )
    if heads:
        session.report(f"this is --tune head: {heads}")


@contextlib.contextmanager
def _scratch_folder() -> Iterator[Path | None]:
    """A folder for the length of the block in processes that do not lead; None in the first."""
    from plt.train.runtime.processes import leads

    if leads():
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="plt-") as folder:
        yield Path(folder)


def _run_cell(cell: Cell, session: Session, *, alone: bool) -> Made | Failed | Held:
    """Makes the run of a cell, or says why it failed so that the others can go on.

    Raises:
        PltError: The cell is `alone`, and failed.
    """
    from plt.data.run import Held
    from plt.train.runtime.processes import world_size

    try:
        return make_run(cell, session)
    except TakenOver as taken:
        # What fails in one process alone must end all, which would wait for it for ever.
        if alone or world_size() > 1:
            raise
        session.report(f"{cell.label}: {taken.message}")
        return Held(taken.folder, taken.by)
    except PltError as error:
        if alone:
            raise
        failure = Failed(cell.label, ": ".join([error.message, *error.problems]), error.exit_code)
    except Exception as error:
        if alone or world_size() > 1:
            raise
        failure = Failed(cell.label, f"{type(error).__name__}: {error}", FAILED)
    session.report(f"{cell.label}: failed: {failure.reason}")
    return failure
