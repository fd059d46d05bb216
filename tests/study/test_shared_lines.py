"""One `plt train` line typed several times at once: cells are shared, each is fitted once."""

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from plt.cli import main
from plt.data.claims import Timing, claim_numbers
from plt.data.run import (
    CONFIG,
    LOG,
    METRICS_FILE,
    MODEL,
    SCORES_FILE,
    Run,
    hash_outputs,
    load_manifest,
    load_run,
    open_run,
    recording,
)
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import write_preferences
from tests.data.claimants import Process, quick_watch, until
from tests.data.made_tables import crossed

ROOT = Path(__file__).resolve().parents[2]
TIMES = ("started", "ended", "seconds", "peak_memory_mib")
CHEAP = ["--method", "random,length,popularity", "--train-size", "40,80,all", "--no-baseline"]
# What a method that takes its time does, in a session whose claims are quick to go stale.
SLOWLY = """
from dataclasses import replace
from tests.data.claimants import Process
from plt.data.tables.content import input_hashes
from plt.data.tables.preferences import read_preferences
from plt.study.execute import execute
from plt.study.make_run import Session
from plt.study.plan import Asked, Plan, plan
from plt.train.method import Compute

class Slow:
    def __init__(self, method):
        self.method, self.config = method, method.config
    def fit(self, prefs, ctx):
        print("fitting", flush=True)
        for step in range(1000):
            ctx.compute.progress("training", step, 1000)
            time.sleep(0.05)
        return self.method.fit(prefs, ctx)

prefs = read_preferences(Path("split.parquet"))
cells = plan(Asked("length", None, {}, [], None, "total", None), prefs, False).cells
cells = tuple(replace(cell, method=Slow(cell.method)) for cell in cells)
say = lambda text: print(text, file=sys.stderr, flush=True)
session = Session(prefs, None, Compute(), 0, Path("runs"), say, input_hashes(prefs, None), {},
                  watch=Watch(QUICK))
execute(Plan(cells, {}), session)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    prefs = split(crossed(6, 60), SplitPlan(by="pair", unseen_users=0.0))
    write_preferences(prefs, tmp_path / "split.parquet")
    return tmp_path


def typed(folder: Path, *line: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "plt", "train", "split.parquet", *line], cwd=folder, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def claims(run: Path) -> list[dict[str, Any]]:
    """Who held a run, one after the other."""
    events = [json.loads(line) for line in (run / LOG).read_text().splitlines()]
    return [event for event in events if "claim" in event]


def plain(run: Path) -> tuple[bytes, dict[str, Any]]:
    """What is the same however often a run was interrupted."""
    record = load_run(run).record
    return (run / CONFIG).read_bytes(), {k: v for k, v in record.items() if k not in TIMES}


def check_finished(run: Path) -> None:
    names = {entry.name for entry in run.iterdir()}
    assert names == {"manifest.json", CONFIG, SCORES_FILE, METRICS_FILE, LOG, MODEL}
    assert hash_outputs(run) == load_run(run).record["outputs"]


def shared(folder: Path, n: int, line: list[str], order: list[str]) -> None:
    """Types a line n times at once: all print all runs in its order, and each was made once."""
    started = [typed(folder, *line) for _ in range(n)]
    said = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0] * n, said
    paths = [out.split() for out, _ in said]
    assert all(found == paths[0] for found in paths)
    assert [Path(path).name.rpartition("-")[0] for path in paths[0]] == order
    for path in paths[0]:
        check_finished(folder / path)
        assert len(claims(folder / path)) == 1
    made = {claims(folder / path)[0]["process"] for path in paths[0]}
    assert made <= {process.pid for process in started}


@pytest.mark.slow
def test_two_lines_over_one_folder_share_their_cells(folder: Path) -> None:
    shared(folder, 2, CHEAP, ["random", "length", "popularity"] * 3)


@pytest.mark.slow
def test_lines_that_fit_models_share_their_cells_and_the_baseline(folder: Path) -> None:
    order = ["random", "length", "popularity", "bradley-terry", "individual"]
    line = ["--method", ",".join(order), "--model", "builtin:tiny"]
    shared(folder, 3, line, order)
    shared(folder, 2, ["--method", "eb-shrinkage", "--runs", "alone"], ["eb-shrinkage"])
    for run in (folder / "alone").iterdir():
        assert len(claims(run)) == 1


def test_a_cell_that_another_process_makes_comes_last_and_is_found_done(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It holds `random` and finishes it while this line makes the other two and waits."""
    line = ["train", "split.parquet", "--method", "random,length,popularity"]
    assert main([*line, "--runs", "known"]) == 0
    known = [Path(path) for path in capfd.readouterr().out.split()]
    name = known[0].name
    code = f"""
import shutil
from plt.data.run import load_run
identity = load_run(Path("known") / {name!r}).identity
run = open_run(identity, Path("runs") / {name!r})
with recording(run):
    print("held", flush=True)
    time.sleep(1.5)
    for entry in ("scores.parquet", "metrics.parquet"):
        shutil.copy(Path("known") / {name!r} / entry, run.work / entry)
"""
    with Process(code, folder) as other:
        assert other.says() == "held"
        assert main(line) == 0
        found = capfd.readouterr()
        assert [Path(path).name for path in found.out.split()] == [run.name for run in known]
        said = found.err
        held = f"random: process {other.number} on "
        assert held in said
        assert "is making this run: going on with the others" in said
        places = [said.index(held), said.index("popularity: test"), said.index("random: this run")]
        assert places == sorted(places)
        assert other.ended() == (0, "")


