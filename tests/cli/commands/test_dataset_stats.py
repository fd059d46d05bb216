"""`plt dataset-stats`: what it prints, draws and writes."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from plt.cli import main
from plt.data.tables.preferences import Preferences, build, write_preferences
from plt.data.tables.schema import METRICS_TABLE
from plt.data.tables.table import Meta, read_table
from tests.analyze.populations_of_voters import camps, one_truth, sampled_votes
from tests.data.made_tables import crossed


def preferences(votes: pl.DataFrame) -> Preferences:
    """A table whose pairs are the given ones; texts are made of the pair's number."""
    content = pl.concat_str(pl.lit("question "), pl.col("pair_id").cast(pl.String))
    return build(
        votes.select(
            "user_id",
            pl.concat_list(pl.struct(role=pl.lit("user"), content=content)).alias("prompt"),
            pl.concat_str(pl.lit("one "), pl.col("pair_id").cast(pl.String)).alias("response_1"),
            pl.concat_str(pl.lit("other "), pl.col("pair_id").cast(pl.String)).alias("response_2"),
            "label",
        ),
        Meta(dataset="toy"),
    )


@pytest.fixture
def contested(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "contested.parquet"
    write_preferences(preferences(sampled_votes(camps(12, 40, rng), rng, repeated=0.5)), path)
    return path


@pytest.fixture
def unrepeated(tmp_path: Path) -> Path:
    rng = np.random.default_rng(6)
    path = tmp_path / "unrepeated.parquet"
    votes = sampled_votes(one_truth("margins", 4, 40, rng), rng)
    write_preferences(preferences(votes), path)
    return path


def test_figures_histogram_minority_users_and_the_verdict_last(
    contested: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["dataset-stats", str(contested)]) == 0
    found = capfd.readouterr()
    lines = found.out.strip().splitlines()
    assert lines[0].startswith("toy: 12 users, 40 pairs, ")
    assert lines[-1].startswith("Verdict: Tastes differ: ")
    assert "| self minus others " in found.out
    assert "other users, other pairs" in found.out
    assert "█" in found.out
    assert "**Minority users: 4 of 12 tested (FDR 2.5 %)**" in found.out
    assert "noise alone: " in found.out


def test_without_repeats_dashes_carry_reasons_and_assumptions_are_named(
    unrepeated: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["dataset-stats", str(unrepeated), "--assume-flip", "0.15"]) == 0
    out = capfd.readouterr().out
    assert "nobody judged a pair twice" in out
    assert "15 %" in out
    assert "room at most, if self-agreement is 0.8" in out
    assert "Verdict: Cannot tell whether tastes differ" in out


def test_json_is_the_documented_object(contested: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset-stats", str(contested), "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert list(found)[:6] == [
        "dataset", "n_users", "n_pairs", "n_judgments", "n_ties", "n_multi_pairs",
    ]  # fmt: skip
    assert list(found)[-1] == "verdict"
    assert len(found["minority_users"]) == 4


def test_a_piped_table_gives_the_same(
    contested: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["dataset-stats", str(contested), "--json"]) == 0
    from_file = capfd.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(contested.read_bytes())))
    assert main(["dataset-stats", "-", "--json"]) == 0
    assert capfd.readouterr().out == from_file


def test_out_is_a_metrics_table(contested: Path, tmp_path: Path) -> None:
    out = tmp_path / "metrics.parquet"
    assert main(["dataset-stats", str(contested), "-o", str(out)]) == 0
    table, meta = read_table(out, METRICS_TABLE)
    assert meta.dataset == "toy"
    named = {row["metric"]: row for row in table.iter_rows(named=True)}
    assert named["self_minus_others"]["ci_low"] > 0
    assert named["divergent"]["interval"].startswith("groups: ")
    assert named["self_agreement"]["higher_is_better"] is True
    assert {row["command"] for row in named.values()} == {"dataset-stats"}


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_plot_is_drawn(contested: Path, tmp_path: Path, kind: str) -> None:
    plot = tmp_path / f"figures.{kind}"
    assert main(["dataset-stats", str(contested), "--plot", str(plot)]) == 0
    magic = b"\x89PNG" if kind == "png" else b"<?xml"
    assert plot.read_bytes().startswith(magic)
    assert main(["dataset-stats", str(contested), "--plot", str(plot) + ".2." + kind]) == 0
    assert Path(f"{plot}.2.{kind}").read_bytes() == plot.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--plot", "figures.jpg"], "--plot figures.svg"),
        (["--assume-flip", "0.1,0.7"], "--assume-flip 0.05,0.1,0.2"),
        (["--assume-flip", "ten"], "--assume-flip 0.05,0.1,0.2"),
    ],
)
def test_wrong_flags_are_exit_2_with_a_hint(
    contested: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(["dataset-stats", str(contested), *arguments]) == 2
    found = capfd.readouterr()
    assert f"hint: {says}" in found.err
    assert found.out == ""


def test_hostile_names_are_shown_and_never_obeyed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    votes = sampled_votes(camps(9, 40, rng), rng, repeated=0.5)
    names = {"u000": "\x1b[31m[red]|$\\frac{", "u003": "=cmd()\u202e\n| a |", "u006": "<script>"}
    votes = votes.with_columns(pl.col("user_id").replace(names))
    path, plot = tmp_path / "hostile.parquet", tmp_path / "hostile.svg"
    write_preferences(preferences(votes), path)
    assert main(["dataset-stats", str(path), "--plot", str(plot)]) == 0
    out = capfd.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "\\<script>" in out
    assert "<script>" not in plot.read_text(encoding="utf-8")
    assert main(["dataset-stats", str(path), "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert set(names.values()) <= set(found["mv_acc"]["ceiling"])


def test_without_matplotlib_the_hint_installs_it(contested: Path) -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None;"
        "from plt.cli import main;"
        f"sys.exit(main(['dataset-stats', {str(contested)!r}, '--plot', 'figures.svg']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'plt-toolkit[plot]'" in done.stderr


def test_no_overlap_gives_figures_that_need_none(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "apart.parquet"
    votes = sampled_votes(camps(30, 240, rng), rng, voters=1)
    write_preferences(preferences(votes), path)
    assert main(["dataset-stats", str(path), "--json", "--near-duplicates", "0.3"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["divergent"]["value"] is None
    assert found["verdict"].startswith("Cannot tell")
    assert found["heterogeneity"]["conclusion"]
    assert found["near_duplicates"]["overlap"]["n_shared_clusters"] >= 1
    assert main(["dataset-stats", str(path)]) == 0
    assert found["heterogeneity"]["conclusion"][:30] in capfd.readouterr().out


def test_a_table_on_which_everybody_agrees(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "agreed.parquet"
    write_preferences(crossed(3, 4, label=1.0), path)
    assert main(["dataset-stats", str(path), "--plot", str(tmp_path / "agreed.svg")]) == 0
    out = capfd.readouterr().out
    assert "0.000 [0.000, " in out
    assert "nobody is testable" in out
