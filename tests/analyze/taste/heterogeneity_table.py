"""Makes `tests/golden/heterogeneity.json`: how often the test speaks, by world.

    python -m tests.analyze.taste.heterogeneity_table > tests/golden/heterogeneity.json

takes about half an hour of one core. Every data set has a seed of its own, so parts can be made
again.
"""

import json
import sys
from typing import Any

import numpy as np

from plt.analyze.taste.random_slopes import random_slope_gain
from tests.analyze.taste.taste_worlds import (
    FIRMNESS,
    NULLS,
    OUTSIDE,
    TASTES,
    World,
    p_values,
)

COMMAND = "python -m tests.analyze.taste.heterogeneity_table > tests/golden/heterogeneity.json"
N_RESAMPLES = 99
LEVEL = 0.05
N_KEPT = 2
GAINS = {
    "nobody differs": (NULLS["nobody differs"], 300, 40),
    "conversation, spread, squares": (NULLS["conversation, spread, squares"], 300, 40),
    "tau .1": (TASTES["tau .1"], 300, 20),
    "tau .2": (TASTES["tau .2"], 300, 20),
    "tau .3": (TASTES["tau .3"], 300, 20),
}


def main() -> None:
    """Writes the table to stdout and a line a world to stderr."""
    rows = [
        *(rates("null", name, world, 300, 300) for name, world in NULLS.items()),
        *(rates("firmness", name, world, 300, 150) for name, world in FIRMNESS.items()),
        *(rates("outside", name, world, 300, 60) for name, world in OUTSIDE.items()),
        *(rates("taste", name, world, 200, 60) for name, world in TASTES.items()),
        *(rates("taste", name, world, 1400, 20) for name, world in TASTES.items()),
        rates("null", "nobody differs", NULLS["nobody differs"], 1400, 50),
        rates("null", "nobody differs", NULLS["nobody differs"], 30, 300),
    ]
    gains = [gain(name, *setting) for name, setting in GAINS.items()]
    table = {"command": COMMAND, "n_resamples": N_RESAMPLES, "rates": rows, "gains": gains}
    json.dump(table, sys.stdout, indent=1)
    sys.stdout.write("\n")


def rates(kind: str, name: str, world: World, n_users: int, n_sims: int) -> dict[str, Any]:
    """Shares of p values at or below 5 %, and the first p values themselves."""
    found = p_values(world, n_users, n_sims, n_resamples=N_RESAMPLES)
    spoke = found <= LEVEL
    row = {
        "kind": kind,
        "world": name,
        "n_users": n_users,
        "n_sims": n_sims,
        "signs": _share(spoke[:, 0]),
        "permutation": _share(spoke[:, 1]),
        "beyond_strength": _share(spoke[:, 2]),
        "one_feature": _share(spoke[:, 3:]),
        "first_p_values": found[:N_KEPT].round(2).tolist(),
    }
    print(row, file=sys.stderr, flush=True)
    return row


def gain(name: str, world: World, n_users: int, n_sims: int) -> dict[str, Any]:
    """Mean gain of random slopes, and how often its interval lies above 0."""
    found = [
        random_slope_gain(world.draw(n_users, np.random.default_rng([seed, 3])), seed)
        for seed in range(n_sims)
    ]
    row: dict[str, Any] = {"world": name, "n_users": n_users, "n_sims": n_sims}
    for figure in ("log_loss", "accuracy"):
        intervals = [getattr(one, figure) for one in found]
        row[figure] = {
            "mean": round(float(np.mean([each.value for each in intervals])), 5),
            "above_0": _share(
                np.array([each.low is not None and each.low > 0 for each in intervals])
            ),
            "below_0": _share(
                np.array([each.high is not None and each.high < 0 for each in intervals])
            ),
        }
    print(row, file=sys.stderr, flush=True)
    return row


def _share(spoke: np.ndarray) -> float:
    return round(float(spoke.mean()), 4)


if __name__ == "__main__":
    main()
