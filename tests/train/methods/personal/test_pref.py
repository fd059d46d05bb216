import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from plt.data.tables.preferences import Preferences
from plt.errors import UsageError
from plt.train.features.frozen import features
from plt.train.heads.empirical_bayes import moments
from plt.train.heads.factor_fit import MAX_ITERATIONS
from plt.train.judgements import distinct_texts, read_judgements, support_view
from plt.train.method import FloatArray, TrainContext
from plt.train.methods.personal.pref import Config, Pref
from tests.train.methods.pref_ablations import ablations
from tests.train.methods.tables import judged, merged

GOLDEN = Path(__file__).parents[3] / "golden" / "pref_ablations.json"

CAMPS = {**{f"w{i}": 0.95 for i in range(6)}, **{f"d{i}": 0.05 for i in range(6)}}


def margins(method: Pref, prefs: Preferences, user: str | None) -> FloatArray:
    texts, a, b = distinct_texts(prefs.pairs)
    users = [user] * len(a)
    return method.reward(texts, a, users) - method.reward(texts, b, users)


@pytest.fixture(scope="module")
def camps() -> Preferences:
    return judged(CAMPS, 20)


@pytest.fixture(scope="module")
def fitted(camps: Preferences, ctx: TrainContext) -> Pref:
    return Pref(Config(factors=3)).fit(camps, ctx)


def test_people_of_two_camps_are_told_apart(fitted: Pref, camps: Preferences) -> None:
    warm, dry = margins(fitted, camps, "w0"), margins(fitted, camps, "d0")
    assert (np.sign(warm) == -np.sign(dry)).mean() > 0.9


def test_rewards_are_lambdas_times_phi(fitted: Pref, camps: Preferences) -> None:
    texts, a, _ = distinct_texts(camps.pairs)
    assert fitted.phi(texts).shape == (len(texts), 3)
    assert fitted.lambdas.shape == (12, 3)
    for user, weights in zip(fitted.users, fitted.lambdas, strict=True):
        expected = fitted.phi(texts)[a] @ weights
        assert np.allclose(fitted.reward(texts, a, [user] * len(a)), expected, atol=1e-9)
    population = fitted.phi(texts)[a] @ fitted.lambdas.mean(axis=0)
    assert np.allclose(fitted.reward(texts, a, [None] * len(a)), population, atol=1e-9)


def test_a_newcomer_is_at_the_one_optimum(fitted: Pref, ctx: TrainContext) -> None:
    """RM-12 (b), D2 and D4: minus the penalty, Newton, a gradient below 1e-8."""
    new = judged({"x": 0.9}, 15, seed=5)
    adapted = fitted.adapt(support_view(new), ctx)
    assert adapted.fitted is not None
    assert fitted.fitted is not None
    assert np.array_equal(adapted.fitted.basis, fitted.fitted.basis)
    here = adapted.lambdas[adapted.users.index("x")]
    judgements = read_judgements(new)
    vectors = features(judgements.texts, "builtin:minilm", ctx.compute)
    phi = vectors.astype(np.float64) @ fitted.fitted.basis.T
    x = phi[judgements.a] - phi[judgements.b]
    prior = fitted.fitted.prior
    assert np.allclose(prior.mean, fitted.lambdas.mean(axis=0))
    covariance = prior.factor @ prior.factor.T
    gradient = (judgements.label - expit(x @ here)) @ x
    gradient -= np.linalg.solve(covariance, here - prior.mean)
    assert np.abs(gradient).max() < 1e-8


def test_newcomers_do_not_depend_on_each_other(fitted: Pref, ctx: TrainContext) -> None:
    new = judged({"x": 0.95}, 15, seed=5)
    one = fitted.adapt(support_view(new), ctx)
    other = fitted.adapt(support_view(merged(new, judged({"y": 0.05}, 9))), ctx)
    place, again = (method.users.index("x") for method in (one, other))
    assert np.allclose(one.lambdas[place], other.lambdas[again], atol=1e-8)


def test_few_answers_move_a_newcomer_less_than_many(fitted: Pref, ctx: TrainContext) -> None:
    one, many = judged({"x": 1.0}, 1), judged({"x": 1.0}, 40)
    nobody, few, much = (
        np.abs(margins(method, one, "x")).mean()
        for method in (
            fitted,
            fitted.adapt(support_view(one), ctx),
            fitted.adapt(support_view(many), ctx),
        )
    )
    assert nobody < few < much


