"""Prompts of a table, each once, and texts as a table."""

import pytest

from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.generations import distinct_prompts, prompt_id, texts_table
from plt.data.tables.schema import GENERATIONS, validate
from plt.errors import DataError, UsageError
from tests.data.made_tables import crossed, user_turn


def test_prompts_are_those_of_the_test_part_where_there_is_one() -> None:
    prefs = crossed(3, 40)
    assert distinct_prompts(prefs).height == 40
    parted = split(prefs, SplitPlan(by="prompt", unseen_users=0.0))
    tested = parted.votes.filter(parted.votes["split"] == "test")["pair_id"].n_unique()
    assert 0 < distinct_prompts(parted).height == tested < 40
    assert distinct_prompts(parted, "all").height == 40
    with pytest.raises(UsageError, match="known are all, train, val, test"):
        distinct_prompts(parted, "tests")
    with pytest.raises(DataError, match="no val rows"):
        distinct_prompts(prefs, "val")


def test_a_smaller_draw_is_part_of_a_larger_one() -> None:
    prefs = crossed(2, 40)
    few, more = (set(distinct_prompts(prefs, n=n, seed=1)["prompt_id"]) for n in (5, 20))
    assert (len(few), len(more), few < more) == (5, 20, True)
    assert set(distinct_prompts(prefs, n=5, seed=2)["prompt_id"]) != few
    assert distinct_prompts(prefs, n=99).height == 40


def test_texts_become_a_table_that_fits() -> None:
    prompts = distinct_prompts(crossed(1, 3))
    rows = [
        {"prompt": i, "user_id": "u", "response": "two words", "system": "s", "control": "policy",
         "seed": 0, "sample": 0, "n_tokens": 9, "ended": True, "reward": None}
        for i in (2, 0)
    ]  # fmt: skip
    table = texts_table(prompts, rows)
    assert validate(table, GENERATIONS) == []
    assert table["n_words"].to_list() == [2, 2]
    assert table["prompt_id"].to_list() == [prompts["prompt_id"][2], prompts["prompt_id"][0]]
    assert table["prompt_id"][0] == prompt_id(table["prompt"].to_list()[0])
    assert user_turn("prompt 0") in table["prompt"].to_list() + prompts["prompt"].to_list()
