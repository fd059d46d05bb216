import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plt.data.reading.field_map import Cells
from plt.data.reading.labels import parse_label_values, read_labels
from plt.data.reading.raw_files import RawTable
from plt.errors import DataError, UsageError


def read(
    cells: list[object],
    spec: str | None = None,
    source: str = "label",
    responses: tuple[str, str] = ("out_1", "out_2"),
) -> list[float | None]:
    return read_labels(
        RawTable("x", {source: cells}, len(cells), ""),
        Cells(list(range(len(cells))), None, cells),
        source=source,
        words=parse_label_values(spec),
        responses=responses,
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


@pytest.mark.parametrize(
    "responses",
    [
        ("model_b", "model_a"), ("B", "A"), ("responseB", "responseA"), ("outb", "outa"),
        ("other", "answer_a"), ("model_b.text", "gold"), ("x.1.text", "x.0.text"),
        ("response_2", "response_1"), ("right_text", "left_text"), ("second", "first"),
    ],
)  # fmt: skip
def test_usual_words_are_refused_where_the_responses_are_turned(responses: tuple[str, str]) -> None:
    with pytest.raises(DataError, match="cannot be read") as caught:
        read(["a", "tie", "b"], responses=responses)
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["row 0", "row 2"]
    assert caught.value.hint is not None
    assert "--label-values" in caught.value.hint
    with pytest.raises(DataError, match="may follow the names"):
        read([1, 0.5], responses=responses)
    assert read(["a", "b"], "a=b,b=a", responses=responses) == [0.0, 1.0]
    assert read([1, 0], "a=1,b=0", responses=responses) == [1.0, 0.0]
    assert read([1, 0.7], responses=responses) == [1.0, 0.7]
    assert read([*responses, "tie"], responses=responses) == [1.0, 0.0, 0.5]


@pytest.mark.parametrize(
    "responses",
    [
        ("model_a", "model_b"), ("gpt_4", "gpt_3"), ("gpt", "llama"), ("=b", "=a"),
        ("run_1.a", "run_2.a"), ("x.0", "x.1"), ("human", "machine"), ("left", "right"),
    ],
)  # fmt: skip
def test_usual_words_are_read_where_the_responses_are_in_order(responses: tuple[str, str]) -> None:
    assert read(["a", "B", 1], responses=responses) == [1.0, 0.0, 1.0]
