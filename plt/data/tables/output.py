"""What a person names to be written to, with `-o`: it is replaced, written to or refused.

A regular file is replaced atomically, and only when plt wrote what stands there. A link is
followed. A device, a pipe and an open file (`/dev/stdout`, `/dev/fd/3`) are written to, never
replaced. Folders, disks and sockets are refused, and no folder is made that was not asked for.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from plt.data.tables.files import cannot_write, new_file_mode, replacing
from plt.errors import ArtifactError, UsageError

STDOUT = "-"
HEAD_BYTES = 4096
MAX_LINKS = 40
OPEN_FILES = re.compile(r"/dev/fd|/proc/(\d+)(?:/task/\d+)?/fd")


@dataclass(frozen=True)
class Output:
    """A place for one file.

    Attributes:
        path: As it was typed; ``-`` is standard output.
        flag: What it was typed behind.
        mark: None for a table; of a page or a picture, bytes that stand near the beginning of
            each one that plt writes, by which it knows its own.
        force: Replace a file even if plt did not write it.
        no_clobber: Replace no file at all.
        parents: Make the folder if it is not there.
    """

    path: Path
    flag: str = "-o"
    mark: bytes | None = None
    force: bool = False
    no_clobber: bool = False
    parents: bool = False

    @property
    def is_stdout(self) -> bool:
        """Whether it is standard output, which the caller writes to: ``-`` or ``/dev/stdout``."""
        return str(self.path) == STDOUT or _open_file(self.path) == 1

    @property
    def is_file(self) -> bool:
        """Whether a regular file is or will be there, so that others can lie beside it."""
        if self.is_stdout or _open_file(self.path) is not None:
            return False
        state = self._state()
        return state is None or stat.S_ISREG(state.st_mode)

    def check(self) -> None:
        """Refuses what `write` would refuse, before anything is computed.

        Raises:
            UsageError: A folder, a disk or a socket; a file that plt did not write, or any with
                `no_clobber`; or a folder that is not there.
            ArtifactError: The path cannot be used at all, such as below a file.
        """
        if self.force and self.no_clobber:
            raise UsageError(
                "--force replaces what is there, and --no-clobber never does",
                hint="leave one of them out",
            )
        number = _open_file(self.path)
        if self.is_stdout or number is not None:
            return
        state = self._state()
        if state is None:
            self._refuse_missing_folder()
        elif stat.S_ISREG(state.st_mode):
            self._refuse_foreign(state)
        elif not (stat.S_ISFIFO(state.st_mode) or stat.S_ISCHR(state.st_mode)):
            folder = stat.S_ISDIR(state.st_mode)
            kind = "folder" if folder else "socket" if stat.S_ISSOCK(state.st_mode) else "disk"
            hint = f"{self.flag} {self.path / 'NAME'}" if folder else f"choose another {self.flag}"
            raise UsageError(f"{self.flag} {self.path} is a {kind}; it names a file", hint=hint)

    def write(self, content: bytes) -> str | None:
        """Writes the whole content; a file that stood there is replaced at the very end.

        A pipe or device gets the bytes as they come: what it took before a failure stays there.

        Args:
            content: All bytes of the table, page or picture.

        Returns:
            A sentence on what was replaced; None when nothing was.

        Raises:
            UsageError: As `check`.
            ArtifactError: The machine refused; a file that stood there is untouched.
            BrokenPipeError: Nobody reads the pipe any more.
        """
        self.check()
        number = _open_file(self.path)
        with self._explained():
            if number is not None:
                _pour(os.dup(number), content)
                return None
            state = self._state()
            if state is not None and not stat.S_ISREG(state.st_mode):
                _pour(os.open(self.path, os.O_WRONLY | os.O_NOCTTY), content)
                return None
            said = None if state is None or not state.st_size else self._replaced(state)
            target = Path(os.path.realpath(self.path))
            if self.parents:
                target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as temporary:
                temporary.write_bytes(content)
                _like(temporary, state)
            return said

    def _state(self) -> os.stat_result | None:
        """What stands at the end of the links; None when nothing does."""
        with self._explained():
            try:
                return self.path.stat()
            except FileNotFoundError:
                return None

    def _refuse_missing_folder(self) -> None:
        folder = Path(os.path.realpath(self.path)).parent
        if folder.is_dir():
            if not os.access(folder, os.W_OK | os.X_OK):
                raise ArtifactError(
                    f"cannot write {self.path}: nothing can be written in {folder}",
                    hint=f"choose another {self.flag}",
                )
        elif not self.parents:
            raise no_folder(folder, f"{self.flag} {self.path}")

    def _refuse_foreign(self, state: os.stat_result) -> None:
        """Lets pass what may be replaced: an empty file, plt's own, any with `force`."""
        if self.no_clobber:
            raise UsageError(
                f"{self.path} is there already, and --no-clobber replaces nothing",
                hint=f"choose another {self.flag}",
            )
        if self.force or not state.st_size:
            return
        problem = None
        if not state.st_mode & 0o222:
            problem = "is write-protected"
        elif not self._is_own():
            kind = "table" if self.mark is None else "page or picture"
            problem = f"is there already, and is no {kind} that plt wrote"
        if problem:
            raise UsageError(
                f"{self.path} {problem}",
                hint=f"choose another {self.flag}, or add --force to replace it",
            )

    def _is_own(self) -> bool:
        if self.mark is None:
            return _table_of_plt(self.path) is not None
        with self._explained(), self.path.open("rb") as file:
            return self.mark in file.read(HEAD_BYTES)

    def _replaced(self, state: os.stat_result) -> str:
        """What is about to be replaced, in words."""
        table = _table_of_plt(self.path)
        if table is not None:
            return f"replaced {self.path}, which held {table}"
        if self.mark is not None and self._is_own():
            return f"replaced {self.path}, which plt had written"
        return f"replaced {self.path}, {state.st_size} bytes that plt had not written"

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            elsewhere = f"choose another {self.flag}"
            raise cannot_write(self.path, error, elsewhere) from error


