"""A benchmark as `plt tax` scores it: found by name or path, its rows known subsets with a side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plt.errors import DataError

if TYPE_CHECKING:
    from plt.data.benches import Bench
    from plt.data.tables.preferences import Preferences

NAMED = 10
"""Unknown subsets that are named; the others are counted."""


@dataclass(frozen=True)
class Benchmark:
    """What is scored.

    Attributes:
        asked: As it was typed.
        compat: Likewise.
        prefs: The rows that have a side and a known subset.
        bench: Sections and weights.
        content: SHA-256 of the rows.
        missing: Subsets of the layout of which no row is there.
        unknown: Subset that the layout does not have, to its number of rows.
        notes: What is left out, in sentences.
    """

    asked: str
    compat: str
    prefs: Preferences
    bench: Bench
    content: str
    missing: tuple[str, ...]
    unknown: Mapping[str, int]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {
            "name": self.prefs.meta.dataset,
            "layout": self.bench.name,
            "file": self.asked,
            "content": self.content,
            "source_hash": self.prefs.meta.source_hash,
            "n_pairs": self.prefs.votes.height,
            "n_subsets": len(self.bench.subsets),
            "missing": list(self.missing),
            "unknown": dict(self.unknown),
        }


def find_benchmark(
    asked: str, compat: str, report: Callable[[str], None], given: Preferences | None = None
) -> Benchmark:
    """A benchmark by name or path.

    Args:
        asked: A registry name, a preference table, or a raw file in the columns of a known one.
        compat: As `plt.data.benches.bench_of`.
        report: Takes remarks on what is left out.
        given: The table, where it is at hand.

    Raises:
        UsageError: No such name, or a `compat` that is not about it.
        DataError: It cannot be read, or no row has a side and a known subset.
    """
    from plt.data import catalog
    from plt.data.benches import bench_of, read_bench

    prefs = given
    if prefs is None and catalog.is_path(asked):
        path = Path(asked)
        if not path.exists():
            raise DataError(f"{asked} does not exist", hint="plt tax RUN --bench rewardbench")
        prefs = read_bench(path, report)
    elif prefs is None:
        name = f"{asked}:s0" if (asked, compat) == ("rewardbench", "s0") else asked
        prefs = catalog.load(name, None, report)
    bench = bench_of(prefs, compat)
    kept, unknown, notes = _usable(asked, prefs, bench)
    for note in notes:
        report(f"{asked}: {note}")
    here = set(kept.votes["subset"].cast(str).unique().to_list())
    missing = tuple(name for name in bench.subsets if name not in here)
    if missing:
        report(f"{asked}: {len(missing)} of {len(bench.subsets)} subsets are missing")
    return Benchmark(
        asked, compat, kept, bench, _content(kept.votes), missing, unknown, tuple(notes)
    )


def _usable(
    asked: str, prefs: Preferences, bench: Bench
) -> tuple[Preferences, dict[str, int], list[str]]:
    """The rows that have a side and a known subset; unknown subsets; what is left out."""
    import polars as pl

    from plt.data.benches import EVERYTHING
    from plt.data.reading.raw_files import nearest
    from plt.data.sources.rewardbench import SPELLINGS
    from plt.data.tables.preferences import Preferences

    subset = pl.col("subset").cast(pl.String).fill_null(EVERYTHING).replace(SPELLINGS)
    votes = prefs.votes.with_columns(subset=subset)
    known = pl.col("subset").is_in(bench.subsets)
    counts = votes.filter(~known)["subset"].value_counts(sort=True)
    unknown = {str(name): int(n) for name, n in counts.iter_rows()}
    sided = pl.col("label").is_not_null() & (pl.col("label") != 0.5)
    kept = votes.filter(known & sided)
    notes = [
        f"subset {name!r} is not {bench.name}'s{nearest(name, bench.subsets)}; {rows} rows left out"
        for name, rows in list(unknown.items())[:NAMED]
    ]
    if len(unknown) > NAMED:
        notes.append(f"{len(unknown) - NAMED} more unknown subsets left out")
    without = votes.filter(known).height - kept.height
    if without:
        notes.append(f"{without} rows without a label, or with a tie, left out")
    people = kept["user_id"].drop_nulls().n_unique()
    if people:
        whose = "one person" if people == 1 else f"{people} people"
        notes.append(f"the labels are those of {whose}: each is taken as right for everybody")
    if kept.height == 0:
        raise DataError(
            f"{asked} has no row with a side and a known subset", problems=notes,
            hint="plt dataset-stats BENCH",
        )  # fmt: skip
    kept = kept.with_columns(pl.col("subset").cast(pl.Categorical))
    ids = kept.select(pl.col("pair_id").unique())
    pairs = prefs.pairs.join(ids, on="pair_id", how="semi").sort("pair_id")
    return Preferences(kept, pairs, prefs.meta), unknown, notes


def _content(votes: Any) -> str:
    import hashlib

    import polars as pl

    rows = votes.select("pair_id", pl.col("group", "subset", "user_id").cast(pl.String),
                        "occurrence", "label")  # fmt: skip
    rows = rows.sort("pair_id", "group", "subset", "user_id", "occurrence", nulls_last=True)
    return hashlib.sha256(rows.write_ndjson().encode()).hexdigest()
