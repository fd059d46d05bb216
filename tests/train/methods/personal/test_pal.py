"""RM-11 and D19."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

from plt.data.tables.preferences import Preferences
from plt.errors import UsageError
from plt.train.heads.small_networks import Rows, mean_loss
from plt.train.judgements import distinct_texts, read_judgements, support_view
from plt.train.method import Compute, FloatArray, TrainContext
from plt.train.methods.personal.pal import Config, Pal
from plt.train.methods.personal.pal_network import IdealPoints, IdealPointShape
from tests.train.methods.tables import judged, merged, table

CAMPS = {f"nice {i}": 0.95 for i in range(4)} | {f"cold {i}": 0.05 for i in range(4)}
LONG = [Config(distance="angle"), Config(variant="b"),
        Config(variant="b", distance="squared", hidden=4)]  # fmt: skip
GEOMETRIES = [
    Config(), Config(hidden=8), Config(distance="unsquared"), Config(loss="hinge"),
    *(pytest.param(config, marks=pytest.mark.slow) for config in LONG),
]  # fmt: skip


@pytest.fixture(scope="module")
def camps() -> Preferences:
    return judged(CAMPS, 20)


def margins(method: Pal, prefs: Preferences, user: str | None) -> FloatArray:
    """Of the nice answer over the cold one, for every pair of the table."""
    texts, a, b = distinct_texts(prefs.pairs)
    nice = np.array(["specified" not in text for text in texts.responses])
    a, b = np.where(nice[a], a, b), np.where(nice[a], b, a)
    return method.reward(texts, a, [user] * len(a)) - method.reward(texts, b, [user] * len(b))


def network(**changes: object) -> IdealPoints:
    """Three users, five features, two prototypes, at its start."""
    shape = IdealPointShape(5, 4, 3, 2, "a", "squared", "logistic", inverted=False, norm_bound=None)
    rng = np.random.default_rng(0)
    made = dataclasses.replace(shape, **changes)  # type: ignore[arg-type]
    return IdealPoints(made, rng.standard_normal((3, made.prototypes)), rng)


def phi(n: int = 6, width: int = 5) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).standard_normal((n, width)))


def rows(n: int = 6, width: int = 5) -> Rows:
    rng = np.random.default_rng(2)
    a, b = rng.integers(n, size=(2, 30))
    return Rows.of(phi(n, width), a, b, rng.random(30), user=rng.integers(3, size=30))


@pytest.mark.parametrize("config", GEOMETRIES, ids=str)
def test_every_geometry_tells_two_camps_apart(
    config: Config, camps: Preferences, ctx: TrainContext, tmp_path: Path
) -> None:
    """RM-11 (b), (c), and back from disk to the bit."""
    fitted = Pal(config).fit(camps, ctx)
    assert fitted.logits is not None
    assert softmax(fitted.logits.heads, axis=1).sum(axis=1) == pytest.approx(1)
    for user in fitted.users:
        likes_nice = (margins(fitted, camps, user) > 0).mean()
        assert likes_nice > 0.75 if user.startswith("nice") else likes_nice < 0.25
    fitted.save(tmp_path)
    again = Pal.load(tmp_path, Compute(device="cpu", cache_dir=ctx.compute.cache_dir))
    for who in ("nice 1", "cold 2", None):
        assert np.array_equal(margins(again, camps, who), margins(fitted, camps, who))


def test_one_prototype_knows_nobody(camps: Preferences, ctx: TrainContext) -> None:
    """RM-11 (a)."""
    fitted = Pal(Config(prototypes=1)).fit(camps, ctx)
    alike = [margins(fitted, camps, user) for user in (*fitted.users, None)]
    assert all(np.array_equal(alike[0], other) for other in alike)


@pytest.mark.parametrize("distance", ["squared", "unsquared"])
def test_moving_everything_changes_no_distance(distance: str) -> None:
    """RM-11 (d): weights sum to 1, so moving the prototypes moves every ideal point alike."""
    net = network(distance=distance)
    logits = torch.from_numpy(np.random.default_rng(3).standard_normal((6, 2)))
    with torch.no_grad():
        before = net.rewards(phi(), torch.arange(6), logits)
        by = torch.tensor([1.0, -2.0, 0.5, 3.0])
        net.items.bias += by
        net.prototypes += by
        after = net.rewards(phi(), torch.arange(6), logits)
    assert torch.allclose(before, after, atol=1e-12)


def test_equal_weights_are_one_person(camps: Preferences, ctx: TrainContext) -> None:
    """RM-11 (e), also when the logits differ by a constant, as the softmax does not see it."""
    fitted = Pal().fit(camps, ctx)
    assert fitted.logits is not None
    twin = fitted.logits.heads[[1]] + 2.5
    both = dataclasses.replace(fitted, logits=fitted.logits.with_heads(["twin"], twin))
    own = margins(both, camps, fitted.users[1])
    assert np.allclose(margins(both, camps, "twin"), own, atol=1e-12)
    assert not np.allclose(margins(both, camps, fitted.users[-1]), own)


def test_squared_distances_are_a_mixture_of_experts() -> None:
    """Lattice of equivalences: the margin is the weighted mean of those to each prototype."""
    net = network()
    logits = torch.from_numpy(np.random.default_rng(3).standard_normal((3, 2)))
    with torch.no_grad():
        points = net.items(phi())
        a, b = torch.tensor([0, 1, 2]), torch.tensor([3, 4, 5])
        to_each = torch.cdist(points, net.prototypes).square()
        expected = (torch.softmax(logits, 1) * (to_each[b] - to_each[a])).sum(1)
        found = net.rewards(phi(), a, logits) - net.rewards(phi(), b, logits)
    assert torch.allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("variant", ["a", "b"])
@pytest.mark.parametrize("distance", ["squared", "unsquared", "angle"])
def test_the_loss_is_the_cross_entropy_of_the_rewards(variant: str, distance: str) -> None:
    net = network(variant=variant, distance=distance)
    width = 10 if variant == "b" else 5
    data = rows(width=width)
    # The responses of a pair answer one prompt.
    data.phi[:, 5:] = data.phi[0, 5:]
    with torch.no_grad():
        logits = net.logits[data.user]
        margin = net.rewards(data.phi, data.a, logits) - net.rewards(data.phi, data.b, logits)
        found = net.row_losses(data.phi, data.a, data.b, data.user, data.label)
    expected = -(
        data.label * torch.nn.functional.logsigmoid(margin)
        + (1 - data.label) * torch.nn.functional.logsigmoid(-margin)
    )
    assert torch.allclose(found, expected, atol=1e-12)


def test_the_hinge_is_flat_beyond_its_margin_and_for_ties() -> None:
    net = network(loss="hinge")
    data = rows()
    with torch.no_grad():
        logits = net.logits[data.user]
        margin = net.rewards(data.phi, data.a, logits) - net.rewards(data.phi, data.b, logits)
        sure = net.row_losses(data.phi, data.a, data.b, data.user, torch.ones(30))
        tied = net.row_losses(data.phi, data.a, data.b, data.user, torch.full((30,), 0.5))
    assert torch.allclose(sure, (1 - margin).clamp_min(0))
    assert torch.allclose(tied[margin.abs() <= 1], torch.ones(()).double())


def test_the_sign_of_the_reference_code_learns_what_people_dislike(
    camps: Preferences, ctx: TrainContext
) -> None:
    """D19: distances as logits of the preferred side; everybody's taste comes out turned round."""
    wrong = Pal(Config(compat="pal")).fit(camps, ctx)
    assert (margins(wrong, camps, "nice 0") < 0).mean() > 0.9
    assert (margins(wrong, camps, "cold 0") > 0).mean() > 0.9


