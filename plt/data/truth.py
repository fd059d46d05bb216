"""The true rewards of a simulated table, from its metadata alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from plt.data.registry import SIMULATORS, load_module
from plt.data.simulate.world.survey import FloatArray, config_of, user_ids
from plt.errors import UsageError

HINT = "plt dataset-simulate attributes -o simulated.parquet"


def people_of(truth: Mapping[str, Any] | None) -> list[str]:
    """Everybody whose true reward is known, sorted.

    Args:
        truth: `Meta.truth` of a table.

    Raises:
        UsageError: The table has none, or one from which no reward can be recomputed.
        DataError: It is damaged.
    """
    simulated = _simulator(truth)
    return user_ids(config_of(simulated.Config, truth or {}, simulated.NAME).users)


def true_rewards(
    truth: Mapping[str, Any], responses: Sequence[str], users: Sequence[str]
) -> FloatArray:
    """What each of `users` really gives each response, in log-odds.

    Differences are the log-odds of Bradley-Terry labels before any are turned round by noise. Hard
    labels know no scale: there only the sign counts.

    Args:
        truth: As for `people_of`.
        responses: n texts of any origin.
        users: U people.

    Returns:
        Shape (U, n).

    Raises:
        UsageError: As `people_of`; or the simulator knows nobody by one of the names.
        DataError: The truth is damaged.
    """
    simulated = _simulator(truth)
    scale = config_of(simulated.Config, truth, simulated.NAME).scale
    rewards = [simulated.true_reward(truth, responses, user) for user in users]
    table = np.array(rewards, dtype=np.float64).reshape(len(users), len(responses))
    return np.asarray(scale * table)


def _simulator(truth: Mapping[str, Any] | None) -> Any:
    """The module that made the truth."""
    if truth is None:
        raise UsageError("this table has no known truth: it is not simulated", hint=HINT)
    name = truth.get("simulator")
    if name not in SIMULATORS:
        raise UsageError(
            f"the truth of this table is that of '{name}', from which no text's reward can be"
            " recomputed",
            hint=HINT,
        )
    return load_module(SIMULATORS[name].target)
