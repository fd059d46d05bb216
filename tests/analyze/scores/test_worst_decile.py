"""The worst tenth of the users: by hand, and against populations whose truth is known."""

import numpy as np
import polars as pl
import pytest

from plt.analyze.registry import METRICS
from plt.analyze.scores.accuracy import worst_user
from plt.analyze.scores.evaluation import EvaluationRows, compute, evaluation_rows
from plt.analyze.scores.worst_decile import worst_decile
from tests.analyze.score_tables import scores


def answered(served: np.ndarray, n: np.ndarray, rng: np.random.Generator) -> EvaluationRows:
    """User u is right with probability served[u] in each of n[u] judgements of n[u] groups."""
    users = np.repeat(np.arange(served.size), n)
    right = rng.random(users.size) < served[users]
    return EvaluationRows(
        margin=np.where(right, 1.0, -1.0),
        prefers_a=np.ones(users.size, dtype=bool),
        users=users,
        groups=np.arange(users.size),
        user_names=pl.Series([f"u{i:03d}" for i in range(served.size)]),
        n_ties=0,
    )


def naive(rows: EvaluationRows) -> float:
    assert rows.users is not None
    shares = np.bincount(rows.users, rows.correct) / np.bincount(rows.users)
    return float(np.sort(shares)[: shares.size // 10].mean())


@pytest.mark.parametrize(("concentration", "allowed"), [(16.0, 0.015), (4.0, 0.015)])
def test_the_truth_is_met_where_the_raw_tenth_is_too_low(
    concentration: float, allowed: float
) -> None:
    """Accuracies Beta(.75 c, .25 c), 12 judgements each: unbiased, the raw tenth is not."""
    rng = np.random.default_rng(5)
    found, raw, truth, inside = [], [], [], 0
    for _ in range(60):
        served = rng.beta(0.75 * concentration, 0.25 * concentration, 100)
        rows = answered(served, rng.integers(6, 19, 100), rng)
        interval = worst_decile(rows, "user")
        assert interval.low is not None
        assert interval.high is not None
        assert interval.value is not None
        found.append(interval.value)
        raw.append(naive(rows))
        truth.append(float(np.sort(served)[:10].mean()))
        inside += interval.low <= truth[-1] <= interval.high
    error = np.mean(found) - np.mean(truth)
    spread = float(np.std(np.array(found) - np.array(truth))) / np.sqrt(60)
    assert abs(error) < allowed + 2 * spread
    assert np.mean(raw) - np.mean(truth) < -0.04
    assert inside >= 54


def test_equally_served_users_have_no_worst_tenth() -> None:
    """All at 0.75 with 12 judgements: the raw tenth says 0.52, the figure is near 0.75."""
    rng = np.random.default_rng(0)
    rows = [answered(np.full(84, 0.75), np.full(84, 12), rng) for _ in range(20)]
    figures = [worst_decile(row, "user").value or 0.0 for row in rows]
    assert np.mean([naive(row) for row in rows]) == pytest.approx(0.52, abs=0.03)
    assert np.mean(figures) > 0.69
    assert max(figures) <= 0.80


def test_two_kinds_of_users_by_hand() -> None:
    """Five users with 50 of 100, five with 70 of 100: t^2 = 0.1 / 9 - mean noise."""
    users = [f"u{i}" for i in range(10) for _ in range(100)]
    right = [k < (50 if i < 5 else 70) for i in range(10) for k in range(100)]
    rows = evaluation_rows(scores([1.0] * 1000, np.where(right, 1.0, -1.0), users))
    noise = (0.25 / 99 + 0.21 / 99) / 2
    between = 0.1 / 9 - noise
    expected = 0.6 - np.sqrt(between / (between + noise)) * 0.1
    assert worst_decile(rows, "user").value == pytest.approx(expected)


def test_a_tenth_that_is_no_whole_number_is_weighted() -> None:
    """15 users: the lowest wholly, the next by half. Without noise the shares themselves count."""
    served = np.array([0.0, 1.0] + [1.0] * 13)
    rows = answered(served, np.full(15, 40), np.random.default_rng(0))
    assert worst_decile(rows, "user").value == pytest.approx((0.0 + 0.5 * 1.0) / 1.5, abs=0.02)


def test_the_rows_of_a_group_are_one_draw() -> None:
    """Each answer copied five times within its group changes neither noise nor figure."""
    rng = np.random.default_rng(3)
    served = rng.beta(12, 4, 40)
    once = answered(served, np.full(40, 12), rng)
    assert once.users is not None
    copies = EvaluationRows(
        margin=np.repeat(once.margin, 5),
        prefers_a=np.repeat(once.prefers_a, 5),
        users=np.repeat(once.users, 5),
        groups=np.repeat(once.groups, 5),
        user_names=once.user_names,
        n_ties=0,
    )
    one, other = worst_decile(once, "user"), worst_decile(copies, "user")
    assert other.value == pytest.approx(one.value)
    assert other.low == pytest.approx(one.low)


def test_what_cannot_be_known_is_null_with_its_reason() -> None:
    few = evaluation_rows(scores([1.0] * 9, [1.0] * 9, [f"u{i}" for i in range(9)]))
    assert worst_decile(few, "user").reason == "fewer than 10 users"
    single = evaluation_rows(scores([1.0] * 12, [1.0] * 12, [f"u{i}" for i in range(12)]))
    found = worst_decile(single, "user")
    assert found.value is None
    assert "two groups" in (found.reason or "")
    nobody = evaluation_rows(scores([1.0] * 3, [1.0] * 3, [None] * 3))
    assert compute(METRICS["worst_decile_accuracy"], nobody, "user").value is None


WORLDS = {
    "all alike": (lambda r: np.full(84, 0.75), 12),
    "one in ten at 0.4": (lambda r: np.where(np.arange(84) < 8, 0.4, 0.8), 12),
    "one in ten at 0.4, more answers": (lambda r: np.where(np.arange(60) < 6, 0.4, 0.8), 40),
    "smooth": (lambda r: r.beta(12, 4, 60), 12),
    "ten users": (lambda r: r.beta(3, 2, 10), 12),
    "nearly always right": (lambda r: np.full(50, 0.95), 8),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_the_intervals_of_the_worst_hold_in_every_shape(name: str) -> None:
    """The worst user and the worst tenth of these users, asked without end."""
    make, n = WORLDS[name]
    inside = np.zeros(2)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        served = np.clip(make(rng), 0.001, 0.999)
        rows = answered(served, np.full(served.size, n), rng)
        ordered, size = np.sort(served), 0.1 * served.size
        tenth = ordered @ np.clip(size - np.arange(served.size), 0, 1) / size
        for i, (figure, truth) in enumerate(((worst_user, served.min()), (worst_decile, tenth))):
            found = figure(rows, "user")
            assert found.target == "these-users"
            assert found.low is not None
            assert found.high is not None
            inside[i] += found.low <= truth <= found.high
    assert (inside / 200 >= 0.93 - 2 * np.sqrt(0.05 * 0.95 / 200)).all()