@pytest.mark.slow
def test_a_bound_pulls_prototypes_back(camps: Preferences, ctx: TrainContext) -> None:
    """D19: the reference code computes the penalty and forgets it."""
    lengths = []
    for bound in (None, 0.5):
        fitted = Pal(Config(l2=0.01, norm_bound=bound)).fit(camps, ctx)
        assert fitted.network is not None
        lengths.append(float(fitted.network.prototypes.norm(dim=1).max()))
    assert lengths[0] > 1.0
    assert lengths[1] < 0.7


def test_the_point_of_variant_b_moves_with_the_question() -> None:
    net = network(variant="b", distance="squared")
    asked = phi(width=10)
    logits = torch.zeros(6, 2, dtype=torch.float64)
    other = asked.clone()
    other[:, 5:] += 1.0
    with torch.no_grad():
        one = net.rewards(asked, torch.arange(6), logits)
        two = net.rewards(other, torch.arange(6), logits)
    assert (one - two).abs().min() > 1e-3


def test_users_begin_by_their_names_alone(ctx: TrainContext) -> None:
    """Who else is there changes nobody's start: names draw it, not places."""
    few, many = judged({"b": 0.9}, 6), judged({"a": 0.9, "b": 0.9, "c": 0.1}, 6)
    starts = []
    for prefs in (few, many):
        # A penalty without end leaves the logits where the prior alone would not.
        fitted = Pal(Config(l2=1e9)).fit(prefs, ctx)
        assert fitted.logits is not None
        starts.append(fitted.logits.heads[fitted.users.index("b")])
    assert np.allclose(*starts, atol=0.05)


