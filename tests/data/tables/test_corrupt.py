"""Columns of a wrong type are refused in one message, whichever column, whoever reads."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from plt.cli import main
from plt.data.tables.preferences import (
    count_turned,
    read_preferences,
    read_votes,
    write_preferences,
)
from plt.data.tables.schema import MESSAGES, PREFERENCES
from plt.errors import DataError
from tests.data.made_tables import crossed

WRONG: dict[str, Callable[[int], pl.Series]] = {
    "text": lambda n: pl.Series([f"x{i}" for i in range(n)]),
    "numbers": lambda n: pl.Series([0.25] * n),
    "negative integers": lambda n: pl.Series([-1] * n),
    "booleans": lambda n: pl.Series([True] * n),
    "lists of text": lambda n: pl.Series([["x"]] * n),
    "lists of numbers": lambda n: pl.Series([[1.5]] * n),
    "one struct": lambda n: pl.Series([{"role": "user", "content": "x"}] * n),
    "structs of other fields": lambda n: pl.Series([[{"from": "human", "value": "x"}]] * n),
    "contents that are numbers": lambda n: pl.Series([[{"role": "user", "content": 1}]] * n),
    "a third field": lambda n: pl.Series([[{"role": "user", "content": "x", "name": 1}]] * n),
    "null messages": lambda n: pl.Series([[None]] * n, dtype=MESSAGES),
    "null roles": lambda n: pl.Series([[{"role": None, "content": "x"}]] * n, dtype=MESSAGES),
    "null contents": lambda n: pl.Series([[{"role": "user", "content": None}]] * n, dtype=MESSAGES),
    "no messages": lambda n: pl.Series([[]] * n, dtype=MESSAGES),
    "nothing": lambda n: pl.Series([None] * n),
    "bytes": lambda n: pl.Series([b"x"] * n),
    "dates": lambda n: pl.Series(["2020-01-01"] * n).str.to_date(),
}
READERS: dict[str, Callable[[Path], Any]] = {
    "whole": read_preferences,
    "votes": read_votes,
    "turned": count_turned,
}


def tables(folder: Path, column: str, tagged: bool) -> list[tuple[str, Path]]:
    """One file for each wrong type of a column, by plt or by somebody else."""
    prefs = crossed(3, 4)
    whole = folder / "whole.parquet"
    write_preferences(prefs, whole)
    frame, metadata = pl.read_parquet(whole), pl.read_parquet_metadata(whole)
    pairs = {key: value for key, value in metadata.items() if key.startswith("plt.")}
    made = []
    for number, (name, values) in enumerate(WRONG.items()):
        path = folder / f"{number}.parquet"
        wrong = frame.with_columns(values(frame.height).alias(column))
        wrong.write_parquet(path, metadata=pairs if tagged else {})
        made.append((name, path))
    return made


@pytest.mark.parametrize("tagged", [True, False], ids=["by plt", "foreign"])
@pytest.mark.parametrize("column", PREFERENCES.names)
def test_no_wrong_column_is_read_or_crashes(column: str, tagged: bool, tmp_path: Path) -> None:
    failures = []
    for name, path in tables(tmp_path, column, tagged):
        for reader, read in READERS.items():
            if reader == "typed" and column not in ("pair_id", "prompt"):
                continue
            try:
                read(path)
            except DataError as error:
                if column not in str(error) and "names different texts" not in str(error):
                    failures.append(f"{name}, {reader}: {error}")
            except Exception as error:
                failures.append(f"{name}, {reader}: {type(error).__name__} {error}")
    assert failures == []


@pytest.mark.parametrize(
    "kind", ["text", "lists of text", "structs of other fields", "null messages"]
)
def test_a_prompt_of_another_structure_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    for name, path in tables(tmp_path, "prompt", tagged=False):
        if name == kind:
            with pytest.raises(DataError, match="prompt"):
                read_preferences(path)


@pytest.mark.parametrize("column", ["pair_id", "prompt", "label"])
def test_what_is_typed_ends_with_two(
    column: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = dict(tables(tmp_path, column, tagged=False))["lists of text"]
    assert main(["dataset-lint", str(path)]) == 2
    assert f"column '{column}'" in capfd.readouterr().err
