"""CSV and TSV files as columns of texts, and the places where a file breaks their rules."""

import csv
import io
from collections.abc import Sequence

import polars as pl

from plt.data.reading.json_rows import MAX_PROBLEMS, decode_utf8
from plt.errors import DataError

CsvRows = tuple[dict[str, list[str | None]], int, list[str]]


def read_csv(data: bytes, name: str) -> CsvRows:
    """Reads CSV with commas, tabs or semicolons; every cell is a text or None.

    Args:
        data: The bytes, without a byte-order mark.
        name: How the file is called in messages.

    Returns:
        Columns, number of rows, and one sentence for each row that is left out because it has
        another number of cells than the header.

    Raises:
        DataError: It is no CSV, columns share a name, or quotes are not closed.
    """
    text = decode_utf8(data, name)
    if "\n" not in text and "\r" in text:
        raise DataError(
            f"{name} ends its lines with CR alone", hint=f"tr '\\r' '\\n' < {name} > new.csv"
        )
    header = text.split("\n", 1)[0]
    separator = max("\t,;", key=header.count)
    if separator not in header:
        raise DataError(
            f"{name} is no JSONL, JSON, CSV, TSV or Parquet file: it begins with {header[:40]!r}"
        )
    _refuse_repeated(next(csv.reader([header], delimiter=separator)), name)
    try:
        frame = pl.read_csv(io.BytesIO(data), infer_schema=False, separator=separator)
    except pl.exceptions.PolarsError as error:
        return _slow(text, separator, name, str(error))
    frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    # polars fills short rows with null; only a look at the text tells them from empty cells.
    if frame.width and frame[frame.columns[-1]].null_count():
        columns, height, malformed = _slow(text, separator, name, "")
        if malformed:
            return columns, height, malformed
    return {column: frame[column].to_list() for column in frame.columns}, frame.height, []


def _slow(text: str, separator: str, name: str, why: str) -> CsvRows:
    """The rows by Python's reader, without those whose number of cells is not the header's."""
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    kept: list[list[str]] = []
    malformed: list[str] = []
    try:
        header = next(reader)
        for cells in reader:
            if cells and len(cells) != len(header):
                found = f"{len(cells)} cells, {len(header)} in the header"
                malformed.append(f"line {reader.line_num}: {found}")
            elif any(cells):
                kept.append(cells)
    except csv.Error as error:
        problem = f"line {reader.line_num}: {error}"
        raise DataError(
            f"{name} is malformed", problems=[*malformed, problem][:MAX_PROBLEMS]
        ) from error
    if why and not malformed:
        raise DataError(f"{name} is malformed", problems=[why])
    columns = {
        column: [cells[place] or None for cells in kept] for place, column in enumerate(header)
    }
    return columns, len(kept), malformed


def _refuse_repeated(header: Sequence[str], name: str) -> None:
    repeated = sorted({column for column in header if header.count(column) > 1})
    if repeated:
        raise DataError(
            f"{name} names several columns alike",
            problems=[
                f"column {column!r} stands {header.count(column)} times" for column in repeated
            ],
        )
