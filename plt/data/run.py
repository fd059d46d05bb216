"""Run directories: what was asked for, what came out, and whether it finished.

`manifest.json` is written first as ``started`` and last as ``success``, ``error`` or ``cancelled``,
each time by atomic replace. Its `identity` half (command, resolved config, seed, content of the
inputs) is what the run id hashes; its `record` half says how it went.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import platform
import resource
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plt.data.tables.files import write_text
from plt.errors import ArtifactError, UsageError

MANIFEST = "manifest.json"
CONFIG = "config.toml"
SCORES_FILE = "scores.parquet"
METRICS_FILE = "metrics.parquet"
LOG = "log.jsonl"
MODEL = "model"
CHECKPOINTS = "checkpoints"
MANIFEST_VERSION = 1
RUN_ID_DIGITS = 10
PACKAGES = (
    "plt-toolkit", "numpy", "scipy", "polars", "torch", "transformers", "trl", "peft",
    "sentence-transformers",
)  # fmt: skip
STARTED, SUCCESS, ERROR, CANCELLED = "started", "success", "error", "cancelled"


@dataclass(frozen=True)
class Identity:
    """What makes two runs the same run.

    Attributes:
        command: ``train``, ``score``, ...
        method: Registry name of the method.
        config: The resolved configuration, only JSON values.
        seed: The run's seed.
        inputs: Role to content hash of each input.
    """

    command: str
    method: str
    config: Mapping[str, Any]
    seed: int
    inputs: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The identity as the manifest holds it."""
        return {
            "command": self.command,
            "method": self.method,
            "config": dict(self.config),
            "seed": self.seed,
            "inputs": dict(self.inputs),
        }

    @property
    def run_id(self) -> str:
        """The first hex digits of the SHA-256 of the identity."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:RUN_ID_DIGITS]


@dataclass
class Run:
    """A run directory.

    Attributes:
        path: The directory.
        identity: What it is.
        record: How it went: status, times, host, outputs, notes.
        resumed: Whether an interrupted run was found there.
    """

    path: Path
    identity: Identity
    record: dict[str, Any] = field(default_factory=dict)
    resumed: bool = False

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.identity.run_id

    @property
    def finished(self) -> bool:
        """Whether it ended well."""
        return bool(self.record.get("status") == SUCCESS)

    def write_manifest(self) -> None:
        """Replaces `manifest.json`."""
        manifest = {
            "manifest": MANIFEST_VERSION,
            "run_id": self.run_id,
            "identity": self.identity.to_json(),
            "record": self.record,
        }
        write_text(self.path / MANIFEST, json.dumps(manifest, indent=2, sort_keys=True) + "\n")

    def log(self, **event: Any) -> None:
        """Appends one event to `log.jsonl`."""
        with (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": _now(), **event}) + "\n")


def open_run(identity: Identity, out: Path | None = None, *, force: bool = False) -> Run:
    """Finds or makes the directory of a run.

    Args:
        identity: What is asked for.
        out: Where; by default ``runs/<method>-<run id>``.
        force: Remove what stands there and start anew.

    Returns:
        The run. `finished` when it is done already (nothing was touched), `resumed` when an
        interrupted one was found.

    Raises:
        UsageError: `out` holds another run (the differing keys are listed) or other files.
    """
    path = out or Path("runs") / f"{identity.method}-{identity.run_id}"
    if not path.exists() or not any(path.iterdir()):
        return Run(path, identity)
    if not (path / MANIFEST).exists():
        raise UsageError(f"{path} holds other files and no run", hint="choose another --out")
    found = load_manifest(path)
    if force:
        _remove(path)
        return Run(path, identity)
    if found.identity != identity:
        raise UsageError(
            f"{path} holds another run",
            problems=_differences(found.identity.to_json(), identity.to_json()),
            hint="choose another --out, or add --force to replace it",
        )
    found.resumed = not found.finished
    gone = [name for name in found.record.get("outputs", {}) if not (path / name).exists()]
    if found.finished and gone:
        raise ArtifactError(
            f"{path} finished, but files of it are gone",
            problems=gone,
            hint="add --force to do it again",
        )
    return found


def _remove(path: Path) -> None:
    """Removes a run, and nothing that is not a run's: the folder may be somebody's project.

    Raises:
        UsageError: Other files stand in it; nothing was removed.
    """
    ours = {MANIFEST, CONFIG, SCORES_FILE, METRICS_FILE, LOG, MODEL, CHECKPOINTS}
    others = sorted(entry.name for entry in path.iterdir() if entry.name not in ours)
    if others:
        raise UsageError(
            f"{path} holds files that are not the run's, so --force removes nothing",
            problems=others,
            hint="choose another --out",
        )
    for entry in path.iterdir():  # the folder itself may be a link, which stays
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _differences(found: dict[str, Any], asked: dict[str, Any], prefix: str = "") -> list[str]:
    lines = []
    for key in sorted({*found, *asked}):
        here, there = found.get(key), asked.get(key)
        if isinstance(here, dict) and isinstance(there, dict):
            lines += _differences(here, there, f"{prefix}{key}.")
        elif here != there:
            lines.append(f"{prefix}{key}: {here!r} there, {there!r} asked for")
    return lines


@contextlib.contextmanager
def recording(run: Run, arguments: Mapping[str, Any] | None = None) -> Iterator[Run]:
    """Marks a run as started, and at the end of the block as what became of it.

    Args:
        run: As `open_run` found or made it.
        arguments: What else was typed and does not change the identity, such as the path of the
            data; it stands in `config.toml` so that the run can be repeated from there.
    """
    run.path.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    run.record = {
        "status": STARTED,
        "started": _now(),
        "host": platform.machine(),
        "python": platform.python_version(),
        "packages": package_versions(),
        "resumed": run.resumed,
    }
    run.write_manifest()
    write_text(run.path / CONFIG, to_toml(run.identity, arguments))
    status = ERROR
    try:
        yield run
        status = SUCCESS
    except KeyboardInterrupt:
        status = CANCELLED
        raise
    except BaseException as error:
        run.record["error"] = f"{type(error).__name__}: {error}"
        raise
    finally:
        if status == SUCCESS:
            shutil.rmtree(run.path / CHECKPOINTS, ignore_errors=True)
            run.record["outputs"] = hash_outputs(run.path)
        run.record |= {
            "status": status,
            "ended": _now(),
            "seconds": round(time.monotonic() - began, 3),
            "peak_memory_mib": _peak_memory_mib(),
        }
        run.write_manifest()


def hash_outputs(path: Path) -> dict[str, str]:
    """SHA-256 of every file of a run but its manifest and log, by path inside the run."""
    hashes = {}
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if file.is_file() and name not in (MANIFEST, LOG) and not name.startswith("."):
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


def to_toml(identity: Identity, arguments: Mapping[str, Any] | None = None) -> str:
    """The resolved configuration; ``plt COMMAND --config`` on it repeats the run."""
    plain = {k: v for k, v in identity.config.items() if not isinstance(v, Mapping)}
    plain |= arguments or {}
    tables = {k: v for k, v in identity.config.items() if isinstance(v, Mapping)}
    lines = [f"# plt {identity.command} --config {CONFIG}", f"[{identity.command}]"]
    lines += [f"method = {_toml_value(identity.method)}", f"seed = {identity.seed}"]
    lines += [f"{k} = {_toml_value(v)}" for k, v in plain.items() if v is not None]
    for name, table in tables.items():
        lines += ["", f"[{identity.command}.{name}]"]
        lines += [f"{k} = {_toml_value(v)}" for k, v in table.items() if v is not None]
    return "\n".join(lines) + "\n"


def _toml_value(value: object) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    # JSON's scalars are TOML's, and JSON escapes are a subset of TOML's basic strings; only the
    # delete character must be escaped more than JSON does.
    return json.dumps(value).replace("\x7f", "\\u007f")


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
