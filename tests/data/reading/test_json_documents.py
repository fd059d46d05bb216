"""Where rows stand in JSON documents."""

import json

import pytest

from plt.data.reading.raw_files import read
from plt.errors import DataError

ROWS = [{"prompt": "p", "chosen": "x"}, {"prompt": "q", "chosen": "y"}]
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}


@pytest.mark.parametrize(
    "document",
    [
        {"data": ROWS}, {"version": 1, "examples": ROWS},
        {"features": [], "rows": [{"row_idx": i, "row": row} for i, row in enumerate(ROWS)]},
        {"columns": list(COLUMNS), "index": [0, 1], "data": [list(r.values()) for r in ROWS]},
        {name: {str(i): cell for i, cell in enumerate(c)} for name, c in COLUMNS.items()},
        {str(i): row for i, row in enumerate(ROWS)}, COLUMNS,
        {"schema": {"fields": []}, "data": ROWS},
    ],
)  # fmt: skip
def test_rows_are_found(document: object) -> None:
    assert dict(read(json.dumps(document, indent=1).encode()).columns) == COLUMNS


def test_splits_become_a_column() -> None:
    found = read(json.dumps({"train": ROWS[:1], "test": ROWS[1:]}).encode())
    assert dict(found.columns) == {"split": ["train", "test"], **COLUMNS}


@pytest.mark.parametrize("separator", ["", "\n", " , "])
def test_objects_that_follow_one_another(separator: str) -> None:
    pretty = separator.join(json.dumps(row, indent=2) for row in ROWS)
    assert dict(read(pretty.encode()).columns) == COLUMNS


def test_one_conversation_is_one_row() -> None:
    talk = [{"role": "user", "content": "p"}]
    found = read(json.dumps({"messages": talk, "chosen": talk}, indent=1).encode())
    assert found.height == 1


def test_an_object_without_rows_says_what_it_is() -> None:
    with pytest.raises(
        DataError, match="is one JSON object with keys u1, u2, not a list"
    ) as caught:
        read(json.dumps({"u1": ROWS, "u2": ROWS}, indent=1).encode())
    assert caught.value.problems == []
