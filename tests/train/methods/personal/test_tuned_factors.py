"""`pref` and `lore` with a fine-tuned backbone, on the tiny model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plt.data.tables.preferences import Preferences
from plt.errors import UsageError
from plt.train.heads.factor_fit import mixing_weights
from plt.train.judgements import distinct_texts, support_view
from plt.train.method import Compute, FloatArray, TrainContext
from plt.train.methods.personal.lore import Config as LoreConfig
from plt.train.methods.personal.lore import Lore
from plt.train.methods.personal.pref import Config as PrefConfig
from plt.train.methods.personal.pref import Pref
from tests.train.methods.tables import judged

FAST: dict[str, Any] = {
    "model": "builtin:tiny", "tune": "lora", "epochs": 10.0, "pairs_per_step": 4,
    "learning_rate": 1e-3, "max_length": 64, "users_learning_rate": 0.03,
}  # fmt: skip
CAMPS = {"a": 1.0, "b": 0.0, "c": 1.0, "d": 0.0}


@pytest.fixture(scope="module")
def prefs() -> Preferences:
    return judged(CAMPS, 12)


@pytest.fixture(scope="module")
def ctx(tmp_path_factory: pytest.TempPathFactory) -> TrainContext:
    return TrainContext(0, tmp_path_factory.mktemp("work"), Compute(device="cpu"))


@pytest.fixture(scope="module")
def fits(prefs: Preferences, ctx: TrainContext) -> dict[str, Pref | Lore]:
    return {
        "pref": Pref(PrefConfig(**FAST, factors=2)).fit(prefs, ctx),
        "lore": Lore(LoreConfig(**FAST, basis=2)).fit(prefs, ctx),
    }


@pytest.fixture(params=["pref", "lore"])
def fitted(fits: dict[str, Pref | Lore], request: pytest.FixtureRequest) -> Pref | Lore:
    return fits[request.param]


def rewards(method: Pref | Lore, prefs: Preferences, user: str | None) -> FloatArray:
    texts, a, b = distinct_texts(prefs.pairs)
    rows = np.concatenate([a, b])
    return method.reward(texts, rows, [user] * len(rows))


def toward_nice(method: Pref | Lore, prefs: Preferences, user: str | None) -> float:
    texts, a, _ = distinct_texts(prefs.pairs)
    nice = np.array(["lovely" in texts.responses[i] for i in a])
    both = rewards(method, prefs, user)
    return float(((both[: len(a)] > both[len(a) :]) == nice).mean())


def test_a_reward_is_the_user_s_mixture_of_what_the_backbone_says(
    fitted: Pref | Lore, prefs: Preferences
) -> None:
    """RM-12, RM-13: r = w_u V h(x); shares are positive and sum to 1."""
    texts, _, _ = distinct_texts(prefs.pairs)
    assert fitted.backbone is not None
    assert fitted.fitted is not None
    h = fitted.backbone.vectors(texts, Compute("cpu")).astype(np.float64)
    simplex = isinstance(fitted, Lore)
    weights = mixing_weights(fitted.fitted.coordinates, simplex)
    by_hand = h @ fitted.fitted.basis.T @ weights[1]
    found = fitted.reward(texts, np.arange(len(texts)), ["b"] * len(texts))
    assert np.abs(found - by_hand).max() < 1e-9
    everybody = fitted.reward(texts, np.arange(len(texts)), [None] * len(texts))
    assert np.abs(everybody - h @ fitted.fitted.basis.T @ weights.mean(axis=0)).max() < 1e-9
    if simplex:
        assert np.allclose(weights.sum(axis=1), 1)


def test_opposite_camps_and_newcomers(
    fitted: Pref | Lore, prefs: Preferences, ctx: TrainContext, tmp_path: Path
) -> None:
    assert [toward_nice(fitted, prefs, user) for user in "abcd"] == [1.0, 0.0, 1.0, 0.0]
    adapted = fitted.adapt(support_view(judged({"new": 0.0}, 10, seed=3)), ctx)
    assert toward_nice(adapted, prefs, "new") == 0.0
    adapted.save(tmp_path)
    loaded = type(fitted).load(tmp_path, ctx.compute)
    assert loaded.config == fitted.config
    assert any("--tune lora: 10 epochs" in note for note in loaded.notes)
    for user in ("a", "b", None):
        assert np.array_equal(rewards(adapted, prefs, user), rewards(fitted, prefs, user))
    for user in ("a", "new", None):
        assert np.array_equal(rewards(loaded, prefs, user), rewards(adapted, prefs, user))


def test_a_fit_that_is_fitted_again_begins_at_the_frozen_backbone(
    fits: dict[str, Pref | Lore], prefs: Preferences, ctx: TrainContext
) -> None:
    again = fits["lore"].fit(prefs, ctx)
    assert np.array_equal(rewards(again, prefs, "a"), rewards(fits["lore"], prefs, "a"))


def test_users_count_the_same_however_many_answers_they_gave(ctx: TrainContext) -> None:
    """Twelve answers of one against three of another: the mean of two losses, not of fifteen."""
    uneven = judged({"a": 1.0}, 12)
    few = judged({"b": 0.0}, 3, seed=1)
    both = Preferences(
        uneven.votes.vstack(few.votes),
        uneven.pairs.vstack(few.pairs).unique("pair_id").sort("pair_id"),
        uneven.meta,
    )
    brief: dict[str, Any] = {**FAST, "epochs": 1.0, "basis": 2}
    one, other = (
        rewards(Lore(LoreConfig(**brief, averaging=averaging)).fit(both, ctx), both, "b")
        for averaging in ("users", "rows")
    )
    assert not np.array_equal(one, other)


def test_what_needs_frozen_features_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        PrefConfig(tune="lora", compat="pref", prior="isotropic")
    assert len(caught.value.problems) == 2
    with pytest.raises(UsageError) as caught:
        LoreConfig(tune="full", compat="lore")
    assert "which is for --tune head" in caught.value.problems[0]
    with pytest.raises(UsageError, match="mean nothing with --tune head"):
        PrefConfig(group_pairs=True)
