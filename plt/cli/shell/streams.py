"""stdout carries results, stderr carries talk, and no library may mix them up.

Command bodies run with file descriptor 1 pointed at stderr and return a `Result`; `plt.cli.main`
writes it afterwards, outside Typer, so that a closed pipe is 141 and not "the check says no".
"""

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from plt.cli.shell.pictures import Picture
from plt.errors import ArtifactError, DataError, UsageError

STDIN = "-"
PLAIN_PROGRESS_SECONDS = 10.0
FIRST_ESTIMATE_SECONDS = 2.0
"""A long step says how long it will take as soon as it has worked for this long."""


@dataclass(frozen=True)
class Heading:
    """A line that names what follows."""

    text: str


@dataclass(frozen=True)
class Line:
    """One or several sentences."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows of texts under columns; columns in `numeric` are right-aligned.

    Cells may hold anything, also hostile text: the renderer escapes them.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str | None = None
    numeric: frozenset[str] = frozenset()


Block: TypeAlias = Heading | Line | Table | Picture


@dataclass(frozen=True)
class Result:
    """What a command says, in every form that it can be asked for.

    Attributes:
        data: The documented object that ``--json`` prints.
        blocks: What a person reads.
        payload: The bytes of a table for the pipe; then nothing else goes to stdout.
        path: The file that was made; printed when there are no blocks.
        lines: The paths of several runs, printed one a line when there are no blocks.
        exit_code: 0, or 1 when the answer to the check is no.
        hint: The next command to type, said on stderr.
        aside: What a person reads on stderr beside the result.
        takeover: Does the rest, with stdout as it was, and returns the exit code; nothing else of
            the result is shown.
    """

    data: Any = None
    blocks: tuple[Block, ...] = ()
    payload: bytes | None = None
    path: Path | None = None
    lines: tuple[str, ...] = ()
    exit_code: int = 0
    hint: str | None = None
    aside: tuple[Block, ...] = ()
    takeover: Callable[[], int] | None = None


class _Talk:
    quiet = False
    arguments: tuple[str, ...] = ()
    stdout_is_terminal = False
    stdout_is_closed = False


def set_quiet(quiet: bool) -> None:
    """Silences `say` and progress for this process; errors are always printed."""
    _Talk.quiet = quiet


def set_arguments(arguments: Sequence[str]) -> None:
    """Remembers what was typed behind ``plt``."""
    _Talk.arguments = tuple(arguments)


def typed() -> tuple[str, ...]:
    """What was typed behind ``plt``."""
    return _Talk.arguments


def command_line() -> str:
    """The command as it can be typed again, without the path of the program."""
    return shlex.join(["plt", *_Talk.arguments])


def say(text: str) -> None:
    """Says something to the person on stderr, unless ``--quiet``.

    Raises:
        BrokenPipeError: Nobody reads stderr any more.
    """
    if not _Talk.quiet:
        tell(text)


def tell(text: str) -> None:
    """Says something on stderr even if ``--quiet``; work goes on where stderr cannot take it.

    Raises:
        BrokenPipeError: Nobody reads stderr any more.
    """
    try:
        print(f"plt: {printable(text)}", file=sys.stderr, flush=True)
    except BrokenPipeError:
        raise
    except OSError:
        forget(2)


def hold_standard_streams() -> None:
    """Puts the null device where a standard stream was closed, before a file takes its number.

    Python has None for such a stream; what is printed to None goes to the other one.
    """
    _Talk.stdout_is_closed = sys.stdout is None
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            forget(number)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


def forget(number: int) -> None:
    """Points a standard stream at the null device, so that Python does not fail at its exit."""
    handle = os.open(os.devnull, os.O_RDWR)
    if handle != number:
        os.dup2(handle, number)
        os.close(handle)


def show(page: str) -> None:
    """Shows a page of tables on stderr, unless ``--quiet``; its cells are escaped already."""
    if not _Talk.quiet:
        print(page, file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """`text` without terminal escapes: control characters but newline and tab become visible."""
    if text.isprintable():
        return text
    return "".join(
        char if char in "\n\t" or char.isprintable() else char.encode("unicode_escape").decode()
        for char in text
    )


class Progress:
    """Progress on stderr: a bar on a terminal, else a plain line now and then.

    An instance is the callback `(what, done, total)` that long work calls; total 0 is unknown. Both
    forms say how long the rest will take, by the pace so far.

    Args:
        clock: Seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._bar: Any = None
        self._tasks: dict[str, Any] = {}
        self._steps: dict[str, _Step] = {}
        self._last_line = clock()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Reports that `done` of `total` steps of `what` are over."""
        if _Talk.quiet:
            return
        now = self._clock()
        step = self._steps.get(what)
        begins = step is None or done < step.done
        if step is None or begins:
            step = self._steps[what] = _Step(began=now, first=done)
        step.done = done
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self._draw(what, done, total, begins)
            return
        left = step.left(now, total)
        early = not step.shown and left is not None and left > PLAIN_PROGRESS_SECONDS
        if now - self._last_line > PLAIN_PROGRESS_SECONDS or early:
            self._last_line, step.shown = now, left is not None
            ending = "" if left is None else f", about {duration(left)} left"
            say(f"{what}: {done} of {total}{ending}" if total else f"{what}: {done}")

    def _draw(self, what: str, done: int, total: int, begins: bool) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import Progress as Bar

            # Its columns by default are name, bar, share and the time that remains.
            self._bar = Bar(console=Console(stderr=True), transient=True)
            self._bar.start()
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total or None)
        elif begins:
            self._bar.reset(self._tasks[what], total=total or None)
        self._bar.update(self._tasks[what], completed=done, total=total or None)

    def close(self) -> None:
        """Removes the bar from the terminal."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


