import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plt.analyze.dataset.statistics import DatasetStatistics, dataset_statistics
from plt.data.tables.preferences import build, read_votes, write_preferences
from plt.data.tables.table import Meta
from tests.analyze.populations_of_voters import camps, sampled_votes
from tests.analyze.vote_tables import Row, frame, matrix, table, vote_frames
from tests.analyze.votes.test_krippendorff import disagreements

KEYS = [
    "dataset", "n_users", "n_pairs", "n_judgments", "n_ties", "n_multi_pairs", "divergent",
    "highly_divergent", "mv_acc", "minority_users", "krippendorff_alpha", "agreement",
    "consistency", "room", "effective_rank", "split_halves", "coverage", "dropped", "finding",
    "verdict",
]  # fmt: skip


def statistics(votes: pl.DataFrame, **options: Any) -> DatasetStatistics:
    return dataset_statistics(votes, Meta(dataset="toy"), **options)


def test_the_object_has_the_documented_keys() -> None:
    rng = np.random.default_rng(0)
    document = statistics(sampled_votes(camps(12, 40, rng), rng, repeated=0.5)).to_json()
    assert list(document) == KEYS
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["divergent"].keys() >= {"value", "ci", "noise_expected"}
    assert document["mv_acc"].keys() >= {"ceiling", "leave_one_out", "range"}
    assert document["mv_acc"]["ceiling"].keys() == {f"u{i:03d}" for i in range(12)}
    first = document["minority_users"][0]
    assert first.keys() == {"user_id", "accuracy", "n", "q"}
    assert {each["user_id"] for each in document["minority_users"]} == {
        f"u{i:03d}" for i in range(0, 12, 3)
    }
    assert document["krippendorff_alpha"].keys() >= {"value", "ci"}
    assert document["agreement"]["pairwise"].keys() >= {"value", "ci"}
    assert document["room"]["positive"] is True
    assert document["room"]["ci"][0] < document["room"]["value"][0]
    assert document["effective_rank"]["value"] < document["effective_rank"]["permuted"]
    assert isinstance(document["verdict"], str)


def test_a_worked_table() -> None:
    document = statistics(
        table({"u": "aa a b - a", "v": "a b _ a a", "w": "b _ _ a _"}), intervals=False
    ).to_json()
    assert document["n_users"] == 3
    assert document["n_pairs"] == 5
    assert document["n_judgments"] == 12
    assert document["n_ties"] == 1
    # Pairs 1, 2, 4, 5 have two voters: (a, a, b), (a, b), (a, a), (a, a).
    assert document["n_multi_pairs"] == 4
    assert document["divergent"]["value"] == 0.5
    assert document["highly_divergent"]["value"] == 0.5
    assert document["agreement"]["pairwise"]["value"] == pytest.approx(3 / 6)
    assert document["agreement"]["item_mean"]["value"] == pytest.approx((1 / 3 + 0 + 1 + 1) / 4)
    assert document["mv_acc"]["ceiling"] == {
        "u": pytest.approx((1 + 0.5 + 1) / 3),
        "v": pytest.approx((1 + 0.5 + 1 + 1) / 4),
        "w": pytest.approx((0 + 1) / 2),
    }
    assert document["mv_acc"]["range"]["ceiling"] == [0.5, pytest.approx(0.875)]
    assert document["mv_acc"]["n_tied_pairs"] == 1
    assert document["consistency"]["self_agreement"]["value"] == 1.0
    assert document["consistency"]["n_repeated"] == 1
    assert document["divergent"]["noise_expected"] == 0.0
    assert document["divergent"]["noise_if_flip"] is None


def test_without_repeats_assumed_rates_stand_in_for_the_noise() -> None:
    document = statistics(matrix(np.random.default_rng(0).integers(0, 2, (5, 40)))).to_json()
    assert document["consistency"] is None
    assert document["coverage"]["missing"]["consistency"] == "nobody judged a pair twice"
    assert document["divergent"]["noise_expected"] is None
    assert document["divergent"]["noise_if_flip"] == {
        "0.05": pytest.approx(0.2262, abs=1e-4),
        "0.1": pytest.approx(0.4095, abs=1e-4),
        "0.2": pytest.approx(0.672, abs=1e-4),
    }
    assert document["room"]["value"] is document["room"]["positive"] is None
    assert document["room"]["room_if_consistency"].keys() == {"0.8", "0.9", "1.0"}


def test_rates_that_were_asked_for_are_shown_beside_repeats() -> None:
    document = statistics(table({"u": "aa b", "v": "a a"}), assume_flip=[0.3]).to_json()
    assert document["divergent"]["noise_if_flip"] == {"0.3": pytest.approx(0.42)}
    assert document["divergent"]["noise_expected"] == 0.0


def test_rows_dropped_before_and_now_are_counted_together() -> None:
    rows: list[Row] = [("u", 1, None, 0, None), (None, 1, 1.0, 0, None), ("v", 1, 1.0, 0, None)]
    meta = Meta(dataset="toy", dropped={"empty response": 4})
    document = dataset_statistics(frame(rows), meta).to_json()
    assert document["dropped"] == {"empty response": 4, "no label": 1, "no user id": 1}


def values(document: Any, path: str = "") -> dict[str, Any]:
    """Every number, string and null of a document, by its path."""
    if isinstance(document, dict):
        return {k: v for key in document for k, v in values(document[key], f"{path}/{key}").items()}
    if isinstance(document, list):
        return {k: v for i, e in enumerate(document) for k, v in values(e, f"{path}/{i}").items()}
    return {path: document}


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    left, right = values(one), values(other)
    assert left.keys() == right.keys()
    for key in left:
        if isinstance(left[key], float):
            assert left[key] == pytest.approx(right[key], abs=1e-9), key
        else:
            assert left[key] == right[key], key


