"""How often the intervals of vote statistics hold the truth, over many tables."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import expit

from plt.analyze.intervals.uncertainty import Interval
from plt.analyze.repeats.consistency import consistency
from plt.analyze.repeats.room import room
from plt.analyze.repeats.self_and_others import self_and_others
from plt.analyze.votes.agreement import agreement, krippendorff_alpha
from plt.analyze.votes.divergence import divergence
from plt.analyze.votes.votes import Votes, read_rows
from tests.analyze.populations_of_voters import sampled_votes

pytestmark = pytest.mark.slow

N_TABLES = 200


def taste(n_users: int, n_pairs: int, rng: np.random.Generator) -> np.ndarray:
    """A common margin and an own margin of every user on every pair."""
    return np.asarray(expit(rng.normal(0, 1.5, n_pairs) + rng.normal(0, 1.5, (n_users, n_pairs))))


def self_agreement(votes: Votes) -> Interval:
    found = consistency(votes)
    assert found is not None
    return found.self_agreement


def difference(votes: Votes) -> Interval:
    found = self_and_others(votes)
    assert found is not None
    return found.difference


FIGURES: dict[str, Callable[[Votes], Interval]] = {
    "divergent": lambda votes: divergence(votes).divergent,
    "alpha": krippendorff_alpha,
    "pairwise": lambda votes: agreement(votes).pairwise,
    "self-agreement": self_agreement,
    "difference": difference,
    "room, lower end": lambda votes: room(votes).low,
}


@pytest.mark.parametrize(("n_users", "voters"), [(6, 6), (30, 6)])
def test_intervals_hold_the_truth_about_as_often_as_they_say(n_users: int, voters: int) -> None:
    rng = np.random.default_rng(0)
    large = read_rows(sampled_votes(taste(60, 6000, rng), rng, voters=voters, repeated=0.5))
    truth = {name: figure(large).value for name, figure in FIGURES.items()}
    held = dict.fromkeys(FIGURES, 0)
    for _ in range(N_TABLES):
        q = taste(n_users, 60, rng)
        votes = read_rows(sampled_votes(q, rng, voters=voters, repeated=0.5))
        for name, figure in FIGURES.items():
            found, true_value = figure(votes), truth[name]
            assert found.low is not None
            assert found.high is not None
            assert true_value is not None
            held[name] += found.low <= true_value <= found.high
    # 95 % with a Monte Carlo error of 1.5 points; two-way intervals are wide where rows are noisy.
    for name, count in held.items():
        assert count / N_TABLES >= 0.905, name
    assert held["divergent"] / N_TABLES <= 0.99
    assert held["alpha"] / N_TABLES <= 0.99
