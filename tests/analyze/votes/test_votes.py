import random

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from plt.analyze.votes.votes import ALONE, NO_LABEL, NO_USER, read_rows
from tests.analyze.vote_tables import first_votes, frame, sides, table, vote_frames


def test_ties_nulls_and_rows_without_user_leave_and_are_counted() -> None:
    rows = read_rows(
        frame(
            [
                ("u", 1, 1.0, 0, None),
                ("v", 1, 0.5, 0, None),
                ("w", 1, None, 0, None),
                (None, 1, 0.0, 0, None),
                (None, 2, 0.5, 0, None),
                ("u", 2, 0.4, 0, None),
            ]
        )
    )
    assert (rows.n_judgments, rows.n_ties) == (5, 2)
    assert rows.left_out == {NO_LABEL: 1, NO_USER: 2}
    assert rows.user_names.to_list() == ["u", "v", "w"]
    assert rows.n_votes.tolist() == [1, 1]
    assert rows.for_a.tolist() == [1, 0]  # 0.4 votes by its side, for b


def test_the_first_judgement_that_is_no_tie_votes() -> None:
    rows = read_rows(table({"u": "ab -b ba", "v": "a a a"}))
    assert rows.for_a.tolist() == [2, 1, 1]
    assert rows.n_votes.tolist() == [2, 2, 2]
    # The tie left, so pair 2 has one judgement of u and is no repeat.
    assert rows.repeats.pairs.tolist() == [0, 2]
    assert rows.repeats.prefers_a.tolist() == [True, False, False, True]


def test_the_lead_of_the_others() -> None:
    rows = read_rows(table({"u": "a a a", "v": "a b _", "w": "b a _", "x": "b _ _", "y": "b _ _"}))
    # Pair 1: two for a, three for b. Own side minus the others, own vote not counted.
    assert rows.lead.tolist() == [-2, -2, 0, 0, 0, 0, -2, 0, ALONE]
    assert rows.lead_counts.sum(axis=0).tolist() == [3, 0, 5, 0, 0]
    assert rows.votes_per_user.tolist() == [3, 2, 2, 1, 1]


def test_groups_that_share_a_pair_are_one_cluster() -> None:
    rows = read_rows(
        frame(
            [
                ("u", 1, 1.0, 0, "g"),
                ("v", 1, 1.0, 0, "h"),
                ("u", 2, 1.0, 0, "h"),
                ("u", 3, 1.0, 0, "i"),
                ("u", 4, 1.0, 0, None),
                ("u", 5, 1.0, 0, None),
            ]
        )
    )
    groups = rows.groups
    assert groups[0] == groups[1]
    assert np.unique(groups).size == 4


def test_without_groups_each_pair_is_a_cluster() -> None:
    rows = read_rows(table({"u": "a a a"}).drop("group"))
    assert np.unique(rows.groups).size == 3


@given(vote_frames())
def test_counts_are_those_of_a_slow_reader(votes: pl.DataFrame) -> None:
    rows = read_rows(votes)
    slow = sides(votes)
    for place, pair in enumerate(rows.pair_ids):
        by_user = slow.get(int(pair), {})
        assert rows.n_votes[place] == len(by_user)
        assert rows.for_a[place] == sum(given_[0] for given_ in by_user.values())
    assert rows.shared.size == len(first_votes(votes))
    again = [g for by in slow.values() for g in by.values() if len(g) >= 2]
    assert sorted(rows.repeats.sizes.tolist()) == sorted(len(g) for g in again)
    assert sorted(rows.repeats.for_a.tolist()) == sorted(sum(g) for g in again)


@given(vote_frames(), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_the_type_of_names_change_nothing(
    votes: pl.DataFrame, shuffler: random.Random
) -> None:
    order = list(range(votes.height))
    shuffler.shuffle(order)
    one = read_rows(votes.sort("pair_id", "user_id", "occurrence"))
    names = pl.col("user_id", "group").cast(pl.Categorical)
    other = read_rows(votes[order].with_columns(names))
    assert one.user_names.to_list() == other.user_names.to_list()
    assert np.array_equal(one.lead_counts, other.lead_counts)
    assert np.array_equal(one.votes_per_user, other.votes_per_user)
    here, there = np.argsort(one.pair_ids), np.argsort(other.pair_ids)
    assert np.array_equal(one.pair_ids[here], other.pair_ids[there])
    for name in ("n_votes", "for_a"):
        assert np.array_equal(getattr(one, name)[here], getattr(other, name)[there])
    same_group = [r.groups[o][:, None] == r.groups[o] for r, o in ((one, here), (other, there))]
    assert np.array_equal(*same_group)
    again = [
        sorted(zip(r.pair_ids[r.repeats.pairs], r.repeats.users, r.repeats.for_a, strict=True))
        for r in (one, other)
    ]
    assert again[0] == again[1]


def test_a_table_without_rows() -> None:
    rows = read_rows(frame([]))
    assert rows.users.size == rows.shared.size == rows.repeats.n_cells == 0
    assert rows.lead_counts.shape == (0, 5)
