"""Every form that a report can be asked for: its name, how plt knows its own files, its bytes."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plt.analyze.report.figures_table import figures_table
from plt.cli.formats.page import Page, Section
from plt.cli.pages.report.document import SCHEMA, Wanted, report_blocks, report_json
from plt.cli.pages.report.page import parts_page, report_page
from plt.cli.pages.report.parts import Part
from plt.cli.pages.report.tables import gate_table
from plt.cli.shell.streams import Block, Result, command_line
from plt.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from plt.analyze.report.gates import Checked
    from plt.study.reports.report import Report

# Form -> what stands near the beginning of each such file, by which plt knows its own; None for a
# Parquet table, which says itself what it is.
MARKS: dict[str, bytes | None] = {
    "auto": b"| method ",
    "rich": "\u250f\u2501".encode(),
    "markdown": b"| method ",
    "latex": b"% plt report",
    "html": b'content="plt report"',
    "csv": b"run_id,command,",
    "parquet": None,
    "json": b'"schema": "report/1"',
    "eee": b'"source_name": "plt report"',
}
ENDINGS = {
    ".html": "html", ".htm": "html", ".md": "markdown", ".tex": "latex", ".csv": "csv",
    ".parquet": "parquet", ".json": "json", ".jsonl": "eee",
}  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Made:
    """A report with what was asked of it beside.

    Attributes:
        report: The comparison; None where there are other parts alone.
        wanted: What its texts hold beyond the figures.
        checked: Gates.
        parts: What else was found.
        sections: More parts of the page alone.
    """

    report: Report | None
    wanted: Wanted
    checked: Sequence[Checked] = ()
    parts: Sequence[Part] = ()
    sections: Sequence[Section] = ()

    @property
    def blocks(self) -> tuple[Block, ...]:
        """For a person."""
        compared = () if self.report is None else report_blocks(self.report, self.wanted)
        gates = (gate_table(self.checked),) if self.checked else ()
        return (*compared, *(block for part in self.parts for block in part.blocks), *gates)

    @property
    def data(self) -> dict[str, Any]:
        """The documented object."""
        if self.report is None:
            document: dict[str, Any] = {"schema": SCHEMA, "gates": []}
        else:
            document = report_json(self.report, self.wanted)
        document["gates"] = [each.to_json() for each in self.checked]
        return document | {part.name: part.data for part in self.parts}

    @property
    def figures(self) -> pl.DataFrame:
        """As a `metrics/1` table."""
        report = self.compared
        return figures_table(report.comparison, report.asked.split, report.asked.users)

    @property
    def compared(self) -> Report:
        """The comparison, for forms that hold nothing else.

        Raises:
            UsageError: There is none.
        """
        if self.report is None:
            raise UsageError(
                "this form holds figures of a comparison, and these runs are of other things",
                hint="plt report ... --json, or -o report.html",
            )
        return self.report

    @property
    def page(self) -> Page:
        """As a page."""
        if self.report is None:
            return parts_page(self.parts, command_line())
        more = [
            Section(part.name, part.title, part.on_page, claims=part.claims) for part in self.parts
        ]
        return report_page(self.report, self.checked, [*more, *self.sections], command_line())


def form_of(form: str, path: Path | None) -> str:
    """The form that is meant: what was typed, else what the ending of the file says."""
    if form != "auto" or path is None:
        return form
    return ENDINGS.get(path.suffix.lower(), "auto")


def to_bytes(made: Made, form: str) -> bytes:
    """A report in one form.

    Args:
        made: The report.
        form: A key of `MARKS`; ``auto`` is Markdown.
    """
    if form == "parquet":
        return _parquet(made)
    return _text(made, form).encode("utf-8", "backslashreplace")


def _parquet(made: Made) -> bytes:
    from plt.data.tables.schema import METRICS_TABLE
    from plt.data.tables.table import Meta, write_table

    meta = Meta(dataset=made.compared.dataset, command=command_line())
    return write_table(made.figures, METRICS_TABLE, None, meta)


def _text(made: Made, form: str) -> str:
    from plt.cli.formats.latex import to_latex
    from plt.cli.formats.page import to_page
    from plt.cli.pages.report.eee import to_eee
    from plt.cli.shell.render import to_json, to_markdown, to_terminal

    if form == "json":
        return to_json(Result(data=made.data))
    if form == "csv":
        return to_csv(made.figures)
    if form == "eee":
        return to_eee(made.compared, int(time.time()))
    if form == "html":
        return to_page(made.page)
    if form == "latex":
        return to_latex(made.blocks)
    return to_terminal(made.blocks) if form == "rich" else to_markdown(made.blocks)


def to_csv(table: pl.DataFrame) -> str:
    """A table as CSV; a text that a spreadsheet takes for a formula gets an apostrophe."""
    import polars as pl

    names = [name for name, dtype in table.schema.items() if dtype == pl.String]
    is_formula = [pl.col(name).str.slice(0, 1).is_in(FORMULA) for name in names]
    safe = table.with_columns(
        pl.when(bad)
        .then(pl.concat_str(pl.lit("'"), pl.col(name)))
        .otherwise(pl.col(name))
        .alias(name)
        for name, bad in zip(names, is_formula, strict=True)
    )
    stream = io.BytesIO()
    safe.write_csv(stream)
    return stream.getvalue().decode("utf-8", "backslashreplace")
