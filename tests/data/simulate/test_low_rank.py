"""Rewards of known rank."""

import numpy as np
import pytest

from plt.data.simulate import low_rank
from plt.data.simulate.world import styles, topical
from plt.data.simulate.world.survey import user_ids
from plt.errors import UsageError
from tests.data.simulate.populations import rows, vote_matrix


def reward_matrix(config: low_rank.Config) -> np.ndarray:
    texts = topical.corpus(100, 4, styles.writer(config.active, config.seed)).responses
    truth = low_rank.simulate(config).meta.truth
    ids = user_ids(config.users)
    return np.array([low_rank.true_reward(truth, texts, user) for user in ids])


@pytest.mark.parametrize("factors", [1, 4, 7])
def test_the_true_rewards_have_the_stated_rank(factors):
    config = low_rank.Config(users=30, pairs_per_user=10, factors=factors)
    assert np.linalg.matrix_rank(reward_matrix(config), tol=1e-8) == factors


def test_factors_are_uncorrelated_and_differences_have_variance_one():
    config = low_rank.Config(users=400, pairs_per_user=5, overlap=40.0)
    texts = topical.corpus(1000, 2, styles.writer(3, 1)).responses
    factors = styles.read(texts) @ low_rank.loadings(config)
    np.testing.assert_allclose(np.cov(factors.T), np.eye(4), atol=0.15)
    rewards = factors @ low_rank.weights(config).T
    apart = rewards[::2] - rewards[1::2]
    assert apart.var() == pytest.approx(1.0, abs=0.12)


def test_the_margins_have_the_spread_of_the_scale():
    config = low_rank.Config(users=84, pairs_per_user=50, scale=2.0, ties="coin")
    margins = 2.0 * rows(low_rank.simulate(config))["difference"].to_numpy()
    assert margins.std() == pytest.approx(2.0, abs=0.4)


def test_votes_show_a_gap_after_the_rank():
    # Everybody judges everything: the centred matrix of votes has as many large singular values.
    config = low_rank.Config(
        users=84, pairs_per_user=400, overlap=84.0, ties="coin", scale=2.0, repeats=0.0
    )
    votes = vote_matrix(low_rank.simulate(config)).T
    values = np.linalg.svd(votes - 0.5, compute_uv=False)
    assert votes.shape == (84, 400)
    assert values[3] / values[4] > 1.4
    assert values[4] / values[5] < 1.15


def test_its_own_knobs_are_checked():
    with pytest.raises(UsageError) as caught:
        low_rank.Config(factors=8, active=0)
    assert len(caught.value.problems) == 2
