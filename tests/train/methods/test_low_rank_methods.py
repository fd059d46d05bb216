"""`pref` and `lore`: what they are equal to, and what newcomers get."""

import numpy as np
import pytest

from plt.errors import UsageError
from plt.train.judgements import distinct_texts
from plt.train.method import TrainContext
from plt.train.registry import make_method
from tests.train.methods.tables import judged, merged

CAMPS = {**{f"w{i}": 0.95 for i in range(6)}, **{f"d{i}": 0.05 for i in range(6)}}


def margins(method, prefs, user):
    texts, a, b = distinct_texts(prefs.pairs)
    return method.reward(texts, a, [user] * len(a)) - method.reward(texts, b, [user] * len(b))


def test_a_basis_of_one_is_bradley_terry(ctx: TrainContext) -> None:
    prefs = judged({"u": 0.8, "v": 0.6}, 40)
    lore = make_method("lore", {"basis": 1, "l2": 0.5}).fit(prefs, ctx)
    vanilla = make_method("bradley-terry", {"l2": 0.5}).fit(prefs, ctx)
    for user in ("u", "v", None, "stranger"):
        assert np.allclose(margins(lore, prefs, user), margins(vanilla, prefs, user), atol=5e-3)


@pytest.mark.parametrize("name", ["pref", "lore"])
def test_people_of_two_camps_are_told_apart(name: str, ctx: TrainContext) -> None:
    prefs = judged(CAMPS, 20)
    method = make_method(name, {}).fit(prefs, ctx)
    warm, dry = margins(method, prefs, "w0"), margins(method, prefs, "d0")
    assert (np.sign(warm) == -np.sign(dry)).mean() > 0.9


def test_pref_newcomers_have_one_optimum_and_keep_the_factors(ctx: TrainContext) -> None:
    method = make_method("pref", {"factors": 3}).fit(judged(CAMPS, 20), ctx)
    new = judged({"x": 0.95}, 15, seed=5)
    one, other = method.adapt(new, ctx), method.adapt(merged(new, judged({"y": 0.05}, 9)), ctx)
    assert np.array_equal(one.fitted.basis, method.fitted.basis)
    place, again = (list(m.users).index("x") for m in (one, other))
    assert np.allclose(one.lambdas[place], other.lambdas[again], atol=1e-8)
    texts, a, _ = distinct_texts(new.pairs)
    of_factors = method.phi(texts)[a] @ one.lambdas[place]
    assert np.allclose(of_factors, one.reward(texts, a, ["x"] * len(a)), atol=1e-5)


def test_a_newcomer_without_a_taste_of_their_own_stays_near_the_population(
    ctx: TrainContext,
) -> None:
    method = make_method("pref", {"factors": 3}).fit(judged(CAMPS, 20), ctx)
    one = judged({"x": 1.0}, 1)
    many = judged({"x": 1.0}, 40)
    nobody, few, much = (
        np.abs(margins(fitted, one, "x")).mean()
        for fitted in (method, method.adapt(one, ctx), method.adapt(many, ctx))
    )
    assert nobody < few < much


def test_no_svd_and_svd_fit_alike(ctx: TrainContext) -> None:
    prefs = judged(CAMPS, 20)
    one, other = (
        margins(make_method("pref", {"init": init}).fit(prefs, ctx), prefs, "w0")
        for init in ("svd", "random")
    )
    assert (np.sign(one) == np.sign(other)).mean() > 0.9


@pytest.mark.parametrize(
    ("name", "settings"),
    [("pref", {"factors": 0, "l2": -1.0, "tune": "lora"}), ("lore", {"basis": 0, "tune": "full"})],
)
def test_every_wrong_setting_is_named(name: str, settings: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        make_method(name, settings)
    assert len(caught.value.problems) == len(settings)
    assert caught.value.hint == f"plt ls methods {name}"
