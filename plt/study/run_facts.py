"""What the manifest and the files of a run say of it, beside its scores."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plt.errors import ArtifactError, DataError, PltError

if TYPE_CHECKING:
    from plt.analyze.comparison.entries import Condition, Cost
    from plt.data.run import Run

MAX_DEPTH = 4
"""So many folders below the one that was named are looked into for runs."""
DATA_INPUTS = ("preferences", "groups", "texts")
"""Inputs that all runs of one comparison must share; `users` and `model` may differ."""


@dataclass(frozen=True)
class Looks:
    """How often the test rows of a comparison were looked at.

    Attributes:
        known: Finished runs that were measured on the data of these runs, in the folders where
            these runs lie. A lower bound: runs that were deleted or lie elsewhere are not seen.
        shown: How many of them stand in this comparison.
    """

    known: int
    shown: int


def condition_of(run: Run) -> Condition:
    """What a run was made under, as its manifest has it."""
    from plt.analyze.comparison.entries import Condition

    config = run.identity.config
    settings = config.get("set", {})
    return Condition(
        model=settings.get("model"),
        tune=settings.get("tune"),
        train_size=config.get("train_size"),
        train_size_of=config.get("train_size_of"),
        rows_a_user=run.record.get("training", {}).get("rows_a_user"),
        select=config.get("select"),
    )


def cost_of(run: Run) -> Cost:
    """What a run took, as its manifest and the headers of its arrays have it."""
    from plt.analyze.comparison.entries import Cost
    from plt.data.run import MODEL

    return Cost(
        seconds=run.record.get("seconds"),
        peak_memory_mib=run.record.get("peak_memory_mib"),
        parameters=_parameters(run.path / MODEL),
        tokens=run.record.get("tokens"),
        judgements=run.record.get("training", {}).get("rows"),
    )


def data_argument(run: Run) -> str | None:
    """What was typed as DATA when the run was made, as its `config.toml` has it."""
    from plt.data.identity import GIVEN
    from plt.data.run import CONFIG

    try:
        config = tomllib.loads((run.path / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    data = config.get(run.identity.command, {}).get("data")
    return data if isinstance(data, str) and data not in (GIVEN, "-") else None


def _parameters(model: Path) -> int | None:
    """Numbers in the safetensors files of a model, by their headers alone; None without a model."""
    if not model.is_dir():
        return None
    return sum(_numbers(path) for path in sorted(model.rglob("*.safetensors")))


def _numbers(path: Path) -> int:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    total = 0
    for name, array in header.items():
        if name != "__metadata__":
            count = 1
            for length in array["shape"]:
                count *= length
            total += count
    return total


def check_untouched(run: Run, name: str) -> None:
    """Refuses a file of a run that is not what the run wrote.

    Raises:
        ArtifactError: It is gone, or other than the manifest's hash says.
    """
    path = run.path / name
    recorded = run.record.get("outputs", {}).get(name)
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}") from error
    if recorded is not None and found != recorded:
        raise ArtifactError(
            f"{path} has changed since the run ended, so nothing is said of it",
            hint=f"plt verify {run.path}",
        )


def runs_below(folder: Path) -> list[Path]:
    """Folders below one that hold a manifest, and scores tables, in the order of their paths.

    Folders of runs are not looked into, hidden ones neither.
    """
    from plt.data.run import MANIFEST

    def walk(at: Path, depth: int) -> Iterator[Path]:
        entries = sorted(at.iterdir())
        for entry in entries:
            if entry.is_file() and _is_scores(entry):
                yield entry
        for entry in entries:
            if entry.is_symlink() or not entry.is_dir() or entry.name.startswith("."):
                continue
            if (entry / MANIFEST).is_file():
                yield entry
            elif depth:
                yield from walk(entry, depth - 1)

    return list(walk(folder, MAX_DEPTH))


def _is_scores(path: Path) -> bool:
    import polars as pl

    from plt.data.tables.schema import SCORES

    if path.suffix != ".parquet":
        return False
    try:
        return pl.read_parquet_metadata(path).get("plt.schema") == SCORES.tag
    except (OSError, pl.exceptions.PolarsError):
        return False


def refuse_other_data(runs: Iterable[Run]) -> None:
    """Refuses runs of different data or splits, and says what differs.

    Raises:
        DataError: They do not share their data.
    """
    first: dict[bool, Run] = {}
    problems: list[str] = []
    for run in runs:
        # Runs of adapt are of new people, and stand beside each other only.
        problems += _differences(first.setdefault(run.identity.command == "adapt", run), run)
    if problems:
        raise DataError(
            "these runs are of different data or splits, so their figures cannot be compared",
            problems=problems,
            hint="score each on one table (plt score RUN DATA -o A.parquet), and report these",
        )


def _differences(first: Run, run: Run) -> list[str]:
    here, there = ({k: each.identity.inputs.get(k) for k in DATA_INPUTS} for each in (first, run))
    differ = [key for key in DATA_INPUTS if None not in (here[key], there[key])
              and here[key] != there[key]]  # fmt: skip
    if not differ:
        return []
    said = f"{run.path} against {first.path}: other {', '.join(_WHAT[key] for key in differ)}"
    splits = [_declared(each) for each in (first, run)]
    if splits[0] != splits[1]:
        said += f" ({splits[1]} against {splits[0]})"
    return [said]


_WHAT = {"preferences": "judgements or splits", "groups": "groups", "texts": "texts"}


def _declared(run: Run) -> str:
    """Data and split of a run, as its scores table says."""
    meta = scores_meta(run)
    split: dict[str, Any] = dict(meta.split or {})
    unit = split.get("protocol") or split.get("unit") or "no declared unit"
    seed = f", seed {split['seed']}" if "seed" in split else ""
    return f"{meta.dataset or 'unnamed'} by {unit}{seed}"


def scores_meta(run: Run) -> Any:
    """Metadata of the scores table of a run."""
    from plt.data.run import SCORES_FILE
    from plt.data.tables.table import read_meta

    return read_meta(run.path / SCORES_FILE)[0]


def count_looks(runs: Iterable[Run]) -> Looks | None:
    """How often the data of these runs was looked at; None without runs."""
    shown = {run.run_id: run for run in runs}
    if not shown:
        return None
    data = {run.identity.inputs.get("preferences") for run in shown.values()}
    known = set(shown)
    for folder in sorted({run.path.resolve().parent for run in shown.values()}):
        known |= {run.run_id for run in _finished_in(folder)
                  if run.identity.inputs.get("preferences") in data}  # fmt: skip
    return Looks(len(known), len(shown))


def _finished_in(folder: Path) -> Iterator[Run]:
    from plt.data.run import MANIFEST, load_manifest

    for entry in sorted(folder.iterdir()):
        if not (entry / MANIFEST).is_file():
            continue
        try:
            run = load_manifest(entry)
        except PltError:
            continue
        if run.finished:
            yield run
