from dataclasses import replace

import numpy as np
import pytest

from plt.errors import UsageError
from plt.train.heads.newton import Problems
from plt.train.heads.ridge import L2_GRID, MIN_VALIDATION_ROWS, fit_ridge, refuse_penalty
from tests.train.problems import differences, only, planted


def split(problems: Problems, n_train: int) -> tuple[Problems, Problems]:
    """The first rows of the single group, and the rest."""
    n_rows = len(problems.a)
    parts = []
    for rows in (slice(0, n_train), slice(n_train, n_rows)):
        part = replace(
            problems, a=problems.a[rows], b=problems.b[rows], label=problems.label[rows],
            weight=problems.weight[rows], starts=np.array([0, rows.stop - rows.start]),
        )  # fmt: skip
        parts.append(part)
    return parts[0], parts[1]


def cross_entropy(problems: Problems, head: np.ndarray) -> float:
    margin = differences(problems) @ head
    label = problems.label
    return float(np.sum(label * np.logaddexp(0, -margin) + (1 - label) * np.logaddexp(0, margin)))


def test_validation_rows_choose_the_penalty_that_predicts_them_best() -> None:
    problems, _ = planted(0, [40 + MIN_VALIDATION_ROWS], d=20)
    train, validation = split(problems, 40)
    chosen = fit_ridge(train, None, validation)
    assert chosen.by_validation.tolist() == [True]
    assert chosen.describe() == f"penalty l2 = {chosen.l2[0]:g}, chosen by validation"
    losses = {l2: cross_entropy(validation, fit_ridge(train, l2).weights[0]) for l2 in L2_GRID}
    assert chosen.l2[0] == min(losses, key=lambda l2: losses[l2])
    assert np.allclose(chosen.weights, fit_ridge(train, chosen.l2[0]).weights, atol=1e-8)


def test_too_few_validation_rows_leave_the_choice_to_evidence() -> None:
    problems, _ = planted(1, [40 + MIN_VALIDATION_ROWS - 1], d=20)
    train, validation = split(problems, 40)
    chosen = fit_ridge(train, None, validation)
    assert chosen.describe() == f"penalty l2 = {chosen.l2[0]:g}, chosen by evidence"
    other_labels = replace(validation, label=1 - validation.label)
    assert np.array_equal(fit_ridge(train, None, other_labels).weights, chosen.weights)


def test_evidence_penalises_noise_more_than_taste() -> None:
    taste, _ = planted(2, [200], d=10, scale=6.0)
    noise = replace(taste, label=np.random.default_rng(0).integers(0, 2, 200).astype(np.float64))
    assert fit_ridge(noise).l2[0] > 10 * fit_ridge(taste).l2[0]


def test_each_user_chooses_from_their_own_rows() -> None:
    problems, _ = planted(3, [30, 60, 30], d=15)
    together = fit_ridge(problems)
    for group in range(3):
        alone = fit_ridge(only(problems, group))
        assert alone.l2[0] == together.l2[group]
        assert np.allclose(alone.weights[0], together.weights[group], atol=1e-8)


def test_backbone_units_do_not_matter() -> None:
    problems, _ = planted(4, [50], d=8)
    large = replace(problems, features=problems.features * np.float32(1024))
    fit, same = fit_ridge(problems), fit_ridge(large)
    assert fit.l2 == same.l2
    assert np.allclose(fit.weights, same.weights * 1024, rtol=1e-9)


def test_rows_that_differ_in_nothing_give_the_head_zero() -> None:
    problems, _ = planted(5, [10], d=4)
    same = replace(problems, b=problems.a)
    assert np.array_equal(fit_ridge(same).weights, np.zeros((1, 4)))


@pytest.mark.parametrize("l2", [0.0, -1.0, float("nan"), float("inf")])
def test_penalties_that_leave_heads_undefined_are_refused(l2: float) -> None:
    with pytest.raises(UsageError, match="above 0"):
        refuse_penalty(l2)
