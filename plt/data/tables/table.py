"""One reader and one writer for every Parquet table of plt.

Writing is atomic (a temporary file beside the target, then `os.replace`), carries the metadata of
`Meta`, and never leaves half a file. Reading names what a file is when it is not Parquet.
"""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from plt.data.tables.files import atomic_path
from plt.data.tables.schema import TableSchema, conform, validate
from plt.errors import DataError

Source = Path | bytes
PARQUET_MAGIC = b"PAR1"
LFS_MAGIC = b"version https://git-lfs"
PICKLE_MAGICS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
CONTENT_COLUMNS = ("user_id", "pair_id", "occurrence", "label", "split", "user_split")
CHUNK_ROWS = 1_000_000


@dataclass(frozen=True)
class Meta:
    """What travels with a table in its key-value metadata.

    Attributes:
        dataset: Registry or given name of the source.
        license: Licence of the source; travels from dataset to run to report.
        source_hash: SHA-256 of the raw input, when there was one.
        content: SHA-256 of the sorted judgements (`content_hash`).
        dropped: Reason to number of rows that were left out.
        command: The command line that wrote the table.
        split: The unit, fractions, seed and protocol of the split.
        truth: Simulator, parameters and seed, from which any true reward can be recomputed.
        oriented: Whether plt decided which response is `a`.
    """

    dataset: str | None = None
    license: str | None = None
    source_hash: str | None = None
    content: str | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    command: str | None = None
    split: Mapping[str, Any] | None = None
    truth: Mapping[str, Any] | None = None
    oriented: bool = False

    def to_parquet(self, schema: TableSchema) -> dict[str, str]:
        """The metadata as Parquet key-value pairs; what is null is left out."""
        pairs = {"plt.schema": schema.tag, "plt.dropped": json.dumps(dict(self.dropped))}
        for name in ("dataset", "license", "source_hash", "content", "command"):
            if (value := getattr(self, name)) is not None:
                pairs[f"plt.{name}"] = value
        for name in ("split", "truth"):
            if (value := getattr(self, name)) is not None:
                pairs[f"plt.{name}"] = json.dumps(dict(value), sort_keys=True)
        if self.oriented:
            pairs["plt.oriented"] = "true"
        return pairs

    @classmethod
    def from_parquet(cls, pairs: Mapping[str, str]) -> "Meta":
        """The inverse of `to_parquet`; unknown keys are ignored."""
        return cls(
            dataset=pairs.get("plt.dataset"),
            license=pairs.get("plt.license"),
            source_hash=pairs.get("plt.source_hash"),
            content=pairs.get("plt.content"),
            dropped=json.loads(pairs.get("plt.dropped", "{}")),
            command=pairs.get("plt.command"),
            split=json.loads(pairs["plt.split"]) if "plt.split" in pairs else None,
            truth=json.loads(pairs["plt.truth"]) if "plt.truth" in pairs else None,
            oriented=pairs.get("plt.oriented") == "true",
        )

    def with_dropped(self, more: Mapping[str, int]) -> "Meta":
        """A copy whose counts of dropped rows are increased by `more`; zeros are left out."""
        total = dict(self.dropped)
        for reason, count in more.items():
            if count:
                total[reason] = total.get(reason, 0) + int(count)
        return replace(self, dropped=total)


def source_name(source: Source) -> str:
    """How a source is called in messages: its path, or ``standard input``."""
    return str(source) if isinstance(source, Path) else "standard input"


def refuse_non_parquet(source: Source) -> None:
    """Raises an error that says what the file is when it is no complete Parquet file.

    Raises:
        DataError: The file is missing, a directory, empty, truncated, a pickle, a git-LFS pointer
            or of another format.
    """
    name = source_name(source)
    head, tail = _ends(source)
    if not head:
        raise DataError(
            f"{name} is empty", hint="run the command that should have written it again"
        )
    if head.startswith(LFS_MAGIC):
        raise DataError(f"{name} is a git-LFS pointer, not the data", hint="git lfs pull")
    if head.startswith(PICKLE_MAGICS):
        raise DataError(
            f"{name} is a Python pickle; plt reads no pickles because loading one runs its code",
            hint="write it as Parquet, JSONL or CSV where it comes from",
        )
    if not head.startswith(PARQUET_MAGIC):
        target = name if isinstance(source, Path) else "FILE"
        raise DataError(
            f"{name} is not a Parquet file",
            hint=f"plt dataset-convert generic {target} -o preferences.parquet",
        )
    if tail != PARQUET_MAGIC:
        raise DataError(
            f"{name} is a truncated Parquet file: its end is missing",
            hint="run the command that should have written it again",
        )


def _ends(source: Source) -> tuple[bytes, bytes]:
    if isinstance(source, bytes):
        return source[:64], source[-4:]
    if not source.exists():
        raise DataError(f"{source} does not exist", hint="plt ls datasets")
    if source.is_dir():
        raise DataError(
            f"{source} is a directory, not a table",
            hint=f"plt dataset-convert NAME {source} -o preferences.parquet",
        )
    try:
        with source.open("rb") as file:
            head = file.read(64)
            file.seek(max(0, source.stat().st_size - 4))
            return head, file.read(4)
    except PermissionError as error:
        raise DataError(f"{source} may not be read: {error.strerror}") from error


