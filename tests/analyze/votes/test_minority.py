import numpy as np
import pytest

from plt.analyze.intervals.significance import benjamini_hochberg, binomial_below_half
from plt.analyze.votes.majority import MIN_TRIALS, minority_users
from plt.analyze.votes.votes import read_rows
from tests.analyze.vote_tables import matrix, table


def test_only_pairs_whose_majority_the_own_vote_cannot_change() -> None:
    # Pairs 1 to 6: the others lead by two or more against w; pair 7: by one; pair 8: tied without.
    votes = read_rows(
        table(
            {
                "u": "a a a a a a a a",
                "v": "a a a a a a _ b",
                "w": "b b b b b b b b",
            }
        )
    )
    tests = minority_users(votes)
    # u and v face a tie of the others everywhere: they are not testable.
    assert votes.user_names.gather(tests.users).to_list() == ["w"]
    assert (tests.n_votes[0], tests.accuracy[0]) == (6, 0.0)
    assert tests.p_value[0] == pytest.approx(0.5**6)
    assert tests.found.tolist() == [0]


def test_fewer_trials_than_could_be_significant_are_not_tested() -> None:
    tests = minority_users(read_rows(table({"u": "a a a a a", "v": "a a a a a", "w": "b b b b b"})))
    assert MIN_TRIALS == 6
    assert tests.n_tested == 0
    assert tests.found.size == 0


def test_q_values_are_over_everybody_tested() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 40)
    votes = np.where(rng.random((9, 40)) < 0.1, 1 - truth, truth)
    votes[4] = np.where(rng.random(40) < 0.2, truth, 1 - truth)
    tests = minority_users(read_rows(matrix(votes)))
    assert tests.n_tested == 9
    won = np.round(tests.accuracy * tests.n_votes)
    p_values = binomial_below_half(won, tests.n_votes)
    assert tests.p_value == pytest.approx(p_values)
    assert tests.q_value == pytest.approx(benjamini_hochberg(p_values))
    assert tests.users[tests.found].tolist() == [4]


def test_pairs_of_one_group_are_one_trial() -> None:
    """Five pairs made of one list of ratings are one opinion, not five."""
    votes = np.tile([[1], [1], [1], [1], [0]], (1, 30))
    one_by_one = minority_users(read_rows(matrix(votes)))
    grouped = minority_users(read_rows(matrix(votes, [f"g{i // 5}" for i in range(30)])))
    assert one_by_one.n_trials.tolist() == [30] * 5
    assert grouped.n_trials.tolist() == [6] * 5
    assert grouped.n_votes.tolist() == [30] * 5
    assert grouped.p_value[4] == pytest.approx(0.5**6)


def test_a_group_in_which_a_user_is_as_often_with_as_against_is_no_trial() -> None:
    votes = np.ones((5, 12), dtype=int)
    votes[4, ::2] = 0
    tests = minority_users(read_rows(matrix(votes, [f"g{i // 2}" for i in range(12)])))
    assert tests.users.tolist() == [0, 1, 2, 3]


@pytest.mark.slow
def test_people_who_only_toss_coins_are_rarely_called_a_minority() -> None:
    rng = np.random.default_rng(0)
    called = 0
    for _ in range(300):
        truth = rng.integers(0, 2, 40)
        flips = np.array([0.5, 0.5, 0.4, 0.1, 0.1, 0.1, 0.2, 0.3])
        votes = np.where(rng.random((8, 40)) < flips[:, None], 1 - truth, truth)
        called += minority_users(read_rows(matrix(votes))).found.size > 0
    assert called / 300 <= 0.05
