"""`plt dataset-concat` as a person types it."""

import io
import json
import sys
from pathlib import Path

import polars as pl
import pytest

from plt.cli import main
from plt.data.tables.preferences import read_preferences, write_preferences
from tests.data.made_tables import crossed

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole = crossed(6, 20)
    half = pl.col("pair_id") % 2 == 0
    write_preferences(whole, Path("whole.parquet"))
    write_preferences(whole.filter(half), Path("one.parquet"))
    write_preferences(whole.filter(~half), Path("other.parquet"))


def test_two_files_become_one(capfd: Captured) -> None:
    line = ["dataset-concat", "one.parquet", "other.parquet", "-o", "both.parquet", "--json"]
    assert main(line) == 0
    found = capfd.readouterr()
    said = json.loads(found.out)
    whole = read_preferences(Path("whole.parquet"))
    assert said["n_judgements"] == whole.n_judgements
    assert [each["table"] for each in said["tables"]] == ["one.parquet", "other.parquet"]
    assert "6 of 6 users judged in several tables" in found.err
    assert "2 tables joined" in found.err
    both = read_preferences(Path("both.parquet"))
    assert both.meta.content == whole.meta.content


def piped(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_paths_and_a_table_come_through_a_pipe(
    capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped(monkeypatch, b"one.parquet\nother.parquet\n")
    assert main(["dataset-concat", "-", "-o", "paths.parquet"]) == 0
    piped(monkeypatch, Path("one.parquet").read_bytes())
    assert main(["dataset-concat", "other.parquet", "-", "-o", "bytes.parquet"]) == 0
    capfd.readouterr()
    contents = {read_preferences(Path(f"{n}.parquet")).meta.content for n in ("paths", "bytes")}
    assert contents == {read_preferences(Path("whole.parquet")).meta.content}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["one.parquet"], "two or more are joined"),
        (["one.parquet", "one.parquet"], "hold the same judgements"),
        (["one.parquet", "whole.parquet"], "--again repeats, or --again copies"),
        (["one.parquet", "other.parquet", "--again", "twice"], "known are repeats, copies"),
        (["one.parquet", "missing.parquet"], "missing.parquet"),
    ],
)
def test_what_cannot_be_joined_is_refused_and_nothing_written(
    line: list[str], said: str, capfd: Captured
) -> None:
    assert main(["dataset-concat", *line, "-o", "x.parquet"]) == 2
    assert said in capfd.readouterr().err
    assert not Path("x.parquet").exists()
