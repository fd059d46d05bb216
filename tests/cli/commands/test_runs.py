"""train, score, report and verify as a person types them; runs found again, resumed, refused."""

import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import polars as pl
import pytest

from plt.cli import main
from plt.data.run import SCORES_FILE, load_run
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import read_preferences, write_preferences
from plt.data.tables.schema import METRICS_TABLE, SCORES
from plt.data.tables.table import read_table
from plt.data.verify import verify
from plt.train.runtime.devices import processor
from tests.data.made_tables import crossed

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "split.parquet"
    prefs = crossed(6, 60)
    write_preferences(split(prefs, SplitPlan(by="pair", unseen_users=0.2)), path)
    return path


def train(capfd: pytest.CaptureFixture[str], *line: str) -> list[Path]:
    code = main(["train", *line])
    found = capfd.readouterr()
    assert code == 0, found.err
    return [Path(path) for path in found.out.split()]


def test_a_run_holds_everything(table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (run,) = train(capfd, str(table), "--method", "length")
    names = {path.name for path in run.iterdir()}
    assert {"manifest.json", "config.toml", "scores.parquet", "metrics.parquet", "model"} <= names
    scores, meta = read_table(run / SCORES_FILE, SCORES)
    prefs = read_preferences(table)
    assert scores.filter(pl.col("control").is_null()).height + sum(meta.dropped.values()) == (
        prefs.votes.height
    )
    assert set(scores["split"].unique()) == {"val", "test"}
    metrics, _ = read_table(run / "metrics.parquet", METRICS_TABLE)
    assert metrics["value"].null_count() < metrics.height
    record = load_run(run).record
    assert record["peak_memory_mib"] > 0
    assert "torch" in record["packages"]
    assert (record["processor"], record["features_made_by"]) == (processor("auto"), [])
    (run,) = train(capfd, str(table), "--method", "bradley-terry", "--model", "builtin:tiny")
    assert load_run(run).record["features_made_by"] == [processor("auto")]


def test_the_same_line_finds_the_run(table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (run,) = train(capfd, str(table), "--method", "length")
    before = (run / "manifest.json").read_bytes()
    assert main(["train", str(table), "--method", "length"]) == 0
    found = capfd.readouterr()
    assert "done already" in found.err
    assert Path(found.out.strip()) == run
    assert (run / "manifest.json").read_bytes() == before
    (other,) = train(capfd, str(table), "--method", "length", "--seed", "1")
    assert other != run


def test_a_method_with_epochs_of_its_own_is_compared_with_a_head(
    table: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Vanilla at --tune head has no epochs, so those of a method that reads features stay there."""
    line = ["--method", "gpo", "--epochs", "2", "--learning-rate", "0.01", "--sham", "none"]
    assert main(["train", str(table), *line]) == 0
    found = capfd.readouterr()
    assert "gpo: gain over vanilla" in found.err
    run = Path(found.out.split()[0])
    assert tomllib.loads((run / "config.toml").read_text())["train"]["set"]["epochs"] == 2


def test_its_config_repeats_it(table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (run,) = train(
        capfd, str(table), "--method", "popularity", "--set", "smoothing=3", "--seed", "4"
    )
    config = tomllib.loads((run / "config.toml").read_text())["train"]
    assert (config["method"], config["seed"], config["set"]["smoothing"]) == ("popularity", 4, 3.0)
    (again,) = train(capfd, "--config", str(run / "config.toml"))
    assert again == run


def test_moved_data_is_the_same_data(table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The run id hashes the content, not the path or the bytes of the file."""
    (run,) = train(capfd, str(table), "--method", "length")
    moved = table.with_name("elsewhere.parquet")
    pl.read_parquet(table).write_parquet(
        moved, metadata=pl.read_parquet_metadata(table), compression="snappy"
    )
    (again,) = train(capfd, str(moved), "--method", "length")
    assert again.name == run.name


def test_an_out_that_holds_another_run_is_refused(
    table: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train(capfd, str(table), "--method", "length", "-o", "mine")
    assert main(["train", str(table), "--method", "popularity", "-o", "mine"]) == 2
    err = capfd.readouterr().err
    assert "mine holds another run" in err
    assert "method: 'length' there, 'popularity' asked for" in err
    train(capfd, str(table), "--method", "popularity", "-o", "mine", "--force")


def test_unsplit_tables_are_split_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_preferences(crossed(6, 60), tmp_path / "t.parquet")
    assert main(["train", "t.parquet", "--method", "length"]) == 0
    assert "the table had no split: divided by pair" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--method", "lenght"], "did you mean 'length'?"),
        (["--method", "length", "--set", "l3=1"], "'l3'"),
        (["--method", "popularity", "--set", "smoothing=much"], "'smoothing' is 'much'"),
        (["--method", "length", "--model", "builtin:minilm"], "length has no --model"),
        (["--method", "length,random", "-o", "x"], "--out is the folder of one run"),
        (["--method", ","], "--method names no method"),
    ],
)
def test_wrong_flags(
    table: Path, flags: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(table), *flags]) == 2
    assert message in capfd.readouterr().err


def test_score_report_and_verify(
    table: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    runs = train(capfd, str(table), "--method", "random,length,popularity")
    assert len(runs) == 3
    names = [str(run) for run in runs]
    assert main(["report", *names, "--baseline", "length", "--json"]) == 0
    data = json.loads(capfd.readouterr().out)
    assert [row["name"] for row in data["rows"]] == ["random", "length", "popularity"]
    assert data["baseline"] == "length"
    assert data["rows"][1]["gain"] is None
    assert main(["report", *names, "--by-user"]) == 0
    assert "| u05 " in capfd.readouterr().out
    assert main(["report", *names, "--format", "markdown", "-o", "r.md"]) == 0
    assert "pooled" in (tmp_path / "r.md").read_text()
    capfd.readouterr()
    assert main(["score", names[2], str(table), "-o", "s.parquet"]) == 0
    scored, _ = read_table(tmp_path / "s.parquet", SCORES)
    stored, _ = read_table(runs[2] / SCORES_FILE, SCORES)
    key = ["pair_id", "user_id", "occurrence"]
    text = pl.col("user_id").cast(pl.String)
    own = stored.filter(pl.col("control").is_null()).with_columns(text)
    both = own.join(scored.with_columns(text), on=key, suffix="_again")
    assert both.height == own.height
    assert (both["margin"] - both["margin_again"]).abs().max() == 0
    assert main(["verify", names[0]]) == 0
    (runs[0] / SCORES_FILE).write_bytes(b"PAR1")
    capfd.readouterr()
    assert main(["verify", names[0], "--json"]) == 1
    assert json.loads(capfd.readouterr().out)["reproduced"] is False


def test_runs_travel_through_pipes(table: Path) -> None:
    plt = f"{sys.executable} -m plt"
    line = f"{plt} train {table} --method random,length -q | {plt} report - --json"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], capture_output=True, check=False,
        cwd=table.parent, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["rows"]) == 2


