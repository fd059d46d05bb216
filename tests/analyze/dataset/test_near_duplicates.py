"""Near-duplicate openings: exact clusters, what counts as near, and what they amount to."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plt.analyze.dataset.near_duplicates import (
    BLOCK,
    Vectors,
    character_vectors,
    cluster,
    find_openings,
    near_duplicates,
    prompt_overlap,
)
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.schema import MESSAGES
from plt.data.tables.table import Meta
from plt.errors import UsageError


def directions(rng: np.random.Generator, n: int, d: int, n_centres: int, noise: float) -> Vectors:
    centres = rng.normal(size=(n_centres, d))
    points = centres[rng.integers(0, n_centres, n)] + noise * rng.normal(size=(n, d))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def one_by_one(vectors: Vectors, max_distance: float) -> list[int]:
    """Clusters by walking the graph of near pairs."""
    near = vectors @ vectors.T >= 1 - max_distance
    label = [-1] * len(vectors)
    for start in range(len(vectors)):
        waiting = [start] if label[start] < 0 else []
        while waiting:
            row = waiting.pop()
            if label[row] < 0:
                label[row] = start
                waiting += np.flatnonzero(near[row]).tolist()
    return label


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(0, 60),
    d=st.integers(1, 12),
    noise=st.floats(0.01, 1.0),
    max_distance=st.floats(0.01, 0.6),
)
def test_clusters_are_those_of_the_graph(
    seed: int, n: int, d: int, noise: float, max_distance: float
) -> None:
    rng = np.random.default_rng(seed)
    vectors = directions(rng, n, d, 6, noise)
    distances = 1 - vectors @ vectors.T
    if (np.abs(distances - max_distance) < 1e-4).any():
        return  # too near the threshold for single precision
    assert cluster(vectors, max_distance).tolist() == one_by_one(vectors, max_distance)


def test_clusters_across_blocks() -> None:
    rng = np.random.default_rng(0)
    n = 2 * BLOCK + 500
    vectors = directions(rng, n, 64, 700, 0.12)
    assert cluster(vectors, 0.03).tolist() == one_by_one(vectors, 0.03 + 1e-5)


def test_one_big_cluster() -> None:
    rng = np.random.default_rng(0)
    vectors = directions(rng, BLOCK + 900, 16, 1, 0.001)
    assert not cluster(vectors, 0.1).any()


def distance(one: str, other: str) -> float:
    a, b = character_vectors(pl.Series([one, other]))
    return float(1 - a @ b)


LONG = "Could you explain how vaccines train the immune system, and why some need boosters?"


def test_white_space_and_case_are_nothing() -> None:
    assert distance("  What is\n\nlove? ", "what IS love?") == pytest.approx(0, abs=1e-6)


def test_how_far_texts_are() -> None:
    assert distance(LONG, LONG + "!") < 0.05
    assert distance(LONG, LONG.replace("explain", "tell me")) < 0.2
    assert distance(LONG, "What should I cook for six people on a rainy Sunday?") > 0.8
    assert distance("为什么天空是蓝色的？", "为什么天空是蓝色的?") < 0.3
    assert distance("hi", "yo") > 0.8


def test_a_distance_depends_on_the_two_texts_alone() -> None:
    texts = pl.Series([LONG, "hi", "", "x" * 10_000, "\x00\x1b[31m"])
    together = character_vectors(texts)
    apart = np.concatenate([character_vectors(texts[[i]]) for i in range(texts.len())])
    assert np.array_equal(together, apart)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


def messages(*contents: str) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": text} for i, text in enumerate(contents)]


SYSTEM = {"role": "system", "content": "Be brief."}


def prefs() -> Preferences:
    """Five conversations: u and v ask alike, w asks twice alike, x asks alone, y says nothing."""
    ask, again = "Why is the sky so blue today?", "why is the sky so blue today ?"
    own, more = "How do I bake a loaf of bread?", "How do I bake a loaf of breads?"
    rows = [
        ("u", "c1", messages(ask)),
        ("u", "c1", messages(ask, "Because.", "And at night?")),
        ("v", "c2", [SYSTEM, *messages(again)]),
        ("w", "c3", messages(own)),
        ("w", "c4", messages(more)),
        ("x", "c5", messages("Tell me about the moons of Jupiter.")),
        ("y", "c6", [SYSTEM]),
        (None, "c7", messages(ask)),
    ]
    raw = pl.DataFrame(
        [(*row, "one", "two", 1.0) for row in rows],
        schema={
            "user_id": pl.String,
            "group": pl.String,
            "prompt": MESSAGES,
            "response_1": pl.String,
            "response_2": pl.String,
            "label": pl.Float64,
        },
        orient="row",
    )
    return build(raw, Meta(dataset="made"))


def test_overlap_of_a_table() -> None:
    found = near_duplicates(prefs(), 0.2)
    o = found.overlap
    assert found.n_openings == 5
    assert found.n_left_out == 2
    assert (o.n_clusters, o.n_shared_clusters, o.most_users) == (3, 1, 2)
    assert (o.n_groups, o.n_groups_shared) == (5, 2)
    assert (o.n_users, o.n_users_shared) == (4, 2)
    assert (o.n_judgments, o.n_judgments_shared) == (6, 3)
    assert found.conclusion.startswith(
        "2 of 5 groups open with a question that somebody else asked"
    )
    document = json.loads(json.dumps(found.to_json()))
    assert document["overlap"]["n_groups_shared"] == 2
    assert document["vectors"] == "characters"


def test_a_threshold_of_zero_takes_what_is_written_the_same() -> None:
    assert near_duplicates(prefs(), 0.0).overlap.n_shared_clusters == 0


def test_embeddings_follow_the_openings() -> None:
    table = prefs()
    openings = find_openings(table.pairs)
    assert openings.texts.to_list() == sorted(openings.texts.to_list())
    bread = openings.texts.str.contains("bread").to_numpy()
    embeddings = np.where(bread[:, None], [1.0, 0.0], [0.0, 2.0])
    found = near_duplicates(table, 0.1, embeddings)
    assert found.vectors == "embeddings"
    assert found.overlap.n_clusters == 2
    assert found.overlap.n_groups_shared == 3
    assert "mean nearly the same" in found.conclusion


def test_embeddings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="4 embeddings for 5 openings"):
        near_duplicates(prefs(), 0.1, np.ones((4, 2)))
    with pytest.raises(ValueError, match="differ from zero"):
        near_duplicates(prefs(), 0.1, np.zeros((5, 2)))
    with pytest.raises(ValueError, match="finite"):
        near_duplicates(prefs(), 0.1, np.full((5, 2), np.nan))


@pytest.mark.parametrize("threshold", [-0.1, 1.0, float("nan")])
def test_thresholds_that_make_no_sense_are_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match=r"expected one in \[0, 1\)"):
        near_duplicates(prefs(), threshold)


def test_no_rows() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    assert prompt_overlap(nothing, nothing, nothing).n_groups == 0


@pytest.mark.parametrize(("threshold", "n_shared"), [("0-05", 564), ("0-125", 1029), ("0-2", 1710)])
def test_counts_of_real_clusters(shared_data: Path, threshold: str, n_shared: int) -> None:
    """Conversations of PRISM in clusters of several people, by the clusters its authors made."""
    name = f"local_clusters_opening_prompt_{threshold}.csv"
    frame = pl.read_csv(shared_data / "prism_ids_only" / name)
    codes = frame.select(
        pl.col("cluster_membership"),
        pl.col("user_id", "conversation_id").rank("dense").cast(pl.Int64),
    )
    found = prompt_overlap(
        *(codes[name].to_numpy() for name in ("cluster_membership", "user_id", "conversation_id"))
    )
    assert (found.n_groups, found.n_users, found.n_groups_shared) == (8011, 1396, n_shared)
