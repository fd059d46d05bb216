"""Shapes of known datasets, checked on few people and in full where that is cheap."""

import dataclasses

import pytest

from plt.data.simulate import attributes, length, pets
from plt.data.simulate.world.shapes import SHAPES, apply_shape
from plt.errors import UsageError


def test_a_shape_changes_the_size_and_nothing_else():
    config = attributes.Config(scale=1.5, noise=0.1, seed=7)
    shaped = apply_shape(config, "psoups")
    assert (shaped.users, shaped.pairs_per_user, shaped.overlap) == (6, 8912, 6.0)
    changed = {
        field.name
        for field in dataclasses.fields(config)
        if getattr(config, field.name) != getattr(shaped, field.name)
    }
    assert changed <= set(SHAPES["psoups"].fields)


def test_prism_has_conversations_of_five_pairs_that_nobody_shares():
    shaped = dataclasses.replace(apply_shape(attributes.Config(), "prism"), users=20)
    prefs = attributes.simulate(shaped)
    assert (prefs.votes.height, prefs.pairs.height) == (600, 600)
    assert prefs.votes["group"].n_unique() == 120
    openings = prefs.pairs["prompt"].list.first().unique()
    assert openings.len() == 120


def test_personalllm_has_everybody_judge_the_same_pairs():
    config = apply_shape(attributes.Config(), "personalllm")
    smaller = dataclasses.replace(config, pairs_per_user=200, prompts=60)
    prefs = attributes.simulate(smaller)
    assert (prefs.votes.height, prefs.pairs.height) == (8 * 200, 200)


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "rows"), [("tldr", 28_220), ("psoups", 53_472)])
def test_full_shapes_have_the_rows_of_the_dataset(shape, rows):
    assert length.simulate(apply_shape(length.Config(), shape)).votes.height == rows


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="no shape 'imdb'; known are prism, tldr"):
        apply_shape(attributes.Config(), "imdb")
    with pytest.raises(UsageError, match="'prism': it has no turns"):
        apply_shape(length.Config(), "prism")
    with pytest.raises(UsageError, match="it has no prompts, responses"):
        apply_shape(pets.Config(), "tldr")