def test_both_priors_stand_around_the_mean(camps: Preferences, ctx: TrainContext) -> None:
    fits = [
        Pref(Config(factors=3, l2=1.0, prior=prior)).fit(camps, ctx)
        for prior in ("covariance", "isotropic")
    ]
    wide, narrow = (fit.fitted.prior for fit in fits if fit.fitted is not None)
    assert np.array_equal(wide.mean, narrow.mean)
    assert np.array_equal(narrow.factor, np.eye(3))
    largest = np.linalg.eigvalsh(wide.factor @ wide.factor.T)[-1]
    spread = np.linalg.eigvalsh(np.cov(fits[0].lambdas.T, bias=True))[-1]
    assert largest > spread


def test_ablations_fit_as_well_on_an_easy_table(camps: Preferences, ctx: TrainContext) -> None:
    """No-SVD of figure 3A, imputed votes, and the reference code's preset."""
    full = margins(Pref().fit(camps, ctx), camps, "w0")
    newcomer = judged({"new": 0.0}, 20, seed=3)
    for config in (Config(init="random"), Config(impute=3), Config(compat="pref")):
        other = Pref(config).fit(camps, ctx)
        assert (np.sign(margins(other, camps, "w0")) == np.sign(full)).mean() > 0.9
        adapted = other.adapt(support_view(newcomer), ctx)
        dry = np.sign(margins(other, camps, "d0"))
        assert (np.sign(margins(adapted, camps, "new")) == dry).mean() > 0.9


def test_without_a_penalty_the_fit_is_ended_by_its_steps_and_larger(
    camps: Preferences, ctx: TrainContext
) -> None:
    """No-Reg of figure 3A: one of the factors tends to be large."""
    free = Pref(Config(factors=3, l2=0.0)).fit(camps, ctx)
    held = Pref(Config(factors=3, l2=1.0)).fit(camps, ctx)
    sizes = [np.abs(margins(method, camps, "w0")).mean() for method in (free, held)]
    assert sizes[0] > 2 * sizes[1]
    assert "penalty l2 = 0, as set" in free.notes[0]
    assert int(free.notes[0].split("; ")[1].split()[0]) <= MAX_ITERATIONS
    adapted = free.adapt(support_view(judged({"new": 0.0}, 20)), ctx)
    assert np.isfinite(margins(adapted, camps, "new")).all()


def test_the_preset_places_newcomers_short_of_the_optimum(
    camps: Preferences, ctx: TrainContext
) -> None:
    """D4: it depends on the seed, so on a random start that the steps do not forget."""
    fitted = Pref(Config(compat="pref")).fit(camps, ctx)
    newcomer = judged({"new": 0.2}, 5, seed=3)
    other_seed = TrainContext(7, ctx.work_dir, ctx.compute)
    one, again, other = (
        margins(fitted.adapt(support_view(newcomer), context), camps, "new")
        for context in (ctx, ctx, other_seed)
    )
    assert np.array_equal(one, again)
    assert np.abs(one - other).max() > 0.01


def test_moments_are_mean_and_covariance() -> None:
    prior = moments(np.array([[1.0, 0.0], [3.0, 0.0], [2.0, 3.0], [2.0, -3.0]]))
    covariance = prior.factor @ prior.factor.T
    assert prior.mean.tolist() == [2.0, 0.0]
    assert covariance == pytest.approx(np.diag([0.5, 4.5]) + 0.025 * np.eye(2))


def test_every_wrong_setting_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        Config(factors=0, l2=-1.0, tune="lora", impute=-1, prior="isotropic")
    assert len(caught.value.problems) == 4
    assert caught.value.hint == "plt ls methods pref"
    with pytest.raises(UsageError, match="pref"):
        Config(l2=0.0, prior="isotropic")
    with pytest.raises(UsageError) as caught:
        Config(compat="pref", init="random")
    assert "starts from the votes" in caught.value.problems[0]


def stored() -> dict[tuple[str, str], tuple[float, float]]:
    table = json.loads(GOLDEN.read_text(encoding="utf-8"))["table"]
    return {(row["arm"], row["users"]): (row["mean"], row["deviation"]) for row in table}


def test_the_stored_ablations_say_what_the_penalty_and_the_svd_are_worth() -> None:
    """Figure 3A: both matter in the paper. Here the penalty does, and without it the SVD too."""
    for users in ("seen", "new"):
        full, no_svd, no_penalty, neither = (
            stored()[arm, users] for arm in ("full", "no SVD", "no penalty", "neither")
        )
        assert no_svd[0] == pytest.approx(full[0], abs=0.005)
        assert max(full[1], no_svd[1]) < 0.002
        assert no_penalty[0] < full[0] - 0.1
        assert neither[0] < no_penalty[0]
        assert neither[1] > 10 * max(full[1], no_svd[1])


@pytest.mark.study
def test_the_ablations_come_out_as_stored() -> None:
    for row in ablations():
        mean, deviation = stored()[row["arm"], row["users"]]
        assert row["mean"] == pytest.approx(mean, abs=0.02)
        assert row["deviation"] == pytest.approx(deviation, abs=0.015)
