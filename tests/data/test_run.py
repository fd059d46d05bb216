"""Run directories: same question same id, finished runs are found, broken ones are named."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from plt.data.run import (
    CANCELLED,
    CHECKPOINTS,
    ERROR,
    MANIFEST,
    STARTED,
    SUCCESS,
    Identity,
    load_manifest,
    load_run,
    open_run,
    recording,
    to_toml,
)
from plt.errors import ArtifactError, UsageError

IDENTITY = Identity("train", "lore", {"rank": 8, "set": {"l2": 0.5}}, 3, {"preferences": "ab"})


def test_run_id_depends_on_everything_that_matters() -> None:
    changes = [
        replace(IDENTITY, command="adapt"),
        replace(IDENTITY, method="pref"),
        replace(IDENTITY, config={"rank": 9, "set": {"l2": 0.5}}),
        replace(IDENTITY, seed=4),
        replace(IDENTITY, inputs={"preferences": "ac"}),
    ]
    ids = {identity.run_id for identity in [IDENTITY, *changes]}
    assert len(ids) == 6
    reordered = replace(IDENTITY, config={"set": {"l2": 0.5}, "rank": 8})
    assert reordered.run_id == IDENTITY.run_id


def test_started_then_success(tmp_path: Path) -> None:
    run = open_run(IDENTITY, tmp_path / "r")
    with recording(run):
        during = json.loads((run.path / MANIFEST).read_text())
        assert during["record"]["status"] == STARTED
        (run.path / CHECKPOINTS).mkdir()
        (run.path / CHECKPOINTS / "x").write_text("x")
        (run.path / "scores.parquet").write_text("s")
        run.log(step=1, loss=0.5)
    found = load_run(tmp_path / "r")
    assert found.record["status"] == SUCCESS
    assert found.identity == IDENTITY
    assert set(found.record["outputs"]) == {"config.toml", "scores.parquet"}
    assert not (run.path / CHECKPOINTS).exists()
    again = open_run(IDENTITY, tmp_path / "r")
    assert again.finished
    assert not again.resumed


@pytest.mark.parametrize(
    ("raised", "status"), [(KeyboardInterrupt(), CANCELLED), (RuntimeError("boom"), ERROR)]
)
def test_interrupted_runs_are_resumed(tmp_path: Path, raised: BaseException, status: str) -> None:
    run = open_run(IDENTITY, tmp_path / "r")

    def interrupted() -> None:
        with recording(run):
            (run.path / CHECKPOINTS).mkdir()
            raise raised

    with pytest.raises(type(raised)):
        interrupted()
    assert load_manifest(run.path).record["status"] == status
    with pytest.raises(ArtifactError, match="did not finish"):
        load_run(run.path)
    again = open_run(IDENTITY, tmp_path / "r")
    assert again.resumed
    assert (again.path / CHECKPOINTS).exists()


def test_another_run_is_not_overwritten(tmp_path: Path) -> None:
    with recording(open_run(IDENTITY, tmp_path / "r")):
        pass
    other = replace(IDENTITY, seed=9, config={"rank": 16, "set": {"l2": 0.5}})
    with pytest.raises(UsageError) as caught:
        open_run(other, tmp_path / "r")
    assert caught.value.problems == [
        "config.rank: 8 there, 16 asked for",
        "seed: 3 there, 9 asked for",
    ]
    assert not open_run(other, tmp_path / "r", force=True).finished


def test_other_files_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="holds other files and no run"):
        open_run(IDENTITY, tmp_path, force=True)
    assert (tmp_path / "thesis.tex").exists()


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is no run"):
        load_run(tmp_path)
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(ArtifactError, match="is damaged"):
        load_run(tmp_path)


def test_config_is_toml_that_says_the_same() -> None:
    config = {
        "model": 'a "quoted"\\ \x7f é\n',
        "epochs": None,
        "fractions": [1.5, 2],
        "flag": True,
        "set": {"l2": 1e-4},
    }
    parsed = tomllib.loads(to_toml(replace(IDENTITY, config=config)))["train"]
    expected = {k: v for k, v in config.items() if v is not None}
    assert parsed == {"seed": 3, "method": "lore", **expected}
