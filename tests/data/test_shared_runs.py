"""Runs that several processes share: made once, taken over, never published by two."""

import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plt.data.claims import Claim, TakenOver, Watch, claim_numbers
from plt.data.run import (
    CHECKPOINTS,
    CONFIG,
    LOG,
    MANIFEST,
    MODEL,
    SCORES_FILE,
    Held,
    Run,
    hash_outputs,
    load_manifest,
    load_run,
    open_run,
    recording,
)
from tests.data.claimants import IDENTITY, Process, quick_watch, until

FINISHED = {MANIFEST, CONFIG, SCORES_FILE, LOG, MODEL}
CALLS = ("mkdir", "rename", "replace", "link", "unlink", "rmdir")
MAKE = """
def make(path, seconds=0.0, identity=IDENTITY):
    watch = Watch(QUICK)
    while isinstance(run := open_run(identity, path, watch=watch), Held):
        time.sleep(QUICK.poll)
    if run.finished:
        return
    with recording(run):
        with open("fits.txt", "a") as file:
            file.write(f"{path}\\n")
        print("made", flush=True)
        time.sleep(seconds)
        (run.work / "model").mkdir()
        (run.work / "model" / "weights").write_text("w")
        (run.work / "scores.parquet").write_text("s")
"""


def opened(path: Path, watch: Watch | None = None) -> Run:
    run = open_run(IDENTITY, path, watch=watch or quick_watch())
    assert isinstance(run, Run)
    return run


def fill(run: Run) -> None:
    """What a fit writes."""
    (run.work / MODEL).mkdir()
    (run.work / MODEL / "weights").write_text("w")
    (run.work / SCORES_FILE).write_text("s")


def content(path: Path) -> dict[str, bytes]:
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def check_finished(path: Path) -> None:
    """It is a whole run, with nothing beside it."""
    found = load_run(path)
    assert {entry.name for entry in path.iterdir()} == FINISHED
    assert set(found.record["outputs"]) == {CONFIG, SCORES_FILE, "model/weights"}
    assert hash_outputs(path) == found.record["outputs"]


def test_eight_at_once_make_each_run_once(tmp_path: Path) -> None:
    names = ["a", "b", "c"]
    code = f"{MAKE}\nfor name in {names}: make(Path(name), 0.2)"
    started = [Process(code, tmp_path) for _ in range(8)]
    for process in started:
        with process:
            code_, err = process.ended()
            assert code_ == 0, err
    assert sorted((tmp_path / "fits.txt").read_text().split()) == names
    for name in names:
        check_finished(tmp_path / name)
        (event,) = (tmp_path / name / LOG).read_text().splitlines()
        assert json.loads(event)["claim"] == 1


def test_who_looks_while_another_makes_it_is_told_who(tmp_path: Path) -> None:
    with recording(opened(tmp_path / "r")) as run:
        fill(run)
        found = open_run(IDENTITY, tmp_path / "r", watch=quick_watch())
        assert isinstance(found, Held)
        assert str(found.holder).startswith(f"process {os.getpid()} on ")
        forced = open_run(IDENTITY, tmp_path / "r", force=True, watch=quick_watch())
        assert isinstance(forced, Held)
        with pytest.raises(Exception, match="did not finish"):
            load_run(tmp_path / "r")
    check_finished(tmp_path / "r")


def test_kill_9_is_taken_over_at_once_with_its_checkpoint_and_log(tmp_path: Path) -> None:
    code = f"""{MAKE}
run = open_run(IDENTITY, Path("r"))
with recording(run):
    folder = run.work / "checkpoints" / "fit"
    folder.mkdir(parents=True)
    (folder / "step").write_text("7")
    (folder / ".step.half.tmp").write_text("8")
    print("made", flush=True)
    time.sleep(60)
"""
    with Process(code, tmp_path) as process:
        assert process.says() == "made"
        watch = Watch()
        assert isinstance(open_run(IDENTITY, tmp_path / "r", watch=watch), Held)
        process.kill()
        began = time.monotonic()
        run = opened(tmp_path / "r", watch)
        assert time.monotonic() - began < 1
        assert run.resumed
        (fit,) = (run.work / CHECKPOINTS).iterdir()
        assert [(file.name, file.read_text()) for file in fit.iterdir()] == [("step", "7")]
        with recording(run):
            fill(run)
        check_finished(tmp_path / "r")
        events = [json.loads(line) for line in (tmp_path / "r" / LOG).read_text().splitlines()]
        assert [event["process"] for event in events] == [process.number, os.getpid()]


@pytest.mark.parametrize("finished", [False, True])
def test_a_stopped_process_that_wakes_after_a_takeover_publishes_nothing(
    finished: bool, tmp_path: Path
) -> None:
    code = f"{MAKE}\nmake(Path('r'), 0.5)"
    with Process(code, tmp_path) as process:
        assert process.says() == "made"
        process.stop()
        watch = quick_watch()
        until(lambda: watch.free(tmp_path / "r"))
        run = opened(tmp_path / "r", watch)
        with recording(run):
            if not finished:
                process.wake()
                code_, err = process.ended()
                assert f"taken over by process {os.getpid()} on" in err
            fill(run)
            (run.work / SCORES_FILE).write_text("of the successor")
        before = content(tmp_path / "r")
        if finished:
            process.wake()
            code_, err = process.ended()
            assert "taken over by another process, which has finished" in err
        assert code_ == 1
        assert content(tmp_path / "r") == before
        assert (tmp_path / "r" / SCORES_FILE).read_text() == "of the successor"
        check_finished(tmp_path / "r")


