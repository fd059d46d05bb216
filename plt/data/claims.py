"""Who makes a run, when several processes want it: claims save work, and nothing rests on them.

A claim is a file ``claim-<k>.json`` of the run folder, created exclusively; the highest k holds.
Its holder replaces it again and again with a counter one higher. Who waits reads it anew each time
and calls it stale when the counter has not moved for a while of his own monotonic clock: times of
different machines are never compared. On one machine a holder whose process is gone is stale at
once. To take over k is to create k + 1, which one process alone can do.

With its claim a holder gets a private folder of the run. Every change that it makes outside is one
rename out of, or into, that folder; a successor first moves the folder away. So a holder that was
stopped and wakes cannot publish anything, whatever it believes (`plt.data.publishing`).
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from plt.errors import ArtifactError

CLAIM = re.compile(r"claim-(\d+)\.json")
PRIVATE = ".work-"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")
_DEAD_STATES = "ZX"


@dataclass(frozen=True)
class Timing:
    """How often, in seconds.

    Attributes:
        beat: Between two replacements of a claim by its holder.
        stale: How long a counter may stand still before its holder counts as gone.
        poll: Between two looks of a process that waits.
    """

    beat: float = 10.0
    stale: float = 90.0
    poll: float = 1.0


@dataclass(frozen=True)
class Owner:
    """A process, told apart from every other one that has or had its number.

    Attributes:
        host: Name of the machine.
        boot: What the system calls this boot and, for containers, the space of process numbers;
            empty where it does not say. Nothing is then concluded from a process number.
        process: Its number.
        started: Clock ticks from boot to its start, 0 where the system does not say: process
            numbers are used again.
    """

    host: str
    boot: str
    process: int
    started: int

    @classmethod
    def here(cls) -> "Owner":
        """This process."""
        process = os.getpid()
        state = _process_state(process)
        return cls(socket.gethostname(), _boot(), process, 0 if state is None else state[1])

    @property
    def gone(self) -> bool:
        """Whether it is known to be gone: never so for a process of another machine or boot."""
        here = Owner.here()
        if not self.boot or (self.host, self.boot) != (here.host, here.boot):
            return False
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except (PermissionError, OverflowError):
            pass  # somebody else's process, or no number that a process can have
        state = _process_state(self.process)
        if state is None:
            return False
        again = self.started not in (0, state[1])
        return again or state[0] in _DEAD_STATES

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"


def _boot() -> str:
    try:
        return f"{_BOOT_ID.read_text().strip()} {os.readlink(_NAMESPACE)}"
    except OSError:
        return ""


def _process_state(process: int) -> tuple[str, int] | None:
    """State letter and start in clock ticks since boot; None where /proc does not say."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    # The name of the program stands in parentheses, and may hold blanks and parentheses itself.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])


@dataclass(frozen=True)
class Holder:
    """What the highest claim of a run says.

    Attributes:
        number: k.
        token: Which claim k it is: numbers begin anew when a run is done. The whole text of a
            claim that is damaged or of another version, so that it is seen to change.
        owner: Whose it is; None if damaged.
        counter: How often it was replaced.
    """

    number: int
    token: str = ""
    owner: Owner | None = None
    counter: int = -1

    def __str__(self) -> str:
        return "another process" if self.owner is None else str(self.owner)


class TakenOver(ArtifactError):
    """Another process holds the run that this one was making.

    Attributes:
        folder: Of the run.
        by: The process; number 0 where it has finished or left the run already.
    """

    folder = Path()
    by = Holder(0)


def highest(folder: Path) -> Holder | None:
    """The claim that holds a run, read anew; None when nobody claims it."""
    numbers = claim_numbers(folder)
    while numbers:
        found = _read(folder, max(numbers))
        if found is not None:
            return found
        numbers = claim_numbers(folder)
    return None


