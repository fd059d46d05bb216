"""Sections of RewardBench are those of its own code on the same predictions (O-12)."""

import json
from typing import Any

import numpy as np
import pytest

from plt.analyze.tax.items import bench_items
from plt.analyze.tax.sections import AVERAGE, section_scores, sections_of
from plt.data.benches import BENCHES
from plt.data.sources.rewardbench import COUNTS
from tests.analyze.tax.made_scores import scores
from tests.analyze.tax.official import GOLDEN

OFFICIAL = BENCHES["rewardbench"]
CASES: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))["sections"]
TIES: list[Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))["ties"]


@pytest.mark.parametrize("name", CASES)
def test_sections_from_subset_accuracies_are_the_official_ones(name: str) -> None:
    accuracy, expected = CASES[name]["accuracy"], CASES[name]["sections"]
    found = section_scores(accuracy, OFFICIAL)
    assert list(found) == list(expected)
    for section, value in expected.items():
        assert found[section] == pytest.approx(value, abs=1e-12)


def test_worked_values() -> None:
    only = {name: 0.0 for name in COUNTS}
    math = section_scores({**only, "math-prm": 1.0}, OFFICIAL)["Reasoning"]
    assert math == 0.5
    pooled = section_scores({**only, "math-prm": 1.0}, BENCHES["rewardbench:s0"])["Reasoning"]
    assert pooled == pytest.approx(447 / 1431, abs=1e-15)
    safety = section_scores({**only, "donotanswer": 1.0}, OFFICIAL)["Safety"]
    assert safety == pytest.approx(136 / 740, abs=1e-15)
    for bench in (OFFICIAL, BENCHES["rewardbench:s0"]):
        alike = section_scores(dict.fromkeys(COUNTS, 0.37), bench)
        assert all(value == pytest.approx(0.37, abs=1e-15) for value in alike.values())


def test_a_section_without_any_subset_is_null_where_the_official_code_says_0() -> None:
    found = section_scores({"hep-go": 0.25}, OFFICIAL)
    assert found == {"Chat": None, "Chat Hard": None, "Safety": None, "Reasoning": 0.25}


def test_the_raw_split_pools_the_rows_that_are_there() -> None:
    """Of 3 of 4 and 0 of 1 right, 3 of 5 are right, whatever the published numbers are."""
    found = section_scores(
        {"hep-go": 0.75, "math-prm": 0.0}, BENCHES["rewardbench:s0"], {"hep-go": 4, "math-prm": 1}
    )
    assert found["Reasoning"] == pytest.approx(0.6)
    assert found["Chat"] is None
    assert "donotanswer" not in BENCHES["rewardbench:s0"].subsets
    assert "mt-bench-med" not in BENCHES["rewardbench:s0"].subsets


@pytest.mark.parametrize("name", ["drawn", "some missing"])
def test_from_predictions_to_sections(name: str) -> None:
    """Pair by pair: predictions with the accuracies of the golden file give its sections."""
    accuracy, expected = CASES[name]["accuracy"], CASES[name]["sections"]
    subsets, margins = [], []
    for subset, share in accuracy.items():
        n = {"math-prm": 984}.get(subset, COUNTS[subset])
        right = round(share * n)
        subsets += [subset] * n
        margins += [1.0] * right + [-1.0] * (n - right)
    items = bench_items(scores(subsets, {None: margins}), OFFICIAL, (None,))
    found = {each.name: each for each in sections_of(items, OFFICIAL)}
    for section, value in expected.items():
        weights = found[section].weights
        assert weights is not None
        assert float(items.values[0] @ weights) == pytest.approx(value, abs=1e-12)
    missing = {name for each in found.values() for name in each.missing}
    assert missing == set(COUNTS) - set(accuracy)
    mean = found[AVERAGE].weights
    assert mean is not None
    assert float(items.values[0] @ mean) == pytest.approx(
        np.mean(list(expected.values())), abs=1e-12
    )


def test_the_average_is_null_where_a_section_is() -> None:
    items = bench_items(scores(["hep-go"] * 4, {None: [1, 1, -1, 1]}), OFFICIAL, (None,))
    found = {each.name: each for each in sections_of(items, OFFICIAL)}
    assert found["Safety"].weights is None
    assert len(found["Safety"].missing) == 5
    assert found[AVERAGE].weights is None
    assert len(found[AVERAGE].missing) == 22


@pytest.mark.parametrize("case", TIES, ids=lambda case: f"{case['score']:.3f}")
def test_the_composite_of_ties_is_the_official_one(case: dict[str, Any]) -> None:
    bench = BENCHES["rewardbench2"]
    subsets, margins, groups, correct = [], [], [], []
    for row in case["rows"]:
        good, bad = row["scores"][: row["num_correct"]], row["scores"][row["num_correct"] :]
        for i, one in enumerate(good):
            for two in bad:
                subsets.append("Ties")
                groups.append(f"Ties/{row['id']}")
                margins.append(one - two)
                correct.append(str(i))
    table = scores(subsets, {"u": margins}, groups, correct=correct)
    items = bench_items(table, bench, ("u",))
    section = next(each for each in sections_of(items, bench) if each.name == "Ties")
    assert section.weights is not None
    assert float(items.values[0] @ section.weights) == pytest.approx(case["score"], abs=1e-9)
    assert len(items.cluster_names) == 8  # a prompt and its reference are one draw
