"""RM-06, D16 and O-5."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from plt.data.simulate import pets
from plt.data.tables.preferences import Preferences
from plt.errors import UsageError
from plt.train.in_context.episodes import Moment
from plt.train.in_context.history import Pairs
from plt.train.judgements import distinct_texts, support_view, training_view
from plt.train.method import Compute, TrainContext
from plt.train.methods.in_context.vpl import Config, Vpl
from plt.train.methods.in_context.vpl_network import Latent, LatentShape, divergence
from tests.train.methods.readers import (
    accuracies,
    ceiling,
    double_of,
    mirrored_people,
    newcomer,
    nice_margins,
    pairs,
    trained,
)
from tests.train.methods.tables import judged, merged, table

CAMPS = {f"nice {i}": 0.95 for i in range(4)} | {f"cold {i}": 0.05 for i in range(4)}
SHAPE = LatentShape(
    features=4, latent=8, hidden=16, beta=0.1, anneal=0.5, swap_weight=0.0,
    eval_z="mean-projected", points="raw", cyclic=False,
)  # fmt: skip


@pytest.fixture(scope="module")
def camps() -> Preferences:
    return judged(CAMPS, 20)


@pytest.fixture(scope="module")
def fitted(camps: Preferences, ctx: TrainContext) -> Vpl:
    return Vpl(Config(epochs=150)).fit(camps, ctx)


def network(**changes: object) -> Latent:
    made: LatentShape = dataclasses.replace(SHAPE, **changes)  # type: ignore[arg-type]
    return Latent(made, seed=0).double().requires_grad_(False)


@pytest.mark.parametrize("eval_z", ["mean", "mean-projected", "samples"])
def test_the_order_and_number_of_copies_of_what_is_read_change_nothing(eval_z: str) -> None:
    """RM-06 (a) and (d)."""
    net, context, targets = network(eval_z=eval_z), pairs(3, 6, seed=1), pairs(3, 5, seed=2)
    mixed = torch.tensor([4, 2, 0, 5, 1, 3])
    twice = torch.arange(6).repeat(2)
    for order in (mixed, twice):
        other = Pairs(*(getattr(context, f.name)[:, order] for f in dataclasses.fields(context)))
        for one, two in zip(net.posterior(context), net.posterior(other), strict=True):
            assert torch.allclose(one, two, atol=1e-12)
        before = net.margins(context, targets.a, targets.b)
        assert torch.allclose(net.margins(other, targets.a, targets.b), before, atol=1e-12)


def test_what_is_not_present_and_what_is_a_tie_is_not_read() -> None:
    net, context = network(), pairs(3, 6, seed=1)
    context.present[:, 4:] = False
    context.label[:, 3] = 0.5
    strange = dataclasses.replace(context, a=context.a.clone())
    strange.a[:, 3:] = 1e3
    for one, two in zip(net.posterior(context), net.posterior(strange), strict=True):
        assert torch.equal(one, two)


def test_of_nobody_the_latent_is_the_mean_of_the_prior() -> None:
    context = pairs(2, 4, seed=1)
    context.present[:] = False
    for eval_z in ("mean", "mean-projected", "samples"):
        net, targets = network(eval_z=eval_z), pairs(2, 5, seed=2)
        mean, spread, known = net.posterior(context)
        assert not any(part.any() for part in (mean, spread, known))
        at_zero = torch.zeros(2, 8, dtype=torch.float64)
        expected = net.rewards(targets.a, at_zero) - net.rewards(targets.b, at_zero)
        assert torch.allclose(net.margins(context, targets.a, targets.b), expected, atol=1e-12)


def test_the_divergence_is_that_of_two_normal_distributions() -> None:
    """RM-06 (e), against torch's own; D16: with the half, which the reference code forgets."""
    rng = np.random.default_rng(0)
    mean, spread = torch.from_numpy(rng.uniform(-1, 1, (2, 50, 8)))
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (spread / 2).exp()), torch.distributions.Normal(0.0, 1.0)
    ).sum(1)
    found = divergence(mean, spread)
    assert torch.allclose(found, expected, atol=1e-12)
    assert (found > 0).all()
    nothing = torch.zeros(3, 8)
    assert not divergence(nothing, nothing).any()


def test_means_and_log_variances_stay_within_one() -> None:
    net, context = network(), pairs(5, 4, seed=1)
    far = dataclasses.replace(context, a=context.a * 1e4)
    mean, spread, _ = net.posterior(far)
    assert mean.abs().max() == 1
    assert spread.abs().max() == 1


