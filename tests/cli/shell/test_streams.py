"""Progress says how long the rest takes, on a clock that the test moves."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plt.cli.shell.streams import Progress, duration, set_quiet


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_long_step_says_early_how_long_it_takes(capfd: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    progress = Progress(clock)
    for done in range(1, 41):
        clock.now = float(done)
        progress("training", done, 200)
    lines = capfd.readouterr().err.splitlines()
    # The pace is known two seconds after the first step; then a line every ten seconds.
    assert lines[0] == "plt: training: 3 of 200, about 3 min left"
    assert lines[1:] == [
        "plt: training: 14 of 200, about 3 min left",
        "plt: training: 25 of 200, about 3 min left",
        "plt: training: 36 of 200, about 3 min left",
    ]


def test_a_short_step_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    progress = Progress(clock)
    for done in range(1, 9):
        clock.now = float(done)
        progress("writing", done, 8)
    assert capfd.readouterr().err == ""


def test_what_was_done_before_is_no_pace_and_a_second_step_has_its_own(
    capfd: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    progress = Progress(clock)
    progress("training", 150, 200)  # resumed: 150 steps in no time
    clock.now = 4.0
    progress("training", 152, 200)
    assert capfd.readouterr().err == "plt: training: 152 of 200, about 2 min left\n"
    clock.now = 100.0
    progress("training", 1, 60)  # another fit: its first step tells no pace
    assert capfd.readouterr().err == "plt: training: 1 of 60\n"
    clock.now = 102.0
    progress("training", 2, 60)
    assert capfd.readouterr().err == "plt: training: 2 of 60, about 2 min left\n"


def test_what_is_over_has_nothing_left(capfd: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    progress = Progress(clock)
    progress("training", 1, 2)
    clock.now = 30.0
    progress("training", 2, 2)
    assert capfd.readouterr().err == "plt: training: 2 of 2\n"


def test_an_unknown_total_has_no_end(capfd: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    progress = Progress(clock)
    progress("reading", 1, 0)
    clock.now = 20.0
    progress("reading", 7, 0)
    assert capfd.readouterr().err == "plt: reading: 7\n"


def test_quiet_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    set_quiet(True)
    try:
        progress = Progress(clock)
        progress("training", 1, 100)
        clock.now = 50.0
        progress("training", 2, 100)
    finally:
        set_quiet(False)
    assert capfd.readouterr().err == ""


def test_a_terminal_sees_a_bar_with_the_remaining_time(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    progress = Progress()
    for done in (1, 2, 10, 1):  # the last begins again
        progress("training", done, 10)
    (task,) = progress._bar.tasks
    assert (task.completed, task.total, task.finished) == (1, 10, False)
    names = [type(column).__name__ for column in progress._bar.columns]
    assert "TimeRemainingColumn" in names
    progress.close()


@given(st.floats(min_value=0, max_value=1e6))
def test_durations_are_short_and_near(seconds: float) -> None:
    number, unit = duration(seconds).split()
    back = float(number) * {"s": 1, "min": 60, "h": 3600}[unit]
    assert back == pytest.approx(seconds, rel=0.34, abs=1)


def test_durations_in_words() -> None:
    said = [duration(seconds) for seconds in (0, 25.4, 89, 200, 9000)]
    assert said == ["1 s", "25 s", "89 s", "3 min", "2.5 h"]
