"""What `dataset-stats` says of real data, computed again by loops over the raw files."""

import gzip
import itertools
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from plt.analyze.dataset.statistics import DatasetStatistics, dataset_statistics
from plt.analyze.taste.split_halves import SplitHalves, split_halves, wants_split_halves
from plt.data.sources import jester
from plt.data.tables.preferences import build
from plt.data.tables.table import Meta

Answers = dict[tuple[str, str], dict[str, list[int]]]
"""(group, pair) to person to their answers, +1 and -1, in order."""


def table_of(rows: list[dict[str, Any]], name: str) -> DatasetStatistics:
    prefs = build(pl.DataFrame(rows), Meta(dataset=name))
    return dataset_statistics(prefs.votes, prefs.meta)


def self_and_others(answers: Answers) -> tuple[float, float, int]:
    """Agreement with oneself and with others' first answers, over the repeated cells."""
    own, others = [], []
    for by_person in answers.values():
        for person, given in by_person.items():
            firsts = [each[0] for other, each in by_person.items() if other != person]
            if len(given) > 1 and firsts:
                own.append(np.mean([x == y for x, y in itertools.combinations(given, 2)]))
                others.append(np.mean([x == y for x in given for y in firsts]))
    return float(np.mean(own)), float(np.mean(others)), len(own)


def pairwise(answers: Answers) -> float:
    alike = [
        one[0] == other[0]
        for by_person in answers.values()
        for one, other in itertools.combinations(by_person.values(), 2)
    ]
    return float(np.mean(alike))


def weighted_gain(answers: Answers) -> tuple[float, float]:
    """What others' votes earn, weighted by agreement on other groups, and unweighted."""
    products: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    all_products: dict[str, list[int]] = defaultdict(list)
    for (group, _), by_person in answers.items():
        for one, other in itertools.combinations(sorted(by_person), 2):
            product = by_person[one][0] * by_person[other][0]
            products[one, other][group].append(product)
            all_products[group].append(product)
    total, count = sum(map(sum, all_products.values())), sum(map(len, all_products.values()))
    sums = {
        two: (sum(map(sum, by.values())), sum(map(len, by.values())))
        for two, by in products.items()
    }
    earned = []
    for (group, _), by_person in answers.items():
        here = all_products.get(group, [])
        common = (total - sum(here)) / max(count - len(here), 1)
        for person, given in by_person.items():
            lean, plain, known = 0.0, 0, False
            for other, votes in by_person.items():
                if other != person:
                    two = (min(person, other), max(person, other))
                    met = products[two][group]
                    agreed, n = sums[two][0] - sum(met), sums[two][1] - len(met)
                    known |= n > 0
                    lean += votes[0] * (agreed + 10 * common) / (n + 10)
                    plain += votes[0]
            if known:
                toward = (lean * given[0], plain * given[0])
                earned.append([0.5 if abs(x) < 1e-6 else float(x > 0) for x in toward])
    weighted, majority = np.mean(earned, axis=0)
    return float(weighted), float(majority)


@pytest.fixture(scope="module")
def wmt(shared_data: Path) -> tuple[DatasetStatistics, Answers]:
    """German translations rated by three of ten people; equal texts of a list are one response."""
    rows: list[dict[str, Any]] = []
    answers: Answers = defaultdict(lambda: defaultdict(list))
    with gzip.open(shared_data / "wmt_mqm_sxs" / "ende.jsonl.gz", "rt", encoding="utf-8") as lines:
        for item in map(json.loads, lines):
            scores: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
            for response in item["responses"]:
                for rater, score in response["scores"].items():
                    scores[rater][response["text"]].append(score)
            for rater, by_text in scores.items():
                for one, other in itertools.combinations(sorted(by_text), 2):
                    gap = float(np.mean(by_text[one]) - np.mean(by_text[other]))
                    if gap == 0:
                        continue
                    rows.append(
                        {
                            "user_id": rater,
                            "group": item["segment_id"],
                            "prompt": [{"role": "user", "content": item["prompt"]}],
                            "response_1": one,
                            "response_2": other,
                            "label": float(gap > 0),
                        }
                    )
                    pair = f"{item['prompt']}|{one}|{other}"
                    answers[item["segment_id"], pair][rater].append(1 if gap > 0 else -1)
    return table_of(rows, "wmt"), answers


