"""Hostile cells are shown, never obeyed."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plt.cli.shell.render import to_json, to_markdown, to_terminal
from plt.cli.shell.streams import Heading, Line, Result, Table, printable

HOSTILE = "\x1b[31mred\x1b[0m [bold]x[/bold] | a\nb <script> `c` *d* _e_"


def test_a_table_in_markdown() -> None:
    table = Table(("name", "n"), (("a", "1"), ("bb", "22")), "people", frozenset({"n"}))
    assert to_markdown((Heading("Title"), table, Line("Done."))) == (
        "## Title\n\n"
        "**people**\n\n"
        "| name |   n |\n| ---- | --: |\n| a    |   1 |\n| bb   |  22 |\n\n"
        "Done.\n"
    )


def test_hostile_cells_stay_one_cell() -> None:
    text = to_markdown((Table(("x", "y"), ((HOSTILE, "1"),)),))
    row = text.splitlines()[2]
    assert "\x1b" not in text
    assert len(re.findall(r"(?<!\\)\|", row)) == 3
    assert "\\<script>" in row
    assert "\\_e\\_" in row


def test_links_and_images_are_no_markup_and_figures_stay_readable() -> None:
    cell = "[click](http://x) ![i](y) [a][b] worst_user 0.4 [0.1, 0.7] <0.001"
    row = to_markdown((Table(("x",), ((cell,),)),)).splitlines()[2]
    assert "](" not in row
    assert "][" not in row
    assert "worst_user 0.4 [0.1, 0.7] <0.001" in row


def test_hostile_cells_on_a_terminal() -> None:
    text = to_terminal(
        (Table(("x",), ((HOSTILE,),)), Line(HOSTILE), Heading("[red]h[/red]")), width=120
    )
    assert "\x1b[31m" not in text
    assert "[bold]x[/bold]" in text
    assert "[red]h[/red]" in text


@given(st.text())
def test_nothing_unprintable_is_printed(text: str) -> None:
    shown = printable(text)
    assert all(char in "\n\t" or char.isprintable() for char in shown)
    if text.isprintable():
        assert shown == text


def test_json_refuses_what_json_cannot_say() -> None:
    assert json.loads(to_json(Result(data={"a": None, "b": "é"}))) == {"a": None, "b": "é"}
    with pytest.raises(ValueError, match="JSON"):
        to_json(Result(data={"a": float("nan")}))
