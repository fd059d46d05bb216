"""The factorised fit against derivatives, Bradley-Terry, Adam and planted factors."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit

from plt.errors import FailedError
from plt.train.heads import factor_fit as module
from plt.train.heads.factor_fit import (
    DEFAULT_L2,
    FactorFit,
    FactorRows,
    Factors,
    Penalties,
    fit_best,
    fit_factors,
    objective,
    random_factors,
)
from plt.train.heads.newton import Problems, stacked, user_averaged
from plt.train.heads.ridge import fit_ridge
from plt.train.heads.vote_svd import VoteMatrix, regressed, vote_factors
from plt.train.methods.personal.lore import descend
from tests.train.low_rank import auc, matrix_problem, planted_margins, votes
from tests.train.problems import differences, planted

NOTHING = Penalties(0.0, 0.0)


def one_group(problems: Problems) -> Problems:
    """Everybody's rows as one group."""
    return replace(problems, starts=np.array([0, len(problems.a)]))


def drawn(problems: Problems, rank: int, simplex: bool, seed: int = 0) -> Factors:
    shape = (len(problems.sizes), rank, problems.features.shape[1])
    return random_factors(np.random.default_rng(seed), shape, simplex)


@pytest.mark.parametrize("simplex", [False, True])
def test_gradients_are_those_of_the_formula(simplex: bool) -> None:
    """Against autograd of the loss as the papers write it, one row after the other."""
    problems, _ = planted(1, [9, 0, 14, 5], d=6)
    factors = drawn(problems, 3, simplex)
    penalties = Penalties(0.7, 0.3)
    value, by_basis, by_coordinates = objective(FactorRows(problems, 2.0), factors, penalties)
    basis = torch.tensor(factors.basis, requires_grad=True)
    coordinates = torch.tensor(factors.coordinates, requires_grad=True)
    user = np.repeat(np.arange(4), problems.sizes)
    loss = torch.zeros((), dtype=torch.float64)
    for x, u, label in zip(differences(problems) / 2, user, problems.label, strict=True):
        weights = torch.softmax(coordinates[u], 0) if simplex else coordinates[u]
        margin = weights @ basis @ torch.tensor(x)
        loss = loss - label * torch.nn.functional.logsigmoid(margin)
        loss = loss - (1 - label) * torch.nn.functional.logsigmoid(-margin)
    loss = loss + 0.35 * (coordinates**2).sum() + 0.15 * (basis**2).sum()
    loss.backward()
    assert basis.grad is not None
    assert coordinates.grad is not None
    assert value == pytest.approx(float(loss.detach()), rel=1e-12)
    assert np.allclose(by_basis, basis.grad, atol=1e-10)
    assert np.allclose(by_coordinates, coordinates.grad, atol=1e-10)


def test_texts_and_pairs_as_items_are_the_same_rows() -> None:
    shared, _ = planted(0, [40, 40], n_texts=20)
    few, _ = planted(0, [6, 6], n_texts=20)
    repeated = stacked([few, few, few])
    for problems, n_items in ((shared, 20), (repeated, 13)):
        rows = FactorRows(problems, 3.0)
        assert len(rows.items) == n_items
        factors = drawn(problems, 2, simplex=False)
        user = np.repeat(np.arange(len(problems.sizes)), problems.sizes)
        heads = factors.weights @ factors.basis
        expected = np.einsum("nd,nd->n", differences(problems) / 3, heads[user])
        assert np.allclose(rows.margins(factors), expected, atol=1e-12)


