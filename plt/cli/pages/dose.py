"""The frontier of accuracy and tax as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from plt.analyze.intervals.figures import MISSING
from plt.cli.shell.streams import Block, Line, Table

if TYPE_CHECKING:
    from plt.study.costs.dose import DosedRun

SHOWN = 11
"""Rows of the table at most; the chosen share is always one."""


def dose_blocks(found: DosedRun) -> tuple[Block, ...]:
    """The frontier, the chosen share on both halves, and what it comes to, for a person."""
    points = found.document["points"]
    chosen = found.document["share"]
    every = max(1, -(-(len(points) - 1) // (SHOWN - 1)))
    shown = [p for i, p in enumerate(points) if i % every == 0 or p["share"] == chosen]
    columns = ("share", "accuracy", "tax at most, choosing half", "largest tax, other half",
               "within")  # fmt: skip
    rows = tuple(
        (
            f"{point['share']:g}" + (" (chosen)" if point["share"] == chosen else ""),
            _figure(point["accuracy"]),
            _points(point["upper_tax"]),
            _largest(point["other_half"]),
            "yes" if point["within"] else "no",
        )
        for point in shown
    )
    bench = found.document["bench"]
    title = f"shares of what sets users of {found.method} apart, on {bench['file']}; points"
    blocks: list[Block] = [Table(columns, rows, title, frozenset(columns[1:4]))]
    blocks.append(_both_halves(found.document))
    blocks += [Line(sentence) for sentence in _notes(found)]
    return (*blocks, Line(verdict(found)))


def _both_halves(document: Mapping[str, Any]) -> Table:
    point = _chosen(document)
    columns = ("section", "change, choosing half", "change, other half")
    names = dict.fromkeys([*point["chosen_half"], *point["other_half"]])
    rows = tuple(
        (name, _change(point["chosen_half"].get(name)), _change(point["other_half"].get(name)))
        for name in names
    )
    title = f"the share {point['share']:g} by section, points; intervals hold for a column together"
    return Table(columns, rows, title, frozenset(columns[1:]))


def _chosen(document: Mapping[str, Any]) -> Mapping[str, Any]:
    share = document["share"]
    found: Mapping[str, Any] = next(p for p in document["points"] if p["share"] == share)
    return found


def _notes(found: DosedRun) -> list[str]:
    document = found.document
    said = [f"A share of 0 is {document['base']}; 1 is the run itself."]
    if document["n_users"] < document["n_users_known"]:
        said.append(f"Scored as {document['n_users']} of {document['n_users_known']} users.")
    said.append(
        "The share was chosen on one half of each subset, by a hash of the prompt; what it costs is"
        " told by the other half, which chose nothing."
    )
    if document["points"][0]["accuracy"] is None:
        said.append("Accuracies are missing: the table that the run was trained on is not at hand.")
    missing = document["bench"]["missing"]
    if missing:
        said.append(
            f"{len(missing)} of {document['bench']['n_subsets']} subsets are missing, and nothing"
            f" is said of them: {', '.join(missing)}."
        )
    return said


def verdict(found: DosedRun) -> str:
    """What may be claimed, in words."""
    document = found.document
    budget, point = 100 * document["max_tax"], _chosen(document)
    if point["share"] == 0:
        return (
            f"No share above 0 keeps every section's loss surely within {budget:g} points on this"
            " benchmark: more items would narrow the intervals, or the tax is real."
        )
    worst = _worst(point["other_half"])
    told = "no section has an interval on the other half" if worst is None else (
        f"on the other half the largest loss is at most {100 * worst:.1f} points"
    )  # fmt: skip
    kept = ""
    if point["accuracy"] is not None:
        values = [p["accuracy"]["value"] for p in (document["points"][0], point,
                                                  document["points"][-1])]  # fmt: skip
        if None not in values:
            kept = (
                f" Accuracy for the people is {values[1]:.3f}; at a share of 0 it is"
                f" {values[0]:.3f}, at 1 {values[2]:.3f}."
            )
    within = worst is not None and 100 * worst <= budget
    holds = "" if within else " The other half does not confirm the budget."
    return (
        f"A share of {point['share']:g} keeps every section's loss within {budget:g} points on the"
        f" half that chose; {told}.{holds}{kept}"
    )


def _worst(half: Mapping[str, Any]) -> float | None:
    """The upper bound of the largest loss of a half; None where a section has no interval."""
    bounds = []
    for change in half.values():
        if change["same_answers"]:
            bounds.append(0.0)
        elif change["adjusted_ci"] is None:
            return None
        else:
            bounds.append(-change["adjusted_ci"][0])
    return max(bounds, default=None)


def _largest(half: Mapping[str, Any]) -> str:
    losses = [-change["value"] for change in half.values() if change["value"] is not None]
    if not losses:
        return MISSING
    return f"{_points(max(losses))} [at most {_points(_worst(half))}]"


def _points(value: float | None) -> str:
    return MISSING if value is None else f"{100 * value + 0.0:+.1f}"


def _figure(found: Mapping[str, Any] | None) -> str:
    if found is None or found["value"] is None:
        return MISSING
    if found["ci"] is None:
        return f"{found['value']:.3f}"
    return f"{found['value']:.3f} [{found['ci'][0]:.3f}, {found['ci'][1]:.3f}]"


def _change(found: Mapping[str, Any] | None) -> str:
    if found is None or found["value"] is None:
        return MISSING
    if found["same_answers"]:
        return "same answers"
    ends = found["adjusted_ci"]
    shown = "-, -" if ends is None else f"{100 * ends[0]:+.1f}, {100 * ends[1]:+.1f}"
    return f"{100 * found['value']:+.1f} [{shown}]"
