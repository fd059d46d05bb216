import pytest

from plt.data.reading.field_map import (
    each,
    exists,
    missing,
    parse_map,
    positions,
    require,
    text,
    values,
)
from plt.data.reading.raw_files import RawTable
from plt.errors import DataError, UsageError


def table(**columns: list[object]) -> RawTable:
    height = len(next(iter(columns.values())))
    return RawTable("x", columns, height, "")


def test_map_items_are_fields_and_sources() -> None:
    assert parse_map(["prompt=a.b", "response_a=x", "user=w", "subset==k=v"]) == {
        "prompt": "a.b", "response_1": "x", "user_id": "w", "subset": "=k=v",
    }  # fmt: skip
    with pytest.raises(UsageError) as caught:
        parse_map(["prompt=", "wrker=x", "response_1=x", "response_a=y"])
    assert len(caught.value.problems) == 3
    assert "mapped twice" in caught.value.problems[2]


def test_paths_constants_and_columns_with_dots() -> None:
    found = table(**{"a": [{"b": [{"c": 1}]}, {"b": []}, None, "t"], "a.b": [1, 2, 3, 4]})
    assert values(found, "a.b.0.c") == [None] * 4  # The column `a.b` is the longer one.
    assert values(found, "a.b") == [1, 2, 3, 4]
    nested = table(a=[{"b": [{"c": 1}]}, {"b": []}, None, "t"])
    assert values(nested, "a.b.0.c") == [1, None, None, None]
    assert values(nested, "=a.b") == ["a.b"] * 4
    with pytest.raises(DataError) as caught:
        values(nested, "aa.b")
    assert caught.value.problems == [missing(nested, "aa.b")]
    assert "nearest: a" in missing(nested, "aa.b")


def test_stars_are_numbers_of_columns_or_positions() -> None:
    found = table(
        response_2=["x"], response_10=["y"], response_1=["z"], response_x=["w"],
        items=[[{"t": 1}, {"t": 2}]],
    )  # fmt: skip
    assert positions(found, "response_*") == ["1", "2", "10"]
    assert positions(found, "items.*.t") == ["0", "1"]
    assert positions(found, "nothing_*") == []
    lettered = table(r_b=["x"], r_a=["y"], r_total=["z"])
    assert positions(lettered, "r_*") == ["a", "b"]
    assert exists(found, "items.*.t")
    assert exists(found, "response_1,response_2")
    assert not exists(found, "response_1,response_3")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), ("a", "a"), (3, "3"), (True, "true"), (0.5, "0.5"), (float("nan"), None)],
)
def test_scalars_as_text(value: object, expected: str | None) -> None:
    assert text(value) == expected


def test_each_names_every_row_it_refuses() -> None:
    found = table(a=["1", "x", "2", "y"])
    with pytest.raises(DataError) as caught:
        list(each(found, "a", found.columns["a"], int))
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["row 1", "row 3"]
    with pytest.raises(DataError) as caught:
        list(each(found, "a", ["z"], int, rows=[7]))
    assert caught.value.problems[0].startswith("row 7: a: ")
    assert list(each(found, "a", ["1"], int)) == [1]


def test_require_names_all_that_is_missing() -> None:
    require(table(a=[1]), ["a"])
    with pytest.raises(DataError) as caught:
        require(table(promt=[1]), ["prompt", "chosen"])
    assert len(caught.value.problems) == 2
