"""What every method's log loss must keep to: after few answers, without validation rows, in noise.

Accuracy hides overconfidence; a margin that is too large costs log loss at once.
"""

import functools
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from plt.data.tables.preferences import Preferences
from plt.train.judgements import support_view, training_view
from plt.train.method import Compute, Method, TrainContext
from plt.train.registry import METHODS, make_method
from plt.train.runs.scoring import Label, score_pairs
from tests.contracts.population import newcomers, noise, population, without_validation
from tests.contracts.smaller import smaller, write_model

ANSWERS = (1, 5, 20)
SLACK = 0.01
"""What a newcomer's log loss may lie above the generic user's, after few answers."""
BEYOND_ONE_MODEL = 0.05
"""What a method's log loss may lie above that of `bradley-terry`, in nats a judgement: without
validation rows, and where there is nothing to be learnt."""
BEYOND_OF_POLICIES = 0.1
"""The same of policies, which take a fixed number of steps whatever the validation rows say."""
SLOW = ("conditional", "pal", "dpl", "gpo", "vpl", "icl", "rag", "sft", "dpo", "p-dpo", "p-ipo")
"""Networks, and whatever asks a language model."""


def tiered(names: list[str]) -> list[object]:
    """Networks and policies in the slow tier."""
    return [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in names]


LIKELIHOOD = ("sft",)
"""Its margins are log-likelihoods of whole texts, no log-odds of a preference."""
TRAINED = [
    name
    for name, card in METHODS.items()
    if card.trains and name not in ("bradley-terry", *LIKELIHOOD)
]
PERSONAL = [name for name, card in METHODS.items() if card.personal and card.trains]
"""`rag` asks whatever language model it is given, and its card promises nothing."""


@pytest.fixture(scope="module")
def compute(tmp_path_factory: pytest.TempPathFactory) -> Compute:
    return Compute(device="cpu", cache_dir=tmp_path_factory.mktemp("cache"))


@functools.cache
def small_model() -> Path:
    """What policies begin from; reward models wait for none."""
    return write_model(Path(tempfile.mkdtemp()) / "model")


def fit(name: str, prefs: Preferences, compute: Compute, work: Path) -> Method:
    settings = {} if METHODS[name].kind == "reward" else smaller(name, small_model())
    method = make_method(name, settings)
    return method.fit(training_view(prefs), TrainContext(0, work, compute))


def log_loss(method: Method, asked: Preferences) -> float:
    """Mean over people of the mean over their test rows that are no ties, in nats."""
    rows = score_pairs(method, asked, Label("run", "method", 0)).frame.filter(
        pl.col("label") != 0.5
    )
    side = np.where(rows["label"].to_numpy() > 0.5, 1.0, -1.0)
    losses = np.logaddexp(0, -side * rows["margin"].to_numpy())
    _, person = np.unique(rows["user_id"].cast(pl.String).to_numpy(), return_inverse=True)
    return float((np.bincount(person, losses) / np.bincount(person)).mean())


def test_rows(prefs: Preferences, who: str) -> Preferences:
    return prefs.filter((pl.col("split") == "test") & (pl.col("user_split") == who))


test_rows.__test__ = False  # type: ignore[attr-defined] # it is asked for rows, no test


def first_answers(prefs: Preferences, n: int) -> Preferences:
    """The first n training rows of every newcomer, in the order of the pairs' hashes."""
    told = prefs.filter((pl.col("split") == "train") & (pl.col("user_split") == "unseen"))
    place = pl.int_range(pl.len()).over("user_id")
    votes = told.votes.sort("user_id", "pair_id").filter(place < n)
    pairs = told.pairs.join(votes.select("pair_id").unique(), on="pair_id", how="semi")
    return replace(told, votes=votes, pairs=pairs)


@pytest.mark.parametrize("name", tiered(PERSONAL))
def test_few_answers_do_newcomers_no_harm(name: str, compute: Compute, tmp_path: Path) -> None:
    """As the card says: a method that fails is marked there, and one that no longer does is not."""
    people = newcomers()
    method = fit(name, people, compute, tmp_path)
    asked = test_rows(people, "unseen")
    generic = log_loss(method, asked)
    found = {}
    for n in ANSWERS:
        told = support_view(first_answers(people, n))
        adapted = method.adapt(told, TrainContext(0, tmp_path, compute))
        found[n] = log_loss(adapted, asked)
    kept = all(loss <= generic + SLACK for loss in found.values())
    assert kept == METHODS[name].few_answers, f"{name}: generic {generic:.3f}, {found}"


@pytest.mark.parametrize("name", tiered(TRAINED))
@pytest.mark.parametrize("table", ["no validation rows", "pure noise"])
def test_log_loss_is_hardly_above_that_of_one_model_for_all(
    name: str, table: str, compute: Compute, tmp_path: Path
) -> None:
    prefs = without_validation(population()) if table != "pure noise" else noise(population())
    asked = test_rows(prefs, "seen").filter(pl.col("user_id").is_not_null())
    one = log_loss(fit("bradley-terry", prefs, compute, tmp_path), asked)
    own = log_loss(fit(name, prefs, compute, tmp_path), asked)
    beyond = BEYOND_ONE_MODEL if METHODS[name].kind == "reward" else BEYOND_OF_POLICIES
    assert own <= one + beyond, f"{name}: {own:.3f}, bradley-terry {one:.3f}"
