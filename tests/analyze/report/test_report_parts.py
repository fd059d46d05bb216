"""People, the metrics table, gates, published figures and words of a comparison."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from plt.analyze.comparison.compare import Comparison, compare
from plt.analyze.comparison.entries import Condition, Cost, Entry
from plt.analyze.registry import METRICS
from plt.analyze.report.beside import NOT_OURS, beside, too_good
from plt.analyze.report.figures_table import figures_table
from plt.analyze.report.gates import check_limits, check_no_worse, check_tax, read_limits
from plt.analyze.report.glossary import explain, glossary
from plt.analyze.report.people import people
from plt.analyze.report.published import published
from plt.analyze.tax.change import tax
from plt.data.tables.schema import METRICS_TABLE, validate
from plt.errors import UsageError
from tests.analyze.score_tables import scores
from tests.analyze.tax.test_change import BENCH, drawn

N_USERS, N_PAIRS = 12, 30


def entry(name: str, right: np.ndarray, dataset: str = "made") -> Entry:
    """A run that is right exactly where `right` says, on everybody's 30 pairs."""
    users: list[str | None] = [f"u{u:02d}" for u in range(N_USERS) for _ in range(N_PAIRS)]
    pairs = [p for _ in range(N_USERS) for p in range(N_PAIRS)]
    label = np.tile([1.0, 0.0], N_USERS * N_PAIRS // 2)
    side = np.where(label > 0.5, 1.0, -1.0)
    table = scores(label, np.where(right, side, -side), users, pairs).with_columns(
        run_id=pl.lit(name), method=pl.lit(name), dataset=pl.lit(dataset)
    )
    return Entry(name, name, name, table)


def share(p: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(N_USERS * N_PAIRS) < p


@pytest.fixture(scope="module")
def found() -> Comparison:
    made = replace(entry("better", share(0.85, 2)), cost=Cost(2.5, 700.0, 384, None, 1000))
    return compare([entry("bradley-terry", share(0.6)), made, entry("same", share(0.6))])


def test_people_are_counted_by_hand(found: Comparison) -> None:
    """Accuracy of each is a plain mean; the interval holds it and is never a point."""
    made = people(found)
    assert made is not None
    assert made.names == tuple(f"u{u:02d}" for u in range(N_USERS))
    for i, (p, seed) in enumerate([(0.6, 0), (0.85, 2), (0.6, 0)]):
        expected = share(p, seed).reshape(N_USERS, N_PAIRS).mean(axis=1)
        np.testing.assert_allclose(made.value[i], expected, atol=1e-12)
    assert (made.low < made.value + 1e-12).all()
    assert (made.high > made.low).all()
    assert made.n_judgements.tolist() == [N_PAIRS] * N_USERS


def test_people_without_users() -> None:
    one = entry("a", share(0.6))
    table = one.scores.with_columns(user_id=pl.lit(None, dtype=pl.String)).unique("pair_id")
    assert people(compare([replace(one, scores=table)])) is None


def test_the_table_fits_its_contract_and_repeats_the_comparison(found: Comparison) -> None:
    table = figures_table(found, "test", None)
    assert validate(table, METRICS_TABLE) == []
    gain = table.filter((pl.col("metric") == "gain") & (pl.col("name") == "better")).row(
        0, named=True
    )
    own = found.rows[1].gain.own  # type: ignore[union-attr]
    assert gain["value"] == own.interval.value
    assert (gain["adjusted_low"], gain["adjusted_high"], gain["p"]) == (own.low, own.high, own.p)
    # What holds for two gains at once is wider than what holds for one.
    assert gain["adjusted_low"] <= gain["ci_low"] < gain["ci_high"] <= gain["adjusted_high"]
    assert (gain["n_seeds"], gain["baseline"], gain["df"]) == (1, "bradley-terry", own.interval.df)
    assert (gain["effective_users"], gain["n_users"]) == (pytest.approx(N_USERS), N_USERS)
    assert (gain["seconds"], gain["parameters"], gain["tokens"]) == (2.5, 384, None)
    accuracy = table.filter((pl.col("metric") == "accuracy") & (pl.col("average") == "user")).sort(
        "name"
    )
    expected = [share(0.85, 2).mean(), share(0.6).mean(), share(0.6).mean()]
    np.testing.assert_allclose(accuracy["value"], [expected[0], *expected[1:]])
    assert accuracy["adjusted_low"].null_count() == 3
    same = table.filter((pl.col("metric") == "gain") & (pl.col("name") == "same"))
    assert (same["value"][0], same["adjusted_low"][0]) == (0.0, None)
    assert "same answers" in same["interval"][0]


def test_limits_are_held_at_the_worse_end(found: Comparison) -> None:
    better = found.rows[1].macro
    assert better.low is not None
    assert better.high is not None
    just = [f"accuracy={better.low - 1e-9}"]
    passed = {each.run: each.passed for each in check_limits(found, read_limits(just, "min"))}
    assert passed == {"better": True, "same": False}  # the baseline is held to nothing
    over = read_limits([f"accuracy={better.value}"], "min")
    assert not check_limits(found, over)[0].passed
    upper = read_limits([f"log_loss={found.rows[1].log_loss.value}"], "max")
    assert not check_limits(found, upper)[0].passed
    unknown = check_limits(found, read_limits(["minority_accuracy=0.1"], "min"))
    assert not any(each.passed for each in unknown)
    assert "is not known" in unknown[0].sentence


@pytest.mark.parametrize("text", ["accuracy", "accuracy=high", "acuracy=0.5", "=0.5"])
def test_limits_that_are_none(text: str) -> None:
    with pytest.raises(UsageError):
        read_limits([text], "min")


def test_no_worse_than_is_the_lower_end_of_the_gain(found: Comparison) -> None:
    by_run = {each.run: each for each in check_no_worse(found, 0.01)}
    assert by_run["better"].passed
    assert by_run["same"].passed  # the same answers lose nothing
    worse = compare([entry("bradley-terry", share(0.6)), entry("b", share(0.6, 5))])
    gain = worse.rows[1].gain
    assert gain is not None
    assert gain.own.low is not None
    wide = check_no_worse(worse, -gain.own.low + 1e-6)
    narrow = check_no_worse(worse, -gain.own.low - 1e-6)
    assert (wide[0].passed, narrow[0].passed) == (True, False)


def test_a_tax_is_within_a_budget_by_the_worse_end() -> None:
    found = tax(drawn(1, 0.3), drawn(2, 0.8), BENCH)
    losses = [-float(each.change.low or 0) for each in found.sections if each.change]
    assert max(losses) > 0
    for budget in (max(losses) + 1e-9, max(losses) - 1e-9):
        passed = [each.passed for each in check_tax(found, "run", budget)]
        assert passed == [loss <= budget for loss in losses]
    alone = check_tax(tax(drawn(1, 0.3), None, BENCH), "run", 1.0)
    assert not any(each.passed for each in alone)
    assert "no base" in alone[0].sentence
    same = check_tax(tax(drawn(1, 0.3), drawn(1, 0.3), BENCH), "run", 0.0)
    assert all(each.passed for each in same)


def test_published_figures_stand_beside_the_run_of_their_method() -> None:
    ours = replace(
        entry("bradley-terry", share(0.6), "tldr"),
        condition=Condition(model="builtin:minilm", tune="head", train_size=500),
    )
    pairs = beside(compare([ours]), "tldr:top5")
    vanilla = [pair for pair in pairs if pair.theirs.method == "bradley-terry"]
    assert [pair.theirs.value for pair in vanilla] == [0.59, 0.60, 0.64]
    assert all(pair.name == "bradley-terry" for pair in vanilla)
    assert vanilla[0].reasons == ("our model is builtin:minilm, head", "500 of our training rows")
    assert all(pair.reasons == (NOT_OURS,) for pair in pairs if pair.name is None)
    assert beside(compare([ours]), "synthetic:attributes") == ()


def test_published_figures_are_shares_of_known_methods() -> None:
    from plt.train.registry import METHODS

    for dataset in ("prism", "tldr", "psoups", "personalllm", "ultrafeedback-p"):
        assert published(dataset)
        for each in published(dataset):
            assert each.method in METHODS or each.method == "plus"
            assert 0.4 < each.value < 1


def test_too_good_to_be_true_is_a_warning() -> None:
    run = entry("bradley-terry", share(0.8), "prism")
    assert "look for a leak" in too_good(compare([run]), "prism")[0]
    modest = entry("bradley-terry", share(0.6), "prism")
    assert too_good(compare([modest]), "prism") == []
    assert too_good(compare([run]), "tldr") == []


def test_every_metric_and_every_column_has_words() -> None:
    from plt.cli.pages.comparison import ACCURACY_COLUMNS, MINORITY_COLUMN
    from plt.cli.pages.gains import GAIN_COLUMNS
    from plt.cli.pages.report.tables import COST_COLUMNS

    cards = glossary()
    assert set(METRICS) <= set(cards)
    pooled = {"method", "pooled", "training judgements", "test judgements"}
    for column in {*ACCURACY_COLUMNS, *GAIN_COLUMNS, *COST_COLUMNS, MINORITY_COLUMN} - pooled:
        assert explain(column.partition(" (s)")[0].partition(" (MiB)")[0]).what


def test_an_unknown_figure_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'gain'"):
        explain("gian")
    assert explain("Worst tenth").name == "worst_decile_accuracy"
    assert explain("WORST-USER accuracy").name == "worst_user_accuracy"
