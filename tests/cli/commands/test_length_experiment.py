"""`plt train --method pdpo` as a person types it, and what goes on from its run."""

import json
from pathlib import Path
from typing import Any

import pytest

from plt.cli import main
from plt.data.run import load_run
from plt.data.tables.schema import GENERATIONS, SCORES
from plt.data.tables.table import read_table

pytestmark = pytest.mark.slow
Capture = pytest.CaptureFixture[str]
MINORITY = {"u004", "u005", "u006"}


def test_the_line_alone_is_the_controlled_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    """Measured once (105 s of one core, 49 s of them without `builtin:small`): minority .98 against
    .26, top .89 against .55; 0 words for the minority and 33 for the majority, all texts ended.
    """
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--method", "pdpo"]) == 0
    shown = capfd.readouterr()
    (run,) = shown.out.splitlines()
    assert "no DATA given: using the embedded population synthetic:length" in shown.err
    assert "whom one policy for everybody (dpo) serves, and whom p-dpo does" in shown.err
    assert "This is one seed (0) at toy size" in shown.err
    assert main(["train", "--method", "pdpo", "--json"]) == 0
    again = capfd.readouterr()
    (entry,) = json.loads(again.out)["runs"]
    assert entry["run"] == run
    assert "done already" in again.err
    _serves_both(entry["length_experiment"])
    _goes_on(run, capfd)


def _serves_both(found: Any) -> None:
    personal, vanilla = found["personal"], found["vanilla"]
    for name in ("top", "generic", "majority", "minority"):
        for figures in (personal, vanilla):
            low, high = figures[name]["ci"]
            assert low <= figures[name]["value"] <= high
    assert personal["minority"]["value"] >= vanilla["minority"]["value"] + 0.4
    assert personal["minority"]["ci"][0] > vanilla["minority"]["ci"][1]
    assert personal["majority"]["value"] >= 0.75
    rows = {row["worker"] or row["control"]: row for row in found["written"]}
    seen = set(rows) - {"generic", "reference"}
    wishes = {worker: rows[worker]["wish"] for worker in seen}
    assert {worker for worker in seen if wishes[worker] == "shorter"} == MINORITY & seen
    # The language model ends its texts itself, so that few words mean a short text.
    assert rows["reference"]["ended"] >= 0.9
    assert rows["reference"]["words"]["value"] > 15
    longest = max(rows[worker]["words"]["value"] for worker in MINORITY & seen)
    assert longest < min(rows[worker]["words"]["value"] for worker in seen - MINORITY)


def _goes_on(run: str, capfd: Capture) -> None:
    """`plt generate`, `winrate`, `score` and `report` take the run as it is."""
    prompts = ["--prompts", "synthetic:length", "--n-prompts", "4", "--max-new-tokens", "48"]
    line = ["generate", run, *prompts, "--user", "u003", "--user", "u004", "--greedy"]
    assert main([*line, "-o", "own.parquet"]) == 0
    assert read_table(Path("own.parquet"), GENERATIONS)[0].height == 8
    assert main(["generate", "builtin:small", *prompts, "-o", "plain.parquet"]) == 0
    capfd.readouterr()
    judge = ["winrate", "own.parquet", "plain.parquet", "--judge", run, "--json"]
    assert main(judge) == 0
    (contest,) = json.loads(capfd.readouterr().out)["contests"]
    assert contest["n"] == 8
    assert main(["score", run, "synthetic:length", "-o", "scores.parquet"]) == 0
    assert read_table(Path("scores.parquet"), SCORES)[0].height == 2000
    capfd.readouterr()
    vanilla = next(Path("runs").glob("dpo-*"))
    assert load_run(vanilla).finished
    assert main(["report", str(vanilla), run]) == 0
    assert "p-dpo" in capfd.readouterr().out
