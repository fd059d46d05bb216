"""One table, whatever file it stands in: CSV, JSON Lines, JSON and Parquet, quick and slow."""

import csv
import datetime as dt
import decimal
import io
import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plt.data.sources.generic import GenericOptions, convert
from plt.errors import DataError
from tests.data.sources.generic_rows import PAIR, from_rows, refused, silent

BIG = st.integers(2**53, 2**62)
IDS: dict[str, st.SearchStrategy[Any]] = {
    "integers": st.integers(-5, 30),
    "big integers": BIG,
    "whole floats": st.integers(0, 30).map(float),
    "digits": st.integers(0, 30).map(str),
    "leading zeros": st.integers(0, 30).map(lambda n: f"{n:04}"),
    "booleans": st.booleans(),
    "words": st.sampled_from(["ann", "bob", "NaN", "N/A", "x y", "12a"]),
    "decimals": st.integers(0, 30).map(lambda n: decimal.Decimal(n)),
}
LABELS: dict[str, st.SearchStrategy[Any]] = {
    "bits": st.sampled_from([0, 1]),
    "floats": st.sampled_from([0.0, 0.5, 1.0, 0.25]),
    "words": st.sampled_from(["a", "b", "tie", "skip", "NaN"]),
}


def as_json(value: Any) -> Any:
    return int(value) if isinstance(value, decimal.Decimal) else value


def files(rows: list[dict[str, Any]]) -> dict[str, bytes]:
    """The same rows in every format; `odd` makes JSON nested, for the slow reader."""
    plain = [{name: as_json(cell) for name, cell in row.items()} for row in rows]
    lines = io.StringIO()
    writer = csv.DictWriter(lines, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    parquet, categories = io.BytesIO(), io.BytesIO()
    frame = pl.DataFrame(rows, infer_schema_length=None)
    frame.write_parquet(parquet)
    frame.with_columns(pl.col(pl.String).cast(pl.Categorical)).write_parquet(categories)
    jsonl = "".join(json.dumps(row) + "\n" for row in plain)
    slow = "".join(json.dumps(row | {"odd": [1]}) + "\n" for row in plain)
    return {
        "csv": lines.getvalue().encode(),
        "jsonl": jsonl.encode(),
        "slow jsonl": slow.encode(),
        "json": json.dumps(plain).encode(),
        "parquet": parquet.getvalue(),
        "categorical": categories.getvalue(),
    }


@pytest.mark.parametrize("ids", IDS)
@settings(max_examples=10, deadline=None)
@given(data=st.data(), label=st.sampled_from(sorted(LABELS)))
def test_every_format_makes_the_same_table(ids: str, data: st.DataObject, label: str) -> None:
    cells = st.tuples(st.none() | IDS[ids], LABELS[label])
    drawn = data.draw(st.lists(cells, min_size=2, max_size=6))
    rows = [
        {**PAIR, "prompt": f"0{i}", "response_2": f"00{i}.50", "user_id": user, "label": said}
        for i, (user, said) in enumerate(drawn)
    ]
    if all(user is None for user, _ in drawn):
        rows[0]["user_id"] = data.draw(IDS[ids])
    rows.append({**rows[0], "prompt": "last", "label": {"words": "a"}.get(label, 1)})
    tables = {}
    for name, content in files(rows).items():
        wide = convert(content, GenericOptions.parse(), silent).wide()
        tables[name] = wide.select("user_id", "pair_id", "occurrence", "label").sort("pair_id")
    assert all(table.equals(tables["csv"]) for table in tables.values()), tables


def test_one_person_has_one_name_and_nan_is_nobody() -> None:
    users = [12, 12.0, "12", "12.0", "012", None, float("nan"), "NaN", "None", " "]
    rows: list[dict[str, object]] = [
        {**PAIR, "prompt": f"p{i}", "user_id": user} for i, user in enumerate(users)
    ]
    prefs = from_rows(rows)
    found = {
        row["prompt"][0]["content"]: row["user_id"] for row in prefs.wide().iter_rows(named=True)
    }
    assert [found[f"p{i}"] for i in range(10)] == ["12"] * 4 + ["012"] + [None] * 5


def test_ids_are_never_merged_through_a_float() -> None:
    big = 72057594038135102
    rows = [{**PAIR, "prompt": f"p{i}", "user_id": u} for i, u in enumerate([big, big + 1, 5.0])]
    users = set(from_rows(rows).votes["user_id"].cast(pl.String))
    assert users == {str(big), str(big + 1), "5"}
    for broken in (float(big), 12.5, "7.205759403813510e+16"):
        error = refused([{**PAIR, "user_id": broken}, {**PAIR, "prompt": "x", "user_id": broken}])
        assert "does not name anybody" in error.message
        assert len(error.problems) == 2


def test_times_in_every_spelling() -> None:
    at = dt.datetime(2024, 5, 1, 10, 0, tzinfo=dt.UTC)
    spellings = [
        "2024-05-01T10:00:00Z",
        "2024-05-01 10:00:00",
        at.timestamp(),
        at.timestamp() * 1e3,
    ]
    rows = [{**PAIR, "prompt": str(i), "judged_at": cell} for i, cell in enumerate(spellings)]
    assert from_rows(rows).votes["judged_at"].to_list() == [at] * 4


def test_a_malformed_line_is_dropped_and_counted() -> None:
    good = "".join(json.dumps({**PAIR, "prompt": str(i)}) + "\n" for i in range(30))
    prefs = convert((good + "{broken\n").encode(), GenericOptions.parse(), silent)
    assert prefs.meta.dropped == {"malformed line": 1}
    with pytest.raises(DataError, match="cannot be converted") as caught:
        convert((good + "{broken\n").encode(), GenericOptions.parse(strict=True), silent)
    assert caught.value.problems[0].startswith("line 31: ")
