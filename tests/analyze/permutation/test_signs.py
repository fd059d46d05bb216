import itertools

import numpy as np
import pytest

from plt.analyze.permutation.signs import FEW_UNITS, cross_product_p_value


def test_the_share_of_signs_is_that_of_all_of_them() -> None:
    scores = np.random.default_rng(0).normal(0.3, 1, (9, 4))

    def value(signs: np.ndarray) -> float:
        turned = scores * signs[:, None]
        return float(turned.sum(axis=0) @ turned.sum(axis=0) - (scores**2).sum())

    all_signs = [np.array(signs) for signs in itertools.product((-1, 1), repeat=9)]
    seen = value(np.ones(9))
    exact = np.mean([value(signs) >= seen - 1e-9 for signs in all_signs])
    found = cross_product_p_value(scores, 20_000, np.random.default_rng(1))
    assert found == pytest.approx(exact, abs=0.01)


def test_what_returns_in_other_units_is_found_and_what_does_not_is_not() -> None:
    rng = np.random.default_rng(2)
    common = rng.normal(size=5)
    returns = rng.normal(size=(30, 5)) + common
    assert cross_product_p_value(returns, 999, rng) == 1 / 1000
    rare = sum(
        cross_product_p_value(rng.normal(size=(30, 5)), 199, rng) <= 0.05 for _ in range(200)
    )
    assert rare <= 20


def test_few_units_could_never_be_significant() -> None:
    assert cross_product_p_value(np.ones((7, 3)), 99, np.random.default_rng(0)) == FEW_UNITS
    padded = np.concatenate((np.ones((7, 3)), np.zeros((9, 3))))
    assert cross_product_p_value(padded, 99, np.random.default_rng(0)) == FEW_UNITS
