from pathlib import Path

import numpy as np
import pytest

from plt.errors import ArtifactError
from plt.train.artifact import ARRAYS, RECORD, load_artifact, save_artifact

NAMES = ["../../etc/passwd", "a\0b", "<b>\x1b[31m", "ü"]


def test_arrays_and_hostile_names_come_back(tmp_path: Path) -> None:
    arrays = {"heads": np.arange(6.0).reshape(2, 3).T, "none": np.zeros((0, 4))}
    save_artifact(tmp_path, "toy", arrays, {"users": NAMES})
    assert sorted(path.name for path in tmp_path.iterdir()) == [RECORD, ARRAYS]
    found, record = load_artifact(tmp_path, "toy")
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
    assert record["users"] == NAMES


def test_what_is_missing_damaged_or_foreign_is_said(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no readable model"):
        load_artifact(tmp_path, "toy")
    save_artifact(tmp_path, "toy", {"w": np.ones(3)}, {})
    with pytest.raises(ArtifactError, match="a model of 'toy', not of 'other'"):
        load_artifact(tmp_path, "other")
    whole = (tmp_path / ARRAYS).read_bytes()
    (tmp_path / ARRAYS).write_bytes(whole[:-8])
    with pytest.raises(ArtifactError, match="no readable model"):
        load_artifact(tmp_path, "toy")
    (tmp_path / ARRAYS).write_bytes(whole)
    (tmp_path / RECORD).write_text('{"method": "toy", "version": 99}')
    with pytest.raises(ArtifactError, match="format 99"):
        load_artifact(tmp_path, "toy")
    (tmp_path / RECORD).write_text("[]")
    with pytest.raises(ArtifactError, match="a model of 'None'"):
        load_artifact(tmp_path, "toy")
