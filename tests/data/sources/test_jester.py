import json
from pathlib import Path

import pytest

from plt.data.reading.ratings import PairRule
from plt.data.sources import jester
from plt.errors import DataError


def write(folder: Path, ratings: list[dict[str, object]]) -> Path:
    items = [{"item_id": f"j{i}", "text": f"joke {i}"} for i in range(4)]
    for name, rows in (("items.jsonl", items), ("ratings.jsonl", ratings)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_ratings_become_pairs(tmp_path: Path) -> None:
    people = [
        {"user_id": "a", "ratings": {"j0": 1.5, "j1": -2, "j2": None}},
        {"user_id": "b", "ratings": {"j0": 0, "j1": 0, "j3": 3}},
    ]
    prefs = jester.load(write(tmp_path, people))
    assert prefs.meta.dropped == {"score tie": 1}
    rows = [
        (str(row["user_id"]), *sorted([row["response_a"], row["response_b"]]))
        for row in prefs.wide().iter_rows(named=True)
    ]
    assert sorted(rows) == [
        ("a", "joke 0", "joke 1"), ("b", "joke 0", "joke 3"), ("b", "joke 1", "joke 3"),
    ]  # fmt: skip
    row = prefs.wide().filter(prefs.wide()["user_id"] == "a").row(0, named=True)
    side = "a" if row["response_a"] == "joke 0" else "b"
    assert (row[f"score_{side}"], row[f"source_{side}"]) == (1.5, "j0")
    assert row["label"] == float(side == "a")
    assert prefs.pairs["prompt"][0].to_list() == [{"role": "user", "content": "Tell me a joke."}]


def test_unknown_items_and_bad_ratings_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="rates items") as caught:
        jester.load(write(tmp_path, [{"user_id": "a", "ratings": {"j0": 1, "j9": 2}}]))
    assert caught.value.problems == ["item 'j9'"]
    with pytest.raises(DataError) as caught:
        jester.load(write(tmp_path, [{"user_id": "a", "ratings": {"j0": "good", "j1": 2}}]))
    assert caught.value.problems[0].startswith("line 1: ratings: could not convert")


@pytest.mark.slow
def test_the_sample_of_5000_people(shared_data: Path) -> None:
    prefs = jester.load(shared_data / "jester5k")
    assert prefs.votes.height == 5000 * 40 - 2011
    assert prefs.meta.dropped == {"score tie": 2011}
    assert prefs.pairs.height == 100 * 99 // 2
    assert prefs.votes["user_id"].n_unique() == 4998  # Two people rated every joke alike.
    one = jester.load(shared_data / "jester5k", rule=PairRule("best-worst"))
    assert one.votes.height == 4998
