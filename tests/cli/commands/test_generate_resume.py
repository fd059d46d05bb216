"""A `plt generate` that is killed goes on where it was, and ends with the bits of one that is not.

The kill is a real SIGKILL in the middle of the writing.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plt.cli import main
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import write_preferences
from plt.data.tables.schema import GENERATIONS
from plt.data.tables.table import read_table
from tests.data.made_tables import crossed

ROOT = Path(__file__).resolve().parents[3]
LINE = [
    "generate", "builtin:tiny", "--prompts", "t.parquet", "--n-prompts", "4", "--n", "4",
    "--batch-size", "2", "--max-new-tokens", "60", "-o", "g.parquet",
]  # fmt: skip
N_TEXTS, BATCH = 16, 2


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    prefs = split(crossed(3, 40), SplitPlan(by="pair", unseen_users=0.0))
    write_preferences(prefs, tmp_path / "t.parquet")
    return tmp_path


def killed_in_the_middle(line: list[str], partial: Path) -> set[str]:
    """Kills the command when it has finished a few batches; the names of those."""
    process = subprocess.Popen(
        [sys.executable, "-m", "plt", *line], stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    until = time.monotonic() + 60
    while len(list(partial.glob("*.json"))) < 3 and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    return {path.name for path in partial.glob("[!.]*.json")}


@pytest.mark.slow
def test_a_killed_line_loses_nothing_and_ends_with_the_same_bits(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    partial = folder / "g.parquet.partial"
    kept = killed_in_the_middle(LINE, partial)
    assert 3 <= len(kept) < N_TEXTS // BATCH
    assert not (folder / "g.parquet").exists()
    # Another line finds none of them.
    line = [*LINE, "--seed", "1", "--n", "1", "--max-new-tokens", "4", "-o", "other.parquet"]
    assert main(line) == 0
    assert "interrupted" not in capfd.readouterr().err
    assert {path.name for path in partial.glob("[!.]*.json")} == kept
    assert main(LINE) == 0
    said = f"{BATCH * len(kept)} of {N_TEXTS} texts were kept from an interrupted line"
    assert said in capfd.readouterr().err
    assert not partial.exists()
    resumed = (folder / "g.parquet").read_bytes()
    (folder / "g.parquet").unlink()
    assert main(LINE) == 0
    assert "interrupted" not in capfd.readouterr().err
    assert (folder / "g.parquet").read_bytes() == resumed
    texts, _ = read_table(Path("g.parquet"), GENERATIONS)
    assert texts.height == N_TEXTS


def test_files_of_somebody_else_stay_in_the_folder(folder: Path) -> None:
    partial = folder / "g.parquet.partial"
    partial.mkdir()
    (partial / "mine.json").write_text("{}")
    assert main([*LINE, "--n", "1", "--max-new-tokens", "4"]) == 0
    assert [path.name for path in partial.iterdir()] == ["mine.json"]
