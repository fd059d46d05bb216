"""Run directories: same question same id, finished runs are found, broken ones are named."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from plt.data.identity import Identity, to_toml
from plt.data.run import (
    CANCELLED,
    CHECKPOINTS,
    CONFIG,
    ERROR,
    LOG,
    MANIFEST,
    MODEL,
    SCORES_FILE,
    STARTED,
    SUCCESS,
    Run,
    hash_outputs,
    load_manifest,
    load_run,
    open_run,
    recording,
)
from plt.errors import ArtifactError, UsageError

IDENTITY = Identity("train", "lore", {"rank": 8, "set": {"l2": 0.5}}, 3, {"preferences": "ab"})


def opened(path: Path, identity: Identity = IDENTITY, *, force: bool = False) -> Run:
    """A run that nobody else makes."""
    run = open_run(identity, path, force=force)
    assert isinstance(run, Run)
    return run


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
    run = opened(tmp_path / "r")
    with recording(run):
        during = json.loads((run.path / MANIFEST).read_text())
        assert during["record"]["status"] == STARTED
        (run.work / CHECKPOINTS).mkdir()
        (run.work / CHECKPOINTS / "x").write_text("x")
        (run.work / MODEL).mkdir()
        (run.work / MODEL / "weights").write_text("w")
        (run.work / SCORES_FILE).write_text("s")
        run.log(step=1, loss=0.5)
    found = load_run(tmp_path / "r")
    assert found.record["status"] == SUCCESS
    assert found.identity == IDENTITY
    assert set(found.record["outputs"]) == {"config.toml", "scores.parquet", "model/weights"}
    assert found.record["outputs"] == hash_outputs(run.path)
    assert {entry.name for entry in run.path.iterdir()} == {
        MANIFEST,
        CONFIG,
        SCORES_FILE,
        LOG,
        MODEL,
    }
    again = opened(tmp_path / "r")
    assert again.finished
    assert not again.resumed


@pytest.mark.parametrize(
    ("raised", "status"), [(KeyboardInterrupt(), CANCELLED), (RuntimeError("boom"), ERROR)]
)
def test_interrupted_runs_are_resumed(tmp_path: Path, raised: BaseException, status: str) -> None:
    run = opened(tmp_path / "r")

    def interrupted(run: Run) -> None:
        with recording(run):
            (run.work / CHECKPOINTS).mkdir(exist_ok=True)
            (run.work / CHECKPOINTS / "step").write_text("7")
            raise raised

    for _ in range(2):
        with pytest.raises(type(raised)):
            interrupted(run)
        assert load_manifest(run.path).record["status"] == status
        names = {entry.name for entry in run.path.iterdir()}
        assert names == {MANIFEST, CONFIG, LOG, CHECKPOINTS}
        with pytest.raises(ArtifactError, match="did not finish"):
            load_run(run.path)
        run = opened(tmp_path / "r")
        assert run.resumed
        assert (run.work / CHECKPOINTS / "step").read_text() == "7"
    with recording(run):
        pass
    claims = [json.loads(line) for line in (run.path / LOG).read_text().splitlines()]
    assert [line["resumed"] for line in claims] == [False, True, True]
    assert not opened(tmp_path / "r", force=True).resumed


def test_what_an_earlier_version_left_in_a_run_is_replaced(tmp_path: Path) -> None:
    """It wrote into the folder itself: a killed run holds half of its content there."""
    path = tmp_path / "r"
    with recording(opened(path)) as run:
        (run.work / SCORES_FILE).write_text("s")
    manifest = json.loads((path / MANIFEST).read_text())
    manifest["record"] = {"status": STARTED, "started": "2026-11-01T00:00:00Z", "resumed": False}
    (path / MANIFEST).write_text(json.dumps(manifest))
    (path / SCORES_FILE).write_text("half")
    for name in (MODEL, CHECKPOINTS):
        (path / name).mkdir()
        (path / name / "old").write_text("o")
    with recording(opened(path)) as run:
        assert (run.work / CHECKPOINTS / "old").read_text() == "o"
        (run.work / SCORES_FILE).write_text("s")
        (run.work / MODEL).mkdir()
        (run.work / MODEL / "new").write_text("n")
    assert (path / SCORES_FILE).read_text() == "s"
    assert [file.name for file in (path / MODEL).iterdir()] == ["new"]
    assert not (path / CHECKPOINTS).exists()


def test_the_same_bytes_after_a_resume(tmp_path: Path) -> None:
    """A found manifest has its keys in another order than the line that is typed."""
    config = {"set": {"rank": 8, "alpha": 0.5}, "sham": "score", "dtype": "float32"}
    identity = replace(IDENTITY, config=config)
    arguments = {"data": "b.parquet", "aside": [1, 2]}

    def finish(path: Path) -> tuple[bytes, dict[str, object]]:
        with recording(opened(path, identity), arguments) as run:
            (run.work / SCORES_FILE).write_text("s")
        record = load_run(path).record
        times = ("started", "ended", "seconds", "peak_memory_mib")
        return (path / CONFIG).read_bytes(), {k: v for k, v in record.items() if k not in times}

    with pytest.raises(KeyboardInterrupt), recording(opened(tmp_path / "cut", identity), arguments):
        raise KeyboardInterrupt
    assert finish(tmp_path / "cut") == finish(tmp_path / "whole")
    turned = replace(identity, config=dict(reversed(config.items())))
    assert to_toml(turned, dict(reversed(arguments.items()))) == to_toml(identity, arguments)


def test_another_run_is_not_overwritten(tmp_path: Path) -> None:
    with recording(opened(tmp_path / "r")):
        pass
    other = replace(IDENTITY, seed=9, config={"rank": 16, "set": {"l2": 0.5}})
    with pytest.raises(UsageError) as caught:
        open_run(other, tmp_path / "r")
    assert caught.value.problems == [
        "config.rank: 8 there, 16 asked for",
        "seed: 3 there, 9 asked for",
    ]
    with recording(opened(tmp_path / "r", other, force=True)):
        pass
    assert load_run(tmp_path / "r").identity == other


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
        "model": 'a "quoted"\\ \\ud83d \x7f é \N{GRINNING FACE}\n\t\x01',
        "epochs": None,
        "fractions": [1.5, 2],
        "flag": True,
        "set": {"l2": 1e-4},
    }
    parsed = tomllib.loads(to_toml(replace(IDENTITY, config=config)))["train"]
    expected = {k: v for k, v in config.items() if v is not None}
    assert parsed == {"seed": 3, "method": "lore", **expected}
    no_utf8 = replace(IDENTITY, config={"model": "a\udcff"})
    assert tomllib.loads(to_toml(no_utf8))["train"]["model"] == "a\\udcff"
