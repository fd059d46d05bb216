"""`plt generate --guide` as a person types it."""

import json
from pathlib import Path

import polars as pl
import pytest

from plt.cli import main
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import write_preferences
from plt.data.tables.schema import GENERATIONS
from plt.data.tables.table import read_table
from tests.data.made_tables import crossed


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    prefs = split(crossed(3, 40), SplitPlan(by="pair", unseen_users=0.0))
    write_preferences(prefs, tmp_path / "t.parquet")
    line = ["train", "t.parquet", "--method", "individual", "--model", "builtin:tiny"]
    assert main([*line, "--sham", "none", "-o", "run", "-q"]) == 0
    return "run"


def write(*line: str) -> pl.DataFrame:
    given = ["--prompts", "t.parquet", "--n-prompts", "2", "--max-new-tokens", "8"]
    assert main(["generate", "builtin:tiny", *given, *line, "-o", "g.parquet"]) == 0
    return read_table(Path("g.parquet"), GENERATIONS)[0]


def test_a_guide_writes_for_its_users_for_nobody_and_beside_the_reference(
    run: str, capfd: pytest.CaptureFixture[str]
) -> None:
    guided = write("--guide", run, "--guide-weight", "30", "--reference")
    counts = guided.group_by("user_id", "control").len().sort("user_id", "control").rows()
    assert counts == [
        (None, "reference", 2), (None, "guided", 2),
        ("u00", "guided", 2), ("u01", "guided", 2), ("u02", "guided", 2),
    ]  # fmt: skip
    (system,) = guided["system"].unique().to_list()
    assert system.startswith("builtin:tiny guided by individual-")
    assert system.endswith("(weight 30)")
    plain = write()
    reference = guided.filter(control="reference")
    assert reference["response"].to_list() == plain["response"].to_list()
    capfd.readouterr()
    # Without weight, nobody in particular is the model as it is, to the bit.
    silent = write("--guide", run, "--guide-weight", "0", "--user", "generic")
    assert silent["response"].to_list() == plain["response"].to_list()
    assert set(silent["control"]) == {"guided"}


def test_guided_texts_are_judged_against_the_reference(
    run: str, capfd: pytest.CaptureFixture[str]
) -> None:
    write("--guide", run, "--guide-weight", "100", "--guide-top", "20", "--n", "2", "--reference")
    capfd.readouterr()
    line = ["winrate", "g.parquet", "g.parquet", "--first", "guided", "--second", "reference"]
    assert main([*line, "--judge", run, "--json"]) == 0
    shown = capfd.readouterr()
    assert "no independent judge" in shown.err
    (found,) = json.loads(shown.out)["contests"]
    assert found["n"] == 12
    assert found["wins"] > found["losses"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["--guide-weight", "2"], "say how --guide works"),
        (["--guide", "run", "--best-of", "2", "--reward", "run"], "two ways to please"),
        (["--guide", "run", "--guide-weight", "-1"], "--guide-weight is -1.0"),
        (["--guide", "run", "--user", "u09"], "does not know these users"),
        (["--guide", "run", "--max-new-tokens", "2040"], "leave no room for 2040 tokens"),
        (["--guide", "nothing"], "nothing is no run"),
    ],
)
def test_wrong_lines(
    run: str, line: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    given = ["generate", "builtin:tiny", "--prompts", "t.parquet", "-o", "g.parquet"]
    assert main([*given, *line]) == 2
    assert message in capfd.readouterr().err


def test_a_model_that_was_trained_here_is_guided_by_a_reward_on_it(run: str) -> None:
    sft = ["train", "t.parquet", "--method", "sft", "--model", "builtin:tiny", "--tune", "full"]
    assert main([*sft, "--set", "max_steps=1", "--sham", "none", "-o", "sft", "-q"]) == 0
    line = ["train", "t.parquet", "--method", "bradley-terry", "--model", "sft", "--tune", "head"]
    assert main([*line, "--sham", "none", "-o", "reward", "-q"]) == 0
    given = ["--prompts", "t.parquet", "--n-prompts", "2", "--max-new-tokens", "4"]
    assert main(["generate", "sft", *given, "--guide", "reward", "-o", "g.parquet"]) == 0
    texts = read_table(Path("g.parquet"), GENERATIONS)[0]
    assert texts["control"].to_list() == ["guided"] * 2
    assert texts["user_id"].null_count() == 2
    assert texts["system"][0].startswith("sft guided by bradley-terry-")


def test_a_policy_or_another_model_cannot_be_guided(
    run: str, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ["generate", run, "--prompts", "t.parquet", "--guide", run, "-o", "g.parquet"]
    assert main(line) == 2
    assert "is a run, but none that wrote a whole language model" in capfd.readouterr().err
    line = ["train", "t.parquet", "--method", "individual", "--model", "builtin:minilm"]
    assert main([*line, "--sham", "none", "-o", "minilm", "-q"]) == 0
    line = ["generate", "builtin:tiny", "--prompts", "t.parquet", "--guide", "minilm"]
    assert main([*line, "-o", "g.parquet"]) == 2
    err = capfd.readouterr().err
    assert "minilm cannot guide builtin:tiny" in err
    assert "it reads builtin:minilm, not builtin:tiny" in err
