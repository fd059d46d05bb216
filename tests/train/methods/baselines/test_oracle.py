"""What is known of a simulated population, and that nobody else is told."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from plt.data.registry import SIMULATORS, load_module
from plt.data.simulate import attributes, mirrored, pets
from plt.data.simulate.world import styles
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import Preferences
from plt.data.tables.pseudonyms import pseudonymise
from plt.errors import ArtifactError, UsageError
from plt.study.plan import Asked, plan
from plt.train.judgements import distinct_texts, support_view, training_view
from plt.train.method import Compute, Texts, TrainContext
from plt.train.methods.baselines.length import Length
from plt.train.methods.baselines.oracle import Oracle
from plt.train.registry import METHODS
from plt.train.runs.fit_and_score import fit_and_score
from plt.train.runs.scoring import Label, score_pairs
from tests.contracts.population import population, simulated
from tests.train.methods.tables import judged

LABEL = Label("run", "oracle", 0)


def told(prefs: Preferences, folder: Path) -> Oracle:
    return Oracle().fit(training_view(prefs), TrainContext(0, folder, truth=prefs.meta.truth))


def by_pair(config: Any, simulator: Any) -> Preferences:
    made: Preferences = split(simulator.simulate(config), SplitPlan(by="pair", unseen_users=0.0))
    return made


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
def test_all_it_misses_is_the_labels_that_were_turned_round(noise: float, tmp_path: Path) -> None:
    """Mirrored types with flip rate e: accuracy 1 - e, that of knowing everybody's type (O-5)."""
    prefs = by_pair(mirrored.Config(repeats=0.0, noise=noise), mirrored)
    frame = score_pairs(told(prefs, tmp_path), prefs, LABEL).frame
    right = ((frame["margin"] > 0) == (frame["label"] > 0.5)).mean()
    error = np.sqrt(noise * (1 - noise) / frame.height)
    assert abs(float(right or 0) - (1 - noise)) <= 3 * error
    # Half of them want the opposite of what the other half want: together they want nothing.
    texts, a, b = distinct_texts(prefs.pairs)
    fitted, nobody = told(prefs, tmp_path), [None] * len(a)
    assert np.array_equal(fitted.reward(texts, a, nobody), fitted.reward(texts, b, nobody))


@pytest.mark.parametrize("name", SIMULATORS)
def test_margins_are_the_true_log_odds_of_every_simulator(name: str, tmp_path: Path) -> None:
    module = load_module(SIMULATORS[name].target)
    prefs = by_pair(module.Config(users=6, pairs_per_user=20), module)
    fitted = told(prefs, tmp_path)
    frame = score_pairs(fitted, prefs, LABEL).frame
    texts = prefs.pairs.select("pair_id", "response_a", "response_b")
    rows = frame.join(texts, on="pair_id", maintain_order="left")
    for user in fitted.users:
        own = rows.filter(pl.col("user_id") == user)
        a, b = (
            module.true_reward(prefs.meta.truth, own[side].to_list(), user)
            for side in ("response_a", "response_b")
        )
        assert np.allclose(own["margin"], module.Config().scale * (a - b), atol=1e-12)
    if module.Config().labels == "hard" and not module.Config().noise:
        assert ((rows["margin"] > 0) == (rows["label"] > 0.5)).all()


def test_rewards_can_be_worked_out_by_hand(tmp_path: Path) -> None:
    """Two sentences of one pole: the weight of that attribute times the scale 3."""
    config = attributes.Config(users=4, pairs_per_user=20)
    prefs = by_pair(config, attributes)
    fitted = told(prefs, tmp_path)
    humorous = " ".join(styles.bank("styles")["humorous"][:2])
    texts = Texts([[]], [humorous])
    nothing = Texts([[]], ["Neither here nor there. It goes on. And on."])
    column = styles.ATTRIBUTES.index("humour")
    length = styles.ATTRIBUTES.index("length")
    weights = attributes.weights(config)
    for row, user in enumerate(fitted.users):
        # No sentence of it is plain content, so the text is concise as well: pole -1 of length.
        expected = 3 * (weights[row, column] - weights[row, length])
        assert fitted.reward(texts, np.array([0]), [user])[0] == pytest.approx(expected)
        assert fitted.reward(nothing, np.array([0]), [user])[0] == pytest.approx(0)
    everybody = 3 * (weights[:, column] - weights[:, length]).mean()
    assert fitted.reward(texts, np.array([0]), [None])[0] == pytest.approx(everybody)


