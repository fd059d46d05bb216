"""What is right on a benchmark: pairs, items of four, styles."""

import numpy as np
import polars as pl
import pytest

from plt.analyze.tax.items import bench_items, ties_margins
from plt.analyze.tax.sections import sections_of
from plt.data.benches import BENCHES, Bench
from plt.errors import DataError
from tests.analyze.tax.made_scores import scores

TWO = Bench("two", {"A": {"a": 1.0}, "B": {"b": 1.0}})
BEST_OF_FOUR = BENCHES["rewardbench2"]


def section(name: str, table: pl.DataFrame, bench: Bench = BEST_OF_FOUR) -> float:
    items = bench_items(table, bench, (None,))
    weights = next(each for each in sections_of(items, bench) if each.name == name).weights
    assert weights is not None
    return float(items.values[0] @ weights)


def test_a_pair_is_right_by_the_sign_of_its_margin_and_half_right_without_an_opinion() -> None:
    table = scores(["a", "a", "b", "b"], {"u": [2, -1, 0, 1e-7], "v": [-2, -1, 3, 3]})
    items = bench_items(table, TWO, ("u", "v"))
    assert items.values.tolist() == [[1, 0, 0.5, 0.5], [0, 0, 1, 1]]
    assert items.names == ("a", "b")


def test_an_item_is_right_only_if_every_margin_is_above_0() -> None:
    groups = ["Math/1"] * 3 + ["Math/2"] * 3
    table = scores(["Math"] * 6, {None: [1, 2, 3, 1, -0.1, 3]}, groups)
    assert section("Math", table) == 0.5


def test_a_constant_reward_scores_what_guessing_does() -> None:
    groups = [f"Math/{i // 3}" for i in range(60)]
    assert section("Math", scores(["Math"] * 60, {None: [0.0] * 60}, groups)) == 0.25
    chance = BEST_OF_FOUR.chance
    assert chance is not None
    assert chance["Math"] == 0.25
    assert chance["Ties"] is None


def test_guessing_finds_the_best_of_four_in_one_case_of_four() -> None:
    generator = np.random.default_rng(3)
    rewards = generator.normal(size=(4000, 4))
    margins = (rewards[:, :1] - rewards[:, 1:]).ravel()
    groups = [f"Math/{i // 3}" for i in range(12000)]
    found = section("Math", scores(["Math"] * 12000, {None: margins.tolist()}, groups))
    assert found == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 4000))


def test_parts_of_an_item_that_is_tied_for_the_best() -> None:
    """One wrong answer ties with the right one: half; two do: a third."""
    groups = ["Math/1"] * 3 + ["Math/2"] * 3
    table = scores(["Math"] * 6, {None: [0, 2, 3, 0, 0, 3]}, groups)
    assert section("Math", table) == pytest.approx((1 / 2 + 1 / 3) / 2)


def test_margins_of_ties_by_hand() -> None:
    found = ties_margins(np.array([2.0, 1.0, -1.0]), np.array([3.0, 0.2, 1.0]),
                         np.array([1.0, 0.5, 0.0]))  # fmt: skip
    expected = [
        (0.4 + 0.01 * np.tanh(1.0)) / 0.4,
        (0.2 + 0.01 * np.tanh(0.2 / 0.5 - 1)) / 0.4,
        0.0,
    ]
    assert found == pytest.approx(expected)


def test_styles_make_easy_normal_and_hard() -> None:
    bench = BENCHES["rm-bench"]
    subsets = [f"{d}: {how}" for d in ("chat", "safety-refuse", "safety-response")
               for how in ("easy", "normal", "hard")]  # fmt: skip
    right = {"chat: easy", "chat: normal", "safety-refuse: hard"}
    table = scores(subsets, {None: [1.0 if name in right else -1.0 for name in subsets]})
    assert section("Chat", table, bench) == pytest.approx(2 / 3)
    assert section("Safety", table, bench) == pytest.approx(1 / 6)
    # Of easy pairs only chat is right, and the two halves of safety weigh as one domain.
    assert section("Easy", table, bench) == pytest.approx(1 / 2)
    assert section("Hard", table, bench) == pytest.approx(1 / 4)


def test_users_who_scored_other_judgements_are_refused() -> None:
    table = scores(["a", "a"], {"u": [1, 1], "v": [1, 1]}).head(3)
    with pytest.raises(DataError, match="same judgements"):
        bench_items(table, TWO, ("u", "v"))
    with pytest.raises(DataError, match="known subset"):
        bench_items(scores(["x"], {None: [1]}), TWO, (None,))


def test_the_order_of_the_rows_changes_nothing() -> None:
    table = scores(["a", "b"] * 6, {"u": list(range(-6, 6)), "v": [1] * 12})
    shuffled = table.sample(fraction=1.0, shuffle=True, seed=1)
    one, other = (bench_items(each, TWO, ("u", "v")) for each in (table, shuffled))
    assert np.array_equal(one.values, other.values)
    assert one.like(other)
