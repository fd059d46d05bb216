import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plt.data.reading.ratings import SAME_TEXT, PairRule, pairs_of_ratings
from plt.errors import DataError


def ratings(lists: list[list[float | None]]) -> pl.DataFrame:
    rows = [
        {"list": i, "seed_text": f"list {i}", "response": f"r{j}", "score": score, "source": None}
        for i, scores in enumerate(lists)
        for j, score in enumerate(scores)
    ]
    schema = {"list": pl.Int64, "seed_text": pl.String, "response": pl.String}
    return pl.DataFrame(rows, schema=schema | {"score": pl.Float64, "source": pl.String})


scores = st.lists(st.none() | st.integers(-3, 3).map(float), max_size=7)


@settings(max_examples=40, deadline=None)
@given(st.lists(scores, min_size=1, max_size=5))
def test_all_pairs_are_counted_kept_or_dropped(lists: list[list[float | None]]) -> None:
    pairs, dropped = pairs_of_ratings(ratings(lists), PairRule(), "x")
    rated = [[score for score in part if score is not None] for part in lists]
    assert pairs.height + dropped["score tie"] == sum(len(p) * (len(p) - 1) // 2 for p in rated)
    assert dropped["no score"] == sum(map(len, lists)) - sum(map(len, rated))
    higher = pairs["score_1"] > pairs["score_2"]
    assert (pairs["label"] == higher.cast(pl.Float64)).all()
    for row in pairs.iter_rows(named=True):
        assert lists[row["list"]][int(row["response_1"][1:])] == row["score_1"]
        assert row["response_1"] != row["response_2"]


@settings(max_examples=25, deadline=None)
@given(st.lists(scores, min_size=1, max_size=5), st.integers(1, 9), st.integers(0, 3))
def test_random_pairs_are_a_subset_of_that_size(
    lists: list[list[float | None]], per_list: int, seed: int
) -> None:
    every, _ = pairs_of_ratings(ratings(lists), PairRule(tie_below=1e-9), "x")
    rule = PairRule("random", per_list, 1e-9, seed)
    drawn, _ = pairs_of_ratings(ratings(lists), rule, "x")
    key = ["list", "response_1", "response_2"]
    assert drawn.join(every, on=[*key, "label"], how="semi").height == drawn.height
    assert not drawn.select(key).is_duplicated().any()
    for i in range(len(lists)):
        assert (drawn["list"] == i).sum() == min(per_list, (every["list"] == i).sum())
    again, _ = pairs_of_ratings(ratings(lists).reverse(), rule, "x")
    assert again.sort(key).equals(drawn.sort(key))


def test_random_pairs_are_uniform() -> None:
    lists = [[1.0, 2.0, 3.0, 4.0, 5.0]] * 4000
    drawn, _ = pairs_of_ratings(ratings(lists), PairRule("random", 1), "x")
    counts = drawn.group_by("response_1", "response_2").len()["len"].to_numpy()
    assert len(counts) == 10
    # Chi-square with 9 degrees of freedom; its 99.9 % quantile is 27.9, and the draw is fixed.
    assert ((counts - 400.0) ** 2 / 400).sum() < 27.9


@settings(max_examples=30, deadline=None)
@given(scores)
def test_best_against_worst(part: list[float | None]) -> None:
    rated = [score for score in part if score is not None]
    pairs, dropped = pairs_of_ratings(ratings([part]), PairRule("best-worst"), "x")
    if len(rated) < 2:
        assert pairs.height == dropped["score tie"] == 0
    elif max(rated) == min(rated):
        assert (pairs.height, dropped["score tie"]) == (0, 1)
    else:
        row = pairs.row(0, named=True)
        assert {row["score_1"], row["score_2"]} == {max(rated), min(rated)}
        assert row["label"] == float(row["score_1"] > row["score_2"])


def test_tie_threshold_is_strict() -> None:
    pairs, _ = pairs_of_ratings(ratings([[0.0, 1.0, 3.0]]), PairRule(tie_below=2.0), "x")
    assert dict(zip(pairs["score_2"] - pairs["score_1"], pairs["label"], strict=True)) == {
        1.0: 0.5, 3.0: 0.0, 2.0: 0.0,
    }  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.integers(-400, 400), st.integers(-400, 400), st.integers(1, 40))
def test_tie_threshold_is_that_of_the_decimals(one: int, two: int, below: int) -> None:
    rule = PairRule(tie_below=below / 20)
    pairs, _ = pairs_of_ratings(ratings([[one / 20, two / 20]]), rule, "x")
    assert (pairs["label"][0] == 0.5) == (abs(one - two) < below)


def test_the_refusal_hints_at_a_number_that_is_accepted() -> None:
    lists = pl.DataFrame(
        {
            "list": np.repeat(np.arange(200_000), 8),
            "seed_text": "",
            "response": np.tile([f"r{j}" for j in range(8)], 200_000),
            "score": np.tile(np.arange(8.0), 200_000),
            "source": pl.Series([None] * 1_600_000, dtype=pl.String),
        }
    )
    with pytest.raises(DataError, match=r"5,600,000 pairs") as caught:
        pairs_of_ratings(lists, PairRule(), "x")
    assert caught.value.hint == "--pairs random:12"


def test_scores_that_belong_to_no_response_are_counted() -> None:
    frame = ratings([[1.0, 2.0, 3.0]]).with_columns(
        response=pl.when(pl.col("response") == "r1").then(None).otherwise("response")
    )
    pairs, dropped = pairs_of_ratings(frame, PairRule(), "x")
    assert pairs.height == 1
    assert dropped == {"no score": 0, "score without a response": 1, SAME_TEXT: 0, "score tie": 0}
