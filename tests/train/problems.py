"""Small regressions for the tests of the solvers."""

import numpy as np

from plt.train.heads.newton import Problems
from plt.train.method import FloatArray


def planted(
    seed: int, sizes: list[int], d: int = 12, n_texts: int = 60, scale: float = 3.0
) -> tuple[Problems, FloatArray]:
    """Groups of the given sizes whose heads, shape (U, d), are known."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_texts, d)).astype(np.float32)
    heads = rng.normal(size=(len(sizes), d)) * scale / np.sqrt(2 * d)
    n_rows = sum(sizes)
    a = rng.integers(0, n_texts, n_rows)
    b = (a + rng.integers(1, n_texts, n_rows)) % n_texts
    x = (features[a] - features[b]).astype(np.float64)
    margin = np.einsum("nd,nd->n", x, np.repeat(heads, sizes, axis=0))
    label = (rng.random(n_rows) < 1 / (1 + np.exp(-margin))).astype(np.float64)
    label[::7] = 0.5
    label[3::11] = 0.8
    starts = np.concatenate([[0], np.cumsum(sizes)])
    return Problems(features, a, b, label, np.ones(n_rows), starts), heads


def only(problems: Problems, group: int) -> Problems:
    """One group as a problem of its own."""
    rows = slice(problems.starts[group], problems.starts[group + 1])
    return Problems(
        problems.features,
        problems.a[rows],
        problems.b[rows],
        problems.label[rows],
        problems.weight[rows],
        np.array([0, rows.stop - rows.start]),
    )


def differences(problems: Problems) -> FloatArray:
    """x of all rows, shape (N, d)."""
    features = problems.features.astype(np.float64)
    return np.asarray(features[problems.a] - features[problems.b])
