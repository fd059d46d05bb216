import json
from pathlib import Path

import pytest

from plt.data.sources import ultrafeedback_p
from plt.data.sources.ultrafeedback_p import split_release
from plt.data.tables.preferences import Preferences
from plt.errors import DataError, UsageError

Ratings = tuple[object, object, object, object]


def completion(name: str, ratings: Ratings) -> dict[str, object]:
    annotations = {
        attribute: {"Rating": rating, "Rationale": "because"}
        for attribute, rating in zip(ultrafeedback_p.ATTRIBUTES, ratings, strict=True)
    }
    return {"model": f"m-{name}", "response": f"answer {name}", "annotations": annotations}


def load(folder: Path, rows: list[dict[str, object]], variant: str | None = None) -> Preferences:
    (folder / "flan.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ultrafeedback_p.load(folder, variant, lambda _: None)


def winners(prefs: Preferences) -> list[tuple[str, str, str]]:
    return sorted(
        (
            str(row["user_id"]),
            row["response_a"] if row["label"] == 1 else row["response_b"],
            row["response_b"] if row["label"] == 1 else row["response_a"],
        )
        for row in prefs.wide().iter_rows(named=True)
    )


ROW = {
    "source": "flan", "instruction": "do it",
    "completions": [completion("x", ("5", "1", "3", "N/A")), completion("y", ("2", "4", "3", "5"))],
}  # fmt: skip


def test_each_attribute_is_a_user_and_ties_are_dropped(tmp_path: Path) -> None:
    prefs = load(tmp_path, [ROW])
    assert winners(prefs) == [
        ("helpfulness", "answer x", "answer y"), ("honesty", "answer y", "answer x"),
    ]  # fmt: skip
    assert prefs.meta.dropped == {"score tie": 1, "no score": 1}
    assert prefs.pairs["prompt"][0].to_list() == [{"role": "user", "content": "do it"}]
    found = prefs.wide().row(0, named=True)
    assert {found["source_a"], found["source_b"]} == {"m-x", "m-y"}
    assert found["subset"] == "flan"


def test_variants_choose_users_and_disputed_pairs(tmp_path: Path) -> None:
    agreed = {**ROW, "instruction": "easy", "completions": [
        completion("x", (5, 5, 1, 5)), completion("y", (1, 1, 5, 5)),
    ]}  # fmt: skip
    assert len(winners(load(tmp_path, [ROW, agreed]))) == 5
    assert len(winners(load(tmp_path, [ROW, agreed], "p2"))) == 4
    disputed = load(tmp_path, [ROW, agreed], "p2-controversial")
    assert len(winners(disputed)) == 2
    assert disputed.pairs.height == 1
    assert disputed.meta.dropped == {"users agree": 2}
    assert load(tmp_path, [ROW, agreed], "p4-controversial").votes.height == 5
    with pytest.raises(DataError, match="agree on every pair"):
        load(tmp_path, [agreed], "p2-controversial")
    with pytest.raises(UsageError, match="no variant"):
        load(tmp_path, [ROW], "p3")


@pytest.mark.parametrize("marker", ["\nAssistant: ", " Assistant: ", "\n\nAssistant: "])
def test_an_answer_that_contains_the_marker_is_not_cut(marker: str) -> None:
    answers = "He said: Assistant: go.", "He said: Assistant: stay."
    chosen, rejected = (f"Human: what?{marker}{answer}" for answer in answers)
    assert split_release("what?", chosen, rejected) == ("what?", *answers)
    assert split_release("Human: what? ", chosen, rejected) == ("what?", *answers)
    prompt, one, two = split_release(None, f"Human: what?{marker}x", f"Human: what?{marker}y")
    assert (prompt, one, two) == ("what?", "x", "y")
    assert split_release("what?", "x", "y") == ("what?", "x", "y")
    assert split_release("what?", "x", None) == ("what?", "x", None)


def test_the_pairwise_release(tmp_path: Path) -> None:
    rows = [
        {"attributes": a, "prompt": "q", "chosen": f"Human: q\nAssistant: {one}",
         "rejected": f"Human: q\nAssistant: {two}"}
        for a, one, two in [("honesty", "x", "y"), ("truthfulness", "y", "x")]
    ]  # fmt: skip
    prefs = load(tmp_path, rows)
    assert winners(prefs) == [("honesty", "x", "y"), ("truthfulness", "y", "x")]
    assert load(tmp_path, rows, "p2").meta.dropped == {"user outside the variant": 1}
    rows[0]["attributes"] = "charm"
    with pytest.raises(DataError, match="does not rate") as caught:
        load(tmp_path, rows)
    assert caught.value.problems == ["charm"]
