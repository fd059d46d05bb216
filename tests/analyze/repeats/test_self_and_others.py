import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given

from plt.analyze.repeats.self_and_others import NO_THIRD_VOTER, self_and_others
from plt.analyze.votes.votes import read_rows
from tests.analyze.vote_tables import sides, table, vote_frames


def test_hand_worked() -> None:
    steady = self_and_others(read_rows(table({"u": "aa", "w": "bb"})))
    assert steady is not None
    assert steady.difference.value == 1.0
    fickle = self_and_others(read_rows(table({"u": "ab", "w": "ba"})))
    assert fickle is not None
    assert (fickle.self_agreement.value, fickle.between_persons.value) == (0.0, 0.5)
    assert fickle.difference.value == -0.5


def test_repeats_that_nobody_else_judged_say_nothing() -> None:
    assert self_and_others(read_rows(table({"u": "aa _ ab", "w": "_ aa _"}))) is None
    assert self_and_others(read_rows(table({"u": "a b", "w": "a a"}))) is None


@given(vote_frames())
def test_figures_are_those_of_a_slow_reader(votes: pl.DataFrame) -> None:
    alike, with_others = [], []
    for by_user in sides(votes).values():
        for user, given_ in by_user.items():
            others = [answers[0] for other, answers in by_user.items() if other != user]
            if len(given_) >= 2 and others:
                alike.append(np.mean([x == y for x, y in itertools.combinations(given_, 2)]))
                with_others.append(np.mean([x == y for x in given_ for y in others]))
    found = self_and_others(read_rows(votes))
    if not alike:
        assert found is None
        return
    assert found is not None
    assert found.n_cells == len(alike)
    assert found.self_agreement.value == pytest.approx(np.mean(alike))
    assert found.between_persons.value == pytest.approx(np.mean(with_others))
    assert found.difference.value == pytest.approx(
        np.mean(np.array(alike) - np.array(with_others)), abs=1e-12
    )


def test_reliability_needs_a_third_voter() -> None:
    found = self_and_others(read_rows(table({"u": "aa ab aa", "w": "bb ba ba"})))
    assert found is not None
    assert found.beyond_reliability.value is None
    assert found.beyond_reliability.reason == NO_THIRD_VOTER


def test_figures_without_intervals_are_the_same_figures() -> None:
    votes = read_rows(table({"u": "aa ab aa b", "w": "bb ba bb a", "x": "a a a a"}))
    full, bare = self_and_others(votes), self_and_others(votes, intervals=False)
    assert full is not None
    assert bare is not None
    assert bare.exchanged.p_value is None
    for name in ("self_agreement", "between_persons", "difference", "beyond_reliability"):
        assert getattr(bare, name).value == pytest.approx(getattr(full, name).value)
        assert getattr(bare, name).low is None
