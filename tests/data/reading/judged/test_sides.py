"""The side is a property of the row: swapping the sides of some rows leaves the same judgements."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plt.data.reading.judged.sentences import digest_of
from plt.data.tables.preferences import Preferences
from tests.data.sources.generic_rows import from_rows

Vote = tuple[str, int, str]
"""User, number of the prompt, and ``x``, ``y`` or ``tie``."""
VOTES = st.lists(
    st.tuples(st.sampled_from("uvw"), st.integers(0, 4), st.sampled_from(["x", "y", "tie"])),
    min_size=2, max_size=8, unique_by=lambda vote: vote[:2],
)  # fmt: skip
Row = dict[str, Any]
Render = Callable[[Vote, bool], Row]
CHOICES = {"x": 1.0, "y": 0.0, "tie": 0.5}


def sides(vote: Vote, swapped: bool) -> tuple[Row, str]:
    """The texts of a row and which side won, ``a``, ``b`` or ``tie``."""
    user, number, won = vote
    one, two = (f"text y {number}", f"text x {number}")[:: 1 if swapped else -1]
    side = won if won == "tie" else "a" if (won == "x") != swapped else "b"
    return {"user_id": user, "prompt": f"p{number}", "response_a": one, "response_b": two}, side


def words(vote: Vote, swapped: bool) -> Row:
    row, side = sides(vote, swapped)
    return row | {"winner": {"a": "model_a", "b": "model_b", "tie": "tie (bothbad)"}[side]}


def probabilities(vote: Vote, swapped: bool) -> Row:
    row, side = sides(vote, swapped)
    return row | {"label": {"a": 1, "b": 0, "tie": 0.5}[side]}


def graded(vote: Vote, swapped: bool) -> Row:
    row, side = sides(vote, swapped)
    said = {"a": "A-is-clearly-better", "b": "B-is-slightly-better", "tie": "Tie"}
    return row | {"preference": said[side]}


def model_names(vote: Vote, swapped: bool) -> Row:
    row, side = sides(vote, swapped)
    names = ("my", "mx") if swapped else ("mx", "my")
    won = dict(zip("ab", names, strict=True)).get(side, "tie")
    return row | {"model_a": names[0], "model_b": names[1], "winner": won}


def by_text(vote: Vote, swapped: bool) -> Row:
    row, side = sides(vote, swapped)
    return row | {"preferred": row.get(f"response_{side}", "tie")}


def one_hot(vote: Vote, swapped: bool) -> Row:
    row, side = sides(vote, swapped)
    ends = {"winner_model_a": "a", "winner_model_b": "b", "winner_tie": "tie"}
    return row | {name: int(side == end) for name, end in ends.items()}


def conversations(vote: Vote, swapped: bool) -> Row:
    row, side = sides(vote, swapped)
    asked = {"role": "user", "content": row.pop("prompt")}
    talks = {
        name.replace("response", "conversation"): [asked, {"role": "assistant", "content": text}]
        for name, text in row.items() if name.startswith("response")
    }  # fmt: skip
    return {"judge": row["user_id"], **talks, "winner": f"model_{side}" if side != "tie" else side}


def ranked(vote: Vote, swapped: bool) -> Row:
    row, side = sides(vote, swapped)
    texts = [row.pop("response_a"), row.pop("response_b")]
    order = {"a": "A>B", "b": "B>A", "tie": "A=B"}[side]
    return row | {"responses": texts, "ranking": order}


def ranks_in_lists(vote: Vote, swapped: bool) -> Row:
    row, side = sides(vote, swapped)
    places = {"a": (1, 2), "b": (2, 1), "tie": (1, 1)}[side]
    texts = (row.pop("response_a"), row.pop("response_b"))
    found = [{"text": text, "rank": rank} for text, rank in zip(texts, places, strict=True)]
    return row | {"responses": found}


def judges_in_lists(vote: Vote, swapped: bool) -> Row:
    row, side = sides(vote, swapped)
    return row | {"user_id": None, "judged": [{"by": vote[0], "says": side}]}


def signed(vote: Vote, swapped: bool) -> Row:
    row, side = sides(vote, swapped)
    return row | {"preference_strength": {"a": -2, "b": 3, "tie": 0}[side]}


def codes(vote: Vote, swapped: bool) -> Row:
    row, side = sides(vote, swapped)
    return row | {"choice": {"a": 1, "b": 2, "tie": 3}[side]}


FORMS: dict[str, tuple[Render, tuple[str, ...], str | None]] = {
    "words": (words, (), None),
    "probabilities": (probabilities, (), None),
    "graded": (graded, (), None),
    "model names": (model_names, (), None),
    "text": (by_text, (), None),
    "one-hot": (one_hot, (), None),
    "one-hot by label": (one_hot, ("label=winner_model_a,winner_model_b,winner_tie",), None),
    "conversations": (conversations, (), None),
    "ranking": (ranked, (), None),
    "ranks": (ranks_in_lists, (), None),
    "lists of judges": (judges_in_lists, ("label=judged.*.says", "user_id=judged.*.by"), None),
    "signed": (signed, ("label=preference_strength",), "a=-3..-1,tie=0,b=1..3"),
    "codes": (codes, (), "a=1,b=2,tie=3"),
}


def judged(prefs: Preferences) -> set[tuple[str, str, str, str]]:
    found = set()
    for row in prefs.wide().iter_rows(named=True):
        prompt, one, two = row["prompt"][-1]["content"], row["response_a"], row["response_b"]
        won = "tie" if row["label"] == 0.5 else one if row["label"] == 1 else two
        found.add((row["user_id"], prompt, *sorted((one, two)), won))
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("name", FORMS)
@settings(max_examples=12, deadline=None)
@given(votes=VOTES, data=st.data())
def test_swapped_sides_are_the_same_judgements(
    name: str, votes: list[Vote], data: st.DataObject
) -> None:
    render, maps, label_values = FORMS[name]
    swaps = data.draw(st.lists(st.booleans(), min_size=len(votes), max_size=len(votes)))
    expected = {
        (user, f"p{i}", f"text x {i}", f"text y {i}", won if won == "tie" else f"text {won} {i}")
        for user, i, won in votes
    }
    tables = [
        from_rows([render(v, s) for v, s in zip(votes, how, strict=True)], *maps,
                  label_values=label_values)
        for how in (swaps, [False] * len(votes), [True] * len(votes))
    ]  # fmt: skip
    assert all(judged(table) == expected for table in tables)
    assert len({digest_of(table) for table in tables}) == 1
