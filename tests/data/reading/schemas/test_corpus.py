"""One tiny file of every public schema, converted with no flag, against its set written by hand.

Each file was written from the schema's public page with sides that change, a tie, an answer that
was skipped and several judges, as far as the schema has them. `NAME.expected.json` lists user,
prompt (its turns joined by bars), winner, loser and ``>``, or two texts in their order and ``=``.
"""

import json
import shlex
from pathlib import Path

import pytest

from plt.data.reading.schemas.registry import SCHEMAS, recognise
from plt.data.reading.shards import read_all
from plt.data.sources.generic import GenericOptions, convert
from plt.data.tables.preferences import Preferences

CORPUS = Path(__file__).parents[1] / "corpus"
FILES = sorted(path for path in CORPUS.iterdir() if not path.name.endswith(".expected.json"))


def judged(prefs: Preferences) -> list[tuple[str | None, str, str, str, str]]:
    """(user, prompt, winner, loser, sign) of every judgement."""
    found = []
    for row in prefs.wide().iter_rows(named=True):
        prompt = " | ".join(turn["content"] for turn in row["prompt"])
        one, two = row["response_a"], row["response_b"]
        if row["label"] == 0.5:
            found.append((row["user_id"], prompt, *sorted((one, two)), "="))
        else:
            assert row["label"] in (0.0, 1.0)
            winner, loser = (one, two) if row["label"] == 1 else (two, one)
            found.append((row["user_id"], prompt, winner, loser, ">"))
    return sorted(found, key=str)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_of_each_schema_comes_in_right_with_no_flag(path: Path) -> None:
    said: list[str] = []
    prefs = convert(path, GenericOptions.parse(), said.append)
    expected = json.loads((CORPUS / f"{path.stem}.expected.json").read_text(encoding="utf-8"))
    assert judged(prefs) == sorted(map(tuple, expected), key=str)
    assert any("recognised as" in sentence for sentence in said)
    assert any("--map" in sentence for sentence in said)


def test_every_schema_has_a_file_that_only_it_recognises() -> None:
    found = {path.stem: recognise(read_all(path)) for path in FILES}
    titles = {name.split(".")[0]: seen.schema.title for name, seen in found.items() if seen}
    assert set(titles) == set(SCHEMAS)
    assert len(set(titles.values())) == len(SCHEMAS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_flags_that_are_said_make_the_same_table(path: Path) -> None:
    said: list[str] = []
    prefs = convert(path, GenericOptions.parse(), said.append)
    (line,) = [text.partition(" form: ")[2] for text in said if " form: --map" in text]
    words = shlex.split(line)
    maps = [words[i + 1] for i, word in enumerate(words) if word == "--map"]
    values = [words[i + 1] for i, word in enumerate(words) if word == "--label-values"]
    again = convert(path, GenericOptions.parse(maps, *values), said.append)
    assert again.wide().equals(prefs.wide())
