"""PersonalLLM: eight answers to 10,402 prompts, scored by ten reward models that stand for tastes.

Source: hub dataset `namkoong-lab/PersonalLLM`. Paper: Zollo et al. 2024, "PersonalLLM: Tailoring
LLMs to Individual Preferences" (arXiv 2409.20296). Licence: CC-BY-4.0.

Wide rows: `prompt`, `response_1` to `response_8` (with `response_i_model` where present), and 80
columns `response_i_RM`. The reward models have different scales, so every score is standardised by
the published mean and standard deviation before scores are mixed. `beaver_7b` is a cost model: its
sign is taken from the data (positive where it agrees with the mean of the other nine), and said.
Responses of one text are one response with its mean scores, and nobody judges a pair twice.

Variants:
    archetypes (the default): ten users, each one reward model. Every user judges the same four
        random pairs of each prompt, so that disagreement can be computed; equal scores are dropped.
    dirichlet: 1,000 users with weights drawn from a symmetric Dirichlet distribution with
        concentration 0.1, each judging one random pair of 40 random prompts; the weights stand in
        the metadata by their parameters and seed. Other populations: `simulate_users`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from plt.data.reading.conversation import prompt_series, to_messages
from plt.data.reading.field_map import each, require, texts, values
from plt.data.reading.ratings import PairRule, pairs_of_ratings
from plt.data.reading.raw_files import RawTable, joined_hash, matching_files, read
from plt.data.remarks import Say, warn
from plt.data.tables.preferences import Preferences, build, prompt_json
from plt.data.tables.table import Meta
from plt.errors import DataError, UsageError

HUB_REPO = "namkoong-lab/PersonalLLM"
REVISION: str | None = None
FILES = ("data/train-*.parquet", "data/test-*.parquet")
LICENSE = "CC-BY-4.0"
SIZE = "92 MB"
CONVERTER_VERSION = 2

N_RESPONSES = 8
# Mean and standard deviation of each reward model, as its authors publish them.
SCALES: Mapping[str, tuple[float, float]] = {
    "gemma_2b": (4.330, 2.039),
    "gemma_7b": (1.626, 2.610),
    "mistral_raft": (8.309, 3.073),
    "llama3_sfairx": (1.064, 2.953),
    "oasst_deberta_v3": (2.898, 1.721),
    "beaver_7b": (6.234, 3.013),
    "oasst_pythia_7b": (4.706, 1.366),
    "oasst_pythia_1b": (4.294, 2.302),
    "mistral_ray": (3.014, 1.690),
    "mistral_weqweasdas": (7.071, 2.579),
}
COST_MODEL = "beaver_7b"
ARCHETYPE_RULE = PairRule("random", 4)
VARIANTS = (None, "archetypes", "dirichlet")
SAME_PAIR = "same pair again under one prompt"


@dataclass(frozen=True)
class Population:
    """Simulated users whose reward is a weighted mean of the standardised reward models.

    Attributes:
        alpha: Concentration of the Dirichlet distribution; towards 0 every user is one model.
        n_users: How many users.
        prompts_per_user: Prompts each judges, drawn without replacement.
        best_worst: Judge the best against the worst of the eight, the easiest pair, instead of two
            random ones.
        seed: Of the weights and draws.
    """

    alpha: float = 0.1
    n_users: int = 1000
    prompts_per_user: int = 40
    best_worst: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Scored:
    """The dataset as arrays: prompts and responses as texts, scores (prompt, response, model)."""

    prompts: list[str]
    responses: list[list[str | None]]
    sources: list[list[str | None]]
    scores: np.ndarray
    splits: list[str | None]
    meta: Meta


def load(raw: Path, variant: str | None = None, say: Say = warn) -> Preferences:
    """Converts the dataset into the judgements of archetypes or of simulated users.

    Args:
        raw: A file, or a folder that holds the train and test files.
        variant: None or `archetypes`, or `dirichlet`.
        say: Takes a remark on the sign of the cost model.

    Returns:
        Judgements with the source's train and test split.

    Raises:
        DataError: Files or columns are missing, or a score is no number.
        UsageError: No such variant.
    """
    if variant not in VARIANTS:
        raise UsageError(f"personalllm has no variant {variant!r}", hint="plt ls datasets")
    scored = read_scored(raw, say)
    return simulate_users(scored, Population()) if variant == "dirichlet" else archetypes(scored)


def read_scored(raw: Path, say: Say = warn) -> Scored:
    """Reads the wide files, standardises every reward model and turns the cost model's sign."""
    paths = matching_files(raw, "*.parquet", "*.jsonl", "*.json", "*.csv")
    tables = [read(path) for path in paths]
    names = [f"response_{i}" for i in range(1, N_RESPONSES + 1)]
    prompts: list[str] = []
    responses: list[list[str | None]] = []
    sources: list[list[str | None]] = []
    splits: list[str | None] = []
    blocks = []
    for path, table in zip(paths, tables, strict=True):
        require(table, ["prompt", *names, *(f"{n}_{rm}" for n in names for rm in SCALES)])
        prompts += [prompt or "" for prompt in texts(table, "prompt", "prompt")]
        responses += map(list, zip(*(texts(table, n, n) for n in names), strict=True))
        models = [f"{n}_model" for n in names]
        known = all(model in table.columns for model in models)
        cells = [texts(table, m, m) if known else [None] * table.height for m in models]
        sources += map(list, zip(*cells, strict=True))
        part = "train" if "train" in path.name else "test" if "test" in path.name else None
        splits += [part] * table.height
        blocks.append(_scores(table, names))
    scores = np.concatenate(blocks)
    if len(scores) == 0:
        raise DataError(f"{raw} has no rows")
    _average_equal_texts(scores, responses)
    scores = _turn_cost(scores, say)
    meta = Meta(dataset="personalllm", license=LICENSE, source_hash=joined_hash(tables))
    return Scored(prompts, responses, sources, scores, splits, meta)


