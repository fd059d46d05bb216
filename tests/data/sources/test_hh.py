import gzip
import json
from pathlib import Path

import pytest

from plt.data.sources import hh
from plt.errors import DataError, UsageError


def transcript(answer: str, question: str = "hi") -> str:
    return f"\n\nHuman: {question}\n\nAssistant: {answer}"


def write(folder: Path, name: str, rows: list[tuple[str, str]]) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"chosen": one, "rejected": two}) + "\n" for one, two in rows]
    path.write_bytes(gzip.compress("".join(lines).encode()))


def test_folders_are_subsets_and_files_are_splits(tmp_path: Path) -> None:
    pair = (transcript("x"), transcript("y"))
    write(tmp_path, "harmless-base/train.jsonl.gz", [pair, (transcript("a"), transcript("b", "?"))])
    write(tmp_path, "helpful-base/test.jsonl.gz", [pair])
    said: list[str] = []
    prefs = hh.load(tmp_path, None, said.append)
    found = prefs.votes.select("subset", "split").sort("subset").rows()
    assert [tuple(map(str, row)) for row in found] == [
        ("harmless-base", "train"),
        ("helpful-base", "test"),
    ]
    assert prefs.meta.dropped == {"prompts differ": 1}
    assert prefs.pairs["prompt"][0].to_list() == [{"role": "user", "content": "hi"}]
    only = hh.load(tmp_path, "helpful", said.append)
    assert set(only.votes["subset"].cast(str)) == {"helpful-base"}
    with pytest.raises(UsageError, match="no variant"):
        hh.load(tmp_path, "online", said.append)


def test_git_lfs_pointers_are_named(tmp_path: Path) -> None:
    write(tmp_path, "harmless-base/test.jsonl.gz", [(transcript("x"), transcript("y"))])
    pointer = tmp_path / "helpful-base" / "test.jsonl.gz"
    pointer.parent.mkdir()
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    with pytest.raises(DataError, match="git-LFS pointer") as caught:
        hh.load(tmp_path)
    assert caught.value.hint == "git lfs pull"


def test_harmless_base(shared_data: Path) -> None:
    prefs = hh.load(shared_data / "hh_rlhf" / "harmless-base_test.jsonl.gz", None, lambda _: None)
    assert prefs.votes.height == 2303
    assert prefs.meta.dropped == {"prompts differ": 5, "empty response": 4}
    assert set(prefs.votes["subset"].cast(str)) == {"harmless-base"}
    assert set(prefs.votes["split"]) == {"test"}