@pytest.mark.parametrize("eval_z", ["mean-projected", "samples"])
def test_scoring_uses_the_sphere_of_training_and_the_mean_alone_lies_inside(eval_z: str) -> None:
    """D16: the length of z is sqrt(Z) in training, that of a mean at most."""
    net, context, targets = network(eval_z=eval_z), pairs(3, 4, seed=1), pairs(3, 5, seed=2)
    mean, spread, _ = net.posterior(context)
    drawn = [mean + (spread / 2).exp() * draw for draw in net.draws]
    latents = [mean] if eval_z == "mean-projected" else drawn
    projected = [z * math.sqrt(8) / z.norm(dim=1, keepdim=True) for z in latents]
    assert (mean.norm(dim=1) < math.sqrt(8)).all()
    each = [net.rewards(targets.a, z) - net.rewards(targets.b, z) for z in projected]
    found = net.margins(context, targets.a, targets.b)
    assert torch.allclose(found, torch.stack(each).mean(dim=0), atol=1e-12)


def test_the_weight_of_the_divergence_reaches_beta_in_fits_of_any_length() -> None:
    """D16: the reference code's ramp has 10,000 steps and begins anew."""
    ours, cyclic = network(), network(cyclic=True)
    for total in (20, 2000):
        found = [ours.kl_weight(Moment(step, total)) for step in range(total + 1)]
        assert found[0] == pytest.approx(0.01)
        assert found[total // 4] == pytest.approx(0.055)
        assert found[total // 2 :] == pytest.approx([0.1] * (total // 2 + 1))
    assert cyclic.kl_weight(Moment(2000, 2000)) < 0.02
    assert cyclic.kl_weight(Moment(9999, 20000)) == pytest.approx(0.1)
    assert cyclic.kl_weight(Moment(10_000, 20_000)) == pytest.approx(0.01)


def test_the_swap_term_costs_nothing_where_turning_answers_round_turns_z_round() -> None:
    """Against numbers from the posterior itself."""
    plain, guided = network(), network(swap_weight=2.0)
    context, targets = pairs(3, 4, seed=1), pairs(3, 5, seed=2)
    losses = [
        net.loss(context, targets, Moment(0, 1), torch.Generator().manual_seed(0))
        for net in (plain, guided)
    ]
    mean, spread, _ = plain.posterior(context)
    mirrored, wide, _ = plain.posterior(context.turned())
    apart = ((mean + mirrored).square() + (spread - wide).square()).sum(1).mean() / 8
    assert losses[1] - losses[0] == pytest.approx(2.0 * float(apart))
    assert losses[1] > losses[0]


def test_two_camps_are_told_apart_and_come_back_from_disk(
    fitted: Vpl, camps: Preferences, ctx: TrainContext, tmp_path: Path
) -> None:
    for user in fitted.users:
        likes_nice = (nice_margins(fitted, camps, user) > 0).mean()
        assert likes_nice > 0.75 if user.startswith("nice") else likes_nice < 0.25
    assert "latent units are active" in fitted.notes[1]
    assert not fitted.notes[1].startswith("0 of")
    fitted.save(tmp_path)
    again = Vpl.load(tmp_path, Compute(device="cpu", cache_dir=ctx.compute.cache_dir))
    for who in ("nice 1", "cold 2", None):
        assert np.array_equal(nice_margins(again, camps, who), nice_margins(fitted, camps, who))
    assert b"lovely" not in (tmp_path / "model.safetensors").read_bytes()
    assert "lovely" not in (tmp_path / "model.json").read_text()


def test_a_heavy_divergence_collapses_and_the_note_says_so(
    camps: Preferences, ctx: TrainContext
) -> None:
    """RM-06 (b): nothing is read, so everybody is scored as the population."""
    fitted = Vpl(Config(epochs=100, beta=1e3, anneal=0.0, eval_z="mean")).fit(camps, ctx)
    assert fitted.notes[1].startswith("0 of 32 latent units are active")
    assert fitted.notes[1].endswith("the posterior collapsed, and everybody is scored alike")
    everybody = np.stack([nice_margins(fitted, camps, user) for user in fitted.users])
    assert np.ptp(everybody, axis=0).max() < 0.05
    # Half of the people answer either way: with nothing read there is nothing to be sure of.
    assert abs(everybody.mean()) < 1.0


def test_turning_every_answer_round_turns_the_favourite_animal_round(ctx: TrainContext) -> None:
    """RM-06 (c), on the pets: sentences that nobody was asked about before."""
    people = pets.simulate(pets.Config(users=12, pairs_per_user=30))
    view = training_view(people)
    fitted = Vpl(Config(epochs=150)).fit(view, ctx)
    adapted = fitted.adapt(
        support_view(double_of(view, fitted.users[0], "mirror", turned=True)), ctx
    )
    test = people.filter(pl.col("split").cast(pl.String) == "test")
    texts, a, b = distinct_texts(test.pairs)
    own = adapted.margin(texts, a, b, [fitted.users[0]] * len(a))
    turned = adapted.margin(texts, a, b, ["mirror"] * len(a))
    assert len(a) >= 10
    assert (np.sign(own) == -np.sign(turned)).mean() > 0.9


def test_an_answer_is_not_read_where_its_own_texts_are_scored(
    fitted: Vpl, ctx: TrainContext
) -> None:
    """One person knows one answer: on that pair they are nobody in particular."""
    one = table([("new", "a lovely day, thank you", "the law is specified", 0.0)])
    other = table([("x", "a lovely cake, thank you", "the tax is specified", 1.0)])
    adapted = fitted.adapt(support_view(one), ctx)
    same = nice_margins(adapted, one, None)
    assert np.allclose(nice_margins(adapted, one, "new"), same, atol=1e-9)
    assert not np.allclose(
        nice_margins(adapted, other, "new"), nice_margins(adapted, other, None), atol=1e-3
    )


def test_judgements_that_are_not_read_are_counted_newcomers_too(
    camps: Preferences, ctx: TrainContext
) -> None:
    few = Vpl(Config(epochs=2, n_read=2)).fit(camps, ctx)
    said = "of 8 people only 2 judgements each are read: --set n_read=..."
    assert said in few.notes
    grown = few.adapt(support_view(newcomer("new", 1.0)), ctx)
    assert said not in grown.notes
    assert "of 9 people only 2 judgements each are read: --set n_read=..." in grown.notes
    assert Vpl(Config(epochs=2)).fit(camps, ctx).notes[0].startswith("weights of epoch")


def test_a_newcomer_moves_nobody(fitted: Vpl, camps: Preferences, ctx: TrainContext) -> None:
    cold, warm = newcomer("new", 0.0), newcomer("other", 1.0)
    alone, both = (
        fitted.adapt(support_view(cold), ctx),
        fitted.adapt(support_view(merged(cold, warm)), ctx),
    )
    assert (nice_margins(alone, camps, "new") < 0).mean() > 0.9
    assert (nice_margins(both, camps, "other") > 0).mean() > 0.9
    for user, before in (("new", alone), *((user, fitted) for user in (*fitted.users, None))):
        assert np.array_equal(nice_margins(both, camps, user), nice_margins(before, camps, user))


@pytest.mark.parametrize("flips", [0.1, pytest.param(0.2, marks=pytest.mark.slow)])
def test_it_comes_near_the_best_that_so_many_answers_allow(flips: float) -> None:
    """O-5: two opposite types, answers turned round at random; never above, for that is a leak."""
    config = Config(epochs=60, components=None, weight_decay=0.01)
    shape = dataclasses.replace(SHAPE, hidden=32, beta=1e-4)
    net = trained(Latent(shape, seed=0), mirrored_people(96, 24, flips, seed=0), config)
    for n, found in accuracies(net, flips, (1, 3, 5, 10, 20)).items():
        assert found <= ceiling(n, flips) + 0.015, n
        assert found >= ceiling(n, flips) - 0.04, n
    assert accuracies(net, flips, (0,))[0] == pytest.approx(0.5, abs=0.015)


def test_every_bad_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        Config(
            n_context=0, n_targets=0, people_per_step=0, epochs=0, learning_rate=0.0,
            weight_decay=-1.0, components=0, latent=0, hidden=0, beta=-1.0, swap_weight=-1.0,
            anneal=2.0,
        )  # fmt: skip
    assert len(error.value.problems) == 12
    with pytest.raises(UsageError, match="'vpl' has no '--tune full' yet"):
        Config(tune="full")
    with pytest.raises(ValueError, match="after fit"):
        Vpl().save(tmp_path)
