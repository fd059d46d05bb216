"""Run directories: what was asked for, what came out, and whether it finished.

`manifest.json` is written first as ``started`` and last as ``success``, ``error`` or ``cancelled``,
each time by atomic replace. Its `identity` half (command, resolved config, seed, content of the
inputs) is what the run id hashes; its `record` half says how it went.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import resource
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plt.data.claims import CLAIM, PRIVATE, Claim, Holder, TakenOver, Watch, take
from plt.data.identity import Identity, differences, to_toml
from plt.data.publishing import (
    DONE,
    adopt,
    finish_published,
    forget,
    hand_back,
    inherit,
    publish,
    set_aside,
    show,
)
from plt.errors import ArtifactError, PltError, UsageError

MANIFEST = "manifest.json"
CONFIG = "config.toml"
SCORES_FILE = "scores.parquet"
METRICS_FILE = "metrics.parquet"
LOG = "log.jsonl"
MODEL = "model"
CHECKPOINTS = "checkpoints"
OURS = frozenset({MANIFEST, CONFIG, SCORES_FILE, METRICS_FILE, LOG, MODEL, CHECKPOINTS})
UNFINISHED = frozenset({CHECKPOINTS})
"""What is of use only to whoever resumes a run."""
MANIFEST_VERSION = 1
PACKAGES = (
    "plt-toolkit", "numpy", "scipy", "polars", "torch", "transformers", "trl", "peft",
    "sentence-transformers",
)  # fmt: skip
STARTED, SUCCESS, ERROR, CANCELLED = "started", "success", "error", "cancelled"


@dataclass
class Run:
    """A run directory.

    Attributes:
        path: The directory.
        identity: What it is.
        record: How it went: status, times, host, outputs, notes.
        resumed: Whether an interrupted run was found there.
        claim: Of the process that makes it; None when it is finished, and in other processes,
            which are told of a run and not given its claim.
    """

    path: Path
    identity: Identity
    record: dict[str, Any] = field(default_factory=dict)
    resumed: bool = False
    claim: Claim | None = field(default=None, compare=False)

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.identity.run_id

    @property
    def finished(self) -> bool:
        """Whether it ended well."""
        return bool(self.record.get("status") == SUCCESS)

    @property
    def work(self) -> Path:
        """Where it is made: the private folder of its claim, or the directory without one."""
        return self.path if self.claim is None else self.claim.work

    def manifest(self) -> str:
        """What `manifest.json` says."""
        manifest = {
            "manifest": MANIFEST_VERSION,
            "run_id": self.run_id,
            "identity": self.identity.to_json(),
            "record": self.record,
        }
        return json.dumps(manifest, indent=2, sort_keys=True) + "\n"

    def log(self, **event: Any) -> None:
        """Appends one event to `log.jsonl`."""
        with (self.work / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": _now(), **event}) + "\n")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"claim": None}


@dataclass(frozen=True)
class Held:
    """A run that another process is making.

    Attributes:
        path: The run's directory.
        holder: Who makes it.
    """

    path: Path
    holder: Holder


def open_run(
    identity: Identity, out: Path | None = None, *, force: bool = False, watch: Watch | None = None
) -> Run | Held:
    """Finds a run, or claims it in order to make it.

    Args:
        identity: What is asked for.
        out: Where; by default ``runs/<method>-<run id>``.
        force: Make it anew even if it is finished.
        watch: What this process has seen of claims; one that waits hands in the same each time.

    Returns:
        The run. `finished` when it is done already (nothing was touched); else it is claimed by
        this process, and `resumed` when an interrupted one was found. `Held` when another process
        is making it.

    Raises:
        UsageError: `out` holds another run (the differing keys are listed) or other files.
    """
    path = out or Path("runs") / f"{identity.method}-{identity.run_id}"
    watch = watch or Watch()
    found = _look(path, identity, force)
    if found.finished and not force:
        _tidy(path, watch)
        return found
    claim = take(path, watch)
    if isinstance(claim, Holder):
        return Held(path, claim)
    try:
        adopt(claim)
        finish_published(claim, MANIFEST, UNFINISHED)
        found = _look(path, identity, force)
        if found.finished and not force:
            claim.withdraw(claim.work)
            return found
        if not force:
            set_aside(claim, UNFINISHED | {LOG})
            for name in sorted(UNFINISHED | {LOG}):
                inherit(claim, name)
            forget(claim)
    except TakenOver:
        claim.withdraw(claim.work)
        return open_run(identity, path, force=force, watch=watch)
    except BaseException:
        claim.withdraw(claim.work)
        raise
    resumed = bool(found.record) and not force
    return Run(path, identity, resumed=resumed, claim=claim)


def _look(path: Path, identity: Identity, force: bool) -> Run:
    """The run that lies in a folder; one without a record where there is none.

    Raises:
        UsageError: The folder holds another run or, with `force`, other files beside the run.
        ArtifactError: The manifest is damaged, or files of a finished run are gone.
    """
    names = [entry.name for entry in path.iterdir()] if path.exists() else []
    others = sorted(name for name in names if name not in OURS and not _is_passing(name))
    if MANIFEST not in names:
        if others:
            raise UsageError(f"{path} holds other files and no run", hint="choose another --out")
        return Run(path, identity)
    found = load_manifest(path)
    if force:
        if others:
            raise UsageError(
                f"{path} holds files that are not the run's, so --force removes nothing",
                problems=others,
                hint="choose another --out",
            )
        return found
    if found.identity != identity:
        raise UsageError(
            f"{path} holds another run",
            problems=differences(found.identity.to_json(), identity.to_json()),
            hint="choose another --out, or add --force to replace it",
        )
    gone = [name for name in found.record.get("outputs", {}) if not (path / name).exists()]
    if found.finished and gone:
        raise ArtifactError(
            f"{path} finished, but files of it are gone",
            problems=gone,
            hint="add --force to do it again",
        )
    return found


def _is_passing(name: str) -> bool:
    """Whether an entry of a run folder is there only while the run is made."""
    return name.startswith((PRIVATE, DONE)) or CLAIM.fullmatch(name) is not None


def _tidy(path: Path, watch: Watch) -> None:
    """Removes what a process that was killed just behind its work left in a finished run."""
    if not any(_is_passing(entry.name) for entry in path.iterdir()):
        return
    with contextlib.suppress(PltError):
        claim = take(path, watch)
        if isinstance(claim, Claim):
            adopt(claim)
            finish_published(claim, MANIFEST, UNFINISHED)
            claim.withdraw(claim.work)


@contextlib.contextmanager
def recording(run: Run, arguments: Mapping[str, Any] | None = None) -> Iterator[Run]:
    """Marks a claimed run as started, and at the end of the block publishes it.

    What the block writes into `run.work` becomes the run, if it ends well. If it does not, the
    manifest says so, and the claim is given back with what can be resumed.

    Args:
        run: As `open_run` claimed it.
        arguments: What else was typed and does not change the identity, such as the path of the
            data; it stands in `config.toml` so that the run can be repeated from there.

    Raises:
        TakenOver: Another process holds the run by now; nothing was published.
    """
    if run.claim is None:
        raise ValueError("only a claimed run can be made")
    began = time.monotonic()
    try:
        _start(run, run.claim, arguments)
        yield run
        run.record["outputs"] = hash_outputs(run.work)
        _end(run, SUCCESS, began)
        # Private still: nothing need be atomic, and a folder that is moved away must not come back.
        (run.work / MANIFEST).write_text(run.manifest(), encoding="utf-8")
        publish(run.claim, MANIFEST, UNFINISHED)
    except BaseException as error:
        status = CANCELLED if isinstance(error, KeyboardInterrupt) else ERROR
        if status == ERROR:
            run.record["error"] = f"{type(error).__name__}: {error}"
        _end(run, status, began)
        _hand_back(run, run.claim, error)
        raise


def _start(run: Run, claim: Claim, arguments: Mapping[str, Any] | None) -> None:
    run.record = {
        "status": STARTED,
        "started": _now(),
        "host": platform.machine(),
        "python": platform.python_version(),
        "packages": package_versions(),
    }
    run.log(claim=claim.number, host=socket.gethostname(), process=os.getpid(), resumed=run.resumed)
    config = to_toml(run.identity, arguments)
    show(claim, MANIFEST, run.manifest())
    # Only now: a run whose manifest says that it finished has all its files.
    set_aside(claim, OURS - {MANIFEST, CONFIG})
    forget(claim)
    show(claim, CONFIG, config)
    (claim.work / CONFIG).write_text(config, encoding="utf-8")


def _end(run: Run, status: str, began: float) -> None:
    run.record |= {
        "status": status,
        "ended": _now(),
        "seconds": round(time.monotonic() - began, 3),
        "peak_memory_mib": _peak_memory_mib(),
    }


def _hand_back(run: Run, claim: Claim, error: BaseException) -> None:
    """Says how a run ended that did not end well, and gives it back; or that it is another's."""
    if claim.held():
        with contextlib.suppress(TakenOver):  # published, or taken over in this moment
            hand_back(claim, UNFINISHED | {LOG}, MANIFEST, run.manifest())
        return
    taken = claim.lost()
    claim.withdraw(claim.work)
    if isinstance(error, Exception):
        raise taken from error


