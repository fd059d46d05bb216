"""Two opposite types: the best that context can do is known in closed form."""

import numpy as np
import pytest
from scipy.stats import binom

from plt.data.simulate import mirrored
from plt.errors import UsageError
from tests.data.simulate.populations import rows


@pytest.mark.parametrize("share", [0.5, 0.7, 1.0])
def test_the_types_have_their_exact_shares(share):
    config = mirrored.Config(users=40, share=share)
    assert (mirrored.signs(config) == 1).sum() == round(40 * share)
    clusters = mirrored.user_table(config)["attr_cluster"].to_list()
    assert clusters.count("humorous") == round(40 * share)


def best_accuracy(flips: float, contexts: int) -> float:
    more = binom.sf(contexts / 2, contexts, 1 - flips)
    known = more + 0.5 * binom.pmf(contexts / 2, contexts, 1 - flips) * (contexts % 2 == 0)
    return (1 - flips) * known + flips * (1 - known)


@pytest.mark.parametrize(
    ("flips", "contexts", "known"),
    [(0.1, 3, 0.878), (0.2, 5, 0.766), (0.3, 3, 0.615)],
)
def test_the_best_guess_from_context_is_as_good_as_it_can_be(flips, contexts, known):
    assert best_accuracy(flips, contexts) == pytest.approx(known, abs=0.002)
    people, pairs = 400, contexts + 5
    config = mirrored.Config(
        users=people, pairs_per_user=pairs, overlap=50.0, noise=flips, repeats=0.0
    )
    table = rows(mirrored.simulate(config))
    type_of = dict(mirrored.user_table(config).select("user_id", "attr_cluster").rows())
    sign = np.array([1 if type_of[u] == "humorous" else -1 for u in table["user_id"]])
    humorous_a = table["difference"].to_numpy() * sign > 0  # whether `a` is the humorous answer
    wants = (humorous_a == (table["label"].to_numpy() == 1)).reshape(people, pairs)
    believed = wants[:, :contexts].mean(axis=1) > 0.5
    hits = (believed[:, None] == wants[:, contexts:]).mean()
    assert hits == pytest.approx(known, abs=0.035)
    assert wants.mean() == pytest.approx(0.5, abs=0.03)  # blind to the person: one half


@pytest.mark.parametrize("attribute", mirrored.KNOWN)
def test_any_attribute_but_length_can_divide_people(attribute):
    config = mirrored.Config(attribute=attribute, users=4, pairs_per_user=20, noise=0.0)
    table = rows(mirrored.simulate(config))
    assert set(table["difference"].abs()) == {2.0}


def test_its_own_knobs_are_checked():
    with pytest.raises(UsageError) as caught:
        mirrored.Config(attribute="length", share=1.2)
    assert {problem.split()[0] for problem in caught.value.problems} == {"attribute", "share"}
