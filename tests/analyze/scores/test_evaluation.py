"""Which rows count, and the figures of a scores table worked by hand."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from plt.analyze.registry import METRICS
from plt.analyze.scores.accuracy import accuracy
from plt.analyze.scores.evaluation import compute, evaluation_rows, measure, select_rows
from plt.data.tables.schema import METRICS_TABLE, validate
from tests.analyze.score_tables import scores


def figure(name: str, table: pl.DataFrame, average: str = "pair") -> float | None:
    return compute(METRICS[name], evaluation_rows(table), average).value


def test_ties_leave_and_are_counted_and_what_is_undecided_is_half_right() -> None:
    table = scores([1, 0, 0.5, 1, 0.9], [2.0, 1.0, 3.0, 0.0, 0.1], ["u"] * 5)
    rows = evaluation_rows(table)
    assert rows.n_ties == 1
    assert rows.correct.tolist() == [1.0, 0.0, 0.5, 1.0]
    assert figure("accuracy", table) == 0.625
    rounding = scores([1, 0, 1, 0], [1e-9, -1e-9, -2e-6, -2e-6], ["u"] * 4)
    assert evaluation_rows(rounding).correct.tolist() == [0.5, 0.5, 0.0, 1.0]


def test_unlabelled_rows_are_no_judgements() -> None:
    table = scores([1, float("nan")], [1.0, 1.0], ["u", "u"]).with_columns(
        pl.col("label").fill_nan(None)
    )
    rows = evaluation_rows(table)
    assert (rows.margin.size, rows.n_ties) == (1, 0)


def test_macro_and_pooled_as_worked_in_the_docstring() -> None:
    users = ["many"] * 12 + ["few"] * 2
    right = [1.0] * 10 + [-1.0] * 2 + [1.0, -1.0]
    table = scores([1.0] * 14, right, users)
    assert figure("accuracy", table, "pair") == pytest.approx(11 / 14)
    assert figure("accuracy", table, "user") == pytest.approx(2 / 3)
    worst = compute(METRICS["worst_user_accuracy"], evaluation_rows(table), "user")
    assert worst.value == 0.5
    assert worst.target == "these-users"
    # Two users, so 0.0125 a side of each: the lower bound of 1 right in 2 is the lowest.
    assert worst.low == pytest.approx(1 - (1 - 0.0125) ** 0.5)
    assert worst.high == pytest.approx(stats.beta.ppf(1 - 0.0125, 11, 2))


def test_worst_user_is_null_for_one_user() -> None:
    found = compute(
        METRICS["worst_user_accuracy"], evaluation_rows(scores([1], [1], ["u"])), "user"
    )
    assert found.value is None
    assert found.reason == "fewer than two users"


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_auc_and_log_loss_against_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 60))
    label = rng.integers(0, 2, n).astype(float)
    label[:2] = 0.0, 1.0
    margin = np.round(rng.normal(0, 1, n), 1)  # rounding makes ties of margins
    table = scores(label, margin, [f"u{i % 3}" for i in range(n)])
    assert figure("auc", table) == pytest.approx(roc_auc_score(label, margin))
    expected = sklearn_log_loss(label, 1 / (1 + np.exp(-margin)))
    assert figure("log_loss", table) == pytest.approx(expected)


def test_auc_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Margins N(0.7, 1) against N(-0.7, 1): the AUC is Phi(1.4 / sqrt 2) = 0.8389."""
    truth, hits = 0.8389, 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        label = rng.integers(0, 2, 200).astype(float)
        margin = rng.normal(np.where(label > 0, 0.7, -0.7), 1)
        table = scores(
            label, margin, [f"u{i % 20}" for i in range(200)], [i // 4 for i in range(200)]
        )
        found = compute(METRICS["auc"], evaluation_rows(table), "pair")
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= truth <= found.high
    assert 0.90 <= hits / 150 <= 0.995  # three standard errors around 0.95 and a cautious t


def test_log_loss_without_variation_has_no_interval() -> None:
    found = compute(
        METRICS["log_loss"], evaluation_rows(scores([1] * 9, [0] * 9, ["u"] * 9)), "pair"
    )
    assert found.value == pytest.approx(np.log(2))
    assert (found.low, found.high) == (None, None)


def test_auc_is_null_when_all_have_one_side() -> None:
    found = compute(METRICS["auc"], evaluation_rows(scores([1, 1], [1, 2], ["u", "v"])), "pair")
    assert (found.value, found.reason) == (None, "every judgement has one side")


def test_without_users_only_groups_are_left() -> None:
    table = scores([1, 0, 1, 0], [1, -1, -1, -2], [None] * 4)
    rows = evaluation_rows(table)
    assert rows.users is None
    pooled = compute(METRICS["accuracy"], rows, "pair")
    assert (pooled.value, pooled.target) == (0.75, "groups")
    assert compute(METRICS["accuracy"], rows, "user").value is None


def test_measure_makes_a_valid_table_for_every_part() -> None:
    n = 40
    rng = np.random.default_rng(0)
    table = scores(
        rng.integers(0, 2, n).astype(float), rng.normal(size=n), [f"u{i % 4}" for i in range(n)],
        split=["val", "test"] * (n // 2),
    )  # fmt: skip
    sham = table.with_columns(control=pl.lit("wrong-user"))
    made = measure(pl.concat([table, sham.cast(dict(table.schema))]), command="train")
    assert validate(made, METRICS_TABLE) == []
    parts = made.select("split", "control").unique()
    assert parts.height == 4
    assert made.filter(metric="accuracy")["n_pairs"].sum() == 2 * 4 * n // 2


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_row_order_and_names_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 30
    users = [f"u{i % 5}" for i in range(n)]
    table = scores(
        rng.integers(0, 2, n).astype(float), rng.normal(size=n), users, [i // 3 for i in range(n)]
    )
    shuffled = table.sample(fraction=1, shuffle=True, seed=seed)
    renamed = table.with_columns(user_id=pl.col("user_id").replace({"u0": "zz", "u3": "a"}))
    for name, card in METRICS.items():
        for average in card.averages if card.kind == "scores" else ():
            expected = compute(card, evaluation_rows(table), average)
            for other in (shuffled, renamed):
                found = compute(card, evaluation_rows(other), average)
                assert found.value == pytest.approx(expected.value), name
                assert found.low == pytest.approx(expected.low), name


def test_select_rows_leaves_shams_and_other_splits_out() -> None:
    table = scores([1.0] * 4, [1.0] * 4, list("abcd"), split=["train", "val", "test", "test"],
                   user_split=["seen", "seen", "seen", "unseen"],
                   control=[None, None, None, "wrong-user"])  # fmt: skip
    assert select_rows(table)["user_id"].to_list() == ["c"]
    assert select_rows(table, ("train", "val"))["user_id"].to_list() == ["a", "b"]
    unsplit = table.with_columns(split=None, user_split=None)
    assert select_rows(unsplit).height == 3


def test_a_figure_says_its_effective_numbers_and_who_dominates() -> None:
    """One user with 30 of 74 judgements and one prompt with 37: 5.6 and 3.8 effective clusters."""
    users: list[str | None] = ["busy"] * 30 + [f"u{i}" for i in range(44)]
    pairs = [0] * 37 + list(range(1, 38))
    table = scores([1.0] * 74, [1.0, -1.0] * 37, users, pairs)
    rows = evaluation_rows(table)
    pooled, macro = accuracy(rows, "pair"), accuracy(rows, "user")
    assert [(each.kind, each.name, each.share) for each in pooled.dominant] == [
        ("user", "busy", pytest.approx(30 / 74)),
        ("group", "g0", 0.5),
    ]
    assert pooled.target == "these-judgements"
    assert macro.target == "population"
    found = measure(table, command="test").filter(metric="accuracy")
    for row in found.iter_rows(named=True):
        own = pooled if row["average"] == "pair" else macro
        assert row["effective_users"] == own.effective_users
        assert row["effective_groups"] == own.effective_groups
        assert row["df"] == own.df
        assert row["p"] is row["adjusted_low"] is row["adjusted_high"] is row["n_seeds"] is None
    assert pooled.effective_users == pytest.approx(74**2 / (30**2 + 44))
    assert pooled.effective_groups == pytest.approx(74**2 / (37**2 + 37))
    part = accuracy(rows.where(rows.users != 0), "pair")
    assert [each.name for each in part.dominant] == []
