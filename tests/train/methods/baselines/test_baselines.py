"""`random`, `length` and `popularity`."""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import kstest

from plt.train.judgements import read_judgements
from plt.train.method import Texts, TrainContext
from plt.train.methods.baselines.length import Length
from plt.train.methods.baselines.popularity import Config, Popularity
from plt.train.methods.baselines.random import Random
from tests.train.methods.tables import table

SAY = [{"role": "user", "content": "say"}]


def test_random_rewards_are_logistic_and_differ_by_seed_user_and_text(tmp_path: Path) -> None:
    texts = Texts([SAY] * 2000, [str(i) for i in range(2000)])
    rows = np.arange(2000)
    prefs = table([("a", "x", "y", 1.0), ("b", "x", "y", 1.0), ("", "x", "y", 1.0)])
    drawn = {}
    for seed in (0, 1):
        method = Random().fit(prefs, TrainContext(seed, tmp_path))
        for user in ("a", "b", "", None):
            drawn[seed, user] = method.reward(texts, rows, [user] * 2000)
            assert kstest(drawn[seed, user], "logistic").pvalue > 0.001
        assert np.array_equal(method.reward(texts, rows, ["new"] * 2000), drawn[seed, None])
    vectors = np.array(list(drawn.values()))
    assert np.abs(np.corrcoef(vectors) - np.eye(len(vectors))).max() < 0.1


def test_random_is_the_same_everywhere(ctx: TrainContext) -> None:
    """Values worked out once: another machine or version must give them again."""
    method = Random().fit(table([("a", "x", "y", 1.0)]), ctx)
    rewards = method.reward(Texts([SAY, SAY], ["x", "ü"]), np.array([0, 1, 0]), ["a", "a", None])
    assert rewards == pytest.approx([3.6688882189695993, -1.5919204702075234, -3.240133045375843])


@pytest.mark.parametrize("sign", [1, -1])
def test_length_learns_its_sign(ctx: TrainContext, sign: int) -> None:
    """Oracle O-3: a rule of length is learnt without error, in either direction."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(60):
        one, two = rng.permutation(40)[:2] + 1
        rows.append((f"u{i % 5}", "é" * one, "y" * two, float(sign * (one - two) > 0)))
    prefs = table(rows)
    fitted = Length().fit(prefs, ctx)
    assert np.sign(fitted.slope) == sign
    judgements = read_judgements(prefs)
    nobody = [None] * len(judgements)
    margin = fitted.reward(judgements.texts, judgements.a, nobody)
    margin = margin - fitted.reward(judgements.texts, judgements.b, nobody)
    assert ((margin > 0) == (judgements.label == 1)).all()


def test_length_without_a_taste_for_length_is_flat(ctx: TrainContext) -> None:
    rows = [(f"u{i}", "x" * (i + 1), "y", float(i % 2)) for i in range(1, 41)]
    mirrored = [(user, one, two, 1 - label) for user, one, two, label in rows]
    assert Length().fit(table(rows + mirrored), ctx).slope == pytest.approx(0, abs=1e-12)


def test_popularity_is_the_smoothed_share_of_wins(ctx: TrainContext) -> None:
    rows = [("u", "x", "y", 1.0), ("v", "y", "x", 0.0), ("w", "x", "z", 0.5), ("w", "z", "y", 0.75)]
    fitted = Popularity().fit(table(rows), ctx)
    texts = Texts([SAY, SAY, SAY, SAY], ["x", "y", "z", "never seen"])
    rewards = fitted.reward(texts, np.arange(4), ["u"] * 4)
    # x: 2.5 of 3, y: .25 of 3, z: 1.25 of 2; one win and one loss are added to each.
    assert expit(rewards) == pytest.approx([3.5 / 5, 1.25 / 5, 2.25 / 4, 0.5])
    assert rewards[3] == 0
    rough = Popularity(Config(smoothing=0.01)).fit(table(rows), ctx)
    assert rough.reward(texts, np.array([0]), [None])[0] == pytest.approx(logit(2.51 / 3.02))


def test_popularity_counts_no_validation_row(ctx: TrainContext) -> None:
    fitted = Popularity().fit(table([("u", "x", "y", 1.0)], split="val"), ctx)
    assert not fitted.rewards.any()
