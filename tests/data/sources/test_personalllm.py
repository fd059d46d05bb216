import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from plt.data.reading.ratings import PairRule
from plt.data.sources import personalllm
from plt.data.sources.personalllm import Population, archetypes, read_scored, simulate_users
from plt.data.tables.preferences import Preferences
from plt.errors import DataError, UsageError

MODELS = list(personalllm.SCALES)
COST = MODELS.index(personalllm.COST_MODEL)


def rows(n: int = 6, *, cost_sign: int = -1, scale: float = 1.0) -> list[dict[str, object]]:
    """Every model likes a direction of its own plus a shared one; the cost model turns it round."""
    draw = np.random.default_rng(0)
    found = []
    for i in range(n):
        shared = draw.normal(size=8)
        row: dict[str, object] = {"prompt": f"p{i}", "person_id": i}
        for k in range(8):
            row[f"response_{k + 1}"] = f"answer {i} {k}"
            row[f"response_{k + 1}_model"] = f"model {k}"
            for m, model in enumerate(MODELS):
                mean, deviation = personalllm.SCALES[model]
                value = 2 * shared[k] + 0.3 * draw.normal()
                value *= cost_sign if m == COST else 1
                row[f"response_{k + 1}_{model}"] = (mean + deviation * value) * scale
        found.append(row)
    return found


def write(folder: Path, table: list[dict[str, object]], name: str = "train-0.jsonl") -> Path:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in table))
    return folder


def silent(text: str) -> None:
    del text


def test_every_archetype_judges_the_same_pairs(tmp_path: Path) -> None:
    write(tmp_path, rows(), "train-0.jsonl")
    pl.DataFrame(rows(2)).with_columns(prompt="q" + pl.col("prompt")).write_parquet(
        tmp_path / "test-0.parquet"
    )
    prefs = personalllm.load(tmp_path, None, silent)
    assert prefs.votes["user_id"].n_unique() == 10
    per_pair = prefs.votes.group_by("pair_id").len()["len"]
    assert per_pair.to_list() == [10] * (8 * 4)
    assert dict(prefs.votes["split"].value_counts().iter_rows()) == {"train": 240, "test": 80}


def test_labels_follow_the_scores_and_the_cost_model_is_turned(tmp_path: Path) -> None:
    said: list[str] = []
    prefs = personalllm.load(write(tmp_path, rows()), "archetypes", said.append)
    assert said == ["beaver_7b is a cost model and disagrees with the others: its sign was turned"]
    wide = prefs.wide()
    assert ((wide["score_a"] > wide["score_b"]) == (wide["label"] == 1)).all()
    agreed = [
        personalllm.load(write(tmp_path, rows(cost_sign=sign)), None, silent) for sign in (-1, 1)
    ]
    beaver = [p.votes.filter(pl.col("user_id") == personalllm.COST_MODEL) for p in agreed]
    assert beaver[0]["label"].equals(beaver[1]["label"])
    friendly: list[str] = []
    personalllm.load(write(tmp_path, rows(cost_sign=1)), None, friendly.append)
    assert friendly == []


def test_scores_are_standardised(tmp_path: Path) -> None:
    scored = read_scored(write(tmp_path, rows(300)), silent)
    assert np.allclose(scored.scores.mean(axis=(0, 1)), 0, atol=0.2)
    assert np.allclose(scored.scores.std(axis=(0, 1)), 2, rtol=0.1)


def test_dirichlet_users_maximise_their_weighted_reward(tmp_path: Path) -> None:
    scored = read_scored(write(tmp_path, rows(30)), silent)
    population = Population(n_users=20, prompts_per_user=10, seed=3)
    prefs = simulate_users(scored, population)
    assert prefs.votes.height == 200
    weights = personalllm.user_weights(population)
    assert np.allclose(weights.sum(axis=1), 1)
    place = {t: (i, k) for i, row in enumerate(scored.responses) for k, t in enumerate(row)}
    for row in prefs.wide().iter_rows(named=True):
        reward = [
            scored.scores[place[row[f"response_{side}"]]] @ weights[int(row["user_id"][1:])]
            for side in "ab"
        ]
        assert row["label"] == float(reward[0] > reward[1])
        assert np.allclose(reward, [row["score_a"], row["score_b"]], atol=1e-5)
    assert prefs.meta.truth == {
        "simulator": "personalllm-dirichlet", "models": MODELS, "alpha": 0.1, "n_users": 20,
        "prompts_per_user": 10, "best_worst": False, "seed": 3,
    }  # fmt: skip
    again = simulate_users(scored, population)
    assert again.votes.equals(prefs.votes)


def test_best_worst_pairs_are_the_extremes(tmp_path: Path) -> None:
    scored = read_scored(write(tmp_path, rows(5)), silent)
    prefs = simulate_users(scored, Population(n_users=3, prompts_per_user=5, best_worst=True))
    gap = (prefs.votes["score_a"] - prefs.votes["score_b"]).abs()
    random = simulate_users(scored, Population(n_users=3, prompts_per_user=5))
    assert gap.mean() > (random.votes["score_a"] - random.votes["score_b"]).abs().mean()


@pytest.mark.parametrize(
    ("alpha", "largest", "effective"),
    [(0.01, 0.94, 1.2), (0.1, 0.67, 2.5), (1.0, 0.29, 7.0)],
)
def test_concentration_sets_how_many_models_matter(
    alpha: float, largest: float, effective: float
) -> None:
    weights = personalllm.user_weights(Population(alpha=alpha, n_users=4000))
    entropy = -np.sum(weights * np.log(np.maximum(weights, 1e-300)), axis=1)
    assert weights.max(axis=1).mean() == pytest.approx(largest, abs=0.02)
    assert np.exp(entropy).mean() == pytest.approx(effective, rel=0.1)


def test_missing_columns_and_scores(tmp_path: Path) -> None:
    table = rows(2)
    del table[0]["response_3_gemma_2b"], table[1]["response_3_gemma_2b"]
    with pytest.raises(DataError, match="not in the expected form") as caught:
        personalllm.load(write(tmp_path, table), None, silent)
    assert len(caught.value.problems) == 1
    table = rows(2)
    table[0]["response_1_gemma_2b"] = None
    rule = PairRule("all")
    prefs: Preferences = archetypes(read_scored(write(tmp_path, table), silent), rule)
    assert prefs.meta.dropped == {"no score": 1}
    assert prefs.votes.height == 10 * 2 * 28 - 7
    with pytest.raises(UsageError, match="no variant"):
        personalllm.load(tmp_path, "alpha", silent)
