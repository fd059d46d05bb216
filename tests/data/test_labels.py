import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plt.data.columns import Cells
from plt.data.labels import parse_label_values, read_labels
from plt.data.raw import RawTable
from plt.errors import DataError, UsageError


def read(cells: list[object], spec: str | None = None, source: str = "label") -> list[float | None]:
    return read_labels(
        RawTable("x", {source: cells}, len(cells), ""),
        Cells(list(range(len(cells))), None, cells),
        source=source,
        words=parse_label_values(spec),
        responses=("out_1", "out_2"),
    )


@given(st.lists(st.floats(0, 1, exclude_min=True, exclude_max=True) | st.none(), min_size=1))
def test_probabilities_are_kept_as_numbers_and_as_texts(labels: list[float | None]) -> None:
    assert read(list(labels)) == labels
    assert read([None if label is None else repr(label) for label in labels]) == labels


def test_words() -> None:
    assert read(["a", "B", "Tie", "model_a", "out_2", " a ", ""]) == [
        1.0, 0.0, 0.5, 1.0, 0.0, 1.0, None,
    ]  # fmt: skip


def test_given_words_replace_the_usual_of_the_same_meaning_only() -> None:
    spec = "a=left,a=first,b=right"
    assert read(["left", "first", "right", "tie"], spec) == [1.0, 1.0, 0.0, 0.5]
    with pytest.raises(DataError) as caught:
        read(["left", "a"], spec)
    assert caught.value.problems == ["row 1: label is 'a', a word whose meaning is not said"]


@pytest.mark.parametrize("cells", [[0, 1, 2], ["0", "1", "2"], [0.0, 1.0, 2.0], ["0.0", "1", "2"]])
def test_codes_match_however_they_are_written(cells: list[object]) -> None:
    assert read(cells, "tie=0,a=1,b=2") == [0.5, 1.0, 0.0]


@pytest.mark.parametrize("cells", [[1, 2], [2], [-1, 1], [1, 0, 5]])
def test_codes_without_their_meaning_are_refused(cells: list[object]) -> None:
    with pytest.raises(DataError, match="are codes") as caught:
        read(cells)
    assert caught.value.problems


@pytest.mark.parametrize("source", ["choice", "winner", "info.choice", "Preferred"])
def test_zero_and_one_in_a_column_of_positions(source: str) -> None:
    with pytest.raises(DataError, match="may be the position"):
        read([0, 1], source=source)
    assert read([0.0, 0.5, 1], source=source) == [0.0, 0.5, 1.0]
    assert read([0, 1], "a=0,b=1", source) == [1.0, 0.0]


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(DataError) as caught:
        read([0.5, 1.5, math.nan, "nan", True, ["a"], "inf", {"a": 1}])
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        f"row {i}" for i in range(1, 8)
    ]


@pytest.mark.parametrize("spec", ["left", "c=x", "a=", "a=x,b=x"])
def test_wrong_label_values(spec: str) -> None:
    with pytest.raises(UsageError):
        parse_label_values(spec)
