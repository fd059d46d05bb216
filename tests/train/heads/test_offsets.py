"""Heads e_0 + o_u against a general optimiser, tabular optima and the special cases of alpha."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from plt.train.heads.empirical_bayes import Prior, shrunken_heads
from plt.train.heads.head_table import HeadTable
from plt.train.heads.newton import Problems
from plt.train.heads.offsets import (
    OffsetPenalties,
    OffsetRows,
    OffsetTable,
    fit_generic,
    fit_offsets,
    offset_evidence,
    offset_heads,
)
from plt.train.heads.ridge import L2_GRID, fit_ridge
from plt.train.method import FloatArray
from tests.train.problems import differences, planted


def one_group(problems: Problems) -> Problems:
    return replace(problems, starts=np.array([0, len(problems.a)]))


def loss(problems: Problems, alpha: float, penalties: OffsetPenalties, flat: FloatArray) -> float:
    """The loss of the docstring, of (e_0, o_1, ..., o_U) as one vector."""
    n_users = len(problems.sizes)
    table = flat.reshape(n_users + 1, -1)
    x = differences(problems) / penalties.scale
    user = np.repeat(np.arange(n_users), problems.sizes)
    total = penalties.generic / 2 * (table[0] @ table[0])
    total += penalties.users / 2 * (table[1:] ** 2).sum()
    for share, heads in ((alpha, table[0] + table[1:][user]), (1 - alpha, table[:1])):
        margin = (x * heads).sum(axis=1)
        total += share * (np.logaddexp(0, margin) - problems.label * margin).sum()
    return float(total)


@pytest.mark.parametrize(("sizes", "alpha"), [([9, 5, 7], 0.5), ([30, 4, 2], 0.8), ([3, 3], 1.0)])
def test_the_joint_optimum(sizes: list[int], alpha: float) -> None:
    """Users with more rows than features and with fewer; at alpha 1 there is one branch."""
    problems, _ = planted(0, sizes, d=6)
    penalties = OffsetPenalties(0.7, 0.4, 2.0)
    generic = fit_generic(problems, one_group(problems), alpha, penalties, np.zeros(6))
    heads = offset_heads(problems, generic, penalties.deviation(alpha))
    found = np.concatenate([generic[None], heads - generic]) * penalties.scale
    general = minimize(
        lambda flat: loss(problems, alpha, penalties, flat),
        np.zeros(found.size),
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-9, "maxfun": 10**6},
    )
    assert loss(problems, alpha, penalties, found.ravel()) <= general.fun + 1e-9
    assert np.allclose(found.ravel(), general.x, atol=1e-3)
    for place in range(0, found.size, 5):
        step = np.zeros(found.size)
        step[place] = 1e-5
        up = loss(problems, alpha, penalties, found.ravel() + step)
        down = loss(problems, alpha, penalties, found.ravel() - step)
        assert abs(up - down) / 2e-5 < 1e-6


def tabular(n_majority: int, n_minority: int) -> Problems:
    """One pair, one feature; most choose the first response, the others the second."""
    n = n_majority + n_minority
    features = np.array([[1.0], [0.0]], dtype=np.float32)
    label = np.array([1.0] * n_majority + [0.0] * n_minority)
    zeros = np.zeros(n, dtype=np.int64)
    return Problems(features, zeros, zeros + 1, label, np.ones(n), np.arange(n + 1))


def test_the_generic_user_keeps_the_vote_share_and_users_leave_it() -> None:
    """O-3b: alpha .5, 70/30: generic .7, majority near 1, minority near 0; at alpha 1 it drifts."""
    problems = tabular(7, 3)
    weak = OffsetPenalties(1e-9, 1e-4, 1.0)
    shares = {}
    for alpha in (0.5, 1.0):
        generic = fit_generic(problems, one_group(problems), alpha, weak, np.zeros(1))
        heads = offset_heads(problems, generic, weak.deviation(alpha))
        shares[alpha] = expit(generic[0])
        assert expit(heads[:7]).min() > 0.99
        assert expit(heads[7:]).max() < 0.02
    assert shares[0.5] == pytest.approx(0.7, abs=1e-3)
    assert abs(shares[1.0] - 0.7) > 0.1


def test_strong_penalties_on_offsets_leave_bradley_terry() -> None:
    problems, _ = planted(0, [20, 20], d=5)
    shared = fit_ridge(one_group(problems), 1.0)
    scale = one_group(problems).pooled_scale()
    rigid = OffsetPenalties(1.0, 1e12, scale)
    for alpha in (0.3, 1.0):
        generic = fit_generic(problems, one_group(problems), alpha, rigid, np.zeros(5))
        assert np.allclose(generic, shared.weights[0], atol=1e-7)
        heads = offset_heads(problems, generic, rigid.deviation(alpha))
        assert np.allclose(heads, shared.weights[0], atol=1e-5)


def test_offsets_around_zero_are_ridge_heads_and_evidence_is_theirs() -> None:
    problems, _ = planted(0, [20, 40, 3])
    scale = problems.pooled_scale()
    deviation = OffsetPenalties(1.0, 2.0, scale).deviation(1.0)
    heads = offset_heads(problems, np.zeros(12), deviation)
    prior = Prior(np.zeros(12), np.eye(12) * deviation)
    assert np.allclose(heads, shrunken_heads(problems, prior), atol=1e-9)
    deviations = [OffsetPenalties(1.0, l2, scale).deviation(1.0) for l2 in L2_GRID]
    evidence = offset_evidence(one_group(problems), np.zeros(12), deviations)
    assert L2_GRID[int(np.argmax(evidence))] == fit_ridge(one_group(problems)).l2[0]


def test_a_newcomer_with_the_rows_of_a_user_gets_the_head_of_that_user() -> None:
    problems, _ = planted(0, [20, 30])
    shared = fit_ridge(one_group(problems), 1.0)
    rows = OffsetRows(problems, one_group(problems), replace(problems, weight=problems.weight * 0))
    fit = fit_offsets(rows, 0.5, 0.6, shared)
    table = OffsetTable(
        HeadTable(("a", "b"), fit.heads, fit.generic), fit.generic, fit.penalties.deviation(0.5)
    )
    again = table.with_newcomers(problems, ["x", "y"])
    assert again.users == ("a", "b", "x", "y")
    assert np.array_equal(again.table.heads[:2], fit.heads)
    assert np.allclose(again.table.heads[2:], fit.heads, atol=1e-10)
    loaded = OffsetTable.from_arrays(again.arrays(), again.users)
    assert np.array_equal(loaded.table.heads, again.table.heads)
    assert loaded.deviation == again.deviation


def test_the_penalty_of_offsets_comes_from_validation_or_evidence() -> None:
    alike, _ = planted(0, [60, 60], d=4)
    same = replace(alike, starts=np.array([0, 60, 120]))
    # The second user repeats the first: nothing is personal.
    half = slice(0, 60)
    twins = Problems(
        same.features,
        np.tile(same.a[half], 2),
        np.tile(same.b[half], 2),
        np.tile(same.label[half], 2),
        np.ones(120),
        same.starts,
    )
    shared = fit_ridge(one_group(twins), 0.1)
    nothing = replace(twins, weight=np.zeros(120))
    by_evidence = fit_offsets(OffsetRows(twins, one_group(twins), nothing), 0.5, None, shared)
    assert by_evidence.chosen == "chosen by evidence"
    assert by_evidence.penalties.users == 10.0
    opposed, _ = planted(1, [60, 60], d=4, scale=8.0)
    rows = OffsetRows(opposed, one_group(opposed), opposed)
    by_validation = fit_offsets(rows, 0.5, None, fit_ridge(one_group(opposed), 0.1))
    assert by_validation.chosen == "chosen by validation"
    assert by_validation.penalties.users < 1.0
