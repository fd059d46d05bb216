import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given

from plt.analyze.repeats.consistency import ceiling_upper_bound, consistency
from plt.analyze.repeats.room import room
from plt.analyze.votes.votes import read_rows
from tests.analyze.populations_of_voters import one_truth, sampled_votes, with_copies
from tests.analyze.vote_tables import Row, frame, sides, table, vote_frames


def earned(mine: int, votes: list[int]) -> float:
    same = votes.count(mine)
    return 0.5 if 2 * same == len(votes) else float(2 * same > len(votes))


@given(vote_frames())
def test_the_bracket_is_that_of_a_slow_reader(votes: pl.DataFrame) -> None:
    alike, own, without = [], [], []
    for by_user in sides(votes).values():
        cast = {user: given_[0] for user, given_ in by_user.items()}
        for user, given_ in by_user.items():
            if len(given_) >= 2 and len(cast) >= 2:
                others = [vote for other, vote in cast.items() if other != user]
                alike.append(np.mean([x == y for x, y in itertools.combinations(given_, 2)]))
                own.append(earned(cast[user], list(cast.values())))
                without.append(earned(cast[user], others))
    found = room(read_rows(votes))
    if not alike:
        assert found.low.value is found.is_positive is None
        assert found.low.reason is not None
        return
    assert found.n_judgments == len(alike)
    assert found.own_vote_majority.value == pytest.approx(np.mean(own))
    assert found.leave_one_out_majority.value == pytest.approx(np.mean(without))
    if np.mean(alike) < 0.5 - 1e-9:
        assert found.low.value is None
    else:
        ceiling = ceiling_upper_bound(float(np.mean(alike)))
        # At one half the root magnifies the last bit of the mean.
        assert found.low.value == pytest.approx(ceiling - np.mean(own), abs=1e-7)
        assert found.high.value == pytest.approx(ceiling - np.mean(without), abs=1e-7)


def test_without_repeats_the_room_depends_on_a_consistency_that_is_assumed() -> None:
    found = room(read_rows(table({"u": "a a a", "v": "a a b", "w": "a b b"})))
    # Own vote counted 7 of 9 right; leaving one out 3 right and 4 ties: 5 of 9.
    assert found.low.value is None
    assert found.own_vote_majority.value == pytest.approx(7 / 9)
    assert found.leave_one_out_majority.value == pytest.approx(5 / 9)
    assert found.if_consistency == {
        0.8: pytest.approx((0.8872983 - 7 / 9, 0.8872983 - 5 / 9)),
        0.9: pytest.approx((0.9472136 - 7 / 9, 0.9472136 - 5 / 9)),
        1.0: pytest.approx((1 - 7 / 9, 1 - 5 / 9)),
    }


def test_without_shared_pairs_there_is_nothing_to_compare() -> None:
    found = room(read_rows(table({"u": "aa _", "v": "_ bb"})))
    assert found.low.value is found.own_vote_majority.value is None
    assert found.if_consistency == {}


def test_the_interval_holds_both_the_ceiling_and_the_majority() -> None:
    """Two opposed camps of five, 10 % flips: truth 0.9, majority 0.5 or a little more or less."""
    rng = np.random.default_rng(0)
    rows: list[Row] = []
    for pair in range(200):
        truth = rng.integers(0, 2)
        for user, occurrence in itertools.product(range(10), (0, 1)):
            wants = truth ^ (user % 2)
            rows.append((f"u{user}", pair, float(wants ^ (rng.random() < 0.1)), occurrence, None))
    found = room(read_rows(frame(rows)))
    assert found.is_positive
    assert found.low.value is not None
    assert found.low.low is not None
    assert found.high.high is not None
    assert found.low.low < found.low.value < 0.4 < found.high.high


def test_repeats_without_exception_do_not_make_the_ceiling_certain() -> None:
    """Nobody has a taste; 30 % of the rows stand twice, so all agree with themselves."""
    rng = np.random.default_rng(0)
    votes = read_rows(with_copies(one_truth("margins", 12, 80, rng), rng))
    found, again = room(votes), consistency(votes)
    assert again is not None
    assert again.self_agreement.value == 1.0
    assert again.self_agreement.low is not None
    # Twelve users without an exception; unequal shares make them a little fewer in effect.
    assert 0.025 ** (1 / 10) < again.self_agreement.low <= 0.025 ** (1 / 12)
    ceiling = ceiling_upper_bound(again.self_agreement.low)
    assert again.ceiling_upper_bound.low == pytest.approx(ceiling)
    assert again.flip_rate.high == pytest.approx(1 - ceiling)
    for gap, majority in (
        (found.low, found.own_vote_majority),
        (found.high, found.leave_one_out_majority),
    ):
        assert majority.value is not None
        assert majority.low is not None
        assert majority.high is not None
        assert gap.value == pytest.approx(1 - majority.value)
        assert gap.low == pytest.approx(ceiling - majority.high)
        assert gap.high == pytest.approx(1 - majority.low)
    assert found.is_positive is False


def test_a_large_room_stays_positive_when_many_repeats_agree() -> None:
    """Forty users in two camps of one size who never change their mind: room one half."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 60)
    wants = np.where(np.arange(40)[:, None] % 2, truth, 1 - truth).astype(float)
    assert room(read_rows(with_copies(wants, rng))).is_positive


def test_few_repeats_that_agree_cannot_rule_out_chance() -> None:
    """Four pairs without an exception: self-agreement [0.40, 1]."""
    found = room(read_rows(table({"u": "aa aa aa aa", "v": "b b b b", "w": "b a b a"})))
    assert found.low.value == pytest.approx(1 - 1 / 2)
    assert found.low.low is found.low.high is None
    assert found.low.reason is not None
    assert "below one half" in found.low.reason
    assert found.is_positive is False


def test_repeats_that_are_coins_give_no_room() -> None:
    """Answers drawn anew each time: the ceiling near one half is no straight line."""
    rng = np.random.default_rng(3)
    coins = np.full((20, 60), 0.5)
    found = [room(read_rows(sampled_votes(coins, rng, repeated=1.0))) for _ in range(40)]
    assert sum(each.low.low is None for each in found) >= 38
    reasons = {str(each.low.reason) for each in found if each.low.value is not None}
    assert any("below one half" in reason for reason in reasons)


def test_one_group_that_agrees_has_no_interval() -> None:
    """Nor three: they are no population of groups."""
    three = room(read_rows(table({"u": "aa aa aa", "v": "b b b", "w": "b a b"})))
    assert (three.low.low, three.low.target) == (None, "these-judgements")
    found = room(read_rows(table({"u": "aa", "v": "bb"})))
    assert found.low.value == 0.5
    assert found.low.low is None
    assert found.low.reason is not None
    assert "1.0 effective groups are too few" in found.low.reason
