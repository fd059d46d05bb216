"""Files that are there whole or not at all."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from plt.errors import ArtifactError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
ELSEWHERE = "choose another folder"
# Of the target's name; a file name has 255 bytes at most, and the temporary one needs some more.
NAME_BYTES = 200


@contextmanager
def atomic_path(target: Path, elsewhere: str = ELSEWHERE) -> Iterator[Path]:
    """A temporary path that becomes `target` when the block ends well, and vanishes otherwise.

    For what plt names itself: runs and caches, whose folders are made. What a person names goes
    through `plt.data.tables.output`.

    Args:
        target: The file; its folder is made when it is not there.
        elsewhere: What to type to have it written elsewhere.

    Raises:
        ArtifactError: The folder or file cannot be written; what stood there is untouched.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            yield temporary
            temporary.chmod(new_file_mode())
    except (OSError, pl.exceptions.PolarsError) as error:
        raise cannot_write(target, error, elsewhere) from error


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary file beside `target`, which takes its name when the block ends well."""
    prefix = "." + os.fsencode(target.name)[:NAME_BYTES].decode(errors="ignore") + "."
    handle, made = tempfile.mkstemp(dir=target.parent, prefix=prefix, suffix=".tmp")
    os.close(handle)
    temporary = Path(made)
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def cannot_write(target: Path, error: Exception, elsewhere: str) -> ArtifactError:
    """What a person is told of a write that the machine refused."""
    number = error.errno if isinstance(error, OSError) else None
    reason = os.strerror(number) if number is not None else str(error)
    where = _file_in_the_way(target)
    if where is not None:
        reason = f"{where} is a file, not a folder"
    hint = f"free some space, or {elsewhere}" if number in FULL else elsewhere
    return ArtifactError(f"cannot write {target}: {reason}", hint=hint)


def _file_in_the_way(target: Path) -> Path | None:
    """The part of the path that is a file although others lie below it."""
    found = next((folder for folder in target.parents if os.path.lexists(folder)), None)
    return None if found is None or found.is_dir() else found


def new_file_mode() -> int:
    """The mode of a file that nobody has made yet, by the umask of this process."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def write_text(target: Path, text: str, elsewhere: str = ELSEWHERE) -> None:
    """Replaces a text file atomically; see `atomic_path`."""
    write_bytes(target, text.encode("utf-8"), elsewhere)


def write_bytes(target: Path, content: bytes, elsewhere: str = ELSEWHERE) -> None:
    """Replaces a file atomically; see `atomic_path`."""
    with atomic_path(target, elsewhere) as temporary:
        temporary.write_bytes(content)
