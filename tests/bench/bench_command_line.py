"""How long a person waits: help, statistics of a small file, conversion of a large one.

Run with `make bench`; each prints its figure beside the budget.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plt.data.tables.preferences import write_preferences
from tests.data.made_tables import crossed

pytestmark = pytest.mark.bench


def seconds(*line: str, repeats: int = 5) -> float:
    """The fastest of several runs of a command in a process of its own."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "plt", *line], capture_output=True, check=True)
        times.append(time.perf_counter() - start)
    return min(times)


def test_help() -> None:
    found = seconds("--help")
    print(f"\nplt --help: {found:.3f} s (budget 0.25)")
    assert found <= 0.25


def test_statistics_of_a_thousand_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_preferences(crossed(10, 100), path)
    found = seconds("dataset-stats", str(path))
    print(f"\nplt dataset-stats on 1,000 rows: {found:.3f} s (budget 0.70)")
    assert found <= 0.70


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
    found = seconds("dataset-convert", "generic", str(raw), "-o", str(out), repeats=2)
    print(f"\nplt dataset-convert on 100,000 rows of JSONL: {found:.2f} s (budget 5)")
    assert found <= 5.0