@dataclass
class _Step:
    """Long work that was begun: when, from where, how far it is, and whether a line named it."""

    began: float
    first: int
    done: int = 0
    shown: bool = False

    def left(self, now: float, total: int) -> float | None:
        """Seconds that remain; null where nothing does, or the pace is not known."""
        passed, made = now - self.began, self.done - self.first
        if made < 1 or passed < FIRST_ESTIMATE_SECONDS or self.done >= total:
            return None
        return passed / made * (total - self.done)


def duration(seconds: float) -> str:
    """A time to wait, as people say it: ``25 s``, ``4 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Progress for the length of a block; hand it to whatever computes."""
    progress = Progress()
    try:
        yield progress
    finally:
        progress.close()


@contextmanager
def stdout_guard() -> Iterator[None]:
    """Whatever prints to stdout inside the block, in Python or below it, prints to stderr."""
    sys.stdout.flush()
    _Talk.stdout_is_terminal = os.isatty(1)  # inside the block descriptor 1 is another file
    saved_fd = os.dup(1)
    saved_stream = sys.stdout
    try:
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        yield
    finally:
        sys.stdout = saved_stream
        os.dup2(saved_fd, 1)
        os.close(saved_fd)


def write_stdout(content: bytes) -> None:
    """Writes everything or raises; a short write is never taken for success.

    Raises:
        UsageError: stdout is closed.
        ArtifactError: It cannot take what was written, such as on a full disk.
        BrokenPipeError: Nobody reads it any more.
    """
    _refuse_closed_stdout()
    sys.stdout.flush()
    try:
        with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as stream:
            stream.write(content)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ArtifactError(
            f"cannot write to standard output: {error.strerror}",
            hint="free some space, or send it elsewhere: > FILE",
        ) from error


def stdout_is_pipe() -> bool:
    """Whether a table's bytes may be written to the stdout that the body is kept from.

    Raises:
        UsageError: stdout is closed.
    """
    _refuse_closed_stdout()
    return not _Talk.stdout_is_terminal


def _refuse_closed_stdout() -> None:
    if _Talk.stdout_is_closed:
        raise UsageError(
            "standard output is closed, so nothing can be written to it",
            hint="send it somewhere: > FILE",
        )


def read_stdin_bytes() -> bytes:
    """Whatever came through the pipe.

    Raises:
        UsageError: stdin is a terminal or closed, or several processes would have to share it.
        DataError: It is empty.
    """
    from plt.train.runtime.processes import world_size

    hint = "plt dataset-simulate dirichlet | plt dataset-stats -"
    if world_size() > 1:
        raise UsageError(
            f"'-' means standard input, which {world_size()} processes cannot all read",
            hint="plt dataset-simulate dirichlet -o people.parquet, and name the file",
        )
    if sys.stdin is None or sys.stdin.closed:
        raise UsageError("'-' means standard input, which is closed", hint=hint)
    if sys.stdin.isatty():
        raise UsageError("'-' means standard input, which is a terminal here", hint=hint)
    content = sys.stdin.buffer.read()
    if not content:
        raise DataError(
            "standard input is empty: the command before the pipe wrote nothing",
            hint="run the command before the pipe alone and read its message",
        )
    return content


def read_stdin() -> bytes | list[str]:
    """What came through the pipe: the bytes of one table, or one path a line.

    Raises:
        UsageError: As `read_stdin_bytes`.
        DataError: As `read_stdin_bytes`; or it is neither a table nor text.
    """
    content = read_stdin_bytes()
    if content.startswith(b"PAR1"):
        return content
    try:
        lines = content.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(
            "standard input is neither a Parquet table nor paths",
            hint="plt dataset-convert generic - | plt dataset-stats -",
        ) from error
    return [line.strip() for line in lines if line.strip()]
