"""Columns as integer codes, part by part."""

from collections.abc import Iterator

import numpy as np
import polars as pl

PART_ROWS = 1 << 16


def dense_codes(values: pl.Series) -> tuple[np.ndarray, pl.Series]:
    """Integer codes 0..k-1 of a column, in the order of its sorted distinct values.

    Args:
        values: Strings, categoricals or integers of shape (n,).

    Returns:
        Codes of shape (n,), int64, where null is -1; and the k distinct values, sorted.
    """
    if values.dtype == pl.Categorical:
        found, names = category_codes(values)
        return found.astype(np.int64), names
    levels = values.drop_nulls().unique().sort()
    position = pl.Series(np.arange(levels.len()), dtype=pl.Int64)
    codes = values.replace_strict(levels, position, default=-1, return_dtype=pl.Int64)
    return codes.fill_null(-1).to_numpy(), levels


def category_codes(values: pl.Series) -> tuple[np.ndarray, pl.Series]:
    """As `dense_codes`, of categoricals, in 32 bits."""
    # Physical codes are shared by all columns of the process, hence not dense: translate them.
    physical = values.to_physical()
    null = int(physical.max() or 0) + 1  # type: ignore[arg-type] # of integers it is one
    physical = physical.fill_null(null)
    seen = np.zeros(null + 1, dtype=np.bool_)
    for _, found in numpy_parts(physical):
        if null < len(found):
            seen |= np.bincount(found, minlength=null + 1) > 0
        else:
            seen[found] = True
    present = np.flatnonzero(seen[:null])
    a_row = np.full(null + 1, -1, dtype=np.int64)
    for rows, found in numpy_parts(physical):
        a_row[found] = np.arange(rows.start, rows.stop)
        if (a_row[present] >= 0).all():
            break
    levels = values.gather(a_row[present]).cast(pl.String)
    order = levels.arg_sort().to_numpy()
    lookup = np.full(null + 1, -1, dtype=np.int32)
    lookup[present[order]] = np.arange(len(order), dtype=np.int32)
    codes = np.empty(len(physical), dtype=np.int32)
    for rows, found in numpy_parts(physical):
        # No code is out of bounds; `clip` spares numpy the check, which costs more than the rest.
        np.take(lookup, found, out=codes[rows], mode="clip")
    return codes, levels.gather(order)


def numpy_parts(values: pl.Series) -> Iterator[tuple[slice, np.ndarray]]:
    """Consecutive parts of a column without nulls, small enough for the cache; none is copied."""
    start = 0
    for chunk in values.get_chunks():
        whole = chunk.to_numpy()
        for place in range(0, len(whole), PART_ROWS):
            part = whole[place : place + PART_ROWS]
            yield slice(start, start + len(part)), part
            start += len(part)
