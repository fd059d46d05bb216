"""RM-08, D18, O-5 and O-11."""

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from plt.data.tables.preferences import Preferences
from plt.errors import UsageError
from plt.train.in_context.episodes import Moment, pair_loss
from plt.train.in_context.history import Pairs
from plt.train.judgements import support_view, training_view
from plt.train.method import Compute, TrainContext
from plt.train.methods.in_context.gpo import Config, Gpo
from plt.train.methods.in_context.gpo_network import Reader, ReaderShape
from tests.contracts.population import population
from tests.train.methods.readers import (
    accuracies,
    ceiling,
    double_of,
    history,
    mirrored_people,
    nice_margins,
    pairs,
    prototypes,
    trained,
)
from tests.train.methods.tables import merged, table

SHAPE = ReaderShape(
    features=4, width=16, layers=2, heads=2, depth=2, points="raw", loss="cross-entropy"
)
NOW = Moment(0, 1)


@pytest.fixture(scope="module")
def people() -> Preferences:
    """Users 0 to 5 like warm answers, users 6 to 11 dry ones; each text stands in one pair."""
    return population()


@pytest.fixture(scope="module")
def fitted(people: Preferences, ctx: TrainContext) -> Gpo:
    return Gpo().fit(training_view(people), ctx)


def unseen(people: Preferences) -> Preferences:
    return people.filter(pl.col("split") == "test")


def network(**changes: object) -> Reader:
    made: ReaderShape = dataclasses.replace(SHAPE, **changes)  # type: ignore[arg-type]
    return Reader(made, seed=0).double().requires_grad_(False)


def columns(context: Pairs, order: torch.Tensor) -> Pairs:
    return Pairs(*(getattr(context, f.name)[:, order] for f in dataclasses.fields(context)))


@pytest.mark.parametrize("points", ["raw", "centred"])
def test_the_order_of_what_is_read_changes_nothing(points: str) -> None:
    """RM-08 (a)."""
    net, context, targets = network(points=points), pairs(3, 6, seed=1), pairs(3, 5, seed=2)
    mixed = columns(context, torch.tensor([4, 2, 0, 5, 1, 3]))
    before = net.margins(context, targets.a, targets.b)
    assert torch.allclose(net.margins(mixed, targets.a, targets.b), before, atol=1e-12)
    turned_names = Pairs(context.b, context.a, 1 - context.label, context.present)
    assert torch.allclose(net.margins(turned_names, targets.a, targets.b), before, atol=1e-12)


def test_which_other_pairs_are_asked_changes_nothing() -> None:
    """RM-08 (b): also when the other pair is the same or is far away."""
    net, context, targets = network(), pairs(3, 6, seed=1), pairs(3, 5, seed=2)
    together = net.margins(context, targets.a, targets.b)
    for k in range(5):
        alone = net.margins(context, targets.a[:, [k]], targets.b[:, [k]])
        assert torch.allclose(alone[:, 0], together[:, k], atol=1e-12)
    a = torch.cat([targets.a, targets.a[:, :1], targets.a * 1e3], dim=1)
    b = torch.cat([targets.b, targets.b[:, :1], targets.b * 1e3], dim=1)
    assert torch.allclose(net.margins(context, a, b)[:, :5], together, atol=1e-12)


@pytest.mark.parametrize("points", ["raw", "centred"])
def test_naming_the_responses_the_other_way_negates_the_margin(points: str) -> None:
    """RM-08 (c): so the two probabilities of a pair sum to 1."""
    net, context, targets = network(points=points), pairs(3, 6, seed=1), pairs(3, 5, seed=2)
    forth = net.margins(context, targets.a, targets.b)
    back = net.margins(context, targets.b, targets.a)
    assert torch.allclose(forth, -back, atol=1e-12)
    assert forth.abs().min() > 1e-6
    same = net.margins(context, targets.a, targets.a)
    assert torch.allclose(same, torch.zeros_like(same), atol=1e-12)


