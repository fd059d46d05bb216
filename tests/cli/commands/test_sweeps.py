"""Gains and shams behind a run, lists, sweeps and `--method all`, as a person types them."""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from plt.cli import main
from plt.data.run import SCORES_FILE, load_manifest, load_run
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import Preferences, build, read_preferences, write_preferences
from plt.data.tables.schema import METRICS_TABLE, SCORES
from plt.data.tables.table import Meta, read_table
from plt.data.verify import verify
from plt.study.plan import Asked, plan
from plt.train.registry import METHODS
from tests.contracts.population import population
from tests.data.made_tables import crossed, raw_frame, user_turn

ROOT = Path(__file__).resolve().parents[3]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve people of two tastes on embedded features: cached within the session."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "split.parquet"
    write_preferences(population(), path)
    return path


def train(capfd: Capture, *line: str, code: int = 0) -> tuple[list[Path], str]:
    """Paths of the runs, and what was said."""
    assert main(["train", *line]) == code
    found = capfd.readouterr()
    return [Path(path) for path in found.out.split()], found.err


def train_json(capfd: Capture, *line: str) -> dict[str, Any]:
    assert main(["train", *line, "--json"]) == 0
    data: dict[str, Any] = json.loads(capfd.readouterr().out)
    return data


def controls(run: Path) -> set[str | None]:
    scores, _ = read_table(run / SCORES_FILE, SCORES)
    return set(scores["control"].cast(pl.String).unique().to_list())


def test_a_personal_run_says_its_gain_and_what_the_shams_leave(table: Path, capfd: Capture) -> None:
    data = train_json(capfd, str(table), "--method", "individual")
    (entry,) = data["runs"]
    gain = entry["gain"]
    own, wrong, shuffled = gain["own"], gain["wrong_user"], gain["shuffled_ids"]
    assert own["value"] > 0.25
    assert own["ci"][0] > 0
    assert wrong["value"] < 0  # six of them like what the other six dislike
    assert shuffled["ci"][0] < 0.05  # no gain, which is not the same as "equal to vanilla"
    assert own["value"] - shuffled["value"] > 0.25
    vanilla = load_run(Path(gain["baseline"]))
    assert vanilla.identity.method == "bradley-terry"
    assert controls(Path(entry["run"])) == {None, "wrong-user", "shuffled-ids"}
    assert gain["own_minus_wrong_user"]["ci"][0] > 0
    assert gain["whose"] == "personal"
    assert (gain["harmed"]["n_users"], gain["harmed"]["share"]) == (12, None)
    assert gain["harmed"]["reason"]


def test_the_baseline_is_fitted_once_said_and_no_result(table: Path, capfd: Capture) -> None:
    runs, said = train(capfd, str(table), "--method", "individual")
    assert [run.name.rpartition("-")[0] for run in runs] == ["individual"]
    assert "fitting bradley-terry too" in said
    assert "individual: gain over vanilla +" in said
    assert "points; with the wrong user -" in said
    assert "; with shuffled ids " in said
    assert "; own minus wrong user +" in said
    assert "; better beyond chance, by personalization (about " in said
    made = sorted(path.name for path in Path("runs").iterdir())
    assert len(made) == 2
    again, said = train(capfd, str(table), "--method", "individual")
    assert again == runs
    assert "fitting bradley-terry" not in said
    assert "gain over vanilla +" in said
    assert sorted(path.name for path in Path("runs").iterdir()) == made
    baseline = next(name for name in made if name.startswith("bradley-terry"))
    asked, _ = train(capfd, str(table), "--method", "bradley-terry")
    assert [run.name for run in asked] == [baseline]  # a run like any other


def test_no_baseline_fits_nothing_and_a_list_has_its_own(table: Path, capfd: Capture) -> None:
    (run,), said = train(capfd, str(table), "--method", "individual", "--no-baseline")
    assert "gain over vanilla" not in said
    assert [path.name for path in Path("runs").iterdir()] == [run.name]
    line = [str(table), "--method", "bradley-terry,individual", "--set", "labels=majority"]
    data = train_json(capfd, *line, "--runs", "two")
    vanilla, personal = data["runs"]
    assert vanilla["gain"] is None
    assert personal["gain"]["baseline"] == vanilla["run"]
    assert len(list(Path("two").iterdir())) == 2


