import numpy as np
import pytest

from plt.analyze.votes import effective_rank as module
from plt.analyze.votes.effective_rank import EffectiveRank, effective_rank, exp_entropy
from plt.analyze.votes.votes import read_rows
from tests.analyze.populations_of_voters import camps, crowd
from tests.analyze.vote_tables import matrix


def rank_of(votes: np.ndarray, **options: int) -> EffectiveRank:
    found = effective_rank(read_rows(matrix(votes)), **options)
    assert isinstance(found, EffectiveRank)
    return found


def test_one_direction_and_two_camps() -> None:
    one = np.tile(np.arange(24) % 2, (6, 1))
    assert rank_of(one).value == pytest.approx(1.0)
    camps = np.concatenate((one, 1 - one))
    assert rank_of(camps).value == pytest.approx(2.0)
    assert rank_of(camps).p_value == 1 / 200


def test_the_matrix_is_that_of_counting() -> None:
    rng = np.random.default_rng(0)
    votes = rng.integers(-1, 2, (7, 150))
    found = rank_of(votes, permutations=3)
    assert found.users.tolist() == list(range(7))
    for u in range(7):
        for w in range(7):
            both = (votes[u] >= 0) & (votes[w] >= 0)
            expected = 1.0 if u == w else (votes[u] == votes[w])[both].mean()
            assert found.agreement[u, w] == pytest.approx(expected)
    eigenvalues = np.clip(np.linalg.eigvalsh(found.agreement), 1e-300, None)
    share = eigenvalues / eigenvalues.sum()
    assert found.value == pytest.approx(np.exp(-(share * np.log(share)).sum()))
    assert found.permuted_low <= found.permuted_mean <= found.permuted_high


def test_listed_votes_and_matrix_products_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    votes = np.random.default_rng(1).integers(-1, 2, (5, 300))
    results = []
    for cells_per_product in (0, 10**9):
        monkeypatch.setattr(module, "CELLS_PER_PRODUCT", cells_per_product)
        monkeypatch.setattr(module, "CHUNK_PAIRS", 64)
        results.append(rank_of(votes))
    assert results[0].value == pytest.approx(results[1].value)
    assert results[0].permuted_mean == pytest.approx(results[1].permuted_mean)


def test_users_who_share_too_little_are_left_out() -> None:
    votes = np.random.default_rng(2).integers(0, 2, (6, 60))
    votes[4, 19:] = -1  # 19 pairs only
    votes[5, :30] = -1
    found = rank_of(votes)
    assert found.users.tolist() == [0, 1, 2, 3, 5]
    assert found.n_candidates == 5


@pytest.mark.parametrize(
    ("votes", "reason"),
    [
        (np.zeros((5, 19), dtype=int), "fewer than 3 users have 20 votes"),
        (np.zeros((2, 50), dtype=int), "fewer than 3 users have 20 votes"),
        (
            np.array([[1] * 40 + [-1] * 20, [-1] * 20 + [1] * 40, [1] * 20 + [-1] * 20 + [1] * 20]),
            "",
        ),
    ],
)
def test_too_little_overlap_says_why(votes: np.ndarray, reason: str) -> None:
    found = effective_rank(read_rows(matrix(votes)))
    if reason:
        assert isinstance(found, str)
        assert reason in found
    else:
        assert isinstance(found, EffectiveRank)


def test_no_three_users_share_enough() -> None:
    votes = np.full((4, 80), -1)
    for place in range(4):  # a ring: each shares 20 pairs with two neighbours
        votes[place, place * 20 : place * 20 + 20] = 1
        votes[place, (place * 20 + 20) % 80 : (place * 20 + 20) % 80 + 20] = 1
    found = effective_rank(read_rows(matrix(votes)))
    assert found == "no 3 users share 20 pairs with one another"


def test_many_users_and_votes_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_USERS", 5)
    monkeypatch.setattr(module, "MAX_VOTES", 200)
    votes = np.random.default_rng(3).integers(0, 2, (12, 90))
    one, same = rank_of(votes, seed=1), rank_of(votes, seed=1)
    assert one.users.size == 5
    assert one.n_candidates == 12
    assert one.n_pairs == 40
    assert (one.value, one.permuted_mean) == (same.value, same.permuted_mean)
    assert rank_of(votes, seed=2).users.tolist() != one.users.tolist()


def test_without_permutations_there_is_the_value_alone() -> None:
    found = rank_of(np.random.default_rng(4).integers(0, 2, (4, 30)), permutations=0)
    assert found.value > 1
    assert found.permuted_mean is found.permuted_low is found.p_value is None


def test_exp_entropy_counts_equal_directions() -> None:
    assert exp_entropy(np.eye(4)) == pytest.approx(4.0)
    assert exp_entropy(np.ones((4, 4))) == pytest.approx(1.0)


@pytest.mark.slow
def test_labels_that_mean_nothing_have_ordinary_ranks() -> None:
    rng = np.random.default_rng(5)
    low = 0
    for _ in range(200):
        q = rng.beta(0.7, 0.7, 40)
        low += rank_of((rng.random((8, 40)) < q).astype(int)).p_value <= 0.05
    assert low / 200 <= 0.09


def test_people_who_judged_different_pairs_are_compared_pair_by_pair() -> None:
    """Hardly any block could move whole: a permutation that moves nothing would give p = 1."""
    rng = np.random.default_rng(6)
    q = camps(20, 300, rng, share=0.4)
    found = effective_rank(read_rows(crowd(q, rng, per_group=25, voters=8)))
    assert isinstance(found, EffectiveRank)
    assert found.share_moved == 1.0
    assert found.p_value == 1 / 200
    assert found.permuted_low is not None
    assert found.permuted_low > found.value + 1
    assert found.p_across_groups == 1 / 1000


def test_one_prompt_that_all_judged_whole_is_not_renamed() -> None:
    rng = np.random.default_rng(7)
    votes = (rng.random((8, 60)) < camps(8, 60, rng, share=0.5)).astype(int)
    found = effective_rank(read_rows(matrix(votes, ["g"] * 60)))
    assert isinstance(found, EffectiveRank)
    assert found.p_value == 1 / 200
    assert found.permuted_low is not None
    assert found.permuted_low > found.value


def test_unanimous_votes_have_a_rank_and_no_test() -> None:
    found = rank_of(np.tile(np.arange(24) % 2, (6, 1)))
    assert found.value == pytest.approx(1.0)
    assert found.p_value is found.permuted_mean is found.share_moved is None
    assert found.reason is not None
    assert "all judgements agree" in found.reason
