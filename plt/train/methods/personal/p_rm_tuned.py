"""P-RM with a fine-tuned backbone: heads or soft prompts, trained together with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from plt.train.heads.factor_table import FactorTable
from plt.train.heads.offsets import OffsetTable
from plt.train.judgements import named_users
from plt.train.method import Judgements, TrainContext
from plt.train.multi_user.fine_tune import describe, describe_fit, fine_tune
from plt.train.multi_user.tuned_heads import fine_tune_heads

if TYPE_CHECKING:
    from plt.train.methods.personal.p_rm_config import Config
    from plt.train.multi_user.joint_network import Sharing
    from plt.train.multi_user.soft_prompt_reward import SoftPromptReward, SoftSettings
    from plt.train.tuning.tuned_reward import TunedReward


@dataclass(frozen=True)
class TunedFit:
    """The parts of a fitted `PRm`, as it names them."""

    rewards: "OffsetTable | FactorTable | SoftPromptReward | None"
    backbone: "TunedReward | None"
    notes: tuple[str, ...]


def fit_tuned(
    judgements: Judgements, profiles: Mapping[str, str], config: "Config", ctx: TrainContext
) -> TunedFit:
    """Trains what the config says.

    Where nothing depends on the person both branches coincide and the loss is that of
    `bradley-terry` at any alpha: it is trained by the same lines.

    Args:
        judgements: Training and validation rows; the latter are not used.
        profiles: What users say of themselves, where that is read.
        config: With `tune` = ``lora`` or ``full``.
        ctx: Seed, work directory, device, dtype, progress.
    """
    nobody = config.vectors == 0 if config.soft else config.users == "uniform"
    if nobody and not profiles:
        grouped = not config.soft and config.group_pairs is not False
        tuned = fine_tune(judgements, config, ctx, grouped=grouped)
        return TunedFit(None, tuned, (describe_fit(config, tuned.losses),))
    train = judgements.select(~judgements.validation)
    users: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    if config.users != "uniform" or profiles:
        users, notes = named_users(train, judgements)
    if config.soft:
        return _fit_soft(train, users, profiles, config, ctx, notes)
    heads = fine_tune_heads(train, users, config, _sharing(config), ctx)
    rewards: OffsetTable | FactorTable
    if config.users == "individual":
        rewards = heads.offset_table(train, config.alpha, config.generic_offset, ctx.compute)
    else:
        rewards = heads.factor_table(
            train, alpha=config.alpha, simplex=config.simplex, compute=ctx.compute
        )
    return TunedFit(rewards, heads.backbone, (f"{describe(config)}; {heads.how}", *notes))


def _fit_soft(
    train: Judgements,
    users: tuple[str, ...],
    profiles: Mapping[str, str],
    config: "Config",
    ctx: TrainContext,
    notes: tuple[str, ...],
) -> TunedFit:
    from plt.train.multi_user.soft_prompt_reward import SoftPromptReward

    said = {user: text for user, text in profiles.items() if user in set(users)}
    soft = _soft(config)
    rewards, hows = SoftPromptReward.fit(train, users, said, config, soft, ctx)
    how = (f"{describe(config)}; {hows[0]}", *hows[1:])
    if said:
        how = (*how, f"{len(said)} of {len(users)} users' own words are read, and saved")
    return TunedFit(rewards, None, (*how, *notes))


def adapt_soft(
    rewards: "SoftPromptReward",
    judgements: Judgements,
    profiles: Mapping[str, str],
    config: "Config",
    ctx: TrainContext,
) -> "SoftPromptReward":
    """Soft tokens for the judges, everything else frozen."""
    from plt.train.multi_user.soft_prompt_reward import ADAPT_STEPS

    steps = config.adapt_steps or ADAPT_STEPS
    return rewards.adapted(judgements, profiles, steps, ctx)


def load_soft(path: Path, config: "Config") -> "SoftPromptReward":
    """What `SoftPromptReward.save` wrote."""
    from plt.train.multi_user.soft_prompt_reward import SoftPromptReward

    return SoftPromptReward.load(path, _soft(config))


def _sharing(config: "Config") -> "Sharing":
    from plt.train.multi_user.joint_network import Sharing
    from plt.train.people.shape import UserModelShape

    shape = UserModelShape(
        config.users, config.vectors, config.n_clusters, config.simplex, config.generic_offset
    )
    grouped = not config.soft and config.group_pairs is not False
    return Sharing(shape, config.alpha, grouped, config.users_learning_rate)


def _soft(config: "Config") -> "SoftSettings":
    from plt.train.multi_user.soft_prompt_reward import SoftSettings

    backbone = config.train_backbone is not False
    return SoftSettings(_sharing(config), backbone, config.token_start)