@pytest.mark.parametrize("ends", ["well", "in an error", "by Ctrl-C"])
def test_who_was_stopped_between_his_look_and_his_rename_publishes_nothing(
    ends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In that moment another one takes over and finishes; the rename fails by itself."""
    path, look, before = tmp_path / "r", Claim.check, {}

    def looks_and_is_stopped(claim: Claim) -> None:
        look(claim)
        monkeypatch.setattr(Claim, "check", look)
        claim.stop()
        watch = quick_watch()
        until(lambda: watch.free(path))
        with recording(opened(path, watch)) as second:
            fill(second)
            (second.work / SCORES_FILE).write_text("of the second")
        before.update(content(path))

    raised = {"in an error": ZeroDivisionError, "by Ctrl-C": KeyboardInterrupt}.get(ends)

    def ends_so() -> None:
        with recording(opened(path)) as run:
            fill(run)
            (run.work / CHECKPOINTS).mkdir()
            monkeypatch.setattr(Claim, "check", looks_and_is_stopped)
            if raised is not None:
                raise raised

    with pytest.raises(raised or TakenOver):
        ends_so()
    assert content(path) == before
    assert (path / SCORES_FILE).read_text() == "of the second"
    check_finished(path)


def test_who_was_stopped_while_he_took_a_run_over_leaves_it_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, look = tmp_path / "r", Claim.check

    def looks_and_is_stopped(claim: Claim) -> None:
        look(claim)
        monkeypatch.setattr(Claim, "check", look)
        claim.stop()
        watch = quick_watch()
        until(lambda: watch.free(path))
        with recording(opened(path, watch)) as second:
            fill(second)

    monkeypatch.setattr(Claim, "check", looks_and_is_stopped)
    run = opened(path)
    assert run.finished
    check_finished(path)


def test_an_error_gives_the_run_back_at_once(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), recording(opened(tmp_path / "r")):
        1 / 0  # noqa: B018 - what is raised is the point
    assert load_manifest(tmp_path / "r").record["error"] == "ZeroDivisionError: division by zero"
    assert {entry.name for entry in (tmp_path / "r").iterdir()} == {MANIFEST, CONFIG, LOG}
    with recording(opened(tmp_path / "r")) as run:
        fill(run)
    check_finished(tmp_path / "r")


def test_force_waits_for_nobody_who_is_gone_and_removes_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "r"
    with recording(opened(path)) as run:
        fill(run)
    (path / "notes.txt").write_text("mine")
    with pytest.raises(Exception, match="force removes nothing"):
        open_run(IDENTITY, path, force=True)
    (path / "notes.txt").unlink()
    again = open_run(IDENTITY, path, force=True, watch=quick_watch())
    assert isinstance(again, Run)
    with recording(again):
        fill(again)
        assert not (path / SCORES_FILE).exists()
    check_finished(path)


def _dies(call: int, work: Callable[[], None]) -> int:
    """Does `work` in a process that is gone, as if killed, before its n-th change of the disk.

    Returns:
        Its exit code: 9 if it died so, 0 if it needed fewer changes.
    """
    context = multiprocessing.get_context("fork")

    def body() -> None:
        left = [call]
        for name in CALLS:
            real = getattr(os, name)

            def counted(*args: Any, _real: Any = real, **kwargs: Any) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    os._exit(9)
                return _real(*args, **kwargs)

            setattr(os, name, counted)
        work()
        os._exit(0)

    process = context.Process(target=body)
    process.start()
    process.join()
    return process.exitcode or 0


def _make(path: Path, *, force: bool = False) -> None:
    run = open_run(IDENTITY, path, force=force)
    assert isinstance(run, Run)
    if not run.finished:
        with recording(run):
            (run.work / CHECKPOINTS).mkdir(exist_ok=True)
            (run.work / CHECKPOINTS / "step").write_text("7")
            fill(run)


def _cancel(path: Path) -> None:
    with recording(opened(path)) as run:
        (run.work / CHECKPOINTS).mkdir()
        (run.work / CHECKPOINTS / "step").write_text("7")
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    "before",
    [
        "nothing",
        pytest.param("a cancelled run", marks=pytest.mark.slow),
        pytest.param("a finished run, forced", marks=pytest.mark.slow),
    ],
)
def test_killed_before_any_change_of_the_disk_it_is_finished_by_the_next(
    before: str, tmp_path: Path
) -> None:
    path = tmp_path / "r"
    for call in range(1000):
        shutil.rmtree(path, ignore_errors=True)
        if before == "a cancelled run":
            with pytest.raises(KeyboardInterrupt):
                _cancel(path)
        elif before == "a finished run, forced":
            _make(path)
        code = _dies(call, lambda: _make(path, force="forced" in before))
        if path.exists() and (path / MANIFEST).exists() and load_manifest(path).finished:
            assert hash_outputs(path) == load_manifest(path).record["outputs"]
        _make(path)
        check_finished(path)
        if code == 0:
            break
        assert code == 9
    assert 10 < call < 200


@pytest.mark.slow
def test_killed_again_and_again_it_is_finished_at_last(tmp_path: Path) -> None:
    """Every pair of places: the successor is killed too, with what the first one left."""
    path = tmp_path / "r"
    for first in range(0, 200):
        for second in range(0, 200, 3):
            shutil.rmtree(path, ignore_errors=True)
            one = _dies(first, lambda: _make(path))
            two = _dies(second + first % 3, lambda: _make(path))
            _make(path)
            check_finished(path)
            assert claim_numbers(path) == []
            if two == 0:
                break
        if one == 0:
            break
