"""`--tune lora` and `--tune full` through the methods, on the tiny model."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from plt.data.tables.preferences import Preferences
from plt.train.judgements import distinct_texts, read_judgements, support_view
from plt.train.method import Compute, FloatArray, Method, TrainContext
from plt.train.methods.personal.individual import Config, Individual
from plt.train.methods.population.bradley_terry import BradleyTerry
from plt.train.methods.population.bradley_terry import Config as Shared
from plt.train.multi_user.individual_lora import BatchedUsers
from plt.train.multi_user.individuals import TunedUsers
from tests.train.methods.tables import judged, merged, table

FAST = {
    "model": "builtin:tiny", "tune": "lora", "epochs": 2.0, "pairs_per_step": 4,
    "learning_rate": 1e-3, "max_length": 32,
}  # fmt: skip
FULL = {**FAST, "tune": "full"}


@pytest.fixture(scope="module")
def prefs() -> Preferences:
    return judged({"a/../b": 1.0, "b": 0.0}, 8)


@pytest.fixture(scope="module")
def ctx(tmp_path_factory: pytest.TempPathFactory) -> TrainContext:
    return TrainContext(0, tmp_path_factory.mktemp("work"), Compute(device="cpu"))


@pytest.fixture(scope="module")
def fits(prefs: Preferences, ctx: TrainContext) -> dict[str, Individual]:
    return {tuning["tune"]: Individual(Config(**tuning)).fit(prefs, ctx) for tuning in (FAST, FULL)}


@pytest.fixture(params=["lora", "full"])
def individual(fits: dict[str, Individual], request: pytest.FixtureRequest) -> Individual:
    return fits[request.param]


def rewards(method: Method, prefs: Preferences, user: str | None) -> FloatArray:
    texts, a, b = distinct_texts(prefs.pairs)
    rows = np.unique(np.concatenate([a, b]))
    return method.reward(texts, rows, [user] * len(rows))  # type: ignore[attr-defined]


@pytest.mark.parametrize(("tuning", "exact"), [(FULL, 0), (FAST, 1e-6)], ids=["full", "lora"])
@pytest.mark.slow
def test_each_user_is_bradley_terry_on_their_own_rows(
    fits: dict[str, Individual],
    prefs: Preferences,
    ctx: TrainContext,
    tuning: dict[str, object],
    exact: float,
) -> None:
    """RM-03 (a), bit by bit one after the other, up to rounding together; and the population."""
    individual, both = fits[str(tuning["tune"])], []
    for user in ("a/../b", "b"):
        alone = BradleyTerry(Shared(**tuning)).fit(prefs.filter(pl.col("user_id") == user), ctx)
        both.append(rewards(alone, prefs, None))
        assert np.abs(rewards(individual, prefs, user) - both[-1]).max() <= exact
    assert np.abs(both[0] - both[1]).max() > 1e-3
    mean = rewards(individual, prefs, None)
    assert np.allclose(mean, np.mean(both, axis=0), rtol=0, atol=1e-12 + exact)


def test_saved_models_are_numbered_not_named(
    individual: Individual, prefs: Preferences, tmp_path: Path
) -> None:
    individual.save(tmp_path / "model")
    names = [path.name for path in (tmp_path / "model" / "users").iterdir()]
    numbered = {"lora": ["users.json", "users.safetensors"], "full": ["00000", "00001"]}
    assert sorted(names) == numbered[individual.config.tune]
    loaded = Individual.load(tmp_path / "model", Compute(device="cpu"))
    assert loaded.users == ("a/../b", "b")
    assert loaded.config == individual.config
    assert loaded.notes == individual.notes
    for user in ("a/../b", "b", None):
        assert np.array_equal(rewards(loaded, prefs, user), rewards(individual, prefs, user))


@pytest.mark.slow
def test_a_newcomer_changes_nobody(
    individual: Individual, prefs: Preferences, ctx: TrainContext
) -> None:
    before = [rewards(individual, prefs, user) for user in ("a/../b", "b", None)]
    adapted = individual.adapt(support_view(judged({"0 new": 0.5}, 4, seed=3)), ctx)
    assert adapted.users == ("a/../b", "b", "0 new")
    assert individual.users == ("a/../b", "b")
    after = [rewards(adapted, prefs, user) for user in ("a/../b", "b", None)]
    assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))
    assert not np.array_equal(rewards(adapted, prefs, "0 new"), after[2])


def test_a_later_fit_in_the_same_folder_leaves_an_earlier_one_alone(
    individual: Individual, prefs: Preferences, ctx: TrainContext
) -> None:
    before = rewards(individual, prefs, "b")
    turned = judged({"a/../b": 0.0, "b": 1.0}, 8)
    other = Individual(individual.config).fit(turned, ctx)
    assert not np.array_equal(rewards(other, prefs, "b"), before)
    assert np.array_equal(rewards(individual, prefs, "b"), before)
    kind = TunedUsers if individual.config.tune == "full" else BatchedUsers
    assert isinstance(individual.rewards, kind)


def test_validation_rows_and_the_order_of_rows_move_no_weight(
    prefs: Preferences, ctx: TrainContext, tmp_path: Path
) -> None:
    fitted = BradleyTerry(Shared(**FAST)).fit(prefs, ctx)
    more = merged(prefs, table([("late", "never", "seen", 1.0)], split="val"))
    mixed = Preferences(more.votes.reverse(), more.pairs.reverse(), more.meta)
    again = BradleyTerry(Shared(**FAST)).fit(mixed, ctx)
    assert np.array_equal(rewards(again, prefs, None), rewards(fitted, prefs, None))
    again.save(tmp_path)
    loaded = BradleyTerry.load(tmp_path, Compute(device="cpu"))
    assert np.array_equal(rewards(loaded, prefs, None), rewards(fitted, prefs, None))
    assert fitted.notes[0].startswith(
        "--tune lora: 2 epochs, learning rate 0.001, 4 judgements a step; loss 0.6"
    )


def test_majority_labels_are_one_judgement_a_pair(ctx: TrainContext) -> None:
    votes = [(f"u{i}", "good", "bad", 1.0) for i in range(3)]
    votes += [("u3", "good", "bad", 0.0), ("u0", "red", "blue", 1.0), ("u1", "red", "blue", 0.0)]
    majority = BradleyTerry(Shared(**FAST, labels="majority")).fit(table(votes), ctx)
    once = BradleyTerry(Shared(**FAST)).fit(table(votes[:1]), ctx)
    prefs = table(votes)
    assert len(read_judgements(prefs)) == 6
    assert np.array_equal(rewards(majority, prefs, None), rewards(once, prefs, None))


def test_grouped_pairs_are_the_same_rows_where_nobody_shares_one(
    ctx: TrainContext, tmp_path: Path
) -> None:
    rows = table([(f"u{i % 3}", f"good {i}", f"bad {i}", float(i % 2)) for i in range(12)])
    apart = BradleyTerry(Shared(**FAST)).fit(rows, ctx)
    grouped = BradleyTerry(Shared(**FAST, group_pairs=True)).fit(rows, ctx)
    expected = rewards(apart, rows, None)
    assert np.ptp(expected) > 1e-3
    assert np.abs(rewards(grouped, rows, None) - expected).max() < 1e-6
    grouped.save(tmp_path)
    loaded = BradleyTerry.load(tmp_path, Compute(device="cpu"))
    assert loaded.config.group_pairs
    assert np.array_equal(rewards(loaded, rows, None), rewards(grouped, rows, None))
