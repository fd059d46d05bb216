import numpy as np
import polars as pl
import pytest

from plt.data.tables.preferences import Preferences
from plt.errors import UsageError
from plt.train.judgements import distinct_texts, support_view
from plt.train.method import Compute, FloatArray, Method, TrainContext
from plt.train.methods.personal.individual import Config as IndividualConfig
from plt.train.methods.personal.individual import Individual
from plt.train.methods.personal.p_rm import PRm
from plt.train.methods.personal.p_rm_config import Config
from plt.train.methods.population.bradley_terry import BradleyTerry
from plt.train.methods.population.bradley_terry import Config as VanillaConfig
from tests.train.methods.tables import judged, merged, table

CAMPS = {**{f"w{i}": 0.95 for i in range(6)}, **{f"d{i}": 0.05 for i in range(6)}}


def rewards(method: Method, prefs: Preferences, user: str | None) -> FloatArray:
    texts, a, b = distinct_texts(prefs.pairs)
    rows = np.concatenate([a, b])
    return np.asarray(method.reward(texts, rows, [user] * len(rows)))  # type: ignore[attr-defined]


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("l2", [None, 0.7])
def test_uniform_is_vanilla_to_the_bit(alpha: float, l2: float | None, ctx: TrainContext) -> None:
    """RM-05 (a)."""
    prefs = judged({"a": 0.9, "b": 0.3}, 20)
    uniform = PRm(Config(users="uniform", alpha=alpha, l2=l2)).fit(prefs, ctx)
    vanilla = BradleyTerry(VanillaConfig(l2=l2)).fit(prefs, ctx)
    assert uniform.users == ()
    for user in ("a", None):
        assert np.array_equal(rewards(uniform, prefs, user), rewards(vanilla, prefs, user))
    assert uniform.adapt(support_view(prefs), ctx) is uniform


@pytest.mark.parametrize("l2", [None, 0.7])
def test_without_the_generic_vector_users_are_individuals(
    l2: float | None, ctx: TrainContext
) -> None:
    prefs = judged({"a": 0.9, "b": 0.3}, 20)
    apart = PRm(Config(generic_offset=False, alpha=1.0, l2=l2)).fit(prefs, ctx)
    individual = Individual(IndividualConfig(l2=l2)).fit(prefs, ctx)
    for user in ("a", "b"):
        assert np.array_equal(rewards(apart, prefs, user), rewards(individual, prefs, user))
    # RM-05 (d): at alpha 1 no row trains the generic user.
    assert not rewards(apart, prefs, None).any()
    assert any("no row trains the generic user" in note for note in apart.notes)


def test_without_the_generic_vector_alpha_weighs_the_penalties(ctx: TrainContext) -> None:
    prefs = judged({"a": 0.9, "b": 0.3}, 20)
    apart = PRm(Config(generic_offset=False, alpha=0.25, l2=0.5)).fit(prefs, ctx)
    individual = Individual(IndividualConfig(l2=2.0)).fit(prefs, ctx)
    vanilla = BradleyTerry(VanillaConfig(l2=0.5 / 0.75)).fit(prefs, ctx)
    assert np.array_equal(rewards(apart, prefs, "a"), rewards(individual, prefs, "a"))
    assert np.array_equal(rewards(apart, prefs, None), rewards(vanilla, prefs, None))
    newcomer = apart.adapt(support_view(judged({"new": 0.9}, 20, seed=4)), ctx)
    assert rewards(newcomer, prefs, "new").any()


def test_at_alpha_zero_everybody_scores_as_the_generic_user(ctx: TrainContext) -> None:
    """RM-05 (d) and (e): no offset has a gradient, and without offsets all are alike."""
    prefs = judged({"a": 0.9, "b": 0.3}, 20)
    fitted = PRm(Config(alpha=0.0)).fit(prefs, ctx)
    vanilla = BradleyTerry().fit(prefs, ctx)
    adapted = fitted.adapt(support_view(judged({"new": 0.1}, 20)), ctx)
    for user in ("a", "b", "new", None):
        assert np.array_equal(rewards(adapted, prefs, user), rewards(vanilla, prefs, user))


def test_weak_generic_users_follow_the_majority_and_offsets_the_minority(ctx: TrainContext) -> None:
    """Seven like it nice, three cold: the generic user is in between, the minority is served."""
    majority, minority = {f"m{i}": 1.0 for i in range(7)}, {f"n{i}": 0.0 for i in range(3)}
    prefs = judged({**majority, **minority}, 20)
    fitted = PRm(Config(l2=0.1)).fit(prefs, ctx)
    texts, a, _ = distinct_texts(prefs.pairs)
    nice = np.array(["lovely" in texts.responses[i] for i in a])

    def toward_nice(user: str | None) -> float:
        both = rewards(fitted, prefs, user)
        margin = both[: len(a)] - both[len(a) :]
        return float(np.where(nice, margin, -margin).mean())

    assert toward_nice("m0") > toward_nice(None) > 0 > toward_nice("n0")
    # The vote share is .7, so the generic log-odds are about logit(.7) = .85.
    assert toward_nice(None) == pytest.approx(0.85, abs=0.15)


