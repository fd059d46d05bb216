import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given

from plt.analyze.votes.majority import majority_vote
from plt.analyze.votes.votes import Votes, read_rows
from tests.analyze.vote_tables import first_votes, frame, matrix, table, vote_frames


def by_name(votes: Votes) -> dict[str, tuple[float, float]]:
    found = majority_vote(votes)
    names = votes.user_names.gather(found.users).to_list()
    return dict(zip(names, zip(found.ceiling, found.leave_one_out, strict=True), strict=True))


def test_a_tied_majority_earns_one_half_and_the_own_vote_counts_or_not() -> None:
    found = by_name(read_rows(table({"u": "a a", "v": "a b", "w": "b _", "x": "_ _ a"})))
    assert found == {"u": (0.75, 0.25), "v": (0.75, 0.25), "w": (0.0, 0.0)}


def earned(mine: int, votes: list[int]) -> float:
    same = votes.count(mine)
    return 0.5 if 2 * same == len(votes) else float(2 * same > len(votes))


@given(vote_frames())
def test_figures_are_those_of_a_slow_reader(votes: pl.DataFrame) -> None:
    rows = read_rows(votes)
    slow: dict[str, list[tuple[float, float]]] = {}
    tied = 0
    for by_user in first_votes(votes).values():
        cast = list(by_user.values())
        tied += 2 * sum(cast) == len(cast)
        for user, mine in by_user.items():
            others = [v for other, v in by_user.items() if other != user]
            slow.setdefault(user, []).append((earned(mine, cast), earned(mine, others)))
    expected = {user: tuple(np.mean(each, axis=0)) for user, each in slow.items()}
    found = by_name(rows)
    assert found.keys() == expected.keys()
    for user in expected:
        assert found[user] == pytest.approx(expected[user])
    assert majority_vote(rows).n_tied_pairs == tied


@pytest.mark.parametrize(("n", "ceiling"), [(3, 0.75), (5, 0.6875), (8, 0.63671875)])
def test_random_voters_reach_more_than_one_half_only_with_their_own_vote(
    n: int, ceiling: float
) -> None:
    every_outcome = np.array(list(itertools.product((0, 1), repeat=n))).T
    found = majority_vote(read_rows(matrix(every_outcome)))
    assert found.ceiling == pytest.approx(np.full(n, ceiling))
    assert found.leave_one_out == pytest.approx(np.full(n, 0.5))


def test_six_opposed_users_are_all_tied() -> None:
    axes = np.random.default_rng(0).integers(0, 2, (3, 50))
    found = majority_vote(read_rows(matrix(np.concatenate((axes, 1 - axes)))))
    assert found.n_tied_pairs == 50
    assert (found.ceiling == 0.5).all()
    assert (found.leave_one_out == 0.0).all()


def test_one_minority_user() -> None:
    """Loadings on one common factor; the last person is against it."""
    loadings = np.array([0.9, 0.9, 0.85, 0.85, 0.8, 0.7, 0.5, -0.3])
    rng = np.random.default_rng(0)
    factor, own = rng.normal(size=20_000), rng.normal(size=(8, 20_000))
    utility = loadings[:, None] * factor + np.sqrt(1 - loadings**2)[:, None] * own
    found = majority_vote(read_rows(matrix((utility > 0).astype(int))))
    assert found.ceiling == pytest.approx(
        [0.86, 0.86, 0.84, 0.84, 0.82, 0.78, 0.71, 0.46], abs=0.01
    )


def test_nobody_shares_a_pair() -> None:
    found = majority_vote(read_rows(frame([("u", 1, 1.0, 0, None)])))
    assert found.users.size == found.ceiling.size == 0