def test_people_with_more_answers_in_the_same_batch_change_nothing() -> None:
    """RM-08 (d), D18: a pair is present or not, whatever its features are, zeros too."""
    net, context, targets = network(), pairs(3, 6, seed=1), pairs(3, 5, seed=2)
    alone = net.margins(columns(context, torch.arange(4)), targets.a, targets.b)
    for filling in (0.0, 1e3):
        padded = Pairs(*(getattr(context, f.name).clone() for f in dataclasses.fields(context)))
        padded.present[:, 4:] = False
        padded.a[:, 4:] = filling
        assert torch.allclose(net.margins(padded, targets.a, targets.b), alone, atol=1e-12)
    zeros = dataclasses.replace(context, a=torch.zeros_like(context.a))
    kept = columns(zeros, torch.arange(5))
    assert not torch.allclose(
        net.margins(zeros, targets.a, targets.b), net.margins(kept, targets.a, targets.b)
    )


def test_with_nothing_to_read_the_margin_is_finite_and_everybodys() -> None:
    """D18: the reference code gives no number there."""
    net, targets = network(), pairs(1, 5, seed=2)
    a, b = targets.a.expand(3, -1, -1), targets.b.expand(3, -1, -1)
    empty = pairs(3, 0, seed=1)
    absent = dataclasses.replace(pairs(3, 6, seed=1), present=torch.zeros(3, 6, dtype=torch.bool))
    found = net.margins(empty, a, b)
    assert found.isfinite().all()
    assert torch.allclose(found, found[:1].expand(3, -1), atol=1e-12)
    assert torch.allclose(net.margins(absent, a, b), found, atol=1e-12)


def test_the_loss_is_the_cross_entropy_of_the_softmax_over_both_responses() -> None:
    net, context, targets = network(), pairs(3, 6, seed=1), pairs(3, 5, seed=2)
    targets.present[1, 2:] = False
    mean, _ = net.answers(context, targets.a, targets.b)
    chance = mean.softmax(dim=1)[:, 0]
    right = torch.where(targets.label > 0.5, chance, 1 - chance)
    found = net.loss(context, targets, NOW, torch.Generator())
    assert found == pytest.approx(float(-right.log()[targets.present].mean()))
    margins = net.margins(context, targets.a, targets.b)
    assert found == pytest.approx(float(pair_loss(margins, targets)))


def test_the_likelihood_of_answers_is_bounded() -> None:
    """D18: with a spread of .05 at least, right answers cost log(.05), and no less."""
    net, context = network(loss="gaussian"), pairs(3, 6, seed=1)
    targets = pairs(3, 5, seed=2)
    mean, raw = net.answers(context, targets.a, targets.b)
    chance = mean.softmax(dim=1)
    wide = 0.05 + 0.95 * torch.nn.functional.softplus(raw)
    answer = torch.stack([targets.label, 1 - targets.label], dim=1)
    expected = ((chance - answer).square() / (2 * wide.square()) + wide.log()).mean()
    found = net.loss(context, targets, NOW, torch.Generator())
    assert found == pytest.approx(float(expected))
    assert found > np.log(0.05)


def test_two_camps_are_told_apart_and_come_back_from_disk(
    fitted: Gpo, people: Preferences, ctx: TrainContext, tmp_path: Path
) -> None:
    for code, user in enumerate(fitted.users):
        likes_warm = (nice_margins(fitted, unseen(people), user) > 0).mean()
        assert likes_warm > 0.75 if code < 6 else likes_warm < 0.25
    assert "held-out judgements" in fitted.notes[0]
    fitted.save(tmp_path)
    again = Gpo.load(tmp_path, Compute(device="cpu", cache_dir=ctx.compute.cache_dir))
    for who in ("user 01", "user 09", None):
        assert np.array_equal(nice_margins(again, people, who), nice_margins(fitted, people, who))
    assert b"lovely" not in (tmp_path / "model.safetensors").read_bytes()
    assert "lovely" not in (tmp_path / "model.json").read_text()


def test_turning_every_answer_round_turns_the_prediction_round(
    fitted: Gpo, people: Preferences, ctx: TrainContext
) -> None:
    """RM-08 (e): half of the people were the mirror of the other half."""
    view = training_view(people)
    for user in ("user 02", "user 08"):
        adapted = fitted.adapt(support_view(double_of(view, user, "mirror", turned=True)), ctx)
        own = nice_margins(adapted, unseen(people), user)
        turned = nice_margins(adapted, unseen(people), "mirror")
        assert (np.sign(own) == -np.sign(turned)).mean() > 0.8


