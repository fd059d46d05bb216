"""Tables at the edge of what can be learnt: finite margins from every method."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from plt.data.tables.preferences import Preferences
from plt.errors import DataError
from plt.train.judgements import support_view, training_view
from plt.train.method import Compute, TrainContext
from plt.train.registry import METHODS, make_method, method_card
from plt.train.runs.scoring import Label, score_pairs
from tests.contracts.population import population_of, seen, without_validation
from tests.contracts.smaller import smaller, write_model

LINEAR = ("bradley-terry", "individual", "eb-shrinkage", "p-rm", "pref", "lore")


def labelled(prefs: Preferences, label: pl.Expr) -> Preferences:
    """The table with other labels."""
    dtype = prefs.votes.schema["label"]
    return replace(prefs, votes=prefs.votes.with_columns(label=label.cast(dtype)))


def one_user(prefs: Preferences) -> Preferences:
    return prefs.filter((pl.col("user_id") == seen(prefs)[0]) | (pl.col("user_split") == "unseen"))


def one_judgement_each(prefs: Preferences) -> Preferences:
    train = prefs.filter((pl.col("split") == "train") | (pl.col("user_split") == "unseen"))
    first = pl.int_range(pl.len()).over("user_id") < 1
    votes = train.votes.filter(first | (pl.col("user_split") == "unseen"))
    pairs = train.pairs.join(votes.select("pair_id").unique(), on="pair_id", how="semi")
    return replace(train, votes=votes, pairs=pairs)


def identical_embeddings(prefs: Preferences) -> Preferences:
    """Both answers are the same words, one in capitals, which the encoder does not see."""
    text = pl.col("response_a")
    pairs = prefs.pairs.with_columns(response_b=text.str.to_uppercase())
    return replace(prefs, pairs=pairs)


def two_texts(prefs: Preferences) -> Preferences:
    """Everybody judges one pair."""
    known = prefs.votes.filter((pl.col("user_split") == "seen") & pl.col("user_id").is_not_null())
    votes = prefs.votes.filter(pl.col("pair_id") == known["pair_id"].mode().min())
    train = pl.lit("train").cast(votes.schema["split"])
    pairs = prefs.pairs.join(votes.select("pair_id").unique(), on="pair_id", how="semi")
    return replace(prefs, votes=votes.with_columns(split=train), pairs=pairs)


TABLES: dict[str, Callable[[Preferences], Preferences]] = {
    "one user": one_user,
    "one judgement each": one_judgement_each,
    "all ties": lambda prefs: labelled(prefs, pl.lit(0.5)),
    "soft labels": lambda prefs: labelled(prefs, 0.2 + 0.6 * pl.col("label")),
    "one side only": lambda prefs: labelled(prefs, pl.lit(1.0)),
    "identical embeddings": identical_embeddings,
    "two texts": two_texts,
    "no validation rows": without_validation,
}


@cache
def small_model() -> Path:
    return write_model(Path(tempfile.mkdtemp()) / "model")


@pytest.fixture(scope="module")
def compute(tmp_path_factory: pytest.TempPathFactory) -> Compute:
    return Compute(device="cpu", cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in LINEAR else [pytest.mark.slow]) for n in METHODS],
)
def test_margins_are_numbers(name: str, table: str, compute: Compute, tmp_path: Path) -> None:
    card = method_card(name)
    prefs = TABLES[table](population_of(name))
    policy = card.kind == "policy"
    method = make_method(name, smaller(name, small_model()) if policy else {})
    ctx = TrainContext(0, tmp_path, compute, truth=prefs.meta.truth if card.reads_truth else None)
    if (name, table) == ("sft", "all ties"):
        with pytest.raises(DataError, match="every judgement is a tie"):
            method.fit(training_view(prefs), ctx)
        return
    fitted = method.fit(training_view(prefs), ctx)
    new = prefs.filter(pl.col("user_split") == "unseen")
    known = score_pairs(fitted, prefs, Label("run", name, 0)).frame
    adapted = fitted.adapt(support_view(new), ctx)
    told = score_pairs(adapted, prefs, Label("run", name, 0)).frame
    assert known["margin"].is_finite().all()
    assert told["margin"].is_finite().all()
    if table == "all ties" and card.trains and card.backbone != "none" and not policy:
        # Nobody prefers anything: what is learnt is that.
        assert np.abs(known["margin"].to_numpy()).max() < 0.2, f"{name} prefers"
