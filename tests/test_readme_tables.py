"""The README's tables of experiments are what stands in `tests/golden`.

A table stands between two comments that name it. With ``PLT_UPDATE_README=1`` it is rewritten.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from tests.coverage.map import on_file
from tests.coverage.page import summary
from tests.train.methods.reward_models import METHODS, POPULATIONS, rows_of, train

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
GOLDEN = ROOT / "tests" / "golden"
UPDATE = bool(os.environ.get("PLT_UPDATE_README"))
PAPER = {
    "vanilla": (58.9, 55.4, 74.8, 25.1),
    "individual": (91.0, 55.3, 89.3, 94.4),
    "cluster K5": (91.1, 54.6, 89.2, 94.8),
    "cluster K2": (72.8, 55.0, 82.3, 51.2),
    "individual, T_u 1": (88.8, 54.9, 85.9, 94.2),
    "individual, alpha 1": (93.5, 54.9, 92.4, 95.2),
    "individual, no e_0": (88.9, 54.8, 87.1, 92.0),
}
"""Li et al. 2024, table 4 (top 10 workers of TL;DR, GPT-J 6B): top, generic, majority, minority."""
ACCURACIES = ("top", "generic", "majority", "minority")


def golden(name: str) -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = json.loads((GOLDEN / f"{name}.json").read_text())["table"]
    return table


def interval(found: list[float | None], sign: str = "+") -> str:
    value, low, high = found
    ends = ["-" if end is None else f"{end:{sign}.1f}" for end in (low, high)]
    return f"{value:{sign}.1f} [{', '.join(ends)}]"


def markdown(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def reward_models() -> str:
    """Accuracy and gain over vanilla, by population."""
    found = {(row["population"], row["method"]): row for row in golden("reward_models")}
    rows = []
    for method in METHODS:
        cells = [f"`{method}`"]
        for population in POPULATIONS:
            row = found[population, method]
            gain = f", {interval(row['own'])}" if "own" in row else ""
            cells.append(f"{row['accuracy']:.1f}{gain}")
        rows.append(cells)
    return markdown(["accuracy in %, gain", *POPULATIONS], rows)


def length_policies() -> str:
    """Means over seeds, with the smallest and largest, and the paper's figures."""
    table = golden("length_policies")
    rows = []
    for name in dict.fromkeys(row["row"] for row in table):
        seeds = [row for row in table if row["row"] == name]
        cells = [name]
        for key in ACCURACIES:
            values = [row[key] for row in seeds]
            cells.append(f"{mean(values):.1f} ({min(values):.1f} to {max(values):.1f})")
        paper = PAPER.get(name)
        cells.append("-" if paper is None else " / ".join(f"{value:.1f}" for value in paper))
        rows.append(cells)
    return markdown(["accuracy in %", *ACCURACIES, "the paper's four"], rows)


def coverage() -> str:
    """What the coverage map says, in one paragraph."""
    return summary(on_file())


@pytest.mark.parametrize(
    "make", [reward_models, length_policies, coverage], ids=lambda make: make.__name__
)
def test_a_table_is_what_the_golden_file_says(make: Callable[[], str]) -> None:
    text = README.read_text(encoding="utf-8")
    begin, end = (f"<!-- {word} {make.__name__} -->" for word in ("table", "end of"))
    pattern = re.compile(re.escape(begin) + r"\n\n(.*?)\n\n" + re.escape(end), re.DOTALL)
    assert pattern.search(text) is not None, begin
    wanted = pattern.sub(lambda _: f"{begin}\n\n{make()}\n\n{end}", text)
    if UPDATE:
        README.write_text(wanted, encoding="utf-8")
    assert text == wanted or UPDATE


def test_personal_reward_models_beat_vanilla_where_tastes_differ_and_wrong_users_do_not() -> None:
    """A gain is one whose interval is above 0; a sham has none."""
    for row in golden("reward_models"):
        if row["method"] in ("bradley-terry", "dpl", "vpl", "oracle"):
            continue
        where = f"{row['method']} on {row['population']}"
        if row["population"] != "dirichlet" or row["method"] != "gpo":
            assert row["own"][1] > 0, where
        for sham in ("wrong_user", "shuffled_ids"):
            if sham in row and row[sham][1] is not None:
                assert row[sham][1] <= 0, f"{where}: {sham}"


@pytest.mark.study
@pytest.mark.parametrize("population", POPULATIONS)
def test_the_reward_models_on_file_are_what_the_command_gives(
    population: str, tmp_path: Path
) -> None:
    on_file = {
        row["method"]: row for row in golden("reward_models") if row["population"] == population
    }
    for row in rows_of(population, train(population, tmp_path)):
        assert row["accuracy"] == pytest.approx(on_file[row["method"]]["accuracy"], abs=2.0)