@pytest.mark.parametrize("simplex", [True, False])
def test_clusters_tell_two_camps_apart_and_place_newcomers(
    simplex: bool, ctx: TrainContext
) -> None:
    prefs = judged(CAMPS, 20)
    fitted = PRm(Config(users="cluster", n_clusters=2, simplex=simplex)).fit(prefs, ctx)
    _, a, _ = distinct_texts(prefs.pairs)

    def margin(method: PRm, user: str | None) -> FloatArray:
        both = rewards(method, prefs, user)
        return both[: len(a)] - both[len(a) :]

    assert (np.sign(margin(fitted, "w0")) == -np.sign(margin(fitted, "d0"))).mean() > 0.9
    assert np.abs(margin(fitted, None)).mean() < 0.5 * np.abs(margin(fitted, "w0")).mean()
    adapted = fitted.adapt(support_view(judged({"new": 0.0}, 10, seed=3)), ctx)
    assert (np.sign(margin(adapted, "new")) == np.sign(margin(fitted, "d0"))).mean() > 0.9


@pytest.mark.parametrize("simplex", [True, False])
def test_clusters_without_a_user_branch_leave_users_where_they_were(
    simplex: bool, ctx: TrainContext
) -> None:
    """RM-05 (d): at alpha 0 no user's weights have a gradient."""
    prefs = judged({"a": 1.0, "b": 0.0}, 20)
    fitted = PRm(Config(users="cluster", n_clusters=2, alpha=0.0, simplex=simplex)).fit(prefs, ctx)
    assert np.allclose(rewards(fitted, prefs, "a"), rewards(fitted, prefs, "b"), atol=1e-3)
    adapted = fitted.adapt(support_view(judged({"new": 1.0}, 20)), ctx)
    assert np.allclose(rewards(adapted, prefs, "new"), rewards(fitted, prefs, "a"), atol=1e-3)


@pytest.mark.parametrize("users", ["uniform", "individual", "cluster"])
def test_every_user_model_is_saved_and_loaded(
    users: str, ctx: TrainContext, tmp_path_factory: pytest.TempPathFactory
) -> None:
    prefs = judged(CAMPS, 10)
    path = tmp_path_factory.mktemp("saved")
    fitted = PRm(Config(users=users)).fit(prefs, ctx)  # type: ignore[arg-type]
    fitted.save(path)
    again = PRm.load(path, ctx.compute)
    assert again.config == fitted.config
    newcomer = judged({"new": 0.8}, 6)
    one, other = fitted.adapt(support_view(newcomer), ctx), again.adapt(support_view(newcomer), ctx)
    for user in ("w0", "new", None):
        assert np.array_equal(rewards(one, prefs, user), rewards(other, prefs, user))


def test_rows_of_nobody_train_the_generic_user_only(ctx: TrainContext) -> None:
    named = judged({"a": 0.5}, 20)
    nameless = table([(None, "a lovely day, thank you", "as specified in the section", 1.0)] * 30)
    without = PRm(Config(l2=1.0)).fit(named, ctx)
    fitted = PRm(Config(l2=1.0)).fit(merged(named, nameless), ctx)
    assert fitted.users == ("a",)
    assert not np.allclose(rewards(fitted, named, None), rewards(without, named, None))
    assert any("30 training rows name no user" in note for note in fitted.notes)


def test_unread_profiles_are_said(ctx: TrainContext) -> None:
    prefs = judged({"a": 0.9}, 10)
    assert not any("say of themselves" in note for note in PRm().fit(prefs, ctx).notes)
    people = pl.DataFrame({"user_id": ["a"], "profile": ["I like it short."]})
    knowing = TrainContext(0, ctx.work_dir, Compute("cpu", cache_dir=ctx.compute.cache_dir), people)
    assert any("say of themselves" in note for note in PRm().fit(prefs, knowing).notes)


def test_every_wrong_setting_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        Config(n_clusters=0, alpha=1.5, n_tokens=3)
    assert len(caught.value.problems) == 3
    assert caught.value.hint == "plt ls methods p-rm"
    with pytest.raises(UsageError) as caught:
        Config(alpha=0.0, generic_offset=False)
    assert "trains no user at all" in caught.value.problems[0]
    with pytest.raises(UsageError, match="'l2' is 0"):
        Config(l2=0.0)
