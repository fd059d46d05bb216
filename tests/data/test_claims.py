"""Claims: one of many holds a run, and who is gone, wherever he was, loses it."""

import json
import multiprocessing
import os
import time
from dataclasses import asdict, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from plt.data.claims import (
    Claim,
    Holder,
    Owner,
    TakenOver,
    Timing,
    Watch,
    claim_numbers,
    claim_path,
    highest,
    take,
)
from plt.errors import ArtifactError
from tests.data.claimants import QUICK, Process, quick_watch, until

ELSEWHERE = Owner("another-machine", "b0 pid:[1]", 4242, 7)
LATE = Timing(beat=3600)
ROUNDS = 1000


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def claimed(folder: Path, owner: Owner, counter: int = 0, number: int = 1) -> None:
    """Writes a claim as another process would."""
    folder.mkdir(exist_ok=True)
    said = asdict(owner) | {"counter": counter, "token": f"t{number}"}
    claim_path(folder, number).write_text(json.dumps(said))


def held(folder: Path, watch: Watch | None = None) -> Claim:
    claim = take(folder, watch or quick_watch())
    assert isinstance(claim, Claim)
    return claim


def test_production_times_are_those_of_the_design() -> None:
    assert Timing() == Timing(beat=10.0, stale=90.0, poll=1.0)


def test_the_first_one_holds_and_the_others_hear_who(tmp_path: Path) -> None:
    claim = held(tmp_path / "r")
    assert claim.held()
    assert claim.number == 1
    other = take(tmp_path / "r", quick_watch())
    assert isinstance(other, Holder)
    assert other.owner == Owner.here()
    assert str(other) == f"process {os.getpid()} on {Owner.here().host}"
    claim.withdraw(claim.work)
    assert list((tmp_path / "r").iterdir()) == []
    assert held(tmp_path / "r").number == 1


def test_a_holder_is_heard_of(tmp_path: Path) -> None:
    claim = held(tmp_path)
    until(lambda: (found := highest(tmp_path)) is not None and found.counter > 3)
    claim.withdraw(claim.work)
    time.sleep(4 * QUICK.beat)
    assert claim_numbers(tmp_path) == []


def test_a_live_holder_is_never_stale(tmp_path: Path) -> None:
    claim, watch = held(tmp_path), quick_watch()
    deadline = time.monotonic() + 2 * QUICK.stale
    while time.monotonic() < deadline:
        assert not watch.free(tmp_path)
        time.sleep(QUICK.poll)
    claim.withdraw(claim.work)


def test_a_holder_elsewhere_is_stale_by_its_counter_alone(tmp_path: Path) -> None:
    clock = Clock()
    watch = Watch(LATE, clock)
    claimed(tmp_path, ELSEWHERE)
    assert isinstance(take(tmp_path, watch), Holder)
    clock.now += 90
    assert isinstance(take(tmp_path, watch), Holder)
    claimed(tmp_path, ELSEWHERE, counter=1)
    clock.now += 90
    assert isinstance(take(tmp_path, watch), Holder)  # it moved: the wait begins anew
    clock.now += 90
    assert isinstance(take(tmp_path, watch), Holder)
    clock.now += 0.1
    claim = held(tmp_path, watch)
    assert claim.number == 2
    assert isinstance(take(tmp_path, Watch(LATE, clock)), Holder)
    claim.withdraw(claim.work)
    assert claim_numbers(tmp_path) == []


