import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plt.data.reading.labels.reading import read_labels
from plt.data.reading.labels.words import parse_label_values
from plt.data.reading.raw_files import RawTable
from plt.errors import DataError, UsageError
from tests.data.sources.generic_rows import from_rows, refused


def read(
    cells: list[object],
    spec: str | None = None,
    source: str = "label",
    responses: tuple[str, str] = ("out_1", "out_2"),
) -> list[float | None]:
    return read_labels(
        RawTable("x", {source: cells}, len(cells), ""),
        list(range(len(cells))),
        cells,
        source=source,
        words=parse_label_values(spec),
        responses=responses,
    ).probabilities


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


@pytest.mark.parametrize(
    "source", ["choice", "winner_idx", "info.choice", "Preferred", "better_response_id", "x"]
)
def test_numbers_are_probabilities_only_where_the_column_is_called_so(source: str) -> None:
    for numbers in ([0, 1], [0.0, 0.5, 1], [0.25]):
        with pytest.raises(DataError, match="may be the position"):
            read(numbers, source=source)
    assert read([0, 1], "a=0,b=1", source) == [1.0, 0.0]
    assert read([0, 1, 0.25], "a=1,b=0", source) == [0.0, 1.0, 0.25]
    for name in ("label", "x.labels", "prob", "probability_a"):
        assert read([0, 0.25], source=name) == [0.0, 0.25]


def test_a_label_of_responses_that_are_called_0_and_1_may_be_a_position() -> None:
    with pytest.raises(DataError, match="may be the position"):
        read([0, 1], responses=("response_0", "response_1"))


def test_ranges_are_grades_with_a_strength() -> None:
    words = parse_label_values("a=-3..-1,tie=0,b=1..3")
    cells = [-3, -1, 0, 2, None]
    found = read_labels(
        RawTable("x", {"s": cells}, 5, ""), list(range(5)), cells, source="s", words=words,
        responses=("one", "two"),
    )  # fmt: skip
    assert found.probabilities == [1.0, 1.0, 0.5, 0.0, None]
    assert found.strengths == [1.0, pytest.approx(1 / 3), None, pytest.approx(2 / 3), None]
    five = read([1, 2, 3, 4, 5], "a=1..2,tie=3,b=4..5", source="grade")
    assert five == [1.0, 1.0, 0.5, 0.0, 0.0]


def test_numbers_between_the_two_codes_are_soft() -> None:
    assert read([1, 1.25, 1.5, 2], "a=1,b=2,tie=1.5", "preference") == [1.0, 0.75, 0.5, 0.0]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("A-is-clearly-better", 1.0), ("B-is-slightly-better", 0.0), ("response 2 is better", 0.0),
        ("A>>B", 1.0), ("[[B>A]]", 0.0), ("A=B", 0.5), ("tie (bothbad)", 0.5), ("both_bad", 0.5),
        ("No preference", 0.5), ("skip", None), ("N/A", None), ("NaN", None), ("<NA>", None),
    ],
)  # fmt: skip
def test_words_that_need_no_flag(word: str, expected: float | None) -> None:
    assert read([word]) == [expected]


def test_names_of_the_responses_are_looked_up_row_by_row() -> None:
    cells: list[object] = ["m1", "m1", "m3", "tie"]
    table = RawTable("x", {"w": cells}, 4, "")
    names = (["m1", "m2", "m3", "m1"], ["m2", "m1", "m1", "m3"])
    found = read_labels(
        table, list(range(4)), cells, source="w", words={}, responses=("x", "y"), names=names
    )
    assert found.probabilities == [1.0, 0.0, 1.0, 0.5]
    with pytest.raises(UsageError, match="stands on both sides"):
        read_labels(
            table, list(range(4)), cells, source="w", words={"m1": "a", "m2": "b"},
            responses=("x", "y"), names=names,
        )  # fmt: skip
    with pytest.raises(DataError, match="cannot be read") as caught:
        read_labels(
            table, [0], ["m1"], source="w", words={}, responses=("x", "y"), names=(["m1"], ["m1"])
        )
    assert "the name of both responses" in caught.value.problems[0]
    with pytest.raises(DataError) as caught:
        read_labels(
            table, [0], ["a"], source="w", words={}, responses=("x", "y"), names=(["b"], ["a"])
        )
    assert "a position or the name" in caught.value.problems[0]


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(DataError) as caught:
        read([0.5, 1.5, math.nan, "nan", True, ["a", "b"], "inf", {"a": 1}])
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        f"row {i}" for i in (1, 4, 5, 6, 7)
    ]


@pytest.mark.parametrize("spec", ["left", "c=x", "a=", "a=x,b=x", "none=x,tie=x"])
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


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("preference", [1, 2, 3, 4, 5]),
        ("preference", [1, 7, 4, 2]),
        ("is_a_better", [True, False]),
    ],
)
def test_a_scale_and_truth_are_refused_with_two_lines_of_which_either_reads(
    column: str, values: list[object]
) -> None:
    """The lines say opposite things: every winner of one is the loser of the other."""
    rows = [
        {"user_id": "ann", "prompt": f"p{i}", "response_a": "x", "response_b": "y", column: value}
        for i, value in enumerate(values)
    ]
    lines = re.findall(r"--label-values (\S+)", refused(rows).hint or "")
    one, other = (from_rows(rows, label_values=line.rstrip(",")).votes["label"] for line in lines)
    assert (one + other == 1.0).all()
    assert one.is_in([0.0, 1.0]).sum() >= 2
