"""Judgements to fine-tuned reward models: one for everybody, or one a user.

Imports torch only when something is trained or scored: heads need none of it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from plt.train.judgements import Labels, label_pairs, used_texts
from plt.train.method import Judgements, TrainContext
from plt.train.tuning.settings import RewardSettings

if TYPE_CHECKING:
    from plt.train.tuning.tuned_reward import TunedReward


def fine_tune(
    judgements: Judgements,
    settings: RewardSettings,
    ctx: TrainContext,
    labels: Labels = "votes",
    *,
    grouped: bool = False,
) -> "TunedReward":
    """One reward model from all training rows; validation rows are not used.

    Args:
        judgements: Training and validation rows.
        settings: Backbone and training.
        ctx: Seed, work directory, device, dtype, progress.
        labels: Every judgement, or one label a pair.
        grouped: Whether a step reads all judgements of its pairs, each text once
            (`plt.train.multi_user.joint_loop`); else TRL's trainer reads them one by one.
    """
    from plt.train.tuning.trl import directed_pairs
    from plt.train.tuning.tuned_reward import TunedReward

    train = judgements.select(~judgements.validation)
    if labels == "majority":
        rows, label, _ = label_pairs(train, labels)
        columns = (train.a[rows], train.b[rows], train.pair[rows], train.user[rows])
        kept = np.zeros(len(rows), dtype=bool)
        train = Judgements(train.texts, *columns, train.users, label, kept)
    if grouped:
        from plt.train.multi_user.joint_network import Sharing, fit_heads
        from plt.train.people.shape import UserModelShape

        return fit_heads(train, (), settings, Sharing(UserModelShape("uniform", 1)), ctx)[0]
    texts, used = used_texts(train.texts, np.concatenate([train.a, train.b]))
    pairs = directed_pairs(used[: len(train)], used[len(train) :], train.label)
    return TunedReward.fit(texts, pairs, model=settings.model, tuning=settings.tuning(), ctx=ctx)


def load_tuned(folder: Path) -> "TunedReward":
    """What `TunedReward.save` wrote."""
    from plt.train.tuning.tuned_reward import TunedReward

    return TunedReward.load(folder)


def describe(settings: RewardSettings) -> str:
    """How models are trained, in one line for the notes of a run."""
    schedule = settings.tuning().schedule
    return (
        f"--tune {settings.tune}: {schedule.epochs:g} epochs, learning rate"
        f" {schedule.learning_rate:g}, {schedule.batch_size} judgements a step"
    )


def describe_fit(settings: RewardSettings, losses: Sequence[float]) -> str:
    """`describe`, and where the loss began and ended."""
    return f"{describe(settings)}; loss {losses[0]:.3f} at first, {losses[-1]:.3f} at last"