def test_a_newcomer_is_found_without_moving_anybody(camps: Preferences, ctx: TrainContext) -> None:
    fitted = Pal().fit(camps, ctx)
    cold = table([("new", "a lovely day, thank you", "the law is specified", 0.0)] * 4)
    warm = table([("other", "a lovely day, thank you", "the law is specified", 1.0)] * 4)
    alone, both = (
        fitted.adapt(support_view(cold), ctx),
        fitted.adapt(support_view(merged(cold, warm)), ctx),
    )
    assert (margins(alone, camps, "new") < 0).all()
    assert (margins(both, camps, "other") > 0).all()
    assert np.array_equal(margins(alone, camps, "new"), margins(both, camps, "new"))
    for user in (*fitted.users, None):
        assert np.array_equal(margins(both, camps, user), margins(fitted, camps, user))


def test_the_population_has_the_mean_weights(camps: Preferences, ctx: TrainContext) -> None:
    fitted = Pal().fit(camps, ctx)
    assert fitted.logits is not None
    mean = softmax(fitted.logits.heads, axis=1).mean(axis=0)
    assert softmax(fitted.logits.population) == pytest.approx(mean)
    by_user = np.mean([margins(fitted, camps, user) for user in fitted.users], axis=0)
    # Squared distances are affine in the weights.
    assert np.allclose(margins(fitted, camps, None), by_user, atol=1e-9)


def test_rows_of_nobody_move_nothing(camps: Preferences, ctx: TrainContext) -> None:
    nameless = table([(None, "a lovely cake, thank you", "the pump is specified", 0.0)] * 50)
    fitted = Pal(Config(l2=1.0)).fit(merged(camps, nameless), ctx)
    assert "50 training rows name no user" in fitted.notes[1]
    judgements = read_judgements(merged(camps, nameless))
    assert len(judgements) == 8 * 20 + 50
    assert (margins(fitted, camps, "nice 0") > 0).mean() > 0.9


def test_a_gradient_reaches_every_part() -> None:
    for variant, width in (("a", 5), ("b", 10)):
        net = network(variant=variant, distance="angle")
        data = rows(width=width)
        net.row_losses(data.phi, data.a, data.b, data.user, data.label).sum().backward()
        for name, weight in net.named_parameters():
            moved = weight.grad is not None and bool(weight.grad.abs().sum() > 0)
            assert moved == weight.requires_grad, name
        assert np.isfinite(mean_loss(net, data))


def test_every_bad_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        Config(
            prototypes=0, dim=0, hidden=-1, norm_bound=-1.0, variant="b", loss="hinge", compat="pal"
        )
    assert len(error.value.problems) == 6
    with pytest.raises(UsageError, match="no '--tune full' yet"):
        Config(tune="full")
    with pytest.raises(UsageError, match="'l2' is 0"):
        Config(l2=0)
    with pytest.raises(ValueError, match="after fit"):
        Pal().save(tmp_path)
