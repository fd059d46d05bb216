"""The coverage map: how often intervals, tests and verdicts hold, in every cell of the grid.

``python -m tests.coverage.map --replications 400`` brings every cell to at least as many, and
``--worst 20 --replications 2000`` the cells that stand worst on file. ``--cells TEXT...`` takes
those whose name has one of the texts, ``--seconds S`` stops after so much time. After each cell
`tests/golden/coverage.json` is written, so that what was counted is kept, and the same line typed
again goes on. Replication i of a cell is the same draw whenever it is made.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.coverage import judgements, people, taxes, votes
from tests.coverage.grid import Cell, cells
from tests.coverage.tally import Outcome, Tally

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "coverage.json"
COMMAND = "python -m tests.coverage.map --replications 400"
FAMILIES: Mapping[str, Callable[[Cell], Callable[[int], Iterator[Outcome]]]] = {
    "judgements": judgements.replicator,
    "votes": votes.replicator,
    "asked": votes.of_asked,
    "lists": votes.of_lists,
    "inverted": votes.of_inverted,
    "harmed": people.of_harmed,
    "worst": people.of_worst,
    "contests": people.of_contests,
    "tax": taxes.of_tax,
}


def run(cell: Cell, tally: Tally, replications: int) -> Tally:
    """Adds replications until there are so many."""
    replicate = FAMILIES[cell.family](cell)
    for number in range(tally.replications, replications):
        tally.add(replicate(number))
    return tally


def on_file(path: Path = GOLDEN) -> dict[str, Tally]:
    """What was counted so far, by the name of the cell."""
    if not path.exists():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return {name: Tally.from_json(each) for name, each in found.items()}


def write(counted: Mapping[str, Tally], path: Path = GOLDEN) -> None:
    """The file, cells in the order of the grid, one kind of figure a line."""
    order = {cell.name: place for place, cell in enumerate(cells())}
    lines = []
    for name in sorted(counted, key=lambda name: order.get(name, len(order))):
        parts = counted[name].to_json()
        body = [f' "replications": {parts["replications"]}']
        for kind in ("coverage", "claims"):
            each = [f"  {json.dumps(key)}: {json.dumps(line)}" for key, line in parts[kind].items()]
            body.append(f' "{kind}": {{' + ",".join("\n" + line for line in each) + "}")
        lines.append(f"{json.dumps(name)}: {{\n" + ",\n".join(body) + "}")
    text = f'{{"command": {json.dumps(COMMAND)},\n"cells": {{\n' + ",\n".join(lines) + "}}\n"
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def worst_cells(counted: Mapping[str, Tally], n: int) -> list[str]:
    """Names of the cells whose lowest coverage, or most frequent false claim, is the worst."""

    def excess(tally: Tally) -> float:
        low = [0.95 - each.share for each in tally.coverage.values() if each.n >= 20]
        false = [each.share - 0.05 for each in tally.claims.values() if each.kind == "null"]
        return max([*low, *false], default=-1.0)

    return sorted(counted, key=lambda name: -excess(counted[name]))[:n]


def main(arguments: Sequence[str] | None = None) -> None:
    """Counts, and writes after each cell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", nargs="*", default=[""], metavar="TEXT")
    parser.add_argument("--replications", type=int, default=400)
    parser.add_argument("--worst", type=int, help="only so many of the worst cells on file")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--out", type=Path, default=GOLDEN)
    options = parser.parse_args(arguments)
    counted = on_file(options.out)
    chosen = [cell for cell in cells() if any(text in cell.name for text in options.cells)]
    if options.worst is not None:
        names = set(worst_cells(counted, options.worst))
        chosen = [cell for cell in chosen if cell.name in names]
    end = time.monotonic() + options.seconds
    for cell in chosen:
        tally = counted.get(cell.name, Tally())
        if tally.replications >= options.replications:
            continue
        if time.monotonic() > end:
            break
        start = time.process_time()
        counted[cell.name] = run(cell, tally, options.replications)
        write(counted, options.out)
        print(f"{time.process_time() - start:6.1f} s  {cell.name}", flush=True)


if __name__ == "__main__":
    main()