def test_an_answer_is_not_read_where_its_own_texts_are_scored(
    fitted: Gpo, ctx: TrainContext
) -> None:
    """One person knows one answer: on that pair they are nobody in particular."""
    one = table([("new", "a lovely day, thank you", "the law is specified", 0.0)])
    half = table([("x", "a lovely day, thank you", "the tax is specified", 1.0)])
    other = table([("x", "a lovely cake, thank you", "the tax is specified", 1.0)])
    adapted = fitted.adapt(support_view(one), ctx)
    for near in (one, half):
        nobody = nice_margins(adapted, near, None)
        assert np.allclose(nice_margins(adapted, near, "new"), nobody, atol=1e-9)
    nobody = nice_margins(adapted, other, None)
    assert not np.allclose(nice_margins(adapted, other, "new"), nobody, atol=1e-3)


def test_a_newcomer_moves_nobody(fitted: Gpo, people: Preferences, ctx: TrainContext) -> None:
    view = training_view(people)
    mirror = double_of(view, "user 02", "mirror", turned=True)
    twin = double_of(view, "user 02", "twin", turned=False)
    alone, both = (
        fitted.adapt(support_view(twin), ctx),
        fitted.adapt(support_view(merged(mirror, twin)), ctx),
    )
    for user, before in (("twin", alone), *((user, fitted) for user in (*fitted.users, None))):
        assert np.array_equal(nice_margins(both, people, user), nice_margins(before, people, user))


@pytest.mark.slow
@pytest.mark.parametrize("flips", [0.1, 0.2])
def test_it_comes_near_the_best_that_so_many_answers_allow(flips: float) -> None:
    """O-5: two opposite types, answers turned round at random; never above, for that is a leak."""
    shape = dataclasses.replace(SHAPE, points="centred", width=32)
    people = mirrored_people(96, 24, flips, seed=0)
    net = trained(Reader(shape, seed=0), people, Config(epochs=60))
    for n, found in accuracies(net, flips, (1, 3, 5, 10, 20)).items():
        assert found <= ceiling(n, flips) + 0.015, n
        assert found >= ceiling(n, flips) - 0.04, n
    assert accuracies(net, flips, (0,))[0] == pytest.approx(0.5, abs=0.015)


@pytest.mark.slow
def test_the_likelihood_of_answers_comes_near_the_best_too() -> None:
    """O-5 with the loss of the paper."""
    shape = dataclasses.replace(SHAPE, loss="gaussian", width=32)
    net = trained(Reader(shape, seed=0), mirrored_people(96, 24, 0.1, seed=0), Config(epochs=60))
    found = accuracies(net, 0.1, (10,))[10]
    assert ceiling(10, 0.1) - 0.05 <= found <= ceiling(10, 0.1) + 0.015


@pytest.mark.slow
def test_twenty_answers_show_a_direction_in_the_plane() -> None:
    """O-11: each person likes one direction; better than nearness to what they preferred."""
    rng = np.random.default_rng(0)

    def people(n: int, asked: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        a, b = rng.standard_normal((2, n, asked, 2))
        angle = rng.uniform(0, 2 * np.pi, n)
        taste = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return a, b, (np.einsum("unk,uk->un", a - b, taste) > 0).astype(float)

    shape = dataclasses.replace(SHAPE, features=2, points="centred", width=32)
    config = Config(epochs=60, n_context=24)
    net = trained(Reader(shape, seed=0), history(*people(256, 40)), config)
    a, b, label = (torch.from_numpy(part) for part in people(500, 40))
    context = Pairs(a[:, :20], b[:, :20], label[:, :20], torch.ones(500, 20, dtype=torch.bool))
    right = label[:, 20:] > 0.5
    with torch.no_grad():
        found = ((net.margins(context, a[:, 20:], b[:, 20:]) > 0) == right).double().mean()
    nearest = ((prototypes(context)(a[:, 20:], b[:, 20:]) > 0) == right).double().mean()
    assert found > 0.95
    assert found > nearest


def test_every_bad_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        Config(width=0, layers=0, heads=0, depth=0, n_context=0)
    assert len(error.value.problems) == 5
    with pytest.raises(UsageError) as error:
        Config(width=30, heads=4)
    assert "'width' is 30, expected a multiple of heads=4" in error.value.problems
    with pytest.raises(UsageError, match="'gpo' has no '--tune lora' yet"):
        Config(tune="lora")
    with pytest.raises(ValueError, match="after fit"):
        Gpo().save(tmp_path)