def test_it_scores_from_disk_without_the_table(tmp_path: Path) -> None:
    prefs = by_pair(attributes.Config(users=4, pairs_per_user=20), attributes)
    fitted = told(prefs, tmp_path)
    fitted.save(tmp_path / "model")
    again = Oracle.load(tmp_path / "model", Compute())
    texts, a, _ = distinct_texts(prefs.pairs)
    for user in (*fitted.users, None, "stranger"):
        expected = fitted.reward(texts, a, [user] * len(a))
        assert np.array_equal(again.reward(texts, a, [user] * len(a)), expected)
    with pytest.raises(ArtifactError, match="not of 'length'"):
        Length.load(tmp_path / "model", Compute())


def test_people_that_no_training_row_shows_are_known_after_adapt(tmp_path: Path) -> None:
    """Whoever wants rabbits or birds is nobody to the fit, whose mean is of the others alone."""
    prefs = pets.simulate(pets.Config(users=8, ood=4))
    fitted = told(prefs, tmp_path)
    assert len(fitted.users) == 4
    unseen = prefs.filter(pl.col("user_split") == "unseen")
    adapted = fitted.adapt(support_view(unseen), TrainContext(0, tmp_path, truth=prefs.meta.truth))
    assert len(adapted.users) == 8
    assert adapted.population == fitted.population
    frame = score_pairs(adapted, unseen, LABEL).frame
    assert ((frame["margin"] > 0) == (frame["label"] > 0.5)).all()
    before = score_pairs(fitted, unseen, LABEL).frame
    assert ((before["margin"] > 0) == (before["label"] > 0.5)).mean() == pytest.approx(0.5)


def test_only_the_oracle_is_told_the_truth(tmp_path: Path) -> None:
    heard = []

    @dataclasses.dataclass(frozen=True)
    class Listening(Length):
        def fit(self, prefs: Preferences, ctx: TrainContext) -> "Listening":
            heard.append((ctx.truth, prefs.meta.truth))
            return self

    ctx = TrainContext(0, tmp_path)
    fit_and_score(simulated(), Listening(), ctx, Label("run", "length", 0), card=METHODS["length"])
    assert heard == [(None, None)]
    fitted = fit_and_score(simulated(), Oracle(), ctx, LABEL, card=METHODS["oracle"]).method
    assert fitted.truth == simulated().meta.truth  # type: ignore[attr-defined]


def test_what_has_no_truth_is_refused_in_plain_words(tmp_path: Path) -> None:
    ctx = TrainContext(0, tmp_path)
    with pytest.raises(UsageError, match="this table has no known truth") as error:
        fit_and_score(population(), Oracle(), ctx, LABEL, card=METHODS["oracle"])
    assert error.value.hint == "plt dataset-simulate attributes -o simulated.parquet"
    of_scores = TrainContext(0, tmp_path, truth={"simulator": "personalllm-dirichlet"})
    with pytest.raises(UsageError, match="that of 'personalllm-dirichlet', from which no text's"):
        Oracle().fit(judged({"u": 1.0}, 3), of_scores)
    renamed = pseudonymise(simulated(), b"k" * 32)
    with pytest.raises(UsageError, match="were their names replaced") as error:
        fit_and_score(renamed, Oracle(), ctx, LABEL, card=METHODS["oracle"])
    assert error.value.problems[0].startswith("no true reward of user 'u-")
    fitted = told(simulated(), tmp_path)
    other = TrainContext(0, tmp_path, truth=dict(simulated().meta.truth or {}) | {"seed": 1})
    with pytest.raises(UsageError, match="truth of another population"):
        fitted.adapt(support_view(simulated()), other)
    with pytest.raises(ValueError, match="after fit"):
        Oracle().save(tmp_path)


def test_method_all_leaves_it_out_where_nobody_knows_the_truth() -> None:
    asked = Asked("all", None, {}, [], None, "total", None)
    reason = plan(asked, population(), has_profiles=False).skipped["oracle"]
    assert reason == "the table is not simulated, so nobody knows its truth"
    assert "oracle" not in plan(asked, simulated(), has_profiles=False).skipped
