import numpy as np
import polars as pl
import pytest
from hypothesis import given

from plt.analyze.votes import weighted_votes as module
from plt.analyze.votes.votes import read_rows
from plt.analyze.votes.weighted_votes import NO_OVERLAP, PRIOR_PAIRS, weighted_votes
from tests.analyze.populations_of_voters import camps, crowd, one_truth
from tests.analyze.vote_tables import first_votes, matrix, table, vote_frames


def slow_reader(votes: pl.DataFrame) -> list[tuple[float, float]]:
    """What the weighted votes and the majority earn for each testable vote, person by person."""
    voters = {
        pair: {u: 2 * s - 1 for u, s in by.items()} for pair, by in first_votes(votes).items()
    }
    coded = read_rows(votes)
    group = dict(zip(coded.pair_ids.tolist(), coded.groups.tolist(), strict=True))
    products = {
        (pair, u, w): by[u] * by[w] for pair, by in voters.items() for u in by for w in by if u < w
    }
    earned = []
    for pair, by in voters.items():
        outside = {key: p for key, p in products.items() if group[key[0]] != group[pair]}
        common = sum(outside.values()) / max(len(outside), 1)
        for u, vote in by.items():
            weighted, shares = 0.0, False
            for w in by:
                if w != u:
                    met = [p for (_, *two), p in outside.items() if set(two) == {u, w}]
                    shares |= bool(met)
                    weighted += by[w] * (sum(met) + PRIOR_PAIRS * common) / (len(met) + PRIOR_PAIRS)
            if shares:
                leans = (weighted * vote, sum(by[w] for w in by if w != u) * vote)
                earned.append(tuple(0.5 if abs(x) < 1e-6 else float(x > 0) for x in leans))
    return earned


@given(vote_frames())
def test_figures_are_those_of_a_slow_reader(votes: pl.DataFrame) -> None:
    found, expected = weighted_votes(read_rows(votes)), slow_reader(votes)
    if not expected:
        assert found == NO_OVERLAP
        return
    assert not isinstance(found, str)
    weighted, majority = np.mean(expected, axis=0)
    assert found.n_judgements == len(expected)
    assert found.weighted.value == pytest.approx(weighted)
    assert found.majority.value == pytest.approx(majority)
    assert found.gain.value == pytest.approx(weighted - majority)


def test_camps_are_followed_and_one_taste_gains_nothing() -> None:
    rng = np.random.default_rng(0)
    opposed = weighted_votes(
        read_rows(crowd(camps(20, 300, rng, share=0.4), rng, per_group=25, voters=8))
    )
    assert not isinstance(opposed, str)
    assert opposed.gain.low is not None
    assert opposed.gain.low > 0.2
    one = weighted_votes(
        read_rows(crowd(one_truth("margins", 20, 300, rng), rng, per_group=25, voters=8))
    )
    assert not isinstance(one, str)
    assert one.gain.low is not None
    assert one.gain.low <= 0.01


def test_without_overlap_there_is_a_reason() -> None:
    assert weighted_votes(read_rows(table({"u": "a _", "v": "_ b"}))) == NO_OVERLAP
    one_group = matrix(np.random.default_rng(1).integers(0, 2, (4, 30)), ["g"] * 30)
    assert weighted_votes(read_rows(one_group)) == NO_OVERLAP


def test_of_many_couplings_whole_groups_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    votes = crowd(camps(12, 120, rng), rng, per_group=4, voters=6)
    monkeypatch.setattr(module, "MAX_COUPLINGS", 900)
    found = weighted_votes(read_rows(votes))
    assert not isinstance(found, str)
    assert found.n_judgements == 15 * 4 * 6  # 60 couplings a group
    assert weighted_votes(read_rows(votes[rng.permutation(votes.height)])) == found
