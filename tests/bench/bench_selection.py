"""The next question of everybody in one pass, against a loop over people as one writes it."""

import time

import numpy as np
import pytest
from scipy.special import expit

from plt.train.heads.posterior import Dense
from plt.train.heads.selection import next_pairs
from plt.train.method import Placement

N_USERS, N_PAIRS, RANK = 1000, 10_000, 8


@pytest.mark.bench
def test_a_step_for_everybody_against_a_loop_over_people() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(N_USERS, RANK, RANK))
    covariance = root @ root.transpose(0, 2, 1) / RANK
    mean, pool = rng.normal(size=(N_USERS, RANK)), rng.normal(size=(N_PAIRS, RANK))
    placement = Placement(tuple(map(str, range(N_USERS))), mean, Dense(covariance))
    asked, keys = np.full((N_USERS, 0), -1), np.zeros(N_USERS, dtype=np.uint64)
    start = time.process_time()
    found = next_pairs(placement, pool, "weighted", asked, keys)
    together = time.process_time() - start
    start = time.process_time()
    one_by_one = []
    for user in range(N_USERS):
        margin = pool @ mean[user]
        variance = np.einsum("pi,ij,pj->p", pool, covariance[user], pool)
        one_by_one.append(np.argmax(expit(margin) * expit(-margin) * variance))
    looped = time.process_time() - start
    assert found.tolist() == one_by_one
    print(
        f"\nnext pair of {N_USERS} people out of {N_PAIRS}: {looped / together:.1f}x less CPU than"
        f" a loop ({together:.2f} s)"
    )
    assert together < 2
