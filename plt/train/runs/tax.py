"""Everybody's scores on one benchmark, in one pass over its texts; and what a base may be."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from plt.data.tables.preferences import Preferences
from plt.train.features.reference import reference_log_probs
from plt.train.method import (
    Compute,
    FloatArray,
    IntArray,
    MarginScorer,
    Method,
    RewardScorer,
    Texts,
)
from plt.train.methods.baselines.pretrained import Config, Pretrained
from plt.train.models.source import resolve_model
from plt.train.runs.scoring import Label, scored_rows

if TYPE_CHECKING:
    from plt.train.policies.policy import Policy


def score_as_each(
    scorer: RewardScorer | MarginScorer,
    prefs: Preferences,
    users: Sequence[str | None],
    label: Label,
) -> pl.DataFrame:
    """A `scores/1` table of every judgement of `prefs` as each of `users`, one user after another.

    The method is asked once for all users, so that a method whose users share a backbone reads
    each text once, however many they are.

    Args:
        scorer: Fitted.
        prefs: The benchmark.
        users: People whom the method knows; None is the population.
        label: What identifies the pass.

    Raises:
        FailedError: A margin is no finite number.
    """
    votes = prefs.votes.with_columns(pl.col("user_id").cast(pl.String))
    tiled = pl.concat([votes] * len(users)) if users else votes.clear()
    whose = [user for user in users for _ in range(votes.height)]
    return scored_rows(scorer, tiled, prefs.pairs, whose, label)


def has_trained_head(model: str) -> bool:
    """Whether a model brings a scalar head of its own.

    Raises:
        ArtifactError: It cannot be found.
    """
    from plt.train.models.scalar_head import own_head

    return own_head(resolve_model(model)) is not None


def public_model(model: str, compute: Compute, max_length: int | None = None) -> Pretrained:
    """A public reward model as it is.

    Raises:
        ArtifactError: The model cannot be loaded, or has no scalar head.
    """
    from plt.train.tuning.tuned_reward import TunedReward

    public = TunedReward.pretrained(model, compute.dtype, max_length)
    return replace(Pretrained(Config(model, max_length), public), compute=compute)


def policy_of(method: Method) -> "Policy | None":
    """The trained policy of a method that is one."""
    found: Policy | None = getattr(method, "policy", None)
    return found


@dataclass(frozen=True)
class ReferenceLikelihood:
    """r(x, y) = log pi_ref(y | x) / tokens of y: what a policy's reference finds likely.

    The base of a policy without a generic user: per token, since a sum would choose the shorter
    answer nearly always. A response without a token has a reward of 0.

    Attributes:
        policy: Whose reference.
        compute: How to compute.
    """

    policy: "Policy"
    compute: Compute

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),); `users` changes nothing."""
        policy = self.policy
        as_trained = replace(self.compute, dtype=policy.dtype)
        found = reference_log_probs(
            texts, policy.source, policy.encoder, policy.reference_model, as_trained
        ).vectors[:, 0]
        everything = np.arange(len(texts), dtype=np.int64)
        return np.asarray((found / np.maximum(policy.n_tokens(texts, everything), 1))[rows])