@pytest.mark.parametrize("part_rows", [7, 10**6])
def test_a_table_of_users_by_items_changes_nothing(
    part_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do the parts in which users are taken."""
    problems, _ = planted(6, [9, 0, 14, 5, 30], d=6)
    factors = drawn(problems, 3, simplex=False)
    monkeypatch.setattr(module, "PART_ROWS", part_rows)
    by_cells = FactorRows(problems, 2.0)
    monkeypatch.setattr(module, "MOST_CELLS", 0)
    by_rows = FactorRows(problems, 2.0)
    assert (by_cells.by_cells, by_rows.by_cells) == (True, False)
    x = differences(problems) / 2
    heads = (factors.coordinates @ factors.basis)[problems.owner]
    margin = np.einsum("nd,nd->n", x, heads)
    slope = expit(margin) - problems.label
    by_heads = np.zeros((5, 6))
    np.add.at(by_heads, problems.owner, slope[:, None] * x)
    for rows in (by_cells, by_rows):
        assert np.allclose(rows.margins(factors), margin, atol=1e-12)
        value, by_basis, by_weights = rows.expanded(factors)
        assert value == pytest.approx((np.logaddexp(0, margin) - problems.label * margin).sum())
        assert np.allclose(by_weights, by_heads @ factors.basis.T, atol=1e-10)
        assert np.allclose(by_basis, factors.coordinates.T @ by_heads, atol=1e-10)


def test_a_fit_that_ends_at_its_most_steps_says_so() -> None:
    problems, _ = planted(6, [30, 40], d=6)
    rows = FactorRows(problems, problems.pooled_scale())
    start = drawn(problems, 2, simplex=False)
    short = fit_factors(rows, start, Penalties(1.0, 1.0), max_iterations=3)
    assert "3 steps of L-BFGS, the most that are made" in short.describe(given=True)
    assert "most" not in fit_factors(rows, start, Penalties(1.0, 1.0)).describe(given=True)


@pytest.mark.parametrize("simplex", [False, True])
def test_a_fit_is_a_stationary_point_wherever_it_starts(simplex: bool) -> None:
    problems, _ = planted(2, [30, 20, 25, 30], d=8)
    rows = FactorRows(problems, problems.pooled_scale())
    penalties = Penalties(1.0, 0.5)
    values = []
    for seed in range(3):
        start = drawn(problems, 2, simplex, seed)
        found = fit_factors(rows, start, penalties, tolerance=1e-14)
        value, *gradients = objective(rows, found.factors, penalties)
        assert value == pytest.approx(found.value)
        assert value < objective(rows, start, penalties)[0]
        assert max(np.abs(gradient).max() for gradient in gradients) < 1e-3
        values.append(value)
    assert np.ptp(values) < 0.01 * values[0]


def test_one_basis_reward_on_the_simplex_is_bradley_terry() -> None:
    """LoRe with B = 1; the softmax of one logit is 1."""
    problems, _ = planted(3, [30, 30])
    everybody = one_group(problems)
    scale = problems.pooled_scale()
    found = fit_factors(
        FactorRows(problems, scale), drawn(problems, 1, True), Penalties(1.0, 2.0), tolerance=1e-15
    )
    assert np.array_equal(found.factors.weights, np.ones((2, 1)))
    head = fit_ridge(everybody, 2.0).weights[0]
    assert np.allclose(found.factors.basis[0] / scale, head, atol=1e-6)


def test_one_factor_with_lambda_one_is_bradley_terry() -> None:
    """PReF with J = 1: the optimum of Bradley-Terry has no gradient in phi."""
    problems, _ = planted(3, [30, 30])
    scale = problems.pooled_scale()
    head = fit_ridge(one_group(problems), 2.0).weights[:1] * scale
    factors = Factors(head, np.ones((2, 1)), simplex=False)
    _, by_basis, _ = objective(FactorRows(problems, scale), factors, Penalties(0.0, 2.0))
    assert np.abs(by_basis).max() < 1e-6


@pytest.mark.parametrize("simplex", [False, True])
def test_two_branches_are_groups(simplex: bool) -> None:
    """P-RM's clusters: alpha of each user's loss and 1 - alpha of row 0's on the same rows."""
    problems, _ = planted(4, [15, 25, 10])
    alpha = 0.3
    generic, own = one_group(problems), problems
    both = stacked(
        [
            replace(generic, weight=(1 - alpha) * generic.weight),
            replace(own, weight=alpha * own.weight),
        ]
    )
    factors = drawn(both, 2, simplex)
    value, by_basis, _ = objective(FactorRows(both, 1.0), factors, NOTHING)
    as_users = replace(factors, coordinates=factors.coordinates[1:])
    as_generic = replace(factors, coordinates=factors.coordinates[:1])
    user_value, user_basis, _ = objective(FactorRows(own, 1.0), as_users, NOTHING)
    generic_value, generic_basis, _ = objective(FactorRows(generic, 1.0), as_generic, NOTHING)
    assert value == pytest.approx(alpha * user_value + (1 - alpha) * generic_value)
    assert np.allclose(by_basis, alpha * user_basis + (1 - alpha) * generic_basis)
    # RM-05 (d): at alpha 1 nothing pulls row 0, and the rest is PReF, or LoRe on the simplex.
    alone = stacked([replace(generic, weight=0 * generic.weight), own])
    value, by_basis, by_rows = objective(FactorRows(alone, 1.0), factors, NOTHING)
    assert not by_rows[0].any()
    assert value == pytest.approx(user_value, abs=1e-12)
    assert np.allclose(by_basis, user_basis, atol=1e-12)


@pytest.mark.parametrize("simplex", [False, True])
def test_clusters_at_alpha_one_end_where_pref_and_lore_end(simplex: bool) -> None:
    problems, _ = planted(5, [30, 30, 30], d=5)
    nobody = replace(one_group(problems), weight=np.zeros(90))
    both = stacked([nobody, problems])
    start = drawn(both, 2, simplex)
    without = replace(start, coordinates=start.coordinates[1:])
    penalties = Penalties(1.0, 1.0)
    clusters = fit_factors(FactorRows(both, 1.0), start, penalties, tolerance=1e-15)
    users = fit_factors(FactorRows(problems, 1.0), without, penalties, tolerance=1e-15)
    heads = clusters.factors.weights[1:] @ clusters.factors.basis
    assert np.allclose(heads, users.factors.weights @ users.factors.basis, atol=1e-6)


def test_only_the_product_is_identified() -> None:
    """RM-12 (a)."""
    problems, _ = planted(0, [20, 20])
    factors = drawn(problems, 4, simplex=False)
    turn = np.random.default_rng(3).normal(size=(4, 4))
    turned = Factors(turn @ factors.basis, factors.coordinates @ np.linalg.inv(turn), False)
    rows = FactorRows(problems, 1.0)
    assert np.allclose(rows.margins(turned), rows.margins(factors), atol=1e-10)


def test_shares_move_with_what_all_rewards_gain() -> None:
    """RM-13: V + c 1' shifts everybody alike; the order of basis rewards means nothing."""
    model = random_factors(np.random.default_rng(0), (2, 3, 4), simplex=True)
    moved = replace(model, basis=model.basis + np.array([1.0, -2.0, 0.5, 3.0]))
    gained = moved.weights @ moved.basis - model.weights @ model.basis
    assert np.allclose(gained, [1.0, -2.0, 0.5, 3.0])
    order = [2, 0, 1]
    renamed = Factors(model.basis[order], model.coordinates[:, order], simplex=True)
    assert np.allclose(renamed.weights @ renamed.basis, model.weights @ model.basis)


def test_opposite_people_need_two_rewards_when_weights_are_shares() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 5)).astype(np.float32)
    a, b = np.tile(np.arange(0, 60, 2), 2), np.tile(np.arange(1, 60, 2), 2)
    won = (features[a] - features[b]) @ rng.normal(size=5) > 0
    label = np.where(np.arange(60) < 30, won, ~won).astype(np.float64)
    problems = Problems(features, a, b, label, np.ones(60), np.array([0, 30, 60]))
    rows = FactorRows(problems, problems.pooled_scale())
    right = []
    for rank in (1, 2):
        found = fit_factors(rows, drawn(problems, rank, True), Penalties(0.1, 0.01))
        right.append(float(((rows.margins(found.factors) > 0) == (label > 0.5)).mean()))
    assert right[0] == pytest.approx(0.5, abs=0.1)
    assert right[1] > 0.95


