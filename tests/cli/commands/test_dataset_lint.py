"""`plt dataset-lint`: exit codes, streams and what is read."""

import json
from pathlib import Path

import polars as pl
import pytest

from plt.cli import main
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import write_preferences
from tests.analyze.lint.populations import Readers, table
from tests.data.made_tables import crossed


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    path = tmp_path / "clean.parquet"
    write_preferences(split(table(Readers(prompts=250)), SplitPlan("prompt")), path)
    return path


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    path = tmp_path / "leaky.parquet"
    edit = Readers(edit=lambda chosen, rejected: (chosen, f"['{rejected}\x1b[31m']"))
    write_preferences(table(edit), path)
    return path


def test_a_clean_table_is_exit_0_and_its_notes_are_shown(
    clean: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["dataset-lint", str(clean)]) == 0
    found = capfd.readouterr()
    assert "## Notes" in found.out
    assert "## Findings" not in found.out
    assert "readers is clean: 480 judgements looked at." in found.out
    assert f"plt dataset-stats {clean}" in found.err


def test_a_finding_is_exit_1_and_names_the_bracket_with_an_example_and_a_hint(
    leaky: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["dataset-lint", str(leaky)]) == 1
    out = capfd.readouterr().out
    assert "wrapped in [' ... ']" in out.replace("\\", "")
    assert "see pair " in out
    assert "hint: " in out
    assert "\x1b" not in out


def test_json_is_one_documented_object(leaky: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset-lint", str(leaky), "--json"]) == 1
    found = json.loads(capfd.readouterr().out)
    assert list(found) == [
        "dataset", "clean", "n_judgments", "n_decisions", "findings", "notes",
    ]  # fmt: skip
    assert found["clean"] is False
    assert {one["check"] for one in found["findings"]} == {"format", "markers", "control-tokens"}
    for one in (*found["findings"], *found["notes"]):
        assert list(one) == [
            "check", "what", "rows", "share", "figures", "details", "examples", "hint",
        ]  # fmt: skip
    figure = found["findings"][0]["figures"]["auc"]
    assert figure["value"] == 1.0
    assert figure["ci"][0] > 0.6


def test_repeated_keys_with_two_labels_are_a_finding_and_no_refusal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wide = crossed(3, 8).wide()
    twin = wide.head(2).with_columns(label=1 - pl.col("label"))
    path = tmp_path / "foreign.parquet"
    pl.concat([wide, twin]).write_parquet(path)
    assert main(["dataset-lint", str(path)]) == 1
    assert "2 occurrences in several rows with different labels" in capfd.readouterr().out
    assert main(["dataset-split", str(path), "-o", str(tmp_path / "no.parquet")]) == 2


def test_the_demo_population_is_clean(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset-lint", "synthetic:dirichlet", "-q"]) == 0
    assert capfd.readouterr().err.count("\n") <= 1
