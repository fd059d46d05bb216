"""Folders, patterns and shards as one raw table."""

from pathlib import Path

import polars as pl
import pytest

from plt.data.reading.shards import read_all
from plt.errors import DataError


def part(number: int) -> pl.DataFrame:
    return pl.DataFrame({"prompt": [f"q{number}"], "chosen": ["x"], "rejected": ["y"]})


def test_shards_are_one_table_with_the_split_of_their_names(tmp_path: Path) -> None:
    for place, split in enumerate(("train", "train", "test")):
        name = f"{split}-0000{place % 2}-of-00002.parquet"
        part(place).write_parquet(tmp_path / name)
    (tmp_path / "README.md").write_text("words")
    found = read_all(tmp_path)
    assert sorted(zip(found.columns["prompt"], found.columns["split"], strict=True)) == [
        ("q0", "train"), ("q1", "train"), ("q2", "test"),
    ]  # fmt: skip
    pattern = read_all(tmp_path / "train-*.parquet")
    assert pattern.columns["prompt"] == ["q0", "q1"]
    assert "split" not in pattern.columns


def test_a_folder_that_datasets_saved(tmp_path: Path) -> None:
    for place, split in enumerate(("train", "test")):
        folder = tmp_path / split
        folder.mkdir()
        part(place).write_ipc_stream(folder / "data-00000-of-00001.arrow")
        (folder / "dataset_info.json").write_text("{}")
        (folder / "state.json").write_text('{"_data_files": []}')
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    found = read_all(tmp_path)
    assert sorted(found.columns["split"]) == ["test", "train"]


def test_files_that_are_no_shards_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="without JSONL"):
        read_all(tmp_path)
    (tmp_path / "votes.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "people.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="no shards of one") as caught:
        read_all(tmp_path)
    assert caught.value.problems == ["found: people.csv, votes.jsonl"]
    with pytest.raises(DataError, match="no file fits"):
        read_all(tmp_path / "x*.jsonl")
