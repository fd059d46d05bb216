"""Rows for `generic`, converted without a file, and what came out in a form to compare."""

import json

import pytest

from plt.data.sources.generic import GenericOptions, convert
from plt.data.tables.preferences import Preferences
from plt.errors import DataError

PAIR = {"prompt": "q", "response_1": "good", "response_2": "bad", "label": 1.0}


def silent(text: str) -> None:
    del text


def jsonl(rows: list[dict[str, object]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def from_rows(rows: list[dict[str, object]], *maps: str, **flags: object) -> Preferences:
    return convert(jsonl(rows), GenericOptions.parse(maps, **flags), silent)  # type: ignore[arg-type]


def liked(prefs: Preferences) -> list[tuple[str | None, str, str, float | None]]:
    """(user, preferred, other, its label) of every judgement, in an order of its own."""
    rows = []
    for row in prefs.wide().iter_rows(named=True):
        a, b, label = row["response_a"], row["response_b"], row["label"]
        if label is not None and label < 0.5:
            a, b, label = b, a, 1 - label
        rows.append((row["user_id"], a, b, None if label is None else round(label, 6)))
    return sorted(rows, key=str)


def refused(rows: list[dict[str, object]], *maps: str, **flags: object) -> DataError:
    with pytest.raises(DataError) as caught:
        from_rows(rows, *maps, **flags)
    return caught.value
