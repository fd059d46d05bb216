"""Equal texts of one list of ratings are one response, in every source that makes pairs of ratings.

The pairs of a list share its ratings, so only another list can make an occurrence above 0.
"""

import gzip
import json
from collections import defaultdict
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plt.analyze.dataset.describe import describe
from plt.data.reading.ratings import SAME_TEXT
from plt.data.sources import jester, personalllm, prism, ultrafeedback_p
from plt.data.sources.generic import GenericOptions, convert
from plt.data.sources.personalllm import SCALES
from plt.data.tables.preferences import Preferences
from plt.errors import DataError
from tests.data.sources.generic_rows import from_rows, silent
from tests.data.sources.prism_files import Entry, conversation, person, turn, write

Rating = tuple[str, str, str, int]
"""User, prompt, text, score in tenths."""


def judged(prefs: Preferences) -> list[tuple[str, str, str, str]]:
    """(user, prompt, winner, loser) of every judgement, sorted; each may stand there twice."""
    rows = []
    for row in prefs.wide().iter_rows(named=True):
        sides = (row["response_a"], row["response_b"])
        winner, loser = sides if row["label"] == 1 else sides[::-1]
        rows.append((row["user_id"], row["prompt"][-1]["content"], winner, loser))
    return sorted(rows)


def no_repeats(prefs: Preferences) -> bool:
    return prefs.votes["occurrence"].max() == 0


def reference(ratings: list[Rating]) -> list[tuple[str, str, str, str]]:
    """The same by exact arithmetic."""
    scores: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for user, prompt, text, score in ratings:
        scores[user, prompt][text].append(score)
    found = []
    for (user, prompt), texts in scores.items():
        means = {text: Fraction(sum(given), len(given)) for text, given in texts.items()}
        for one, two in combinations(means, 2):
            if means[one] != means[two]:
                order = (one, two) if means[one] > means[two] else (two, one)
                found.append((user, prompt, *order))
    return sorted(found)


RATINGS = st.lists(
    st.tuples(
        st.sampled_from("uv"), st.sampled_from("pq"), st.sampled_from("wxyz"), st.integers(-3, 9)
    ),
    min_size=1,
    max_size=14,
)


def long_form(ratings: list[Rating]) -> list[dict[str, object]]:
    names = ("user_id", "prompt", "response", "score")
    return [
        dict(zip(names, (user, prompt, text, score / 10), strict=True))
        for user, prompt, text, score in ratings
    ]


def wide_form(ratings: list[Rating]) -> list[dict[str, object]]:
    lists: dict[tuple[str, str], list[tuple[str, float]]] = defaultdict(list)
    for user, prompt, text, score in ratings:
        lists[user, prompt].append((text, score / 10))
    return [
        {
            "user_id": user,
            "prompt": prompt,
            "responses": [text for text, _ in rated],
            "scores": [score for _, score in rated],
        }
        for (user, prompt), rated in lists.items()
    ]


def raters_form(ratings: list[Rating]) -> list[dict[str, object]]:
    """A row a prompt, an entry a system, a score a rater: the form of WMT's ratings."""
    systems: dict[str, list[dict[str, object]]] = defaultdict(list)
    for user, prompt, text, score in ratings:
        systems[prompt].append({"text": text, "scores": {user: score / 10}})
    return [{"prompt": prompt, "responses": entries} for prompt, entries in systems.items()]


@pytest.mark.parametrize("form", [long_form, wide_form, raters_form])
@settings(max_examples=60, deadline=None)
@given(ratings=RATINGS, data=st.data())
def test_a_text_rated_again_is_never_a_repeat(
    form: Any, ratings: list[Rating], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(ratings), max_size=3))
    moved = data.draw(st.lists(st.sampled_from(ratings), max_size=3))
    other = [(user, prompt, text, score + 2) for user, prompt, text, score in moved]
    shuffled = data.draw(st.permutations([*ratings, *again, *other]))
    expected = reference(shuffled)
    if not expected:
        with pytest.raises(DataError, match="leaves no pair"):
            from_rows(form(shuffled))
        return
    prefs = from_rows(form(shuffled))
    assert judged(prefs) == expected
    assert no_repeats(prefs)
    distinct = {rating[:3] for rating in shuffled}
    assert prefs.meta.dropped.get(SAME_TEXT, 0) == len(shuffled) - len(distinct)


def test_the_mean_of_equal_texts_decides_and_is_stored() -> None:
    row = {
        "prompt": "q", "user": "u", "responses": ["x", "y", "x"], "scores": [5, 3, 2],
        "models": ["m1", "m2", "m3"],
    }  # fmt: skip
    prefs = from_rows([row])
    assert judged(prefs) == [("u", "q", "x", "y")]
    found = prefs.wide().row(0, named=True)
    x, y = ("a", "b") if found["response_a"] == "x" else ("b", "a")
    assert (found[f"score_{x}"], found[f"score_{y}"]) == (3.5, 3.0)
    # Two systems wrote it, so it is nobody's.
    assert (found[f"source_{x}"], found[f"source_{y}"]) == (None, "m2")
    assert prefs.meta.dropped == {SAME_TEXT: 1}
    same = from_rows([{**row, "models": ["m1", "m2", "m1"]}]).wide().row(0, named=True)
    assert same[f"source_{x}"] == "m1"


def test_best_and_worst_are_those_of_the_means() -> None:
    row = {"prompt": "q", "user": "u", "responses": list("xyzx"), "scores": [9, 5, 1, 0]}
    assert judged(from_rows([row], pairs="best-worst")) == [("u", "q", "y", "z")]


