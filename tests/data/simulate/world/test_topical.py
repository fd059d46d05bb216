"""Conversations: turns that share the chosen answer and go on from it."""

import math

import numpy as np
import polars as pl
import pytest

from plt.data.simulate import attributes, noise
from plt.data.simulate.world import topical
from plt.errors import UsageError
from tests.data.simulate.populations import MODULES, TOPICAL, rows, small

TALK = {"turns": 3, "overlap": 1.0, "repeats": 0.0, "ties": "coin"}


@pytest.mark.parametrize("name", TOPICAL)
def test_conversations_have_the_pairs_that_their_turns_make(name):
    config = small(MODULES[name], **TALK, users=5, pairs_per_user=30)
    prefs = MODULES[name].simulate(config)
    assert prefs.votes.height == prefs.pairs.height == 5 * 30
    groups = prefs.votes.group_by("group").agg(pl.len(), pl.col("user_id").n_unique())
    assert groups.height == 5 * 6
    assert set(groups["len"]) == {5}
    assert set(groups["user_id"]) == {1}


def test_the_chosen_answer_is_in_all_pairs_of_its_turn_and_in_the_next_prompt():
    config = attributes.Config(**TALK, users=4, pairs_per_user=10, labels="hard")
    table = attributes.simulate(config).wide().with_columns(turn=pl.col("prompt").list.len() // 2)
    chosen = pl.when(pl.col("label") == 1).then("response_a").otherwise("response_b")
    turns = (
        table.with_columns(chosen=chosen)
        .group_by("group", "turn")
        .agg(pl.col("chosen").n_unique(), pl.len(), pl.col("prompt").first(), best=chosen.first())
    )
    assert set(turns["chosen"]) == {1}
    sizes = dict(turns.group_by("turn").agg(pl.col("len").unique()).iter_rows())
    assert sizes == {0: [3], 1: [1], 2: [1]}
    for group in turns.partition_by("group"):
        ordered = group.sort("turn")
        for turn in (0, 1):
            following = ordered["prompt"][turn + 1].to_list()
            roles = [message["role"] for message in following]
            assert roles == ["user", "assistant"] * (turn + 1) + ["user"]
            assert following[-2]["content"] == ordered["best"][turn]
            assert following[: 2 * turn + 1] == ordered["prompt"][turn].to_list()


def test_the_best_answer_is_chosen_unless_a_slip_takes_another_one():
    hard = rows(noise.simulate(noise.Config(**TALK, users=60, noise=0.0, pairs_per_user=30)))
    hard = hard.filter(pl.col("difference").abs() > 1e-9)
    assert (np.sign(hard["difference"]) == 2 * hard["label"].to_numpy() - 1).all()
    slips = rows(noise.simulate(noise.Config(**TALK, users=60, noise=0.3, pairs_per_user=30)))
    later = slips.filter(pl.col("prompt").list.len() > 1)  # two answers: a slip turns the label
    later = later.filter(pl.col("difference").abs() > 1e-9)
    wrong = ((later["difference"] > 0) != (later["label"] == 1)).mean()
    assert wrong == pytest.approx(0.3, abs=5 * math.sqrt(0.21 / later.height))


def test_sampled_choices_follow_plackett_and_luce():
    config = attributes.Config(scale=2.0, noise=0.0)
    reward = np.array([0.0, 0.5, 1.0])
    rng = np.random.default_rng(0)
    picks = [topical.choose(config, reward, rng) for _ in range(6000)]
    expected = np.exp(2 * reward) / np.exp(2 * reward).sum()
    np.testing.assert_allclose(np.bincount(picks) / 6000, expected, atol=0.03)


def test_ties_in_conversations_can_be_labelled():
    talk = {**TALK, "ties": "label"}
    table = rows(attributes.simulate(attributes.Config(**talk, users=10, pairs_per_user=40)))
    tied = table["difference"].abs() < 1e-9
    assert tied.any()
    assert (table["label"] == 0.5).equals(tied.rename("label"))


def test_what_conversations_cannot_have_is_named_at_once():
    with pytest.raises(UsageError) as caught:
        attributes.Config(turns=2, labels="soft")
    assert caught.value.problems == [
        "overlap is 10.0; conversations need overlap=1",
        "repeats is 0.2; conversations need repeats=0",
        "ties is 'skip'; conversations need ties=label or ties=coin",
        "labels is 'soft'; in conversations somebody chooses: hard or sampled",
    ]


def test_more_answers_than_there_are_texts_are_refused():
    with pytest.raises(UsageError, match="there are no 3 different responses") as caught:
        topical.different(lambda prompt, known: "ab"[known % 2], 0, 3)
    assert caught.value.hint == "lower responses to 2 and raise prompts instead"