@pytest.mark.parametrize(
    ("sham", "expected"),
    [("none", {None}), ("score", {None, "wrong-user"})],
)
def test_shams_are_part_of_the_run(
    table: Path, capfd: Capture, sham: str, expected: set[str | None]
) -> None:
    line = [str(table), "--method", "individual", "--no-baseline"]
    (run,), _ = train(capfd, *line, "--sham", sham)
    assert controls(run) == expected
    config = tomllib.loads((run / "config.toml").read_text())["train"]
    assert config["sham"] == sham
    again, _ = train(capfd, "--config", str(run / "config.toml"))
    assert again == [run]
    (other,), _ = train(capfd, *line)
    assert other != run
    own = [
        read_table(path / SCORES_FILE, SCORES)[0].filter(pl.col("control").is_null())
        for path in (run, other)
    ]
    assert own[0].drop("run_id").equals(own[1].drop("run_id"))


def test_methods_that_do_not_train_or_know_nobody_have_no_second_fit(
    table: Path, capfd: Capture
) -> None:
    runs, _ = train(capfd, str(table), "--method", "random,length", "--sham", "train")
    assert controls(runs[0]) == {None, "wrong-user"}
    assert controls(runs[1]) == {None}
    assert load_run(runs[0]).identity.config["sham"] == "score"
    assert "sham" not in load_run(runs[1]).identity.config


def test_metrics_of_minorities_and_of_what_was_new_stand_in_every_run(
    table: Path, capfd: Capture
) -> None:
    (run,), _ = train(capfd, str(table), "--method", "length")
    metrics, _ = read_table(run / "metrics.parquet", METRICS_TABLE)
    test = metrics.filter(split="test", average="user")
    found = {row["metric"]: row for row in test.iter_rows(named=True)}
    assert found["new_prompts_accuracy"]["n_pairs"] == found["accuracy"]["n_pairs"]
    assert found["new_pairs_accuracy"]["value"] is None
    assert found["worst_decile_accuracy"]["value"] is not None
    minority = found["minority_accuracy"]
    assert minority["value"] is not None or "minority" in minority["interval"]
    scores, _ = read_table(run / SCORES_FILE, SCORES)
    assert scores["novelty"].cast(pl.String).unique().to_list() == ["new prompt"]


