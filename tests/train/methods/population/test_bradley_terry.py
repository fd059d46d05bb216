from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from plt.train.features.frozen import features
from plt.train.heads.head_table import HeadTable, fit_shared_head
from plt.train.judgements import distinct_texts, read_judgements
from plt.train.method import TrainContext
from plt.train.methods.population.bradley_terry import BradleyTerry, Config
from tests.train.methods.tables import judged, merged, table


@pytest.mark.parametrize(("wins", "votes"), [(7, 10), (3, 4), (1, 2), (9, 10)])
def test_tabular_reward_is_the_vote_share(wins: int, votes: int) -> None:
    """Oracle O-1 (Li et al. 2024, lemma 3.2): without a penalty s(margin) = k / n."""
    rows = [(f"u{i}", "x", "y", float(i < wins)) for i in range(votes)]
    judgements = read_judgements(table(rows))
    head = fit_shared_head(judgements, np.eye(2, dtype=np.float32), l2=1e-9).weights[0]
    margin = (
        head[judgements.texts.responses.index("x")] - head[judgements.texts.responses.index("y")]
    )
    assert expit(margin) == pytest.approx(wins / votes, abs=1e-7)


def test_majority_labels_forget_the_minority() -> None:
    """O-1, second half: one hard label a pair drives the margin as far as the penalty allows."""
    judgements = read_judgements(table([(f"u{i}", "x", "y", float(i < 7)) for i in range(10)]))
    one_hot = np.eye(2, dtype=np.float32)
    margins = []
    for l2 in (1e-3, 1e-6, 1e-9):
        head = fit_shared_head(judgements, one_hot, l2, "majority").weights[0]
        margins.append(abs(head[0] - head[1]))
    assert margins[0] < margins[1] < margins[2]
    assert margins[2] > 15


@pytest.mark.parametrize("majority", [0.5, 0.6, 0.7, 0.9])
def test_minority_deviates_more(majority: float) -> None:
    """Oracle O-2 (lemma 3.3): the shared share is off by .8 of the other group's weight."""
    n_users = 10
    n_majority = round(majority * n_users)
    rows = [(f"u{i}", "x", "y", 0.9 if i < n_majority else 0.1) for i in range(n_users)]
    judgements = read_judgements(table(rows))
    head = fit_shared_head(judgements, np.eye(2, dtype=np.float32), l2=1e-9).weights[0]
    first = judgements.texts.responses.index("x")
    share = expit(head[first] - head[1 - first])
    assert abs(share - 0.1) == pytest.approx(0.8 * majority, abs=1e-6)
    assert abs(share - 0.9) == pytest.approx(0.8 * (1 - majority), abs=1e-6)


def test_people_who_cancel_out_leave_nothing(ctx: TrainContext) -> None:
    """RM-01: opposite users give the head 0, whose loss is ln 2 a judgement (c)."""
    likes = [("a", "x", "y", 1.0), ("b", "x", "y", 0.0), ("a", "z", "y", 0.0), ("b", "z", "y", 1.0)]
    fitted = BradleyTerry(Config(l2=1.0)).fit(table(likes), ctx)
    assert isinstance(fitted.reward_model, HeadTable)
    assert np.abs(fitted.reward_model.population).max() < 1e-12
    margin = fitted.reward(read_judgements(table(likes)).texts, np.array([0, 1, 2]), [None] * 3)
    assert np.logaddexp(0, -margin) == pytest.approx(np.log(2))


def test_swapped_columns_are_the_same_table(ctx: TrainContext) -> None:
    """RM-01 (a): which answer stands first carries no information."""
    rows = [("a", f"x {i}", f"y {i}", float(i % 3 > 0)) for i in range(12)]
    turned = [(user, two, one, 1 - label) for user, one, two, label in rows]
    heads = []
    for part in (rows, turned):
        fitted = BradleyTerry().fit(table(part), ctx)
        assert isinstance(fitted.reward_model, HeadTable)
        heads.append(fitted.reward_model.population)
    assert np.array_equal(*heads)


def test_reward_does_not_depend_on_what_is_scored_beside_it(ctx: TrainContext) -> None:
    """RM-01 (b)."""
    prefs = judged({"a": 0.9, "b": 0.7}, 20)
    fitted = BradleyTerry().fit(prefs, ctx)
    texts, a, b = distinct_texts(prefs.pairs)
    rows = np.concatenate([a, b])
    everything = fitted.reward(texts, rows, [None] * len(rows))
    single = [fitted.reward(texts, rows[i : i + 1], ["a"])[0] for i in range(len(rows))]
    assert np.array_equal(everything, single)


def test_reward_is_the_head_on_the_features(ctx: TrainContext) -> None:
    prefs = judged({"a": 0.9}, 30)
    fitted = BradleyTerry(Config(l2=0.5)).fit(prefs, ctx)
    texts, a, _ = distinct_texts(prefs.pairs)
    vectors = features(texts, "builtin:minilm", ctx.compute)
    assert isinstance(fitted.reward_model, HeadTable)
    expected = vectors[a].astype(np.float64) @ fitted.reward_model.population
    assert np.allclose(fitted.reward(texts, a, [None] * len(a)), expected, atol=1e-12)
    assert fitted.notes == ("penalty l2 = 0.5, as set",)


def test_penalty_is_chosen_on_validation_rows_when_there_are_enough(ctx: TrainContext) -> None:
    train = judged({"a": 0.9, "b": 0.8}, 30)
    validation = judged({"a": 0.9, "b": 0.8}, 40, seed=1)
    votes = validation.votes.with_columns(
        split=validation.votes["split"]
        .cast(str)
        .replace("train", "val")
        .cast(train.votes.schema["split"]),
        occurrence=validation.votes["occurrence"] + 100,
    )
    both = merged(train, type(train)(votes, validation.pairs, validation.meta))
    assert BradleyTerry().fit(both, ctx).notes[0].endswith("chosen by validation")
    assert BradleyTerry().fit(train, ctx).notes[0].endswith("chosen by evidence")


def test_scoring_before_fitting_is_a_mistake_in_the_program(tmp_path: Path) -> None:
    method = BradleyTerry()
    with pytest.raises(ValueError, match="after fit"):
        method.reward(read_judgements(judged({"a": 1.0}, 1)).texts, np.array([0]), [None])
    with pytest.raises(ValueError, match="after fit"):
        method.save(tmp_path)
