"""A run is verified by its files, and two runs by what they say."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from plt.data.identity import Identity
from plt.data.run import SCORES_FILE, Run, open_run, recording
from plt.data.tables.schema import SCORES
from plt.data.tables.table import write_table
from plt.data.verify import store_reference, stored_tolerance, verify
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


def on_another_machine(run: Path) -> Path:
    """The manifest says that an older processor made it."""
    document = json.loads((run / "manifest.json").read_text())
    document["record"]["processor"] = "another one"
    (run / "manifest.json").write_text(json.dumps(document))
    return run


def test_a_stored_reference_is_small_and_holds_this_machine_to_the_bit(tmp_path: Path) -> None:
    margins = list(np.linspace(-2, 2, 40))
    store_reference(run_with(tmp_path / "b", margins), tmp_path / "kept", 1e-3)
    held = {path.name for path in (tmp_path / "kept").iterdir()}
    assert held == {"config.toml", "manifest.json", "scores.parquet", "reference.json"}
    same = run_with(tmp_path / "c", margins)
    assert verify(same, tmp_path / "kept").problems == []
    moved = run_with(tmp_path / "d", [margins[0] + 1e-9, *margins[1:]])
    found = verify(moved, tmp_path / "kept")
    assert (found.tolerance, found.machine) == (0.0, ())
    assert "1 of 40 margins differ by more than 0" in found.problems[0]


@pytest.mark.parametrize(
    ("moves", "said"),
    [
        ("rounding", None),
        ("too far", "2 of 40 margins differ by more than 0.001"),
        ("upwards", "on average, upwards"),
        ("stretched", "on average, away from 0"),
    ],
)
def test_another_machine_may_round_and_nothing_else(
    tmp_path: Path, moves: str, said: str | None
) -> None:
    margins = np.linspace(-2, 2, 40)
    store_reference(run_with(tmp_path / "a", list(margins)), tmp_path / "kept", 1e-3)
    noise = 9e-4 * np.tile([1, -1, -1, 1], 10)
    other = {
        "rounding": margins + noise,
        "too far": margins + np.where(np.abs(margins) > 1.95, 2e-3, 0) * noise / 9e-4,
        "upwards": margins + 5e-4,
        "stretched": margins * (1 + 3e-4),
    }[moves]
    run = on_another_machine(run_with(tmp_path / "b", list(other)))
    found = verify(run, tmp_path / "kept")
    assert found.tolerance == 1e-3
    assert len(found.machine) == 1
    if said is None:
        assert found.problems == []
    else:
        assert said in found.problems[0]
    assert verify(run, tmp_path / "kept", tolerance=1.0).problems == []


def test_what_is_stored_is_checked(tmp_path: Path) -> None:
    run = run_with(tmp_path / "a", [1.0, 2.0])
    store_reference(run, tmp_path / "kept", 1e-3)
    store_reference(run, tmp_path / "kept", 1e-4)
    assert stored_tolerance(tmp_path / "kept") == 1e-4
    scores_file = tmp_path / "kept" / SCORES_FILE
    pl.read_parquet(scores_file).write_parquet(scores_file)
    assert "has changed since the run ended" in verify(run, tmp_path / "kept").problems[0]
    for text in ('{"margin_tolerance": "many"}', '{"margin_tolerance": true}', "[]", "{", "{}"):
        (tmp_path / "kept" / "reference.json").write_text(text)
        with pytest.raises(ArtifactError, match="does not say which margin_tolerance"):
            verify(run, tmp_path / "kept")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    with pytest.raises(ArtifactError, match="something else"):
        store_reference(run, tmp_path / "thesis", 1e-3)
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]
    (run / SCORES_FILE).unlink()
    with pytest.raises(ArtifactError, match="is not what it was"):
        store_reference(run, tmp_path / "new", 1e-3)
    assert not (tmp_path / "new").exists()
