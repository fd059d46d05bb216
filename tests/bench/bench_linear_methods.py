"""Whole fits and adaptations of the linear methods from features that are in the cache.

Run with `make bench`. Seconds are of CPU, which other work on the machine changes less than time.
The yardstick in the same run is what people write: a loop of scikit-learn over users.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta
from plt.train.features.frozen import kept_vectors
from plt.train.features.store import content_key
from plt.train.heads.head_table import user_problems
from plt.train.heads.newton import Problems
from plt.train.judgements import support_view
from plt.train.method import Compute, Method, Support, TrainContext
from plt.train.models.source import resolve_model
from plt.train.models.text_encoder import RENDERING_VERSION, read_content
from plt.train.registry import make_method
from tests.bench.populations import activity, crowd, unit_vectors

METHODS = ("bradley-terry", "individual", "eb-shrinkage", "p-rm", "pref", "lore")
ADAPTING = ("pref", "lore", "eb-shrinkage", "p-rm")
MODEL = "builtin:minilm"
DIM = 384
PROMPT = [{"role": "user", "content": "say"}]


def text(number: int) -> str:
    return f"answer {number}"


def remembered(vectors: np.ndarray, folder: Path) -> Compute:
    """A cache that holds these vectors as the features of `text(0)`, `text(1)`, ..."""
    compute = Compute("cpu", cache_dir=folder)
    source = resolve_model(MODEL)
    facts = {
        "rendering": RENDERING_VERSION,
        "pooling": source.pooling,
        "normalize": source.normalize,
        "dtype": compute.dtype,
        "max_length": source.max_length,
    }
    store = kept_vectors("features", source, facts, compute)
    assert store is not None
    contents = [read_content(PROMPT, text(i), causal=source.causal) for i in range(len(vectors))]
    store.add([content_key(c) for c in contents], vectors.astype(np.float32), "bench")
    return compute


def table(problems: Problems, prefix: str = "u", validation: float = 0.1) -> Preferences:
    """The judgements of a problem as a table."""
    rng = np.random.default_rng(0)
    n = len(problems.a)
    raw = pl.DataFrame(
        {
            "prompt": [PROMPT] * n,
            "user_id": [f"{prefix}{code:05d}" for code in problems.owner],
            "response_1": [text(i) for i in problems.a],
            "response_2": [text(i) for i in problems.b],
            "label": problems.label,
            "split": np.where(rng.random(n) < validation, "val", "train"),
        }
    )
    return build(raw, Meta(dataset="bench"))


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of CPU, and what came of it."""
    start = time.process_time()
    done = work()
    return time.process_time() - start, done


def loop_of_scikit_learn(problems: Problems) -> float:
    """Seconds of one ridge a user, at one penalty and without choosing it."""
    scales = problems.scales()

    def work() -> None:
        for user in np.flatnonzero(problems.sizes):
            rows = slice(problems.starts[user], problems.starts[user + 1])
            won = problems.label[rows] > 0.5
            if 0 < won.sum() < len(won):
                x = problems.features[problems.a[rows]] - problems.features[problems.b[rows]]
                model = LogisticRegression(fit_intercept=False, tol=1e-8, max_iter=1000)
                model.fit(x / scales[user], won)

    return cpu(work)[0]


@pytest.mark.bench
def test_fits_of_48_people_of_unequal_activity(tmp_path: Path) -> None:
    features = unit_vectors(1000, DIM)
    problems = crowd(activity(48, 25_942), features)
    compute, prefs = remembered(features, tmp_path / "cache"), table(problems)
    loop = loop_of_scikit_learn(problems)
    print(f"\n48 people, 25,942 judgements; scikit-learn loop at one penalty: {loop:.1f} s of CPU")
    for name in METHODS:
        method: Method = make_method(name, {})
        seconds, _ = cpu(lambda m=method: m.fit(prefs, TrainContext(0, tmp_path, compute)))
        print(f"{name}: {seconds:.1f} s of CPU, {seconds / loop:.2f} x the loop")
        assert seconds < 15, name


