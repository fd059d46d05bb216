"""Columns that turn, cancel or lack a judgement: read as what they say, or refused with a flag."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from plt.cli import main

Row = dict[str, Any]


def convert(tmp_path: Path, rows: Any, *flags: str, name: str = "raw.jsonl") -> pl.DataFrame | int:
    """The table, or the exit code where there is none."""
    raw, out = tmp_path / name, tmp_path / "out.parquet"
    lines = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
    raw.write_text(lines)
    code = main(["dataset-convert", "generic", str(raw), "-o", str(out), *flags])
    return pl.read_parquet(out) if code == 0 else code


def chosen(i: int, **more: Any) -> Row:
    return {
        "user_id": f"u{i % 3}",
        "prompt": f"q{i}",
        "chosen": f"g{i}",
        "rejected": f"b{i}",
    } | more


def pair(i: int, **more: Any) -> Row:
    sides = {"response_a": f"x{i}", "response_b": f"y{i}"}
    return {"user_id": f"u{i % 3}", "prompt": f"q{i}"} | sides | more


def winners(found: pl.DataFrame | int) -> dict[str, str]:
    """Prompt to the preferred text, or ``tie``."""
    assert isinstance(found, pl.DataFrame)
    said = {}
    for row in found.to_dicts():
        side = "response_a" if row["label"] > 0.5 else "response_b"
        said[row["prompt"][-1]["content"]] = "tie" if row["label"] == 0.5 else row[side]
    return said


@pytest.mark.parametrize("name", ["worse", "loser", "rejected_response", "losing_side"])
def test_the_worse_response_is_no_label_of_the_better(tmp_path: Path, name: str) -> None:
    rows = [pair(i, **{name: "ab"[i % 2]}) for i in range(6)]
    assert convert(tmp_path, rows, "--map", f"label={name}") == 2
    found = convert(tmp_path, rows, "--map", f"label={name}", "--label-values", "a=b,b=a")
    assert winners(found) == {f"q{i}": f"{'yx'[i % 2]}{i}" for i in range(6)}


@pytest.mark.parametrize("name", ["loss", "perplexity", "errors"])
def test_a_number_of_which_less_is_better_is_no_score(tmp_path: Path, name: str) -> None:
    rows = [
        {"user_id": "u", "prompt": f"q{i}", "response": f"{text}{i}", name: value}
        for i in range(4)
        for text, value in (("x", 0.1), ("y", 0.9))
    ]
    said = ("--map", "response=response", "--map")
    assert convert(tmp_path, rows, *said, f"score={name}") == 2
    found = convert(tmp_path, rows, *said, f"rank={name}")
    assert winners(found) == {f"q{i}": f"x{i}" for i in range(4)}


@pytest.mark.parametrize("flags", [(), ("--map", "tied=is_tie")])
def test_a_tie_beside_chosen_and_rejected_is_a_tie(tmp_path: Path, flags: tuple[str, ...]) -> None:
    found = convert(tmp_path, [chosen(i, is_tie=i == 2) for i in range(6)], *flags)
    assert winners(found) == {f"q{i}": "tie" if i == 2 else f"g{i}" for i in range(6)}


@pytest.mark.parametrize("flags", [(), ("--map", "discarded=status")])
@pytest.mark.parametrize("form", ["chosen", "pair"])
def test_a_discarded_judgement_does_not_count(
    tmp_path: Path, form: str, flags: tuple[str, ...]
) -> None:
    said = ["discarded" if i == 2 else "submitted" for i in range(6)]
    rows = [
        chosen(i, status=said[i]) if form == "chosen" else pair(i, winner="a", status=said[i])
        for i in range(6)
    ]
    text = "g" if form == "chosen" else "x"
    found = convert(tmp_path, rows, *flags)
    assert winners(found) == {f"q{i}": f"{text}{i}" for i in range(6) if i != 2}


def test_two_scores_are_no_label_until_that_is_said(tmp_path: Path) -> None:
    rows = [pair(i, score_a=i % 2, score_b=1 - i % 2) for i in range(6)]
    assert convert(tmp_path, rows) == 2
    found = convert(tmp_path, rows, "--map", "score_1=score_a", "--map", "score_2=score_b")
    assert winners(found) == {f"q{i}": f"{'yx'[i % 2]}{i}" for i in range(6)}


def test_columns_of_json_are_joined_by_their_index(tmp_path: Path) -> None:
    rows = [chosen(i) for i in range(6)]
    order = {"chosen": [3, 1, 0, 2, 5, 4]}
    document = {
        name: {str(i): rows[i][name] for i in order.get(name, range(6))} for name in rows[0]
    }
    found = convert(tmp_path, json.dumps(document), name="raw.json")
    assert winners(found) == {f"q{i}": f"g{i}" for i in range(6)}


def test_lists_of_rows_by_person_name_every_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = {f"u{u}": [chosen(u), chosen(u + 3)] for u in range(3)}
    assert convert(tmp_path, json.dumps(document), name="raw.json") == 2
    assert "to_entries[]" in capsys.readouterr().err
