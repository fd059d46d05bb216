"""Who judges what, in exact numbers; ties; and the vote statistics that votes must have."""

import math

import numpy as np
import pytest
from scipy.special import expit

from plt.data.simulate import attributes, mirrored, noise
from plt.data.simulate.world.interview import Corpus, answer, deal, messages
from plt.data.simulate.world.survey import Survey
from plt.errors import UsageError
from tests.data.simulate.populations import rows, vote_matrix


def counts(config) -> np.ndarray:
    """How many people judged each pair."""
    judged = attributes.simulate(config).votes.filter(occurrence=0)
    return judged.group_by("pair_id").len()["len"].cast(int).to_numpy()


@pytest.mark.parametrize("ties", ["label", "coin"])
@pytest.mark.parametrize(("overlap", "pairs"), [(1, 320), (4, 80), (6.4, 50), (16, 20)])
def test_pairs_have_as_many_judges_as_asked(ties, overlap, pairs):
    config = attributes.Config(users=16, pairs_per_user=20, overlap=overlap, ties=ties)
    judges = counts(config)
    assert len(judges) == pairs
    assert set(judges) == {math.floor(overlap), math.ceil(overlap)}


def test_an_overlap_above_the_number_of_people_means_everybody():
    judges = counts(attributes.Config(users=4, pairs_per_user=9, overlap=100.0, ties="coin"))
    assert list(judges) == [4] * 9


def test_skipping_ties_keeps_the_number_of_pairs_and_nearly_the_overlap():
    judges = counts(attributes.Config())
    assert judges.sum() == 84 * 50
    assert len(judges) == 420
    assert np.abs(judges - 10).max() <= 2


def test_a_pool_that_somebody_is_indifferent_to_grows():
    config = attributes.Config(users=16, pairs_per_user=20, overlap=16.0, ties="skip")
    assert 20 < len(counts(config)) < 40


def test_too_few_pairs_are_refused_with_the_overlap_that_is_enough():
    config = attributes.Config(users=30, pairs_per_user=40, overlap=1.0, ties="coin")
    with pytest.raises(
        UsageError, match="need 1,200 different pairs; the texts make 450"
    ) as caught:
        attributes.simulate(config)
    assert caught.value.hint == "--set overlap=2.7"
    enough = attributes.Config(users=30, pairs_per_user=40, overlap=2.7, ties="coin")
    assert len(counts(enough)) == 445
    impossible = attributes.Config(users=3, pairs_per_user=451, ties="coin")
    with pytest.raises(UsageError) as caught:
        attributes.simulate(impossible)
    assert caught.value.hint == "lower pairs_per_user or make more texts"


def test_somebody_who_cannot_tell_enough_pairs_apart_is_named():
    survey = Survey(users=2, pairs_per_user=3, overlap=2.0)
    features = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    pairs = np.array([[0, 1], [1, 2], [2, 3], [0, 3]])
    with pytest.raises(UsageError) as caught:
        deal(survey, pairs, features, np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert caught.value.problems == ["u002 can tell apart only 0 of 4 pairs"]


def test_ties_are_labelled_left_out_or_tossed_as_asked():
    size = {"users": 20, "pairs_per_user": 100, "overlap": 20.0, "tie_below": 0.35, "noise": 0.1}
    tables = {
        ties: rows(attributes.simulate(attributes.Config(**size, labels="hard", ties=ties)))
        for ties in ("label", "skip", "coin")
    }
    tied = {name: table["difference"].abs() <= 0.35 + 1e-9 for name, table in tables.items()}
    assert tied["label"].sum() > 300
    assert (tables["label"]["label"] == 0.5).equals(tied["label"].rename("label"))
    assert not tied["skip"].any()
    tossed = tables["coin"].filter(tied["coin"])["label"]
    assert set(tossed) == {0.0, 1.0}
    signs = (tables["coin"].filter(tied["coin"])["difference"] > 0).cast(float)
    agrees = (tossed == signs).mean()
    assert agrees == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(tossed.len()))


def test_an_exact_tie_gives_one_half_in_soft_labels():
    survey = Survey(users=1, labels="soft", ties="coin", noise=0.2)
    labels = answer(survey, np.array([0.0, 1e-12, 100.0]), np.random.default_rng(0))
    np.testing.assert_allclose(labels, [0.5, 0.5, 0.8])


