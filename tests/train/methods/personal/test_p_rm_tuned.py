"""P-RM with a fine-tuned backbone, on the tiny model: identities, newcomers, files."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from safetensors.torch import load_file, save_file

from plt.data.tables.preferences import Preferences
from plt.errors import ArtifactError, UsageError
from plt.train.judgements import distinct_texts, support_view
from plt.train.method import Compute, FloatArray, Method, TrainContext
from plt.train.methods.personal.p_rm import PRm
from plt.train.methods.personal.p_rm_config import Config
from plt.train.methods.population.bradley_terry import BradleyTerry
from plt.train.methods.population.bradley_terry import Config as Vanilla
from plt.train.multi_user.soft_prompt_reward import SoftPromptReward
from plt.train.people.words import PREFACE, with_profiles
from plt.train.tuning.tuned_reward import TunedReward
from tests.train.methods.tables import judged, table

FAST: dict[str, Any] = {
    "model": "builtin:tiny", "tune": "lora", "epochs": 4.0, "pairs_per_step": 4,
    "learning_rate": 1e-3, "max_length": 64,
}  # fmt: skip
BRIEF = {**FAST, "epochs": 1.0}
SOFT = {**FAST, "aggregation": "soft-prompt", "n_tokens": 2, "epochs": 6.0}
CAMPS = {"a": 1.0, "b": 0.0, "c": 1.0, "d": 0.0}


@pytest.fixture(scope="module")
def prefs() -> Preferences:
    return judged(CAMPS, 12)


@pytest.fixture(scope="module")
def ctx(tmp_path_factory: pytest.TempPathFactory) -> TrainContext:
    return TrainContext(0, tmp_path_factory.mktemp("work"), Compute(device="cpu"))


@pytest.fixture(scope="module")
def linear(prefs: Preferences, ctx: TrainContext) -> PRm:
    return PRm(Config(**FAST)).fit(prefs, ctx)


@pytest.fixture(scope="module")
def soft(prefs: Preferences, ctx: TrainContext) -> PRm:
    return PRm(Config(**SOFT, adapt_steps=30)).fit(prefs, ctx)


def rewards(method: Method, prefs: Preferences, user: str | None) -> FloatArray:
    texts, a, b = distinct_texts(prefs.pairs)
    rows = np.concatenate([a, b])
    found: FloatArray = method.reward(texts, rows, [user] * len(rows))  # type: ignore[attr-defined]
    return found


def toward_nice(method: PRm, prefs: Preferences, user: str | None) -> float:
    """Share of the pairs in which the user prefers the nice answer."""
    texts, a, _ = distinct_texts(prefs.pairs)
    nice = np.array(["lovely" in texts.responses[i] for i in a])
    both = rewards(method, prefs, user)
    return float(((both[: len(a)] > both[len(a) :]) == nice).mean())


def assert_kept(one: PRm, other: PRm, prefs: Preferences, *users: str | None) -> None:
    for user in users:
        assert np.array_equal(rewards(one, prefs, user), rewards(other, prefs, user))


@pytest.mark.parametrize(
    "alpha",
    [0.5, pytest.param(0.0, marks=pytest.mark.slow), pytest.param(1.0, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.slow
def test_uniform_heads_are_vanilla_to_the_bit(
    alpha: float, grouped: bool, prefs: Preferences, ctx: TrainContext
) -> None:
    """RM-05 (a)."""
    vanilla = BradleyTerry(Vanilla(**BRIEF, group_pairs=grouped)).fit(prefs, ctx)
    uniform = PRm(Config(**BRIEF, users="uniform", alpha=alpha, group_pairs=grouped)).fit(
        prefs, ctx
    )
    assert uniform.users == ()
    assert np.ptp(rewards(vanilla, prefs, None)) > 0
    for user in ("a", None):
        assert np.array_equal(rewards(uniform, prefs, user), rewards(vanilla, prefs, None))
    assert uniform.adapt(support_view(prefs), ctx) is uniform


def test_without_soft_tokens_a_soft_prompt_is_vanilla(
    prefs: Preferences, ctx: TrainContext
) -> None:
    """RM-05 (a), to the bit; and up to rounding where the loop of soft prompts reads the texts."""
    vanilla = rewards(BradleyTerry(Vanilla(**BRIEF)).fit(prefs, ctx), prefs, None)
    empty = Config(**BRIEF, aggregation="soft-prompt", n_tokens=0, users="uniform")
    assert np.array_equal(rewards(PRm(empty).fit(prefs, ctx), prefs, "a"), vanilla)
    people = pl.DataFrame({"user_id": ["nobody here"], "profile": ["I like it short."]})
    knowing = TrainContext(0, ctx.work_dir, ctx.compute, people)
    fitted = PRm(empty).fit(prefs, knowing)
    assert isinstance(fitted.rewards, SoftPromptReward)
    assert np.abs(rewards(fitted, prefs, "a") - vanilla).max() < 1e-6


def test_opposite_users_are_told_apart_by_one_backbone(linear: PRm, prefs: Preferences) -> None:
    assert [toward_nice(linear, prefs, user) for user in "abcd"] == [1.0, 0.0, 1.0, 0.0]
    spread = {u: np.ptp(rewards(linear, prefs, u)) for u in ("a", None)}
    # Votes are even, so the generic user is indifferent.
    assert spread[None] < 0.1 * spread["a"]
    assert isinstance(linear.backbone, TunedReward)
    assert linear.notes[0].startswith("--tune lora: 4 epochs, learning rate 0.001, ")


def test_a_newcomer_gets_an_offset_on_the_frozen_backbone(
    linear: PRm, prefs: Preferences, ctx: TrainContext, tmp_path: Path
) -> None:
    adapted = linear.adapt(support_view(judged({"new": 0.0}, 10, seed=3)), ctx)
    assert adapted.users == ("a", "b", "c", "d", "new")
    assert toward_nice(adapted, prefs, "new") == 0.0
    assert_kept(adapted, linear, prefs, "a", "b", None)
    adapted.save(tmp_path)
    loaded = PRm.load(tmp_path, ctx.compute)
    assert loaded.config == linear.config
    assert loaded.notes == linear.notes
    assert_kept(loaded, adapted, prefs, "a", "new", None)
    weights = load_file(tmp_path / "tuned" / "tuned.safetensors")
    name = next(name for name in weights if "lora_B" in name)
    save_file({**weights, name: weights[name] + 0.1}, tmp_path / "tuned" / "tuned.safetensors")
    with pytest.raises(ArtifactError, match="does not score as when it was saved"):
        PRm.load(tmp_path, ctx.compute)


def test_validation_rows_and_the_order_of_rows_move_no_weight(
    linear: PRm, prefs: Preferences, ctx: TrainContext
) -> None:
    turned = Preferences(prefs.votes.reverse(), prefs.pairs.reverse(), prefs.meta)
    assert_kept(PRm(linear.config).fit(turned, ctx), linear, prefs, "a", "b", None)


@pytest.mark.parametrize("settings", [{"alpha": 0.0}, {"alpha": 1.0, "generic_offset": False}])
def test_branches_that_are_off_train_nobody(
    settings: dict[str, Any], prefs: Preferences, ctx: TrainContext
) -> None:
    """RM-05 (d) and (e): no offset without users' branch, no generic user without its own."""
    fitted = PRm(Config(**BRIEF, **settings)).fit(prefs, ctx)
    generic, own = rewards(fitted, prefs, None), rewards(fitted, prefs, "a")
    if settings["alpha"] == 0:
        assert np.ptp(generic) > 0
        assert np.array_equal(own, generic)
        adapted = fitted.adapt(support_view(judged({"new": 0.0}, 6)), ctx)
        assert np.array_equal(rewards(adapted, prefs, "new"), generic)
    else:
        assert not generic.any()
        assert np.ptp(own) > 0


