"""JSON Lines and JSON documents as columns of Python values.

polars' own JSON reader turns a list among strings into its text and a lone surrogate into NUL. It
is used only where neither can have happened; Python's reader does the rest, and names every
malformed line.
"""

import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from plt.data.reading.json_documents import is_row, rows_of
from plt.errors import DataError

MAX_PROBLEMS = 1000
FLAT = (pl.String, pl.Int64, pl.Float64, pl.Boolean, pl.Null)
INVALID_UNICODE = "invalid unicode"
SURROGATE_PAIR = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..")
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

EXACT = 2.0**53
"""From here on a float no longer says which integer it was."""
LONG_NUMBER = r"^-?\d+(\.\d*)?[eE][-+]?\d+$|^-?\d{16,}"

JsonRows = tuple[dict[str, list[Any]], int, Sequence[int] | None, dict[str, int], list[str]]


def read_json(data: bytes, name: str) -> JsonRows:
    """Reads JSON Lines, or a JSON document that holds rows, see `json_documents.rows_of`.

    Args:
        data: The bytes, without a byte-order mark.
        name: How the file is called in messages.

    Returns:
        Columns, number of rows, the line of each row in JSON Lines (else None), the number of rows
        left out because they hold lone surrogates, and a sentence for each malformed line.

    Raises:
        DataError: Not UTF-8, or a document that is malformed or holds no rows.
    """
    if data.lstrip()[:1] == b"{":
        quick = _read_flat_jsonl(data)
        if quick is not None:
            return quick
    text = decode_utf8(data, name)
    document = _document(text, name)
    if document is None:
        return _read_jsonl(text, name)
    strangers = [i for i, row in enumerate(document) if not isinstance(row, dict)]
    if strangers:
        raise DataError(
            f"{name} must be a list of objects",
            problems=[f"row {i} is {_kind(document[i])}" for i in strangers[:MAX_PROBLEMS]],
        )
    kept = [row for row in document if _storable(row)] if _may_be_broken(text) else document
    dropped = {INVALID_UNICODE: len(document) - len(kept)} if len(kept) < len(document) else {}
    return _columns(kept), len(kept), None, dropped, []


def _read_flat_jsonl(data: bytes) -> JsonRows | None:
    """The rows by polars, or None where its answer could differ from Python's."""
    # Whatever the bytes mean, latin-1 keeps every escape as it is.
    if _may_be_broken(data.decode("latin-1")) or not _first_is_flat(data):
        return None
    try:
        frame = pl.read_ndjson(io.BytesIO(data), infer_schema_length=None)
    except pl.exceptions.PolarsError:
        return None  # The slow path names every line that is wrong.
    if any(dtype not in FLAT for dtype in frame.dtypes):
        return None
    texts = pl.col(pl.String)
    looks_nested = texts.str.starts_with("[") | texts.str.starts_with("{")
    # A number among texts, or an integer among floats, would not stay what it is.
    changed = texts.str.contains(LONG_NUMBER)
    if frame.filter(pl.any_horizontal(looks_nested, changed, pl.lit(False))).height:
        return None
    if any((frame[n].abs() >= EXACT).any() for n, t in frame.schema.items() if t == pl.Float64):
        return None
    numbers = [i + 1 for i, line in enumerate(data.split(b"\n")) if not line.isspace() and line]
    if len(numbers) != frame.height:
        return None
    return (
        {column: frame[column].to_list() for column in frame.columns},
        frame.height,
        numbers,
        {},
        [],
    )


def _first_is_flat(data: bytes) -> bool:
    try:
        row = json.loads(data.lstrip().split(b"\n", 1)[0])
    except (ValueError, RecursionError):
        return False
    return not any(isinstance(value, (list, dict)) for value in row.values())


def _document(text: str, name: str) -> list[Any] | None:
    """The rows of a JSON document, or None for JSON Lines."""
    try:
        value = json.loads(text)  # On JSON Lines this ends after the first line.
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith("["):
            raise DataError(f"{name} is malformed JSON: {error}") from error
        return None
    if isinstance(value, dict) and "\n" not in text.strip() and is_row(value):
        return None  # One line of JSON Lines.
    return rows_of(value, name)


def _read_jsonl(text: str, name: str) -> JsonRows:
    rows, lines, malformed, broken = [], [], [], 0
    decode = json.JSONDecoder().decode
    for number, line in enumerate(text.split("\n"), start=1):
        if not line or line.isspace():
            continue
        try:
            row = decode(line)
        except (ValueError, RecursionError) as error:
            malformed.append(f"line {number}: {_why(error, line)}")
        else:
            if not isinstance(row, dict):
                malformed.append(f"line {number}: {_kind(row)} where an object is needed")
            elif _may_be_broken(line) and not _storable(row):
                broken += 1
            else:
                rows.append(row)
                lines.append(number)
        if len(malformed) == 1 and not rows and (stream := _stream(text)) is not None:
            kept = [row for row in stream if _storable(row)]
            left_out = {INVALID_UNICODE: len(stream) - len(kept)} if len(kept) < len(stream) else {}
            return _columns(kept), len(kept), None, left_out, []
    left_out = {INVALID_UNICODE: broken} if broken else {}
    return _columns(rows), len(rows), lines, left_out, malformed


def _stream(text: str) -> list[dict[str, Any]] | None:
    """Objects that follow one another, each over several lines or several in one; else None."""
    decoder, place = json.JSONDecoder(), 0
    found: list[dict[str, Any]] = []
    while True:
        while place < len(text) and text[place] in " \t\r\n,\x1e":
            place += 1
        if place == len(text):
            return found
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict):
            return None
        found.append(value)


def _why(error: Exception, line: str) -> str:
    shown = line if len(line) <= 60 else line[:57] + "..."
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos + 1}: {shown}"
    return f"{error or type(error).__name__}: {shown}"


def _kind(value: object) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "a boolean",
        type(None): "null",
    }
    return names.get(type(value), "a number")


def _may_be_broken(text: str) -> bool:
    """Whether the JSON may hold half of a surrogate pair; False is certain."""
    if "\\ud" not in text and "\\uD" not in text:
        return False
    # Behind an escaped backslash, what looks like an escape may be none.
    return "\\\\u" in text or SURROGATE.search(SURROGATE_PAIR.sub("", text)) is not None


def _storable(row: object) -> bool:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(key for row in rows for key in row)
    return {name: [row.get(name) for row in rows] for name in names}


def decode_utf8(data: bytes, name: str) -> str:
    """The text of UTF-8 bytes, or a DataError that names the line of the first wrong byte."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{name} is not UTF-8: byte 0x{data[error.start]:02x} in line {line}",
            hint=f"iconv -f WINDOWS-1252 -t UTF-8 {name} > utf8-{Path(name).name}",
        ) from error