def claim_numbers(folder: Path) -> list[int]:
    """The k of every claim in a run folder."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [int(found[1]) for name in names if (found := CLAIM.fullmatch(name))]


def claim_path(folder: Path, number: int) -> Path:
    """Where claim k of a run lies."""
    return folder / f"claim-{number}.json"


def _read(folder: Path, number: int) -> Holder | None:
    try:
        text = claim_path(folder, number).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        found: dict[str, Any] = json.loads(text)
        counter, token = int(found.pop("counter")), str(found.pop("token"))
        process, started = int(found.pop("process")), int(found.pop("started"))
        owner = Owner(str(found["host"]), str(found["boot"]), process, started)
        return Holder(number, token, owner, counter)
    except (ValueError, TypeError, KeyError, AttributeError):
        return Holder(number, text)


@dataclass
class Watch:
    """What a process that waits has seen of claims.

    Attributes:
        timing: When a claim is stale, and how often its holder must say that it is not.
        clock: Seconds that only go forward.
    """

    timing: Timing = field(default_factory=Timing)
    clock: Callable[[], float] = time.monotonic
    _seen: dict[Path, tuple[Holder, float]] = field(default_factory=dict)

    def stale(self, folder: Path, found: Holder) -> bool:
        """Whether the holder is gone, as far as can be told."""
        if found.owner is not None and found.owner.gone:
            return True
        before, since = self._seen.get(folder, (None, 0.0))
        if before != found:
            self._seen[folder] = (found, self.clock())
            return False
        return self.clock() - since > self.timing.stale

    def free(self, folder: Path) -> bool:
        """Whether nobody makes the run at present, as far as can be told."""
        found = highest(folder)
        return found is None or self.stale(folder, found)


@dataclass
class Claim:
    """A claim of this process, kept alive by a thread until it is withdrawn or lost.

    Attributes:
        folder: The run folder.
        number: k.
        token: Which claim k it is.
        work: The private folder of its holder.
        timing: How often it is renewed.
    """

    folder: Path
    number: int
    token: str
    work: Path
    timing: Timing
    _owner: Owner = field(default_factory=Owner.here)
    _counter: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def held(self) -> bool:
        """Whether it is still there, and the highest."""
        found = highest(self.folder)
        return found is not None and (found.number, found.token) == (self.number, self.token)

    def check(self) -> None:
        """Raises `TakenOver` if another process holds the run."""
        if not self.held():
            raise self.lost()

    def lost(self) -> TakenOver:
        """The error that says by whom the run was taken over."""
        found = highest(self.folder)
        left = found is None or found.token == self.token
        who = "another process, which has finished or left it" if left else str(found)
        error = TakenOver(
            f"{self.folder} was taken over by {who}: this process was not heard of for a while,"
            " stops and publishes nothing",
            hint="type the same line again: it waits for the run, or finds it done",
        )
        error.folder = self.folder
        if found is not None:
            error.by = found
        return error

    def stop(self) -> None:
        """Renews it no more."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def withdraw(self, into: Path) -> None:
        """Takes it and every lower one out of the run, and removes a private folder.

        Args:
            into: The private folder, as it is called by now. Where a successor has moved it away,
                its claims are left alone.
        """
        self.stop()
        # The highest last: who looks meanwhile sees that the run is still held.
        for number in sorted(n for n in claim_numbers(self.folder) if n <= self.number):
            self._take_out(number, into)
        shutil.rmtree(into, ignore_errors=True)

    def _take_out(self, number: int, into: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.rename(claim_path(self.folder, number), into / f".claim-{number}")

    def _drop(self) -> None:
        """Takes back a claim that should not have been made."""
        self._take_out(self.number, self.work)
        shutil.rmtree(self.work, ignore_errors=True)

    def _begin(self) -> None:
        self._thread = threading.Thread(target=self._renew, name="plt-claim", daemon=True)
        self._thread.start()

    def _renew(self) -> None:
        while not self._stopped.wait(self.timing.beat):
            self._counter += 1
            try:
                os.rename(self._written(), claim_path(self.folder, self.number))
            except FileNotFoundError:
                return  # a successor has moved the private folder away
            except OSError:
                continue  # a full disk: if it stays full, another machine takes over

    def _written(self) -> Path:
        path = self.work / ".claim"
        said = asdict(self._owner) | {"counter": self._counter, "token": self.token}
        path.write_text(json.dumps(said, sort_keys=True) + "\n", encoding="utf-8")
        return path

    def _create(self) -> bool:
        """Claims the run; False if another process has claim k."""
        self.work.mkdir()
        try:
            written = self._written()
            try:
                os.link(written, claim_path(self.folder, self.number))
            except FileExistsError:
                raise
            except OSError:
                # No hard links here: as exclusive, but for a moment the claim is empty.
                with claim_path(self.folder, self.number).open("x", encoding="utf-8") as file:
                    file.write(written.read_text(encoding="utf-8"))
            written.unlink()  # else the next one would be written into the claim itself
        except (FileExistsError, FileNotFoundError):
            shutil.rmtree(self.work, ignore_errors=True)
            return False
        return True


def take(folder: Path, watch: Watch) -> Claim | Holder:
    """Claims a run, or says who holds it.

    Args:
        folder: The run folder; made if it is not there.
        watch: What was seen of its claims before.

    Raises:
        ArtifactError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            before = highest(folder)
            if before is not None and not watch.stale(folder, before):
                return before
            number = 1 if before is None else before.number + 1
            token = secrets.token_hex(8)
            work = folder / f"{PRIVATE}{number}-{token}"
            claim = Claim(folder, number, token, work, watch.timing)
            if not claim._create():
                continue
            # A claim that was withdrawn meanwhile was not stale: numbers have begun anew.
            follows = before is None or claim_path(folder, before.number).exists()
            if follows and claim.held():
                claim._begin()
                return claim
            claim._drop()
    except OSError as error:
        raise ArtifactError(
            f"cannot write {folder}: {error}", hint="free some space, or choose another folder"
        ) from error
