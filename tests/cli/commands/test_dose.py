"""plt dose as a person types it: a run that every other command takes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import plt
from plt.cli import main
from plt.data.run import CONFIG, load_run
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import write_preferences
from plt.data.verify import verify
from tests.cli.commands.test_tax import bench_rows
from tests.data.made_tables import crossed

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dose")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        prefs = split(crossed(6, 60), SplitPlan(by="pair", unseen_users=0.0))
        write_preferences(prefs, folder / "split.parquet")
        lines = "".join(json.dumps(row) + "\n" for row in bench_rows())
        (folder / "bench.jsonl").write_text(lines, encoding="utf-8")
        small = ["--set", "model=builtin:tiny", "--no-baseline", "--sham", "none"]
        for method, more in (("length", []), ("individual", small), ("bradley-terry", small)):
            line = ["train", "split.parquet", "--method", method, "-o", method, *more]
            assert main(line) == 0
    return folder


@pytest.fixture(autouse=True)
def there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def typed(capfd: Capture, *line: str, code: int = 0) -> tuple[str, str]:
    assert main(["dose", *line, "--bench", "bench.jsonl"]) == code
    found = capfd.readouterr()
    return found.out, found.err


def answer(capfd: Capture, *line: str) -> dict[str, Any]:
    out, _ = typed(capfd, *line, "--json")
    return dict(json.loads(out))


def test_everything_is_within_a_large_budget_and_nothing_within_none(capfd: Capture) -> None:
    whole = answer(capfd, "individual", "--max-tax", "100")
    nothing = answer(capfd, "individual", "--max-tax", "0")
    assert [point["share"] for point in whole["points"]] == [n / 20 for n in range(21)]
    assert whole["share"] == 1
    first = nothing["points"][0]
    assert first["upper_tax"] == 0
    assert all(each["same_answers"] for each in first["other_half"].values())
    data = plt.read("split.parquet")
    own = plt.load("individual").score(data)["margin"].to_numpy()
    # All of everybody's taste is the run itself, to the bit; none of it the generic user.
    assert np.array_equal(plt.load(whole["run"]).score(data)["margin"].to_numpy(), own)
    generic = plt.load("individual").score(data, as_user="population")["margin"].to_numpy()
    if nothing["share"] == 0:
        assert np.array_equal(plt.load(nothing["run"]).score(data)["margin"].to_numpy(), generic)


def test_the_run_is_one_like_any_other(capfd: Capture) -> None:
    out, said = typed(capfd, "individual", "--max-tax", "100")
    path = Path(out.strip())
    run = load_run(path)
    assert run.identity.command == "dose"
    assert not verify(path).problems
    assert "A share of 0 is its own generic user; 1 is the run itself." in said
    assert "what it costs is told by the other half" in said
    again, told = typed(capfd, "individual", "--max-tax", "100")
    assert (again, "done already" in told) == (out, True)
    repeated, _ = typed(capfd, "--config", str(path / CONFIG))
    assert repeated == out
    assert main(["report", "individual", str(path)]) == 0
    assert "give the same answers" in capfd.readouterr().out
    assert main(["tax", str(path), "--bench", "bench.jsonl"]) == 0
    user = plt.load(path).fitted.users[0]
    assert main(["export", str(path), "--user", user, "exported"]) == 0
    capfd.readouterr()


def test_between_two_runs_margins_are_mixed(capfd: Capture) -> None:
    found = answer(capfd, "individual", "--base", "bradley-terry", "--max-tax", "100")
    assert found["base"] == "the run that --base names"
    points = {point["share"]: point for point in found["points"]}
    vanilla = plt.load("bradley-terry").metrics.filter(
        pl.col("metric") == "accuracy", pl.col("split") == "test", pl.col("average") == "user",
        pl.col("control").is_null(),
    )  # fmt: skip
    assert points[0]["accuracy"]["value"] == pytest.approx(vanilla["value"][0])


def test_what_cannot_be_done_is_said(capfd: Capture) -> None:
    _, said = typed(capfd, "length", code=2)
    assert "nothing lies between this run and its base: it scores everybody alike" in said
    assert "individual" in said
    _, said = typed(capfd, "individual", "--max-tax", "-1", code=2)
    assert "points from 0 to 100" in said
    _, said = typed(capfd, "individual", "--base", "length", code=2)
    assert "no heads on frozen features" in said
    out, _ = typed(capfd, "individual", "--max-tax", "100")
    _, said = typed(capfd, out.strip(), code=2)
    assert "is a run of plt dose" in said


def test_without_the_table_there_is_no_accuracy_and_still_a_share(
    capfd: Capture, home: Path
) -> None:
    moved = home / "elsewhere.parquet"
    (home / "split.parquet").rename(moved)
    try:
        found = answer(capfd, "individual", "--max-tax", "50")
        _, said = typed(capfd, "individual", "--max-tax", "50")
    finally:
        moved.rename(home / "split.parquet")
    assert found["points"][0]["accuracy"] is None
    assert "no accuracies of the run's own people" in said
    assert "Accuracies are missing" in said


def test_a_picture(capfd: Capture, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "dose.png"
    typed(capfd, "individual", "--max-tax", "100", "--plot", str(picture))
    assert b"plt dose" in picture.read_bytes()


def test_in_python_it_is_the_run_of_the_command(capfd: Capture) -> None:
    typed_run = answer(capfd, "individual", "--max-tax", "100")
    heard: list[str] = []
    found = plt.dose("individual", max_tax=100, bench="bench.jsonl", report=heard.append)
    assert str(found.found.path) == typed_run["run"]
    assert found.to_json() == typed_run
    assert any("done already" in sentence for sentence in heard)
    assert capfd.readouterr().out == ""