def test_another_list_repeats_a_pair() -> None:
    row = {"prompt": "q", "user": "u", "responses": ["x", "y", "x"], "scores": [5, 3, 4]}
    prefs = from_rows([row, {**row, "scores": [1, 3, 1]}])
    assert judged(prefs) == [("u", "q", "x", "y"), ("u", "q", "y", "x")]
    assert sorted(prefs.votes["occurrence"]) == [0, 1]


def test_wmt_has_no_repeats(shared_data: Path) -> None:
    path = shared_data / "wmt_mqm_sxs" / "ende.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        ratings = [
            (rater, row["prompt"], entry["text"], round(10 * score))  # Tenths: MQM's unit.
            for row in map(json.loads, lines)
            for entry in row["responses"]
            for rater, score in entry["scores"].items()
        ]
    prefs = convert(path, GenericOptions.parse(), silent)
    assert judged(prefs) == reference(ratings)
    assert no_repeats(prefs)
    statistics = describe(prefs.votes, prefs.meta, lambda: prefs)
    assert statistics.coverage.n_repeated == 0


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_jester_jokes_of_one_text(tmp_path: Path) -> None:
    jokes = [{"item_id": f"j{i}", "text": text} for i, text in enumerate("xyx")]
    write_lines(tmp_path / "items.jsonl", jokes)
    rated = [{"user_id": "u", "ratings": {"j0": 4, "j1": 3, "j2": 0}}]
    write_lines(tmp_path / "ratings.jsonl", rated)
    prefs = jester.load(tmp_path)
    assert [row[2:] for row in judged(prefs)] == [("y", "x")]
    assert prefs.meta.dropped == {SAME_TEXT: 1}


def test_ultrafeedback_completions_of_one_text(tmp_path: Path) -> None:
    def completion(text: str, model: str, rating: int) -> dict[str, Any]:
        annotations = {name: {"Rating": rating} for name in ultrafeedback_p.ATTRIBUTES}
        return {"model": model, "response": text, "annotations": annotations}

    answers = [completion("x", "m1", 5), completion("x", "m2", 2), completion("y", "m3", 4)]
    write_lines(tmp_path / "flan.jsonl", [{"instruction": "q", "completions": answers}])
    prefs = ultrafeedback_p.load(tmp_path)
    assert judged(prefs) == [(user, "q", "y", "x") for user in sorted(ultrafeedback_p.ATTRIBUTES)]
    assert no_repeats(prefs)


def test_pairs_of_the_release_that_share_ratings(tmp_path: Path) -> None:
    # x was rated twice: once above y, once below z; each pair stands there once a copy of x.
    pairs = [("x", "y"), ("x", "y"), ("x", "z"), ("z", "x"), ("y", "z")]
    rows = [
        {"prompt": "q", "attributes": "honesty", "chosen": chosen, "rejected": rejected}
        for chosen, rejected in pairs
    ]
    write_lines(tmp_path / "part.jsonl", rows)
    prefs = ultrafeedback_p.load(tmp_path)
    assert judged(prefs) == [("honesty", "q", "x", "y"), ("honesty", "q", "y", "z")]
    assert no_repeats(prefs)
    assert prefs.meta.dropped == {ultrafeedback_p.SAME_PAIR: 2, "score tie": 1}


def personalllm_rows(n: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        row: dict[str, Any] = {"prompt": f"prompt {i}"}
        for j in range(1, 9):
            row[f"response_{j}"] = f"response {min(j, 5)} to {i}"  # The last four are one.
            row |= {f"response_{j}_{model}": float(rng.normal(*SCALES[model])) for model in SCALES}
        rows.append(row)
    return rows


@pytest.mark.parametrize("variant", ["archetypes", "dirichlet"])
def test_personalllm_responses_of_one_text(tmp_path: Path, variant: str) -> None:
    rows = personalllm_rows(50)
    write_lines(tmp_path / "train.jsonl", [*rows, rows[0]])  # A prompt may stand there again.
    prefs = personalllm.load(tmp_path, variant, silent)
    assert no_repeats(prefs)
    scores: dict[tuple[str, str], set[float]] = defaultdict(set)
    for row in prefs.wide().iter_rows(named=True):
        for side in "ab":
            scores[row["user_id"], row[f"response_{side}"]].add(row[f"score_{side}"])
    assert all(len(given) == 1 for given in scores.values())


def test_prism_answers_of_one_text(tmp_path: Path) -> None:
    def load(*answers: tuple[str, float | None, bool]) -> Preferences:
        talk: Entry = conversation("c", "u", turn(0, "q", *answers))
        return prism.load(write(tmp_path, [person("u")], [talk]), None, silent)

    lost = load(("best", 90, True), ("other", 40, False), ("other", 20, False))
    assert judged(lost) == [("u", "q", "best", "other")]
    row = lost.wide().row(0, named=True)
    side = "a" if row["response_a"] == "other" else "b"
    assert (row[f"score_{side}"], row[f"source_{side}"]) == (30.0, None)
    assert lost.meta.dropped == {SAME_TEXT: 1}
    won = load(("best", 90, True), ("best", 50, False), ("other", 60, False))
    assert judged(won) == [("u", "q", "best", "other")]
    assert won.meta.dropped == {SAME_TEXT: 1}
    below = load(("best", 90, True), ("best", 10, False), ("other", 60, False), ("z", 1, False))
    assert judged(below) == [("u", "q", "best", "z")]
    assert below.meta.dropped == {SAME_TEXT: 1, "chosen scored lower": 1}
    unscored = load(("best", None, True), ("best", 10, False), ("other", None, False))
    assert judged(unscored) == [("u", "q", "best", "other")]
