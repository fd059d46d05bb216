"""`plt explain`: what a figure is, in words."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from plt.cli.shell.options import Json
from plt.cli.shell.streams import Line, Result, Table


def command(
    figure: Annotated[
        str | None,
        typer.Argument(metavar="[FIGURE]", help="Its name, or the heading of its column."),
    ] = None,
    as_json: Json = False,
) -> Result:
    """Say in words what a figure of a report or of dataset-stats is, and how to read it.

    Without FIGURE all of them are listed.

    Example: plt explain gain

    Example: plt explain "own minus wrong user"
    """
    from plt.analyze.report.glossary import explain, glossary

    if figure is None:
        cards = glossary()
        rows = tuple((card.name, card.column, card.what) for card in cards.values())
        return Result(
            data={"schema": "figures/1", "figures": [asdict(card) for card in cards.values()]},
            blocks=(Table(("figure", "column", "what it is"), rows),),
        )
    card = explain(figure)
    known = {True: "Higher is better.", False: "Lower is better.", None: ""}
    parts = [card.what, card.read, known[card.higher_is_better]]
    parts.append("" if card.paper == "-" else f"Source: {card.paper}.")
    said = [f"{card.name} ({card.column})" if card.column != card.name else card.name, *parts]
    return Result(
        data={"schema": "figure/1"} | asdict(card),
        blocks=tuple(Line(part) for part in said if part),
    )
