"""Copies of rows, and the order in which the two responses are mapped."""

from pathlib import Path

import pytest

from plt.cli import main
from plt.data.sources.generic import GenericOptions, convert
from plt.data.tables.preferences import read_preferences
from plt.errors import DataError, UsageError
from tests.data.sources.generic_rows import PAIR, from_rows, jsonl, liked, refused

VOTE = {"user_id": "u", "prompt": "q", "model_a": "text a", "model_b": "text b"}
IN_ORDER = ("response_1=model_a", "response_2=model_b", "label=winner")
TURNED = ("response_1=model_b", "response_2=model_a", "label=winner")
COPIED = [{**PAIR, "user_id": "u"}, {**PAIR, "user_id": "v"}, {**PAIR, "user_id": "u"}]


def test_both_orders_of_mapping_make_the_same_table() -> None:
    winners = ["model_a", "model_b", "tie", "model_a"]
    rows: list[dict[str, object]] = [
        {**VOTE, "prompt": f"p{i}", "winner": word} for i, word in enumerate(winners)
    ]
    one, other = (from_rows(rows, *maps) for maps in (IN_ORDER, TURNED))
    assert one.wide().equals(other.wide())
    assert liked(from_rows(rows[:1], *TURNED)) == [("u", "text a", "text b", 1.0)]


@pytest.mark.parametrize("word", ["a", "A", "b", "MODEL_A", 1, 0])
def test_labels_that_contradict_a_turned_mapping_are_refused(word: object) -> None:
    rows = [{**VOTE, "winner": word}]
    error = refused(rows, *TURNED)
    assert error.hint is not None
    assert "--label-values" in error.hint
    said = from_rows(rows, *TURNED, label_values=f"a={word}")
    assert liked(said) == [("u", "text b", "text a", 1.0)]


def test_exact_copies_are_kept_and_said() -> None:
    said: list[str] = []
    prefs = convert(jsonl(COPIED), GenericOptions.parse(), said.append)
    assert prefs.votes["occurrence"].sort().to_list() == [0, 0, 1]
    assert any("1 row repeats an earlier row exactly" in text for text in said)
    assert any("--duplicates drop" in text for text in said)
    said.clear()
    convert(jsonl([*COPIED, COPIED[1]]), GenericOptions.parse(), said.append)
    assert any("2 rows repeat an earlier row exactly" in text for text in said)


def test_exact_copies_are_dropped_and_counted_when_asked() -> None:
    said: list[str] = []
    again = {**COPIED[0], "label": 0.0}  # A second judgement: not a copy.
    listed = {**PAIR, "user_id": "w", "extra": [{"k": 1}]}
    data = jsonl([*COPIED, again, listed, listed])
    prefs = convert(data, GenericOptions.parse(duplicates="drop"), said.append)
    assert prefs.meta.dropped == {"exact duplicate row": 2}
    assert sorted(row[0] or "" for row in liked(prefs)) == ["u", "u", "v", "w"]
    assert not any("repeat" in text for text in said)
    with pytest.raises(UsageError, match="keep or drop, not 'some'"):
        GenericOptions.parse(duplicates="some")


def test_lines_are_still_named_rightly_after_copies_are_dropped() -> None:
    rows = [*COPIED, {**PAIR, "label": "left"}]
    with pytest.raises(DataError) as caught:
        convert(jsonl(rows), GenericOptions.parse(duplicates="drop"), print)
    assert caught.value.problems[0].startswith("line 4: ")


def test_the_flag_of_the_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.jsonl").write_bytes(jsonl(COPIED))
    line = ["dataset-convert", "generic", str(tmp_path / "x.jsonl"), "-o"]
    assert main([*line, str(tmp_path / "kept.parquet")]) == 0
    assert "--duplicates drop" in capfd.readouterr().err
    assert main([*line, str(tmp_path / "dropped.parquet"), "--duplicates", "drop"]) == 0
    assert "dropped 1: exact duplicate row" in capfd.readouterr().err
    heights = [
        read_preferences(tmp_path / f"{name}.parquet").votes.height for name in ("kept", "dropped")
    ]
    assert heights == [3, 2]
    assert main(["dataset-convert", "tldr", str(tmp_path), "--duplicates", "drop"]) == 2
    assert "--duplicates belong to generic" in capfd.readouterr().err
