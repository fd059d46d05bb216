"""`plt train` and `plt score` started several times over: one writes, and all end with its bits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from plt.cli import main
from plt.data.run import load_run
from plt.data.tables.schema import GENERATIONS, SCORES
from plt.data.tables.table import read_table
from plt.errors import UsageError
from plt.train.runtime.launch import read_launch_config, without_flag

KEY = ["run_id", "user_id", "pair_id", "occurrence", "control"]
METHODS = "length,bradley-terry,individual"
LORA = ["--tune", "lora", "--set", "pairs_per_step=8", "--set", "max_length=64"]


def launch(folder: Path, *line: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs a plt line in two processes, in `folder`."""
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
            "-m", "plt", *line,
        ],
        cwd=folder,
        env={
            **os.environ, "PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1",
            "PLT_CACHE": str(folder / "cache"),
        },
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert (done.returncode == 0) == (code == 0), done.stderr[-3000:]
    return done


def people(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`t.parquet` in `folder`, where later lines run: 8 users, a split table."""
    monkeypatch.chdir(folder)
    made = ["dataset-simulate", "mirrored", "--users", "8", "-o", "p.parquet", "-q"]
    assert main(made) == 0
    split = ["dataset-split", "p.parquet", "--by", "pair", "--unseen-users", "0"]
    assert main([*split, "-o", "t.parquet", "-q"]) == 0


def scores(runs: list[Path]) -> pl.DataFrame:
    return pl.concat([read_table(run / "scores.parquet", SCORES)[0] for run in runs]).sort(KEY)


@pytest.mark.slow
def test_two_processes_make_the_runs_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    here = Path.cwd()
    people(tmp_path, monkeypatch)
    monkeypatch.setenv("PLT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(here)
    line = ["train", "t.parquet", "--method", METHODS]
    done = launch(tmp_path, *line, "--runs", "two", "--json")
    made = [tmp_path / entry["run"] for entry in json.loads(done.stdout)["runs"]]
    assert done.stderr.count("individual: gain over vanilla") == 1  # one process speaks
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == sorted(
        path.name for path in made
    )
    monkeypatch.chdir(tmp_path)
    capfd.readouterr()
    assert main([*line, "--runs", "one", "-q"]) == 0
    alone = [tmp_path / run for run in capfd.readouterr().out.split()]
    assert [load_run(run).run_id for run in made] == [load_run(run).run_id for run in alone]
    assert scores(made).equals(scores(alone))
    monkeypatch.chdir(here)
    again = launch(tmp_path, *line, "--runs", "two")
    assert again.stderr.count("this run is done already") == 3
    launch(tmp_path, "score", str(made[2]), "t.parquet", "-o", "s.parquet")
    monkeypatch.chdir(tmp_path)
    assert main(["score", str(alone[2]), "t.parquet", "-o", "s1.parquet"]) == 0
    two, one = (read_table(Path(name), SCORES)[0] for name in ("s.parquet", "s1.parquet"))
    assert two.equals(one)
    assert not (tmp_path / "two.parquet.partial").exists()


@pytest.mark.slow
def test_fine_tuning_in_two_processes_has_the_losses_of_one_at_the_same_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Both read the same rows in every step; what differs is the order of sums."""
    here = Path.cwd()
    people(tmp_path, monkeypatch)
    monkeypatch.setenv("PLT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(here)
    line = ["train", "t.parquet", "--method", "bradley-terry", "--model", "builtin:tiny", *LORA]
    # A multiple of the batch, so that no step is filled up.
    line += ["--train-size", "64"]
    run = tmp_path / launch(tmp_path, *line, "--runs", "two").stdout.strip()
    monkeypatch.chdir(tmp_path)
    capfd.readouterr()
    assert main([*line, "--runs", "one", "-q"]) == 0
    alone = tmp_path / capfd.readouterr().out.strip()
    two, one = (
        json.loads(next((path / "model").rglob("tuned.json")).read_text()) for path in (run, alone)
    )
    assert two["losses"] == pytest.approx(one["losses"], abs=1e-5)
    assert len(one["losses"]) == 8
    a, b = scores([run]), scores([alone])
    assert (a["margin"] - b["margin"]).abs().max() < 1e-4


@pytest.mark.slow
def test_a_policy_learns_and_writes_in_two_processes_as_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    here = Path.cwd()
    people(tmp_path, monkeypatch)
    monkeypatch.setenv("PLT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(here)
    line = ["train", "t.parquet", "--method", "pdpo", "--model", "builtin:tiny",
            "--set", "max_steps=4", "--no-baseline"]  # fmt: skip
    line += ["--set", "pairs_per_step=8", "--train-size", "64"]
    run = tmp_path / launch(tmp_path, *line, "--runs", "two").stdout.strip()
    monkeypatch.chdir(tmp_path)
    capfd.readouterr()
    assert main([*line, "--runs", "one", "-q"]) == 0
    alone = tmp_path / capfd.readouterr().out.strip()
    a, b = scores([run]), scores([alone])
    assert a["margin"].abs().max() > 0.01
    assert (a["margin"] - b["margin"]).abs().max() < 1e-3
    write = ["generate", str(alone), "--prompts", "t.parquet", "--n-prompts", "3", "--greedy"]
    write += ["--max-new-tokens", "6", "--reference"]
    assert main([*write, "-o", "one.parquet", "-q"]) == 0
    monkeypatch.chdir(here)
    launch(tmp_path, *write, "-o", "two.parquet")
    one, two = (
        read_table(tmp_path / name, GENERATIONS)[0] for name in ("one.parquet", "two.parquet")
    )
    assert one.height == 3 * (8 + 2)
    assert two.equals(one)
    assert not (tmp_path / "two.parquet.partial").exists()


@pytest.mark.slow
def test_an_error_is_said_once_and_ends_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Path.cwd()
    people(tmp_path, monkeypatch)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("mine")
    monkeypatch.chdir(here)
    done = launch(tmp_path, "train", "t.parquet", "--method", "length", "-o", "taken", code=1)
    assert done.stderr.count("taken holds other files and no run") == 1


def test_standard_input_is_refused_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "-", "--method", "length"]) == 2
    assert "which 2 processes cannot all read" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def accelerate_config(folder: Path, **changed: object) -> Path:
    """A file as `accelerate config` writes it, for two processes on the CPU."""
    facts: dict[str, object] = {
        "compute_environment": "LOCAL_MACHINE", "distributed_type": "MULTI_CPU",
        "num_processes": 2, "num_machines": 1, "use_cpu": True, "mixed_precision": "no",
    }  # fmt: skip
    path = folder / "accelerate.json"
    path.write_text(json.dumps(facts | changed))
    return path


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"distributed_type": "NO"}, "distributed_type is NO: one process starts"),
        ({"distributed_type": "MULTI_GPU"}, "MULTI_GPU, but use_cpu is true"),
        ({"distributed_type": "FSDP", "use_cpu": False}, "but this machine has no accelerator"),
        ({"num_processes": 1}, "num_processes is 1; one process needs no --launch"),
        ({"num_machines": 2}, "several machines without accelerators"),
        ({"distributed_type": "SIDEWAYS"}, "cannot read"),
    ],
)
def test_a_configuration_that_silently_starts_one_process_is_refused(
    changed: dict[str, object], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as error:
        read_launch_config(accelerate_config(tmp_path, **changed), accelerators=0)
    assert problem in str(error.value)


def test_the_flag_is_taken_off_the_line() -> None:
    line = ["train", "t", "--launch", "a.yaml", "--method", "length", "--launch=b.yaml"]
    assert without_flag(line) == ["train", "t", "--method", "length"]


@pytest.mark.slow
def test_launch_starts_the_processes_of_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Path.cwd()
    people(tmp_path, monkeypatch)
    monkeypatch.chdir(here)
    config = accelerate_config(tmp_path)
    plt = [sys.executable, "-m", "plt", "train", "t.parquet", "--launch", str(config)]
    environment = {**os.environ, "PYTHONPATH": str(here), "PLT_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [*plt, "--method", "length"], cwd=tmp_path, env=environment,
        capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    run = load_run(tmp_path / done.stdout.strip())
    assert run.record["processes"] == 2
    wrong = subprocess.run(
        [*plt, "--method", "length", "--set", "nonsense=1"], cwd=tmp_path, env=environment,
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert wrong.returncode == 2
    assert wrong.stderr.count("nonsense") >= 1
