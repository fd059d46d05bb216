"""Every form that a report can be asked for: its name, how plt knows its own files, its bytes."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plt.analyze.report.figures_table import figures_table
from plt.cli.pages.report.document import Wanted, report_blocks, report_json
from plt.cli.shell.streams import Block, Result, command_line

if TYPE_CHECKING:
    import polars as pl

    from plt.analyze.report.gates import Checked
    from plt.cli.formats.page import Section
    from plt.study.report import Report

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
        report: The figures.
        wanted: What its texts hold beyond them.
        checked: Gates.
        sections: More parts of the page.
    """

    report: Report
    wanted: Wanted
    checked: Sequence[Checked] = ()
    sections: Sequence[Section] = ()

    @property
    def blocks(self) -> tuple[Block, ...]:
        """For a person."""
        return report_blocks(self.report, self.wanted, self.checked)

    @property
    def data(self) -> dict[str, Any]:
        """The documented object."""
        return report_json(self.report, self.wanted, self.checked)

    @property
    def figures(self) -> pl.DataFrame:
        """As a `metrics/1` table."""
        asked = self.report.asked
        return figures_table(self.report.comparison, asked.split, asked.users)


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

    meta = Meta(dataset=made.report.dataset, command=command_line())
    return write_table(made.figures, METRICS_TABLE, None, meta)


def _text(made: Made, form: str) -> str:
    from plt.cli.formats.latex import to_latex
    from plt.cli.formats.page import to_page
    from plt.cli.pages.report.eee import to_eee
    from plt.cli.pages.report.page import report_page
    from plt.cli.shell.render import to_json, to_markdown, to_terminal

    if form == "json":
        return to_json(Result(data=made.data))
    if form == "csv":
        return to_csv(made.figures)
    if form == "eee":
        return to_eee(made.report, int(time.time()))
    if form == "html":
        return to_page(report_page(made.report, made.checked, made.sections, command_line()))
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
