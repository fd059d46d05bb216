"""Halves of a benchmark, and the largest share within a budget."""

import numpy as np
import pytest

from plt.analyze.tax.change import tax
from plt.analyze.tax.dose import DosePoint, choose, halves, upper_tax
from plt.analyze.tax.items import Items, bench_items
from plt.data.benches import Bench
from tests.analyze.tax.made_scores import scores

BENCH = Bench("two", {"A": {"a": 1.0}, "B": {"b": 1.0}}, ("A", "B"))
SUBSETS = ["a"] * 31 + ["b"] * 24
GROUPS = [f"prompt {i // 2}" for i in range(55)]


def items(seed: int, shift: float) -> Items:
    generator = np.random.default_rng(seed)
    margins = {"u": (generator.normal(size=55) + shift).tolist()}
    return bench_items(scores(SUBSETS, margins, GROUPS), BENCH, ("u",))


def point(share: float, loss: float) -> DosePoint:
    """The first half loses so many of its items; the other is as the base."""
    base = {"u": [1.0] * 55}
    margins = {"u": [-1.0 if i % 2 and i < 110 * loss else 1.0 for i in range(55)]}
    first = bench_items(scores(SUBSETS, base), BENCH, ("u",))
    moved = bench_items(scores(SUBSETS, margins), BENCH, ("u",))
    return DosePoint(share, tax(moved, first, BENCH), tax(first, first, BENCH), None)


def test_prompts_are_whole_and_subsets_are_halved() -> None:
    found = items(0, 0.2)
    mask = halves(found)
    for cluster in range(len(found.cluster_names)):
        assert len(set(mask[found.clusters == cluster].tolist())) == 1
    for stratum, size in ((0, 31), (1, 24)):
        assert abs(int(mask[found.strata == stratum].sum()) - size / 2) <= 2
    first = dict(zip(found.cluster_names, (bool(mask[found.clusters == c][0])
                     for c in range(len(found.cluster_names))), strict=True))  # fmt: skip
    again = items(7, 2.0)
    assert np.array_equal(halves(again), mask)  # the answers do not decide
    assert len(first) == 28


def test_the_base_costs_nothing_and_more_loss_costs_more() -> None:
    bounds = [upper_tax(point(0.0, loss).chosen) for loss in (0.0, 0.1, 0.3)]
    assert bounds[0] == 0.0
    assert bounds[1] is not None
    assert bounds[2] is not None
    assert 0.1 < bounds[1] < bounds[2]


def test_the_largest_share_within_the_budget() -> None:
    points = [point(0.0, 0.0), point(0.5, 0.1), point(1.0, 0.3)]
    middle, most = (upper_tax(each.chosen) for each in points[1:])
    assert middle is not None
    assert most is not None
    assert choose(points, most).chosen.share == 1.0
    assert choose(points, middle).chosen.share == 0.5
    assert choose(points, middle - 1e-9).chosen.share == 0.0
    assert choose(points, 0.0).chosen.share == 0.0
    # A share beyond one that is too dear may be within the budget again: the largest counts.
    assert choose([*points, point(1.2, 0.0)], 0.0).chosen.share == 1.2


def test_a_section_without_an_interval_is_never_within_a_budget() -> None:
    table = {"u": [1.0] * 31 + [-1.0]}
    base = {"u": [1.0] * 32}
    subsets = ["a"] * 31 + ["b"]
    run, start = (bench_items(scores(subsets, each), BENCH, ("u",)) for each in (table, base))
    found = tax(run, start, BENCH)
    assert upper_tax(found) is None
    assert not DosePoint(1.0, found, found, None).within(1.0)


def test_the_document_says_both_halves() -> None:
    document = choose([point(0.0, 0.0), point(1.0, 0.2)], 0.02).to_json()
    assert document["share"] == 0.0
    assert document["points"][1]["within"] is False
    assert set(document["points"][1]["chosen_half"]) == {"A", "B"}
    assert document["points"][1]["other_half"]["A"]["same_answers"]
    ends = [each["adjusted_ci"] for each in document["points"][1]["chosen_half"].values()]
    lowest = min(low for low, _ in filter(None, ends))
    assert document["points"][1]["upper_tax"] == pytest.approx(-lowest)
