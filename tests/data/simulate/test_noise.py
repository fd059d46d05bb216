"""One taste and slips: the null population."""

import itertools

import numpy as np
import polars as pl
import pytest

from plt.data.simulate import noise
from plt.data.simulate.world import styles
from plt.errors import UsageError
from tests.data.simulate.populations import rows, vote_matrix


def test_everybody_agrees_when_nobody_slips():
    config = noise.Config(users=10, pairs_per_user=40, overlap=10.0, noise=0.0)
    votes = vote_matrix(noise.simulate(config))
    assert (votes == votes[:, :1]).all()
    assert votes.shape == (40, 10)


def test_the_true_reward_is_the_same_for_all():
    prefs = noise.simulate(noise.Config(users=5))
    texts = prefs.pairs["response_a"].to_list()
    rewards = [noise.true_reward(prefs.meta.truth, texts, f"u00{i}") for i in range(1, 6)]
    assert all((reward == rewards[0]).all() for reward in rewards)


def test_answers_that_differ_in_any_attribute_are_no_ties():
    steps = np.array(list(itertools.product((-2, -1, 0, 1, 2), repeat=len(styles.ATTRIBUTES))))
    apart = np.abs(steps @ noise.taste())[(steps != 0).any(axis=1)]
    assert apart.min() > 5e-5


def test_slips_do_not_depend_on_the_person_or_the_side():
    table = rows(noise.simulate(noise.Config(noise=0.2)))
    slips = table.with_columns(slip=(pl.col("difference") > 0) != (pl.col("label") == 1))
    rates = slips.group_by("user_id").agg(pl.col("slip").mean())["slip"]
    assert rates.var() == pytest.approx(0.16 / 60, rel=0.6)  # 60 judgements a person
    sides = slips.group_by("label").agg(pl.col("slip").mean())["slip"]
    assert sides.to_list() == pytest.approx([0.2, 0.2], abs=0.05)


def test_its_own_knobs_are_checked():
    with pytest.raises(UsageError, match="cannot be simulated"):
        noise.Config(active=0)
