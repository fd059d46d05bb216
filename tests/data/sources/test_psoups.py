import json
from pathlib import Path

import pytest

from plt.data.sources import psoups
from plt.errors import DataError

RAW = {
    "P1A": "Generate a response that can be easily understood by an elementary school student.",
    "P1B": "Generate a response that only a PhD Student in that specific field could understand.",
    "P2A": "Generate/Choose a response that is concise and to the point without being verbose.",
    "P2B": "Choose a response that is very informative without missing any background information.",
    "P3A": "Generate a response that is friendly, witty, funny, and humorous, like a close friend.",
    "P3B": "Generate a response in an unfriendly manner.",
}


def write(folder: Path, extra: dict[str, list[dict[str, str]]] | None = None) -> Path:
    inner = folder / "data" / "rm_training"
    inner.mkdir(parents=True)
    for user, sentence in RAW.items():
        good, bad = ("short", "long") if user.endswith("A") else ("long", "short")
        rows = [
            {
                "user_input": f"question {i} {sentence}",
                "completion_a": f"{good} answer {i}",
                "completion_b": f"{bad} answer {i}",
            }
            for i in range(3)
        ]
        rows = rows * 2 + (extra or {}).get(user, [])
        (inner / f"{user}.json").write_text(json.dumps(rows))
    return folder


def test_sentences_are_stripped_duplicates_dropped_and_users_are_files(tmp_path: Path) -> None:
    said: list[str] = []
    prefs = psoups.load(write(tmp_path), None, said.append)
    assert said == []
    assert {p[0]["content"] for p in prefs.pairs["prompt"]} == {f"question {i}" for i in range(3)}
    assert prefs.meta.dropped == {"duplicate": 18}
    assert prefs.votes.height == 18
    assert prefs.pairs.height == 3  # All six judge the same pairs.
    assert sorted(prefs.votes["user_id"].cast(str).unique()) == sorted(RAW)
    won = {
        str(row["user_id"]): row["response_a"] if row["label"] == 1 else row["response_b"]
        for row in prefs.wide().iter_rows(named=True)
    }
    assert won["P1A"].startswith("short")
    assert won["P3B"].startswith("long")
    profiles = dict(prefs.votes.select("user_id", "profile").unique().iter_rows())
    assert profiles["P3B"] == psoups.SENTENCES["P3B"]


@pytest.mark.parametrize("user", RAW)
def test_wordings_differ_between_releases(user: str) -> None:
    pattern = psoups.sentence_pattern(psoups.SENTENCES[user])
    for sentence in (RAW[user], psoups.SENTENCES[user]):
        for wording in (sentence, sentence.replace(",", ""), f" {sentence} ", sentence.rstrip(".")):
            assert pattern.sub("", f"Name a fish.\n{wording}").strip() == "Name a fish."
    other = next(text for name, text in RAW.items() if name != user)
    assert pattern.sub("", f"Name a fish. {other}") == f"Name a fish. {other}"


def test_prompts_without_the_sentence_are_said(tmp_path: Path) -> None:
    row = {"user_input": "q Be brief.", "completion_a": "x", "completion_b": "y"}
    said: list[str] = []
    psoups.load(write(tmp_path, {"P2A": [row]}), None, said.append)
    assert len(said) == 1
    assert "1 of 7 prompts hold no preference sentence of P2A" in said[0]


def test_equal_completions_and_reversed_duplicates(tmp_path: Path) -> None:
    q = f"question 0 {RAW['P1A']}"
    rows = [
        {"user_input": q, "completion_a": "same", "completion_b": "same"},
        {"user_input": q, "completion_a": "long answer 0", "completion_b": "short answer 0"},
    ]
    prefs = psoups.load(write(tmp_path, {"P1A": rows}), None, print)
    assert prefs.meta.dropped == {"duplicate": 18, "identical responses": 1}
    again = prefs.votes.filter(prefs.votes["occurrence"] == 1)
    assert again["user_id"].to_list() == ["P1A"]


def test_missing_files_are_named(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "data" / "rm_training" / "P2B.json").unlink()
    with pytest.raises(DataError, match=r"lacks P2B\.json"):
        psoups.load(folder)
