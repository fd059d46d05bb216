"""A run is verified by its files, and two runs by what they say."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from plt.data.identity import Identity
from plt.data.run import SCORES_FILE, Run, open_run, recording
from plt.data.tables.schema import SCORES
from plt.data.tables.table import write_table
from plt.data.verify import verify
from plt.errors import ArtifactError
from tests.analyze.score_tables import scores

IDENTITY = Identity("train", "length", {}, 0, {"preferences": "x"})


def run_with(path: Path, margins: list[float], identity: Identity = IDENTITY) -> Path:
    table = scores([1.0] * len(margins), margins, [f"u{i}" for i in range(len(margins))])
    return run_of(path, table, identity)


def run_of(path: Path, table: pl.DataFrame, identity: Identity = IDENTITY) -> Path:
    opened = open_run(identity, path)
    assert isinstance(opened, Run)
    with recording(opened) as run:
        write_table(table, SCORES, run.work / SCORES_FILE)
    return path


def test_an_untouched_run_is_reproduced(tmp_path: Path) -> None:
    run = run_with(tmp_path / "a", [1.0, 2.0])
    found = verify(run)
    assert (found.problems, found.n_files) == ([], 2)


@pytest.mark.parametrize("what", ["changed", "gone", "new"])
def test_touched_files_are_named(tmp_path: Path, what: str) -> None:
    run = run_with(tmp_path / "a", [1.0])
    if what == "changed":
        (run / SCORES_FILE).write_bytes((run / SCORES_FILE).read_bytes() + b"x")
    elif what == "gone":
        (run / SCORES_FILE).unlink()
    else:
        (run / "model").mkdir()
        (run / "model" / "extra.bin").write_bytes(b"x")
    (problem,) = verify(run).problems
    assert what in problem


def test_runs_within_the_tolerance_agree(tmp_path: Path) -> None:
    one = run_with(tmp_path / "a", [1.0, 2.0, -1.0])
    other = run_with(tmp_path / "b", [1.0, 2.0 + 1e-6, -1.0])
    assert verify(one, other, tolerance=1e-5).problems == []
    found = verify(one, other)
    assert found.largest == pytest.approx(1e-6)
    assert "1 of 3 margins differ by more than 0" in found.problems[0]


def test_another_question_is_named(tmp_path: Path) -> None:
    one = run_with(tmp_path / "a", [1.0])
    other = run_with(tmp_path / "b", [1.0], replace(IDENTITY, seed=7))
    assert verify(one, other).problems == ["seed: 0 against 7 in the reference"]


def test_other_processors_are_named_where_figures_differ(tmp_path: Path) -> None:
    names = (("few", ["few"]), ("many", ["few", "many"]), ("many", []), (None, None))
    runs = []
    for i, (here, features) in enumerate(names):
        opened = open_run(IDENTITY, tmp_path / str(i))
        assert isinstance(opened, Run)
        with recording(opened) as run:
            table = scores([1.0, 1.0], [1.0, 2.0 + i * 1e-6], ["u", "v"])
            write_table(table, SCORES, run.work / SCORES_FILE)
            run.record |= {"processor": here, "features_made_by": features} if here else {}
        runs.append(run.path)
    assert verify(runs[1], runs[0], tolerance=1e-5).problems == []
    assert verify(runs[1], runs[0]).problems[1:] == [
        "processor: many against few in the reference; another processor rounds otherwise",
        "features made by: few, many against few in the reference;"
        " another processor rounds otherwise",
    ]
    (found,) = verify(runs[2], runs[1]).problems[1:]
    assert found.startswith("features made by: none against few, many")
    (found, _) = verify(runs[3], runs[2]).problems[1:]
    assert found.startswith("processor: one that the manifest does not name against many")


def test_missing_judgements_are_counted(tmp_path: Path) -> None:
    one = run_with(tmp_path / "a", [1.0, 1.0])
    other = run_with(tmp_path / "b", [1.0])
    assert verify(one, other).problems == ["1 judgements are scored in one of the runs only"]


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    opened = open_run(IDENTITY, tmp_path / "a")
    assert isinstance(opened, Run)
    with pytest.raises(RuntimeError), recording(opened):
        raise RuntimeError
    with pytest.raises(ArtifactError, match="did not finish"):
        verify(tmp_path / "a")


def test_null_names_are_matched(tmp_path: Path) -> None:
    paths = []
    for name in "ab":
        table = scores([1.0, 0.0], [0.5, 0.25], [None, None])
        paths.append(run_of(tmp_path / name, table.with_columns(pl.col("user_id"))))
    found = verify(*paths)
    assert (found.problems, found.n_margins) == ([], 2)