def test_the_side_of_the_preferred_response_is_no_clue():
    votes = attributes.simulate(attributes.Config(labels="hard")).votes
    assert votes["label"].mean() == pytest.approx(0.5, abs=0.05)


def test_comparable_are_all_pairs_of_answers_to_one_prompt():
    prompts = [[{"role": "user", "content": "q"}]] * 2
    corpus = Corpus(prompts, list("abcde"), np.array([0, 1, 0, 1, 0]))
    found = {tuple(pair) for pair in corpus.comparable().tolist()}
    assert found == {(0, 2), (0, 4), (2, 4), (1, 3)}


def test_conversations_become_one_column_with_their_roles():
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert messages([talk, talk[:1]]).to_list() == [talk, talk[:1]]


def independent(users: int, seed: int) -> np.ndarray:
    config = noise.Config(
        users=users, pairs_per_user=3000, overlap=float(users), noise=0.5, repeats=0.0,
        prompts=100, responses=9, seed=seed,
    )  # fmt: skip
    return vote_matrix(noise.simulate(config))


@pytest.mark.parametrize(
    ("users", "divergent", "highly", "mv_acc"),
    [(5, 0.939, 0.626, 0.688), (6, 0.969, 0.778, 0.66), (8, 0.992, 0.709, 0.64)],
)
def test_fair_coins_have_the_exact_vote_statistics(users, divergent, highly, mv_acc):
    votes = independent(users, seed=1)
    ones = votes.sum(axis=1)
    fewer = np.minimum(ones, users - ones)
    assert votes.shape == (3000, users)
    assert (fewer > 0).mean() == pytest.approx(divergent, abs=0.02)
    assert (10 * fewer >= 3 * users).mean() == pytest.approx(highly, abs=0.04)
    agreement = np.where(2 * fewer == users, 0.5, 1 - fewer / users)  # ties are worth one half
    assert agreement.mean() == pytest.approx(mv_acc, abs=0.01)


def test_six_people_of_two_opposite_types_tie_every_vote():
    config = mirrored.Config(users=6, pairs_per_user=60, overlap=6.0, noise=0.0)
    votes = vote_matrix(mirrored.simulate(config))
    assert votes.shape == (60, 6)
    assert (votes.sum(axis=1) == 3).all()


def test_normal_margins_give_the_known_self_agreement_and_ceiling():
    # Margins N(0, 2^2): self-agreement .697, best possible accuracy .778.
    margins = np.random.default_rng(0).normal(scale=2.0, size=300_000)
    survey = Survey(labels="sampled", scale=1.0)
    rng = np.random.default_rng(1)
    once, again = answer(survey, margins, rng), answer(survey, margins, rng)
    assert (once == again).mean() == pytest.approx(0.697, abs=0.005)
    assert (once == (margins > 0)).mean() == pytest.approx(0.778, abs=0.005)


def test_repeats_agree_as_often_as_the_true_margins_imply():
    config = attributes.Config(users=42, pairs_per_user=80, overlap=10.0, repeats=1.0, scale=1.0)
    table = rows(attributes.simulate(config)).sort("user_id", "pair_id", "occurrence")
    once, again = table.filter(occurrence=0), table.filter(occurrence=1)
    assert once["pair_id"].equals(again["pair_id"])
    probability = expit(once["difference"].to_numpy())
    expected = probability**2 + (1 - probability) ** 2
    agree = (once["label"] == again["label"]).to_numpy()
    sd = math.sqrt((expected * (1 - expected)).sum())
    assert agree.sum() == pytest.approx(expected.sum(), abs=5 * sd)


@pytest.mark.parametrize("difference", [-1.0, 0.2, 1.0])
def test_slips_are_independent_of_the_draw_that_they_turn_round(difference):
    survey = Survey(labels="sampled", scale=1.5, noise=0.3)
    labels = answer(survey, np.full(100_000, difference), np.random.default_rng(2))
    probability = expit(1.5 * difference)
    assert labels.mean() == pytest.approx(0.7 * probability + 0.3 * (1 - probability), abs=0.008)
