"""Texts of trained policies, from `plt train` to `plt winrate`."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from plt.cli import main
from plt.data.simulate import length
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import write_preferences
from plt.data.tables.schema import GENERATIONS
from plt.data.tables.table import read_table
from plt.train.models.embedded.untrained import make_small_model
from plt.train.policies.policy import Policy
from plt.train.runs.fitted_run import load_fitted_run
from plt.train.writing.writer import Writer
from tests.data.made_tables import crossed


@pytest.fixture
def policy_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A policy after two steps: soft tokens of three persons that are nearly random."""
    monkeypatch.chdir(tmp_path)
    prefs = split(crossed(3, 12), SplitPlan(by="pair", unseen_users=0.0))
    write_preferences(prefs, tmp_path / "t.parquet")
    line = ["train", "t.parquet", "--method", "p-dpo", "--model", "builtin:tiny", "--tune", "lora"]
    brief = ["--set", "max_steps=2", "--sham", "none", "--no-baseline"]
    assert main([*line, *brief, "-o", "run", "-q"]) == 0
    return tmp_path / "run"


def write(*line: str) -> pl.DataFrame:
    given = ["--prompts", "t.parquet", "--split", "all", "--n-prompts", "3"]
    code = main(["generate", *line, *given, "--max-new-tokens", "8", "-o", "g.parquet"])
    assert code == 0
    return read_table(Path("g.parquet"), GENERATIONS)[0]


def test_a_policy_writes_as_its_users_as_nobody_and_as_it_was(
    policy_run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    texts = write("run", "--reference")
    shown = capfd.readouterr()
    assert shown.out.strip() == "g.parquet"
    assert "| u00     | policy     |     3 |" in shown.err
    assert "| generic | generic    |     3 |" in shown.err
    counts = texts.group_by("user_id", "control").len().sort("user_id", "control").rows()
    assert counts == [
        (None, "generic", 3), (None, "reference", 3),
        ("u00", "policy", 3), ("u01", "policy", 3), ("u02", "policy", 3),
    ]  # fmt: skip
    of = {
        (user, control): part["response"].to_list()
        for (user, control), part in texts.partition_by("user_id", "control", as_dict=True).items()
    }
    assert len({tuple(each) for each in of.values()}) == 5
    assert write("run", "--user", "u01")["response"].to_list() == of["u01", "policy"]
    plain = write("builtin:tiny")
    assert plain["response"].to_list() == of[None, "reference"]
    # One at a time, the draws are the same; rounding may send one of them to the next token.
    alone = write("run", "--reference", "--batch-size", "1")
    assert (alone["response"] == texts["response"]).sum() >= 14


def test_a_policy_without_users_writes_as_nobody(
    policy_run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ["train", "t.parquet", "--method", "dpo", "--model", "builtin:tiny", "--tune", "lora"]
    assert main([*line, "--set", "max_steps=1", "--sham", "none", "-o", "blind", "-q"]) == 0
    texts = write("blind", "--reference")
    assert texts["control"].cast(pl.String).to_list() == ["generic"] * 3 + ["reference"] * 3
    fitted: Any = load_fitted_run(Path("blind")).method
    policy: Policy = fitted.policy
    writer: Writer = policy
    assert (writer.users, writer.user_prompt(None)) == ((), None)


def test_strangers_are_refused(policy_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = ["generate", "run", "--prompts", "t.parquet", "--user", "u09", "-o", "g.parquet"]
    assert main(line) == 2
    err = capfd.readouterr().err
    assert "the policy does not know these users" in err
    assert "it knows u00, u01, u02" in err


def test_a_policy_is_judged_against_its_generic_self(
    policy_run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write("run")
    capfd.readouterr()
    line = ["winrate", "g.parquet", "g.parquet", "--first", "policy", "--second", "generic"]
    assert main([*line, "--judge", "run", "--json"]) == 0
    shown = capfd.readouterr()
    assert "no independent judge" in shown.err
    (found,) = json.loads(shown.out)["contests"]
    assert (found["n"], sorted(found["users"])) == (9, ["u00", "u01", "u02"])
    assert found["system_1"].endswith("(policy)")
    assert main(["winrate", "g.parquet", "g.parquet", "--judge", "run"]) == 2
    assert "--first policy" in capfd.readouterr().err


@pytest.mark.study
def test_words_by_worker_as_in_figure_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Li et al. 2024, figure 3: who prefers shorter texts gets nearly none, the others long ones.

    Seven workers prefer the longer text, workers 4 to 6 the shorter. Texts of 1 to 3 words must end
    by themselves: loops of one token would be few words too. Measured once: 2.7 to 3.0 words for
    the three, 32.7 to 34.8 for the seven, 31.6 generic, 29.9 before training; all of them ended.
    """
    monkeypatch.chdir(tmp_path)
    prefs = split(length.simulate(length.Config()), SplitPlan(by="prompt", unseen_users=0.0))
    write_preferences(prefs, tmp_path / "t.parquet")
    make_small_model(prefs, tmp_path / "small")
    base = ["train", "t.parquet", "--tune", "full", "--sham", "none", "-q"]
    sft = ["--method", "sft", "--set", "learn=text", "--set", "max_steps=300"]
    assert main([*base, *sft, "--model", "./small", "--learning-rate", "4e-3", "-o", "sft"]) == 0
    p_dpo = ["--method", "p-dpo", "--set", "sft_weight=0.1", "--set", "users_learning_rate=1e-2"]
    assert main([*base, *p_dpo, "--model", "sft", "--learning-rate", "1e-3",
                 "--set", "max_steps=250", "-o", "run"]) == 0  # fmt: skip
    capfd.readouterr()
    assert main(["generate", "run", "--prompts", "t.parquet", "--n-prompts", "20", "--greedy",
                 "--max-new-tokens", "80", "-o", "g.parquet", "--json"]) == 0  # fmt: skip
    rows = json.loads(capfd.readouterr().out)["lengths"]
    words = {row["user"]: row["words"]["value"] for row in rows}
    ended = {row["user"]: row["ended"] for row in rows}
    minority = {"u004", "u005", "u006"}
    majority = set(words) - minority - {None}
    assert max(words[user] for user in minority) <= 6
    assert min(words[user] for user in majority) >= 20
    assert min(ended[user] for user in minority) >= 0.9
    assert words[None] >= 20