def made_by(path: Path) -> str:
    """The process that held a run last, as its log says."""
    who = "another process"
    with contextlib.suppress(OSError, ValueError):
        for line in (path / LOG).read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            if "claim" in event:
                who = f"process {event['process']} on {event['host']}"
    return who


def hash_outputs(path: Path) -> dict[str, str]:
    """SHA-256 of every file of a run but its manifest and log, by path inside the run.

    What is there only while a run is made is none of its files.
    """
    hashes = {}
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        top = name.partition("/")[0]
        passing = top in UNFINISHED or top.startswith(".") or _is_passing(top)
        if file.is_file() and name not in (MANIFEST, LOG) and not passing:
            with file.open("rb") as stream:
                hashes[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return hashes


def load_manifest(path: Path) -> Run:
    """Reads the manifest of a run, whatever its status.

    Raises:
        ArtifactError: There is none, or it is not one that this version reads.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        identity = Identity(**manifest["identity"])
        record = manifest["record"]
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} is no run: it has no {MANIFEST}", hint="ls runs") from error
    except NotADirectoryError as error:
        raise ArtifactError(f"{path} is no run: it is a file", hint="ls runs") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path / MANIFEST} is damaged: {error}") from error
    if manifest.get("manifest") != MANIFEST_VERSION:
        raise ArtifactError(f"{path} was made by another version of plt")
    return Run(path, identity, record)


def load_run(path: Path) -> Run:
    """Reads a finished run.

    Raises:
        ArtifactError: It is no run, or did not finish.
    """
    run = load_manifest(path)
    if not run.finished:
        raise ArtifactError(
            f"{path} did not finish: its status is {run.record.get('status')!r}",
            hint=f"plt {run.identity.command} --config {path / CONFIG}",
        )
    return run


def package_versions() -> dict[str, str]:
    """Versions of the packages that decide figures, of those that are installed."""
    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _peak_memory_mib() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
