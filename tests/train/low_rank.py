"""Users whose margins have a low rank, for the tests of factorised rewards (oracle O-4)."""

import numpy as np
from scipy.special import expit

from plt.train.heads.newton import Problems
from plt.train.method import FloatArray


def matrix_problem(labels: FloatArray) -> Problems:
    """Votes (U, P), NaN where missing; a pair is its own feature: P texts against an empty one."""
    n_pairs = labels.shape[1]
    user, pair = np.nonzero(~np.isnan(labels))
    features = np.concatenate([np.eye(n_pairs), np.zeros((1, n_pairs))]).astype(np.float32)
    starts = np.searchsorted(user, np.arange(len(labels) + 1))
    empty = np.full(len(pair), n_pairs)
    return Problems(features, pair, empty, labels[user, pair], np.ones(len(pair)), starts)


def planted_margins(
    n_users: int = 84, n_pairs: int = 400, rank: int = 4, size: float = 2.0, seed: int = 0
) -> FloatArray:
    """Lambda Phi' of Gaussian factors with standard deviation `size`, shape (U, P)."""
    rng = np.random.default_rng(seed)
    margins = rng.normal(size=(n_users, rank)) @ rng.normal(size=(rank, n_pairs))
    return np.asarray(margins * size / margins.std())


def votes(margins: FloatArray, seed: int) -> FloatArray:
    """One vote an entry."""
    return (np.random.default_rng(seed).random(margins.shape) < expit(margins)).astype(np.float64)


def auc(score: FloatArray, won: FloatArray) -> float:
    """Area under the curve of all entries together."""
    ranks = np.empty(score.size)
    ranks[np.argsort(score.ravel())] = np.arange(1, score.size + 1)
    first = won.ravel() > 0.5
    n = first.sum()
    return float((ranks[first].sum() - n * (n + 1) / 2) / (n * (~first).sum()))
