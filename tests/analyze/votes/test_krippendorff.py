import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

from plt.analyze.votes.agreement import krippendorff_alpha
from plt.analyze.votes.votes import read_rows
from tests.analyze.vote_tables import first_votes, matrix, table, vote_frames


def coincidences(units: list[list[int]]) -> np.ndarray:
    """Krippendorff's coincidence matrix of binary values, units with one value left out."""
    o = np.zeros((2, 2))
    for values in units:
        for x, y in itertools.permutations(values, 2):
            o[x, y] += 1 / (len(values) - 1)
    return o


def disagreements(units: list[list[int]]) -> tuple[float, float]:
    o = coincidences([values for values in units if len(values) >= 2])
    n = o.sum()
    seen = (o[0, 1] + o[1, 0]) / n
    counts = o.sum(axis=1)
    return seen, 2 * counts[0] * counts[1] / (n * (n - 1))


# Krippendorff (2011), Computing Krippendorff's alpha-reliability, section A: two observers, binary.
MEG = "0100000010"
OWEN = "1110010000"


def test_the_slow_reference_is_the_textbook() -> None:
    seen, expected = disagreements([[int(m), int(o)] for m, o in zip(MEG, OWEN, strict=True)])
    assert 1 - seen / expected == pytest.approx(0.095, abs=5e-4)


def averaged_alpha(units: list[list[int]]) -> float | None:
    """Alpha with the expected disagreement averaged over every orientation of the units."""
    units = [values for values in units if len(values) >= 2]
    expected = []
    for turned in itertools.product((False, True), repeat=len(units)):
        oriented = [
            [1 - v if turn else v for v in values]
            for turn, values in zip(turned, units, strict=True)
        ]
        seen, by_chance = disagreements(oriented)
        expected.append(by_chance)
    return 1 - seen / float(np.mean(expected)) if np.mean(expected) > 0 else None


@settings(deadline=None)
@given(vote_frames())
def test_alpha_is_that_of_the_coincidence_matrix(votes: pl.DataFrame) -> None:
    units = [list(by.values()) for by in first_votes(votes).values()]
    found = krippendorff_alpha(read_rows(votes))
    slow = averaged_alpha(units) if units else None
    if slow is None:
        assert found.value is None
        assert found.reason is not None
    else:
        assert found.value == pytest.approx(slow, abs=1e-12)


def test_orientation_matters_to_the_textbook_by_one_over_the_number_of_pairs_only() -> None:
    rng = np.random.default_rng(0)
    votes = (rng.random((3, 2000)) < rng.beta(1, 1, 2000)).astype(int)
    seen, expected = disagreements(votes.T.tolist())
    assert krippendorff_alpha(read_rows(matrix(votes))).value == pytest.approx(
        1 - seen / expected, abs=3 / 2000
    )


def test_hand_worked() -> None:
    assert krippendorff_alpha(read_rows(table({"u": "a a", "v": "b a"}))).value == 0.0
    assert krippendorff_alpha(read_rows(table({"u": "a a b", "v": "a a b"}))).value == 1.0
    assert krippendorff_alpha(read_rows(table({"u": "a", "v": "a"}))).value is None
    opposed = krippendorff_alpha(read_rows(table({"u": "a a a", "v": "b b b"})))
    assert opposed.value == pytest.approx(1 - 5 / 3)  # 1 - 1 / (P / (2 P - 1)) of P = 3 pairs


def test_coins_have_no_reliability() -> None:
    votes = np.random.default_rng(2).integers(0, 2, (5, 4000))
    found = krippendorff_alpha(read_rows(matrix(votes)))
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0 < found.high
    assert found.high - found.low < 0.05
