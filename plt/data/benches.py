"""BENCHES: which subsets of a benchmark make which section, with what weights.

A benchmark is a user-less preference table whose `subset` names what it asks about. The layouts of
RewardBench (also as Dong et al. 2025 read it), RewardBench 2 and RM-Bench are known; any other
table has one section a subset.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from plt.data.reading.raw_files import RawTable, read
from plt.data.registry import load_module
from plt.data.remarks import Say
from plt.data.sources import rewardbench, rewardbench2, rm_bench
from plt.data.tables.preferences import Preferences, read_preferences
from plt.errors import DataError, UsageError

PARQUET = b"PAR1"
EVERYTHING = "all"
"""What the rows without a subset are called."""
COMPAT = ("official", "s0")
COLUMNS = ("prompt", "chosen", "rejected")


@dataclass(frozen=True)
class Bench:
    """How the subsets of a benchmark are put together.

    Attributes:
        name: What it is.
        sections: Section to its subsets, each with its weight in the section.
        averaged: The sections whose mean is the overall score; none where there is no such thing.
        unit: ``pair``, or ``item``: the pairs of one `group` are judged as one, right only if every
            one of them is.
        pooled: Whether a section is the share of right answers over its rows, however many of a
            subset there are; the weights are the published numbers of rows then.
        chance: Section to what guessing scores; one half where it is not named.
    """

    name: str
    sections: Mapping[str, Mapping[str, float]]
    averaged: tuple[str, ...] = ()
    unit: Literal["pair", "item"] = "pair"
    pooled: bool = False
    chance: Mapping[str, float | None] | None = None

    @property
    def subsets(self) -> tuple[str, ...]:
        """Every subset, once, in the order of the sections."""
        return tuple(dict.fromkeys(name for names in self.sections.values() for name in names))


def _weighted(
    sections: Mapping[str, Sequence[str]], weights: Mapping[str, int]
) -> dict[str, dict[str, float]]:
    return {key: {name: float(weights[name]) for name in names} for key, names in sections.items()}


def _styles() -> dict[str, dict[str, float]]:
    """Sections of RM-Bench by domain and by difficulty; refusing and responding are one domain."""
    domains = {
        "Chat": {"chat": 1.0},
        "Math": {"math": 1.0},
        "Code": {"code": 1.0},
        "Safety": {"safety-refuse": 0.5, "safety-response": 0.5},
    }
    found = {
        name: {f"{part}: {how}": share for part, share in parts.items()
               for how in rm_bench.DIFFICULTIES}
        for name, parts in domains.items()
    }  # fmt: skip
    for how in rm_bench.DIFFICULTIES:
        found[how.capitalize()] = {
            f"{part}: {how}": share for parts in domains.values() for part, share in parts.items()
        }
    return found


REWARDBENCH2 = Bench(
    "rewardbench2",
    {name: {name: 1.0} for name in rewardbench2.COUNTS},
    tuple(rewardbench2.COUNTS),
    unit="item",
    chance={name: None if name == rewardbench2.TIES else 0.25 for name in rewardbench2.COUNTS},
)
BENCHES: Mapping[str, Bench] = {
    "rewardbench": Bench(
        "rewardbench",
        _weighted(rewardbench.SECTIONS, rewardbench.WEIGHTS),
        tuple(rewardbench.SECTIONS),
    ),
    "rewardbench:s0": Bench(
        "rewardbench:s0",
        _weighted(rewardbench.S0_SECTIONS, rewardbench.COUNTS),
        pooled=True,
    ),
    "rewardbench2": REWARDBENCH2,
    "rm-bench": Bench("rm-bench", _styles(), ("Chat", "Math", "Code", "Safety")),
}


def bench_of(prefs: Preferences, compat: str = "official") -> Bench:
    """The layout that a table has: by its dataset's name, else by its subsets.

    Args:
        prefs: Any preference table.
        compat: ``s0`` reads RewardBench as Dong et al. 2025 did: no weights, two subsets left out.

    Raises:
        UsageError: `compat` is not known, or is about another benchmark than this.
    """
    if compat not in COMPAT:
        raise UsageError(f"--compat is {compat!r}; known are {', '.join(COMPAT)}")
    found = _known(prefs)
    if compat == "s0":
        if found is None or not found.name.startswith("rewardbench") or found.unit == "item":
            raise UsageError(
                "--compat s0 is about RewardBench, and this table is not in its subsets",
                hint="plt tax RUN --bench rewardbench --compat s0",
            )
        return BENCHES["rewardbench:s0"]
    return found or Bench(prefs.meta.dataset or "unnamed", _own_sections(prefs))


def _known(prefs: Preferences) -> Bench | None:
    by_name = BENCHES.get(prefs.meta.dataset or "")
    if by_name is not None:
        return by_name
    present = set(prefs.votes["subset"].cast(pl.String).drop_nulls().unique().to_list())
    present = {rewardbench.SPELLINGS.get(name, name) for name in present}
    for name in ("rewardbench", "rm-bench"):
        if present & set(BENCHES[name].subsets):
            return BENCHES[name]
    return None


def _own_sections(prefs: Preferences) -> dict[str, dict[str, float]]:
    names = prefs.votes["subset"].cast(pl.String).fill_null(EVERYTHING).unique().sort().to_list()
    return {name: {name: 1.0} for name in names}


def read_bench(path: Path, say: Say) -> Preferences:
    """A benchmark from a file: a preference table, or raw rows in the columns of a known one.

    RewardBench's own columns are `prompt`, `chosen`, `rejected` and `subset`; those of
    RewardBench 2 have lists and an `id` of the item, those of RM-Bench a `domain`.

    Raises:
        DataError: It is none of these.
    """
    if path.is_file() and _is_preferences(path):
        return read_preferences(path)
    if path.is_dir():
        raise DataError(f"{path} is a folder; a file is wanted", hint="plt tax RUN --bench FILE")
    table = read(path)
    target = "plt.data.sources." + _format(table)
    found: Preferences = load_module(target).load(path, None, say)
    return found


def _is_preferences(path: Path) -> bool:
    with path.open("rb") as stream:
        if stream.read(len(PARQUET)) != PARQUET:
            return False
    return "pair_id" in pl.read_parquet_schema(path)


def _format(table: RawTable) -> str:
    """The source module whose columns a raw file has."""
    if "domain" in table.columns and "subset" not in table.columns:
        return "rm_bench"
    missing = [name for name in (*COLUMNS, "subset") if name not in table.columns]
    if missing:
        raise DataError(
            f"{table.name} has neither a preference table's columns nor RewardBench's",
            problems=[f"no column {name}" for name in missing],
            hint=f"plt dataset-convert generic {table.name} -o bench.parquet",
        )
    lists = any(isinstance(cell, list) and cell and isinstance(cell[0], str)
                for cell in table.columns["rejected"])  # fmt: skip
    return "rewardbench2" if lists else "rewardbench"
