"""What a step of everybody's training reads, and in which passes."""

import numpy as np
import pytest

from plt.train.multi_user.stacked_loop import UserRows, passes, plan_step, row_order, total_steps
from plt.train.tuning.trl import Schedule

SCHEDULE = Schedule(epochs=2, learning_rate=1e-3, batch_size=4)


def user_rows(counts: list[int], seed: int = 0) -> UserRows:
    rng = np.random.default_rng(seed)
    ids = [np.zeros(n, dtype=np.int32) for n in rng.integers(1, 40, 30)]
    n = sum(counts)
    starts = np.concatenate([[0], np.cumsum(counts)])
    a, b = rng.integers(0, 15, n), rng.integers(15, 30, n)
    return UserRows(ids, a, b, rng.random(n), starts)


def test_each_epoch_reads_every_row_of_everybody_once() -> None:
    rows = user_rows([9, 1, 4])
    assert total_steps(rows, SCHEDULE).tolist() == [6, 2, 2]
    steps = [plan_step(rows, SCHEDULE, 7, step) for step in range(6)]
    assert [step.active.tolist() for step in steps] == [[0, 1, 2]] * 2 + [[0]] * 4
    read = np.bincount(np.concatenate([step.rows for step in steps]))
    assert (read == 2).all()
    for step in steps:
        assert (np.bincount(step.user, weights=step.weight)[step.active] == 1).all()
        owner = np.searchsorted(rows.starts, step.rows, side="right") - 1
        assert np.array_equal(owner, step.user)


def test_a_step_of_a_user_depends_on_that_user_only() -> None:
    together, alone = user_rows([9, 5, 4]), user_rows([9, 5, 4]).of(slice(1, 2))
    assert (len(alone), alone.counts.tolist()) == (1, [5])
    for number in range(4):
        step = plan_step(together, SCHEDULE, 3, number)
        mine = step.rows[step.user == 1] - 9
        assert np.array_equal(mine, plan_step(alone, SCHEDULE, 3, number).rows)
    assert not np.array_equal(row_order(9, 3, 0), row_order(9, 3, 1))
    assert not np.array_equal(row_order(9, 3, 0), row_order(9, 4, 0))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("texts", [1, 6, 100])
def test_passes_are_the_rows_of_the_step_longest_first(shared: bool, texts: int) -> None:
    rows = user_rows([9, 1, 4])
    step = plan_step(rows, SCHEDULE, 0, 0)
    parts = list(passes(rows, step, texts, shared))
    assert sorted(np.concatenate(parts)) == list(range(len(step.rows)))
    assert max(map(len, parts)) <= max(1, texts // 2)
    length = np.array([len(text) for text in rows.ids])
    longest = np.maximum(length[rows.a], length[rows.b])[step.rows]
    if shared:
        assert (np.diff(longest[np.concatenate(parts)]) <= 0).all()
    else:
        assert all(len(set(step.user[part])) == 1 for part in parts)
