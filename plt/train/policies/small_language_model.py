"""`builtin:small`: a small causal model that has learnt to write, fitted once and then kept.

It is the reference of P-RLHF's controlled experiment at toy size: it writes like the summaries of
`synthetic:length`, of either length, and has no taste. Its posts are those of another seed than any
that a person is likely to ask for, so it has not read the texts that policies are judged on.
"""

import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path

from plt.data.simulate import length
from plt.data.splitting.splits import SplitPlan, split
from plt.train.judgements import training_view
from plt.train.method import Compute, Progress, TrainContext
from plt.train.models.embedded.kept import made_once
from plt.train.models.embedded.untrained import SmallModel, make_small_model
from plt.train.policies.settings import PolicySettings
from plt.train.policies.sft_fit import fit_language_model

NAME = "small"
RECIPE_VERSION = 1  # to be raised with any change below that the recipe does not show
SEED = 20_240_229
SIZES = SmallModel()
POSTS, WORKERS, ANSWERS = 2000, 10, 300
STEPS, TEXTS_A_STEP, RATE = 400, 32, 3e-3


def small_language_model(cache: Path, progress: Progress) -> Path:
    """The folder of `builtin:small` under `cache`, fitted when it is not there yet.

    Args:
        cache: The cache folder.
        progress: Takes (what, done, total).

    Raises:
        ArtifactError: The cache cannot be written.
    """
    world = [SEED, POSTS, WORKERS, ANSWERS]
    recipe = [RECIPE_VERSION, world, asdict(SIZES), [STEPS, TEXTS_A_STEP, RATE]]
    return made_once(NAME, recipe, cache, partial(_fit, progress=progress))


def _fit(folder: Path, progress: Progress) -> None:
    """Learns prompts and responses, every distinct text once, on the CPU."""
    world = length.Config(users=WORKERS, prompts=POSTS, pairs_per_user=ANSWERS, seed=SEED)
    prefs = split(length.simulate(world), SplitPlan(by="pair", unseen_users=0.0, seed=SEED))
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fit.") as scratch:
        place = Path(scratch)
        settings = PolicySettings(
            model=str(make_small_model(prefs, place / "untrained", SIZES)),
            tune="full",
            max_steps=STEPS,
            learning_rate=RATE,
            pairs_per_step=TEXTS_A_STEP,
        )
        compute = Compute(device="cpu", batch_size=TEXTS_A_STEP, progress=progress)
        ctx = TrainContext(SEED, place / "work", compute)
        policy, _ = fit_language_model(
            training_view(prefs), settings, ctx, chosen_only=False, whole=True
        )
        policy.language_model().save_pretrained(folder)
        policy.encoder.tokenizer.save_pretrained(folder)
