"""Raw files as columns of Python values: JSONL, JSON, CSV, TSV and Parquet, each also gzipped.

What a file is is decided by its first bytes, not only by its name, and a value never becomes one of
another type on the way.
"""

import difflib
import fnmatch
import gc
import gzip
import hashlib
import io
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from plt.data.reading.csv_rows import read_csv
from plt.data.reading.json_rows import MAX_PROBLEMS, read_json
from plt.data.tables.table import LFS_MAGIC, PARQUET_MAGIC, PICKLE_MAGICS, Source, source_name
from plt.errors import DataError

MAX_NAMED_FILES = 12
MAX_MALFORMED = 0.05
MALFORMED = "malformed line"
ARROW_MAGICS = (b"ARROW1", b"\xff\xff\xff\xff")
"""Of Arrow files, and of the streams in which `datasets` saves to disk."""
GZIP_MAGIC = b"\x1f\x8b"
UTF8_BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
FOREIGN_MAGICS = (
    (b"PK\x03\x04", "a ZIP archive", "unzip {name}"),
    (b"BZh", "a bzip2 file", "bunzip2 {name}"),
    (b"\xfd7zXZ", "an xz file", "unxz {name}"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", "unzstd {name}"),
    (b"\x89HDF", "an HDF5 file", "write it as Parquet, JSONL or CSV where it comes from"),
    (b"SQLite format 3", "an SQLite database", "write it as CSV: sqlite3 -csv -header {name} ..."),
    (b"<", "an HTML or XML page, perhaps a login page", "download the file itself again"),
)


@contextmanager
def no_collection() -> Iterator[None]:
    """Pauses the search for cycles of objects: rows have none, and it costs a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@dataclass(frozen=True)
class RawTable:
    """A raw file as columns.

    Attributes:
        name: How the file is called in messages.
        columns: Name to one Python value a row; a key that a row lacks is None. Texts, numbers,
            booleans, lists and dicts stand as the file has them; CSV cells are texts.
        height: Number of rows.
        source_hash: SHA-256 of the file's bytes.
        lines: The line of each row, from 1, in JSON Lines; None elsewhere.
        dropped: Rows that could not be kept, by reason.
        malformed: One sentence for each line that is no row, and was left out.
    """

    name: str
    columns: Mapping[str, list[Any]]
    height: int
    source_hash: str
    lines: Sequence[int] | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    malformed: Sequence[str] = ()

    def where(self, row: int) -> str:
        """The place of a row as messages name it: its line, or its number from 0."""
        return f"line {self.lines[row]}" if self.lines is not None else f"row {row}"

    def rows(self) -> Iterable[dict[str, Any]]:
        """Every row as a dict."""
        names = list(self.columns)
        for values in zip(*self.columns.values(), strict=True):
            yield dict(zip(names, values, strict=True))

    def exact_repeats(self) -> list[int]:
        """The rows that equal an earlier row in every column, ascending."""
        suspects: Sequence[int] = range(self.height)
        for cells in self.columns.values():
            if not suspects:
                return []
            kinds = set(map(type, cells))
            if kinds <= {str, type(None)}:
                keys: Sequence[Any] = cells
            elif kinds <= {list, type(None)}:
                keys = [_last_text(cell) for cell in cells]
            else:
                continue
            often = Counter(keys[row] for row in suspects)
            suspects = [row for row in suspects if often[keys[row]] > 1]
        seen: set[bytes] = set()
        repeats = []
        for row in suspects:
            values = tuple(cells[row] for cells in self.columns.values())
            # Cells may be lists and dicts, which do not hash; a digest also keeps no text alive.
            key = hashlib.blake2b(repr(values).encode(), digest_size=16).digest()
            if key in seen:
                repeats.append(row)
            seen.add(key)
        return repeats

    def without(self, rows: Iterable[int], reason: str) -> "RawTable":
        """The table without some rows, which are counted as dropped for a reason."""
        left_out = set(rows)
        kept = [row for row in range(self.height) if row not in left_out]
        return replace(
            self,
            columns={name: [cells[row] for row in kept] for name, cells in self.columns.items()},
            height=len(kept),
            lines=None if self.lines is None else [self.lines[row] for row in kept],
            dropped={**self.dropped, reason: self.dropped.get(reason, 0) + len(left_out)},
        )


def _last_text(cell: list[Any] | None) -> Any:
    """What differs between lists that differ, as a rule: the last text in them, or their length."""
    last = cell[-1] if cell else None
    if isinstance(last, dict):
        last = last.get("content")
    return last if isinstance(last, str) else len(cell or ())


def read(source: Source, *, lenient: bool = False) -> RawTable:
    """Reads a raw file of any of the known formats.

    Args:
        source: A path, or the bytes that came through a pipe.
        lenient: Leave out malformed lines, counted and named, while they are one or at most 5 %.

    Returns:
        The rows as columns of Python values. Rows with lone surrogates, which UTF-8 cannot store,
        are left out and counted as ``invalid unicode``.

    Raises:
        DataError: The file is missing, a directory, empty, truncated, a git-LFS pointer, a pickle,
            not UTF-8 or malformed; every malformed line is named, up to a limit of 1,000.
    """
    name = source_name(source)
    data = source if isinstance(source, bytes) else _file_bytes(source)
    digest = hashlib.sha256(data).hexdigest()
    if data.startswith(GZIP_MAGIC):
        data = _gunzip(data, name)
    data = data.removeprefix(UTF8_BOM)
    _refuse_foreign(data, name)
    lines: Sequence[int] | None = None
    dropped: dict[str, int] = {}
    malformed: list[str] = []
    columns: Mapping[str, list[Any]]
    if data.startswith(PARQUET_MAGIC):
        columns, height = _read_parquet(data, name)
    elif data.startswith(ARROW_MAGICS):
        columns, height = _read_arrow(data, name)
    elif _is_json(data, name):
        columns, height, lines, dropped, malformed = read_json(data, name)
    else:
        columns, height, malformed = read_csv(data, name)
    if malformed and not (lenient and _are_few(len(malformed), height)):
        kind = "has malformed JSON lines" if lines is not None else "is malformed"
        raise DataError(f"{name} {kind}", problems=_first(malformed))
    if malformed:
        dropped = {**dropped, MALFORMED: len(malformed)}
    if height == 0 and not dropped:
        raise DataError(f"{name} has no rows")
    return RawTable(name, columns, height, digest, lines, dropped, malformed)


def _are_few(malformed: int, height: int) -> bool:
    return height > 0 and malformed <= max(1, MAX_MALFORMED * (height + malformed))


def _first(problems: list[str]) -> list[str]:
    if len(problems) <= MAX_PROBLEMS:
        return problems
    place = problems[MAX_PROBLEMS - 1].partition(":")[0]
    return [*problems[:MAX_PROBLEMS], f"stopped at {place} after {MAX_PROBLEMS} problems"]


def find_files(folder: Path, names: Sequence[str], *, optional: Sequence[str] = ()) -> list[Path]:
    """The named files of a raw dataset, anywhere below a folder, gzipped or not.

    Args:
        folder: Where the person put the dataset.
        names: File names that must be there.
        optional: File names that may be; absent ones are left out of the answer.

    Returns:
        One path for each name, in the order of the names.

    Raises:
        DataError: Files are missing; all are named, with what was found.
    """
    if not folder.is_dir():
        kind = "is a file" if folder.exists() else "does not exist"
        raise DataError(
            f"{folder} {kind}; a folder with {', '.join(names)} is needed",
            hint="plt dataset-convert NAME FOLDER",
        )
    present: dict[str, Path] = {}
    for path in sorted(folder.rglob("*"), key=lambda found: (len(found.parts), str(found))):
        if path.is_file():
            present.setdefault(path.name.removesuffix(".gz"), path)
    missing = [name for name in names if name not in present]
    if missing:
        raise DataError(
            f"{folder} lacks {', '.join(missing)}",
            problems=[f"found: {_listing(folder) or 'nothing'}"],
            hint=f"put {missing[0]} into {folder}, or name another folder",
        )
    return [present[name] for name in (*names, *optional) if name in present]


def matching_files(raw: Path, *patterns: str) -> list[Path]:
    """The files of a raw dataset whose names fit a pattern; a file stands for itself.

    Args:
        raw: A file, or a folder to look through.
        patterns: Name patterns such as ``*.jsonl``, without ``.gz``.

    Returns:
        At least one path, sorted.

    Raises:
        DataError: The folder is missing or holds no such file; what it holds is listed.
    """
    if raw.is_file():
        return [raw]
    if not raw.exists():
        raise DataError(f"{raw} does not exist", hint="plt dataset-convert NAME FOLDER")
    found = [
        path
        for path in sorted(raw.rglob("*"))
        if path.is_file()
        and any(fnmatch.fnmatch(path.name.removesuffix(".gz"), name) for name in patterns)
    ]
    if not found:
        raise DataError(
            f"{raw} holds no {' nor '.join(patterns)}",
            problems=[f"found: {_listing(raw) or 'nothing'}"],
            hint=f"put the raw files into {raw}, or name another folder",
        )
    return found


def joined_hash(tables: Iterable[RawTable]) -> str:
    """One SHA-256 for a dataset of several raw files, in their order."""
    return hashlib.sha256("".join(table.source_hash for table in tables).encode()).hexdigest()


def nearest(wanted: str, known: Iterable[str]) -> str:
    """'; nearest: a, b' for the known names like `wanted`, or nothing."""
    close = difflib.get_close_matches(wanted, list(known), n=2, cutoff=0.5)
    return f"; nearest: {', '.join(close)}" if close else ""


def _file_bytes(path: Path) -> bytes:
    if not path.exists():
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{path} does not exist{nearest(path.name, beside)}", hint="ls -l")
    if path.is_dir():
        raise DataError(
            f"{path} is a directory; one file is needed",
            problems=[f"found: {_listing(path) or 'nothing'}"],
            hint=f"plt dataset-convert generic {path}/FILE",
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} may not be read: {error.strerror}") from error


def _listing(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.iterdir())
    more = f" and {len(names) - MAX_NAMED_FILES} more" if len(names) > MAX_NAMED_FILES else ""
    return ", ".join(names[:MAX_NAMED_FILES]) + more


def _gunzip(data: bytes, name: str) -> bytes:
    try:
        return gzip.decompress(data)
    except EOFError as error:
        raise DataError(
            f"{name} is a truncated gzip file", hint="download or copy it again"
        ) from error
    except (OSError, zlib.error) as error:
        raise DataError(
            f"{name} is a damaged gzip file: {error}", hint="download or copy it again"
        ) from error


def _refuse_foreign(data: bytes, name: str) -> None:
    head = data[:512].lstrip()
    if not head:
        raise DataError(f"{name} is empty", hint="download or copy it again")
    if head.startswith(LFS_MAGIC):
        raise DataError(f"{name} is a git-LFS pointer, not the data", hint="git lfs pull")
    if data.startswith(PICKLE_MAGICS):
        raise DataError(
            f"{name} is a Python pickle; plt reads no pickles because loading one runs its code",
            hint="write it as Parquet, JSONL or CSV where it comes from",
        )
    if data.startswith(UTF16_BOMS):
        raise DataError(
            f"{name} is UTF-16; UTF-8 is needed",
            hint=f"iconv -f UTF-16 -t UTF-8 {name} > utf8-{name}",
        )
    for magic, kind, hint in FOREIGN_MAGICS:
        if head.startswith(magic):
            raise DataError(f"{name} is {kind}, not data", hint=hint.format(name=name))


def _is_json(data: bytes, name: str) -> bool:
    if data[:4096].lstrip()[:1] in (b"{", b"["):
        return True
    return Path(name.removesuffix(".gz")).suffix.lower() in JSON_SUFFIXES


def _read_arrow(data: bytes, name: str) -> tuple[dict[str, list[Any]], int]:
    stream = not data.startswith(ARROW_MAGICS[0])
    try:
        frame = (pl.read_ipc_stream if stream else pl.read_ipc)(io.BytesIO(data))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{name} is a truncated or damaged Arrow file: {error}",
            hint="download or copy it again",
        ) from error
    return {column: frame[column].to_list() for column in frame.columns}, frame.height


def _read_parquet(data: bytes, name: str) -> tuple[dict[str, list[Any]], int]:
    try:
        frame = pl.read_parquet(io.BytesIO(data))
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{name} is a truncated or damaged Parquet file: {error}",
            hint="download or copy it again",
        ) from error
    return {column: frame[column].to_list() for column in frame.columns}, frame.height
