"""Shots nest, meet no question, and depend on nobody else."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plt.data.splitting.protocols import apply_protocol
from plt.data.splitting.shots import ALL, check_apart, newcomers, parse_shots, places
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta
from plt.errors import DataError, UsageError
from tests.data.made_tables import crossed, judgement_rows, raw_frame, user_turn

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def unseen_tables(draw: st.DrawFn) -> Preferences:
    """Tables in which everybody named is unseen and pairs fall into any part."""
    rows = draw(judgement_rows(min_size=3, max_size=40))
    prefs = build(raw_frame(rows), Meta(dataset="toy"))
    part = {
        pair: draw(st.sampled_from(["train", "val", "test"])) for pair in prefs.pairs["pair_id"]
    }
    votes = prefs.votes.with_columns(
        split=pl.Series([part[p] for p in prefs.votes["pair_id"]]).cast(
            prefs.votes.schema["split"]
        ),
        user_split=pl.when(pl.col("user_id").is_not_null())
        .then(pl.lit("unseen"))
        .cast(prefs.votes.schema["user_split"]),
    )
    return replace(prefs, votes=votes)


def keys(prefs: Preferences) -> set[tuple[str, int, int]]:
    rows = prefs.votes.filter(pl.col("label").is_not_null())
    return set(rows.select(pl.col("user_id").cast(pl.String), "pair_id", "occurrence").iter_rows())


def met(prefs: Preferences) -> dict[str, set[tuple[str, Any]]]:
    """(user, unit) of every judgement, by the name of the unit; worked out row by row."""
    texts = {pair: (a, b) for pair, _, a, b in prefs.pairs.iter_rows()}
    found: dict[str, set[tuple[str, Any]]] = {"pair": set(), "group": set(), "response": set()}
    rows = prefs.votes.filter(pl.col("label").is_not_null())
    for user, pair, group in rows.select("user_id", "pair_id", "group").iter_rows():
        found["pair"].add((user, pair))
        found["group"].add((user, group))
        found["response"] |= {(user, text) for text in texts.get(pair, ())}
    return found


@given(unseen_tables(), st.sampled_from(["auto", "group", "response", "pair"]), st.integers(0, 3))
@QUICK
def test_no_shot_meets_a_question_of_its_person(prefs: Preferences, apart: Any, draw: int) -> None:
    try:
        people = newcomers(prefs, apart)
    except DataError:
        return
    expected = {"pair": {"pair"}, "response": {"pair", "response"},
                "group": {"pair", "group", "response"}}  # fmt: skip
    if apart != "auto":
        assert set(people.apart) == expected[apart]
    # Unlabelled questions are questions too.
    labelled = people.questions.votes.with_columns(label=pl.lit(1.0, dtype=pl.Float32))
    asked = met(replace(people.questions, votes=labelled))
    for n in (1, 2, 5, ALL):
        shown = met(people.shots(n, draw, seed=3))
        for unit in people.apart:
            assert not asked[unit] & shown[unit]


@given(unseen_tables(), st.integers(0, 5), st.integers(0, 9))
@QUICK
def test_draws_nest_and_nobody_is_padded(prefs: Preferences, draw: int, seed: int) -> None:
    try:
        people = newcomers(prefs)
    except DataError:
        return
    counts = people.count()
    smaller: set[tuple[str, int, int]] = set()
    for n in (0, 1, 2, 3, 5, 8):
        shots = keys(people.shots(n, draw, seed))
        given_by = {user: sum(key[0] == user for key in shots) for user in people.users}
        enough = set(people.enough(n))
        assert enough == {user for user, count in counts.items() if count >= n}
        assert given_by == {user: n if user in enough else 0 for user in people.users}
        assert {key for key in smaller if key[0] in enough} <= shots
        smaller = shots
    everything = keys(people.shots(ALL, draw, seed))
    assert smaller <= everything
    assert len(everything) == sum(counts.values())


@given(unseen_tables(), st.integers(0, 5), st.randoms(use_true_random=False))
@QUICK
def test_row_order_changes_nothing(prefs: Preferences, draw: int, random: Any) -> None:
    order = list(range(prefs.votes.height))
    random.shuffle(order)
    mixed = replace(prefs, votes=prefs.votes[order])
    try:
        people, again = newcomers(prefs), newcomers(mixed)
    except DataError:
        return
    assert (people.users, people.apart, people.left_out) == (
        again.users, again.apart, again.left_out,
    )  # fmt: skip
    for n in (1, 3):
        assert keys(people.shots(n, draw, 1)) == keys(again.shots(n, draw, 1))


def test_other_people_change_nobodys_shots() -> None:
    prefs = split(crossed(12, 60), SplitPlan(unseen_users=0.5, seed=1))
    people = newcomers(prefs)
    one = people.users[2]
    alone = newcomers(prefs.filter(pl.col("user_id").cast(pl.String) == one))
    everybody = {key for key in keys(people.shots(7, 1, 0)) if key[0] == one}
    assert everybody == keys(alone.shots(7, 1, 0))
    assert len(everybody) == 7


def test_draws_are_uniform_and_differ() -> None:
    votes = pl.DataFrame(
        {"user_id": ["u"] * 40, "pair_id": pl.Series(range(40), dtype=pl.UInt64),
         "occurrence": pl.Series([0] * 40, dtype=pl.UInt16)}
    )  # fmt: skip
    first = np.array([(places(votes, draw, 0) < 10) for draw in range(2000)])
    # Each of 40 answers is among the first 10 in a quarter of the draws: s.e. sqrt(.1875/2000).
    assert np.abs(first.mean(axis=0) - 0.25).max() < 4.5 * np.sqrt(0.1875 / 2000)
    together = (first[:, 0] & first[:, 1]).mean()
    assert abs(together - 10 * 9 / (40 * 39)) < 4.5 * np.sqrt(0.058 / 2000)
    assert not np.array_equal(places(votes, 0, 0), places(votes, 0, 1))


def test_ties_soft_labels_and_contradictions_are_kept() -> None:
    rows = [
        {"user_id": "u", "prompt": user_turn(f"p{i}"), "response_1": f"a{i}",
         "response_2": f"b{i}", "label": label}
        for i, label in enumerate([0.5, 0.25, 1.0, 0.0, 0.75, 1.0])
    ]  # fmt: skip
    rows.append({**rows[2], "label": 0.0})
    prefs = build(raw_frame(rows), Meta(dataset="toy"))
    test = prefs.pairs["pair_id"][0]
    parts = pl.when(pl.col("pair_id") == test).then(pl.lit("test")).otherwise(pl.lit("train"))
    prefs = replace(
        prefs,
        votes=prefs.votes.with_columns(
            split=parts.cast(prefs.votes.schema["split"]),
            user_split=pl.lit("unseen").cast(prefs.votes.schema["user_split"]),
        ),
    )
    people = newcomers(prefs)
    expected = prefs.votes.filter(pl.col("pair_id") != test)["label"].sort()
    assert people.shots(ALL, 0, 0).votes["label"].sort().equals(expected)


@pytest.mark.parametrize("apart", ["pair", "response"])
def test_another_spelling_of_what_is_asked_is_not_shown(apart: str) -> None:
    """Splits compare without case, blanks and Unicode form; so do shots and questions."""
    asked = ("Which one?", "Yes, of course.", "No.")
    shouted = ("WHICH  one?", "yes,\u00a0of course.", "NO.")
    other = ("And this?", "YES, of course. ", "Perhaps not.")
    unlike = ("Which one?", "Left.", "Right.")
    prefs = build(
        raw_frame([
            {"user_id": "u", "prompt": user_turn(prompt), "response_1": one, "response_2": two,
             "label": 1.0}
            for prompt, one, two in (asked, shouted, other, unlike)
        ]),
        Meta(dataset="toy"),
    )  # fmt: skip
    first = {pair: {a, b} for pair, _, a, b in prefs.pairs.iter_rows()}
    test = next(pair for pair, texts in first.items() if texts == set(asked[1:]))
    parts = pl.when(pl.col("pair_id") == test).then(pl.lit("test")).otherwise(pl.lit("train"))
    votes = prefs.votes.with_columns(
        split=parts.cast(prefs.votes.schema["split"]),
        user_split=pl.lit("unseen").cast(prefs.votes.schema["user_split"]),
    )
    shown = newcomers(replace(prefs, votes=votes), check_apart(apart)).shots(ALL, 0, 0)
    found = [first[pair] for pair in shown.votes["pair_id"]]
    expected = [set(unlike[1:])] + ([set(other[1:])] if apart == "pair" else [])
    assert sorted(map(sorted, found)) == sorted(map(sorted, expected))


def test_the_four_way_division_draws_from_calibration_pairs() -> None:
    prefs = apply_protocol(crossed(30, 50), "pref")
    people = newcomers(prefs)
    unseen = prefs.votes.filter(pl.col("user_split") == "unseen")
    calibration = set(unseen.filter(pl.col("split") == "train")["pair_id"])
    test = set(unseen.filter(pl.col("split") == "test")["pair_id"])
    assert set(people.questions.votes["pair_id"]) == test
    assert set(people.shots(ALL, 0, 0).votes["pair_id"]) <= calibration
    assert len(people.users) == 6


def test_without_shots_a_person_is_a_name_and_their_words() -> None:
    prefs = split(crossed(10, 60), SplitPlan(unseen_users=0.3))
    said = pl.lit("I like it short.").cast(prefs.votes.schema["profile"])
    people = newcomers(replace(prefs, votes=prefs.votes.with_columns(profile=said)))
    nothing = people.shots(0, 0, 0)
    assert nothing.pairs.height == 0
    assert nothing.votes["label"].null_count() == nothing.votes.height == len(people.users)
    assert nothing.votes["profile"].cast(pl.String).unique().to_list() == ["I like it short."]


def test_what_shots_and_questions_share_is_said() -> None:
    rows = [
        {"user_id": f"u{user}", "prompt": user_turn("one prompt"), "response_1": f"t{i}",
         "response_2": f"t{j}", "label": 1.0}
        for user in range(4) for i in range(8) for j in range(i)
    ]  # fmt: skip
    prefs = split(build(raw_frame(rows), Meta(dataset="toy")), SplitPlan(unseen_users=0.5))
    people = newcomers(prefs)
    assert people.apart == ("pair",)
    assert [note.split(":")[0] for note in people.notes] == [
        "shots and questions of a person share groups",
        "shots and questions of a person share responses",
    ]
    assert newcomers(prefs, "group").count() == dict.fromkeys(people.users, 0)


def test_a_table_without_new_people_says_what_to_type() -> None:
    with pytest.raises(DataError, match="no unseen users") as caught:
        newcomers(split(crossed(4, 60), SplitPlan(unseen_users=0.0)))
    assert caught.value.hint == "plt dataset-split DATA --unseen-users 0.2 -o split.parquet"
    prefs = split(crossed(10, 60), SplitPlan(unseen_users=0.5))
    with pytest.raises(DataError, match="nothing to ask"):
        newcomers(prefs.filter(pl.col("split") != "test"))


def test_what_is_typed_is_read_or_refused() -> None:
    assert parse_shots("30, 0,5,5") == (0, 5, 30)
    with pytest.raises(UsageError) as caught:
        parse_shots("5,x,-3")
    assert caught.value.problems == ["'x' is no number of answers", "'-3' is no number of answers"]
    with pytest.raises(UsageError, match="known are auto, group, response, pair"):
        check_apart("user")
