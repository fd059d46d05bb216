"""Names of people, streams of random numbers, and the truth as metadata."""

import dataclasses
import json

import numpy as np
import pytest

from plt.data.simulate.world.survey import (
    Survey,
    config_of,
    generator,
    pick,
    truth_of,
    user_ids,
    user_index,
)
from plt.errors import UsageError


def test_names_have_three_digits_or_as_many_as_needed():
    assert user_ids(2) == ["u001", "u002"]
    assert user_ids(1000)[0] == "u0001"
    assert len(set(user_ids(1000))) == 1000


@pytest.mark.parametrize("count", [1, 84, 1200])
def test_the_position_of_a_name_is_the_inverse(count):
    assert [user_index(name, count) for name in user_ids(count)] == list(range(count))


@pytest.mark.parametrize("name", ["", "u", "u000", "u085", "u1", "x001", "u-01", "u00１", "u0001"])
def test_a_stranger_is_refused(name):
    with pytest.raises(UsageError, match="they are u001 to u084"):
        user_index(name, 84)


def test_stages_are_independent_streams_and_seeds_too():
    draws = [
        generator(seed, stage).random(4).tolist()
        for seed, stage in ((0, "pairs"), (0, "texts"), (1, "pairs"), (2**64 - 1, "pairs"))
    ]
    assert len({tuple(draw) for draw in draws}) == 4
    assert generator(0, "pairs").random(4).tolist() == draws[0]


def test_picking_is_uniform():
    rng = np.random.default_rng(0)
    picks = [pick("abc", rng) for _ in range(3000)]
    assert all(abs(picks.count(letter) - 1000) < 5 * 26 for letter in "abc")


def test_the_truth_survives_json():
    survey = Survey(users=3, noise=0.25, ties="coin", seed=2**64 - 1)
    truth = json.loads(json.dumps(truth_of("any", survey, mean=[0.5])))
    assert truth["mean"] == [0.5]
    assert config_of(Survey, truth, "any") == survey
    assert dataclasses.asdict(survey)["seed"] == truth["seed"]
