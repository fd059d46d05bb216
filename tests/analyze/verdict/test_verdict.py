import numpy as np
import polars as pl
import pytest

from plt.analyze.dataset.statistics import dataset_statistics
from plt.analyze.verdict.evidence import Verdict
from plt.data.tables.table import Meta
from tests.analyze.populations_of_voters import (
    camps,
    factors,
    one_truth,
    sampled_votes,
    with_copies,
)
from tests.analyze.vote_tables import Row, frame, matrix, table


def verdict_of(votes: pl.DataFrame) -> Verdict:
    return dataset_statistics(votes, Meta(dataset="toy")).verdict


def test_opposed_camps_have_tastes() -> None:
    rng = np.random.default_rng(0)
    found = verdict_of(sampled_votes(camps(12, 60, rng), rng, repeated=0.6))
    assert found.finding == "taste"
    assert "other users and pairs of this kind" in found.sentence
    assert "can gain at most" in found.sentence
    assert "4 of 12 testable users vote against the majority" in found.sentence


def test_two_opposed_users_cannot_be_careless() -> None:
    rng = np.random.default_rng(0)
    found = verdict_of(sampled_votes(camps(2, 60, rng, every=2), rng, repeated=1.0))
    assert found.finding == "taste"
    assert "these users on other pairs" in found.sentence


def test_two_users_who_differ_a_little_may_differ_in_care() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 300)
    q = np.array([np.where(truth, 0.99, 0.01), np.where(truth, 0.6, 0.4)])
    found = verdict_of(sampled_votes(q, rng, repeated=1.0))
    assert found.finding == "differences"
    assert "two voters a pair" in found.sentence


def test_spammers_are_no_taste() -> None:
    rng = np.random.default_rng(1)
    q = one_truth("spammers", 30, 150, rng)
    found = verdict_of(sampled_votes(q, rng, voters=8, repeated=0.5))
    assert found.finding == "differences"
    assert "less careful" in found.sentence


def test_noise_that_differs_by_pair_is_no_taste() -> None:
    rng = np.random.default_rng(2)
    found = verdict_of(sampled_votes(one_truth("margins", 12, 60, rng), rng, repeated=0.5))
    assert found.finding == "none found"
    assert "points is unlikely, though single users may differ more" in found.sentence


def test_copies_of_rows_are_said_and_their_room_is_not_certain() -> None:
    """Nobody has a taste. From noisier pairs copies can feign a room, so they are always said."""
    rng = np.random.default_rng(0)
    votes = with_copies(one_truth("margins", 12, 80, rng), rng)
    found = dataset_statistics(votes, Meta(dataset="toy"))
    assert found.verdict.finding == "cannot tell"
    assert found.room.is_positive is False
    assert found.to_json()["room"]["positive"] is False
    assert "can gain at most" not in found.verdict.sentence
    assert found.verdict.sentence.endswith(
        "; every one of 288 repeats says the same: if rows were copied, drop them with"
        " dataset-convert --duplicates drop."
    )


def test_one_repeat_that_differs_is_no_copy() -> None:
    rng = np.random.default_rng(0)
    votes = with_copies(one_truth("margins", 12, 80, rng), rng)
    last = pl.int_range(pl.len()) == votes.height - 1
    label = pl.col("label")
    votes = votes.with_columns(label=pl.when(last).then(1 - label).otherwise(label))
    assert "copied" not in verdict_of(votes).sentence


def test_without_repeats_only_minority_users_are_evidence() -> None:
    rng = np.random.default_rng(3)
    found = verdict_of(sampled_votes(camps(12, 60, rng), rng))
    assert found.finding == "taste"
    assert "twice" in found.sentence


def test_without_repeats_structure_is_no_proof_of_taste() -> None:
    rng = np.random.default_rng(4)
    found = verdict_of(sampled_votes(factors(12, 200, rng, 0.7), rng))
    assert found.finding == "differences"
    assert "when votes are exchanged" in found.sentence


def test_without_repeats_or_structure_nothing_can_be_told() -> None:
    rng = np.random.default_rng(6)
    found = verdict_of(sampled_votes(one_truth("margins", 4, 40, rng), rng))
    assert found.finding == "cannot tell"
    assert "may all be noise" in found.sentence
    assert "(flips of 10 % make 34.4 %)" in found.sentence


NOBODY: list[Row] = [(None, pair, 1.0, 0, None) for pair in range(3)]


@pytest.mark.parametrize(
    ("votes", "says"),
    [
        (frame(NOBODY), "add user ids"),
        (table({"u": "a b aa"}), "one user's"),
        (table({"u": "- -", "v": "- ."}), "no judgement takes a side"),
        (table({"u": "a _", "v": "_ b"}), "no pair has votes of two users"),
        (table({"u": "aa", "v": "bb"}), "1 repeated"),
        (frame([]), "add user ids"),
    ],
)
def test_what_cannot_be_told_and_what_would_help(votes: pl.DataFrame, says: str) -> None:
    found = verdict_of(votes)
    assert found.finding == "cannot tell"
    assert found.sentence.startswith("Cannot tell")
    if says != "1 repeated":
        assert says in found.sentence
    else:
        assert "too few to speak of others" in found.sentence


def test_figures_without_intervals_have_no_verdict() -> None:
    votes = matrix(np.zeros((3, 5), dtype=int))
    found = dataset_statistics(votes, Meta(dataset="toy"), intervals=False).verdict
    assert found.finding == "not asked"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "n_users", "n_pairs", "voters", "repeated"),
    [
        ("margins", 12, 40, 12, 1.0),
        ("margins", 5, 40, 5, 1.0),
        ("margins", 2, 40, 2, 1.0),
        ("margins", 40, 60, 6, 0.3),
        ("rare", 20, 30, 20, 0.05),
        ("rare", 5, 60, 5, 1.0),
        ("mixed", 12, 40, 12, 0.5),
        ("careless", 12, 80, 12, 0.5),
        ("spammers", 30, 80, 8, 0.5),
        ("temperatures", 12, 100, 12, 0.5),
    ],
)
def test_one_truth_is_called_taste_in_at_most_five_of_a_hundred(
    kind: str, n_users: int, n_pairs: int, voters: int, repeated: float
) -> None:
    rng = np.random.default_rng(0)
    called = 0
    for _ in range(100):
        q = one_truth(kind, n_users, n_pairs, rng)
        called += verdict_of(sampled_votes(q, rng, voters=voters, repeated=repeated)).finding == (
            "taste"
        )
    assert called <= 5


@pytest.mark.slow
def test_taste_of_some_size_is_found() -> None:
    rng = np.random.default_rng(1)
    found = [
        verdict_of(sampled_votes(factors(20, 80, rng, 0.7), rng, repeated=0.5)).finding == "taste"
        for _ in range(40)
    ]
    assert np.mean(found) > 0.8
