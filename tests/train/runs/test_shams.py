"""What the shuffled ids keep and what they destroy."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from plt.data.tables.preferences import Preferences
from plt.data.tables.schema import PREFERENCES, SCORES, validate
from plt.train.judgements import read_judgements, training_view
from plt.train.method import Compute, TrainContext
from plt.train.registry import make_method
from plt.train.runs.fit_and_score import fit_and_score
from plt.train.runs.scoring import Label
from plt.train.runs.shams import shuffled_ids
from tests.contracts.population import population


@pytest.fixture(scope="module")
def people() -> Preferences:
    prefs = population()
    profile = pl.lit("I am ") + pl.col("user_id").cast(pl.String)
    votes = prefs.votes.with_columns(profile=profile.cast(pl.Categorical))
    return replace(prefs, votes=votes)


def rows_of(votes: pl.DataFrame) -> Counter[tuple[object, ...]]:
    return Counter(votes.select(pl.col("user_id", "split").cast(pl.String)).rows())


def test_users_keep_their_number_of_rows_and_pairs_their_votes(people: Preferences) -> None:
    view = training_view(people)
    sham = shuffled_ids(view, 0)
    assert rows_of(sham.votes) == rows_of(view.votes)
    votes = [
        Counter(v.votes.select("pair_id", "label", "group", "split").rows()) for v in (view, sham)
    ]
    assert votes[0] == votes[1]
    assert sham.pairs.equals(view.pairs)
    vote_schema = replace(
        PREFERENCES, columns=tuple(c for c in PREFERENCES.columns if c.name in sham.votes.columns)
    )
    assert validate(sham.votes, vote_schema) == []
    named = sham.votes.drop_nulls("user_id")
    assert (named["profile"].cast(pl.String) == "I am " + named["user_id"].cast(pl.String)).all()
    assert sham.votes["user_id"].null_count() == view.votes["user_id"].null_count() == 1


def test_the_link_is_gone(people: Preferences) -> None:
    """Warm and dry users differ by 0.9 in their votes for the warm answer; shuffled, by chance."""

    def gap(prefs: Preferences) -> float:
        rows = read_judgements(prefs)
        warm = np.array(["!" in rows.texts.responses[i] for i in rows.a])
        likes = np.where(warm, rows.label, 1 - rows.label)
        first = np.isin(rows.user, range(6))
        return float(likes[first].mean() - likes[~first & (rows.user >= 0)].mean())

    view = training_view(people)
    assert gap(view) > 0.75
    gaps = [gap(shuffled_ids(view, seed)) for seed in range(40)]
    assert abs(np.mean(gaps)) < 3 * np.std(gaps) / np.sqrt(40)


def test_only_seed_and_content_decide(people: Preferences) -> None:
    view = training_view(people)
    turned = replace(view, votes=view.votes.sample(fraction=1, shuffle=True, seed=4))
    one, other, again = (
        shuffled_ids(v, seed).votes.sort("user_id", "pair_id", "occurrence", "split", "label")
        for v, seed in ((view, 1), (view, 2), (turned, 1))
    )
    assert one.equals(again)
    assert not one.equals(other)


def test_a_personal_method_loses_its_gain(people: Preferences, tmp_path: Path) -> None:
    ctx = TrainContext(0, tmp_path, Compute(device="cpu", cache_dir=tmp_path / "cache"))
    method = make_method("individual", {})
    fitted = fit_and_score(people, method, ctx, Label("r", "individual", 0), sham="train")
    assert validate(fitted.scores.frame, SCORES) == []
    test = fitted.scores.frame.filter(pl.col("split") == "test", pl.col("label") != 0.5)
    right = (pl.col("margin") > 0) == (pl.col("label") > 0.5)
    of = dict(test.group_by(pl.col("control").cast(pl.String)).agg(right.mean()).rows())
    assert of[None] > 0.85
    assert abs(of["shuffled-ids"] - 0.5) < 0.25
    counts = dict(test["control"].cast(pl.String).value_counts().rows())
    assert counts[None] == counts["shuffled-ids"]
    plain = fit_and_score(people, method, ctx, Label("r", "individual", 0), sham="none")
    assert plain.scores.frame["control"].null_count() == plain.scores.frame.height
    own = fitted.scores.frame.filter(pl.col("control").is_null())
    assert own.equals(plain.scores.frame)


def test_user_blind_methods_are_not_fitted_twice(people: Preferences, tmp_path: Path) -> None:
    ctx = TrainContext(0, tmp_path, Compute(device="cpu"))
    fitted = fit_and_score(
        people, make_method("length", {}), ctx, Label("r", "length", 0), sham="train"
    )
    assert fitted.scores.frame["control"].null_count() == fitted.scores.frame.height
    assert any("scores everybody alike" in note for note in fitted.notes)
