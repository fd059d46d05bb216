import json
from collections import Counter
from pathlib import Path

import pytest

from plt.data.sources import rewardbench
from plt.errors import DataError


def row(subset: str, i: int = 0, **more: object) -> dict[str, object]:
    return {
        "prompt": f"question {subset} {i}", "chosen": f"good {i}", "chosen_model": "m",
        "rejected": f"bad {i}", "rejected_model": "n", "subset": subset, "id": i, **more,
    }  # fmt: skip


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def test_the_published_numbers_add_up() -> None:
    assert sum(rewardbench.COUNTS.values()) == 2985
    names = [name for section in rewardbench.SECTIONS.values() for name in section]
    assert sorted(names) == sorted(rewardbench.COUNTS)
    totals = {
        section: sum(rewardbench.WEIGHTS[name] for name in names)
        for section, names in rewardbench.SECTIONS.items()
    }
    assert totals == {"Chat": 358, "Chat Hard": 456, "Safety": 740, "Reasoning": 1968}
    assert rewardbench.WEIGHTS["math-prm"] * 2 == totals["Reasoning"]
    assert rewardbench.section_of("donotanswer") == "Safety"
    assert rewardbench.section_of("do not answer") is None


def test_a_whole_file_says_nothing(tmp_path: Path) -> None:
    rows = [row(name, i) for name, n in rewardbench.COUNTS.items() for i in range(n)]
    said: list[str] = []
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder / "filtered-00000.jsonl", rows)
    write(folder / "raw-00000.jsonl", rows[:5])
    prefs = rewardbench.load(tmp_path, None, said.append)
    assert said == []
    assert prefs.votes.height == 2985
    found = Counter(prefs.votes["subset"].cast(str).to_list())
    assert dict(found) == dict(rewardbench.COUNTS)
    assert prefs.votes["user_id"].null_count() == 2985


def test_both_spellings_lists_of_messages_and_unknown_subsets(tmp_path: Path) -> None:
    messages = [
        {"role": "user", "content": "one"}, {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"},
    ]  # fmt: skip
    rows = [row("mt-bench-medium"), row("mt-bench-med", 1, prompt=messages), row("alpacaeval")]
    said: list[str] = []
    prefs = rewardbench.load(write(tmp_path / "x.jsonl", [*rows, row("other")]), None, said.append)
    assert set(prefs.votes["subset"]) == {"mt-bench-med"}
    assert messages in prefs.pairs["prompt"].to_list()
    assert prefs.meta.dropped == {"unknown subset": 2}
    assert "'alpacaeval' is not RewardBench's; nearest: alpacaeval-hard" in said[0]
    assert "lacks 22 of 23 subsets" in said[2]
    assert "mt-bench-med 2 of 40" in said[3]
    wide = prefs.wide().row(0, named=True)
    side = "a" if wide["response_a"].startswith("good") else "b"
    assert wide["label"] == float(side == "a")
    assert wide[f"source_{side}"] == "m"


def test_no_known_subset_and_no_column(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no subset of RewardBench") as caught:
        rewardbench.load(write(tmp_path / "x.jsonl", [row("a"), row("a")]), None, lambda _: None)
    assert caught.value.problems == ["a: 2 rows"]
    with pytest.raises(DataError, match="not in the expected form") as caught:
        rewardbench.load(write(tmp_path / "x.jsonl", [{"prompt": "q", "choosen": "x"}]))
    assert len(caught.value.problems) == 3
    assert "nearest: choosen" in caught.value.problems[0]
    with pytest.raises(DataError, match="holds no filtered"):
        rewardbench.load(tmp_path)


def test_rows_like_rewardbench(shared_data: Path) -> None:
    said: list[str] = []
    path = shared_data / "rewardbench_like" / "filtered_like.jsonl.gz"
    prefs = rewardbench.load(path, None, said.append)
    assert prefs.votes.height == 2134
    assert prefs.meta.dropped == {}
    assert "lacks 5 of 23 subsets: mt-bench-easy" in said[0]
    unknown = shared_data / "rewardbench_like" / "unknown_subset_rows.jsonl.gz"
    with pytest.raises(DataError, match="no subset of RewardBench"):
        rewardbench.load(unknown, None, said.append)
