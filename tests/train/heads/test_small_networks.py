"""`plt.train.heads.small_networks`: fits to all rows at once."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from plt.errors import FailedError
from plt.train.heads.newton import Problems
from plt.train.heads.ridge import fit_ridge
from plt.train.heads.small_networks import (
    PENALTIES,
    Rows,
    Scaling,
    fit_network,
    mean_loss,
    minimise,
)
from plt.train.judgements import read_judgements
from tests.train.methods.tables import judged


class Linear(nn.Module):
    """Bradley-Terry with a linear reward, as `plt.train.heads.ridge` fits it by Newton's method."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.head = nn.Parameter(torch.zeros(dim, dtype=torch.float64))

    def row_losses(self, phi: Tensor, a: Tensor, b: Tensor, user: Tensor, label: Tensor) -> Tensor:
        rewards = phi @ self.head
        return functional.binary_cross_entropy_with_logits(
            rewards[a] - rewards[b], label, reduction="none"
        )

    def beyond_rows(self, rows: Rows, l2: float) -> Tensor:
        return l2 / 2 * self.head.square().sum()


def drawn(n_rows: int, seed: int, n_texts: int = 40, dim: int = 5) -> tuple[Rows, Problems]:
    rng = np.random.default_rng(seed)
    vectors = np.random.default_rng(0).normal(size=(n_texts, dim)).astype(np.float32)
    a, b = rng.integers(n_texts, size=(2, n_rows))
    wins = (vectors @ np.arange(dim))[a] - (vectors @ np.arange(dim))[b] + rng.logistic(size=n_rows)
    label, weight = (wins > 0).astype(np.float64), rng.integers(1, 4, n_rows).astype(np.float64)
    rows = Rows.of(torch.from_numpy(vectors.astype(np.float64)), a, b, label, weight=weight)
    return rows, Problems(vectors, a, b, label, weight, np.array([0, n_rows]))


@pytest.mark.parametrize("l2", [10.0, 0.1])
def test_the_minimum_is_that_of_newtons_method(l2: float) -> None:
    rows, problem = drawn(300, seed=1)
    network = Linear(5)
    scale = problem.pooled_scale()
    # Newton's penalty is on scaled features.
    minimise(network, rows, l2 * scale**2)
    assert np.allclose(network.head.detach(), fit_ridge(problem, l2).weights[0], atol=1e-6)


def test_a_missing_penalty_is_that_of_the_least_validation_loss() -> None:
    train, _ = drawn(30, seed=1)
    validation, _ = drawn(200, seed=2)
    chosen = fit_network(lambda: Linear(5), train, validation, None)
    found = mean_loss(chosen.network, validation)
    losses = {}
    for l2 in PENALTIES:
        given = fit_network(lambda: Linear(5), train, validation, l2)
        assert given.how == f"penalty l2 = {l2:g}, as set"
        losses[l2] = mean_loss(given.network, validation)
    assert found == pytest.approx(min(losses.values()), abs=1e-6)
    assert found < max(losses.values()) - 0.1
    best = min(losses, key=losses.__getitem__)
    assert chosen.how == f"penalty l2 = {best:g}, chosen by validation"


def test_few_validation_rows_choose_nothing() -> None:
    train, _ = drawn(30, seed=1)
    few, _ = drawn(10, seed=2)
    chosen = fit_network(lambda: Linear(5), train, few, None, default=(2.0, "from elsewhere"))
    assert chosen.how == "penalty l2 = 2, from elsewhere"
    assert np.allclose(
        chosen.network.head.detach(),
        fit_network(lambda: Linear(5), train, few, 2.0).network.head.detach(),
    )


def test_without_rows_the_penalty_alone_decides() -> None:
    rows, _ = drawn(10, seed=1)
    nothing = Rows(rows.phi, *(t[:0] for t in (rows.a, rows.b, rows.user, rows.label, rows.weight)))
    network = Linear(5)
    with torch.no_grad():
        network.head += 1
    minimise(network, nothing, 1.0)
    assert network.head.abs().max().item() < 1e-6


def test_a_fit_that_is_no_number_is_said() -> None:
    rows, _ = drawn(10, seed=1)
    broken = Rows(rows.phi * np.nan, rows.a, rows.b, rows.user, rows.label, rows.weight)
    with pytest.raises(FailedError, match="penalty 1 left the numbers"):
        minimise(Linear(5), broken, 1.0)


def test_scaled_differences_have_mean_square_one() -> None:
    judgements = read_judgements(judged({"u": 0.7}, 30))
    vectors = np.random.default_rng(0).normal(3, 2, (len(judgements.texts), 7)).astype(np.float32)
    scaling = Scaling.of(judgements, vectors)
    x = scaling(vectors).numpy()
    assert np.square(x[judgements.a] - x[judgements.b]).sum(axis=1).mean() == pytest.approx(1)
    assert (x[judgements.a] + x[judgements.b]).mean(axis=0) == pytest.approx(0, abs=1e-12)
    again = Scaling.from_arrays(scaling.arrays())
    assert torch.equal(again(vectors), scaling(vectors))