def test_a_single_cell_is_waited_for_and_taken_over_from_the_killed(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Process(SLOWLY, folder) as other:
        assert other.says() == "fitting"
        waiting = typed(folder, "--method", "length")
        assert waiting.stderr is not None
        assert f"length: process {other.number} on " in waiting.stderr.readline()
        other.kill()
        began = time.monotonic()
        out, err = waiting.communicate(timeout=60)
        # Start-up, a fit and a busy machine included, long before a claim counts as stale.
        assert time.monotonic() - began < Timing().stale / 2
        assert waiting.returncode == 0
        assert "length: resuming runs/length-" in err
        assert [event["process"] for event in claims(folder / out.strip())] == [
            other.number, waiting.pid,
        ]  # fmt: skip
        check_finished(folder / out.strip())
        assert main(["train", "split.parquet", "--method", "length", "--runs", "whole"]) == 0
        assert plain(folder / out.strip()) == plain(Path(capfd.readouterr().out.strip()))


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.slow
def test_a_fit_that_is_stopped_and_wakes_after_a_takeover_ends_itself(
    finished: bool, folder: Path
) -> None:
    with Process(SLOWLY, folder) as process:
        assert process.says() == "fitting"
        process.stop()
        (path,) = (folder / "runs").iterdir()
        watch = quick_watch()
        until(lambda: watch.free(path))
        run = open_run(load_manifest(path).identity, path, watch=watch)
        assert isinstance(run, Run)
        with recording(run):
            if not finished:
                process.wake()
                code, err = process.ended()
                assert code == 1
                assert (
                    f"{Path('runs') / path.name} was taken over by process {os.getpid()} on" in err
                )
            (run.work / METRICS_FILE).write_bytes(b"of the successor")
        if finished:
            process.wake()
            _, err = process.ended()
            assert f"was taken over, and finished, by process {os.getpid()} on" in err
        assert (path / METRICS_FILE).read_bytes() == b"of the successor"
        assert {entry.name for entry in path.iterdir()} == {
            "manifest.json", CONFIG, METRICS_FILE, LOG,
        }  # fmt: skip


@pytest.mark.slow
def test_killed_at_random_and_typed_again_the_runs_are_those_of_a_quiet_line(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two lines at a time, both killed; at every moment what says it is finished is whole."""
    assert main(["train", "split.parquet", *CHEAP, "--runs", "quiet"]) == 0
    quiet = [Path(path) for path in capfd.readouterr().out.split()]
    chance = random.Random(0)
    kills = 0
    published: dict[str, bytes] = {}
    while kills < 40:
        lines = [typed(folder, *CHEAP, "--runs", "killed") for _ in range(2)]
        # A line needs about half a second to begin, and the cells about as long together.
        for process in lines:
            time.sleep(chance.uniform(0.2, 0.6))
            kills += process.poll() is None
            process.kill()
        for process in lines:
            process.communicate()
        for path in (folder / "killed").glob("*/manifest.json"):
            with contextlib.suppress(FileNotFoundError):
                if load_manifest(path.parent).finished:
                    assert hash_outputs(path.parent) == load_run(path.parent).record["outputs"]
                    # A cell that is published is never published again.
                    was = published.setdefault(path.parent.name, path.read_bytes())
                    assert path.read_bytes() == was
        if len(published) == len(quiet):
            published.clear()
            for run in (folder / "killed").iterdir():
                run.rename(folder / f"{run.name}-{kills}")
    last = typed(folder, *CHEAP, "--runs", "killed")
    out, err = last.communicate(timeout=120)
    assert last.returncode == 0, err
    made = [folder / path for path in out.split()]
    made += [path for path in folder.glob("*-*-*") if path.is_dir()]
    by_id = {run.name: run for run in quiet}
    for run in made:
        check_finished(run)
        assert claim_numbers(run) == []
        one = next(other for name, other in by_id.items() if run.name.startswith(name))
        assert plain(run) == plain(one)
        assert (run / SCORES_FILE).read_bytes() == (one / SCORES_FILE).read_bytes()
