"""P-RLHF's experiment behind a run, at the smallest size, against figures taken by hand."""

import json
from pathlib import Path

import polars as pl
import pytest

from plt.cli import main
from plt.data.simulate import length
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import write_preferences
from plt.data.tables.schema import SCORES
from plt.data.tables.table import read_table
from plt.study.length_experiment import is_length_experiment, wishes_of
from plt.study.plan import default_data
from tests.data.made_tables import crossed

WORLD = length.Config(users=6, prompts=30, pairs_per_user=14)


def test_wishes_are_those_that_the_simulator_wrote_down() -> None:
    config = length.Config(users=40, prompts=30, pairs_per_user=2)
    truth = length.simulate(config).meta.truth or {}
    table = length.user_table(config)
    kinds = dict(zip(table["user_id"], table["attr_kind"], strict=True))
    assert wishes_of(truth) == kinds
    assert sum(wish == "shorter" for wish in kinds.values()) == 14  # the first forty of the paper


def test_only_personal_policies_on_that_table_have_one() -> None:
    prefs = length.simulate(WORLD)
    assert is_length_experiment("p-dpo", prefs)
    assert is_length_experiment("p-ipo", prefs)
    assert not is_length_experiment("dpo", prefs)
    assert not is_length_experiment("individual", prefs)
    assert not is_length_experiment("p-dpo", crossed(3, 4))


def test_policies_have_data_of_their_own() -> None:
    assert default_data(["p-dpo"]) == default_data(["sft", "bradley-terry"]) == "synthetic:length"
    assert default_data(["bradley-terry", "individual"]) == "synthetic:attributes"


@pytest.fixture
def small_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("plt.study.length_experiment.N_PROMPTS", 2)
    monkeypatch.setattr("plt.study.length_experiment.MAX_NEW_TOKENS", 4)
    prefs = split(length.simulate(WORLD), SplitPlan(by="pair", unseen_users=0.34, seed=1))
    write_preferences(prefs, tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def test_the_table_stands_on_stderr_and_the_path_alone_on_stdout(
    small_experiment: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ["train", "t.parquet", "--method", "p-dpo", "--model", "builtin:tiny",
            "--max-length", "96", "--set", "max_steps=1", "--set", "pairs_per_step=2"]  # fmt: skip
    assert main(line) == 0
    shown = capfd.readouterr()
    (path,) = shown.out.splitlines()
    assert Path(path).name.startswith("p-dpo-")
    assert "fitting dpo too" in shown.err
    assert "whom one policy for everybody (dpo) serves, and whom p-dpo does" in shown.err
    assert "This is one seed (0) at toy size" in shown.err
    # Texts that are cut are what a person must hear before anything is trained.
    said = [text for text in shown.err.splitlines() if text.startswith("plt: p-dpo: ")]
    assert "lose their middle" in said[0]
    assert "what is learnt is not what people judged" in said[0]
    assert sum("lose their middle" in text for text in said) == 1
    assert main([*line, "--json"]) == 0
    (entry,) = json.loads(capfd.readouterr().out)["runs"]
    found = entry["length_experiment"]
    _agrees_with_scores(found["personal"], path)
    _agrees_with_scores(found["vanilla"], entry["gain"]["baseline"])
    assert (found["personal"]["method"], found["vanilla"]["method"]) == ("p-dpo", "dpo")
    workers = {row["worker"]: row["wish"] for row in found["written"] if row["worker"]}
    prefs = pl.read_parquet("t.parquet")
    seen = prefs.filter(pl.col("user_split") == "seen")["user_id"].unique()
    assert set(workers) == set(map(str, seen))
    assert [row["control"] for row in found["written"] if row["worker"] is None] == [
        "generic", "reference",
    ]  # fmt: skip
    assert all(row["words"]["n"] == 2 for row in found["written"])


def _agrees_with_scores(found: dict[str, dict[str, float]], run: str) -> None:
    """Top and generic, counted from the scores that `plt score` gives."""
    assert main(["score", run, "t.parquet", "-o", "scores.parquet", "-q"]) == 0
    rows = read_table(Path("scores.parquet"), SCORES)[0].filter(pl.col("split") == "test")
    right = (pl.col("margin") > 0) == (pl.col("label") > 0.5)
    for name, kind in (("top", "seen"), ("generic", "unseen")):
        of = rows.filter(pl.col("user_split") == kind)
        assert found[name]["value"] == pytest.approx(of.select(right.mean()).item())
        assert found[name]["n"] == of.height


def test_without_vanilla_its_column_is_empty(
    small_experiment: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ["train", "t.parquet", "--method", "p-dpo", "--model", "builtin:tiny", "--no-baseline",
            "--set", "max_steps=1", "--set", "pairs_per_step=2", "--json"]  # fmt: skip
    assert main(line) == 0
    (entry,) = json.loads(capfd.readouterr().out)["runs"]
    assert entry["gain"] is None
    assert entry["length_experiment"]["vanilla"] is None
    assert entry["length_experiment"]["personal"]["top"]["value"] is not None
