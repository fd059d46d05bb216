"""What the data of a report is like, as a part of its page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plt.cli.formats.page import Section
from plt.cli.pages.dataset_statistics import statistics_blocks
from plt.cli.shell.streams import Line

if TYPE_CHECKING:
    from plt.study.reports.report import Report


def data_section(report: Report) -> Section | None:
    """Whether these people disagree at all, by the table behind the runs; None without runs."""
    from plt.study.reports.data_of_runs import data_statistics

    if not report.runs:
        return None
    found = data_statistics(report.runs[0])
    if isinstance(found, str):
        return Section("data", "The data", (Line(f"Not described: {found}."),))
    *blocks, verdict = statistics_blocks(found)
    title = "Do these people disagree?"
    return Section("data", title, (verdict, *blocks), claims=(found.verdict_sentence,))
