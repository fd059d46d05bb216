"""What new people are measured beside: the vanilla head moved, and the most similar person's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize

from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta
from plt.errors import UsageError
from plt.train.judgements import read_judgements, support_view, training_view
from plt.train.method import Compute, Judgements, Texts, TrainContext
from plt.train.methods.newcomers.retrieve_similar import RetrieveSimilar
from plt.train.methods.newcomers.votes import Votes
from plt.train.registry import make_method
from plt.train.runs.scoring import Label, score_pairs
from tests.contracts.population import newcomer, population, seen
from tests.data.made_tables import raw_frame, user_turn


@pytest.fixture(scope="module")
def compute(tmp_path_factory: pytest.TempPathFactory) -> Compute:
    return Compute(device="cpu", cache_dir=tmp_path_factory.mktemp("cache"))


def context(tmp_path: Path, compute: Compute) -> TrainContext:
    return TrainContext(0, tmp_path, compute)


def stranger(prefs: Preferences) -> Preferences:
    return prefs.filter(pl.col("user_id").cast(pl.String) == newcomer(prefs))


def clone(prefs: Preferences, user: str, name: str) -> Preferences:
    mine = prefs.filter(pl.col("user_id").cast(pl.String) == user)
    return replace(mine, votes=mine.votes.with_columns(user_id=pl.lit(name)))


def test_a_clone_of_a_known_person_gets_that_persons_model(
    tmp_path: Path, compute: Compute
) -> None:
    prefs = population()
    ctx = context(tmp_path, compute)
    fitted = make_method("retrieve-similar", {}).fit(training_view(prefs), ctx)
    for user in seen(prefs)[:4]:
        train = pl.col("split") == "train"
        twin = clone(prefs.filter(train), user, "a twin")
        adapted = fitted.adapt(support_view(twin), ctx)
        assert isinstance(adapted, RetrieveSimilar)
        assert adapted.rewards is not None
        heads = dict(zip(adapted.rewards.users, adapted.rewards.heads, strict=True))
        assert np.array_equal(heads["a twin"], heads[user])


def test_without_agreement_or_answers_a_person_has_the_vanilla_model(
    tmp_path: Path, compute: Compute
) -> None:
    prefs = population()
    ctx = context(tmp_path, compute)
    strange = [
        {"user_id": "x", "prompt": user_turn(f"q{i}"), "response_1": f"yes {i}",
         "response_2": f"no {i}", "label": 1.0}
        for i in range(3)
    ]  # fmt: skip
    shots = build(raw_frame(strange), Meta(dataset="toy"))
    vanilla = make_method("bradley-terry", {}).fit(training_view(prefs), ctx)
    questions = stranger(prefs)
    expected = score_pairs(vanilla, questions, Label("r", "bt", 0)).frame["margin"].to_numpy()
    for name in ("retrieve-similar", "further-fine-tune"):
        fitted = make_method(name, {}).fit(training_view(prefs), ctx)
        empty = replace(shots, votes=shots.votes.with_columns(label=pl.lit(None, dtype=pl.Float32)))
        for support in (shots, empty) if name == "retrieve-similar" else (empty,):
            adapted = fitted.adapt(support_view(support), ctx)
            votes = questions.votes.with_columns(user_id=pl.lit("x"))
            found = score_pairs(adapted, replace(questions, votes=votes), Label("r", name, 0))
            assert np.allclose(found.frame["margin"], expected, atol=1e-9)


def test_net_agreement_is_that_of_a_dense_matrix() -> None:
    rng = np.random.default_rng(4)
    texts = Texts([[{"role": "user", "content": "p"}]] * 12, [f"t{i}" for i in range(12)])
    pairs = np.array([(i, j) for i in range(12) for j in range(i)])

    def judged(n: int, names: tuple[str, ...]) -> tuple[Judgements, np.ndarray]:
        user = np.sort(rng.integers(0, len(names), n))
        pair = rng.integers(0, len(pairs), n)
        label = rng.choice([0.0, 0.5, 1.0, 0.8], n)
        flip = rng.random(n) < 0.5  # a and b may stand either way round
        a = np.where(flip, pairs[pair, 1], pairs[pair, 0])
        b = np.where(flip, pairs[pair, 0], pairs[pair, 1])
        dense = np.zeros((len(names), len(pairs)))
        np.add.at(dense, (user, pair), np.sign(label - 0.5) * np.where(flip, -1, 1))
        none = np.zeros(n, dtype=bool)
        return Judgements(texts, a, b, pair, user, names, label, none), np.sign(dense)

    known, first = judged(90, ("a", "b", "c"))
    new, second = judged(40, ("x", "y"))
    found = Votes.of(known, known.users).net_agreement(Votes.of(new, new.users))
    assert np.array_equal(found, (second @ first.T).astype(int))
    again = Votes.from_arrays(Votes.of(known, known.users).arrays())
    assert np.array_equal(again.net_agreement(Votes.of(new, new.users)), found)


def test_a_tuned_head_is_the_mode_around_the_vanilla_head(tmp_path: Path, compute: Compute) -> None:
    from plt.train.features.frozen import features
    from plt.train.methods.newcomers.further_fine_tune import FurtherFineTune

    prefs = population()
    ctx = context(tmp_path, compute)
    fitted = make_method("further-fine-tune", {}).fit(training_view(prefs), ctx)
    assert isinstance(fitted, FurtherFineTune)
    assert fitted.rewards is not None
    shots = stranger(prefs).filter(pl.int_range(pl.len()) < 6)
    adapted = fitted.adapt(support_view(shots), ctx)
    assert isinstance(adapted, FurtherFineTune)
    assert adapted.rewards is not None
    name = support_view(shots).users[0]
    head = adapted.rewards.table.heads[adapted.users.index(name)]
    judged = read_judgements(shots)
    vectors = features(judged.texts, "builtin:minilm", compute).astype(float)
    x = vectors[judged.a] - vectors[judged.b]
    centre, deviation = fitted.rewards.centre, fitted.rewards.deviation

    def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
        margin = x @ w
        off = (w - centre) / deviation**2
        value = np.logaddexp(0, margin).sum() - judged.label @ margin + off @ (w - centre) / 2
        return value, x.T @ (1 / (1 + np.exp(-margin)) - judged.label) + off

    best = minimize(objective, centre, jac=True, method="L-BFGS-B", options={"ftol": 1e-14})
    assert objective(head)[0] <= best.fun + 1e-8
    assert np.abs(x @ (head - best.x)).max() < 1e-3


def test_baselines_are_heads_only() -> None:
    with pytest.raises(UsageError, match="no '--tune lora'"):
        make_method("further-fine-tune", {"tune": "lora"})
    with pytest.raises(UsageError, match="l2"):
        make_method("retrieve-similar", {"l2": -1.0})
