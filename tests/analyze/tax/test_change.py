"""The change from a base to a run: signs, nulls, spread, worst user, intervals."""

import numpy as np
import pytest

from plt.analyze.intervals.simultaneous import SAME
from plt.analyze.intervals.uncertainty import mean_interval
from plt.analyze.tax.change import Tax, tax
from plt.analyze.tax.items import Items, bench_items
from plt.analyze.tax.sections import AVERAGE
from plt.data.benches import Bench
from plt.errors import DataError
from tests.analyze.tax.made_scores import scores

BENCH = Bench("two", {"A": {"a": 3.0, "b": 1.0}, "B": {"c": 1.0}}, ("A", "B"))
SUBSETS = ["a"] * 20 + ["b"] * 12 + ["c"] * 30
USERS = tuple(f"u{i:02d}" for i in range(12))


def drawn(seed: int, shift: float, users: tuple[str | None, ...] = USERS) -> Items:
    generator = np.random.default_rng(seed)
    margins = {user: (generator.normal(size=len(SUBSETS)) + shift).tolist() for user in users}
    return bench_items(scores(SUBSETS, margins), BENCH, users)


def section(found: Tax, name: str) -> object:
    return next(each for each in found.sections if each.section.name == name)


def test_swapping_run_and_base_flips_every_sign() -> None:
    one, other = drawn(1, 0.3), drawn(2, 0.8)
    there, back = tax(one, other, BENCH), tax(other, one, BENCH)
    for a, b in zip(there.sections, back.sections, strict=True):
        assert a.change is not None
        assert b.change is not None
        assert a.change.interval.value == pytest.approx(-float(b.change.interval.value or 0))
        assert a.change.low == pytest.approx(-float(b.change.high or 0))
        assert a.change.interval.low == pytest.approx(-float(b.change.interval.high or 0))
        assert a.change.p == pytest.approx(b.change.p)
        assert a.by_user is not None
        assert b.by_user is not None
        assert np.allclose(a.by_user, -b.by_user)
        assert a.spread == pytest.approx(b.spread)
        assert a.score == b.base


def test_a_run_that_ignores_users_has_no_spread_and_one_like_its_base_no_tax() -> None:
    same = drawn(1, 0.3, (None,))
    blind = Items(USERS, np.tile(same.values, (12, 1)), same.names, same.strata, same.clusters,
                  same.cluster_names)  # fmt: skip
    other = drawn(5, 0.5, (None,))
    for each in tax(blind, other, BENCH).sections:
        assert each.spread == 0
        assert each.worst is not None
        assert each.change is not None
        assert each.worst.change == pytest.approx(each.change.interval.value)
        assert each.worst.without_noise == pytest.approx(each.worst.change)
    for each in tax(blind, same, BENCH).sections:
        assert each.change is not None
        assert each.change.interval.value == 0
        assert each.change.interval.reason == SAME
        assert each.change.low is None
        assert each.change.p is None


def test_without_a_base_there_are_scores_and_no_change() -> None:
    found = tax(drawn(1, 0.3), None, BENCH)
    for each in found.sections:
        assert each.score.value is not None
        assert each.score.low is not None
        assert (each.base, each.change, each.by_user, each.worst) == (None, None, None, None)


def test_the_mean_change_by_hand() -> None:
    """Weights 3 and 1: (3 x (1/20) + 1 x (-6/12)) / 4 = -0.0875 for one user."""
    run = {"u": [1.0] * 11 + [-1.0] * 9 + [-1.0] * 12 + [1.0] * 30}
    base = {None: [1.0] * 10 + [-1.0] * 10 + [1.0] * 6 + [-1.0] * 6 + [1.0] * 30}
    found = tax(
        bench_items(scores(SUBSETS, run), BENCH, ("u",)),
        bench_items(scores(SUBSETS, base), BENCH, (None,)),
        BENCH,
    )
    first = found.sections[0]
    assert first.change is not None
    assert first.change.interval.value == pytest.approx(-0.0875)
    assert first.score.value == pytest.approx((3 * 11 / 20 + 0) / 4)
    second = found.sections[1]
    assert second.change is not None
    assert second.change.same_answers
    average = found.sections[2]
    assert average.section.name == AVERAGE
    assert average.change is not None
    assert average.change.interval.value == pytest.approx(-0.0875 / 2)


def test_one_subset_of_single_pairs_has_the_interval_of_a_mean() -> None:
    """Independent reference: the two-way interval of the plain mean over users and pairs."""
    bench = Bench("one", {"C": {"c": 1.0}})
    run, base = drawn(1, 0.3), drawn(2, 0.6)
    mask = np.array([name == "c" for name in SUBSETS])[np.argsort(range(len(SUBSETS)))]
    found = tax(run.part(mask), base.part(mask), bench).sections[0]
    moved = (run.values - base.values)[:, mask]
    users = np.repeat(np.arange(12), mask.sum())
    plain = mean_interval(moved.ravel(), users, np.tile(np.arange(mask.sum()), 12))
    assert found.change is not None
    mine = found.change.interval
    assert mine.target == plain.target == "population"
    assert mine.value == pytest.approx(plain.value)
    assert mine.se is not None
    assert plain.se is not None
    # The stratum's own draws are counted: sqrt(30 / 29) at most.
    assert 1 <= mine.se / plain.se <= np.sqrt(30 / 29) + 1e-9
    assert mine.df == plain.df


