"""One raw table out of several files: a pattern, a folder of shards, a hub download."""

import glob
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from plt.data.reading.raw_files import RawTable, read
from plt.errors import DataError

ENDINGS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow")
DESCRIPTIONS = frozenset(
    {"dataset_info.json", "state.json", "dataset_infos.json", "dataset_dict.json", "config.json",
     "metadata.json"}
)  # fmt: skip
SHARD = re.compile(r"(.*?)[-_.]?\d+-of-\d+.*")
SPLIT_NAMES = ("train", "validation", "valid", "val", "dev", "test")
FEW = 12


def read_all(raw: Path | bytes) -> RawTable:
    """Reads a raw file, or all files of a folder or a pattern as one table.

    Args:
        raw: A path, which may be a folder or have ``*`` in it, or the bytes that came through a
            pipe.

    Returns:
        The rows of all files. Where the files are called after splits (``train-00000-of-00002``)
        and have no column `split`, one says so.

    Raises:
        DataError: As `plt.data.reading.raw_files.read`; or no file fits.
    """
    if isinstance(raw, bytes) or (not raw.is_dir() and raw.exists()):
        return read(raw, lenient=True)
    if raw.is_dir():
        files = _in_folder(raw)
    elif glob.has_magic(str(raw)):
        files = [Path(name) for name in sorted(glob.glob(str(raw), recursive=True))]
        if not files:
            raise DataError(f"no file fits {raw}", hint=f"ls {raw.parent}")
    else:
        return read(raw, lenient=True)
    if len(files) == 1:
        return read(files[0], lenient=True)
    return _joined(str(raw), files, [read(path, lenient=True) for path in files])


def _in_folder(folder: Path) -> list[Path]:
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name.removesuffix(".gz").endswith(ENDINGS)
        and path.name not in DESCRIPTIONS
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not found:
        here = sorted(entry.name for entry in folder.iterdir())[:FEW]
        raise DataError(
            f"{folder} is a directory without JSONL, JSON, CSV or Parquet files",
            problems=[f"found: {', '.join(here) or 'nothing'}"],
            hint="name a folder with the data, or the file itself",
        )
    families = {_family(path) for path in found}
    if len({path.parent for path in found}) == 1 and len(families) > 1:
        splits = {_split(path) for path in found}
        if None in splits:
            raise DataError(
                f"{folder} is a directory with several files that are no shards of one",
                problems=[f"found: {', '.join(path.name for path in found[:FEW])}"],
                hint=f"plt dataset-convert {folder}/{found[0].name}",
            )
    return found


def _family(path: Path) -> str:
    """What the shards of one file share: their name without their number."""
    name = path.name.removesuffix(".gz")
    match = SHARD.fullmatch(name)
    return match[1] if match else re.sub(r"\d+", "", name)


def _split(path: Path) -> str | None:
    words = re.split(r"[-_.]", path.name.lower())
    inside = [part.lower() for part in path.parts[-3:-1]]
    return next((name for name in SPLIT_NAMES if name in words or name in inside), None)


def _joined(name: str, files: Sequence[Path], tables: Sequence[RawTable]) -> RawTable:
    names = list(dict.fromkeys(column for table in tables for column in table.columns))
    columns: dict[str, list[Any]] = {column: [] for column in names}
    for table in tables:
        for column, cells in columns.items():
            cells += table.columns.get(column, [None] * table.height)
    splits = [_split(path) for path in files]
    if "split" not in columns and len(set(splits) - {None}) > 1:
        columns["split"] = [
            split for split, table in zip(splits, tables, strict=True) for _ in range(table.height)
        ]
    dropped: dict[str, int] = {}
    for table in tables:
        for why, count in table.dropped.items():
            dropped[why] = dropped.get(why, 0) + count
    digest = hashlib.sha256("".join(table.source_hash for table in tables).encode()).hexdigest()
    malformed = [line for table in tables for line in table.malformed]
    height = sum(table.height for table in tables)
    return replace(
        tables[0], name=name, columns=columns, height=height, source_hash=digest, lines=None,
        dropped=dropped, malformed=malformed,
    )  # fmt: skip
