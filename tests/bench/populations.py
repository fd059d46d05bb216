"""People of very unequal activity, as real ones are: lognormal with sigma 1.6."""

import numpy as np
from scipy.special import expit

from plt.train.heads.newton import Problems
from plt.train.method import FloatArray, IntArray

SIGMA = 1.6


def activity(n_users: int, n_rows: int, seed: int = 0) -> IntArray:
    """How many judgements each makes, together `n_rows`, everybody at least one."""
    drawn = np.random.default_rng([seed, 1]).lognormal(0.0, SIGMA, n_users)
    counts = np.maximum(1, np.floor(drawn / drawn.sum() * n_rows)).astype(np.int64)
    counts[np.argmax(counts)] += n_rows - counts.sum()
    return counts


def unit_vectors(n: int, d: int, seed: int = 0) -> FloatArray:
    """Random directions, shape (n, d)."""
    vectors = np.random.default_rng([seed, 2]).normal(size=(n, d))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def crowd(counts: IntArray, features: FloatArray, seed: int = 0, size: float = 2.0) -> Problems:
    """Judgements of random pairs by people around a common taste; margins have deviation `size`."""
    rng = np.random.default_rng([seed, 3])
    n_texts, d = features.shape
    n = int(counts.sum())
    a = rng.integers(0, n_texts, n)
    b = (a + rng.integers(1, n_texts, n)) % n_texts
    rewards = features @ (rng.normal(size=d) + rng.normal(size=(len(counts), d))).T
    user = np.repeat(np.arange(len(counts)), counts)
    margin = rewards[a, user] - rewards[b, user]
    label = (rng.random(n) < expit(size * margin / margin.std())).astype(np.float64)
    starts = np.concatenate([[0], np.cumsum(counts)])
    return Problems(features.astype(np.float32), a, b, label, np.ones(n), starts)
