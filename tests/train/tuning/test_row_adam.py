"""Rows of the lazy Adam against torch's own optimiser, one a row."""

import numpy as np
import pytest
import torch
from transformers import get_linear_schedule_with_warmup

from plt.train.tuning import row_adam as lazy_adam
from plt.train.tuning.row_adam import LazyAdam, clip_factors, schedule_factor

N_ROWS, N_WEIGHTS = 5, 17
# Row 3 never takes part, row 0 always does.
ACTIVE = [[0, 1, 2], [0, 2], [0, 4], [0, 1, 4], [0], [0, 1, 2, 4]]


def gradients(step: int) -> torch.Tensor:
    """Some below and some far above the norm at which they are clipped."""
    generator = torch.Generator().manual_seed(step)
    scale = torch.tensor([0.05, 1.0, 3.0, 1.0, 0.2]).unsqueeze(1)
    return torch.randn(N_ROWS, N_WEIGHTS, generator=generator) * scale


def start() -> torch.Tensor:
    return torch.randn(N_ROWS, N_WEIGHTS, generator=torch.Generator().manual_seed(99))


def run(rows: list[int], weights: torch.Tensor) -> LazyAdam:
    """Training of some of the rows, in the places that `rows` gives them."""
    adam = LazyAdam.of(weights[rows].clone())
    for step, active in enumerate(ACTIVE):
        here = [rows.index(row) for row in active if row in rows]
        if here:
            rates = torch.tensor([1e-2 * (1 + rows[row]) for row in here], dtype=torch.float64)
            adam.step(gradients(step)[rows], torch.tensor(here), rates)
    return adam


def test_every_row_is_torch_adam_with_its_own_clip() -> None:
    found = run(list(range(N_ROWS)), start())
    for row in range(N_ROWS):
        weight = torch.nn.Parameter(start()[row].clone())
        alone = torch.optim.AdamW([weight], lr=1e-2 * (1 + row), weight_decay=0.0)
        for step, active in enumerate(ACTIVE):
            if row in active:
                weight.grad = gradients(step)[row]
                torch.nn.utils.clip_grad_norm_([weight], 1.0)
                alone.step()
        assert torch.allclose(found.weights[row], weight.detach(), rtol=0, atol=1e-6)
    assert found.steps.tolist() == [6, 3, 3, 0, 3]


def test_who_is_absent_does_not_move_at_all() -> None:
    adam = run(list(range(N_ROWS)), start())
    before = adam.state()
    before = {name: tensor.clone() for name, tensor in before.items()}
    adam.step(gradients(9), torch.tensor([1, 4]), torch.tensor([0.1, 0.1]))
    for name, tensor in adam.state().items():
        assert torch.equal(tensor[[0, 2, 3]], before[name][[0, 2, 3]])
        assert not torch.equal(tensor[[1, 4]], before[name][[1, 4]])


def test_rows_know_nothing_of_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit by bit: whoever else is there, in whichever order, in blocks of any size."""
    everybody = run([0, 1, 2, 3, 4], start())
    for rows, block in (([4, 2, 0], 1 << 20), ([1], 1), ([3, 1, 4, 0, 2], 2 * N_WEIGHTS)):
        monkeypatch.setattr(lazy_adam, "BLOCK_WEIGHTS", block)
        assert torch.equal(run(rows, start()).weights, everybody.weights[rows])


def test_a_restored_optimiser_goes_on_with_the_same_bits() -> None:
    whole = run(list(range(N_ROWS)), start())
    resumed = LazyAdam.of(torch.zeros(N_ROWS, N_WEIGHTS))
    resumed.restore(whole.state())
    for adam in (whole, resumed):
        adam.step(gradients(7), torch.tensor([0, 3]), torch.tensor([0.1, 0.2]))
    assert all(torch.equal(whole.state()[name], part) for name, part in resumed.state().items())


def test_no_norm_is_above_the_bound_and_small_ones_stay() -> None:
    rows = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    clipped = rows * clip_factors(rows)
    assert clipped[0].norm() == pytest.approx(1.0, abs=1e-5)
    assert torch.equal(clipped[1:], rows[1:])


@pytest.mark.parametrize("total", [1, 2, 7, 33, 34, 101])
def test_the_schedule_is_that_of_the_trainer(total: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = get_linear_schedule_with_warmup(optimizer, int(total * 0.03), total)
    expected = []
    for _ in range(total):
        expected.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    found = schedule_factor(np.arange(total), np.full(total, total))
    assert np.allclose(found, expected, rtol=0, atol=1e-15)
