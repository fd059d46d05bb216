import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given

from plt.analyze.votes.agreement import agreement
from plt.analyze.votes.votes import read_rows
from tests.analyze.vote_tables import first_votes, table, vote_frames


def test_a_worked_table() -> None:
    found = agreement(read_rows(table({"u": "a a", "v": "a a", "w": "b _"})))
    assert found.pairwise.value == pytest.approx(0.5)
    assert found.item_mean.value == pytest.approx(2 / 3)


@given(vote_frames())
def test_figures_are_those_of_counting_pairs_of_judgements(votes: pl.DataFrame) -> None:
    per_pair = [
        [x == y for x, y in itertools.combinations(by.values(), 2)]
        for by in first_votes(votes).values()
    ]
    found = agreement(read_rows(votes))
    bare = agreement(read_rows(votes), intervals=False)
    if not per_pair:
        assert found.pairwise.value is found.item_mean.value is None
        return
    assert found.pairwise.value == pytest.approx(np.mean(list(itertools.chain(*per_pair))))
    assert found.item_mean.value == pytest.approx(np.mean([np.mean(p) for p in per_pair]))
    assert bare.pairwise.value == pytest.approx(found.pairwise.value)
    assert bare.item_mean.value == pytest.approx(found.item_mean.value)
    assert bare.pairwise.low is None
