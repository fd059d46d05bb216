"""SFT, then policies from it, as a person types them."""

import json
from pathlib import Path

import polars as pl
import pytest

from plt.cli import main
from plt.data.run import SCORES_FILE, load_run
from plt.data.tables.preferences import write_preferences
from plt.data.tables.schema import SCORES
from plt.data.tables.table import read_table
from tests.contracts.population import population
from tests.contracts.smaller import write_model

pytestmark = pytest.mark.slow

STEPS = [
    "--tune", "full", "--learning-rate", "0.005", "--set", "max_steps=24", "--set",
    "pairs_per_step=12",
]  # fmt: skip
USERS = ["--set", "users_learning_rate=0.05"]
Capture = pytest.CaptureFixture[str]


def run(capfd: Capture, *line: str) -> tuple[str, str]:
    code = main(list(line))
    found = capfd.readouterr()
    assert code == 0, found.err
    return found.out, found.err


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_preferences(population(), tmp_path / "split.parquet")
    write_model(tmp_path / "small")
    return tmp_path / "split.parquet"


def test_policies_begin_from_an_sft_run(table: Path, capfd: Capture) -> None:
    data = str(table)
    out, _ = run(capfd, "train", data, "--method", "sft", "--model", "small", *STEPS)
    sft = out.strip()
    assert (Path(sft) / "model" / "language_model" / "config.json").is_file()
    vanilla, _ = run(capfd, "train", data, "--method", "dpo", "--model", sft, *STEPS)
    line = ["train", data, "--method", "pdpo", "--model", sft, *STEPS, *USERS]
    out, said = run(capfd, *line, "--json")
    (entry,) = json.loads(out)["runs"]
    assert entry["gain"]["baseline"] == vanilla.strip()
    assert "p-dpo: gain over vanilla +" in said
    again, said = run(capfd, *line)
    assert again.strip() == entry["run"]
    assert "done already" in said
    scores, _ = read_table(Path(entry["run"]) / SCORES_FILE, SCORES)
    strangers, _ = run(capfd, "score", entry["run"], data, "-o", "scores.parquet")
    frame, _ = read_table(Path("scores.parquet"), SCORES)
    key = ["pair_id", "user_id", "occurrence"]
    own = scores.filter(pl.col("control").is_null())
    both = own.join(frame, on=key, suffix="_again")
    assert both.height == own.height - own["user_id"].null_count()
    assert (both["margin"] - both["margin_again"]).abs().max() < 1e-5
    assert load_run(Path(entry["run"])).record["notes"][0].startswith("--tune full: 24 steps")
    assert strangers.strip() in ("", "scores.parquet")


def test_all_is_every_reward_model_and_ls_shows_both_kinds(table: Path, capfd: Capture) -> None:
    out, _ = run(capfd, "ls", "methods", "--json")
    kinds = {row["name"]: row["kind"] for row in json.loads(out)["methods"]}
    assert kinds["p-dpo"] == kinds["sft"] == "policy"
    assert kinds["p-rm"] == "reward"
    from plt.study.plan import method_names

    names, every = method_names("all")
    assert every
    assert "p-dpo" not in names
    assert "p-rm" in names


def test_an_encoder_and_an_unfinished_run_are_refused(table: Path, capfd: Capture) -> None:
    code = main(["train", str(table), "--method", "pdpo", "--model", "builtin:minilm"])
    assert code == 2
    assert "writes no text" in capfd.readouterr().err
