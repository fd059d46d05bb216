"""Sections as one self-contained HTML page: no network, a strict policy, everything escaped.

The only script sorts tables and stands in the page with its hash in the content-security policy;
so does the style sheet. Names of users are texts between tags, never ids, links or attributes:
anchors are numbered.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from plt.cli.formats.svg import to_svg
from plt.cli.shell.pictures import Picture
from plt.cli.shell.streams import Block, Heading, Line, Table, printable

if TYPE_CHECKING:
    from jinja2 import Template

MARK = b'<meta name="generator" content="plt report">'
"""Stands near the beginning of each page, by which plt knows its own."""


@dataclass(frozen=True)
class Fold:
    """A table that is shown when its summary is opened.

    Attributes:
        summary: What stands there while it is closed; may be hostile.
        table: What is inside.
    """

    summary: str
    table: Table


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        name: Its anchor: lower-case letters and hyphens, never from data.
        title: Its heading.
        blocks: What is in it.
        folds: Tables that open, numbered from 1: ``#name-1`` and so on.
        linked: Whether each row of its tables leads to the fold whose number it begins with.
        closed: Whether the section itself is closed at first.
        claims: What may be said of it, in sentences, for the top of the page.
    """

    name: str
    title: str
    blocks: tuple[Block, ...]
    folds: tuple[Fold, ...] = ()
    linked: bool = False
    closed: bool = False
    claims: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        title: What it is called.
        lead: One sentence below the title.
        answers: Question and sentences, before everything else.
        sections: The rest, in order.
        foot: Where it comes from.
    """

    title: str
    lead: str
    answers: tuple[tuple[str, tuple[str, ...]], ...]
    sections: tuple[Section, ...]
    foot: tuple[str, ...]


def to_page(page: Page) -> str:
    """The page as HTML.

    Args:
        page: Any texts; none is obeyed.

    Returns:
        One document that needs nothing else.
    """
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )
    return _template().render(
        page=page, policy=policy, style=style, script=script, mark=MARK.decode()
    )


def _sides(table: Table) -> list[bool]:
    """Whether the cells of each column are numbers."""
    return [column in table.numeric for column in table.columns]


@functools.cache
def _asset(name: str) -> str:
    return files("plt.cli.formats").joinpath(name).read_text(encoding="utf-8").strip()


def _hash(text: str) -> str:
    """How a content-security policy names what may run."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


@functools.cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["shown"] = printable
    environment.filters["sides"] = _sides
    environment.filters["beside"] = lambda cells, sides: zip(
        map(printable, cells), sides, strict=True
    )
    environment.filters["drawn"] = to_svg  # which escapes itself
    environment.tests["picture"] = lambda block: isinstance(block, Picture)
    environment.tests["table"] = lambda block: isinstance(block, Table)
    environment.tests["heading"] = lambda block: isinstance(block, Heading)
    environment.tests["line"] = lambda block: isinstance(block, Line)
    return environment.from_string(_asset("page.html"))
