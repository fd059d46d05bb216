"""Which of three forms a raw preference file has, and which column is which field."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plt.data.reading.field_map import (
    ALIASES,
    RESPONSE_PAIRS,
    SIDE_ALIASES,
    exists,
    missing,
    split_sources,
)
from plt.data.reading.raw_files import RawTable
from plt.data.remarks import Say
from plt.errors import DataError

ROW_FIELDS = ("user_id", "group", "split", "user_split", "subset", "profile")
REQUIRED = {
    "chosen": ("chosen", "rejected"),
    "pair": ("prompt", "response_1", "response_2"),
    "rating": ("prompt", "response", "score"),
}
# A label of rows may be the same column as a text: a prompt is often its own group.
SHARING = ("group", "subset", "profile")
HINT = "--map prompt=COLUMN --map response_1=COLUMN --map response_2=COLUMN --map label=COLUMN"


@dataclass(frozen=True)
class FilePlan:
    """What a raw file is: its form (`chosen`, `pair` or `rating`), and the source of each field."""

    form: str
    sources: Mapping[str, str]


def plan_of(table: RawTable, mapped: Mapping[str, str], say: Say) -> FilePlan:
    """Decides the form of a file and where each field stands, by `--map` and else by names.

    Args:
        table: The raw file.
        mapped: Field to source, as typed.
        say: Takes a sentence about what was recognised without being asked for.

    Returns:
        The form and the sources; every source exists.

    Raises:
        DataError: Columns are missing; all are named with the nearest names found.
    """
    absent = [
        f"{name}: {missing(table, part)}"
        for name, source in mapped.items()
        for part in split_sources(table, source)
        if not exists(table, part)
    ]
    if absent:
        raise DataError(f"{table.name} lacks mapped columns", problems=absent)
    form = _form(table, mapped)
    found = {**_defaults(table, form, mapped), **mapped}
    problems = [
        f"{name}: {_lacking(table, name, mapped)}" for name in REQUIRED[form] if name not in found
    ]
    if problems:
        raise DataError(
            f"{table.name} lacks what the {form} form needs", problems=problems, hint=HINT
        )
    guessed = [f"{name}={source}" for name, source in found.items() if name not in mapped]
    if guessed:
        say(f"read as the {form} form with {', '.join(guessed)}")
    if form == "pair" and "label" not in found:
        say("no label column: pairs without judgements")
    return FilePlan(form, found)


def _lacking(table: RawTable, name: str, mapped: Mapping[str, str]) -> str:
    takers = [field for field, source in mapped.items() if name in split_sources(table, source)]
    if name in table.columns and takers:
        return f"column {name!r} is mapped to {takers[0]}; --map {name}={name} makes it serve both"
    return missing(table, name)


def _form(table: RawTable, mapped: Mapping[str, str]) -> str:
    for form, marks in (
        ("chosen", ("chosen", "rejected")),
        ("pair", ("response_1", "response_2", "label")),
        ("rating", ("response", "score")),
    ):
        if any(mark in mapped for mark in marks):
            return form
    if {"chosen", "rejected"} <= set(table.columns):
        return "chosen"
    if _first(table, "label") and _response_pair(table):
        return "pair"
    if _rating_defaults(table, {}):
        return "rating"
    return "pair"


def _defaults(table: RawTable, form: str, mapped: Mapping[str, str]) -> dict[str, str]:
    """The sources that well-known names give to the fields that are not mapped."""
    names = list(ROW_FIELDS)
    found: dict[str, str] = {}
    sides: tuple[str, str] | None = None
    if form == "chosen":
        names += ["prompt", "chosen", "rejected"]
        sides = ("chosen", "rejected")
    elif form == "pair":
        names += ["prompt", "label"]
        if "response_1" not in mapped and "response_2" not in mapped:
            sides = _response_pair(table)
            found |= dict(zip(("response_1", "response_2"), sides or (), strict=False))
        elif {"response_1", "response_2"} <= set(mapped):
            sides = (mapped["response_1"], mapped["response_2"])
    else:
        names += ["prompt"]
        found |= _rating_defaults(table, mapped)
    for name in names:
        if (column := _first(table, name)) is not None:
            found[name] = column
    if found.get("prompt") == "instruction" and "input" in table.columns:
        found["prompt"] = "instruction,input"
    if sides is not None:
        found |= _side_defaults(table, sides)
    parts = {field: set(split_sources(table, source)) for field, source in mapped.items()}
    used = set().union(*parts.values())
    taken = set().union(*(part for field, part in parts.items() if field not in SHARING))
    needed = ("prompt", *REQUIRED[form])
    return {
        name: source
        for name, source in found.items()
        if (taken if name in needed else used).isdisjoint(split_sources(table, source))
    }


def _first(table: RawTable, name: str) -> str | None:
    return next((alias for alias in ALIASES[name] if alias in table.columns), None)


def _response_pair(table: RawTable) -> tuple[str, str] | None:
    for pair in RESPONSE_PAIRS:
        if set(pair) <= set(table.columns):
            return pair
    lists = table.columns.get("responses", [])
    if lists and all(isinstance(cell, list) and len(cell) == 2 for cell in lists):
        return "responses.0", "responses.1"
    return None


def _side_defaults(table: RawTable, sides: tuple[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, patterns in SIDE_ALIASES.items():
        for pattern in patterns:
            marks = [side.rsplit("_", 1)[-1] if "_" in side else side for side in sides]
            pair = [pattern.format(mark) for mark in marks]
            if pair[0] != pair[1] and all(column in table.columns for column in pair):
                found |= {f"{name}_1": pair[0], f"{name}_2": pair[1]}
                break
    return found


def _rating_defaults(table: RawTable, mapped: Mapping[str, str]) -> dict[str, str]:
    """Response, score and source in wide, list or long form; empty when there is none."""
    first = next(iter(table.columns.get("responses", [])), None)
    if isinstance(first, list) and first and isinstance(first[0], dict):
        parts = {name: _key_of(first[0], name) for name in ("response", "score", "source")}
        found = {name: f"responses.*.{key}" for name, key in parts.items() if key}
    elif isinstance(first, list):
        found = {"response": "responses.*", "score": "scores.*", "source": "models.*"}
    elif exists(table, "response_*"):
        found = {"response": "response_*", "score": "score_*", "source": "model_*"}
    else:
        found = {n: c for n in ("response", "score", "source") if (c := _first(table, n))}
    found = {name: source for name, source in found.items() if exists(table, source)}
    return found if mapped or {"response", "score"} <= set(found) else {}


def _key_of(entry: Mapping[str, Any], name: str) -> str | None:
    known = {"response": ("text", "content"), "score": ("scores",), "source": ()}[name]
    return next((key for key in (*known, *ALIASES[name]) if key in entry), None)
