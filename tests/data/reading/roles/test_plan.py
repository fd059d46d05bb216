import pytest

from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles.plan import plan_of
from plt.errors import DataError


def table(*names: str, **columns: object) -> RawTable:
    found = {name: ["x"] for name in names} | {name: [cell] for name, cell in columns.items()}
    return RawTable("x", found, 1, "")


def plan(found: RawTable, **mapped: str) -> tuple[str, dict[str, str]]:
    answer = plan_of(found, mapped, unlabelled=True)
    return answer.form, dict(answer.sources)


@pytest.mark.parametrize(
    ("names", "form"),
    [
        (["prompt", "chosen", "rejected", "label"], "chosen"),
        (["prompt", "response_a", "response_b", "choice"], "pair"),
        (["question", "answer_1", "answer_2"], "pair"),
        (["prompt", "response_1", "response_2", "response_3", "score_1", "score_2"], "rating"),
        (["prompt", "response", "rating", "annotator"], "rating"),
    ],
)
def test_forms_by_their_columns(names: list[str], form: str) -> None:
    assert plan(table(*names))[0] == form


def test_lists_are_recognised_by_what_they_hold() -> None:
    form, sources = plan(table("prompt", responses=["x", "y"], scores=[1, 2]))
    assert (form, sources["response"], sources["score"]) == ("rating", "responses.*", "scores.*")
    entry = {"model": "m", "text": "t", "rating": 3}
    form, sources = plan(table("prompt", responses=[entry]))
    assert sources["response"] == "responses.*.text"
    assert sources["score"] == "responses.*.rating"
    assert sources["source"] == "responses.*.model"
    form, sources = plan(table("prompt", "label", responses=["x", "y"]))
    assert (form, sources["response_2"]) == ("pair", "responses.1")


def test_the_map_decides_over_the_columns() -> None:
    found = table("prompt", "chosen", "rejected", "x", "y", "label")
    assert plan(found, response_1="x", response_2="y")[0] == "pair"
    assert plan(found, user_id="x")[1]["user_id"] == "x"


def test_a_mapped_column_serves_no_second_field() -> None:
    found = table("prompt", "response_1", "response_2", "label", "user")
    sources = plan(found, profile="user")[1]
    assert "user_id" not in sources
    assert sources["profile"] == "user"


def test_instruction_and_input_are_one_prompt() -> None:
    found = table("instruction", "input", "output_1", "output_2", "label")
    assert plan(found)[1]["prompt"] == "instruction,input"


def test_the_plan_can_be_typed() -> None:
    found = plan_of(table("prompt", "response_1", "response_2", "worker", "label"), {}, {"x": "a"})
    assert "--map user_id=worker" in found.map_line()
    assert "--label-values a=x" in found.map_line()


def test_missing_columns_say_what_is_needed() -> None:
    with pytest.raises(DataError, match="lacks what the pair form needs") as caught:
        plan(table("a", "b"))
    assert len(caught.value.problems) == 3
    with pytest.raises(DataError, match="lacks what the rating form needs") as caught:
        plan(table("prompt", "x"), response="x")
    assert caught.value.problems[0].startswith("score: column 'score' is missing")
    with pytest.raises(DataError, match="lacks mapped columns") as caught:
        plan(table("prompt", "x"), label="y,x,z")
    assert len(caught.value.problems) == 2


def test_a_column_that_groups_may_be_the_prompt_too() -> None:
    found = table("prompt", "response_1", "response_2", "label")
    for field in ("group", "subset", "profile"):
        assert plan(found, **{field: "prompt"})[1]["prompt"] == "prompt"
    of_chosen = table("prompt", "chosen", "rejected")
    assert plan(of_chosen, group="prompt")[1]["prompt"] == "prompt"
    with pytest.raises(DataError) as caught:
        plan(found, user_id="prompt")
    assert caught.value.problems == [
        "prompt: column 'prompt' is mapped to user_id; --map prompt=prompt makes it serve both"
    ]
    assert plan(found, user_id="prompt", prompt="prompt")[1]["prompt"] == "prompt"
