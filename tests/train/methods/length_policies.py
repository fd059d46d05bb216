"""The controlled experiment of Li et al. 2024 on `synthetic:length`, with a small causal model.

``python -m tests.train.methods.length_policies > tests/golden/length_policies.json``
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from plt.analyze.intervals.uncertainty import mean_interval
from plt.analyze.scores.evaluation import evaluation_rows
from plt.analyze.scores.implicit_accuracy import ImplicitAccuracy, implicit_accuracy
from plt.data.simulate import length
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import Preferences
from plt.train.judgements import training_view
from plt.train.method import Compute, TrainContext
from plt.train.models.embedded.untrained import SmallModel, make_small_model
from plt.train.registry import make_method
from plt.train.runs.scoring import Label, score_pairs

COMMAND = "python -m tests.train.methods.length_policies > tests/golden/length_policies.json"
N_SEEN = 10
SEEDS = (0, 1, 2)
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "vanilla": ("dpo", {}),
    "individual": ("p-dpo", {}),
    "individual, SFT term .1": ("p-dpo", {"sft_weight": 0.1}),
    "cluster K5": ("p-dpo", {"users": "cluster"}),
    "cluster K2": ("p-dpo", {"users": "cluster", "n_clusters": 2}),
    "individual, T_u 1": ("p-dpo", {"n_tokens": 1}),
    "individual, alpha 1": ("p-dpo", {"alpha": 1.0}),
    "individual, no e_0": ("p-dpo", {"generic_offset": False}),
}


@dataclass(frozen=True)
class Scale:
    """How large the experiment is.

    Attributes:
        prompts: Posts.
        pairs: Judgements of each worker.
        sft: Steps of the language model, of 32 texts.
        steps: Steps of a policy, of 16 judgements.
        judged: Test rows of either kind of worker.
    """

    prompts: int
    pairs: int
    sft: int
    steps: int
    judged: int


FULL = Scale(prompts=2000, pairs=500, sft=400, steps=200, judged=800)
MINUTE = Scale(prompts=500, pairs=120, sft=60, steps=50, judged=200)
"""Fifty steps are few: users need a faster rate in them."""
MINUTE_ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "vanilla": ("dpo", {"learning_rate": 2e-3}),
    "individual": ("p-dpo", {"learning_rate": 2e-3, "users_learning_rate": 3e-2}),
}
SMALL = Scale(prompts=700, pairs=180, sft=120, steps=80, judged=300)


def workers(scale: Scale, seed: int) -> Preferences:
    """Twenty workers by rank, of whom the first ten are learnt from; split by pair."""
    config = length.Config(
        users=2 * N_SEEN, prompts=scale.prompts, pairs_per_user=scale.pairs, seed=seed
    )
    prefs = split(length.simulate(config), SplitPlan(by="pair", unseen_users=0.0, seed=seed))
    ranks = length.user_table(config).select("user_id", "attr_rank")
    known = ranks.filter(pl.col("attr_rank") <= N_SEEN)["user_id"].to_list()
    seen = pl.col("user_id").cast(pl.String).is_in(known)
    kind = pl.when(seen).then(pl.lit("seen")).otherwise(pl.lit("unseen"))
    return replace(
        prefs,
        votes=prefs.votes.with_columns(
            kind.cast(prefs.votes["user_split"].dtype).alias("user_split")
        ),
    )


def minority() -> list[str]:
    """The three of the first ten who want shorter summaries."""
    table = length.user_table(length.Config(users=2 * N_SEEN))
    rare = (pl.col("attr_rank") <= N_SEEN) & (pl.col("attr_kind") == "shorter")
    return table.filter(rare)["user_id"].to_list()


def reference(prefs: Preferences, scale: Scale, seed: int, folder: Path, compute: Compute) -> Path:
    """A model that writes like the summaries, of either length, as a folder."""
    base = make_small_model(prefs, folder / "base", SmallModel())
    settings = {
        "model": str(base), "tune": "full", "responses": "all", "learn": "text",
        "max_steps": scale.sft, "learning_rate": 3e-3, "pairs_per_step": 32,
    }  # fmt: skip
    ctx = TrainContext(seed, folder / "sft-work", compute)
    make_method("sft", settings).fit(training_view(prefs), ctx).save(folder / "sft" / "model")
    return folder / "sft" / "model" / "language_model"


def row_scores(
    prefs: Preferences,
    name: str,
    settings: Mapping[str, Any],
    model: Path,
    scale: Scale,
    ctx: TrainContext,
) -> pl.DataFrame:
    """The scores of one row of the table; the work directory of `ctx` is its own."""
    options: dict[str, Any] = {"model": str(model), "tune": "full", "learning_rate": 1e-3}
    if name != "dpo":
        options["users_learning_rate"] = 1e-2
    options |= settings
    method = make_method(name, {**options, "max_steps": scale.steps})
    fitted = method.fit(training_view(prefs), ctx)
    held_out = prefs.votes.filter(pl.col("split") != "train")
    parts = [
        held_out.filter(pl.col("user_split") == kind).sample(scale.judged, seed=ctx.seed)
        for kind in ("seen", "unseen")
    ]
    rows = replace(prefs, votes=pl.concat(parts))
    return score_pairs(fitted, rows, Label("run", name, ctx.seed)).frame


def generic_difference(scores: pl.DataFrame, vanilla: pl.DataFrame) -> dict[str, float]:
    """E2: accuracy on unseen workers as the generic user, minus vanilla's on the same rows."""
    own, other = (
        evaluation_rows(part.filter(pl.col("user_split") == "unseen")) for part in (scores, vanilla)
    )
    found = mean_interval(own.correct - other.correct, own.users, own.groups)
    ends = (found.value, found.low, found.high)
    names = ("generic_minus_vanilla", "difference_low", "difference_high")
    return {
        name: round(100 * end, 1) for name, end in zip(names, ends, strict=True) if end is not None
    }


def experiment(
    scale: Scale, rows: Mapping[str, tuple[str, dict[str, Any]]], seed: int = 0
) -> Iterator[dict[str, Any]]:
    """Rows of the table, vanilla first: accuracies in per cent with their errors, CPU seconds."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        compute = Compute(device="cpu", cache_dir=folder / "cache", batch_size=64)
        prefs = workers(scale, seed)
        model = reference(prefs, scale, seed, folder, compute)
        vanilla = pl.DataFrame()
        for number, (label, (name, settings)) in enumerate(rows.items()):
            began = time.process_time()
            ctx = TrainContext(seed, folder / str(number), compute)
            scores = row_scores(prefs, name, settings, model, scale, ctx)
            vanilla = scores if number == 0 else vanilla
            apart = generic_difference(scores, vanilla) if number else {}
            seconds = round(time.process_time() - began)
            found = _percent(implicit_accuracy(scores, minority()))
            yield {"seed": seed, "row": label, **found, **apart, "cpu_s": seconds}


def _percent(found: ImplicitAccuracy) -> dict[str, float]:
    entry = {}
    for key in ("top", "generic", "majority", "minority"):
        interval = getattr(found, key)
        entry[key] = round(100 * interval.value, 1)
        entry[f"{key}_se"] = round(100 * (interval.se or 0.0), 1)
    return entry


def main() -> None:
    """Prints the golden file, of the seeds that are named or of all."""
    table = []
    for seed in [int(argument) for argument in sys.argv[1:]] or SEEDS:
        for row in experiment(FULL, ROWS, seed):
            print(json.dumps(row), file=sys.stderr, flush=True)
            table.append(row)
    print(json.dumps({"command": COMMAND, "table": table}, indent=1))


if __name__ == "__main__":
    main()
