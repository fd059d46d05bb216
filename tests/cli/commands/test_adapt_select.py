"""`plt adapt --select`: runs that choose which answers they are shown."""

from pathlib import Path

import polars as pl
import pytest

from plt.cli import main
from plt.data.run import load_run
from plt.data.splitting.shots import newcomers
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import read_preferences, write_preferences
from plt.data.tables.schema import SCORES
from plt.data.tables.table import read_table
from plt.train.judgements import support_view
from plt.train.method import Compute, TrainContext
from plt.train.runs.active_shots import active_places
from plt.train.runs.fitted_run import load_fitted_run
from plt.train.runs.scoring import Label, score_pairs
from tests.data.made_tables import crossed

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of twelve people, three of them new, and two runs that know the others."""
    folder = tmp_path_factory.mktemp("select")
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    write_preferences(split(crossed(12, 40), SplitPlan(unseen_users=0.25)), Path("t.parquet"))
    eb = ["--method", "eb-shrinkage", "--set", "iterations=1", "--set", "variance=1"]
    assert main(["train", "t.parquet", *eb, "--out", "eb", "-q"]) == 0
    assert main(["train", "t.parquet", "--method", "random", "--out", "coin", "-q"]) == 0
    patch.undo()
    return folder


@pytest.fixture
def here(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


def adapted(capfd: Captured, *line: str) -> tuple[list[Path], str]:
    capfd.readouterr()
    assert main(["adapt", *line, "--n-shots", "3,6", "--no-baselines"]) == 0
    found = capfd.readouterr()
    return [Path(path) for path in found.out.split()], found.err


def test_a_run_is_shown_what_it_asked_for(here: Path, capfd: Captured, tmp_path: Path) -> None:
    [path], said = adapted(capfd, "eb", "--select", "weighted")
    assert "eb-shrinkage chose which answers it was shown" in said
    run = load_run(path)
    assert run.identity.config["select"] == "weighted"
    assert any("chose which answers" in note for note in run.record["notes"])
    scores, _ = read_table(path / "scores.parquet", SCORES)
    own = scores.filter(pl.col("control").is_null())
    assert own.select("n_shots", "draw").unique().sort("n_shots").rows() == [(0, 0), (3, 0), (6, 0)]
    # The same by hand: the session of six questions, and the head after its first three answers.
    method = load_fitted_run(Path("eb"), Compute(device="cpu")).method
    people = newcomers(read_preferences(Path("t.parquet")))
    places = active_places(method, people.answers, 6, "weighted", 0)  # type: ignore[arg-type]
    first = pl.Series((places >= 0) & (places < 3))
    shots = people.answers.filter(pl.lit(first))
    assert shots.votes.height == 3 * len(people.users)
    ctx = TrainContext(0, tmp_path, Compute(device="cpu"))
    by_hand = method.adapt(support_view(shots), ctx)
    expected = score_pairs(by_hand, people.questions, Label("run", "eb-shrinkage", 0)).frame
    key = ["user_id", "pair_id"]
    found = own.filter(pl.col("n_shots") == 3).sort(key)["margin"].to_numpy()
    assert found == pytest.approx(expected.sort(key)["margin"].to_numpy(), abs=1e-5)
    again, _ = adapted(capfd, "eb", "--select", "weighted", "-q")
    assert again == [path]


def test_drawn_and_chosen_answers_stand_side_by_side(here: Path, capfd: Captured) -> None:
    paths = [*adapted(capfd, "eb", "--select", "uncertainty")[0], *adapted(capfd, "eb")[0]]
    assert len(set(paths)) == 2
    assert main(["report", *map(str, paths)]) == 0
    page = capfd.readouterr().out
    assert "eb-shrinkage, uncertainty" in page


def test_who_cannot_choose_says_so_and_is_the_run_without_a_choice(
    here: Path, capfd: Captured
) -> None:
    [path], said = adapted(capfd, "coin", "--select", "weighted")
    assert "random cannot choose what to ask (--select weighted)" in said
    assert adapted(capfd, "coin")[0] == [path]


def test_an_unknown_criterion_is_refused_with_those_that_there_are(
    here: Path, capfd: Captured
) -> None:
    assert main(["adapt", "eb", "--select", "wieghted"]) == 2
    said = capfd.readouterr().err
    assert "weighted" in said
    assert "information" in said
