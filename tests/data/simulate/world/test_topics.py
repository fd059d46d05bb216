"""Questions are all different, and answers to them have as much content as asked."""

import numpy as np
import pytest

from plt.data.simulate.banks import bank
from plt.data.simulate.world import topics


def test_all_questions_are_different():
    assert len({topics.question(i) for i in range(topics.MAX_PROMPTS)}) == topics.MAX_PROMPTS


def test_the_first_hundred_questions_ask_four_times_about_each_topic():
    goals = [topics.topic(i).goal for i in range(topics.N_PLAIN)]
    assert len(bank("topics")["topics"]) == topics.N_TOPICS
    assert all(goals.count(goal) == 4 for goal in set(goals))
    assert all(goal in topics.question(i) for i, goal in enumerate(goals))


@pytest.mark.parametrize("sentences", [1, 3, 6])
def test_content_has_as_many_sentences_as_asked_and_belongs_to_its_topic(sentences):
    about = topics.topic(3)
    found = topics.content(about, sentences, np.random.default_rng(0))
    parts = (*about.steps, about.tool, about.pitfall)
    assert len(found) == sentences
    assert all(sum(part in sentence for part in parts) == 1 for sentence in found)
