"""The rating form of `generic`: several responses with scores."""

import polars as pl

from tests.data.sources.generic_rows import from_rows, liked, refused

# Rating form

RATED = {
    "prompt": "q",
    "responses": ["x", "y", "z"],
    "scores": [3, 1, 3],
    "models": ["mx", "my", "mz"],
    "user": "u",
}


def test_wide_lists_of_scores() -> None:
    prefs = from_rows([RATED])
    assert liked(prefs) == [("u", "x", "y", 1.0), ("u", "z", "y", 1.0)]
    assert prefs.meta.dropped == {"score tie": 1}
    row = prefs.wide().filter(pl.col("response_a").is_in(["x"]) | (pl.col("response_b") == "x"))
    found = row.row(0, named=True)
    side = "a" if found["response_a"] == "x" else "b"
    assert (found[f"score_{side}"], found[f"source_{side}"]) == (3.0, "mx")


def test_tie_below_makes_ties_instead() -> None:
    prefs = from_rows([{**RATED, "scores": [3, 2.6, 1]}], tie_below=0.5)
    assert sorted(row[3] or 0 for row in liked(prefs)) == [0.5, 1.0, 1.0]
    assert prefs.meta.dropped == {}


def test_best_worst_is_one_pair() -> None:
    prefs = from_rows([{**RATED, "scores": [2, 1, 3]}], pairs="best-worst")
    assert liked(prefs) == [("u", "z", "y", 1.0)]


def test_random_pairs_do_not_depend_on_the_order_of_rows() -> None:
    rows = [
        {
            **RATED,
            "user": f"u{i}",
            "responses": list("abcdefgh"),
            "scores": [i, 2, 3, 4, 5, 6, 7, 8],
        }
        for i in range(10, 16)
    ]
    rows = [{name: row[name] for name in row if name != "models"} for row in rows]
    forward = from_rows(rows, pairs="random:3")
    assert forward.votes.height == 18
    assert liked(from_rows(rows[::-1], pairs="random:3")) == liked(forward)
    assert liked(from_rows(rows, pairs="random:3", seed=1)) != liked(forward)


def test_numbered_columns_and_one_user_a_judge() -> None:
    row = {
        "prompt": "q", "response_1": "x", "response_2": "y", "response_10": "z",
        "response_1_model": "m1", "response_2_model": "m2", "response_10_model": "m10",
        "response_1_rm_a": 1, "response_2_rm_a": 2, "response_10_rm_a": None,
        "response_1_rm_b": 5, "response_2_rm_b": 4, "response_10_rm_b": 3,
    }  # fmt: skip
    prefs = from_rows(
        [row], "response=response_*", "source=response_*_model",
        "score=response_*_rm_a,response_*_rm_b",
    )  # fmt: skip
    assert liked(prefs) == [
        ("rm_a", "y", "x", 1.0), ("rm_b", "x", "y", 1.0), ("rm_b", "x", "z", 1.0),
        ("rm_b", "y", "z", 1.0),
    ]  # fmt: skip
    assert prefs.meta.dropped == {"no score": 1}
    assert set(prefs.votes["source_a"]) | set(prefs.votes["source_b"]) == {"m1", "m2", "m10"}


def test_scores_by_user_in_objects() -> None:
    entries = [
        {"system": "s1", "text": "x", "scores": {"r1": -1, "r2": 0}},
        {"system": "s2", "text": "y", "scores": {"r1": 0, "r2": -5.5}},
    ]
    prefs = from_rows([{"prompt": "q", "responses": entries}])
    assert liked(prefs) == [("r1", "y", "x", 1.0), ("r2", "x", "y", 1.0)]


def test_long_form_pairs_the_responses_of_one_user_to_one_prompt() -> None:
    rows = [
        {"prompt": p, "response": r, "score": s, "user_id": u}
        for p, r, s, u in [
            ("q", "x", 1, "u"), ("other", "x", 9, "u"), ("q", "y", 2, "u"), ("q", "x", 5, "v"),
            ("q", "z", 4, "v"), ("q", "w", 3, None),
        ]
    ]  # fmt: skip
    assert liked(from_rows(rows)) == [("u", "y", "x", 1.0), ("v", "x", "z", 1.0)]


def test_scores_that_are_no_numbers_are_named_with_their_rows() -> None:
    error = refused([{**RATED, "scores": [1, "good", float("nan")]}])
    assert error.problems == ["line 1: scores.*: 'good' is not a number"]
    row = {"prompt": "q", "response": "x", "user_id": "u"}
    scores = ["-inf", "inf", 1, float("nan")]
    error = refused([{**row, "score": score} for score in scores])
    assert [problem.split(":")[0] for problem in error.problems] == ["line 1", "line 2"]


def test_too_many_pairs_are_refused_with_the_hint() -> None:
    rows = [{"prompt": "q", "response": str(i), "score": i} for i in range(3_200)]
    error = refused(rows)
    assert "5,118,400 pairs; the limit is 5,000,000" in error.message
    assert error.hint == "--pairs random:40"
    assert from_rows(rows, pairs="random:40").votes.height == 40


def test_the_letter_of_the_best_of_a_list_prefers_it_to_the_others() -> None:
    row = {"prompt": "q", "responses": ["x", "y", "z"], "preferred": "B", "annotator": "u"}
    assert liked(from_rows([row])) == [("u", "y", "x", 1.0), ("u", "y", "z", 1.0)]
    wide = {"prompt": "q", "response_a": "x", "response_b": "y", "response_c": "z", "user": "u"}
    assert liked(from_rows([{**wide, "preferred_response": "response_c"}])) == [
        ("u", "z", "x", 1.0), ("u", "z", "y", 1.0),
    ]  # fmt: skip


def test_a_ranking_has_ties_and_may_leave_responses_out() -> None:
    row = {"prompt": "q", "responses": ["x", "y", "z", "w"], "ranking": "B>A=D", "user": "u"}
    assert liked(from_rows([row])) == [
        ("u", "w", "x", 0.5), ("u", "y", "w", 1.0), ("u", "y", "x", 1.0),
    ] or liked(from_rows([row])) == [
        ("u", "x", "w", 0.5), ("u", "y", "w", 1.0), ("u", "y", "x", 1.0),
    ]  # fmt: skip
