"""What an interrupted command finds again, and what it must not find."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from plt.errors import ArtifactError
from plt.train.method import Compute
from plt.train.writing.sampling import Continuation, Sampling, Start
from plt.train.writing.text_store import TextStore, text_store

STARTS = [Start([1, 5, 6], None, 2**120 + 1), Start([1, 7], None, 4)]
TEXTS = [Continuation([8, 9], True), Continuation([], False)]


class Silent:
    """A guide that changes nothing."""

    users: tuple[str, ...] = ()
    reach = 0

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint

    def guided(
        self, model: Any, logits: Tensor, cache: Any, mask: Tensor, users: Sequence[str | None]
    ) -> Tensor:
        return logits


def store(
    folder: Path, weights: str = "w", sampling: Sampling | None = None, dtype: str = "float32"
) -> TextStore:
    return text_store(folder, weights, sampling or Sampling(), Compute("cpu", dtype))


def test_a_batch_is_found_by_everything_that_decides_its_texts(tmp_path: Path) -> None:
    own = store(tmp_path).of("own")
    assert own.find(STARTS) is None
    own.add(STARTS, TEXTS)
    again = store(tmp_path)
    assert again.of("own").find(STARTS) == TEXTS
    assert again.found == [2]
    one, two = STARTS
    for starts in ([one], [two, one], [one, replace(two, seed=5)], [one, replace(two, ids=[1])]):
        assert own.find(starts) is None
    guided = [Sampling(guide=Silent(name)) for name in "ab"]
    others = [
        store(tmp_path).of("reference"),
        store(tmp_path, "other").of("own"),
        store(tmp_path, dtype="bfloat16").of("own"),
        *(store(tmp_path, sampling=how).of("own") for how in (Sampling(0.5), *guided)),
    ]
    assert [other.find(STARTS) for other in others] == [None] * len(others)
    for other in others:
        other.add(STARTS, TEXTS)
    assert len(list(tmp_path.iterdir())) == 1 + len(others)


def test_the_end_removes_its_own_files_those_of_a_kill_included(tmp_path: Path) -> None:
    folder = tmp_path / "t.parquet.partial"
    kept = store(folder)
    kept.clear()
    kept.add(STARTS, TEXTS)
    (name,) = (path.name for path in folder.iterdir())
    (folder / f".{name}.x1y2.tmp").write_text("[[8")
    (folder / "notes.json").write_text("{}")
    kept.clear()
    assert [path.name for path in folder.iterdir()] == ["notes.json"]
    (folder / "notes.json").unlink()
    kept.clear()
    assert not folder.exists()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.add(STARTS, TEXTS)
    (path,) = tmp_path.iterdir()
    for content in ("[[1", "{}1", "[1]", '{"a": 1}'):
        path.write_text(content)
        with pytest.raises(ArtifactError, match=r"\.json is damaged") as caught:
            kept.find(STARTS)
        assert caught.value.hint == f"rm {path}"
