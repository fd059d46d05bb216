"""`docs/coverage.md`, made from `tests/golden/coverage.json`: worst cells first.

``python -m tests.coverage.page`` writes it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from tests.coverage.grid import cells
from tests.coverage.map import COMMAND, on_file
from tests.coverage.tally import Claims, Coverage, Tally

PAGE = Path(__file__).resolve().parents[2] / "docs" / "coverage.md"
LOWEST, HIGHEST, POWER = 0.93, 0.06, 0.9
FALSE_NAMES = {"others named": 0.025, "users named as harmed who are not": 0.1}
"""The share of false ones among the named that the program says."""
FEW = 20
"""Intervals or claims below which a share says nothing."""
N_WORST = 20
WHY = {
    ("told False", ""): "the table does not say when and in which order pairs were asked again; the"
    " verdict says that it assumes independent answers, and how many remembered ones would do",
    ("constant 2.5", ""): "nearly always right: the few errors are of few users and prompts, and"
    " whether these were drawn decides the width",
    ("spammers", ""): "one user in five, of twenty, answers blindly: how many there are among those"
    " who were asked is a small count, whose mean is skewed",
    ("served 0.3", "pooled"): "a share pooled over judgements rests on the few who answer most, and"
    " who they are is drawn anew; the average over users is the figure to read",
}
"""What is known of what is outside the promise, by a part of the cell and of the figure."""


@dataclass(frozen=True)
class Line:
    """One figure of one cell: how far it is from what is promised, in standard errors."""

    cell: str
    figure: str
    shown: str
    excess: float
    promised: str

    @property
    def outside(self) -> bool:
        """Whether Monte-Carlo error cannot explain it."""
        return self.excess > 2


def _error(share: float, n: int) -> float:
    return float(np.sqrt(share * (1 - share) / n))


def per_cent(share: float) -> str:
    """A share with one decimal."""
    return f"{100 * share:.1f}"


def _covered(cell: str, figure: str, found: Coverage) -> Line:
    shown = f"{per_cent(found.share)} ± {per_cent(_error(LOWEST, found.n))}"
    return Line(
        cell, figure, shown, (LOWEST - found.share) / found.error, f"at least {per_cent(LOWEST)}"
    )


def _claimed(cell: str, figure: str, found: Claims) -> Line:
    if found.kind == "planted":
        error = _error(POWER, found.n)
        excess, promised = (POWER - found.share) / error, f"at least {per_cent(POWER)}"
    else:
        limit = FALSE_NAMES.get(figure, HIGHEST)
        error = _error(limit, found.n)
        excess, promised = (found.share - limit) / error, f"at most {per_cent(limit)}"
    return Line(cell, figure, f"{per_cent(found.share)} ± {per_cent(error)}", excess, promised)


def lines(counted: Mapping[str, Tally]) -> list[Line]:
    """Every figure of every cell, worst first."""
    found = [
        _covered(cell, figure, each)
        for cell, tally in counted.items()
        for figure, each in tally.coverage.items()
        if each.n >= FEW
    ]
    found += [
        _claimed(cell, figure, each)
        for cell, tally in counted.items()
        for figure, each in tally.claims.items()
        if each.n >= FEW
    ]
    return sorted(found, key=lambda line: (-line.excess, line.cell, line.figure))


def markdown(columns: list[str], rows: list[list[str]]) -> str:
    """A table, first column to the left."""
    head = [columns, ["---"] + ["---:"] * (len(columns) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [*head, *rows])


def by_figure(counted: Mapping[str, Tally]) -> str:
    """Each kind of interval over all cells: lowest and median coverage, width, refusals."""
    rows = []
    for figure, found in _grouped(counted):
        used = {cell: each for cell, each in found.items() if each.n >= FEW}
        shares = [each.share for each in used.values()]
        refused = sum(each.n < each.refused for each in found.values())
        if not used:
            rows.append([figure, "0", "-", "-", "-", str(refused)])
            continue
        lowest = min(used, key=lambda cell: used[cell].share)
        ratios = [each.ratio for each in used.values() if each.ratio is not None]
        low = f"{per_cent(used[lowest].share)} ± {per_cent(used[lowest].error)}"
        width = f"{median(ratios):.2f}" if ratios else "-"
        rows.append([figure, str(len(used)), low, per_cent(median(shares)), width, str(refused)])
    return markdown(
        ["interval", "cells", "lowest coverage", "median", "width by the oracle's", "refused in"],
        rows,
    )


def _grouped(counted: Mapping[str, Tally]) -> Iterator[tuple[str, dict[str, Coverage]]]:
    figures = dict.fromkeys(f for tally in counted.values() for f in tally.coverage)
    for figure in figures:
        yield (
            figure,
            {
                cell: tally.coverage[figure]
                for cell, tally in counted.items()
                if figure in tally.coverage
            },
        )


def by_claim(counted: Mapping[str, Tally]) -> str:
    """Each claim over all cells of its kind: how often at worst."""
    names = dict.fromkeys(
        (claim.kind, figure) for tally in counted.values() for figure, claim in tally.claims.items()
    )
    words = {"null": "false", "planted": "true", "discoveries": "false among the named"}
    rows = []
    for kind, figure in names:
        found = [
            _claimed(cell, figure, tally.claims[figure])
            for cell, tally in counted.items()
            if figure in tally.claims
            and (tally.claims[figure].kind, tally.claims[figure].n >= FEW) == (kind, True)
        ]
        if not found:
            continue
        worst = max(found, key=lambda line: line.excess)
        inside = sum(not line.outside for line in found)
        what = f"{figure} ({words[kind]})"
        rows.append([what, str(len(found)), str(inside), worst.shown, worst.promised])
    return markdown(["claim", "cells", "inside the promise", "worst", "promised"], rows)


def outside(counted: Mapping[str, Tally]) -> str:
    """What is outside the promise, with what is known of it."""
    found = [line for line in lines(counted) if line.outside]
    if not found:
        return "None."
    rows = []
    for line in found:
        known = (
            reason
            for (cell, what), reason in WHY.items()
            if cell in line.cell and what in line.figure
        )
        why = next(known, "not known: do not rest a claim on it")
        rows.append([line.cell, line.figure, line.shown, line.promised, why])
    return markdown(["cell", "figure", "measured", "promised", "why"], rows)


def worst(counted: Mapping[str, Tally]) -> str:
    """The lines nearest to the edge of the promise, and beyond it."""
    rows = [
        [line.cell, str(counted[line.cell].replications), line.figure, line.shown, line.promised]
        for line in lines(counted)[:N_WORST]
    ]
    return markdown(["cell", "replications", "figure", "measured", "promised"], rows)


def refusals(counted: Mapping[str, Tally]) -> str:
    """Cells in which the program mostly gives no interval, and of what."""
    rows = []
    for cell, tally in counted.items():
        refused = [name for name, each in tally.coverage.items() if each.refused > each.n]
        if refused:
            rows.append([cell, ", ".join(refused)])
    return markdown(["cell", "no interval of"], rows)


def every_cell(counted: Mapping[str, Tally]) -> str:
    """One line a cell: its replications, its lowest coverage and its worst claim."""
    rows = []
    for cell, tally in counted.items():
        used = {figure: each for figure, each in tally.coverage.items() if each.n >= FEW}
        low, claim = "-", "-"
        if used:
            figure = min(used, key=lambda name: used[name].share)
            low = f"{per_cent(used[figure].share)} ({figure})"
        if tally.claims:
            each = [_claimed(cell, figure, found) for figure, found in tally.claims.items()]
            line = max(each, key=lambda line: line.excess)
            claim = f"{line.shown} ({line.figure}, {line.promised})"
        rows.append([cell, str(tally.replications), low, claim])
    return markdown(["cell", "replications", "lowest coverage", "worst claim"], rows)


def _times(counted: Mapping[str, Tally]) -> str:
    sizes = [tally.replications for tally in counted.values()]
    return f"{min(sizes)} to {max(sizes)}" if min(sizes) < max(sizes) else str(min(sizes))


def summary(counted: Mapping[str, Tally]) -> str:
    """What README says of the map."""
    shares = [
        each.share
        for tally in counted.values()
        for each in tally.coverage.values()
        if each.n >= FEW
    ]
    beyond = [line for line in lines(counted) if line.outside]
    covered = sum(line.figure in counted[line.cell].coverage for line in beyond)
    claims = {kind: 0 for kind in ("null", "planted", "discoveries")}
    for tally in counted.values():
        for claim in tally.claims.values():
            claims[claim.kind] += claim.n >= FEW
    missed = dict.fromkeys(claims, 0)
    for line in beyond:
        if line.figure in counted[line.cell].claims:
            missed[counted[line.cell].claims[line.figure].kind] += 1
    times = _times(counted)
    return (
        f"In {len(counted)} designs, each simulated {times} times, there are {len(shares):,}"
        f" intervals. Within two Monte-Carlo errors {len(shares) - covered:,} cover at least"
        f" {LOWEST:.0%} (half of all {median(shares):.1%} or more) and {covered} do not; of"
        f" {claims['null']} true nulls {claims['null'] - missed['null']} are rejected in at most"
        f" {HIGHEST:.0%}, and of {claims['planted']} planted structures"
        f" {claims['planted'] - missed['planted']} are found in at least {POWER:.0%}."
        " [docs/coverage.md](docs/coverage.md) names what is outside."
    )


def page(counted: Mapping[str, Tally]) -> str:
    """The whole page."""
    n_cells = len(cells())
    times = _times(counted)
    return f"""# How the intervals cover