def test_a_sweep_makes_a_run_a_cell_and_finds_each_again(table: Path, capfd: Capture) -> None:
    sizes = ["--train-size", "60,120,all", "--method", "length,popularity"]
    runs, said = train(capfd, str(table), *sizes)
    assert len(runs) == len({run.name for run in runs}) == 6
    assert "length, 60 training rows: learnt from 60 of " in said
    one = load_run(runs[0])
    assert one.identity.config["train_size"] == 60
    assert one.record["training"]["rows"] == 60
    whole, _ = train(capfd, str(table), "--method", "length")
    assert whole == [runs[4]]  # `all` is the run of the line without a size
    config = ["--config", str(runs[0] / "config.toml")]
    assert train(capfd, *config)[0] == [runs[0]]
    (runs[2] / "manifest.json").unlink()
    for path in sorted(runs[2].rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    again, said = train(capfd, str(table), *sizes)
    assert again == runs
    assert said.count("this run is done already") == 5


def test_sizes_of_each_user(table: Path, capfd: Capture) -> None:
    (run, _), _ = train(
        capfd, str(table), "--method", "length", "--train-size", "5,10", "--train-size-of", "user"
    )
    training = load_run(run).record["training"]
    assert (training["rows"], training["fewest"], training["most"]) == (60, 5, 5)
    assert training["rows_a_user"] == 5.0


def test_a_sweep_is_reported_as_methods_by_sizes(table: Path, capfd: Capture) -> None:
    runs, said = train(
        capfd, str(table), "--method", "bradley-terry,individual", "--train-size", "100,all"
    )
    assert "individual, 100 training rows: gain over vanilla" in said
    assert "fitting bradley-terry too" not in said
    names = [str(run) for run in runs]
    assert main(["report", *names, "--json"]) == 0
    data = json.loads(capfd.readouterr().out)
    (sweep,) = data["sweep"]
    assert sweep["columns"] == ["100", "all"]
    cells = {row["method"]: [c["value"] for c in row["accuracy"]] for row in sweep["rows"]}
    by_run = {row["run_id"]: row["accuracy"]["user"]["value"] for row in data["rows"]}
    assert cells["individual"] == [by_run[load_run(runs[i]).run_id] for i in (1, 3)]
    assert sweep["rows_a_user"][0] == pytest.approx(100 / 12)
    gains = {row["name"]: row["gain"] for row in data["rows"]}
    assert gains["bradley-terry, 100"] is None
    assert gains["individual, 100"] is not None
    assert main(["report", *names]) == 0
    shown = capfd.readouterr().out
    assert "**accuracy by user, by training rows**" in shown
    assert "| (training rows a user) |" in shown
    assert main(["report", *names, "--pivot", "none"]) == 0
    assert "by training rows" not in capfd.readouterr().out
    assert main(["report", *names, "--pivot", "size"]) == 2
    assert "--pivot is 'size'" in capfd.readouterr().err


def test_models_are_swept_and_a_method_without_one_runs_once(table: Path, capfd: Capture) -> None:
    line = [
        str(table),
        "--method",
        "length,bradley-terry",
        "--model",
        "builtin:minilm,builtin:tiny",
    ]
    runs, _ = train(capfd, *line)
    kinds = [load_run(run).identity for run in runs]
    assert [(i.method, i.config["set"].get("model")) for i in kinds] == [
        ("length", None), ("bradley-terry", "builtin:minilm"), ("bradley-terry", "builtin:tiny"),
    ]  # fmt: skip
    assert main(["report", *map(str, runs)]) == 0
    assert "**accuracy by user, by model**" in capfd.readouterr().out


def nameless(path: Path) -> Path:
    """A table in which nobody is named."""
    prefs = split(crossed(6, 60), SplitPlan(by="pair", unseen_users=0.0))
    votes = prefs.votes.with_columns(
        user_id=pl.lit(None, dtype=pl.Categorical),
        occurrence=pl.int_range(pl.len()).over("pair_id").cast(pl.UInt16),
    )
    write_preferences(Preferences(votes, prefs.pairs, prefs.meta), path)
    return path


def test_a_cell_that_fails_is_named_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    path = nameless(tmp_path / "nameless.parquet")
    runs, said = train(capfd, str(path), "--method", "individual,length", code=2)
    assert [run.name.rpartition("-")[0] for run in runs] == ["length"]
    assert "individual: failed: no training row says who judged" in said
    assert "1 of 2 runs failed: individual" in said
    assert main(["train", str(path), "--method", "individual"]) == 2  # alone: an error as ever
    assert "hint: plt train DATA" in capfd.readouterr().err
    kept = [load_manifest(run) for run in Path("runs").iterdir()]
    assert sorted(str(run.record["status"]) for run in kept) == ["error", "success"]
    everything = sorted(map(str, Path("runs").iterdir()))
    assert main(["report", *everything]) == 0
    shown = capfd.readouterr()
    assert "| length " in shown.out
    failed = next(name for name in everything if "individual" in name)
    assert f"{failed} is left out: it did not finish" in shown.err
    assert main(["report", failed]) == 2
    assert "did not finish: its status is 'error'" in capfd.readouterr().err


def test_all_methods_that_can_run_and_why_the_others_cannot(tmp_path: Path, capfd: Capture) -> None:
    asked = Asked("all", None, {}, [], None, "total", None)
    found = plan(asked, population(), has_profiles=False)
    ran = [cell.name for cell in found.cells]
    rewards = {name: card for name, card in METHODS.items() if card.kind == "reward"}
    assert ran == [name for name in rewards if name not in found.skipped]
    assert {"random", "length", "bradley-terry", "individual", "eb-shrinkage"} <= set(ran)
    for cell in found.cells:
        assert str(cell.config.get("model", "builtin:")).startswith("builtin:"), cell.name
    nobody = read_preferences(nameless(tmp_path / "n.parquet"))
    alone = plan(asked, nobody, has_profiles=False)
    personal = {name for name, card in rewards.items() if card.personal}
    assert personal <= set(alone.skipped)
    assert alone.skipped["individual"] == "the table does not say who judged"
    tuned = plan(Asked("all", None, {"tune": "lora"}, [], None, "total", None), population(), False)
    assert "has no '--tune lora'" in tuned.skipped["eb-shrinkage"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--train-size", "many"], "'many' is neither a number of rows nor 'all'"),
        (["--train-size", "0"], "'0' is neither"),
        (["--train-size", "999999,60"], "999,999 asked for"),
        (["--train-size", "60", "--train-size-of", "pair"], "known are total, user"),
        (["--sham", "placebo"], "known are train, score, none"),
        (["--method", "length,popularity", "--set", "rank=3"], "no method of the list has"),
        (["--method", "length,random", "--model", "builtin:tiny"], "none of these methods has a"),
        (["--method", "length", "--train-size", "60,all", "-o", "x"], "--out is the folder of one"),
    ],
)
def test_wrong_flags(table: Path, flags: list[str], message: str, capfd: Capture) -> None:
    line = flags if "--method" in flags else ["--method", "length", *flags]
    assert main(["train", str(table), *line]) == 2
    assert message in capfd.readouterr().err
    assert not Path("runs").exists()


