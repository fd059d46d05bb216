import itertools
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given

from plt.analyze.votes.divergence import divergence, divergence_from_flips, is_highly_divergent
from plt.analyze.votes.votes import read_rows
from tests.analyze.vote_tables import first_votes, frame, matrix, table, vote_frames


@given(vote_frames())
def test_shares_are_those_of_a_slow_reader(votes: pl.DataFrame) -> None:
    found = divergence(read_rows(votes))
    pairs = [list(by.values()) for by in first_votes(votes).values()]
    if not pairs:
        assert found.divergent.value is None
        assert found.divergent.reason is not None
        return
    assert found.divergent.value == pytest.approx(np.mean([len(set(p)) == 2 for p in pairs]))
    high = [10 * min(sum(p), len(p) - sum(p)) >= 3 * len(p) for p in pairs]
    assert found.highly_divergent.value == pytest.approx(np.mean(high))


@pytest.mark.parametrize(("n", "least"), [(2, 1), (3, 1), (4, 2), (5, 2), (6, 2), (8, 3), (10, 3)])
def test_highly_divergent_begins_at_exactly_thirty_per_cent(n: int, least: int) -> None:
    dissenters = np.arange(n // 2 + 1)
    marked = is_highly_divergent(np.full(dissenters.size, n), dissenters)
    assert marked.tolist() == (dissenters >= least).tolist()


# Independent fair coins, exactly: divergent 1 - 2^(1 - n), and the binomial mass in the middle.
@pytest.mark.parametrize(
    ("n", "divergent", "highly"),
    [(5, 0.9375, 0.625), (6, 0.96875, 50 / 64), (8, 0.9921875, 182 / 256)],
)
def test_fair_coins(n: int, divergent: float, highly: float) -> None:
    every_outcome = np.array(list(itertools.product((0, 1), repeat=n))).T
    found = divergence(read_rows(matrix(every_outcome)))
    assert found.divergent.value == divergent
    assert found.highly_divergent.value == highly
    expected = divergence_from_flips(read_rows(matrix(every_outcome)), 0.5)
    assert expected is not None
    assert expected.divergent == pytest.approx(divergent, abs=1e-12)
    assert expected.highly_divergent == pytest.approx(highly, abs=1e-12)


def test_six_opposed_users() -> None:
    """Three axes of taste with an advocate on either end: every pair is a 3-3 tie."""
    axes = np.random.default_rng(0).integers(0, 2, (3, 50))
    found = divergence(read_rows(matrix(np.concatenate((axes, 1 - axes)))))
    assert found.divergent.value == found.highly_divergent.value == 1.0


def test_noise_alone_at_ten_per_cent() -> None:
    for n, divergent in ((3, 0.27), (5, 0.4095), (8, 0.5695), (20, 0.8784)):
        expected = divergence_from_flips(read_rows(matrix(np.ones((n, 1), dtype=int))), 0.1)
        assert expected is not None
        assert expected.divergent == pytest.approx(divergent, abs=1e-4)


def test_noise_is_averaged_over_the_pairs_with_their_own_number_of_votes() -> None:
    votes = read_rows(table({"u": "a a a", "v": "a a a", "w": "a _ _"}))
    expected = divergence_from_flips(votes, 0.2)
    assert expected is not None
    assert expected.divergent == pytest.approx(
        (1 - 0.2**3 - 0.8**3 + 2 * (1 - 0.2**2 - 0.8**2)) / 3
    )
    many = [math.comb(3, k) * 0.2**k * 0.8 ** (3 - k) for k in (1, 2)]
    assert expected.highly_divergent == pytest.approx((sum(many) + 2 * 2 * 0.2 * 0.8) / 3)


def test_without_shared_pairs() -> None:
    votes = read_rows(frame([("u", 1, 1.0, 0, None), ("v", 2, 1.0, 0, None)]))
    assert divergence_from_flips(votes, 0.1) is None
    assert divergence(votes).highly_divergent.value is None


def test_intervals_count_groups_not_pairs() -> None:
    votes = np.random.default_rng(1).integers(0, 2, (2, 60))
    alone = divergence(read_rows(matrix(votes))).divergent
    grouped = divergence(read_rows(matrix(votes, [f"g{i % 6}" for i in range(60)]))).divergent
    assert (alone.n_groups, grouped.n_groups) == (60, 6)
    assert alone.target == grouped.target == "groups"
    assert grouped.df == 5