Made from `tests/golden/coverage.json` by `python -m tests.coverage.page`; the counts come from
`{COMMAND}`. Do not edit.

Every interval of `plt` says 95 %. Here each is computed over and over in worlds whose truth is
known, and counted: how often does it hold the truth *of its own target*? The grid of worlds
(`tests/coverage/grid.toml`) was written before its first run; cells may be added, never removed.
The promise: every kind of interval covers at least {per_cent(LOWEST)} %, every null is rejected in
at most {per_cent(HIGHEST)} %, what is planted is found in at least {per_cent(POWER)} % where that
is promised, each but for Monte-Carlo error (one standard error stands beside each figure, and a
cell is outside when it misses by more than two). Where an interval would not hold, the program
gives none, or one about a narrower target; what is left is named below.

{len(counted)} of {n_cells} cells are counted, with {times} replications each
(the design asks for 400 everywhere and 2,000 in the {N_WORST} worst). All figures are in per cent.

## Each kind of interval

*Width by the oracle's*: mean width over 3.92 times the standard deviation of the error, the median
over cells; above 1 an interval is wider than it need be. *Refused in*: cells in which most tables
get no interval. *These users*: the interval about these users that stands beside one about the
population.

{by_figure(counted)}

## Each claim

{by_claim(counted)}

## Cells outside the promise

{outside(counted)}

## The worst cells

{worst(counted)}

## What the program refuses

{refusals(counted)}

## Every cell

A name says what differs from the defaults of its family; `tests/coverage/grid.py` has those.

{every_cell(counted)}
"""


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(on_file()), encoding="utf-8")
