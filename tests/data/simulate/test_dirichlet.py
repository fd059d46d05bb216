"""Mixtures of ten rewards: how concentrated they are, and why rewards are standardised."""

import numpy as np
import pytest

from plt.data.simulate import dirichlet
from plt.data.simulate.world import rewards, styles, topical
from plt.errors import UsageError
from tests.data.simulate.populations import rows, vote_matrix


@pytest.mark.parametrize(
    ("alpha", "largest", "effective"),
    [
        (0.001, 0.99, 1.0), (0.01, 0.94, 1.2), (0.05, 0.79, 1.8), (0.1, 0.67, 2.5),
        (0.5, 0.38, 5.4), (1.0, 0.29, 7.0),
    ],
)  # fmt: skip
def test_alpha_decides_how_many_rewards_a_person_follows(alpha, largest, effective):
    weights = dirichlet.weights(dirichlet.Config(users=4000, alpha=alpha))
    entropy = -(weights * np.log(np.maximum(weights, 1e-300))).sum(axis=1)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert weights.max(axis=1).mean() == pytest.approx(largest, abs=0.012)
    assert np.exp(entropy).mean() == pytest.approx(effective, abs=0.1)


def test_a_huge_alpha_gives_one_taste():
    config = dirichlet.Config(
        users=12, pairs_per_user=60, overlap=12.0, alpha=1e6, labels="hard", tie_below=0.02
    )
    votes = vote_matrix(dirichlet.simulate(config))
    judged = np.isfinite(votes).sum(axis=1)
    ones = np.nansum(votes, axis=1)
    assert ((ones == 0) | (ones == judged)).all()


def test_a_tiny_alpha_gives_people_who_follow_one_reward():
    config = dirichlet.Config(users=12, pairs_per_user=40, alpha=0.001, labels="hard")
    table = rows(dirichlet.simulate(config))
    top = dirichlet.user_table(config).select("user_id", "attr_top")
    table = table.join(top, on="user_id")
    one, two = (rewards.raw_rewards(table[f"response_{s}"].to_list()) for s in "ab")
    column = [rewards.NAMES.index(name) for name in table["attr_top"]]
    own = (one - two)[np.arange(len(column)), column]
    differs = np.abs(own) > 0.1
    assert differs.mean() > 0.5
    agrees = (own > 0) == (table["label"].to_numpy() == 1)
    assert agrees[differs].mean() > 0.97


def test_a_reward_on_a_wider_scale_changes_nobody_once_standardised_and_rules_otherwise():
    texts = topical.corpus(60, 4, styles.writer(3, 0)).responses
    raw = rewards.raw_rewards(texts)
    wide = raw * np.where(np.arange(10) == 2, 100.0, 1.0)
    weights = dirichlet.weights(dirichlet.Config(users=50, alpha=1.0)).T

    def standardised(values: np.ndarray) -> np.ndarray:
        return rewards.standardise(values, values.mean(axis=0), values.std(axis=0)) @ weights

    np.testing.assert_allclose(standardised(wide), standardised(raw), atol=1e-9)
    pairs = np.random.default_rng(0).integers(len(texts), size=(2000, 2))
    ruler = raw[pairs[:, 0], 2] - raw[pairs[:, 1], 2]
    pairs, ruler = pairs[ruler != 0], ruler[ruler != 0]
    agreement = [
        (np.sign(scores[pairs[:, 0]] - scores[pairs[:, 1]]) == np.sign(ruler)[:, None]).mean()
        for scores in (wide @ weights, standardised(wide))
    ]
    assert agreement[0] > 0.95
    assert agreement[1] < 0.75


def test_standardised_rewards_have_mean_zero_and_deviation_one_on_the_texts():
    config = dirichlet.Config()
    mean, sd = dirichlet.reference(config)
    write = styles.writer(config.active, config.seed)
    raw = rewards.raw_rewards(topical.corpus(config.prompts, config.responses, write).responses)
    scores = rewards.standardise(raw, mean, sd)
    np.testing.assert_allclose(scores.mean(axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(scores.std(axis=0), 1.0)


def test_raw_rewards_can_be_mixed_as_they_are():
    mean, sd = dirichlet.reference(dirichlet.Config(standardise=False))
    assert not mean.any()
    assert (sd == 1).all()


def test_rewards_count_whole_words_in_any_case():
    counts = np.expm1(rewards.raw_rewards(["THANK you, thanks! pleased!!", "hey, HEY dude", ""]))
    by_name = dict(zip(rewards.NAMES, counts.T, strict=True))
    np.testing.assert_allclose(by_name["polite"], [2, 0, 0])
    np.testing.assert_allclose(by_name["excited"], [3, 0, 0])
    np.testing.assert_allclose(by_name["casual"], [0, 3, 0])


def test_its_own_knobs_are_checked():
    with pytest.raises(UsageError) as caught:
        dirichlet.Config(alpha=0, standardise="yes", active=8)
    assert {problem.split()[0] for problem in caught.value.problems} == {
        "alpha", "standardise", "active",
    }  # fmt: skip