def check_folder(folder: Path, flag: str, *, parents: bool) -> None:
    """Refuses a folder that cannot be one, or that would be made below one that is not there.

    Args:
        folder: What a person named to have files made in; made by whoever writes there.
        flag: What it was typed behind.
        parents: Whether folders above it may be made too.

    Raises:
        UsageError: It is a file, a device or a link to nothing; or the folder above it is not
            there, and `parents` was not asked for.
        ArtifactError: Nothing can be written in it.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        kind = "link to nothing" if not folder.exists() else "file"
        raise UsageError(
            f"{flag} {folder} is a {kind}; it names a folder", hint=f"choose another {flag}"
        )
    home = folder if folder.is_dir() else Path(os.path.realpath(folder)).parent
    if not home.is_dir() and not parents:
        raise no_folder(home, f"{flag} {folder}")
    if home.is_dir() and not os.access(home, os.W_OK | os.X_OK):
        raise ArtifactError(f"nothing can be written in {home}", hint=f"choose another {flag}")


def no_folder(folder: Path, typed: str) -> UsageError:
    """What is said of a folder that is not there."""
    above = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
    if not above.is_dir():
        return UsageError(f"{typed}: {above} is a file, not a folder", hint="choose another folder")
    return UsageError(f"{typed}: there is no folder {folder}", hint="add --parents, which makes it")


def _open_file(path: Path) -> int | None:
    """The number of this process's open file that a path such as /dev/fd/3 stands for."""
    seen = path.absolute()
    for _ in range(MAX_LINKS):
        folder = os.path.realpath(seen.parent)
        found = OPEN_FILES.fullmatch(folder)
        if found and seen.name.isdigit() and found[1] in (None, str(os.getpid())):
            return int(seen.name)
        try:
            seen = Path(folder, os.readlink(seen))
        except OSError:  # no link, or none that can be read
            return None
    return None


def _table_of_plt(path: Path) -> str | None:
    """Rows and users of a table that carries plt's metadata, in words; None of anything else."""
    try:
        tag = pl.read_parquet_metadata(path).get("plt.schema")
        if tag is None:
            return None
        table = pl.scan_parquet(path)
        rows = int(table.select(pl.len()).collect().item())
        said = f"{rows} rows"
        if "user_id" in table.collect_schema():
            users = table.select(pl.col("user_id").drop_nulls().n_unique()).collect().item()
            said += f" of {users} users"
    except (OSError, pl.exceptions.PolarsError):
        return None
    return f"{said} ({tag})"


def _pour(handle: int, content: bytes) -> None:
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)


def _like(temporary: Path, state: os.stat_result | None) -> None:
    """Gives a new file the mode and, where that is allowed, the owner of the one it replaces."""
    if state is None:
        temporary.chmod(new_file_mode())
        return
    with suppress(PermissionError):
        os.chown(temporary, state.st_uid, state.st_gid)
    temporary.chmod(stat.S_IMODE(state.st_mode))
