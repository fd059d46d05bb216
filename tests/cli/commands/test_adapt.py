"""`plt adapt`: what is typed, what is made, what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import plt
from plt.api import train as train_in_python
from plt.cli import main
from plt.data.run import load_run
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import Preferences, read_preferences, write_preferences
from plt.data.tables.schema import METRICS_TABLE, SCORES
from plt.data.tables.table import read_table
from tests.data.made_tables import crossed

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of twenty people, five of them new, and a run that knows the others."""
    monkeypatch.chdir(tmp_path)
    write_preferences(split(crossed(20, 60), SplitPlan(unseen_users=0.25)), Path("t.parquet"))
    return tmp_path


def trained(capfd: Captured, *more: str, method: str = "random", data: str = "t.parquet") -> str:
    assert main(["train", data, "--method", method, "-q", *more]) == 0
    return capfd.readouterr().out.strip()


def refused(capfd: Captured, *line: str) -> str:
    assert main(["adapt", *line]) == 2
    found = capfd.readouterr()
    assert found.out == ""
    return found.err


def test_a_line_makes_a_run_and_the_same_line_finds_it(here: Path, capfd: Captured) -> None:
    run = trained(capfd)
    line = ["adapt", run, "--n-shots", "5,10", "--draws", "3"]
    assert main(line) == 0
    first = capfd.readouterr()
    path = Path(first.out.strip())
    assert path.name.startswith("adapt-random-")
    assert "| random | " in first.err
    assert main([*line, "-q"]) == 0
    assert Path(capfd.readouterr().out.strip()) == path
    scores, meta = read_table(path / "scores.parquet", SCORES)
    own = scores.filter(pl.col("control").is_null())
    counts = own.group_by("n_shots", "draw").len().sort("n_shots", "draw")
    questions = read_preferences(Path("t.parquet")).votes.filter(
        pl.col("user_split") == "unseen", pl.col("split") == "test"
    )
    assert counts.select("n_shots", "draw").rows() == [
        (0, 0), (5, 0), (5, 1), (5, 2), (10, 0), (10, 1), (10, 2),
    ]  # fmt: skip
    assert set(counts["len"]) == {questions.height}
    assert own["user_id"].n_unique() == 5
    assert own.filter(pl.col("n_shots") == 0)["scored_as"].null_count() == questions.height
    assert meta.dataset == "toy"
    sham = scores.filter(pl.col("control").is_not_null())
    assert sham.height == 6 * questions.height
    assert (sham["scored_as"] != sham["user_id"]).all()
    metrics, _ = read_table(path / "metrics.parquet", METRICS_TABLE)
    assert set(metrics["command"]) == {"adapt"}
    record = load_run(path).record
    assert record["trained"]["run_id"] == load_run(Path(run)).run_id
    assert main(["verify", str(path)]) == 0


def test_the_configuration_repeats_the_run(here: Path, capfd: Captured) -> None:
    run = trained(capfd)
    assert main(["adapt", run, "--n-shots", "3", "--draws", "2", "--seed", "7", "-q"]) == 0
    path = capfd.readouterr().out.strip()
    assert main(["adapt", run, "--config", f"{path}/config.toml", "--runs", "again", "-q"]) == 0
    other = capfd.readouterr().out.strip()
    assert Path(other).name == Path(path).name
    first, again = (read_table(Path(p) / "scores.parquet", SCORES)[0] for p in (path, other))
    assert first.equals(again)


