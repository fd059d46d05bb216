"""What people who are held out choose: how far few answers are believed, and when a fit ends."""

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from plt.train.in_context.chosen import (
    ALL,
    SCALES,
    SHRINKAGES,
    SIZES,
    Asked,
    Judges,
    asked_of,
    chosen_scale,
    divided,
    fit_chosen,
    losses_by_shrinkage,
    trust,
)
from plt.train.in_context.episodes import Episodes, Moment, learn
from plt.train.in_context.history import History, Pairs
from plt.train.in_context.settings import ContextSettings
from plt.train.judgements import read_judgements
from plt.train.method import Judgements, silent
from tests.train.methods.readers import mirrored_people
from tests.train.methods.tables import merged, table


@dataclasses.dataclass(frozen=True)
class Settings(ContextSettings):
    default_epochs = (6, 6)


SETTINGS = Settings(n_context=8, n_targets=6, people_per_step=16, weight_decay=0.0)


class Counting(nn.Module):
    """Says the side that most of what it read was on, with a fixed certainty, after one answer."""

    def __init__(self, certainty: float) -> None:
        super().__init__()
        self.certainty = nn.Parameter(torch.tensor(certainty))

    def margins(self, context: Pairs, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        side = (context.a - context.b)[..., 0].sign() * (2 * context.label - 1)
        taste = (side * context.present).sum(dim=1, keepdim=True).sign()
        return self.certainty * taste * (a - b)[..., 0].sign()

    def loss(
        self, context: Pairs, targets: Pairs, now: Moment, noise: torch.Generator
    ) -> torch.Tensor:
        return 0 * self.certainty


class Growing(Counting):
    """More certain by the learning rate in every step."""

    def loss(
        self, context: Pairs, targets: Pairs, now: Moment, noise: torch.Generator
    ) -> torch.Tensor:
        return -self.certainty


def test_trust_grows_from_nothing_and_half_is_reached_at_k() -> None:
    n = np.array([0.0, 1.0, 4.0, 1e9])
    assert trust(n, 4.0) == pytest.approx([0, 0.2, 0.5, 1], abs=1e-8)
    assert trust(n, 0.0) == pytest.approx([0, 1, 1, 1])
    assert trust(n, math.inf) == pytest.approx([0, 0, 0, 0])


def test_whoever_is_too_certain_after_few_answers_is_believed_less() -> None:
    """Flips of .3: one answer is right in 58 of 100, so certainty 4 is far too much; .2 is not."""
    questions = asked(mirrored_people(200, 30, 0.3, seed=0), 8)
    sure, humble = (
        SHRINKAGES[int(np.argmin(losses_by_shrinkage(Counting(c), questions)))] for c in (4.0, 0.2)
    )
    assert sure >= 16
    assert humble == 0


def test_losses_are_the_mean_over_what_is_foretold_summed_over_people_and_sizes() -> None:
    """Certainty 0 says one half of everything: ln 2 for each of 10 people at each size."""
    questions = asked(mirrored_people(10, 12, 0.1, seed=0), 3)
    reached = sum(size <= 9 for size in SIZES)
    found = losses_by_shrinkage(Counting(0.0), questions)
    assert found == pytest.approx([10 * reached * math.log(2)] * len(SHRINKAGES))


def test_who_is_asked_read_nothing_of_what_is_foretold() -> None:
    for part in asked(mirrored_people(8, 12, 0.1, seed=0), 3):
        for person in range(len(part.context.label)):
            read = part.context.a[person][part.context.present[person]]
            foretold = part.targets.a[person][part.targets.present[person]]
            assert not (read[:, None] == foretold[None]).all(dim=2).any()


def asked(people: History, later: int) -> list[Asked]:
    """The last few judgements of everybody are foretold."""
    sizes = np.diff(people.starts)
    place = np.concatenate([np.arange(n) for n in sizes])
    return asked_of(people, place >= np.repeat(sizes, sizes) - later, SETTINGS, 0, SIZES)


def judgements(n_val: int, people: int = 4) -> Judgements:
    tables = [
        table(
            [(f"u{u}", f"{s} a{i}", f"{s} b{i}", 1.0) for u in range(people) for i in range(n)], s
        )
        for s, n in (("train", 20), ("val", n_val))
        if n
    ]
    return read_judgements(merged(*tables))


def test_validation_judgements_judge_or_a_fifth_of_the_pairs() -> None:
    enough, few = judgements(13), judgements(12)
    learn, judge = divided(enough)
    assert np.array_equal(judge, enough.validation)
    assert np.array_equal(learn, ~enough.validation)
    learn, judge = divided(few)
    assert not (judge & few.validation).any()
    assert not (learn & few.validation).any()
    assert (int(learn.sum()), int(judge.sum())) == (64, 16)
    assert not set(few.pair[learn]) & set(few.pair[judge])
    assert not divided(judgements(60, people=1))[1].any()


def judges(people: History) -> Judges:
    questions = asked(people, 3)
    return Judges(people, questions, questions, "some")


def test_the_weights_of_the_least_loss_are_kept() -> None:
    people = mirrored_people(50, 12, 0.1, seed=0)
    settings = dataclasses.replace(SETTINGS, learning_rate=0.5)
    network, again = Growing(1.0), Growing(1.0)
    found = fit_chosen(network, judges(people), settings, 0, silent)
    assert network.certainty.dtype == torch.float64
    losses = {}

    def look(epoch: int) -> None:
        least = losses_by_shrinkage(again, asked(people, 3)).min()
        losses[epoch] = least, again.certainty.item()

    learn(again, Episodes(people, settings, 0), 6, 0, silent, look)
    best = min(losses, key=lambda epoch: losses[epoch][0])
    assert found.kept == Moment(4 * best, 24)
    assert float(network.certainty) == pytest.approx(losses[best][1])


class Loud(Counting):
    """Draws its margins: nothing is known."""

    def margins(self, context: Pairs, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        shape = (len(a), a.shape[1])
        return self.certainty * torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [0.5, 3.0])
def test_who_is_sure_of_noise_is_believed_as_little_as_there_is(size: float) -> None:
    people = mirrored_people(50, 12, 0.5, seed=0)
    assert chosen_scale(Loud(size), everything(people), 0.0) == SCALES[0]


@pytest.mark.parametrize(("certainty", "least"), [(2.0, 0.75), (8.0, 0.05)])
def test_who_is_rightly_sure_is_believed(certainty: float, least: float) -> None:
    """One answer in ten is turned round: log-odds of 2.2 are right, and 8 are too much."""
    people = mirrored_people(50, 12, 0.1, seed=0)
    found = chosen_scale(Counting(certainty), everything(people), 0.0)
    assert least <= found <= (1.0 if certainty == 2.0 else 0.5)


def everything(people: History) -> list[Asked]:
    """The last three judgements of everybody after all others."""
    place = np.concatenate([np.arange(n) for n in np.diff(people.starts)])
    last = place >= np.repeat(np.diff(people.starts), np.diff(people.starts)) - 3
    return asked_of(people, last, SETTINGS, 0, (ALL,))


def test_one_person_says_nothing_of_how_sure_to_be() -> None:
    alone = everything(mirrored_people(1, 12, 0.3, seed=0))
    assert chosen_scale(Loud(3.0), alone, 0.0) == 1.0
    assert chosen_scale(Loud(3.0), [], 0.0) == 1.0


def test_without_judges_nothing_is_read() -> None:
    people = mirrored_people(1, 12, 0.3, seed=0)
    found = fit_chosen(Counting(4.0), Judges(people, (), (), ""), SETTINGS, 0, silent)
    assert (found.kept, found.shrinkage) == (Moment(6, 6), math.inf)
    assert "nothing is read" in found.how


def test_a_fit_that_is_best_at_its_last_epoch_says_so() -> None:
    people = mirrored_people(50, 12, 0.1, seed=0)
    settings = dataclasses.replace(SETTINGS, learning_rate=0.05)
    found = fit_chosen(Growing(0.0), judges(people), settings, 0, silent)
    assert found.kept.share == 1
    assert "the fit reached its last epoch" in found.how


def test_candidates_go_from_reading_nothing_to_believing_everything() -> None:
    assert SHRINKAGES[0] == math.inf
    assert SHRINKAGES[-1] == 0
    assert all(one > two for one, two in pairwise(SHRINKAGES))