def test_translations_rated_once_cannot_tell_taste_from_noise(
    wmt: tuple[DatasetStatistics, Answers],
) -> None:
    found, answers = wmt
    assert not any(len(given) > 1 for by in answers.values() for given in by.values())
    assert found.consistency is None
    assert found.verdict.finding == "cannot tell"
    assert "without repeated judgements" in found.verdict.sentence
    assert found.room.low.value is None
    assert found.agreement.pairwise.value == pytest.approx(pairwise(answers))
    weighted, majority = weighted_gain(answers)
    alone = found.weighted_votes
    assert not isinstance(alone, str)
    assert alone.weighted.value == pytest.approx(weighted)
    assert alone.majority.value == pytest.approx(majority)


def test_instructions_that_stand_twice_are_real_repeats(shared_data: Path) -> None:
    """Three annotators of PandaLM met some items twice; which rests on three people."""
    rows: list[dict[str, Any]] = []
    answers: Answers = defaultdict(lambda: defaultdict(list))
    items = json.loads((shared_data / "pandalm" / "testset-v1.json").read_text(encoding="utf-8"))
    for item in items:
        one, other = (str(item[name] or "") for name in ("response1", "response2"))
        if not one.strip() or not other.strip() or one == other:
            continue
        prompt = f"{item['instruction']}\n{item['input']}"
        for i in (1, 2, 3):
            label = {0: 0.5, 1: 1.0, 2: 0.0}[item[f"annotator{i}"]]
            rows.append(
                {
                    "user_id": f"annotator{i}",
                    "prompt": [{"role": "user", "content": prompt}],
                    "response_1": one,
                    "response_2": other,
                    "label": label,
                }
            )
            if label != 0.5:
                side = 1 if (label > 0.5) == (one < other) else -1
                answers[prompt, "|".join(sorted((one, other)))][f"annotator{i}"].append(side)
    found = table_of(rows, "pandalm")
    again, others, n_cells = self_and_others(answers)
    pairs = found.self_and_others
    assert pairs is not None
    assert pairs.n_cells == n_cells
    assert pairs.self_agreement.value == pytest.approx(again)
    assert pairs.between_persons.value == pytest.approx(others)
    assert pairs.remembered == pytest.approx((again - others) / (1 - others))
    assert pairs.difference.target == "these-users"
    assert found.agreement.pairwise.value == pytest.approx(pairwise(answers))
    weighted, majority = weighted_gain(answers)
    assert not isinstance(found.weighted_votes, str)
    assert found.weighted_votes.weighted.value == pytest.approx(weighted)
    assert found.weighted_votes.majority.value == pytest.approx(majority)
    assert found.verdict.finding == "cannot tell"
    assert pairs.difference.low is not None
    assert pairs.difference.low < 0


@pytest.mark.slow
def test_jokes_are_a_matter_of_taste(shared_data: Path) -> None:
    """One prompt, nobody asked twice: half of the jokes tell what people choose in the other."""
    prefs = jester.load(shared_data / "jester5k")
    assert wants_split_halves(prefs.votes)
    halves = split_halves(prefs)
    assert isinstance(halves, SplitHalves)
    assert (halves.p_value, halves.p_beyond_care) == (0.001, 0.001)
    found = dataset_statistics(prefs.votes, prefs.meta, split_halves=halves)
    assert found.verdict.finding == "taste"
    assert "other users on these prompts" in found.verdict.sentence
    assert found.room.high.value is None
    shuffled = prefs.votes.with_columns(
        label=pl.col("label").shuffle(seed=0).over("pair_id")  # nobody's answers are their own
    )
    nothing = split_halves(type(prefs)(shuffled, prefs.pairs, prefs.meta))
    assert isinstance(nothing, SplitHalves)
    assert nothing.p_value > 0.025
    # By another road: correlate what each person chose in two halves along one joke each.
    with gzip.open(shared_data / "jester5k" / "ratings.jsonl.gz", "rt", encoding="utf-8") as lines:
        ratings = [json.loads(line)["ratings"] for line in lines]
    full = np.array([list(each.values()) for each in ratings if len(each) == 100], dtype=float)
    centred = full - full.mean(axis=1, keepdims=True)
    centred -= centred.mean(axis=0)
    odd, even = centred[:, ::2], centred[:, 1::2]
    seen = np.linalg.norm(odd.T @ even)
    turned = even[np.random.default_rng(0).permutation(len(even))]
    assert seen > 3 * np.linalg.norm(odd.T @ turned)