def test_a_killed_run_goes_on_where_it_was(
    here: Path, capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plt.train.runs import adapt

    run = trained(capfd)
    line = ["adapt", run, "--n-shots", "3,6", "--draws", "2", "-q"]
    assert main([*line, "--runs", "whole"]) == 0
    whole = Path(capfd.readouterr().out.strip())
    calls: list[str] = []
    real = adapt.score_newcomers

    def counted(method: Any, people: Any, shown: Any, *rest: Any) -> Any:
        calls.append(shown.name)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(method, people, shown, *rest)

    monkeypatch.setattr(adapt, "score_newcomers", counted)
    assert main([*line, "--runs", "cut"]) == 130
    assert main([*line, "--runs", "cut"]) == 0
    path = Path(capfd.readouterr().out.strip())
    assert calls[:3] == ["shots-0-draw-0", "shots-3-draw-0", "shots-3-draw-1"]
    assert calls[4:] == ["shots-6-draw-0", "shots-6-draw-1"]
    for name in ("scores.parquet", "metrics.parquet", "config.toml"):
        assert (path / name).read_bytes() == (whole / name).read_bytes()


def test_report_puts_runs_side_by_side_and_draws_them(here: Path, capfd: Captured) -> None:
    first, second = trained(capfd), trained(capfd, "--seed", "1")
    assert main(["adapt", first, second, "--n-shots", "0,5", "-q"]) == 0
    paths = capfd.readouterr().out.split()
    assert len(paths) == 2
    assert main(["report", *paths, "--json", "--plot", "curves.svg"]) == 0
    found = json.loads(capfd.readouterr().out)["adaptation"]
    assert [curve["method"] for curve in found["curves"]] == ["random", "random"]
    assert [point["n_shots"] for point in found["curves"][0]["points"]] == [0, 5]
    assert "plt adapt" in Path("curves.svg").read_text()[:2000]
    assert main(["report", first, *paths]) == 0
    page = capfd.readouterr().out
    assert "accuracy by user" in page
    assert "gain over its own generic user" in page
    assert main(["report", first, "--plot", "curves.svg"]) == 2
    assert "--plot draws runs of plt adapt" in capfd.readouterr().err


def test_python_finds_what_the_command_finds(here: Path, capfd: Captured) -> None:
    run = trained(capfd)
    assert main(["adapt", run, "--n-shots", "0,5", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    made = plt.adapt(run, n_shots=[5])
    assert made.to_json() == document
    assert [str(each.path) for each in made] == [each["run"] for each in document["runs"]]
    answer = plt.compare(made)
    assert answer.to_json() == document["adaptation"]
    assert "gain over its own generic user" in repr(made)
    with pytest.raises(plt.errors.UsageError, match="runs of adapt"):
        plt.compare(made, run)


def test_fewer_answers_than_asked_for_are_reported_and_never_padded(
    here: Path, capfd: Captured
) -> None:
    prefs = read_preferences(Path("t.parquet"))
    unseen = prefs.votes.filter(pl.col("user_split") == "unseen")["user_id"].cast(pl.String)
    few = sorted(set(unseen))[0]
    mine = (pl.col("user_id").cast(pl.String) == few) & (pl.col("split") != "test")
    answers = prefs.votes.with_row_index("row").filter(mine)["row"][4:]
    votes = prefs.votes.with_row_index("row").filter(~pl.col("row").is_in(answers.implode()))
    write_preferences(replace(prefs, votes=votes.drop("row")), Path("few.parquet"))
    run = trained(capfd, data="few.parquet")
    assert main(["adapt", run, "--n-shots", "2,8,500"]) == 0
    found = capfd.readouterr()
    assert "1 of 5 people have fewer than 8 answers besides their questions" in found.err
    assert "nobody has 500 answers besides the questions" in found.err
    scores, _ = read_table(Path(found.out.strip()) / "scores.parquet", SCORES)
    people = scores.group_by("n_shots").agg(pl.col("user_id").n_unique()).sort("n_shots")
    assert people.rows() == [(0, 5), (2, 5), (8, 4)]


def test_a_run_that_scores_everybody_alike_says_which_can(here: Path, capfd: Captured) -> None:
    said = refused(capfd, trained(capfd, method="length"))
    assert "a run of length cannot adapt: it scores everybody alike" in said
    assert "eb-shrinkage" in said
    assert not list(Path("runs").glob("adapt-*"))


def test_beside_one_that_learns_a_blind_run_is_a_line(here: Path, capfd: Captured) -> None:
    paths = [trained(capfd, method="length"), trained(capfd)]
    assert main(["adapt", *paths, "--n-shots", "5"]) == 0
    found = capfd.readouterr()
    assert len(found.out.split()) == 2
    assert "length learns nothing of new people" in found.err


def test_a_table_without_new_people_is_a_clear_answer(here: Path, capfd: Captured) -> None:
    write_preferences(split(crossed(6, 60), SplitPlan(unseen_users=0.0)), Path("all.parquet"))
    said = refused(capfd, trained(capfd, data="all.parquet"))
    assert "has no unseen users: everybody in it may have been learnt from" in said
    assert "--unseen-users 0.2" in said
    assert not list(Path("runs").glob("adapt-*"))


def renamed(prefs: Preferences) -> Preferences:
    name = pl.concat_str(pl.lit("new "), pl.col("user_id").cast(pl.String))
    empty = pl.lit(None)
    votes = prefs.votes.with_columns(
        user_id=name.cast(prefs.votes.schema["user_id"]),
        split=empty.cast(prefs.votes.schema["split"]),
        user_split=empty.cast(prefs.votes.schema["user_split"]),
    )
    return replace(prefs, votes=votes, meta=replace(prefs.meta, split=None))


def test_another_table_holds_new_people_unless_the_run_knows_them(
    here: Path, capfd: Captured
) -> None:
    run = trained(capfd)
    write_preferences(renamed(crossed(4, 60)), Path("new.parquet"))
    assert main(["adapt", run, "new.parquet", "--n-shots", "5"]) == 0
    found = capfd.readouterr()
    assert "everybody in it taken as new" in found.err
    scores, _ = read_table(Path(found.out.strip()) / "scores.parquet", SCORES)
    assert scores["user_id"].n_unique() == 4
    write_preferences(split(crossed(20, 60), SplitPlan(unseen_users=0.5)), Path("u.parquet"))
    said = refused(capfd, run, "--data", "u.parquet")
    assert "unseen people: it learnt from them" in said


def test_the_runs_own_unsplit_table_is_divided_as_it_was(here: Path, capfd: Captured) -> None:
    write_preferences(crossed(20, 60), Path("whole.parquet"))
    run = trained(capfd, data="whole.parquet")
    for line in ([run], [run, "whole.parquet"]):
        assert main(["adapt", *line, "--n-shots", "5", "-q"]) == 0
        scores, _ = read_table(Path(capfd.readouterr().out.strip()) / "scores.parquet", SCORES)
        assert scores["user_id"].n_unique() == 4


def test_a_table_that_changed_is_refused(here: Path, capfd: Captured) -> None:
    run = trained(capfd)
    write_preferences(split(crossed(20, 61), SplitPlan(unseen_users=0.25)), Path("t.parquet"))
    assert "is not what" in refused(capfd, run)


def test_runs_of_different_tables_have_no_people_in_common(here: Path, capfd: Captured) -> None:
    write_preferences(split(crossed(20, 61), SplitPlan(unseen_users=0.25)), Path("o.parquet"))
    said = refused(capfd, trained(capfd), trained(capfd, data="o.parquet"))
    assert "trained on different tables" in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["--n-shots", "5,many"], "'many' is no number of answers"),
        (["--n-shots", "5,4294967296"], "--n-shots 4294967296"),
        (["--n-shots", "9" * 5000], "nobody gives more than 4,294,967,295 answers"),
        (["--apart", "user"], "known are auto, group, response, pair"),
        (["--draws", "5000"], "--draws is 5000, expected 1 to 1000"),
        (["t.parquet", "--data", "t.parquet"], "two tables are given"),
        (["-o", "t.parquet"], "t.parquet"),
    ],
)
def test_what_makes_no_sense_is_refused(
    here: Path, capfd: Captured, line: list[str], said: str
) -> None:
    assert said in refused(capfd, trained(capfd), *line)