def open_source(source: Source) -> Path | io.BytesIO:
    """What polars reads from: the path, or a fresh buffer over the bytes."""
    return source if isinstance(source, Path) else io.BytesIO(source)


def read_meta(source: Source) -> tuple[Meta, str | None]:
    """The metadata of a table and its schema tag (None in files that plt did not write)."""
    refuse_non_parquet(source)
    try:
        pairs = pl.read_parquet_metadata(open_source(source))
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{source_name(source)} is a damaged Parquet file: {error}") from error
    return Meta.from_parquet(pairs), pairs.get("plt.schema")


def read_table(
    source: Source,
    schema: TableSchema,
    columns: Sequence[str] | None = None,
    *,
    unique_keys: bool = True,
) -> tuple[pl.DataFrame, Meta]:
    """Reads and checks a table.

    Args:
        source: A path, or the bytes of a Parquet file that came through a pipe.
        schema: The contract it must fit.
        columns: The columns to read, or all. Absent nullable columns come back as null.
        unique_keys: Whether repeated keys are refused. Tables that plt wrote are trusted to have
            none.

    Returns:
        The frame, and its metadata.

    Raises:
        DataError: The file is not Parquet, is of another schema, or breaks the contract; every
            problem is listed.
    """
    meta, tag = read_meta(source)
    name = source_name(source)
    if tag is not None and tag != schema.tag:
        raise DataError(f"{name} is a {tag} table, not {schema.tag}")
    try:
        found = pl.read_parquet_schema(open_source(source))
        wanted = None if columns is None else [c for c in columns if c in found]
        frame = pl.read_parquet(open_source(source), columns=wanted)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{name} is a damaged Parquet file: {error}") from error
    part = schema
    if columns is not None:
        kept = tuple(column for column in schema.columns if column.name in columns)
        part = replace(schema, columns=kept)
    frame = conform(frame, part)
    check(frame, part, name, unique_keys=unique_keys and tag is None)
    return frame, meta


def check(frame: pl.DataFrame, schema: TableSchema, name: str, *, unique_keys: bool = True) -> None:
    """Raises one `DataError` with every problem when `frame` breaks `schema`."""
    problems = validate(frame, schema, unique_keys=unique_keys)
    if problems:
        hint = None
        if schema.name == "preferences":
            hint = f"plt dataset-convert generic {name} --map FIELD=COLUMN -o fixed.parquet"
        raise DataError(f"{name} is not a {schema.name} table", problems=problems, hint=hint)


def write_table(
    frame: pl.DataFrame, schema: TableSchema, target: Path | None, meta: Meta | None = None
) -> bytes:
    """Checks and writes a table, atomically, with its metadata.

    Args:
        frame: What to write; it must fit `schema`.
        schema: The contract.
        target: Where to write; None returns the bytes for a pipe instead.
        meta: The metadata.

    Returns:
        The bytes when `target` is None, else nothing (``b""``).

    Raises:
        DataError: The frame breaks the contract.
        ArtifactError: The file cannot be written; what stood there before is untouched.
    """
    frame = conform(frame, schema)
    check(frame, schema, str(target or "the table for standard output"))
    pairs = (meta or Meta()).to_parquet(schema)
    if target is None:
        buffer = io.BytesIO()
        frame.write_parquet(buffer, metadata=pairs)
        return buffer.getvalue()
    with atomic_path(target) as temporary:
        frame.write_parquet(temporary, metadata=pairs)
    return b""


def content_hash(votes: pl.DataFrame) -> str:
    """SHA-256 over the sorted judgements: what run ids and `verify` compare, never file bytes.

    Args:
        votes: Any frame with the columns of `CONTENT_COLUMNS`, in any order of rows.

    Returns:
        64 hexadecimal digits. Row order, compression, texts' storage and extra columns change
        nothing; any change of a user, pair, label or split changes it.
    """
    user = pl.col("user_id").cast(pl.String)
    # The byte length in front of the name makes the text of a row unambiguous for any name.
    name = pl.concat_str(user.str.len_bytes().cast(pl.String), pl.lit(":"), user)
    label = pl.Series(votes["label"].cast(pl.Float32).fill_null(0.0).to_numpy().view(np.uint32))
    rows = votes.select(
        name.fill_null("-").alias("user_id"),
        pl.col("pair_id"),
        pl.col("occurrence"),
        pl.when(pl.col("label").is_null()).then(None).otherwise(label).alias("label"),
        pl.col("split").cast(pl.String),
        pl.col("user_split").cast(pl.String),
    ).sort(CONTENT_COLUMNS)
    digest = hashlib.sha256()
    for start in range(0, rows.height, CHUNK_ROWS):
        part = rows.slice(start, CHUNK_ROWS).select(
            pl.concat_str(
                [pl.col(c).cast(pl.String).fill_null("-") for c in rows.columns], separator="|"
            )
        )
        digest.update(("\n".join(part.to_series().to_list()) + "\n").encode())
    return digest.hexdigest()
