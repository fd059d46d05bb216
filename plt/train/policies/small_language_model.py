"""`builtin:small`: a small causal model that has learnt to write, fitted once and then kept.

It is the reference of P-RLHF's controlled experiment at toy size: it writes like the summaries of
`synthetic:length`, of either length, and has no taste. Its posts are those of another seed than any
that a person is likely to ask for, so it has not read the texts that policies are judged on.
"""

import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from plt.data.simulate import length
from plt.data.splitting.splits import SplitPlan, split
from plt.errors import UsageError
from plt.train.judgements import training_view
from plt.train.method import Compute, Progress, TrainContext
from plt.train.models.embedded.kept import kept_folder, made_once
from plt.train.models.embedded.untrained import SmallModel, make_small_model
from plt.train.policies.settings import PolicySettings
from plt.train.runtime.processes import world_size

NAME = "small"
RECIPE_VERSION = 1  # to be raised with any change below that the recipe does not show
SEED = 20_240_229
SIZES = SmallModel()
POSTS, WORKERS, ANSWERS = 2000, 10, 300
STEPS, TEXTS_A_STEP, RATE = 400, 32, 3e-3


def folder(cache: Path) -> Path:
    """Where `builtin:small` is kept under `cache`; reads no file and loads no torch."""
    return kept_folder(NAME, _recipe(), cache)


def small_language_model(cache: Path, progress: Progress) -> Path:
    """The folder of `builtin:small` under `cache`, fitted when it is not there yet.

    Args:
        cache: The cache folder.
        progress: Takes (what, done, total).

    Raises:
        ArtifactError: The cache cannot be written.
        UsageError: It is not there yet, and several processes ask for it at once.
    """
    return made_once(NAME, _recipe(), cache, partial(_fit, progress=progress))


def _recipe() -> list[Any]:
    world = [SEED, POSTS, WORKERS, ANSWERS]
    return [RECIPE_VERSION, world, asdict(SIZES), [STEPS, TEXTS_A_STEP, RATE]]


def _fit(empty: Path, progress: Progress) -> None:
    """Learns prompts and responses, every distinct text once, on the CPU."""
    from plt.train.policies.sft_fit import fit_language_model
    from plt.train.runtime.devices import quiet

    if world_size() > 1:
        # Those that find it later than the others would wait for steps that nobody takes.
        raise UsageError(
            "builtin:small is not fitted yet, which one process does alone",
            hint="plt doctor --model builtin:small",
        )

    def told(_: str, done: int, total: int) -> None:
        progress("fitting builtin:small, once", done, total)

    world = length.Config(users=WORKERS, prompts=POSTS, pairs_per_user=ANSWERS, seed=SEED)
    prefs = split(length.simulate(world), SplitPlan(by="pair", unseen_users=0.0, seed=SEED))
    with tempfile.TemporaryDirectory(dir=empty.parent, prefix=".fit.") as scratch:
        place = Path(scratch)
        settings = PolicySettings(
            model=str(make_small_model(prefs, place / "untrained", SIZES)),
            tune="full",
            max_steps=STEPS,
            learning_rate=RATE,
            pairs_per_step=TEXTS_A_STEP,
        )
        compute = Compute(device="cpu", batch_size=TEXTS_A_STEP, progress=told)
        ctx = TrainContext(SEED, place / "work", compute)
        policy, _ = fit_language_model(
            training_view(prefs), settings, ctx, chosen_only=False, whole=True
        )
        with quiet():
            policy.language_model().save_pretrained(empty)
        policy.encoder.tokenizer.save_pretrained(empty)