@pytest.mark.parametrize("now", [0.0, 4e9])
def test_no_time_of_day_is_compared(
    now: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is set back or far forward, and the files are of another time than both."""
    claim = held(tmp_path)
    monkeypatch.setattr(time, "time", lambda: now)
    for file in tmp_path.rglob("*"):
        os.utime(file, (2e9, 2e9))
    watch = quick_watch()
    assert isinstance(take(tmp_path, watch), Holder)
    until(lambda: claim._counter > 1)
    assert isinstance(take(tmp_path, watch), Holder)
    assert claim.held()
    claim.withdraw(claim.work)


def test_a_killed_holder_of_this_machine_is_gone_at_once(tmp_path: Path) -> None:
    code = 'from plt.data.claims import *; take(Path("r"), Watch()); print("held", flush=True)'
    with Process(f"{code}\ntime.sleep(60)", tmp_path) as process:
        assert process.says() == "held"
        watch = Watch()
        assert isinstance(take(tmp_path / "r", watch), Holder)
        process.kill()
        began = time.monotonic()
        claim = held(tmp_path / "r", watch)
        assert time.monotonic() - began < 1
        assert claim.number == 2


def test_a_process_number_that_is_used_again_is_another_process(tmp_path: Path) -> None:
    here = Owner.here()
    assert here.boot, "this system does not say which boot it is"
    assert not here.gone
    assert replace(here, started=here.started - 1).gone
    assert replace(here, process=2**30).gone
    assert not replace(here, process=2**70).gone
    assert not replace(here, process=2**30, boot=f"{here.boot} of another day").gone
    assert not replace(here, process=2**30, host="another-machine").gone
    assert not replace(here, process=2**30, boot="").gone
    assert not replace(here, started=0).gone
    claimed(tmp_path, replace(here, started=here.started - 1), number=7)
    assert held(tmp_path, Watch()).number == 8


@pytest.mark.parametrize("text", ["", "{", "[]", '{"counter": 1, "token": "x"}', "{}"])
def test_a_damaged_claim_is_waited_for_and_taken_over(text: str, tmp_path: Path) -> None:
    clock = Clock()
    watch = Watch(LATE, clock)
    claim_path(tmp_path, 3).write_text(text)
    found = take(tmp_path, watch)
    assert isinstance(found, Holder)
    assert str(found) == "another process"
    clock.now += 60
    claim_path(tmp_path, 3).write_text(text + " ")  # of another version, perhaps, and alive
    assert isinstance(take(tmp_path, watch), Holder)
    clock.now += 60
    assert isinstance(take(tmp_path, watch), Holder)
    clock.now += 31
    assert held(tmp_path, watch).number == 4


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtifactError, match="cannot write"):
        take(tmp_path / "file" / "r", quick_watch())


def test_where_there_are_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", refused)
    claim = held(tmp_path)
    assert claim.held()
    assert isinstance(take(tmp_path, quick_watch()), Holder)
    until(lambda: claim._counter > 1)
    assert claim.held()


def test_a_loser_says_by_whom(tmp_path: Path) -> None:
    claim = held(tmp_path)
    claim.check()
    claimed(tmp_path, ELSEWHERE, number=2)
    with pytest.raises(TakenOver, match="process 4242 on another-machine") as caught:
        claim.check()
    assert caught.value.by.owner == ELSEWHERE
    claim_path(tmp_path, 2).unlink()
    claim_path(tmp_path, 1).unlink()
    with pytest.raises(TakenOver, match="finished or left it"):
        claim.check()


def _race(folder: Path, barrier: Barrier, wins: "multiprocessing.SimpleQueue[list[int]]") -> None:
    won = []
    for number in range(ROUNDS):
        barrier.wait()
        claim = take(folder / str(number), Watch(LATE))
        barrier.wait()  # who is late must find the other still holding, not gone already
        if isinstance(claim, Claim):
            won.append(number)
            claim.stop()
    wins.put(won)


@pytest.mark.parametrize("left", ["nothing", "a dead holder"])
@pytest.mark.slow
def test_of_two_takers_exactly_one_wins_each_of_a_thousand_times(left: str, tmp_path: Path) -> None:
    if left == "a dead holder":
        for number in range(ROUNDS):
            claimed(tmp_path / str(number), replace(Owner.here(), process=2**30))
    context = multiprocessing.get_context("fork")
    barrier, wins = context.Barrier(2), context.SimpleQueue()
    takers = [context.Process(target=_race, args=(tmp_path, barrier, wins)) for _ in range(2)]
    for taker in takers:
        taker.start()
    first, second = wins.get(), wins.get()
    for taker in takers:
        taker.join()
    assert sorted(first + second) == list(range(ROUNDS))
    assert first
    assert second
