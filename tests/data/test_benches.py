"""Benchmarks from files: RewardBench 1 and 2, RM-Bench, any table; what is unknown is named."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from plt.data.benches import BENCHES, EVERYTHING, bench_of, read_bench
from plt.data.sources import rewardbench, rewardbench2, rm_bench
from plt.data.tables.preferences import write_preferences
from plt.errors import DataError, UsageError
from tests.data.made_tables import crossed

Rows = list[Mapping[str, Any]]


def write(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path: Path, rows: Rows) -> tuple[Any, list[str]]:
    said: list[str] = []
    return read_bench(write(path, rows), said.append), said


def one(subset: str, i: int = 0) -> dict[str, Any]:
    return {"prompt": f"q {subset} {i}", "chosen": f"yes {i}", "rejected": f"no {i}",
            "subset": subset, "id": i}  # fmt: skip


def test_every_layout_names_each_subset_of_its_source_once() -> None:
    assert set(BENCHES["rewardbench"].subsets) == set(rewardbench.COUNTS)
    assert set(BENCHES["rewardbench2"].subsets) == set(rewardbench2.COUNTS)
    assert set(BENCHES["rm-bench"].subsets) == set(rm_bench.SUBSETS)
    reasoning = BENCHES["rewardbench"].sections["Reasoning"]
    assert reasoning["math-prm"] == sum(w for name, w in reasoning.items() if name != "math-prm")


def test_rewardbench_2_makes_a_pair_of_each_correct_and_wrong_answer(tmp_path: Path) -> None:
    rows: Rows = [
        {"id": "1", "prompt": "q", "chosen": ["good"], "rejected": ["a", "b", "c"],
         "subset": "Math"},
        {"id": "1", "prompt": "r", "chosen": ["good"], "rejected": ["a", "b", "c"],
         "subset": "Focus"},
        {"id": "tied:0", "prompt": "a colour", "chosen": ["red", "blue"], "rejected": ["dog", "x"],
         "subset": "Ties"},
        {"id": "9", "prompt": "s", "chosen": ["good"], "rejected": ["a"], "subset": "Maths"},
    ]  # fmt: skip
    prefs, said = read(tmp_path / "two.jsonl", rows)
    assert prefs.meta.dataset == "rewardbench2"
    counts = prefs.votes.group_by("group").len().sort("group").rows()
    assert counts == [("Focus/1", 3), ("Math/1", 3), ("Ties/tied:0", 4)]
    assert prefs.meta.dropped["unknown subset"] == 1
    assert "'Maths' is not RewardBench 2's; nearest: Math" in said[0]
    assert bench_of(prefs).unit == "item"
    wide = prefs.wide()
    chosen = [row["response_a"] if row["label"] > 0.5 else row["response_b"]
              for row in wide.iter_rows(named=True)]  # fmt: skip
    assert set(chosen) == {"good", "red", "blue"}
    with pytest.raises(DataError, match="names several items alike"):
        read(tmp_path / "two.jsonl", [rows[0], rows[0]])


def test_rm_bench_makes_nine_pairs_of_an_item(tmp_path: Path) -> None:
    styles = ["plain", "longer", "# showy"]
    item = {"id": "7", "prompt": "q", "domain": "chat", "chosen": [f"yes {s}" for s in styles],
            "rejected": [f"no {s}" for s in styles]}  # fmt: skip
    prefs, said = read(tmp_path / "styles.jsonl", [item])
    counts = prefs.votes.group_by("subset").len().sort("subset").rows()
    assert counts == [("chat: easy", 3), ("chat: hard", 3), ("chat: normal", 3)]
    assert prefs.votes["group"].unique().to_list() == ["chat/7"]
    assert "lacks 4 of 5 domains" in said[0]
    hard = prefs.wide().filter(prefs.wide()["subset"].cast(str) == "chat: hard")
    pairs = {
        frozenset((row["response_a"], row["response_b"])) for row in hard.iter_rows(named=True)
    }
    assert pairs == {
        frozenset(("yes plain", "no longer")), frozenset(("yes plain", "no # showy")),
        frozenset(("yes longer", "no # showy")),
    }  # fmt: skip
    with pytest.raises(DataError, match="cannot be converted") as caught:
        read(tmp_path / "styles.jsonl", [{**item, "chosen": ["one", "two"]}])
    assert "not 3 texts" in caught.value.problems[0]


def test_a_file_in_no_known_columns_says_which_are_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="RewardBench's") as caught:
        read(tmp_path / "x.jsonl", [{"prompt": "q", "chosen": "a", "rejected": "b"}])
    assert caught.value.problems == ["no column subset"]
    with pytest.raises(DataError, match="is a folder"):
        read_bench(tmp_path, lambda _: None)


def test_any_table_has_one_section_a_subset(tmp_path: Path) -> None:
    prefs = crossed(3, 8)
    path = tmp_path / "own.parquet"
    write_preferences(prefs, path)
    found = read_bench(path, lambda _: None)
    bench = bench_of(found)
    assert dict(bench.sections) == {EVERYTHING: {EVERYTHING: 1.0}}
    assert bench.averaged == ()


def test_the_way_of_dong_is_about_rewardbench_only(tmp_path: Path) -> None:
    prefs, _ = read(tmp_path / "one.jsonl", [one("hep-go"), one("mt-bench-medium")])
    assert bench_of(prefs, "s0").name == "rewardbench:s0"
    assert bench_of(prefs).name == "rewardbench"
    with pytest.raises(UsageError, match="about RewardBench"):
        bench_of(crossed(3, 8), "s0")
    with pytest.raises(UsageError, match="known are official, s0"):
        bench_of(prefs, "s1")


def test_the_raw_split_is_read_from_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "filtered-0.jsonl", [one("hep-go")])
    write(tmp_path / "raw-0.jsonl", [one("hep-go", 1), one("hep-go", 2)])
    prefs = rewardbench.load(tmp_path, "s0", lambda _: None)
    assert prefs.votes.height == 2
    assert prefs.meta.dataset == "rewardbench:s0"


def test_rows_with_a_subset_that_rewardbench_does_not_have(
    tmp_path: Path, shared_data: Path
) -> None:
    unknown = shared_data / "rewardbench_like" / "unknown_subset_rows.jsonl.gz"
    with pytest.raises(DataError, match="no subset of RewardBench") as caught:
        read_bench(unknown, lambda _: None)
    assert caught.value.problems == ["alpacaeval: 129 rows"]
    lines = gzip.decompress(unknown.read_bytes()).decode("utf-8").splitlines()
    prefs, said = read(tmp_path / "mixed.jsonl", [*map(json.loads, lines), one("hep-go")])
    assert prefs.votes.height == 1
    assert prefs.meta.dropped["unknown subset"] == 129
    assert "129 rows left out" in said[0]
