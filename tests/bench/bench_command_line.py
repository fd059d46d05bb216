"""How long a person waits: help and start-up of every command, a small file, a large one.

Run with `make bench`; each prints its figure beside the budget: the fastest of several runs by the
clock, and the median of the processor time. The smaller of the two is held to the budget: nothing
here sleeps, so on a busy machine processor time is nearer to what a person waits on a quiet one.
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from plt.cli.shell.app import COMMANDS
from plt.data.tables.preferences import write_preferences
from tests.data.made_tables import crossed

pytestmark = pytest.mark.bench

# The smallest real run of a command that loads no model, in a folder of small tables and a run.
SMALLEST = {
    "ls": ["ls"],
    "dataset-convert": ["dataset-convert", "generic", "raw.jsonl", "-o", "converted.parquet"],
    "dataset-simulate": ["dataset-simulate", "mirrored", "--users", "6", "-o", "made.parquet"],
    "dataset-split": ["dataset-split", "t.parquet", "--by", "pair", "-o", "divided.parquet"],
    "dataset-lint": ["dataset-lint", "split.parquet"],
    "dataset-stats": ["dataset-stats", "t.parquet"],
    "train": ["train", "split.parquet", "--method", "random", "--force", "-o", "again"],
    "score": ["score", "run", "split.parquet", "-o", "scores.parquet"],
    "report": ["report", "run"],
    "verify": ["verify", "run"],
}


@dataclass(frozen=True)
class Wait:
    """Seconds by the clock, the fastest run, and of the processor, the median run."""

    clock: float
    processor: float

    @property
    def seconds(self) -> float:
        """What is held to the budget."""
        return min(self.clock, self.processor)

    def __str__(self) -> str:
        return f"{self.clock:.3f} s, {self.processor:.3f} s of the processor"


def wait(*line: str, folder: Path | None = None, repeats: int = 5) -> Wait:
    """How long a command takes in a process of its own."""
    clock, processor = [], []
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "plt", *line], capture_output=True, check=True, cwd=folder
        )
        clock.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return Wait(min(clock), statistics.median(processor))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table, the same one split, raw rows, and a run."""
    made = tmp_path_factory.mktemp("small")
    write_preferences(crossed(6, 60), made / "t.parquet")
    rows = [
        {"user_id": f"u{i % 5}", "prompt": f"q{i}", "chosen": "yes", "rejected": "no"}
        for i in range(50)
    ]
    (made / "raw.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    for line in (
        ["dataset-split", "t.parquet", "--by", "pair", "-o", "split.parquet"],
        ["train", "split.parquet", "--method", "random", "-o", "run"],
    ):
        wait(*line, folder=made, repeats=1)
    return made


def test_help() -> None:
    found = wait("--help")
    print(f"\nplt --help: {found} (budget 0.25)")
    assert found.seconds <= 0.25


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(command: str) -> None:
    found = wait(command, "--help")
    print(f"\nplt {command} --help: {found} (budget 0.35)")
    assert found.seconds <= 0.35


@pytest.mark.parametrize("command", SMALLEST)
def test_start_of_a_command(command: str, folder: Path) -> None:
    found = wait(*SMALLEST[command], folder=folder)
    print(f"\nplt {' '.join(SMALLEST[command])}: {found} (budget 1)")
    assert found.seconds <= 1.0


def test_statistics_of_a_thousand_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_preferences(crossed(10, 100), path)
    found = wait("dataset-stats", str(path), repeats=7)
    print(f"\nplt dataset-stats on 1,000 rows: {found} (budget 0.70)")
    assert found.seconds <= 0.70


def test_conversion_of_a_hundred_thousand_rows(tmp_path: Path) -> None:
    raw = tmp_path / "raw.jsonl"
    with raw.open("w", encoding="utf-8") as file:
        for i in range(100_000):
            row = {
                "user_id": f"u{i % 500}",
                "prompt": f"Question {i // 10} " + "about something " * 5,
                "response_a": f"Answer one to {i} " + "with some words " * 10,
                "response_b": f"Answer two to {i} " + "with other words " * 10,
                "label": "a" if i % 3 else "b",
            }
            file.write(json.dumps(row) + "\n")
    out = tmp_path / "out.parquet"
    found = wait("dataset-convert", "generic", str(raw), "-o", str(out), repeats=2)
    print(f"\nplt dataset-convert on 100,000 rows of JSONL: {found} (budget 5)")
    assert found.seconds <= 5.0
