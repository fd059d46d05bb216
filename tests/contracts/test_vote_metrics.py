"""What every registered figure of votes must do, whatever it is."""

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from plt.analyze.registry import METRICS, load_metric
from plt.analyze.votes.votes import Votes, read_rows
from tests.analyze.vote_tables import Row, frame

VOTE_METRICS = [name for name, card in METRICS.items() if card.kind == "votes"]


def crowd(seed: int = 0) -> pl.DataFrame:
    """Nine users in two camps, 30 pairs in 15 groups, ties, repeats, missing votes."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for pair in range(30):
        truth = rng.integers(0, 2)
        for user in range(9):
            for occurrence in range(rng.choice([0, 1, 1, 1, 1, 1, 2, 3])):
                wants = truth ^ (user % 3 == 0) ^ (rng.random() < 0.15)
                label = 0.5 if rng.random() < 0.05 else float(wants)
                rows.append((f"u{user}", pair, label, occurrence, f"g{pair // 2}"))
    return frame(rows)


def numbers(found: Any) -> Any:
    """Everything in a result, with arrays as lists, for comparison."""
    if dataclasses.is_dataclass(found):
        return {f.name: numbers(getattr(found, f.name)) for f in dataclasses.fields(found)}
    if isinstance(found, np.ndarray):
        return found.tolist()
    if isinstance(found, dict):
        return {str(key): numbers(value) for key, value in found.items()}
    return list(found) if isinstance(found, tuple) else found


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list) or (isinstance(one, float) and not isinstance(one, bool)):
        assert np.array(one, dtype=float) == pytest.approx(np.array(other, dtype=float), abs=1e-10)
    else:
        assert one == other


@pytest.fixture(params=VOTE_METRICS)
def metric(request: pytest.FixtureRequest) -> Callable[[Votes], Any]:
    return load_metric(METRICS[request.param])


def test_the_order_of_rows_changes_nothing(metric: Callable[[Votes], Any]) -> None:
    votes = crowd()
    order = list(range(votes.height))
    random.Random(0).shuffle(order)
    assert_same(numbers(metric(read_rows(votes))), numbers(metric(read_rows(votes[order]))))


def test_which_response_is_called_a_changes_nothing(metric: Callable[[Votes], Any]) -> None:
    votes = crowd()
    turned = pl.col("pair_id").is_in([1, 2, 5, 11, 20, 29])
    flipped = votes.with_columns(
        pl.when(turned).then(1 - pl.col("label")).otherwise("label").alias("label")
    )
    assert_same(numbers(metric(read_rows(votes))), numbers(metric(read_rows(flipped))))


def test_names_of_users_change_nothing(metric: Callable[[Votes], Any]) -> None:
    votes = crowd()
    renamed = votes.with_columns(pl.concat_str(pl.lit("person of "), "user_id").alias("user_id"))
    assert_same(numbers(metric(read_rows(votes))), numbers(metric(read_rows(renamed))))


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([], id="no rows"),
        pytest.param([("u", 1, 1.0, 0, "g")], id="one judgement"),
        pytest.param([("u", 1, 1.0, 0, "g"), ("v", 1, 0.0, 0, "g")], id="two judgements"),
        pytest.param([("u", p, 1.0, 0, "g") for p in range(9)], id="one user"),
        pytest.param([(f"u{i}", i, 1.0, 0, None) for i in range(9)], id="no overlap"),
        pytest.param([(f"u{i}", 1, 0.5, 0, None) for i in range(9)], id="all ties"),
        pytest.param([(f"u{i}", 1, 1.0, 0, None) for i in range(9)], id="one vote each"),
        pytest.param([(f"u{i}", 1, None, 0, None) for i in range(3)], id="no labels"),
        pytest.param([(None, i, 1.0, 0, None) for i in range(3)], id="no users"),
        pytest.param([("u", 1, 1.0, i, "g") for i in range(4)], id="one user, one pair, again"),
        pytest.param(
            [(u, p, 1.0, i, "g") for u in "uvw" for p in range(3) for i in (0, 1)],
            id="all the same, one group",
        ),
    ],
)
def test_degenerate_tables_give_figures_or_nulls(
    metric: Callable[[Votes], Any], rows: list[Row]
) -> None:
    found = [numbers(metric(read_rows(frame(rows))))]
    while found:
        each = found.pop()
        if isinstance(each, dict):
            found += each.values()
        elif isinstance(each, list):
            found += each
        elif isinstance(each, float):
            assert np.isfinite(each)
