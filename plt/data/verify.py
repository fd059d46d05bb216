"""Does a run still hold what it held, and do two runs say the same?"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plt.data.run import CONFIG, MANIFEST, SCORES_FILE, Run, hash_outputs, load_run
from plt.data.tables.files import atomic_path
from plt.data.tables.schema import SCORES
from plt.data.tables.table import read_table
from plt.errors import ArtifactError

FloatArray: TypeAlias = NDArray[np.float64]

ROW = (
    "pair_id", "user_id", "occurrence", "scored_as", "control", "n_shots", "draw", "variant",
)  # fmt: skip


REFERENCE_FILE = "reference.json"
"""Beside a stored reference: how far another machine may be from it."""
KEPT = (MANIFEST, CONFIG, SCORES_FILE)
"""What a stored reference holds; a model is not compared."""
DRIFT = 0.1
"""What the mean difference may be, as a share of the tolerance: rounding has no direction."""
MACHINE = (
    ("processor", "processor", "another processor rounds otherwise"),
    ("features_made_by", "features made by", "another processor rounds otherwise"),
    ("threads", "threads", "sums in other parts round otherwise"),
    ("packages", "packages", "other versions may compute otherwise"),
)


@dataclass(frozen=True)
class Verification:
    """The outcome of a check.

    Attributes:
        problems: What differs, in sentences; empty when it is reproduced.
        n_files: Files that were re-hashed.
        n_margins: Margins that were compared; null without a reference.
        largest: Largest absolute difference of two margins; null without a reference.
        tolerance: What it was held to; null without a reference.
        machine: How the two machines differ, in sentences; the same machine is held to the bit.
    """

    problems: list[str]
    n_files: int
    n_margins: int | None = None
    largest: float | None = None
    tolerance: float | None = None
    machine: tuple[str, ...] = ()


def verify(
    run: Path, reference: Path | None = None, *, tolerance: float | None = None
) -> Verification:
    """Re-hashes a run's files, and compares its margins with a reference's.

    Args:
        run: A finished run.
        reference: Another finished run, or what `store_reference` kept of one; None checks the
            files only.
        tolerance: Largest absolute difference of two margins that counts as the same. None is
            that which is stored with the reference where the machines differ, else 0. Beyond 0,
            neither the mean difference nor that in the direction of the margins may be more than
            a tenth of it: what drifts one way is no rounding.

    Raises:
        ArtifactError: One of them is no finished run, or what is stored cannot be read.
    """
    found = load_run(run)
    problems = _changed_files(found)
    n_files = len(found.record.get("outputs", {}))
    if reference is None:
        return Verification(problems, n_files)
    other = load_run(reference)
    stored = stored_tolerance(reference)
    problems += _changed_files(other, pruned=stored is not None) + _other_question(found, other)
    machine = _other_machine(found, other)
    if tolerance is None:
        tolerance = stored if machine and stored is not None else 0.0
    margins, n, largest = _compare_margins(run, reference, tolerance)
    if largest is not None and largest > tolerance:
        margins += machine
    return Verification(problems + margins, n_files, n, largest, tolerance, tuple(machine))


def store_reference(run: Path, folder: Path, tolerance: float) -> None:
    """Keeps what a later run is compared with: manifest, config and scores, and the tolerance.

    Args:
        run: A finished run whose files are what they were.
        folder: A new folder, or one that holds such a reference already.
        tolerance: For margins of other machines, in log-odds, above 0.

    Raises:
        ArtifactError: The run did not finish or has changed, or the folder holds something else.
    """
    found = load_run(run)
    if problems := _changed_files(found):
        hint = f"plt verify {run}"
        raise ArtifactError(f"{run} is not what it was", problems=problems, hint=hint)
    held = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if folder.exists() and (not folder.is_dir() or set(held) - {*KEPT, REFERENCE_FILE}):
        raise ArtifactError(
            f"{folder} holds something else than a stored reference",
            problems=[name for name in held if name not in (*KEPT, REFERENCE_FILE)],
            hint="plt verify RUN --store NEW_FOLDER --tolerance 1e-4",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes((run / name).read_bytes())
    document = json.dumps({"schema": "reference/1", "margin_tolerance": tolerance}, indent=2)
    with atomic_path(folder / REFERENCE_FILE) as temporary:
        temporary.write_text(document + "\n", encoding="utf-8")


def stored_tolerance(reference: Path) -> float | None:
    """What is stored with a reference; None for a whole run.

    Raises:
        ArtifactError: It cannot be read.
    """
    path = reference / REFERENCE_FILE
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        document = None
    found = document.get("margin_tolerance") if isinstance(document, dict) else None
    tolerance = math.nan
    if isinstance(found, int | float) and not isinstance(found, bool):
        tolerance = float(found)
    if not 0 < tolerance < math.inf:
        raise ArtifactError(
            f"{path} does not say which margin_tolerance is meant",
            hint="plt verify RUN --store FOLDER --tolerance 1e-4",
        )
    return tolerance


def _changed_files(run: Run, *, pruned: bool = False) -> list[str]:
    """What is not as the run left it; of a stored reference only what was kept."""
    recorded: dict[str, str] = run.record.get("outputs", {})
    now = hash_outputs(run.path)
    if pruned:
        recorded = {name: recorded[name] for name in KEPT if name in recorded}
        now.pop(REFERENCE_FILE, None)
    problems = [f"{run.path / name} is gone" for name in recorded if name not in now]
    problems += [
        f"{run.path / name} has changed since the run ended"
        for name, digest in recorded.items()
        if name in now and now[name] != digest
    ]
    return problems + [f"{run.path / name} is new" for name in now if name not in recorded]


def _other_question(run: Run, reference: Run) -> list[str]:
    one, other = run.identity, reference.identity
    pairs = {
        "command": (one.command, other.command),
        "method": (one.method, other.method),
        "config": (dict(one.config), dict(other.config)),
        "seed": (one.seed, other.seed),
        "inputs": (dict(one.inputs), dict(other.inputs)),
    }
    return [
        f"{name}: {here!r} against {there!r} in the reference"
        for name, (here, there) in pairs.items()
        if here != there
    ]


def _other_machine(run: Run, reference: Run) -> list[str]:
    """In what the machines differ that computed the two."""
    lines = []
    for key, what, why in MACHINE:
        here, there = run.record.get(key), reference.record.get(key)
        if isinstance(here, Mapping) and isinstance(there, Mapping):
            one, other = _less(here, there), _less(there, here)
            here, there = one, other
        if here != there:
            both = f"{_names(here)} against {_names(there)} in the reference"
            lines.append(f"{what}: {both}; {why}")
    return lines


def _less(some: Mapping[str, str], others: Mapping[str, str]) -> list[str]:
    """The entries that the others do not have."""
    return [f"{key} {value}" for key, value in sorted(some.items()) if others.get(key) != value]


def _names(found: object) -> str:
    if found is None:
        return "one that the manifest does not name"
    if isinstance(found, Mapping):
        return _names([f"{key} {value}" for key, value in sorted(found.items())])
    if not isinstance(found, Sequence):
        return str(found)
    return found if isinstance(found, str) else ", ".join(found) or "none"


def _compare_margins(
    run: Path, reference: Path, tolerance: float
) -> tuple[list[str], int, float | None]:
    tables = []
    for path in (run, reference):
        table, _ = read_table(path / SCORES_FILE, SCORES)
        names = pl.col("user_id", "scored_as", "control").cast(pl.String)
        tables.append(table.with_columns(names).select(*ROW, "margin"))
    here, there = tables
    both = here.join(there, on=list(ROW), how="inner", suffix="_reference", nulls_equal=True)
    problems = []
    alone = here.height + there.height - 2 * both.height
    if alone:
        problems.append(f"{alone} judgements are scored in one of the runs only")
    if both.height == 0:
        return problems, 0, None
    difference = both["margin"] - both["margin_reference"]
    sizes = difference.abs()
    largest = float(sizes.to_numpy().max())
    if largest > tolerance:
        over = int((sizes > tolerance).sum())
        drift = float(difference.to_numpy().mean())
        problems.append(
            f"{over} of {both.height} margins differ by more than {tolerance:g}:"
            f" by {largest:.3g} at most, {drift:+.3g} on average"
        )
    elif tolerance > 0:
        problems += _drift(difference.to_numpy(), both["margin_reference"].to_numpy(), tolerance)
    return problems, both.height, largest


def _drift(difference: FloatArray, margins: FloatArray, tolerance: float) -> list[str]:
    """Differences within the tolerance that all go one way: a change, and no rounding."""
    ways = (("upwards", difference), ("away from 0", difference * np.sign(margins)))
    return [
        f"the margins differ by {float(values.mean()):+.3g} on average, {way}: more than a tenth of"
        f" the tolerance {tolerance:g}, so something has changed"
        for way, values in ways
        if abs(float(values.mean())) > DRIFT * tolerance
    ]
