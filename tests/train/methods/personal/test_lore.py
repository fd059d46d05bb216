import numpy as np
import pytest

from plt.data.tables.preferences import Preferences
from plt.errors import UsageError
from plt.train.judgements import distinct_texts, support_view
from plt.train.method import FloatArray, Method, TrainContext
from plt.train.methods.personal.lore import Config, Lore
from plt.train.methods.personal.p_rm import PRm
from plt.train.methods.personal.p_rm_config import Config as PRmConfig
from plt.train.methods.population.bradley_terry import BradleyTerry
from plt.train.methods.population.bradley_terry import Config as VanillaConfig
from tests.train.methods.tables import judged, merged

CAMPS = {**{f"w{i}": 0.95 for i in range(6)}, **{f"d{i}": 0.05 for i in range(6)}}


def margins(method: Method, prefs: Preferences, user: str | None) -> FloatArray:
    texts, a, b = distinct_texts(prefs.pairs)
    users = [user] * len(a)
    first, second = (method.reward(texts, rows, users) for rows in (a, b))  # type: ignore[attr-defined]
    return np.asarray(first - second)


@pytest.fixture(scope="module")
def camps() -> Preferences:
    return judged(CAMPS, 20)


def test_a_basis_of_one_is_bradley_terry(ctx: TrainContext) -> None:
    prefs = judged({"u": 0.8, "v": 0.6}, 40)
    lore = Lore(Config(basis=1, l2=0.5)).fit(prefs, ctx)
    vanilla = BradleyTerry(VanillaConfig(l2=0.5)).fit(prefs, ctx)
    for user in ("u", "v", None, "stranger"):
        assert np.allclose(margins(lore, prefs, user), margins(vanilla, prefs, user), atol=2e-3)


def test_people_of_two_camps_are_told_apart(camps: Preferences, ctx: TrainContext) -> None:
    """RM-13: mirrored users need two basis rewards; with one they get the same."""
    for basis in (2, 5):
        lore = Lore(Config(basis=basis)).fit(camps, ctx)
        warm, dry = margins(lore, camps, "w0"), margins(lore, camps, "d0")
        assert (np.sign(warm) == -np.sign(dry)).mean() > 0.9
    blind = Lore(Config(basis=1)).fit(camps, ctx)
    assert np.array_equal(margins(blind, camps, "w0"), margins(blind, camps, "d0"))


def test_it_is_the_cluster_model_without_the_generic_user(
    camps: Preferences, ctx: TrainContext
) -> None:
    """Section 0.4 of the lattice: the same objective, from starts of their own."""
    lore = Lore(Config(basis=2, l2=1.0)).fit(camps, ctx)
    clusters = PRm(PRmConfig(users="cluster", n_clusters=2, alpha=1.0, l2=1.0)).fit(camps, ctx)
    for user in ("w0", "d3"):
        assert np.allclose(margins(lore, camps, user), margins(clusters, camps, user), atol=0.02)


def test_newcomers_get_weights_on_the_simplex_and_the_basis_stays(
    camps: Preferences, ctx: TrainContext
) -> None:
    lore = Lore(Config(basis=3)).fit(camps, ctx)
    new = merged(judged({"x": 0.0}, 15, seed=3), judged({"y": 1.0}, 15, seed=4))
    adapted = lore.adapt(support_view(new), ctx)
    assert lore.fitted is not None
    assert adapted.fitted is not None
    assert np.array_equal(adapted.fitted.basis, lore.fitted.basis)
    assert np.allclose(adapted.fitted.weights.sum(axis=1), 1)
    assert (adapted.fitted.weights >= 0).all()
    for user, like in (("x", "d0"), ("y", "w0")):
        own, camp = margins(adapted, camps, user), margins(lore, camps, like)
        assert (np.sign(own) == np.sign(camp)).mean() > 0.9


def test_the_population_has_the_mean_weights(camps: Preferences, ctx: TrainContext) -> None:
    lore = Lore(Config(basis=3)).fit(camps, ctx)
    everybody = np.mean([margins(lore, camps, user) for user in lore.users], axis=0)
    assert np.allclose(margins(lore, camps, None), everybody, atol=1e-9)


def test_averaging_over_users_stops_a_loud_user(ctx: TrainContext) -> None:
    """One person with nine tenths of the rows decides a shared reward only when rows count."""
    prefs = merged(judged({"loud": 0.0}, 270), judged({"quiet": 1.0}, 30, seed=2))
    texts, a, _ = distinct_texts(prefs.pairs)
    nice = np.array(["lovely" in texts.responses[i] for i in a])
    toward_nice = {}
    for averaging in ("rows", "users"):
        config = Config(basis=1, l2=0.1, averaging=averaging)  # type: ignore[arg-type]
        margin = margins(Lore(config).fit(prefs, ctx), prefs, None)
        toward_nice[averaging] = float(np.where(nice, margin, -margin).mean())
    # Log-odds of one in ten, and of a half.
    assert toward_nice["rows"] == pytest.approx(np.log(1 / 9), abs=0.4)
    assert toward_nice["users"] == pytest.approx(0.0, abs=0.3)


def test_the_preset_fits_as_published(camps: Preferences, ctx: TrainContext) -> None:
    lore = Lore(Config(compat="lore")).fit(camps, ctx)
    warm, dry = margins(lore, camps, "w0"), margins(lore, camps, "d0")
    assert (np.sign(warm) == -np.sign(dry)).mean() > 0.9
    adapted = lore.adapt(support_view(judged({"new": 0.0}, 20, seed=3)), ctx)
    assert (np.sign(margins(adapted, camps, "new")) == np.sign(dry)).mean() > 0.9
    assert "1000 steps of Adam" in lore.notes[0]


def test_seeds_start_elsewhere_and_end_close(camps: Preferences, ctx: TrainContext) -> None:
    fits = [
        margins(Lore().fit(camps, TrainContext(seed, ctx.work_dir, ctx.compute)), camps, "w0")
        for seed in (0, 1)
    ]
    assert not np.array_equal(*fits)
    assert (np.sign(fits[0]) == np.sign(fits[1])).mean() > 0.95


def test_every_wrong_setting_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        Config(basis=0, tune="full", compat="lore", l2=1.0)
    assert len(caught.value.problems) == 3
    assert caught.value.hint == "plt ls methods lore"