def test_the_fit_recovers_the_matrix_of_margins() -> None:
    """O-4 (iv): the product, from the singular start and from a random one."""
    margins = planted_margins()
    problems = matrix_problem(votes(margins, 1))
    rows = FactorRows(problems, 1.0)
    matrix = VoteMatrix.of(problems)
    users, pairs = vote_factors(matrix, 4, np.random.default_rng(0))
    singular = Factors(regressed(matrix, problems, 1.0, pairs), users, simplex=False)
    scores = []
    for start in (singular, drawn(problems, 4, simplex=False)):
        found = fit_factors(rows, start, Penalties(3.0, 3.0)).factors
        scores.append(found.weights @ found.basis)
        assert np.corrcoef(scores[-1].ravel(), margins.ravel())[0, 1] > 0.9
        gram, truth = (matrix @ matrix.T for matrix in (scores[-1], margins))
        assert np.corrcoef(gram.ravel(), truth.ravel())[0, 1] > 0.95
    assert np.corrcoef(scores[0].ravel(), scores[1].ravel())[0, 1] > 0.999


def test_more_factors_help_up_to_the_true_rank() -> None:
    """RM-12 (f), on fresh votes."""
    margins = planted_margins(n_users=60, n_pairs=120, rank=3, size=3.0)
    problems = matrix_problem(votes(margins, 1))
    fresh = votes(margins, 2)
    rows = FactorRows(problems, 1.0)
    quality = []
    for rank in (1, 2, 3, 6):
        start = drawn(problems, rank, simplex=False)
        found = fit_factors(rows, start, Penalties(3.0, 3.0)).factors
        quality.append(auc(found.weights @ found.basis, fresh))
    assert quality[1] > quality[0] + 0.02
    assert quality[2] > quality[1] + 0.02
    assert quality[3] == pytest.approx(quality[2], abs=0.02)


