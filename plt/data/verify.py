"""Does a run still hold what it held, and do two runs say the same?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from plt.data.run import SCORES_FILE, Run, hash_outputs, load_run
from plt.data.tables.schema import SCORES
from plt.data.tables.table import read_table

ROW = (
    "pair_id", "user_id", "occurrence", "scored_as", "control", "n_shots", "draw", "variant",
)  # fmt: skip


@dataclass(frozen=True)
class Verification:
    """The outcome of a check.

    Attributes:
        problems: What differs, in sentences; empty when it is reproduced.
        n_files: Files that were re-hashed.
        n_margins: Margins that were compared; null without a reference.
        largest: Largest absolute difference of two margins; null without a reference.
    """

    problems: list[str]
    n_files: int
    n_margins: int | None = None
    largest: float | None = None


def verify(run: Path, reference: Path | None = None, *, tolerance: float = 0.0) -> Verification:
    """Re-hashes a run's files, and compares its margins with a reference's.

    Args:
        run: A finished run.
        reference: Another finished run, or None to check the files only.
        tolerance: Largest absolute difference of two margins that counts as the same.

    Raises:
        ArtifactError: One of them is no finished run.
    """
    found = load_run(run)
    problems = _changed_files(found)
    n_files = len(found.record.get("outputs", {}))
    if reference is None:
        return Verification(problems, n_files)
    other = load_run(reference)
    problems += _changed_files(other) + _other_question(found, other)
    margins, n, largest = _compare_margins(run, reference, tolerance)
    if largest is not None and largest > tolerance:
        margins += _other_processors(found, other)
    return Verification(problems + margins, n_files, n, largest)


def _changed_files(run: Run) -> list[str]:
    recorded: dict[str, str] = run.record.get("outputs", {})
    now = hash_outputs(run.path)
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


def _other_processors(run: Run, reference: Run) -> list[str]:
    """What processors of other families computed, which round sums in other ways."""
    lines = []
    for key, what in (("processor", "processor"), ("features_made_by", "features made by")):
        here, there = (_names(each.record.get(key)) for each in (run, reference))
        if here != there:
            rounds = "another processor rounds otherwise"
            lines.append(f"{what}: {here} against {there} in the reference; {rounds}")
    return lines


def _names(found: Sequence[str] | str | None) -> str:
    if found is None:
        return "one that the manifest does not name"
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
    return problems, both.height, largest
