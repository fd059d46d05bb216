import numpy as np
import pytest

from plt.analyze.permutation.exchange import UNANIMOUS, Exchange, Rows, exchange


def rows_of(
    pairs: np.ndarray,
    persons: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    occasions: np.ndarray | None = None,
    counted: np.ndarray | None = None,
) -> Rows:
    """Judgements whose sides alternate within each pair, so that no pair is unanimous."""
    n = pairs.size
    rank = np.zeros(n, dtype=int)
    for pair in np.unique(pairs):
        mine = pairs == pair
        rank[mine] = np.arange(mine.sum())
    return Rows(
        persons=persons,
        occasions=np.zeros(n, dtype=int) if occasions is None else occasions,
        pairs=pairs,
        groups=pairs if groups is None else groups,
        prefers_a=rank % 2 == 0,
        counted=np.ones(n, dtype=bool) if counted is None else counted,
    )


def found(rows: Rows, names: np.ndarray) -> Exchange:
    way = exchange(rows, names)
    assert isinstance(way, Exchange), way
    return way


def test_judgements_stay_on_their_pair_and_are_exchanged_between_all_its_persons() -> None:
    """Each in its own group: on every pair all orders are equally likely."""
    rng = np.random.default_rng(0)
    pairs = np.repeat(np.arange(5), [2, 3, 1, 4, 3])
    persons = np.concatenate([np.arange(n) for n in (2, 3, 1, 4, 3)])
    names = rng.integers(0, 2**63, 5).astype(np.uint64)
    order = rng.permutation(pairs.size)
    pairs, persons = pairs[order], persons[order]
    way = found(rows_of(pairs, persons), names)
    assert way.unit == "judgements"
    assert way.share == pytest.approx(12 / 13)  # all but the pair that one person judged
    seen = np.zeros((pairs.size, pairs.size))
    for _ in range(3000):
        taken = way.shuffled(rng)
        assert np.array_equal(np.sort(taken), np.arange(pairs.size))
        assert np.array_equal(pairs[taken], pairs)
        seen[np.arange(pairs.size), taken] += 1
    size = np.bincount(pairs)[pairs]
    expected = np.where(pairs[:, None] == pairs, 3000 / size, 0)
    assert seen == pytest.approx(expected, abs=5 * np.sqrt(3000) / 2)


def test_where_groups_are_shared_whole_persons_move() -> None:
    """Seven groups of three pairs, each judged by the same four persons."""
    rng = np.random.default_rng(1)
    persons, pairs = (part.ravel() for part in np.meshgrid(np.arange(4), np.arange(21)))
    groups = pairs // 3
    way = found(rows_of(pairs, persons, groups), np.arange(21, dtype=np.uint64))
    assert (way.unit, way.share) == ("blocks", 1.0)
    for _ in range(20):
        given = persons[way.shuffled(rng)]
        for group in range(7):
            block = given[groups == group].reshape(3, 4)
            assert (block == block[0]).all()


def test_where_few_blocks_can_move_each_pair_is_exchanged_by_itself() -> None:
    """People who judged different pairs of a group: no two blocks hold the same pairs."""
    rng = np.random.default_rng(2)
    persons = np.concatenate([rng.permutation(12)[:4] for _ in range(200)])
    pairs = np.repeat(np.arange(200), 4)
    way = found(rows_of(pairs, persons, pairs // 25), np.arange(200, dtype=np.uint64))
    assert (way.unit, way.share) == ("judgements", 1.0)
    moved = np.mean([(persons[way.shuffled(rng)] != persons).mean() for _ in range(20)])
    assert moved == pytest.approx(0.75, abs=0.05)


def test_another_occasion_of_the_same_person_is_no_move() -> None:
    """Blocks that only the same person's other occasion could replace do not count as movable."""
    pairs = np.tile(np.arange(40), 2)
    persons = np.zeros(80, dtype=int)
    occasions = np.repeat([0, 1], 40)
    nobody = exchange(rows_of(pairs, persons, occasions=occasions), np.arange(40, dtype=np.uint64))
    assert nobody == "only 0.0 % of the judgements could become another person's"


def test_a_share_below_one_in_twenty_is_no_test() -> None:
    pairs = np.concatenate((np.tile(np.arange(40), 2), [40, 40]))
    persons = np.concatenate((np.zeros(80, dtype=int), [0, 1]))
    occasions = np.concatenate((np.repeat([0, 1], 40), [0, 0]))
    nobody = exchange(rows_of(pairs, persons, occasions=occasions), np.arange(41, dtype=np.uint64))
    assert nobody == "only 2.4 % of the judgements could become another person's"


def test_unanimous_pairs_leave_nothing_to_exchange() -> None:
    rows = rows_of(np.repeat(np.arange(9), 3), np.tile(np.arange(3), 9))
    agreed = Rows(**(vars(rows) | {"prefers_a": np.repeat(np.arange(9) % 2 == 0, 3)}))
    assert exchange(agreed, np.arange(9, dtype=np.uint64)) == UNANIMOUS


def test_renaming_everybody_is_no_exchange() -> None:
    """One group that all judged whole: its blocks would only swap names, so its pairs move."""
    persons, pairs = (part.ravel() for part in np.meshgrid(np.arange(8), np.arange(30)))
    one = rows_of(pairs, persons, np.zeros(pairs.size, dtype=int))
    assert found(one, np.arange(30, dtype=np.uint64)).unit == "judgements"


def test_a_seeded_shuffle_does_not_depend_on_the_order_of_the_table() -> None:
    rng = np.random.default_rng(3)
    whole = np.stack([part.ravel() for part in np.meshgrid(np.arange(6), np.arange(30))])
    for kept in (whole, whole[:, rng.random(whole.shape[1]) < 0.6]):
        persons, pairs = kept
        names = rng.permutation(1000)[:30].astype(np.uint64)
        order = rng.permutation(persons.size)
        rows = rows_of(pairs, persons, pairs // 5)
        turned = Rows(**{name: column[order] for name, column in vars(rows).items()})
        one = found(rows, names).shuffled(np.random.default_rng(7))
        other = found(turned, names).shuffled(np.random.default_rng(7))
        assert np.array_equal(one[order], order[other])
