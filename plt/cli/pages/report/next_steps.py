"""What to do after a report, as commands that can be typed."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from typing import TYPE_CHECKING

from plt.analyze.intervals.claims import side
from plt.cli.pages.report.answers import leader

if TYPE_CHECKING:
    from plt.study.reports.report import Report

BASELINES = ("bradley-terry", "dpo")


def next_steps(report: Report, beside: Collection[str] = ()) -> list[str]:
    """Sentences with a command each, the most useful first.

    Args:
        report: What was found.
        beside: Names of the parts that the report holds beside what it compares.
    """
    found = report.comparison
    data = report.data_argument
    table = "DATA" if data is None else shlex.quote(data)
    steps = []
    if len(found.rows) == 1 and found.rows[0].entry.method not in BASELINES:
        steps.append(f"plt train {table} --method bradley-terry (a baseline to compare with)")
    best = leader(found)
    run = None if best is None else report.folder_of(best.entry)
    steps += _for_the_best(run, beside)
    if best is None and len(found.rows) > 1:
        steps.append(
            f"plt train {table} --method individual,pref,lore (methods that know the user)"
        )
    steps += _for_more_data(report)
    if report.runs:
        steps.append(
            f"plt verify {shlex.quote(run or str(report.runs[0].path))} (whether its files are what"
            " it wrote; with a second run, whether it was reproduced)"
        )
    return steps


def _for_the_best(run: str | None, beside: Collection[str]) -> list[str]:
    """What is not known of the run that would be used."""
    if run is None:
        return []
    named = shlex.quote(run)
    asked = {  # by the name of the part that answers it
        "tax": f"plt tax {named} (what it costs in chat, reasoning and safety)",
        "adaptation": f"plt adapt {named} (how it does for new people with few answers)",
    }
    return [text for part, text in asked.items() if part not in beside]


def _for_more_data(report: Report) -> list[str]:
    """What it would take to see the largest gain that is open."""
    open_rows = [
        (row.entry.name, row.gain.power) for row in report.comparison.rows
        if row.gain is not None and row.gain.power is not None
        and side(row.gain.own.together) == "open" and row.gain.power.gain is not None
    ]  # fmt: skip
    if not open_rows:
        return []
    name, power = max(open_rows, key=lambda each: each[1].gain or 0.0)
    ways = [
        f"{more:,} more {what}"
        for more, what in ((power.users, "users"), (power.groups, "prompts")) if more is not None
    ]  # fmt: skip
    if not ways:
        return []
    return [
        f"{' or '.join(ways)} (to see the gain of {name} that was measured here, if it is real)"
    ]
