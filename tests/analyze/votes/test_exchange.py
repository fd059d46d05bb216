import numpy as np
import pytest

from plt.analyze.votes.exchange import exchangeable_blocks
from plt.analyze.votes.self_and_others import self_and_others
from plt.analyze.votes.votes import read_rows
from tests.analyze.vote_tables import Row, frame, table


def test_judgements_stay_on_their_pair_and_are_exchanged_between_all_its_persons() -> None:
    rng = np.random.default_rng(0)
    pairs = np.repeat(np.arange(5), [2, 3, 1, 4, 3])
    persons = np.concatenate([np.arange(n) for n in (2, 3, 1, 4, 3)])
    names = rng.integers(0, 2**63, 5).astype(np.uint64)
    shuffled_rows = rng.permutation(pairs.size)
    pairs, persons = pairs[shuffled_rows], persons[shuffled_rows]
    blocks = exchangeable_blocks(pairs, persons, pairs, names)
    seen = np.zeros((pairs.size, pairs.size))
    for _ in range(3000):
        order = blocks.shuffled(rng)
        assert np.array_equal(np.sort(order), np.arange(pairs.size))
        assert np.array_equal(pairs[order], pairs)
        seen[np.arange(pairs.size), order] += 1
    size = np.bincount(pairs)[pairs]
    expected = np.where(pairs[:, None] == pairs, 3000 / size, 0)
    assert seen == pytest.approx(expected, abs=5 * np.sqrt(3000) / 2)


def test_the_judgements_of_one_person_in_one_group_move_together() -> None:
    # Group 0 has pairs 0, 1, judged by persons 0 to 2; person 3 judged pair 0 only.
    groups = np.array([0, 0, 0, 0, 0, 0, 0])
    persons = np.array([0, 0, 1, 1, 2, 2, 3])
    pairs = np.array([0, 1, 0, 1, 0, 1, 0])
    blocks = exchangeable_blocks(groups, persons, pairs, np.array([5, 9], dtype=np.uint64))
    rng = np.random.default_rng(1)
    for _ in range(50):
        order = blocks.shuffled(rng)
        assert np.array_equal(pairs[order], pairs)
        assert order[6] == 6
        assert np.array_equal(persons[order][0:6:2], persons[order][1:6:2])


def test_a_seeded_shuffle_does_not_depend_on_the_order_of_the_table() -> None:
    rng = np.random.default_rng(2)
    persons, pairs = (part.ravel() for part in np.meshgrid(np.arange(4), np.arange(6)))
    names = rng.integers(0, 2**63, 6).astype(np.uint64)
    order = rng.permutation(persons.size)
    one = exchangeable_blocks(pairs, persons, pairs, names).shuffled(np.random.default_rng(7))
    other = exchangeable_blocks(pairs[order], persons[order], pairs[order], names)
    there = order[other.shuffled(np.random.default_rng(7))]
    assert np.array_equal(one[order], there)


def test_judgements_that_all_agree_exchange_nothing() -> None:
    found = self_and_others(read_rows(table({"u": "aa bb", "v": "aa bb", "w": "a b"})))
    assert found is not None
    assert found.p_value == 1.0


def test_opposed_and_steady_users_cannot_come_about_by_exchange() -> None:
    columns = {f"u{i}": " ".join(["aa" if i % 2 else "bb"] * 12) for i in range(4)}
    found = self_and_others(read_rows(table(columns)))
    assert found is not None
    assert found.p_value == 1 / 200


@pytest.mark.slow
def test_rare_noise_rejects_no_more_often_than_the_level_says() -> None:
    """20 users, 30 pairs, 2 % flips, few repeats: Student's t alone is wrong in 1 of 10 cases."""
    rng = np.random.default_rng(0)
    by_exchange, by_t = 0, 0
    for _ in range(200):
        rows: list[Row] = []
        for pair in range(30):
            truth = rng.integers(0, 2)
            for user in range(20):
                for occurrence in range(2 if rng.random() < 0.05 else 1):
                    flip = rng.random() < 0.02
                    rows.append((f"u{user}", pair, float(truth ^ flip), occurrence, None))
        found = self_and_others(read_rows(frame(rows)))
        assert found is not None
        assert found.p_value is not None
        by_exchange += found.p_value <= 0.025
        by_t += found.difference.low is not None and found.difference.low > 0
    assert by_t / 200 > 0.05
    assert by_exchange / 200 <= 0.045
