"""Workers by rank who want longer or shorter summaries."""

import numpy as np
import pytest

from plt.data.simulate import length
from plt.errors import UsageError
from tests.data.simulate.populations import rows


def test_the_workers_who_want_shorter_ones_are_the_known_ones():
    assert np.flatnonzero(length.signs(length.Config(users=10)) < 0).tolist() == [3, 4, 5]
    assert (length.signs(length.Config(users=40)) < 0).sum() == 14


def test_more_workers_do_not_change_the_first_ones_nor_do_other_draws():
    np.random.seed(1)  # the global generator plays no part
    first = length.signs(length.Config(users=10, seed=9))
    assert (length.signs(length.Config(users=40))[:10] == first).all()
    people = length.user_table(length.Config(users=10))
    assert people.filter(attr_kind="shorter")["attr_rank"].to_list() == [4, 5, 6]


def test_without_noise_every_worker_always_wants_the_same_direction():
    table = rows(length.simulate(length.Config()))
    longer = table["response_a"].str.len_chars() > table["response_b"].str.len_chars()
    wanted = (longer == (table["label"] == 1)).to_numpy()
    kind = dict(length.user_table(length.Config()).select("user_id", "attr_kind").rows())
    expected = np.array([kind[user] == "longer" for user in table["user_id"]])
    assert (wanted == expected).all()
    assert wanted.mean() == 0.7  # seven of ten workers, as many pairs each


def test_summaries_name_details_of_their_post_and_three_in_ten_are_fragments():
    corpus = length.corpus(length.Config(prompts=400, responses=4))
    words = np.array([len(text.split()) for text in corpus.responses])
    # Different summaries of a post are asked for, so that fragments, which are few, are rarer.
    assert 0.2 < (words <= 3).mean() <= 0.32
    for text, prompt in list(zip(corpus.responses, corpus.prompt, strict=True))[:200]:
        post = corpus.prompts[prompt][0]["content"]
        if not text.endswith("."):
            assert len(text.split()) <= 3
            assert text in post
    assert all(post[0]["content"].endswith("TL;DR:") for post in corpus.prompts)


def test_the_true_reward_is_the_length_in_hundreds_of_characters():
    truth = length.simulate(length.Config()).meta.truth
    texts = ["", "a" * 50, "é" * 100]
    np.testing.assert_allclose(length.true_reward(truth, texts, "u001"), [0.0, 0.5, 1.0])
    np.testing.assert_allclose(length.true_reward(truth, texts, "u004"), [0.0, -0.5, -1.0])


def test_its_own_knobs_are_checked():
    with pytest.raises(UsageError) as caught:
        length.Config(prompts=0, responses=1, longer=2, workers_seed=-1)
    assert len(caught.value.problems) == 4
