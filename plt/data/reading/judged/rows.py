"""What a reader of one form is given, and the facts that belong to a whole row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from plt.data.reading.bad_rows import BadRows
from plt.data.reading.field_map import split_sources, values
from plt.data.reading.judged.numbers import number
from plt.data.reading.judged.people import label_texts, names_of, profile_texts
from plt.data.reading.ratings import PairRule
from plt.data.reading.raw_files import RawTable
from plt.data.remarks import Say
from plt.data.tables.schema import SPLITS, USER_SPLITS
from plt.errors import DataError, UsageError

SPLIT_NAMES = {
    **{name: name for name in SPLITS},
    "validation": "val",
    "valid": "val",
    "dev": "val",
    "eval": "val",
}
USER_SPLIT_NAMES = {name: name for name in USER_SPLITS}
ROW_FIELDS = ("user_id", "group", "split", "user_split", "subset", "profile")


@dataclass(frozen=True)
class Asked:
    """A raw file and what it was taken for.

    Attributes:
        table: The raw file.
        sources: Field to source.
        mapped: The fields that were said, and not only recognised.
        words: Word of a label to its meaning.
        rule: How rated responses become pairs.
        bad: Takes the rows that cannot be read.
        say: Takes remarks.
        unlabelled: Whether pairs without a label are meant.
        by_score: Whether the higher of two scores wins, where there is no label.
        equal_ties: Whether equal scores are a tie, and not only no preference between two ratings.
        scored_by: Users whose scores stand in columns of their own.
    """

    table: RawTable
    sources: Mapping[str, str]
    mapped: frozenset[str]
    words: Mapping[str, str]
    rule: PairRule
    bad: BadRows
    say: Say
    unlabelled: bool = False
    by_score: bool = False
    equal_ties: bool = False
    scored_by: tuple[str, ...] = ()

    def score_columns(self) -> tuple[list[list[float | None]], list[list[float | None]]]:
        """The scores of the first and of the second response, a column for each who scored."""
        found: list[list[list[float | None]]] = []
        for name in ("score_1", "score_2"):
            parts = split_sources(self.table, self.sources[name])
            found.append([self.bad.each(p, values(self.table, p), number) for p in parts])
        return found[0], found[1]


def row_fields(asked: Asked) -> pl.DataFrame:
    """User, group, splits, subset and profile of every row, as texts."""
    table, found = asked.table, {}
    for name in ROW_FIELDS:
        if name not in asked.sources:
            continue
        source = asked.sources[name]
        if "*" in source or (name == "user_id" and len(split_sources(table, source)) > 1):
            continue  # Read with the judgements it belongs to.
        if len(split_sources(table, source)) > 1:
            raise UsageError(
                f"{name} is one source, not {source!r}",
                hint=f"--map label={source} (each column is one user)",
            )
        cells = _read(asked, name, source)
        if cells is not None:
            found[name] = cells
    schema = dict.fromkeys(found, pl.String)
    frame = pl.DataFrame(found, schema=schema)
    return frame.with_row_index("row") if found else pl.DataFrame({"row": range(table.height)})


def _read(asked: Asked, name: str, source: str) -> list[Any] | None:
    table = asked.table
    if name in ("user_id", "group"):
        cells = values(table, source)
        if any(isinstance(cell, list) for cell in cells):
            return None  # Judges in lists, read with their judgements.
        return names_of(table, source, cells, range(table.height))
    if name == "profile":
        return profile_texts(table, source, asked.bad)
    texts = label_texts(table, source, asked.bad)
    if name == "subset":
        return texts
    known = SPLIT_NAMES if name == "split" else USER_SPLIT_NAMES
    strangers = sorted({cell for cell in texts if cell and cell.lower() not in known})
    if strangers:
        shown = f"{source} holds {', '.join(map(repr, strangers[:5]))}, no {name}"
        if name in asked.mapped:
            raise DataError(f"{table.name}: {shown}: {', '.join(known)} are known")
        asked.say(f"{shown}: left out")
        return None
    return [known[cell.lower()] if cell else None for cell in texts]


def side_fields(asked: Asked) -> dict[str, list[Any]]:
    """Scores and source names of the two responses, where the file has both."""
    found: dict[str, list[Any]] = {}
    for name in ("score", "source"):
        one, two = f"{name}_1", f"{name}_2"
        if one in asked.sources and two in asked.sources:
            for side in (one, two):
                source = asked.sources[side]
                if len(split_sources(asked.table, source)) > 1:
                    continue  # Scores of several users.
                if name == "source":
                    found[side] = label_texts(asked.table, source, asked.bad)
                else:
                    cells = values(asked.table, source)
                    found[side] = asked.bad.each(side, cells, number)
    return found
