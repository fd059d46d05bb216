"""All users' heads in one solve, against a loop over users as people write it."""

import time

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from plt.train.heads.ridge import fit_ridge
from tests.train.problems import differences, planted

N_USERS = 300


@pytest.mark.bench
def test_batched_heads_against_a_loop_of_scikit_learn() -> None:
    problems, _ = planted(0, [50] * N_USERS, d=384, n_texts=500)
    problems.label[:] = problems.label > 0.5
    start = time.perf_counter()
    heads = fit_ridge(problems, 1.0).weights
    batched = time.perf_counter() - start
    start = time.perf_counter()
    x, scales = differences(problems), problems.scales()
    loop = np.zeros_like(heads)
    for user in range(N_USERS):
        rows = slice(problems.starts[user], problems.starts[user + 1])
        model = LogisticRegression(fit_intercept=False, tol=1e-8, max_iter=1000)
        model.fit(x[rows] / scales[user], problems.label[rows])
        loop[user] = model.coef_[0] / scales[user]
    looped = time.perf_counter() - start
    assert np.abs(heads - loop).max() < 1e-4
    print(f"\nheads of {N_USERS} users: {looped / batched:.1f}x faster ({batched:.2f} s)")