def test_accuracy_by_what_was_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    """Three responses a prompt: a test pair is a new pair of known ones, or its prompt is new."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {"user_id": user, "prompt": user_turn(f"p {prompt}"), "response_1": f"{one} {prompt}",
         "response_2": f"{two} {prompt}", "label": 1.0, "user_split": "seen",
         "split": "test" if prompt >= 20 or (one, two) == ("a", "ccc") else "train"}
        for user in ("u", "v", "w")
        for prompt in range(25)
        for one, two in (("a", "bb"), ("bb", "ccc"), ("a", "ccc"))
    ]  # fmt: skip
    write_preferences(build(raw_frame(rows), Meta(dataset="toy")), tmp_path / "t.parquet")
    runs, _ = train(capfd, "t.parquet", "--method", "length,random")
    assert main(["report", *map(str, runs), "--by-novelty", "--json"]) == 0
    data = json.loads(capfd.readouterr().out)
    assert data["novelty"] == {"new pair": 60, "new prompt": 45}
    assert data["by_novelty"]["new pair"]["length"]["n"] == 60
    assert data["by_novelty"]["new prompt"]["length"]["value"] == 1.0  # the shorter always wins
    assert main(["report", *map(str, runs), "--by-novelty"]) == 0
    shown = capfd.readouterr().out
    assert "new pair (60)" in shown
    assert "60 of a new pair, 45 of a new prompt (--by-novelty)" in shown


@pytest.mark.slow
def test_a_sweep_that_is_interrupted_resumes_to_the_same_bits(tmp_path: Path) -> None:
    """Ctrl-C in the second of two cells, then the same line: both are those of a quiet run."""
    prefs = split(crossed(6, 60), SplitPlan(by="pair", unseen_users=0.0))
    write_preferences(prefs, tmp_path / "split.parquet")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", "plt", "train", "split.parquet", "--method", "bradley-terry",
            "--model", "builtin:tiny", "--tune", "full", "--epochs", "1", "--max-length", "32",
            "--train-size", "60,all", "--set", "pairs_per_step=16"]  # fmt: skip
    whole = subprocess.run(
        [*line, "--runs", "whole"], env=env, cwd=tmp_path, check=True, capture_output=True
    )
    # A shell without job control starts background processes that ignore Ctrl-C.
    interruptible = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    )
    typed = [sys.executable, "-c", f"{interruptible}; from plt.cli import main; sys.exit(main())",
             *line[3:], "--runs", "cut"]  # fmt: skip
    cut = subprocess.Popen(
        typed, env=env, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    folder = tmp_path / "cut"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and cut.poll() is None:
        finished = sum('"success"' in m.read_text() for m in folder.glob("*/manifest.json"))
        if finished == 1 and list(folder.glob("*/*/checkpoints/*/checkpoint-*")):
            cut.send_signal(signal.SIGINT)
            break
        time.sleep(0.01)
    out, _ = cut.communicate()
    assert (cut.returncode, out) == (130, b"")
    statuses = sorted(str(load_manifest(run).record["status"]) for run in folder.iterdir())
    assert statuses == ["cancelled", "success"]
    again = subprocess.run(
        [*line, "--runs", "cut"], env=env, cwd=tmp_path, check=True, capture_output=True
    )
    assert again.stderr.decode().count("this run is done already") == 1
    pairs = zip(whole.stdout.decode().split(), again.stdout.decode().split(), strict=True)
    for one, other in pairs:
        found = verify(tmp_path / one, tmp_path / other)
        assert found.problems == []
        assert found.largest == 0.0