def archetypes(scored: Scored, rule: PairRule = ARCHETYPE_RULE) -> Preferences:
    """Every reward model as one user; all users judge the same pairs of a prompt."""
    n, k = scored.scores.shape[:2]
    prompts = [prompt_json(to_messages(text) or []) for text in scored.prompts]
    parts: list[pl.DataFrame] = []
    dropped: dict[str, int] = {}
    for m, model in enumerate(SCALES):
        ratings = pl.DataFrame(
            {
                "list": np.repeat(np.arange(n), k),
                # The prompt alone names the draw, so that it is the same for every user.
                "seed_text": np.repeat(np.array(prompts, dtype=object), k).tolist(),
                "response": [text for row in scored.responses for text in row],
                "score": scored.scores[:, :, m].reshape(-1),
                "source": [name for row in scored.sources for name in row],
            },
            schema_overrides={"source": pl.String, "response": pl.String},
        ).with_columns(pl.col("score").fill_nan(None))
        pairs, counts = pairs_of_ratings(ratings, rule, "personalllm")
        parts.append(pairs.with_columns(user_id=pl.lit(model)))
        dropped = {why: dropped.get(why, 0) + count for why, count in counts.items()}
    return _judged_once(pl.concat(parts), scored, scored.meta.with_dropped(dropped))


def simulate_users(scored: Scored, population: Population) -> Preferences:
    """Users with Dirichlet weights over the reward models; their weights are `user_weights`."""
    weights = user_weights(population)
    draw = np.random.default_rng([population.seed, 1])
    n, k = scored.scores.shape[:2]
    complete = np.flatnonzero(~np.isnan(scored.scores).any(axis=(1, 2)))
    per_user = min(population.prompts_per_user, len(complete))
    prompts = np.stack(
        [draw.permutation(complete)[:per_user] for _ in range(population.n_users)]
    ).reshape(-1)
    users = np.repeat(np.arange(population.n_users), per_user)
    rewards = np.einsum("rkm,rm->rk", scored.scores[prompts], weights[users])
    if population.best_worst:
        one, two = rewards.argmax(axis=1), rewards.argmin(axis=1)
    else:
        order = draw.permuted(np.tile(np.arange(k), (len(prompts), 1)), axis=1)
        one, two = order[:, 0], order[:, 1]
    row = np.arange(len(prompts))
    first, second = rewards[row, one], rewards[row, two]
    frame = pl.DataFrame(
        {
            "list": prompts,
            "user_id": [f"u{user:04d}" for user in users],
            "response_1": [scored.responses[p][i] for p, i in zip(prompts, one, strict=True)],
            "response_2": [scored.responses[p][i] for p, i in zip(prompts, two, strict=True)],
            "source_1": [scored.sources[p][i] for p, i in zip(prompts, one, strict=True)],
            "source_2": [scored.sources[p][i] for p, i in zip(prompts, two, strict=True)],
            "score_1": first,
            "score_2": second,
            "label": np.where(first > second, 1.0, 0.0),
        },
        schema_overrides=dict.fromkeys(("source_1", "source_2"), pl.String),
    )
    kept = frame.filter(pl.col("score_1") != pl.col("score_2"))
    dropped = {"score tie": frame.height - kept.height, "incomplete scores": n - len(complete)}
    truth = {"simulator": "personalllm-dirichlet", "models": list(SCALES), **asdict(population)}
    meta = replace(scored.meta, dataset="personalllm:dirichlet", truth=truth)
    return _judged_once(kept, scored, meta.with_dropped(dropped))


