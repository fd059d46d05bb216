"""Histories and what is drawn from them: nothing that is predicted can be read."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from plt.data.tables.preferences import Preferences
from plt.errors import FailedError
from plt.train.heads.small_networks import Scaling
from plt.train.in_context.episodes import (
    EMPTY_SHARE,
    Episodes,
    Moment,
    learn,
    mixed_size,
    rate,
)
from plt.train.in_context.history import History, JudgedRows, Pairs, Units
from plt.train.in_context.settings import ContextSettings
from plt.train.judgements import distinct_texts, read_judgements, text_digests
from plt.train.method import Judgements, silent
from tests.train.methods.tables import judged, merged, table

SETTINGS = ContextSettings(n_context=8, n_targets=6, people_per_step=2, epochs=4)


def vectors(judgements: Judgements, width: int = 5) -> NDArray[np.float32]:
    """Features that depend on the text alone."""
    return text_digests(judgements.texts)[:, :width].astype(np.float32) / np.float32(128) - 1


def history(prefs: Preferences) -> History:
    judgements = read_judgements(prefs)
    return History.of(judgements, vectors(judgements))


def episodes(people: History, seed: int = 0) -> Episodes:
    return Episodes(people, SETTINGS, seed)


def texts_of(people: History, rows: np.ndarray) -> set[int]:
    return {int(text) for text in np.concatenate([people.a[rows], people.b[rows]])}


def test_what_is_read_and_what_is_predicted_never_show_the_same_text() -> None:
    """Sixteen pairs of eight texts: most pairs share one."""
    people = history(judged({"u": 0.9, "v": 0.1}, 40))
    drawn = episodes(people)
    sizes = []
    for _ in range(200):
        read, predicted = drawn.draw(0)
        assert texts_of(people, read).isdisjoint(texts_of(people, predicted))
        assert 1 <= len(predicted) <= 6
        assert set(read) | set(predicted) <= set(people.rows(0))
        sizes.append(len(read))
    assert np.mean(np.array(sizes) == 0) == pytest.approx(EMPTY_SHARE, abs=0.08)
    assert max(sizes) == 8


def test_people_of_one_answer_are_predicted_without_history() -> None:
    people = history(table([("u", "one", "two", 1.0)]))
    read, predicted = episodes(people).draw(0)
    assert (len(read), list(predicted)) == (0, [0])


def test_draws_of_a_person_depend_on_seed_and_name_alone() -> None:
    alone = judged({"u": 0.9}, 12)
    more = merged(judged({"a": 0.5}, 9, seed=1), alone)
    few, many = history(alone), history(more)

    def labels(people: History, seed: int) -> list[list[float]]:
        drawn = episodes(people, seed=seed)
        code = people.users.index("u")
        rows = [drawn.draw(code) for _ in range(5)]
        first = people.starts[code]
        return [[float(row - first) for part in pair for row in part] for pair in rows]

    assert labels(few, 0) == labels(many, 0)
    assert labels(few, 0) != labels(few, 1)


def test_an_epoch_shows_everybody_once() -> None:
    people = history(judged({f"u{i}": 0.5 for i in range(5)}, 10))
    drawn = episodes(people)
    assert drawn.steps_an_epoch == 3
    shown = [len(targets.label) for _, targets in drawn.epoch()]
    assert sum(shown) == 5
    assert max(shown) <= 2


def test_few_judgements_are_read_as_often_as_many() -> None:
    """Log-uniform from 1 to 63: one sixth of the draws in each doubling, chances exact."""
    rng = np.random.default_rng(0)
    drawn = np.array([mixed_size(rng, 63) for _ in range(6000)])
    assert (drawn.min(), drawn.max()) == (1, 63)
    octaves = np.bincount(np.floor(np.log2(drawn)).astype(int)) / 6000
    assert octaves == pytest.approx([1 / 6] * 6, abs=0.02)
    assert {mixed_size(rng, 1) for _ in range(50)} == {1}


def test_a_history_keeps_no_text_and_comes_back_from_its_arrays() -> None:
    people = history(judged({"u": 0.9, "v": 0.1}, 10))
    assert {array.dtype.kind for array in people.arrays().values()} <= set("iuf")
    again = History.from_arrays(people.arrays(), people.users)
    assert again.users == ("u", "v")
    for field in dataclasses.fields(people):
        assert np.array_equal(getattr(again, field.name), getattr(people, field.name))


def test_new_judgements_of_a_person_replace_the_old_ones_and_their_texts() -> None:
    people = history(table([("u", "one", "two", 1.0), ("v", "two", "six", 1.0)]))
    texts, _, _ = distinct_texts(table([("u", "ten", "six", 0.0)]).pairs)
    both = people.with_users(history(table([("a", "six", "ten", 1.0), ("u", "ten", "six", 0.0)])))
    assert both.users == ("u", "v", "a")
    assert [len(both.rows(user)) for user in range(3)] == [1, 1, 1]
    digests = {digest.tobytes() for digest in both.digests}
    assert {digest.tobytes() for digest in text_digests(texts)} <= digests
    one, _, _ = distinct_texts(table([("u", "one", "two", 1.0)]).pairs)
    left = [digest.tobytes() in digests for digest in text_digests(one)]
    assert sorted(zip(one.responses, left, strict=True)) == [("one", False), ("two", True)]
    own = people.rows(people.users.index("v"))
    same = both.rows(both.users.index("v"))
    assert np.array_equal(both.vectors[both.a[same]], people.vectors[people.a[own]])
    assert people.with_users(history(table([(None, "x", "y", 1.0)]))).users == ("u", "v")


def test_people_with_fewer_pairs_are_filled_up() -> None:
    people = history(judged({"u": 0.9, "v": 0.1}, 6))
    rows = JudgedRows.of(people, torch.float64)
    found = rows.pairs([people.rows(0)[:2], people.rows(1)[:3]])
    assert found.present.tolist() == [[True, True, False], [True, True, True]]
    assert found.a.shape == (2, 3, 5)
    assert torch.equal(found.turned().label, 1 - found.label)


def test_units_keep_the_directions_in_which_pairs_differ() -> None:
    """Two texts that differ in one coordinate alone: one direction tells everything."""
    judgements = read_judgements(judged({"u": 0.5}, 12))
    seen = np.tile(np.array([3.0, 1.0, 2.0], dtype=np.float32), (len(judgements.texts), 1))
    cold = np.array(["specified" in text for text in judgements.texts.responses])
    seen[:, 1] += cold
    for components, width in ((None, 3), (1, 1), (7, 3)):
        units = Units.of(judgements, seen, components)
        again = Units.from_arrays(units.arrays())
        values = again(seen)
        assert units.width == values.shape[1] == width
        apart = (values[cold][0] - values[~cold][0]).square().sum()
        assert apart == pytest.approx(width)
    assert Scaling.of(judgements, seen).scale == pytest.approx(1.0)


def test_the_rate_rises_and_falls() -> None:
    assert 0 < rate(0.0) < 0.05
    assert rate(0.03) == pytest.approx(1.0)
    assert rate(0.515) == pytest.approx(0.5)
    assert rate(1.0) == pytest.approx(0.0)


class Slope(torch.nn.Module):
    """Margins w (a - b) of the first feature; a step asks for w = `wanted` and no more."""

    def __init__(self, wanted: float) -> None:
        super().__init__()
        self.wanted = wanted
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def margins(self, context: Pairs, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return self.weight * (a - b)[..., 0]

    def loss(
        self, context: Pairs, targets: Pairs, now: Moment, noise: torch.Generator
    ) -> torch.Tensor:
        return (self.weight - self.wanted).square()


def test_the_weights_are_looked_at_after_each_epoch() -> None:
    network, found = Slope(wanted=1.0), []
    settings = dataclasses.replace(SETTINGS, learning_rate=0.1, weight_decay=0.0)
    drawn = Episodes(history(judged({"u": 1.0}, 60)), settings, 0)
    learn(network, drawn, 4, 0, silent, lambda epoch: found.append((epoch, network.weight.item())))
    assert [epoch for epoch, _ in found] == [1, 2, 3, 4]
    assert all(one < two for (_, one), (_, two) in pairwise(found))


def test_a_fit_that_leaves_the_numbers_is_said() -> None:
    people = history(judged({"u": 1.0}, 10))
    with pytest.raises(FailedError, match="left the numbers"):
        learn(Slope(wanted=float("inf")), episodes(people), 4, 0, silent)
