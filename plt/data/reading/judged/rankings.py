"""Rankings of several responses, in the forms in which files have them.

``B>A>D=C``, a list of names from best to worst (a list inside it is a tie), a list of
``{rank, value}``, an object from name to rank, or the name of the best alone.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from plt.data.reading.bad_rows import Unreadable
from plt.data.reading.field_map import text
from plt.data.reading.judged.people import is_nothing

BETTER, EQUAL = re.compile(r"\s*[>≻]+\s*"), re.compile(r"\s*[=~≈]+\s*")
NAME_PARTS = re.compile(r"[A-Za-z]+|\d+")
NAME_KEYS = ("value", "name", "id", "label", "response", "model", "index", "text")

Names = Sequence[Sequence[str]]
"""For each response of a row, the names that it goes by."""


def ranks(cell: Any, names: Names) -> list[float | None] | None:
    """The rank of each response, 0 the best; None for one that is not ranked.

    Args:
        cell: A ranking in one of the forms above.
        names: The names of each response.

    Returns:
        One rank a response; None where nobody ranked. A single name is the best of all others,
        which then share the rank 1.

    Raises:
        Unreadable: It is in no known form, or names no response, or one response twice.
    """
    levels = _levels(cell)
    if levels is None:
        return None
    found: list[float | None] = [None] * len(names)
    for rank, level in levels:
        for name in level:
            place = _place(name, names)
            if found[place] is not None:
                raise Unreadable("a ranking that names a response twice")
            found[place] = rank
    if sum(rank is not None for rank in found) == 1:
        best = next(place for place, rank in enumerate(found) if rank is not None)
        return [0.0 if place == best else 1.0 for place in range(len(names))]
    return found


def is_best_alone(cell: Any) -> bool:
    """Whether a ranking names one response: nothing is said of the others among themselves."""
    levels = _levels(cell)
    return levels is not None and sum(len(level) for _, level in levels) == 1


def _levels(cell: Any) -> list[tuple[float, list[str]]] | None:
    if is_nothing(cell) or cell in ([], {}):
        return None
    if isinstance(cell, Mapping):
        if "rank" in cell or "value" in cell:
            return _levels([cell] if "rank" in cell else cell["value"])
        return [(_rank(rank), [str(name)]) for name, rank in cell.items() if not is_nothing(rank)]
    if isinstance(cell, list):
        if all(isinstance(entry, Mapping) for entry in cell):
            return [(_rank(entry.get("rank")), [_name(entry)]) for entry in cell]
        return [
            (float(i), [str(name) for name in (entry if isinstance(entry, list) else [entry])])
            for i, entry in enumerate(cell)
        ]
    word = str(text(cell)).strip()
    return [
        (float(i), [name.strip() for name in EQUAL.split(level)])
        for i, level in enumerate(BETTER.split(word))
    ]


def _rank(cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        raise Unreadable("a ranking without numbers") from None


def _name(entry: Mapping[str, Any]) -> str:
    for key in NAME_KEYS:
        if isinstance(entry.get(key), (str, int)):
            return str(entry[key])
    raise Unreadable("a ranking that names no response")


def _place(name: str, names: Names) -> int:
    """The response that a name stands for: by its whole name, else by its letter or number."""
    for known, among in ((_exact, None), (_last_part, 1)):
        places = [
            i for i, own in enumerate(names) if any(known(name, other) for other in own[:among])
        ]
        if len(places) == 1:
            return places[0]
        if places:
            raise Unreadable("a ranking with a name that several responses have")
    raise Unreadable(
        "a ranking of a response that is not there",
        f"the ranking names {name[:40]!r}, and the responses are"
        f" {', '.join(own[0] for own in names if own)[:80]}",
    )


def _exact(name: str, other: str) -> bool:
    return name == other or name.lower() == other.lower()


def _last_part(name: str, other: str) -> bool:
    """``response_b``, ``Response B``, ``B`` and ``first_turn_response_b`` end alike."""
    ends = [NAME_PARTS.findall(part.lower())[-1:] for part in (name, other)]
    return bool(ends[0]) and ends[0] == ends[1]
