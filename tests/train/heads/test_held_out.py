"""The one rule for choices that need validation rows: who judges, and what was held out."""

import numpy as np
import pytest

from plt.train.heads.held_out import N_FOLDS, people_folds, row_folds, trials
from plt.train.heads.ridge import MIN_VALIDATION_ROWS
from plt.train.judgements import read_judgements
from tests.train.methods.tables import judged, merged, table


def test_enough_validation_rows_judge_what_all_training_rows_taught() -> None:
    later = judged({"u": 0.5}, MIN_VALIDATION_ROWS, seed=1)
    later = type(later)(
        later.votes.with_columns(split=later.votes["split"].replace("train", "val")),
        later.pairs,
        later.meta,
    )
    judgements = read_judgements(merged(judged({"v": 0.5}, 20), later))
    (trial,) = trials(judgements)
    assert np.array_equal(trial.judge, judgements.validation)
    assert np.array_equal(trial.learn, ~judgements.validation)


def test_too_few_validation_rows_judge_nothing_and_every_training_row_is_held_out_once() -> None:
    few = table([("u", f"one {i}", f"two {i}", 1.0) for i in range(9)], split="val")
    judgements = read_judgements(merged(judged({"u": 0.9, "v": 0.1}, 20), few))
    found = trials(judgements)
    assert len(found) == N_FOLDS
    held_out = sum(trial.judge.astype(int) for trial in found)
    assert np.array_equal(held_out, (~judgements.validation).astype(int))
    for trial in found:
        assert not (trial.judge & trial.learn).any()
        assert not (trial.learn & judgements.validation).any()
        assert set(judgements.pair[trial.judge]).isdisjoint(judgements.pair[trial.learn])


@pytest.mark.parametrize(
    "rows", [[("u", "one", "two", 1.0)], [("u", "one", "two", 1.0), ("v", "one", "two", 0.0)]]
)
def test_a_single_pair_holds_nothing_out(rows: list[tuple[str, str, str, float]]) -> None:
    assert trials(read_judgements(table(rows))) == ()


@pytest.mark.parametrize("overlap", ["none", "all", "half"])
def test_everybody_has_rows_in_every_fold_and_a_pair_lies_in_one(overlap: str) -> None:
    """Ten people of twenty pairs; shares of a fifth each, exact where all or none is shared."""
    rng = np.random.default_rng(0)
    starts = {"none": 20, "all": 0}
    pair = np.concatenate(
        [
            rng.permutation(40)[:20]
            if overlap == "half"
            else np.arange(20) + starts[overlap] * person
            for person in range(10)
        ]
    )
    user = np.repeat(np.arange(10), 20)
    fold = row_folds(user, pair)
    counts = np.array([np.bincount(fold[user == u], minlength=N_FOLDS) for u in range(10)])
    assert counts.min() >= (4 if overlap != "half" else 1)
    assert all(len(set(fold[pair == each])) == 1 for each in np.unique(pair))


def test_folds_do_not_depend_on_the_order_of_the_rows() -> None:
    rng = np.random.default_rng(0)
    user, pair = rng.integers(-1, 6, 90), rng.integers(0, 40, 90)
    order = rng.permutation(90)
    assert np.array_equal(row_folds(user, pair)[order], row_folds(user[order], pair[order]))


def test_people_are_dealt_out_whole_and_evenly_by_their_names() -> None:
    users = [f"user {i}" for i in range(13)]
    fold = people_folds(users)
    assert sorted(np.bincount(fold)) == [2, 2, 3, 3, 3]
    again = dict(zip(users[::-1], people_folds(users[::-1]), strict=True))
    assert [again[user] for user in users] == list(fold)
    assert list(people_folds(["one"])) == [0]
    assert len(people_folds([])) == 0