@settings(deadline=None, max_examples=40)
@given(vote_frames(), st.randoms(use_true_random=False), st.data())
def test_order_orientation_and_names_change_nothing(
    votes: pl.DataFrame, shuffler: random.Random, data: st.DataObject
) -> None:
    document = statistics(votes).to_json()
    order = list(range(votes.height))
    shuffler.shuffle(order)
    assert_same(document, statistics(votes[order]).to_json())
    turned = data.draw(st.sets(st.integers(7, 12)))
    flipped = pl.when(pl.col("pair_id").is_in(list(turned))).then(1 - pl.col("label"))
    assert_same(
        document,
        statistics(votes.with_columns(flipped.otherwise("label").alias("label"))).to_json(),
    )
    grouped = votes.with_columns(pl.concat_str(pl.lit("group "), "group").alias("group"))
    assert_same(document, statistics(grouped).to_json())


def test_other_names_in_another_order_change_names_alone() -> None:
    rng = np.random.default_rng(1)
    votes = sampled_votes(camps(6, 40, rng), rng, repeated=0.5)
    renamed = votes.with_columns(("z" + (9 - pl.col("user_id").str.slice(1).cast(pl.Int64)).cast(
        pl.String)).alias("user_id"))  # fmt: skip
    one, other = statistics(votes).to_json(), statistics(renamed).to_json()
    for key in ("divergent", "krippendorff_alpha", "agreement", "room", "coverage"):
        assert_same(one[key], other[key])
    ceiling = other["mv_acc"]["ceiling"]
    assert one["mv_acc"]["ceiling"] == {f"u{9 - int(k[1:]):03d}": ceiling[k] for k in ceiling}
    assert one["effective_rank"]["value"] == pytest.approx(other["effective_rank"]["value"])


def test_figures_without_intervals_are_the_same_figures() -> None:
    rng = np.random.default_rng(2)
    votes = sampled_votes(camps(6, 40, rng), rng, repeated=0.5)
    full = values(statistics(votes).to_json())
    bare = values(statistics(votes, intervals=False).to_json())
    for path, value in bare.items():
        if path == "/room/votes_alone/gain/value":
            assert value is None  # cross-validated, which takes as long as an interval
        elif path.endswith(("/value", "/n_repeated", "/u001", "/noise_expected")):
            assert value == pytest.approx(full[path]), path
        assert not path.endswith("/ci/0"), path


def test_a_written_table_gives_what_its_frame_gives(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    votes = sampled_votes(camps(4, 25, rng), rng, repeated=0.5)
    prefs = build(
        votes.select(
            pl.col("user_id"),
            pl.concat_list(
                pl.struct(role=pl.lit("user"), content=pl.col("pair_id").cast(pl.String))
            ).alias("prompt"),
            pl.lit("one").alias("response_1"),
            pl.lit("other").alias("response_2"),
            pl.col("label"),
        ),
        Meta(dataset="toy"),
    )
    write_preferences(prefs, tmp_path / "table.parquet")
    read, meta = read_votes(tmp_path / "table.parquet")
    document = dataset_statistics(read, meta).to_json()
    assert_same(document, dataset_statistics(prefs.votes, prefs.meta).to_json())
    bare = statistics(votes.with_columns(group=pl.col("pair_id").cast(pl.String)))
    for key in ("divergent", "krippendorff_alpha", "mv_acc", "consistency"):
        left, right = values(document[key]), values(bare.to_json()[key])
        assert left.keys() == right.keys()
        for path in left:
            if not path.endswith("/p"):  # exchanges are drawn in the order of the pair ids
                assert left[path] == (
                    pytest.approx(right[path]) if isinstance(left[path], float) else right[path]
                ), path


def test_pandalm_is_what_was_counted_by_hand(shared_data: Path) -> None:
    """999 items of three annotators; items are kept apart, also those that repeat a text."""
    items = json.loads((shared_data / "pandalm" / "testset-v1.json").read_text(encoding="utf-8"))
    labels = {0: 0.5, 1: 1.0, 2: 0.0}
    rows = [
        {
            "user_id": f"annotator{i}",
            "prompt": [{"role": "user", "content": f"{place}\n{item['instruction']}"}],
            "response_1": item["response1"] or "(nothing)",
            "response_2": item["response2"] or "(nothing at all)",
            "label": labels[item[f"annotator{i}"]],
        }
        for place, item in enumerate(items)
        for i in (1, 2, 3)
    ]
    prefs = build(pl.DataFrame(rows), Meta(dataset="pandalm"))
    assert prefs.meta.dropped == {}
    document = dataset_statistics(prefs.votes, prefs.meta).to_json()
    assert (document["n_pairs"], document["n_judgments"], document["n_ties"]) == (999, 2997, 326)
    assert document["n_multi_pairs"] == 894
    assert document["agreement"]["pairwise"]["value"] == pytest.approx(0.947, abs=5e-4)
    assert document["divergent"]["value"] == pytest.approx(0.077, abs=5e-4)
    units = [[v for v in map(int, each) if v] for each in _annotations(items)]
    seen, expected = disagreements([[v - 1 for v in unit] for unit in units])
    alpha = document["krippendorff_alpha"]
    assert alpha["value"] == pytest.approx(1 - seen / expected, abs=2e-3)
    assert alpha["ci"][0] < alpha["value"] < alpha["ci"][1]
    assert document["consistency"] is None


def _annotations(items: list[dict[str, Any]]) -> list[list[int]]:
    return [[item[f"annotator{i}"] for i in (1, 2, 3)] for item in items]