def test_users_whom_the_run_does_not_know(table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (run,) = train(capfd, str(table), "--method", "random")
    assert main(["score", str(run), str(table), "-o", "s.parquet", "--as-user", "nobody"]) == 2
    assert "nobody" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("kind", "name"), [("methods", "vanilla"), ("datasets", "synthetic:noise")]
)
def test_ls_lists_what_set_takes(kind: str, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", kind, name, "--json"]) == 0
    settings = json.loads(capfd.readouterr().out)["settings"]
    assert {"setting", "type", "default"} == set(settings[0])
    assert main(["ls", "metrics", "auc"]) == 2


def test_protocols_that_leak_are_said_fail_lint_and_are_footnoted(
    table: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ["dataset-split", str(table), "--protocol", "psoups", "-o", "leak.parquet"]
    assert main(line) == 0
    assert "this protocol leaks" in capfd.readouterr().err
    assert main(["dataset-lint", "leak.parquet"]) == 1
    capfd.readouterr()
    runs = train(capfd, "leak.parquet", "--method", "length,random")
    assert main(["report", *map(str, runs)]) == 0
    assert "Footnote: the split is the protocol psoups, which leaks" in capfd.readouterr().out
    assert main([*line, "--by", "pair"]) == 2


@pytest.mark.slow
def test_a_killed_run_is_resumed_to_the_same_bits(table: Path) -> None:
    """Killed while it works, then typed again: the scores are those of an undisturbed run."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", "plt", "train", str(table), "--method", "bradley-terry",
            "--model", "builtin:tiny", "--tune", "full", "--epochs", "1",
            "--max-length", "32", "--set", "pairs_per_step=32"]  # fmt: skip
    whole = subprocess.run(
        [*line, "--runs", "whole"], env=env, cwd=table.parent, check=True, capture_output=True
    )
    killed = subprocess.Popen(
        [*line, "--runs", "killed"], env=env, cwd=table.parent,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    folder = table.parent / "killed"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and killed.poll() is None:
        if list(folder.glob("*/*/checkpoints/*/checkpoint-*")):
            killed.kill()
            break
        time.sleep(0.02)
    killed.communicate()
    assert killed.returncode == -9
    again = subprocess.run(
        [*line, "--runs", "killed"], env=env, cwd=table.parent, check=True, capture_output=True
    )
    one, other = (table.parent / done.stdout.decode().strip() for done in (whole, again))
    found = verify(one, other)
    assert found.problems == []
    assert found.largest == 0.0
    assert b"resuming" in again.stderr
    assert (one / "config.toml").read_bytes() == (other / "config.toml").read_bytes()
    measured = {"started", "ended", "seconds", "peak_memory_mib"}
    records = [load_run(run).record for run in (one, other)]
    assert {k: v for k, v in records[0].items() if k not in measured} == {
        k: v for k, v in records[1].items() if k not in measured
    }


def test_another_grouping_is_another_run(table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (run,) = train(capfd, str(table), "--method", "length")
    regrouped = pl.read_parquet(table).with_columns(group=pl.lit("one"))
    regrouped.write_parquet(table.with_name("g.parquet"), metadata=pl.read_parquet_metadata(table))
    (other,) = train(capfd, "g.parquet", "--method", "length")
    assert other.name != run.name


def test_force_removes_nothing_but_a_run(table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    project = table.with_name("project")
    (project / "src").mkdir(parents=True)
    (project / "src" / "a.py").write_text("x = 1")
    (project / "manifest.json").write_text('{"manifest_version": 3}')
    line = ["train", str(table), "--method", "length", "--out", "project", "--force"]
    assert main(line) == 2
    assert "is damaged" in capfd.readouterr().err
    (run,) = train(capfd, str(table), "--method", "length", "-o", "mine")
    (run / "notes.txt").write_text("mine")
    assert main(["train", str(table), "--method", "length", "-o", "mine", "--force"]) == 2
    assert "notes.txt" in capfd.readouterr().err
    assert (project / "src" / "a.py").exists()
    assert (run / "scores.parquet").exists()


def test_a_finished_run_whose_files_are_gone_is_said(
    table: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (run,) = train(capfd, str(table), "--method", "length")
    (run / "scores.parquet").unlink()
    assert main(["train", str(table), "--method", "length"]) == 2
    assert "add --force" in capfd.readouterr().err
    assert train(capfd, str(table), "--method", "length", "--force") == [run]


def test_different_scores_of_one_run_stand_side_by_side(
    table: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (run,) = train(capfd, str(table), "--method", "random")
    for name, flags in {"own": [], "people": ["--as-user", "population"]}.items():
        assert main(["score", str(run), str(table), "-o", f"{name}.parquet", *flags]) == 0
    capfd.readouterr()
    assert main(["report", "own.parquet", "people.parquet", "own.parquet", "--json"]) == 0
    names = [row["name"] for row in json.loads(capfd.readouterr().out)["rows"]]
    assert len(names) == 2
    assert names[1].endswith("as population")


def test_unsplit_scores_are_footnoted(
    tmp_path: Path, table: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (run,) = train(capfd, str(table), "--method", "length")
    write_preferences(crossed(6, 60), tmp_path / "unsplit.parquet")
    assert main(["score", str(run), "unsplit.parquet", "-o", "s.parquet"]) == 0
    assert main(["report", "s.parquet"]) == 0
    assert "has no split: every judgement counts" in capfd.readouterr().out


def test_other_tables_are_refused_by_name(table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (run,) = train(capfd, str(table), "--method", "length")
    assert main(["dataset-stats", str(run / "scores.parquet")]) == 2
    assert "is a scores/1 table, not preferences/1" in capfd.readouterr().err
    infinite = pl.read_parquet(run / "scores.parquet").with_columns(margin=pl.lit(float("inf")))
    infinite.write_parquet("inf.parquet")
    assert main(["report", "inf.parquet"]) == 2
    assert "'margin' is no finite number" in capfd.readouterr().err


def test_users_stand_in_the_config(table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pl.DataFrame({"user_id": ["u00"], "profile": ["likes tea"]}).write_parquet("p.parquet")
    (run,) = train(capfd, str(table), "--method", "length", "--users", "p.parquet")
    assert train(capfd, "--config", str(run / "config.toml")) == [run]


@pytest.mark.parametrize("flag", [["--device", "cuda:9"], ["--dtype", "float31"]])
def test_a_device_or_dtype_that_is_not_here_leaves_no_run(
    flag: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "synthetic:mirrored", "--method", "length", *flag]) == 2
    assert f"no {flag[0][2:]} {flag[1]!r}" in capfd.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_the_accuracies_of_p_rlhf_stand_beside_the_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Top is the pooled accuracy; without scores of unseen users there is no generic figure."""
    monkeypatch.chdir(tmp_path)
    write_preferences(split(crossed(6, 60), SplitPlan(by="pair", unseen_users=0.0)), Path("t"))
    assert main(["train", "t", "--method", "length", "-o", "run", "-q"]) == 0
    capfd.readouterr()
    assert main(["report", "run", "--minority", "u01,u02", "--json"]) == 0
    data = json.loads(capfd.readouterr().out)
    (found,) = data["implicit_accuracy"].values()
    assert found["top"]["value"] == data["rows"][0]["accuracy"]["pair"]["value"]
    assert found["generic"]["value"] is None
    assert (found["majority"]["n_groups"], found["minority"]["n_groups"]) == (4, 2)
    assert main(["report", "run", "--minority", "u01"]) == 0
    assert "accuracies of P-RLHF (C.3)" in capfd.readouterr().out
    assert main(["report", "run", "--minority", "nobody"]) == 2
    assert "'nobody'" in capfd.readouterr().err
