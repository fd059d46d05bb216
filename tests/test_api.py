"""The four documented names of the package."""

from pathlib import Path

import pytest

import plt
from plt.cli import main
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import write_preferences
from tests.data.made_tables import crossed


def test_read_stats_load_and_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "t.parquet"
    write_preferences(split(crossed(6, 60), SplitPlan(by="pair", unseen_users=0)), path)
    prefs = plt.read(path)
    assert prefs.votes.height == 360
    assert plt.stats(path).to_json()["n_users"] == 6
    assert plt.stats(prefs).to_json() == plt.stats(str(path)).to_json()
    assert main(["train", str(path), "--method", "length", "-o", "run", "-q"]) == 0
    scores = plt.load("run").score(path)
    assert scores.height == 360
    assert scores["margin"].null_count() == 0
    assert "length" in plt.METHODS


def test_registry_names_are_data_too() -> None:
    assert plt.read("synthetic:pets").meta.dataset == "synthetic:pets"


def test_who_expected_pyplot_is_told() -> None:
    with pytest.raises(AttributeError, match=r"plt-toolkit, not matplotlib\.pyplot"):
        _ = plt.figure
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = plt.nothing
