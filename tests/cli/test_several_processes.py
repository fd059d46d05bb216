"""Runs and scores are written by one process, or not at all."""

from pathlib import Path

import pytest

from plt.cli import main


@pytest.mark.parametrize(
    "line",
    [
        ["train", "synthetic:mirrored", "--method", "length"],
        ["score", "run", "t.parquet", "-o", "s"],
    ],
)
def test_a_launched_command_refuses_and_writes_nothing(
    line: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.chdir(tmp_path)
    assert main(line) == 2
    said = capfd.readouterr().err
    assert f"plt {line[0]} writes from one process" in said
    assert f"hint: env -u WORLD_SIZE -u RANK plt {line[0]}" in said
    assert list(tmp_path.iterdir()) == []