def user_weights(population: Population) -> np.ndarray:
    """The weights of every user, shape (users, reward models), in the order of `SCALES`."""
    draw = np.random.default_rng([population.seed, 0])
    return draw.dirichlet(np.full(len(SCALES), population.alpha), size=population.n_users)


def _judged_once(pairs: pl.DataFrame, scored: Scored, meta: Meta) -> Preferences:
    """The table. A reward model has one opinion of a pair, however many rows show the pair."""
    sides = ("response_1", "response_2")
    prompts = pl.Series("_prompt", scored.prompts, dtype=pl.String)
    keyed = pairs.with_columns(
        prompts.gather(pairs["list"]), _low=pl.min_horizontal(sides), _high=pl.max_horizontal(sides)
    )
    once = keyed.unique(["user_id", "_prompt", "_low", "_high"], keep="first", maintain_order=True)
    dropped = {SAME_PAIR: keyed.height - once.height}
    return build(_with_prompts(once, scored), meta.with_dropped(dropped))


def _with_prompts(pairs: pl.DataFrame, scored: Scored) -> pl.DataFrame:
    prompts = pl.DataFrame(
        {"list": range(len(scored.prompts)), "split": scored.splits},
        schema={"list": pl.Int64, "split": pl.String},
    ).with_columns(prompt_series([to_messages(text or None) for text in scored.prompts]))
    return pairs.cast({"list": pl.Int64}).join(
        prompts, on="list", how="left", maintain_order="left"
    )


def _scores(table: RawTable, names: Sequence[str]) -> np.ndarray:
    """Standardised scores of one file, shape (rows, responses, models); missing is NaN."""

    def read_score(cell: object) -> float:
        return float("nan") if cell is None or cell == "" else float(cell)  # type: ignore[arg-type]  # what float refuses is caught

    columns = [
        [
            (np.array(list(each(table, c, values(table, c), read_score))) - mean) / deviation
            for model, (mean, deviation) in SCALES.items()
            for c in [f"{name}_{model}"]
        ]
        for name in names
    ]
    return np.array(columns, dtype=float).reshape(len(names), len(SCALES), -1).transpose(2, 0, 1)


def _average_equal_texts(scores: np.ndarray, responses: Sequence[Sequence[str | None]]) -> None:
    """Gives equal responses of a row their mean score, in place: they are one response."""
    for row, texts_of_row in enumerate(responses):
        if len(set(texts_of_row)) == len(texts_of_row):
            continue
        for text in set(texts_of_row) - {None}:
            same = [i for i, other in enumerate(texts_of_row) if other == text]
            known = (~np.isnan(scores[row, same])).sum(axis=0)
            total = np.nansum(scores[row, same], axis=0)
            scores[row, same] = np.where(known, total / np.maximum(known, 1), np.nan)


def _turn_cost(scores: np.ndarray, say: Say) -> np.ndarray:
    cost = list(SCALES).index(COST_MODEL)
    within = scores - np.nanmean(scores, axis=1, keepdims=True)
    others = np.nanmean(np.delete(within, cost, axis=2), axis=2)
    agreement = float(np.nansum(within[:, :, cost] * others))
    if agreement < 0:
        say(f"{COST_MODEL} is a cost model and disagrees with the others: its sign was turned")
        scores = scores.copy()
        scores[:, :, cost] *= -1
    return scores