@pytest.mark.bench
def test_fits_of_10000_people(tmp_path: Path) -> None:
    """The cost of a person does not grow with their number."""
    features = unit_vectors(300, DIM)
    compute = remembered(features, tmp_path / "cache")
    for name in ADAPTING:
        per_user = {}
        for n_users in (1000, 10_000):
            problems = crowd(np.full(n_users, 50), features)
            prefs = table(problems)
            method: Method = make_method(name, {})
            seconds, _ = cpu(lambda m=method, p=prefs: m.fit(p, TrainContext(0, tmp_path, compute)))
            per_user[n_users] = seconds / n_users
        print(
            f"\n{name}: {10_000 * per_user[10_000]:.1f} s of CPU for 10,000 x 50,"
            f" {per_user[10_000] / per_user[1000]:.2f} x per user of what 1,000 take"
        )
        assert 10_000 * per_user[10_000] < 60, name


def adapting(fitted: Method, support: Support, ctx: TrainContext) -> float:
    """Seconds of CPU until everybody is known."""
    return cpu(lambda: fitted.adapt(support, ctx))[0]


@pytest.mark.bench
def test_adaptation_of_1000_newcomers(tmp_path: Path) -> None:
    """Five sizes, five draws; and a person costs no more among 5,000 than among 50."""
    features = unit_vectors(1000, DIM)
    compute = remembered(features, tmp_path / "cache")
    known = table(crowd(activity(48, 8_000), features))
    ctx = TrainContext(0, tmp_path, compute)
    shots = {
        (n, draw): support_view(table(crowd(np.full(1000, n), features, 10 + draw), "n", 0.0))
        for n in (5, 10, 30, 100, 300)
        for draw in range(5)
    }
    few = {
        n: support_view(table(crowd(np.full(n, 30), features, 99), "n", 0.0)) for n in (50, 5000)
    }
    judgements = shots[30, 0].judgements
    loop = loop_of_scikit_learn(
        user_problems(judgements, features.astype(np.float32), judgements.users)
    )
    for name in ADAPTING:
        fitted = make_method(name, {}).fit(known, ctx)
        seconds = sum(adapting(fitted, support, ctx) for support in shots.values())
        thirty = adapting(fitted, shots[30, 0], ctx)
        per_user = {n: adapting(fitted, support, ctx) / n for n, support in few.items()}
        print(
            f"\n{name}: {seconds:.1f} s of CPU for 1,000 newcomers at 5 sizes x 5 draws; at 30"
            f" answers {loop / thirty:.1f} x faster than a loop of scikit-learn; a person among"
            f" 5,000 costs {per_user[5000] / per_user[50]:.2f} x one among 50"
        )
        assert seconds < 60, name
        assert per_user[5000] <= per_user[50], name


@pytest.mark.bench
def test_newcomers_in_eight_factors_against_a_loop() -> None:
    """1,000 people x 100 answers x J = 8, the same optimum."""
    from plt.train.heads.empirical_bayes import Prior, shrunken_heads

    rng = np.random.default_rng(0)
    problems = crowd(np.full(1000, 100), rng.normal(size=(2000, 8)))
    prior = Prior(np.zeros(8), np.eye(8))
    ours, heads = cpu(lambda: shrunken_heads(problems, prior))

    def loop() -> np.ndarray:
        found = []
        for user in range(1000):
            rows = slice(problems.starts[user], problems.starts[user + 1])
            x = problems.features[problems.a[rows]] - problems.features[problems.b[rows]]
            model = LogisticRegression(fit_intercept=False, tol=1e-6, max_iter=1000)
            found.append(model.fit(x, problems.label[rows]).coef_[0])
        return np.array(found)

    theirs, reference = cpu(loop)
    assert np.abs(heads - reference).max() < 1e-3
    print(f"\n1,000 x 100 x 8: {theirs / ours:.0f} x faster ({ours:.3f} s against {theirs:.2f} s)")
    assert theirs >= 60 * ours