def test_items_within_subsets_vary_and_subsets_do_not() -> None:
    """Where everybody is right on one subset and wrong on the other nothing varies inside them."""
    margins = [1.0] * 20 + [-1.0] * 12 + [1.0] * 30
    other = [-1.0] * 20 + [1.0] * 12 + [1.0] * 30
    found = tax(
        bench_items(scores(SUBSETS, {None: margins}), BENCH, (None,)),
        bench_items(scores(SUBSETS, {None: other}), BENCH, (None,)),
        BENCH,
    ).sections[0]
    assert found.change is not None
    assert found.change.interval.value == pytest.approx((3 - 1) / 4)
    assert found.change.interval.low is None
    assert found.change.interval.reason


def test_every_item_lost_is_an_exact_interval_and_not_a_point() -> None:
    bench = Bench("one", {"C": {"c": 1.0}})
    subsets = ["c"] * 8
    run = bench_items(scores(subsets, {None: [-1.0] * 8}), bench, (None,))
    base = bench_items(scores(subsets, {None: [1.0] * 8}), bench, (None,))
    found = tax(run, base, bench).sections[0].change
    assert found is not None
    assert found.interval.value == -1
    assert found.interval.high == pytest.approx(-1 + 2 * (1 - 0.025 ** (1 / 8)))
    assert found.p == pytest.approx(2 * 0.5**8)  # the sign test


def test_a_subset_with_one_item_gives_no_interval() -> None:
    subsets = [*SUBSETS[:20], "b", *SUBSETS[32:]]
    generator = np.random.default_rng(0)
    run, base = (
        bench_items(scores(subsets, {None: generator.normal(size=51).tolist()}), BENCH, (None,))
        for _ in range(2)
    )
    found = tax(run, base, BENCH).sections
    assert found[0].change is not None
    assert found[0].change.interval.value is not None
    assert found[0].change.interval.low is None
    assert "one item" in str(found[0].change.interval.reason)
    assert found[1].change is not None
    assert found[1].change.low is not None


def test_missing_sections_are_null_and_named() -> None:
    bench = Bench("more", {**BENCH.sections, "D": {"d": 1.0, "e": 2.0}}, ("A", "B", "D"))
    run = bench_items(scores(SUBSETS, {None: [1.0] * 61 + [-1.0]}), bench, (None,))
    base = bench_items(scores(SUBSETS, {None: [1.0] * 62}), bench, (None,))
    found = tax(run, base, bench)
    last = found.sections[2]
    assert last.score.value is None
    assert last.change is not None
    assert last.change.interval.value is None
    assert last.section.missing == ("d", "e")
    assert found.missing == ("d", "e")
    assert found.sections[3].score.value is None  # the average


def test_intervals_for_all_sections_are_wider_and_p_larger() -> None:
    for each in tax(drawn(1, 0.3), drawn(2, 0.8), BENCH).sections:
        assert each.change is not None
        alone = each.change.interval
        assert alone.low is not None
        assert alone.high is not None
        assert each.change.low is not None
        assert each.change.low < alone.low < alone.high < float(each.change.high or 0)
        assert each.change.n_family == 3
        assert each.change.p == pytest.approx(min(3 * float(each.change.p_value or 0), 1))


def test_the_worst_user_is_a_minimum_and_noise_can_be_taken_out() -> None:
    """Users who are alike but for the noise of their items have no worst one, one apart does."""
    found = tax(drawn(1, 0.3), drawn(9, 0.3, (None,)), BENCH).sections[2]
    assert found.worst is not None
    assert found.by_user is not None
    assert found.worst.change == found.by_user.min()
    assert found.worst.without_noise is not None
    assert found.worst.without_noise > found.worst.change
    run = drawn(1, 2.5)
    run.values[3] = 0.0
    apart = tax(run, drawn(9, 2.5, (None,)), BENCH).sections[2]
    assert apart.worst is not None
    assert apart.worst.user == "u03"
    assert apart.worst.without_noise == pytest.approx(apart.worst.change, abs=0.05)
    two = tax(drawn(1, 0.3, ("x", "y")), drawn(9, 0.3, (None,)), BENCH).sections[0].worst
    assert two is not None
    assert two.without_noise is None
    assert two.reason == "fewer than 3 users"


def test_few_users_are_these_users() -> None:
    found = tax(drawn(1, 0.3, ("x", "y")), drawn(9, 0.3, (None,)), BENCH).sections[0]
    assert found.change is not None
    assert found.change.interval.target == "these-users"
    assert len(found.each) == 2
    assert {each.target for each in found.each} == {"one-user"}


def test_other_items_and_other_users_are_refused() -> None:
    with pytest.raises(DataError, match="same items"):
        tax(drawn(1, 0.3), drawn(2, 0.3).part(np.arange(62) < 50), BENCH)
    with pytest.raises(DataError, match="same users"):
        tax(drawn(1, 0.3), drawn(2, 0.3, ("a", "b")), BENCH)
