"""RM-07, D17 and oracle O-9."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from scipy.special import expit

from plt.errors import UsageError
from plt.train.features.frozen import features
from plt.train.heads.head_table import fit_shared_head
from plt.train.heads.small_networks import Rows, fit_network
from plt.train.judgements import distinct_texts, read_judgements
from plt.train.method import Compute, FloatArray, Texts, TrainContext
from plt.train.methods.population.dpl import Config, Dpl
from plt.train.methods.population.dpl_network import Categorical, Distribution, MeanVariance
from tests.train.methods.tables import COLD, NICE, judged, table

KINDS = [
    Config(), Config(compat="hidden-context"), Config(kind="categorical"),
    Config(kind="categorical", atoms=3),
]  # fmt: skip
EYE = torch.eye(6, dtype=torch.float64)
CONTESTED = 5


def tabular(make, rows: list[tuple[int, int, float]], l2: float) -> Distribution:  # type: ignore[no-untyped-def]
    """Fits judgements (a, b, label) of six texts, each with a feature of its own."""
    a, b, label = (np.array(column) for column in zip(*rows, strict=True))
    all_rows = Rows.of(EYE, a, b, label.astype(np.float64))
    return fit_network(make, all_rows, all_rows, l2).network


def contested() -> list[tuple[int, int, float]]:
    """Five texts worth .1 to .9 to everybody, and one worth 1 to half of the people, 0 to half."""
    agreed = [(i, j, float(i > j)) for i in range(5) for j in range(5) if i != j]
    return 4 * agreed + 8 * [(CONTESTED, i, like) for i in range(5) for like in (0.0, 1.0)]


def margins(method: Dpl, texts: Texts, a: np.ndarray, b: np.ndarray) -> FloatArray:
    return method.margin(texts, a, b, [None] * len(a))


@pytest.mark.parametrize(
    ("compat", "expected"),
    [("none", [0.69146, 0.84134, 0.97725]), ("hidden-context", [0.7779, 0.9246, 0.9934])],
)
def test_the_curve_is_that_of_the_normal_distribution(compat, expected) -> None:  # type: ignore[no-untyped-def]
    """O-9: the reference code's logistic curve is another one, behind `compat`."""
    network = MeanVariance(2, compat, one_spread=True)
    z = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    # With spread 1 on both sides z is the difference of the means over sqrt(2).
    phi = torch.stack([z * 2**0.5, torch.zeros(3)], dim=1).double()
    phi = torch.cat([phi, torch.zeros(1, 2, dtype=torch.float64)])
    with torch.no_grad():
        network.mean += torch.tensor([1.0, 0.0])
        won, lost = network.log_chances(phi, torch.arange(3), torch.full((3,), 3))
    assert won.exp().numpy() == pytest.approx(np.array(expected), abs=1e-4)
    assert (won.exp() + lost.exp()).numpy() == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("config", KINDS, ids=str)
def test_chances_of_both_sides_make_one_and_equal_texts_make_a_half(
    config: Config, ctx: TrainContext
) -> None:
    """RM-07 (a), (b)."""
    prefs = judged({"a": 0.9, "b": 0.3}, 20)
    fitted = Dpl(replace(config, l2=1.0)).fit(prefs, ctx)
    texts, a, b = distinct_texts(prefs.pairs)
    forth, back = margins(fitted, texts, a, b), margins(fitted, texts, b, a)
    assert np.array_equal(forth, -back)
    assert np.abs(forth).max() > 0.1
    assert expit(forth) + expit(back) == pytest.approx(1, abs=1e-15)
    assert not margins(fitted, texts, a, a).any()
    assert fitted.network is not None
    assert fitted.scaling is not None
    phi = fitted.scaling(features(texts, "builtin:minilm", ctx.compute))
    won, lost = fitted.network.log_chances(phi, torch.from_numpy(a), torch.from_numpy(b))
    assert (won.exp() + lost.exp()).detach().numpy() == pytest.approx(1, abs=1e-12)


def test_one_value_is_no_opinion(ctx: TrainContext) -> None:
    """RM-07 (c)."""
    prefs = judged({"a": 0.9}, 20)
    fitted = Dpl(Config(kind="categorical", atoms=1)).fit(prefs, ctx)
    assert not margins(fitted, *distinct_texts(prefs.pairs)).any()


@pytest.mark.parametrize("config", KINDS, ids=str)
@pytest.mark.parametrize(("wins", "votes"), [(7, 10), (3, 4), (1, 2)])
def test_the_chance_is_the_vote_share(config: Config, wins: int, votes: int) -> None:
    """O-1 for every curve: nothing but the shares of two texts is there to be fitted."""

    def make() -> Distribution:
        if config.kind == "categorical":
            return Categorical(6, config.atoms, 0.0)
        return MeanVariance(6, config.compat, one_spread=False)

    network = tabular(make, [(0, 1, float(i < wins)) for i in range(votes)], l2=1e-9)
    won, _ = network.log_chances(EYE, torch.tensor([0]), torch.tensor([1]))
    assert won.exp().item() == pytest.approx(wins / votes, abs=1e-5)


def test_one_spread_is_bradley_terry_with_a_temperature(ctx: TrainContext) -> None:
    """Lattice of equivalences: margin sqrt(pi) w.x, so the penalty on w is pi times as much."""
    prefs = judged({"a": 0.9, "b": 0.2, "c": 0.7}, 20)
    judgements = read_judgements(prefs)
    vectors = features(judgements.texts, "builtin:minilm", ctx.compute)
    head = fit_shared_head(judgements, vectors, l2=0.3).weights[0]
    expected = (vectors[judgements.a].astype(np.float64) - vectors[judgements.b]) @ head
    fitted = Dpl(Config(spread="global", compat="hidden-context", l2=0.3 * np.pi)).fit(prefs, ctx)
    found = margins(fitted, judgements.texts, judgements.a, judgements.b)
    assert np.abs(expected).max() > 0.1
    assert np.allclose(found, expected, atol=1e-5)


