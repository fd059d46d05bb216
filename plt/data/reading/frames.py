"""Frames that other libraries hold in memory, as preference tables or as raw rows.

pandas and datasets are recognised by the names of their classes, so that neither is imported.
"""

import io
from dataclasses import replace
from typing import Any

import polars as pl

from plt.data.reading.raw_files import RawTable, read
from plt.data.tables.preferences import Preferences, orient_foreign
from plt.data.tables.schema import PREFERENCES, conform, validate
from plt.data.tables.table import Meta
from plt.errors import DataError, UsageError

NAME = "the frame"
HINT = 'plt.convert(frame, maps={"user_id": "COLUMN"})'


def as_polars(data: Any) -> pl.DataFrame | None:
    """A polars or pandas frame, or a `datasets.Dataset`, as a polars frame; None for other things.

    What is given is never changed. The index of a pandas frame is left out, its NaN are null, and
    its columns of floats that have nulls and whole numbers only are integers again.

    Raises:
        UsageError: It is another class of `datasets`, which is several tables or a stream; or it
            holds values for which polars has no type.
    """
    if isinstance(data, pl.DataFrame):
        return data
    if isinstance(data, pl.LazyFrame):
        return data.collect()
    classes = {(each.__module__.partition(".")[0], each.__name__) for each in type(data).__mro__}
    try:
        if ("pandas", "DataFrame") in classes:
            return _whole(pl.from_pandas(data))
        if ("datasets", "Dataset") in classes:
            found: pl.DataFrame = data.to_polars()
            return found
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise UsageError(
            f"a {type(data).__name__} cannot be read: {error}",
            hint="give each column values of one type",
        ) from error
    if type(data).__module__.startswith("datasets."):
        raise UsageError(
            f"a datasets.{type(data).__name__} is not one table in memory",
            hint='give one of its parts, such as dataset["train"]',
        )
    return None


def _whole(frame: pl.DataFrame) -> pl.DataFrame:
    """Integers as they were before pandas, whose integers have no null, made them floats."""
    casts = []
    for name, values in zip(frame.columns, frame.iter_columns(), strict=True):
        if values.dtype == pl.Float64 and values.null_count():
            if values.null_count() == frame.height:
                casts.append(pl.col(name).cast(pl.Null))
            elif values.is_finite().all() and (values == values.round()).all():
                casts.append(pl.col(name).cast(pl.Int64, strict=False))
    return frame.with_columns(casts)


def read_frame(frame: pl.DataFrame, *, unique_keys: bool = True) -> Preferences:
    """A frame with the columns of `preferences/1`, checked and oriented as a foreign file is.

    Args:
        frame: One row a judgement; absent nullable columns are null.
        unique_keys: Whether repeated keys are refused.

    Raises:
        DataError: It breaks the contract; every problem is listed.
    """
    wide = conform(frame, PREFERENCES)
    problems = validate(wide, PREFERENCES, unique_keys=unique_keys)
    if problems:
        raise DataError(f"{NAME} is not a preferences table", problems=problems, hint=HINT)
    if wide.height == 0:
        raise DataError(f"{NAME} has no rows", hint="plt ls datasets")
    names = wide["dataset"].unique().to_list()
    try:
        return orient_foreign(wide, Meta(dataset=names[0] if len(names) == 1 else None), NAME)
    except DataError as error:
        raise DataError(error.message, problems=error.problems, hint=HINT) from error


def raw_frame(frame: pl.DataFrame) -> RawTable:
    """A frame as `plt.data.sources.generic` reads files: columns of Python values.

    Raises:
        DataError: It has no rows, or holds what no Parquet file can.
    """
    if frame.height == 0:
        raise DataError(f"{NAME} has no rows", hint='plt.convert("votes.jsonl")')
    buffer = io.BytesIO()
    try:
        frame.write_parquet(buffer)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{NAME} holds values that no table can: {error}") from error
    return replace(read(buffer.getvalue()), name=NAME)
