"""Downloads of named sources from the hub, and a quick answer where there is no network."""

import fnmatch
import os
import socket
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from plt.data.remarks import Say, warn
from plt.errors import DataError

REACH_SECONDS = 3.0
PORTS = {"https": 443, "http": 80}


class HubSource(Protocol):
    """The constants of a source module that a download needs.

    Attributes:
        HUB_REPO: ``owner/name`` of the dataset, or None when it is not on the hub.
        REVISION: Commit or branch; None is the main branch.
        FILES: Paths in the repository; ``*`` stands for anything.
        LICENSE: Said before the download.
        SIZE: Said before the download.
    """

    __name__: str
    HUB_REPO: str | None
    REVISION: str | None
    FILES: tuple[str, ...]
    LICENSE: str
    SIZE: str


def fetch(source: HubSource, say: Say = warn) -> Path:
    """The folder with a source's raw files, downloaded unless the hub's own cache has them.

    Args:
        source: The module of the source.
        say: Takes size and licence before a download starts.

    Returns:
        A folder for the module's `load`.

    Raises:
        DataError: Not on the hub; or neither cached nor reachable, which takes at most a few
            seconds to find out; or the repository refuses or lacks files. The hint is a command.
    """
    name = source.__name__.rsplit(".", 1)[-1].replace("_", "-")
    if source.HUB_REPO is None:
        home = getattr(source, "HOMEPAGE", "its authors")
        raise DataError(
            f"{name} is not on the hub; its files come from {home}",
            problems=[f"needed: {', '.join(source.FILES)}"],
            hint=f"plt dataset-convert {name} FOLDER -o {name}.parquet",
        )
    cached = _snapshot(source, cached_only=True)
    if cached is not None and not _lacking(source, cached):
        return cached
    hint = f"plt dataset-convert {name} FOLDER -o {name}.parquet"
    needed = [f"copy into FOLDER by hand: {', '.join(source.FILES)} of {source.HUB_REPO}"]
    if _is_offline():
        raise DataError(
            f"{name} is not in the cache of the hub, and HF_HUB_OFFLINE is set",
            problems=needed,
            hint=hint,
        )
    endpoint = _endpoint()
    if not is_reachable(endpoint):
        raise DataError(
            f"{name} is not cached, and {endpoint} cannot be reached", problems=needed, hint=hint
        )
    say(f"downloading {source.HUB_REPO}: {source.SIZE}, licence {source.LICENSE}")
    folder = _snapshot(source, cached_only=False)
    lacking = list(source.FILES) if folder is None else _lacking(source, folder)
    if folder is None or lacking:
        raise DataError(
            f"{source.HUB_REPO} lacks {', '.join(lacking)} at revision {source.REVISION or 'main'}",
            hint=hint,
        )
    return folder


def is_reachable(endpoint: str, seconds: float = REACH_SECONDS) -> bool:
    """Whether something listens where the endpoint (or the proxy in front of it) says.

    Args:
        endpoint: A URL.
        seconds: How long to wait at most, name lookup included.
    """
    scheme = urlsplit(endpoint).scheme or "https"
    host = urlsplit(endpoint).hostname or ""
    proxy = None if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get(scheme)
    parts = urlsplit(proxy or endpoint)
    address = (parts.hostname or "", parts.port or PORTS.get(parts.scheme, 443))
    answers: list[bool] = []

    def knock() -> None:
        try:
            with socket.create_connection(address, timeout=seconds):
                answers.append(True)
        except OSError:
            answers.append(False)

    # A name lookup cannot be given a time limit, so it is left behind in a thread of its own.
    thread = threading.Thread(target=knock, daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(answers and answers[0])


def _snapshot(source: HubSource, *, cached_only: bool) -> Path | None:
    """The snapshot folder, which may lack files; None when nothing is cached."""
    from huggingface_hub import errors, snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        folder = snapshot_download(
            str(source.HUB_REPO),
            repo_type="dataset",
            revision=source.REVISION,
            allow_patterns=list(source.FILES),
            local_files_only=cached_only,
        )
    except (OSError, errors.HTTPError) as error:
        if cached_only:
            return None
        raise _refused(source, error) from error
    return Path(folder)


def _lacking(source: HubSource, folder: Path) -> list[str]:
    present = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    return [pattern for pattern in source.FILES if not fnmatch.filter(present, pattern)]


def _refused(source: HubSource, error: Exception) -> DataError:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return DataError(
            f"{source.HUB_REPO} asks for its conditions to be accepted on its page",
            hint="hf auth login",
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return DataError(f"{source.HUB_REPO} is not on {_endpoint()}", hint="hf auth login")
    first = str(error).strip().split("\n")[0]
    return DataError(
        f"{source.HUB_REPO} could not be downloaded: {first}",
        hint="type the same command again; what was downloaded is kept",
    )


def _is_offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _endpoint() -> str:
    from huggingface_hub import constants

    return os.environ.get("HF_ENDPOINT") or str(constants.ENDPOINT)
