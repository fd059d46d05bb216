import numpy as np
import pytest
from scipy.special import expit

from plt.analyze.repeats.consistency import ceiling_upper_bound, consistency, cronbach_alpha
from plt.analyze.votes.votes import read_rows
from tests.analyze.vote_tables import Row, frame, table


def test_hand_worked() -> None:
    found = consistency(read_rows(table({"u": "aa ab bb a", "v": "aa a -aa aab"})))
    assert found is not None
    # u: 1, 0, 1; v: 1, (one judgement), (the tie left, a a) 1, (a a b) 1 of 3.
    assert found.self_agreement.value == pytest.approx((1 + 0 + 1 + 1 + 1 + 1 / 3) / 6)
    assert (found.n_repeated, found.n_users) == (6, 2)
    # First two judgements agree in 5 of 6 cells: alpha 2 - 6 / 5.
    assert found.cronbach_alpha.value == pytest.approx(0.8)


def test_nobody_was_asked_again() -> None:
    assert consistency(read_rows(table({"u": "a b", "v": "- -a"}))) is None


@pytest.mark.parametrize(("agreement", "ceiling"), [(0.7, 0.816), (0.8, 0.887), (0.9, 0.947)])
def test_the_ceiling_of_equal_noise(agreement: float, ceiling: float) -> None:
    assert ceiling_upper_bound(agreement) == pytest.approx(ceiling, abs=5e-4)
    flip = 1 - ceiling_upper_bound(agreement)
    assert flip**2 + (1 - flip) ** 2 == pytest.approx(agreement)


@pytest.mark.parametrize(("r", "k", "alpha"), [(0.5, 2, 0.667), (0.5, 4, 0.8), (0.8, 2, 0.889)])
def test_alpha_of_parallel_scores_is_spearman_and_browns(r: float, k: int, alpha: float) -> None:
    rng = np.random.default_rng(0)
    truth, noise = rng.normal(size=(200_000, 1)), rng.normal(size=(200_000, k))
    scores = np.sqrt(r) * truth + np.sqrt(1 - r) * noise
    assert cronbach_alpha(scores) == pytest.approx(alpha, abs=0.005)
    assert cronbach_alpha(scores, midpoint=0.0) == pytest.approx(alpha, abs=0.005)


def test_alpha_of_scores_that_cancel_is_undefined() -> None:
    assert cronbach_alpha(np.array([[1.0, 0.0], [0.0, 1.0]])) is None


def asked_twice(q: np.ndarray, rng: np.random.Generator) -> list[Row]:
    """Two judgements of every user (rows of q) on every pair, P(a) = q."""
    return [
        (f"u{u}", p, float(rng.random() < q[u, p]), occurrence, None)
        for u in range(q.shape[0])
        for p in range(q.shape[1])
        for occurrence in (0, 1)
    ]


def test_bradley_terry_users_with_margins_of_two() -> None:
    """Self-agreement 0.697 and a true ceiling of 0.778, which the upper bound exceeds."""
    rng = np.random.default_rng(0)
    q = expit(rng.normal(0, 2, (1, 20_000)))
    found = consistency(read_rows(frame(asked_twice(q, rng))))
    assert found is not None
    assert found.self_agreement.value == pytest.approx(0.697, abs=0.01)
    assert np.maximum(q, 1 - q).mean() == pytest.approx(0.778, abs=0.005)
    assert found.ceiling_upper_bound.value is not None
    assert found.ceiling_upper_bound.value > 0.80


def test_self_agreement_below_chance_has_no_ceiling() -> None:
    found = consistency(read_rows(table({"u": "ab ab ab", "v": "ba ab aa"})))
    assert found is not None
    assert found.ceiling_upper_bound.value is found.flip_rate.value is None
    assert found.ceiling_upper_bound.reason is not None
    assert found.cronbach_alpha.value == pytest.approx(2 - 6)


def test_never_the_same_answer() -> None:
    found = consistency(read_rows(table({"u": "ab ba", "v": "ba ab"})))
    assert found is not None
    assert found.self_agreement.value == 0.0
    assert found.cronbach_alpha.value is None


def test_intervals_follow_the_transformation() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, (4, 200))
    found = consistency(read_rows(frame(asked_twice(np.where(truth, 0.9, 0.1), rng))))
    assert found is not None
    again, ceiling, flips = found.self_agreement, found.ceiling_upper_bound, found.flip_rate
    assert again.low is not None
    assert again.high is not None
    assert ceiling.low == pytest.approx(ceiling_upper_bound(again.low))
    assert ceiling.high == pytest.approx(ceiling_upper_bound(again.high))
    assert flips.low == pytest.approx(1 - ceiling_upper_bound(again.high))
    assert flips.value == pytest.approx(0.1, abs=0.02)
    alpha = found.cronbach_alpha
    assert (alpha.low, alpha.high) == pytest.approx((2 - 1 / again.low, 2 - 1 / again.high))
    assert again.target == alpha.target == "these-users"