def test_what_is_no_run_is_refused(here: Path, capfd: Captured) -> None:
    assert "is no run" in refused(capfd, ".")
    assert "is no run" in refused(capfd, "nothing")
    assert "t.parquet is no run: it is a file" in refused(capfd, "t.parquet")


@pytest.mark.parametrize("n_shots", ["0", "5000"])
def test_no_answers_are_no_reason_to_say_that_a_run_learns_nothing(
    here: Path, capfd: Captured, n_shots: str
) -> None:
    paths = [trained(capfd), trained(capfd, method="length")]
    assert main(["adapt", *paths, "--n-shots", n_shots]) == 0
    said = capfd.readouterr().err
    assert "random has no scores after any answers" in said
    assert "random learns nothing" not in said
    assert "length learns nothing of new people" in said


def test_what_answers_and_questions_share_is_said_in_every_report(
    here: Path, capfd: Captured
) -> None:
    """Told when the run is made, and not forgotten when its table is shown again."""
    run = trained(capfd)
    said = "may share groups and responses with that person's questions"
    assert main(["adapt", run, "--n-shots", "0,5", "--apart", "pair"]) == 0
    made = capfd.readouterr()
    assert said in " ".join(made.err.split())
    assert main(["report", made.out.strip()]) == 0
    assert said in capfd.readouterr().out
    assert main(["adapt", run, "--n-shots", "0,5", "--apart", "group"]) == 0
    assert "Footnote" not in capfd.readouterr().err