@pytest.mark.parametrize("simplex", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_clusters_are_trained_saved_and_adapted(
    simplex: bool, prefs: Preferences, ctx: TrainContext, tmp_path: Path
) -> None:
    config = Config(
        **{**FAST, "epochs": 20.0}, users="cluster", n_clusters=2, simplex=simplex,
        users_learning_rate=0.1,
    )  # fmt: skip
    fitted = PRm(config).fit(prefs, ctx)
    assert [toward_nice(fitted, prefs, user) for user in "ab"] == [1.0, 0.0]
    adapted = fitted.adapt(support_view(judged({"new": 0.0}, 10, seed=3)), ctx)
    assert toward_nice(adapted, prefs, "new") == 0.0
    adapted.save(tmp_path)
    assert_kept(PRm.load(tmp_path, ctx.compute), adapted, prefs, "a", "new", None)
    assert_kept(adapted, fitted, prefs, "a", None)


def test_soft_prompts_tell_users_apart_and_take_newcomers(
    soft: PRm, prefs: Preferences, ctx: TrainContext, tmp_path: Path
) -> None:
    assert toward_nice(soft, prefs, "a") > 0.9
    assert toward_nice(soft, prefs, "b") < 0.1
    newcomers = judged({"new": 0.0, "other": 1.0}, 10, seed=3)
    adapted = soft.adapt(support_view(newcomers), ctx)
    assert adapted.users == ("a", "b", "c", "d", "new", "other")
    assert toward_nice(adapted, prefs, "new") < toward_nice(adapted, prefs, "other")
    assert_kept(adapted, soft, prefs, "a", "b", None)
    alone = soft.adapt(support_view(newcomers.filter(pl.col("user_id") == "new")), ctx)
    one, other = (rewards(method, prefs, "new") for method in (adapted, alone))
    assert np.allclose(one, other, rtol=0, atol=1e-5)
    adapted.save(tmp_path)
    loaded = PRm.load(tmp_path, ctx.compute)
    assert loaded.users == adapted.users
    assert_kept(loaded, adapted, prefs, "a", "new", None)
    weights = load_file(tmp_path / "soft" / "soft.safetensors")
    weights["users.states"] += 0.5
    save_file(weights, tmp_path / "soft" / "soft.safetensors")
    with pytest.raises(ArtifactError, match="does not score as when it was saved"):
        PRm.load(tmp_path, ctx.compute)


@pytest.mark.slow
def test_a_killed_soft_prompt_resumes_with_the_same_bits(
    prefs: Preferences, tmp_path: Path
) -> None:
    config = Config(**BRIEF, aggregation="soft-prompt", users="cluster", n_tokens=2)

    def kill(what: str, done: int, total: int) -> None:
        if (what, done) == ("training", 7):
            raise KeyboardInterrupt

    def fit(folder: str, **compute: Any) -> PRm:
        context = TrainContext(0, tmp_path / folder, Compute("cpu", **compute))
        return PRm(config).fit(prefs, context)

    whole = fit("whole")
    with pytest.raises(KeyboardInterrupt):
        fit("killed", progress=kill)
    assert_kept(fit("killed"), whole, prefs, "a", None)


@pytest.mark.slow
@pytest.mark.parametrize("aggregation", ["linear", "soft-prompt"])
def test_a_whole_backbone_learns_resumes_and_is_saved(
    aggregation: Any, prefs: Preferences, ctx: TrainContext, tmp_path: Path
) -> None:
    settings = {**FAST, "tune": "full", "epochs": 3.0, "learning_rate": 3e-4}
    config = Config(**settings, aggregation=aggregation)

    def kill(what: str, done: int, total: int) -> None:
        if (what, done) == ("training", 5):
            raise KeyboardInterrupt

    fitted = PRm(config).fit(prefs, TrainContext(0, tmp_path / "whole", ctx.compute))
    assert toward_nice(fitted, prefs, "a") > toward_nice(fitted, prefs, "b")
    with pytest.raises(KeyboardInterrupt):
        PRm(config).fit(prefs, TrainContext(0, tmp_path / "killed", Compute("cpu", progress=kill)))
    again = PRm(config).fit(prefs, TrainContext(0, tmp_path / "killed", ctx.compute))
    assert_kept(again, fitted, prefs, "a", "b", None)
    fitted.save(tmp_path / "model")
    assert_kept(PRm.load(tmp_path / "model", ctx.compute), fitted, prefs, "a", None)


def test_a_frozen_backbone_learns_soft_tokens_and_a_head(
    prefs: Preferences, ctx: TrainContext, tmp_path: Path
) -> None:
    config = Config(**BRIEF, aggregation="soft-prompt", n_tokens=2, train_backbone=False)
    fitted = PRm(config).fit(prefs, ctx)
    assert np.ptp(rewards(fitted, prefs, "a")) > 0
    fitted.save(tmp_path)
    names = load_file(tmp_path / "soft" / "soft.safetensors")
    assert sorted(names) == ["score.weight", "users.shared", "users.states"]
    assert_kept(PRm.load(tmp_path, ctx.compute), fitted, prefs, "a", None)


def test_more_soft_tokens_than_words_are_no_problem_and_said(ctx: TrainContext) -> None:
    prefs = judged({f"u{i:02d}": i / 30 for i in range(30)}, 1)
    config = Config(**{**BRIEF, "pairs_per_step": 30}, aggregation="soft-prompt")
    fitted = PRm(config).fit(prefs, ctx)
    assert len(fitted.users) == 30
    assert any("words of the vocabulary, which are fewer" in note for note in fitted.notes)


def test_a_profile_is_read_in_both_branches(prefs: Preferences, ctx: TrainContext) -> None:
    said = {"a": "Be <b>kind</b>.", "b": "Be exact.", "stranger": "?"}
    people = pl.DataFrame({"user_id": list(said), "profile": list(said.values())})
    knowing = TrainContext(0, ctx.work_dir, ctx.compute, people)
    roomy = {**BRIEF, "max_length": 160}  # where what is said is not cut
    for users, known in (("uniform", ("a", "b")), ("individual", ("a", "b", "c", "d"))):
        config = Config(**roomy, aggregation="soft-prompt", n_tokens=1, users=users)  # type: ignore[arg-type]
        fitted = PRm(config).fit(prefs, knowing)
        assert fitted.users == known
        assert not np.array_equal(rewards(fitted, prefs, "a"), rewards(fitted, prefs, "b"))
        assert any("2 of 4 users' own words" in note for note in fitted.notes)
    silent = PRm(Config(**BRIEF, aggregation="soft-prompt", n_tokens=1, use_profile=False))
    assert silent.fit(prefs, knowing).rewards.profiles == {}  # type: ignore[union-attr]


def test_one_soft_prompt_for_everybody_needs_no_names(ctx: TrainContext) -> None:
    nameless = table([(None, f"good {i}", f"bad {i}", 1.0) for i in range(8)])
    config = Config(**BRIEF, aggregation="soft-prompt", n_tokens=2, users="uniform")
    fitted = PRm(config).fit(nameless, ctx)
    assert fitted.users == ()
    assert np.array_equal(rewards(fitted, nameless, "a"), rewards(fitted, nameless, None))
    assert fitted.adapt(support_view(judged({"a": 1.0}, 2)), ctx).users == ()


def test_profiles_stand_in_front_as_one_system_message() -> None:
    texts, _, _ = distinct_texts(judged({"a": 1.0}, 1).pairs)
    texts.prompts[0][:0] = [{"role": "system", "content": "Be brief."}]  # type: ignore[index]
    read, rows = with_profiles(
        texts,
        np.array([0, 1, 0, 0]),
        ["a", "a", None, "b"],
        {"a": "I am tall.", "b": "", "": "I am nobody."},
    )
    assert rows.tolist() == [1, 2, 0, 0]
    system, *rest = read.prompts[rows[0]]
    assert system == {"role": "system", "content": f"{PREFACE}I am tall.\n\nBe brief."}
    assert [turn["role"] for turn in rest] == ["user"]
    assert read.prompts[rows[2]] == texts.prompts[0]


def test_every_wrong_setting_of_fine_tuning_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        Config(
            tune="lora", n_tokens=3, train_backbone=True, use_profile=True, adapt_steps=0,
            token_start="uniform", users_learning_rate=-1.0,
        )  # fmt: skip
    assert len(caught.value.problems) == 7
    with pytest.raises(UsageError) as caught:
        Config(tune="full", aggregation="soft-prompt", train_backbone=False, group_pairs=True)
    assert len(caught.value.problems) == 2
    with pytest.raises(UsageError, match="does not take") as caught:
        Config(aggregation="soft-prompt", n_tokens=-1)
    assert len(caught.value.problems) == 2
    with pytest.raises(UsageError, match="mean nothing with --tune head"):
        Config(group_pairs=True)
    with pytest.raises(UsageError, match="mean nothing with --tune head"):
        Vanilla(group_pairs=True)