def test_few_validation_rows_choose_nothing() -> None:
    problems = matrix_problem(votes(planted_margins(20, 30), 1))
    rows = FactorRows(problems, 1.0)
    few = FactorRows(replace(problems, weight=problems.weight / 100), 1.0)
    start = drawn(problems, 2, simplex=False)
    default = fit_best(rows, few, start, None)
    assert (default.l2, default.by_validation) == (DEFAULT_L2[False], False)
    assert "by default: few validation rows" in default.describe(given=False)
    given = fit_best(rows, rows, start, 2.0)
    assert (given.l2, given.by_validation) == (2.0, False)
    assert "as set" in given.describe(given=True)


def test_validation_rows_choose_the_penalty_of_the_lowest_loss() -> None:
    margins = planted_margins(40, 60, rank=2)
    problems = matrix_problem(votes(margins, 1))
    rows = FactorRows(problems, 1.0)
    held_out = FactorRows(matrix_problem(votes(margins, 2)), 1.0)
    start = drawn(problems, 2, simplex=False)
    best = fit_best(rows, held_out, start, None)
    assert best.by_validation
    losses = {
        l2: held_out.loss(fit_factors(rows, start, Penalties(l2, l2)).factors)
        for l2 in (10.0, 3.0, 1.0, 0.3, 0.1)
    }
    assert best.l2 == min(losses, key=lambda l2: losses[l2])
    assert 0.1 < best.l2 < 10


def test_adam_takes_the_steps_of_its_paper() -> None:
    """Kingma and Ba 2015 with the moments as sums over all gradients so far."""
    problems, _ = planted(0, [20, 20], d=5)
    rows = FactorRows(problems, 1.0)
    start = drawn(problems, 2, simplex=True)
    here, gradients = start, []
    for step in range(1, 11):
        _, *gradient = objective(rows, here, NOTHING)
        gradients.append(gradient)
        moved = []
        for which, array in enumerate((here.basis, here.coordinates)):
            past = [gradient[which] for gradient in gradients]
            ages = range(step - 1, -1, -1)
            mean = sum(0.1 * 0.9**age * g for age, g in zip(ages, past, strict=True))
            square = sum(0.001 * 0.999**age * g**2 for age, g in zip(ages, past, strict=True))
            mean, square = mean / (1 - 0.9**step), square / (1 - 0.999**step)
            moved.append(array - 0.5 * mean / (np.sqrt(square) + 1e-8))
        here = Factors(*moved, simplex=True)
    found = descend(rows, start, NOTHING, steps=10, rate=0.5)
    assert np.allclose(found.factors.basis, here.basis, atol=1e-9)
    assert np.allclose(found.factors.coordinates, here.coordinates, atol=1e-9)
    fixed = descend(rows, start, NOTHING, steps=3, rate=0.5, moves_basis=False)
    assert np.array_equal(fixed.factors.basis, start.basis)
    assert not np.array_equal(fixed.factors.coordinates, start.coordinates)


def test_users_count_alike_after_averaging() -> None:
    problems, _ = planted(0, [4, 0, 12])
    averaged = user_averaged(problems)
    assert averaged.totals.tolist() == pytest.approx([8.0, 0.0, 8.0])
    even, _ = planted(0, [5, 5])
    assert np.array_equal(user_averaged(even).weight, even.weight)


def test_features_that_are_no_numbers_stop_the_fit() -> None:
    problems, _ = planted(0, [10, 10])
    problems.features[0] = np.nan
    broken = replace(problems, a=problems.a * 0)
    with pytest.raises(FailedError, match="not finite numbers"):
        FactorRows(broken, 1.0)


def test_a_user_without_rows_stays_at_the_prior() -> None:
    problems, _ = planted(0, [20, 0, 20])
    found: FactorFit = fit_factors(
        FactorRows(problems, 1.0), drawn(problems, 2, False), Penalties(1.0, 1.0), tolerance=1e-14
    )
    assert np.allclose(found.factors.coordinates[1], 0, atol=1e-4)
    assert expit(np.abs(found.factors.coordinates[0])).max() > 0.55