def test_contradictions_ties_and_one_side_are_adapted_to(here: Path, capfd: Captured) -> None:
    """Every answer of one new person is a tie, of another `a`, of a third both ways."""
    prefs = read_preferences(Path("t.parquet"))
    people = sorted(
        set(prefs.votes.filter(pl.col("user_split") == "unseen")["user_id"].cast(pl.String))
    )
    who = pl.col("user_id").cast(pl.String)
    label = (
        pl.when(who == people[0]).then(0.5).when(who == people[1]).then(1.0).otherwise("label")
    ).cast(pl.Float32)
    votes = prefs.votes.with_columns(label=label)
    twice = votes.filter(who == people[2]).with_columns(
        label=1 - pl.col("label"), occurrence=pl.lit(1, dtype=pl.UInt16)
    )
    write_preferences(replace(prefs, votes=pl.concat([votes, twice])), Path("odd.parquet"))
    run = trained(capfd, data="odd.parquet")
    assert main(["adapt", run, "--n-shots", "0,5,20", "-q"]) == 0
    scores, _ = read_table(Path(capfd.readouterr().out.strip()) / "scores.parquet", SCORES)
    assert scores["user_id"].n_unique() == 5
    assert scores["margin"].is_finite().all()


def test_a_run_of_a_frame_says_that_data_must_be_named(here: Path, capfd: Captured) -> None:
    (run,) = train_in_python(read_preferences(Path("t.parquet")), "random")
    said = refused(capfd, str(run.path))
    assert "no path leads to its people" in said
    assert "hint: plt adapt RUN --data DATA" in said
    assert main(["adapt", str(run.path), "t.parquet", "--n-shots", "5", "-q"]) == 0


def test_a_run_of_adapt_is_adapted_by_its_trained_run(here: Path, capfd: Captured) -> None:
    run = trained(capfd)
    assert main(["adapt", run, "--n-shots", "5", "--draws", "1", "-q"]) == 0
    adapted = capfd.readouterr().out.strip()
    said = refused(capfd, adapted, "--n-shots", "5")
    assert f"{adapted} is a run of plt adapt" in said
    assert f"plt adapt {run}" in said


def test_a_card_without_good_news_is_said_of_the_adapted_run(here: Path, capfd: Captured) -> None:
    run = trained(capfd, method="retrieve-similar")
    line = ["adapt", run, "--n-shots", "2", "--draws", "1", "--no-baselines"]
    assert main(line) == 0
    found = capfd.readouterr()
    assert "too sure: on simulated people" in found.err
    assert main(["report", found.out.strip()]) == 0
    assert "too sure: on simulated people" in capfd.readouterr().out


def test_questions_that_are_all_ties_are_refused_before_anything_is_made(
    here: Path, capfd: Captured
) -> None:
    prefs = read_preferences(Path("t.parquet"))
    asked = (pl.col("user_split") == "unseen") & (pl.col("split") == "test")
    label = pl.when(asked).then(pl.lit(0.5)).otherwise("label").cast(pl.Float32)
    votes = prefs.votes.with_columns(label=label)
    write_preferences(replace(prefs, votes=votes), Path("ties.parquet"))
    run = trained(capfd, data="ties.parquet")
    before = sorted(Path("runs").iterdir())
    said = refused(capfd, run, "--n-shots", "2", "--no-baselines")
    assert "no question to a new person was answered with a side" in said
    assert sorted(Path("runs").iterdir()) == before
