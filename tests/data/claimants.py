"""Real processes that want a run: started with lines of Python, stopped, killed, heard out."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from plt.data.claims import Timing, Watch
from plt.data.identity import Identity

ROOT = Path(__file__).resolve().parents[2]
QUICK = Timing(beat=0.05, stale=1.0, poll=0.02)
IDENTITY = Identity("train", "lore", {"rank": 8, "set": {"l2": 0.5}}, 3, {"preferences": "ab"})
BEGIN = """
import sys, time
from pathlib import Path
from plt.data.claims import Watch
from plt.data.run import Held, open_run, recording
from tests.data.claimants import IDENTITY, QUICK
"""


class Process:
    """A Python process in a folder; it is killed at the end of the block."""

    def __init__(self, code: str, folder: Path) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-c", BEGIN + code], cwd=folder, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self._popen.kill()
        self._popen.communicate()

    @property
    def number(self) -> int:
        """Of the process."""
        return self._popen.pid

    def says(self) -> str:
        """The next line that it prints."""
        assert self._popen.stdout is not None
        return self._popen.stdout.readline().strip()

    def stop(self) -> None:
        """Stops it as Ctrl-Z does, and returns when it stands still."""
        self._popen.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.number, os.WSTOPPED | os.WNOWAIT)

    def wake(self) -> None:
        self._popen.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kills it with signal 9; nobody collects it, as where its parent is busy."""
        self._popen.kill()
        os.waitid(os.P_PID, self.number, os.WEXITED | os.WNOWAIT)

    def ended(self) -> tuple[int, str]:
        """Exit code and stderr, when it has ended."""
        _, err = self._popen.communicate(timeout=60)
        return self._popen.returncode, err


def until(happens: Callable[[], bool], seconds: float = 20.0) -> None:
    """Waits for something."""
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


def quick_watch() -> Watch:
    return Watch(QUICK)
