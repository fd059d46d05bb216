"""One prompt, nobody asked twice: people who rate responses and judge some pairs of them."""

import itertools

import numpy as np
import polars as pl
import pytest

from plt.analyze.dataset.statistics import dataset_statistics
from plt.analyze.taste import split_halves as module
from plt.analyze.taste.split_halves import SplitHalves, split_halves, wants_split_halves
from plt.data.tables.preferences import Preferences
from plt.data.tables.table import Meta


def raters(
    rng: np.random.Generator,
    n_users: int = 200,
    n_responses: int = 30,
    *,
    taste: float = 0.0,
    care: float = 0.0,
) -> Preferences:
    """Each rates every response once, with noise, and gives 40 pairs of these ratings."""
    quality = rng.normal(size=n_responses)
    own = taste * rng.normal(size=(n_users, 2)) @ rng.normal(size=(2, n_responses))
    firm = np.exp(care * rng.normal(size=(n_users, 1)))
    ratings = firm * (quality + own) + rng.normal(size=(n_users, n_responses))
    one, other = np.triu_indices(n_responses, 1)
    drawn = np.argsort(rng.random((n_users, one.size)), axis=1)[:, :40].ravel()
    users = np.repeat(np.arange(n_users), 40)
    label = ratings[users, one[drawn]] > ratings[users, other[drawn]]
    texts = pl.Series([f"text {r}" for r in range(n_responses)])
    votes = pl.DataFrame(
        {
            "user_id": pl.Series([f"u{user:04d}" for user in range(n_users)])[users],
            "pair_id": drawn.astype(np.uint64),
            "label": label.astype(np.float32),
            "occurrence": np.zeros(users.size, dtype=np.uint16),
            "group": pl.repeat("the prompt", users.size, eager=True),
        }
    )
    pairs = pl.DataFrame(
        {
            "pair_id": np.arange(one.size, dtype=np.uint64),
            "response_a": texts[one],
            "response_b": texts[other],
        }
    )
    return Preferences(votes.sort("pair_id", "user_id"), pairs, Meta(dataset="toy"))


def halves_of(prefs: Preferences, seed: int = 0) -> SplitHalves:
    found = split_halves(prefs, seed=seed)
    assert isinstance(found, SplitHalves)
    return found


def test_tastes_return_in_the_other_half() -> None:
    prefs = raters(np.random.default_rng(0), taste=0.6)
    found = halves_of(prefs)
    assert (found.p_value, found.p_beyond_care) == (0.001, 0.001)
    assert (found.n_users, found.n_responses) == (200, 30)
    verdict = dataset_statistics(prefs.votes, prefs.meta, split_halves=found).verdict
    assert verdict.finding == "taste"
    assert "p = 0.001; other users on these prompts" in verdict.sentence


def test_care_alone_is_care() -> None:
    prefs = raters(np.random.default_rng(1), 600, care=0.8)
    found = halves_of(prefs)
    assert found.p_value <= 0.025 < found.p_beyond_care
    verdict = dataset_statistics(prefs.votes, prefs.meta, split_halves=found).verdict
    assert verdict.finding == "differences"
    assert "unequal care can explain it" in verdict.sentence


def test_the_order_of_the_table_and_the_sides_change_nothing() -> None:
    rng = np.random.default_rng(2)
    prefs = raters(rng, 60, 12, taste=0.2)
    turned = pl.col("pair_id") % 3 == 0
    votes = prefs.votes[rng.permutation(prefs.votes.height)].with_columns(
        label=pl.when(turned).then(1 - pl.col("label")).otherwise("label")
    )
    a, b = pl.col("response_a"), pl.col("response_b")
    pairs = prefs.pairs.with_columns(
        response_a=pl.when(turned).then(b).otherwise(a),
        response_b=pl.when(turned).then(a).otherwise(b),
    )
    assert halves_of(Preferences(votes, pairs, prefs.meta)) == halves_of(prefs)


def test_scores_are_cross_products_of_the_two_halves() -> None:
    rng = np.random.default_rng(3)
    half = np.array([0, 1, 0, 1, 0])
    users = np.repeat([2, 5, 9], 6)
    responses = np.array([[0, 2], [1, 3], [2, 4], [3, 1], [0, 4], [1, 3]] * 3)
    values = rng.normal(size=18)
    bins = np.array([1, 0, 1]).repeat(6)
    found = module._scores(values, users, responses, bins, half)
    expected = np.zeros((module.N_BINS, 3, 2))
    for user, which in ((2, 1), (5, 0), (9, 1)):
        r = np.zeros(5)
        for place in np.flatnonzero(users == user):
            r[responses[place, 0]] += values[place]
            r[responses[place, 1]] -= values[place]
        for (i, x), (j, y) in itertools.product(enumerate(r[[0, 2, 4]]), enumerate(r[[1, 3]])):
            expected[which, i, j] += x * y
    assert found == pytest.approx(expected.reshape(module.N_BINS, -1))


def test_it_is_for_one_prompt_without_repeats() -> None:
    votes = raters(np.random.default_rng(4), 20, 12).votes
    assert wants_split_halves(votes)
    assert not wants_split_halves(votes.with_columns(group=pl.col("pair_id").cast(pl.String)))
    assert not wants_split_halves(votes.with_columns(occurrence=pl.lit(1, dtype=pl.UInt16)))
    assert not wants_split_halves(votes.drop("group"))
    assert not wants_split_halves(votes.clear())


def test_few_people_or_responses_say_why() -> None:
    few = split_halves(raters(np.random.default_rng(5), 15, 10))
    assert isinstance(few, str)
    assert few.startswith("fewer than 20 users compared")
    nobody = raters(np.random.default_rng(6), 20, 12)
    assert isinstance(split_halves(Preferences(nobody.votes.clear(), nobody.pairs, Meta())), str)


@pytest.mark.slow
@pytest.mark.parametrize("care", [0.0, 0.8])
def test_one_taste_is_rarely_told_otherwise(care: float) -> None:
    called = np.zeros(2)
    for seed in range(200):
        found = halves_of(raters(np.random.default_rng(seed), care=care), seed)
        called += [found.p_value <= 0.025, found.p_beyond_care <= 0.025]
    assert called[1] / 200 <= 0.025 + 2 * 0.011
    if care == 0:
        assert called[0] / 200 <= 0.025 + 2 * 0.011
