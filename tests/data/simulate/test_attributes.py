"""Eighty-four people with two traits of seven attributes."""

import numpy as np
import pytest

from plt.data.simulate import attributes
from plt.data.simulate.world import styles
from plt.errors import UsageError
from tests.data.simulate.populations import rows


def test_eighty_four_people_have_all_pairs_of_traits_of_different_attributes():
    people = attributes.user_table(attributes.Config())
    pairs = {frozenset(row) for row in people.select("attr_trait", "attr_second_trait").rows()}
    opposite = {frozenset(poles) for poles in styles.POLES.values()}
    assert len(pairs) == 84
    assert not pairs & opposite


def test_more_people_begin_anew():
    people = attributes.user_table(attributes.Config(users=90))
    traits = people.select("attr_trait", "attr_second_trait").rows()
    assert {frozenset(row) for row in traits[84:]} == {frozenset(row) for row in traits[:6]}


def test_weights_are_those_of_the_traits_and_the_shared_taste():
    config = attributes.Config(second=0.5, shared=0.25)
    weights = attributes.weights(config)
    people = attributes.user_table(config)
    for row, (strong, weak) in zip(
        weights, people.select("attr_trait", "attr_second_trait").rows(), strict=True
    ):
        expected = dict.fromkeys(styles.ATTRIBUTES, 0.0)
        expected |= {"politeness": 0.25, "engagement": 0.25}
        for trait, weight in ((strong, 1.0), (weak, 0.5)):
            for attribute, poles in styles.POLES.items():
                if trait in poles:
                    expected[attribute] += weight * (1 if trait == poles[0] else -1)
        np.testing.assert_allclose(row, list(expected.values()))


def test_people_say_their_traits():
    row = attributes.user_table(attributes.Config()).row(0, named=True)
    assert (
        row["profile"]
        == f"I like answers that are {row['attr_trait']} and {row['attr_second_trait']}."
    )


def test_the_default_population_is_small_enough_to_embed_and_clear_enough_to_learn():
    prefs = attributes.simulate(attributes.Config())
    texts = set(prefs.pairs["response_a"]) | set(prefs.pairs["response_b"])
    assert len(texts) <= 300
    table = rows(prefs)
    right = ((table["difference"] > 0) == (table["label"] == 1)).mean()
    assert right == pytest.approx(0.89, abs=0.02)


@pytest.mark.parametrize("field", ["active", "second", "shared", "prompts", "responses", "turns"])
def test_its_own_knobs_are_checked(field):
    with pytest.raises(UsageError) as caught:
        attributes.Config(**{field: -1})
    assert caught.value.problems[0].startswith(f"{field} is -1")