def test_a_contested_text_is_as_good_as_the_middle_and_wider_than_any(ctx: TrainContext) -> None:
    """RM-07 (d), mean-variance; with one spread nothing tells it from the middle."""
    network = tabular(lambda: MeanVariance(6, "none", one_spread=False), contested(), l2=0.1)
    assert isinstance(network, MeanVariance)
    mean, spread = (values.detach().numpy() for values in network.moments(EYE))
    assert (np.diff(mean[:5]) > 0).all()
    assert mean[CONTESTED] == pytest.approx(mean[2], abs=0.05 * np.ptp(mean))
    assert spread[CONTESTED] > 3 * spread[:5].max()


def test_a_contested_text_has_two_peaks() -> None:
    """RM-07 (d), categorical."""
    network = tabular(lambda: Categorical(6, 10, 0.1), contested(), l2=0.01)
    assert isinstance(network, Categorical)
    chances = network.log_probabilities(EYE).exp().detach().numpy()
    ends = chances[:, [0, 1, 8, 9]].sum(axis=1)
    assert ends[CONTESTED] > 0.9
    assert chances[CONTESTED, :5].sum() == pytest.approx(0.5, abs=0.05)
    # What everybody agrees on has one peak, in the order of its worth.
    peaks = chances[:5].argmax(axis=1)
    assert (np.diff(peaks) > 0).all()
    assert chances[2, 3:7].sum() > 0.9


def test_entropy_spreads_the_texts_over_the_values() -> None:
    uses = []
    for entropy in (0.0, 0.1, 10.0):
        network = tabular(lambda e=entropy: Categorical(6, 10, e), contested(), l2=0.1)
        assert isinstance(network, Categorical)
        average = network.log_probabilities(EYE).exp().mean(dim=0)
        uses.append(-(average * average.log()).sum().item())
    assert uses[0] < uses[1] < uses[2]


def test_people_who_cancel_out_leave_even_odds(ctx: TrainContext) -> None:
    likes = [("a", "x", "y", 1.0), ("b", "x", "y", 0.0), ("a", "z", "y", 0.0), ("b", "z", "y", 1.0)]
    for config in KINDS:
        fitted = Dpl(config).fit(table(likes), ctx)
        texts, a, b = distinct_texts(table(likes).pairs)
        assert np.abs(margins(fitted, texts, a, b)).max() < 1e-4


@pytest.mark.parametrize("config", KINDS, ids=str)
def test_every_kind_comes_back_from_disk(config: Config, ctx: TrainContext, tmp_path: Path) -> None:
    prefs = judged({"a": 0.9, "b": 0.3}, 10)
    fitted = Dpl(config).fit(prefs, ctx)
    fitted.save(tmp_path)
    again = Dpl.load(tmp_path, Compute(device="cpu", cache_dir=ctx.compute.cache_dir))
    pairs = distinct_texts(prefs.pairs)
    assert again.config == config
    assert np.array_equal(margins(again, *pairs), margins(fitted, *pairs))


def test_votes_count_however_they_are_spread_over_people(ctx: TrainContext) -> None:
    """One pair judged by k people is one row of weight k: names change nothing."""
    prefs = judged({"a": 0.9, "b": 0.3}, 20)
    renamed = prefs.votes.with_columns(
        user_id=pl.lit("one"), occurrence=pl.int_range(pl.len(), dtype=pl.UInt16)
    )
    merged = Dpl().fit(type(prefs)(renamed, prefs.pairs, prefs.meta), ctx)
    pairs = distinct_texts(prefs.pairs)
    assert np.allclose(margins(merged, *pairs), margins(Dpl().fit(prefs, ctx), *pairs), atol=1e-9)


def test_notes_say_how_much_lies_between_texts(ctx: TrainContext) -> None:
    agreed, torn = (
        Dpl(Config(l2=0.1)).fit(
            table(
                (user, one, two, like)
                for one in NICE
                for two in COLD
                for user, like in zip("ab", likes, strict=True)
            ),
            ctx,
        )
        for likes in ((1.0, 1.0), (1.0, 0.0))
    )
    shares = [float(method.notes[1].split()[2].rstrip(":")) for method in (agreed, torn)]
    assert agreed.notes[0] == "penalty l2 = 0.1, as set"
    assert shares[0] > 0.5
    assert shares[1] == 0


def test_every_bad_setting_is_named() -> None:
    with pytest.raises(UsageError) as error:
        Config(kind="categorical", atoms=0, entropy=-1, compat="hidden-context", spread="global")
    assert len(error.value.problems) == 4
    with pytest.raises(UsageError, match="no '--tune lora' yet"):
        Config(tune="lora")
    with pytest.raises(UsageError, match="'l2' is 0"):
        Config(l2=0)


def test_scoring_before_fitting_is_a_mistake_in_the_program(tmp_path: Path) -> None:
    texts, a, b = distinct_texts(judged({"a": 1.0}, 1).pairs)
    with pytest.raises(ValueError, match="after fit"):
        margins(Dpl(), texts, a, b)
    with pytest.raises(ValueError, match="after fit"):
        Dpl().save(tmp_path)
