"""The next question of everybody in one pass, against a loop over people as one writes it."""

import time

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from plt.train.heads.empirical_bayes import Prior
from plt.train.heads.newton import Problems
from plt.train.heads.posterior import Dense, gaussian_posterior
from plt.train.heads.selection import CRITERIA, next_pairs
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
    for criterion in CRITERIA:
        start = time.process_time()
        next_pairs(placement, pool, criterion, asked, keys)
        print(f"{criterion}: {time.process_time() - start:.2f} s")


@pytest.mark.bench
def test_a_thousand_posteriors_against_a_loop_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    n_answers, n_loop = 100, 200
    features = rng.normal(size=(3000, RANK))
    a, b = rng.integers(0, len(features), (2, N_USERS * n_answers))
    x = features[a] - features[b]
    truth = rng.normal(size=(N_USERS, RANK)) / 2
    margin = np.einsum("nj,nj->n", x, np.repeat(truth, n_answers, axis=0))
    label = (rng.random(len(margin)) < expit(margin)).astype(np.float64)
    starts = np.arange(N_USERS + 1) * n_answers
    problems = Problems(features, a, b, label, np.ones(len(a)), starts)
    start = time.process_time()
    placement = gaussian_posterior(problems, Prior(np.zeros(RANK), np.eye(RANK)))
    together = time.process_time() - start
    start = time.process_time()
    for user in range(n_loop):
        rows = slice(starts[user], starts[user + 1])
        model = LogisticRegression(fit_intercept=False).fit(x[rows], label[rows])
        assert np.abs(model.coef_[0] - placement.mean[user]).max() < 1e-3
    looped = (time.process_time() - start) * N_USERS / n_loop
    print(
        f"\nplaces of {N_USERS} people with covariances: {looped / together:.0f}x less CPU than a"
        f" loop of scikit-learn without ({together:.2f} s)"
    )
    assert looped > 10 * together
