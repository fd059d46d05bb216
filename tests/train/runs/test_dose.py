"""Between a base and each person: exact ends, heads in closed form, and who has no way."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plt.errors import UsageError
from plt.train.judgements import distinct_texts, training_view
from plt.train.method import Compute, Dosed, LinearReward, Method, TrainContext
from plt.train.registry import load_class, make_method, method_card
from plt.train.runs.dose import able, path_between
from tests.contracts.population import population
from tests.contracts.smaller import smaller, write_model

SMALL = {"model": "builtin:tiny"}
HEADS: dict[str, tuple[str, dict[str, Any]]] = {
    "individual": ("individual", {}),
    "eb-shrinkage": ("eb-shrinkage", {}),
    "lore": ("lore", {"basis": 3}),
    "pref": ("pref", {"factors": 3}),
    "p-rm": ("p-rm", {}),
    "p-rm clusters": ("p-rm", {"users": "cluster", "n_clusters": 2}),
}


@pytest.fixture(scope="module")
def ctx(tmp_path_factory: pytest.TempPathFactory) -> TrainContext:
    home = tmp_path_factory.mktemp("dose")
    return TrainContext(0, home / "work", Compute(device="cpu", cache_dir=home / "cache"))


def fitted(name: str, settings: dict[str, Any], ctx: TrainContext) -> Method:
    return make_method(name, settings).fit(training_view(population()), ctx)


def rewards(method: Any, users: list[str | None]) -> np.ndarray:
    texts, a, _ = distinct_texts(population().pairs.head(12))
    rows = np.tile(a, len(users))
    found: np.ndarray = method.reward(texts, rows, [u for u in users for _ in a])
    return found.reshape(len(users), -1)


@pytest.mark.parametrize("case", HEADS)
def test_heads_are_mixed_in_closed_form(case: str, ctx: TrainContext, tmp_path: Path) -> None:
    name, more = HEADS[case]
    method = fitted(name, {**SMALL, **more}, ctx)
    users: list[str | None] = [*method.users[:3], None]
    path = path_between(method, None)
    assert path.linear
    own, generic = rewards(method, users), rewards(method, [None] * len(users))
    assert np.array_equal(rewards(path.at(1.0), users), own)
    assert np.array_equal(rewards(path.at(0.0), users), generic)
    third = path.at(0.3)
    assert np.allclose(rewards(third, users), 0.7 * generic + 0.3 * own, rtol=0, atol=1e-9)
    third.save(tmp_path)
    loader: Any = load_class(method_card(name).target)
    again = loader.load(tmp_path, ctx.compute)
    assert np.array_equal(rewards(again, users), rewards(third, users))
    if name in ("lore", "pref"):
        # Coordinates go with the heads: the weights of the basis are mixed alike.
        table: Any = third.fitted  # type: ignore[attr-defined]
        assert np.allclose(table.weights @ table.basis, table.table.heads, rtol=0, atol=1e-9)


def test_another_run_is_a_base_for_heads_on_the_same_features(ctx: TrainContext) -> None:
    method, base = fitted("individual", SMALL, ctx), fitted("bradley-terry", SMALL, ctx)
    users: list[str | None] = [*method.users[:3], None]
    path = path_between(method, base)
    assert np.array_equal(rewards(path.at(0.0), users), rewards(base, users))
    assert np.array_equal(rewards(path.at(1.0), users), rewards(method, users))
    other = fitted("bradley-terry", {**SMALL, "max_length": 64}, ctx)
    with pytest.raises(UsageError, match="other features"):
        path_between(method, other)
    with pytest.raises(UsageError, match="mixtures of a basis"):
        path_between(fitted("lore", {**SMALL, "basis": 3}, ctx), base)
    with pytest.raises(UsageError, match="no heads on frozen features"):
        path_between(method, fitted("length", {}, ctx))


@pytest.mark.parametrize("name", ["length", "random", "bradley-terry", "dpl", "gpo"])
def test_who_has_no_way_is_told_who_has(name: str, ctx: TrainContext) -> None:
    settings = {} if name in ("length", "random") else smaller(name, Path("unused"))
    method = fitted(name, {**settings}, ctx)
    with pytest.raises(UsageError, match="nothing lies between") as caught:
        path_between(method, None)
    assert "individual" in caught.value.problems[0]
    assert "p-dpo" in caught.value.problems[1]


def test_abilities_are_those_of_the_classes() -> None:
    assert set(able(LinearReward)) == {"individual", "eb-shrinkage", "p-rm", "pref", "lore"}
    assert {"individual", "p-rm", "p-dpo", "p-ipo"} <= set(able(Dosed))
    assert not {"rag", "icl", "gpo", "vpl"} & {*able(LinearReward), *able(Dosed)}


@pytest.mark.slow
def test_soft_tokens_move_from_the_generic_user(ctx: TrainContext, tmp_path: Path) -> None:
    model = write_model(tmp_path / "small")
    method = fitted("p-dpo", smaller("p-dpo", model), ctx)
    users: list[str | None] = list(method.users[:2])
    path = path_between(method, None)
    assert not path.linear
    own, generic = rewards(method, users), rewards(method, [None, None])
    assert np.array_equal(rewards(path.at(1.0), users), own)
    assert np.allclose(rewards(path.at(0.0), users), generic, rtol=0, atol=1e-4)
    assert np.abs(own - generic).max() > 1e-3
    half = rewards(path.at(0.5), users)
    assert np.abs(half - own).max() > 1e-4
    assert np.abs(half - generic).max() > 1e-4


@pytest.mark.slow
def test_adapters_move_from_the_reward_model(ctx: TrainContext) -> None:
    settings = {"model": "builtin:tiny-reward", "tune": "lora", "epochs": 1, "learning_rate": 0.01}
    method = fitted("individual", settings, ctx)
    users: list[str | None] = list(method.users[:2])
    path = path_between(method, None)
    start = fitted("pretrained", {"model": "builtin:tiny-reward"}, ctx)
    assert np.allclose(
        rewards(path.at(0.0), users), rewards(start, [None, None]), rtol=0, atol=1e-5
    )
    assert np.array_equal(rewards(path.at(1.0), users), rewards(method, users))
    assert np.abs(rewards(path.at(1.0), users) - rewards(path.at(0.0), users)).max() > 1e-4
    with pytest.raises(UsageError, match="nothing lies between"):
        path_between(fitted("individual", {**settings, "model": "builtin:tiny"}, ctx), None)
