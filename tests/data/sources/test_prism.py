from pathlib import Path

import pytest

from plt.data.sources import prism
from plt.data.tables.preferences import Preferences
from plt.errors import DataError, UsageError
from tests.data.sources.prism_files import Entry, conversation, person, turn, write

TALK = conversation(
    "c1", "user1",
    turn(0, "hello", ("best", 90, True), ("worse", 20, False), ("worst", 5, False)),
    turn(1, "and?", ("second", 70, True), ("other", 60, False)),
    turn(2, "last", ("only one", 50, True)),
)  # fmt: skip


def silent(text: str) -> None:
    del text


def load(folder: Path, *talks: Entry, people: list[Entry] | None = None) -> Preferences:
    if people is None:
        people = [person(user) for user in sorted({str(talk["user_id"]) for talk in talks})]
    return prism.load(write(folder, people, list(talks)), None, silent)


def judged(prefs: Preferences) -> list[tuple[list[str], str, str]]:
    """(prompt, preferred, other) of every judgement, sorted."""
    rows = []
    for row in prefs.wide().iter_rows(named=True):
        better, worse = row["response_a"], row["response_b"]
        if row["label"] == 0:
            better, worse = worse, better
        rows.append(([message["content"] for message in row["prompt"]], better, worse))
    return sorted(rows)


EXPECTED = [
    (["hello"], "best", "worse"),
    (["hello"], "best", "worst"),
    (["hello", "best", "and?"], "second", "other"),
]


@pytest.mark.parametrize("long", [False, True])
def test_chosen_against_each_other_response_of_its_turn(tmp_path: Path, long: bool) -> None:
    folder = write(tmp_path / "prism", [person("user1")], [TALK], long=long)
    prefs = prism.load(folder, None, silent)
    assert judged(prefs) == EXPECTED
    assert prefs.meta.dropped == {}
    assert set(prefs.votes["group"].cast(str)) == {"c1"}
    assert set(prefs.votes["subset"].cast(str)) == {"unguided"}
    row = prefs.wide().filter(prefs.wide()["response_a"].is_in(["second", "other"]))
    found = row.row(0, named=True)
    side = "a" if found["response_a"] == "second" else "b"
    assert (found[f"score_{side}"], found[f"source_{side}"]) == (70.0, "model 0")
    roles = [message["role"] for message in found["prompt"]]
    assert roles == ["user", "assistant", "user"]  # Never `model`.


def test_ties_are_dropped_because_the_source_marks_one_at_random(tmp_path: Path) -> None:
    others = [("y", 50, False), ("z", 10, False), ("w", 60, False)]
    talk = conversation("c1", "u", turn(0, "q", ("x", 50, True), *others))
    prefs = load(tmp_path, talk)
    assert judged(prefs) == [(["q"], "x", "z")]
    assert prefs.meta.dropped == {"score tie": 1, "chosen scored lower": 1}


def test_empty_string_is_empty(tmp_path: Path) -> None:
    talks = [
        conversation("c1", "u", turn(0, "q", ("x", 9, True), ("EMPTY STRING", 1, False))),
        conversation(
            "c2", "u", turn(0, "EMPTY STRING", ("x", 9, True), ("y", 1, False)),
            turn(1, "more", ("x", 9, True), ("y", 1, False)),
        ),
        conversation("c3", "u", turn(0, "q", ("x", 9, True), ("y", 1, False))),
    ]  # fmt: skip
    prefs = load(tmp_path, *talks)
    assert judged(prefs) == [(["q"], "x", "y")]
    assert prefs.meta.dropped == {
        "empty response": 1, "turn with an empty prompt": 1,
        "turn behind one without a chosen response": 1,
    }  # fmt: skip


def test_what_follows_a_turn_without_a_chosen_response_is_left_out(tmp_path: Path) -> None:
    talk = conversation(
        "c1", "u", turn(0, "q", ("x", 9, True), ("y", 1, False)),
        turn(1, "r", ("x", None, False), ("y", None, False)),
        turn(2, "s", ("x", 9, True), ("y", 1, False)),
    )  # fmt: skip
    prefs = load(tmp_path, talk)
    assert judged(prefs) == [(["q"], "x", "y")]
    assert prefs.meta.dropped == {
        "turn without one chosen response": 1, "turn behind one without a chosen response": 1,
    }  # fmt: skip


def test_profiles_rank_what_was_said_not_where_it_stood_on_the_screen(tmp_path: Path) -> None:
    prefs = load(tmp_path, TALK)
    assert prefs.votes["profile"][0] == (
        "I am user1.\n"
        "Matters to me in answers, most first: factuality, creativity = fluency, values, other."
    )
    assert prism.profile_of({"self_description": "EMPTY STRING", "stated_prefs": None}) is None
    table = prism.users(prism.read_prism(tmp_path))
    assert table.columns == ["user_id", "profile", "attr_age", "attr_gender"]
    assert table["attr_gender"].to_list() == ["Female"]


def test_other_numbers_than_published_are_said(tmp_path: Path) -> None:
    said: list[str] = []
    prism.load(write(tmp_path, [person("user1")], [TALK]), None, said.append)
    assert said == [f"{tmp_path} holds 1 conversations of 1 people; published are 8011 of 1396"]


def test_missing_files_columns_and_variants(tmp_path: Path) -> None:
    write(tmp_path, [person("user1")], [TALK])
    with pytest.raises(UsageError, match="no variant 'prlfh'"):
        prism.load(tmp_path, "prlfh", silent)
    (tmp_path / "survey.jsonl").unlink()
    with pytest.raises(DataError, match=r"lacks survey\.jsonl") as caught:
        prism.load(tmp_path, None, silent)
    assert "conversations.jsonl" in caught.value.problems[0]
    (tmp_path / "survey.jsonl").write_text('{"user_id": "u"}\n')
    (tmp_path / "conversations.jsonl").write_text('{"user_id": "u"}\n')
    with pytest.raises(DataError, match="not in the expected form") as caught:
        prism.load(tmp_path, None, silent)
    assert len(caught.value.problems) == 2
