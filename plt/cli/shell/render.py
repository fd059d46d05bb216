"""A Result as text: rich on a terminal, Markdown when piped, HTML in notebooks, JSON on request."""

import html
import json
import re
from collections.abc import Sequence
from io import StringIO
from typing import Any

from plt.cli.shell.pictures import Picture
from plt.cli.shell.streams import Block, Heading, Line, Result, Table, printable

# What a Markdown reader could take for markup, and nothing more, so that plain figures and their
# intervals stay readable: an underscore inside a word, "[0.1, 0.2]" and "<0.001" are harmless.
MARKDOWN_SPECIAL = re.compile(r"[\\|`*]|(?<!\w)_|_(?!\w)|<(?=[A-Za-z/!?])|(?<=\])[(\[:]")


def to_json(result: Result) -> str:
    """The documented object of a command, one line a key; non-finite numbers are refused."""
    return json.dumps(result.data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_markdown(blocks: tuple[Block, ...]) -> str:
    """Blocks as Markdown, for pipes and files; pictures are left out, their tables stand there."""
    parts = []
    for block in without_pictures(blocks):
        if isinstance(block, Heading):
            parts.append(f"## {escape_markdown(block.text)}\n")
        elif isinstance(block, Table):
            parts.append(_markdown_table(block))
        else:
            parts.append(f"{escape_markdown(block.text)}\n")
    return "\n".join(parts)


def without_pictures(blocks: Sequence[Block]) -> list[Heading | Line | Table]:
    """Blocks that a form without drawings can show."""
    return [block for block in blocks if not isinstance(block, Picture)]


def escape_markdown(text: str) -> str:
    """`text` so that no Markdown reader takes it for markup, on one line."""
    return MARKDOWN_SPECIAL.sub(r"\\\g<0>", printable(text).replace("\n", " ").replace("\t", " "))


def _markdown_table(table: Table) -> str:
    cells = [[escape_markdown(cell) for cell in row] for row in table.rows]
    heads = [escape_markdown(column) for column in table.columns]
    widths = [max(3, *(len(row[i]) for row in [heads, *cells])) for i in range(len(heads))]
    right = [column in table.numeric for column in table.columns]

    def line(row: list[str]) -> str:
        padded = [
            c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)
        ]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * (w - 1) + ":" if r else "-" * w for w, r in zip(widths, right, strict=True)]
    lines = [line(heads), "| " + " | ".join(rule) + " |", *(line(row) for row in cells)]
    title = [f"**{escape_markdown(table.title)}**", ""] if table.title else []
    return "\n".join([*title, *lines]) + "\n"


def to_html(blocks: tuple[Block, ...]) -> str:
    """Blocks as HTML for a notebook. Markup in texts and cells is shown, never obeyed."""
    parts = []
    for block in without_pictures(blocks):
        if isinstance(block, Heading):
            parts.append(f"<h4>{_escaped(block.text)}</h4>")
        elif isinstance(block, Table):
            parts.append(_html_table(block))
        else:
            parts.append(f"<p>{_escaped(block.text)}</p>")
    return "\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    return html.escape(printable(text))


def _html_table(table: Table) -> str:
    sides = ["right" if column in table.numeric else "left" for column in table.columns]

    def row(cells: tuple[str, ...], tag: str) -> str:
        inside = "".join(
            f'<{tag} style="text-align: {side}">{_escaped(cell)}</{tag}>'
            for cell, side in zip(cells, sides, strict=True)
        )
        return f"<tr>{inside}</tr>"

    title = f"<caption>{_escaped(table.title)}</caption>" if table.title else ""
    body = "".join(row(cells, "td") for cells in table.rows)
    head = row(table.columns, "th")
    return f"<table>{title}<thead>{head}</thead><tbody>{body}</tbody></table>"


def to_terminal(blocks: tuple[Block, ...], *, width: int | None = None) -> str:
    """Blocks as rich draws them. Markup in cells is shown, never obeyed."""
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    # `Text` objects carry no markup, so a cell like "[red]" is shown as it is.
    console = Console(file=StringIO(), force_terminal=True, width=width, highlight=False)
    for block in without_pictures(blocks):
        if isinstance(block, Heading):
            console.print(Text(printable(block.text), style="bold"))
        elif isinstance(block, Table):
            drawn = RichTable(title=Text(printable(block.title)) if block.title else None)
            for column in block.columns:
                side: Any = "right" if column in block.numeric else "left"
                drawn.add_column(Text(printable(column)), justify=side)
            for row in block.rows:
                drawn.add_row(*(Text(printable(cell)) for cell in row))
            console.print(drawn)
        else:
            console.print(Text(printable(block.text)))
    drawn_text = console.file
    assert isinstance(drawn_text, StringIO)
    return drawn_text.getvalue()
