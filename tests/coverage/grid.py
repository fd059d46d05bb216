"""The cells of the coverage map: the committed products of `grid.toml`, written out."""

import itertools
import tomllib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

GRID = Path(__file__).with_name("grid.toml")
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "judgements": {
        "users": 30, "activity": "equal", "largest": 0.0, "overlap": 1.0, "judgements": 20,
        "prompts": 60, "pairs": 3, "by_user": 0.4, "by_group": 0.6, "by_pair": 0.3,
        "constant": 0.4, "served": 0.0,
    },
    "votes": {
        "world": "margins", "users": 20, "pairs": 300, "per_group": 25, "voters": 4,
        "repeated": 0.0, "largest": 0.0, "activity": "equal",
    },
    "asked": {
        "world": "margins", "bias": 0.0, "same_order": 0.5, "remembered": 0.0, "told": True,
    },
    "lists": {"grades": 4},
    "inverted": {"repeated": 0.0},
    "harmed": {"world": ""},
    "worst": {"world": ""},
    "contests": {"users": 30, "habit": 0.0},
    "tax": {"users": 30, "loss": 0.0, "items": 100},
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One design.

    Attributes:
        family: Who simulates it.
        name: Family and what differs from its defaults, the key on file.
        design: Every parameter.
    """

    family: str
    name: str
    design: Mapping[str, Any]

    def rng(self, *replication: int) -> np.random.Generator:
        """A stream of its own for each replication; without one, that of the design."""
        return np.random.default_rng([zlib.crc32(self.name.encode()), *replication])


def cells() -> list[Cell]:
    """Every cell, in the order of the file."""
    found: dict[str, Cell] = {}
    for family, blocks in tomllib.loads(GRID.read_text(encoding="utf-8")).items():
        for block in blocks:
            for values in itertools.product(*block.values()):
                cell = _cell(family, dict(zip(block, values, strict=True)))
                found[cell.name] = cell
    return list(found.values())


def _cell(family: str, given: dict[str, Any]) -> Cell:
    defaults = DEFAULTS[family]
    assert set(given) <= set(defaults), sorted(set(given) - set(defaults))
    design = {**defaults, **given}
    said = [f"{key} {design[key]}" for key in defaults if key in given or key == "users"]
    return Cell(family, ", ".join([family, *said]), design)
