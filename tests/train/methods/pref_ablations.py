"""Figure 3A of Shenfeld et al. 2025 on simulated people: what the penalty and the SVD are worth.

``python -m tests.train.methods.pref_ablations > tests/golden/pref_ablations.json`` takes a minute.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from plt.data.simulate import attributes
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import Preferences
from plt.train.judgements import support_view, training_view
from plt.train.method import Compute, TrainContext
from plt.train.methods.personal.pref import Config, Pref
from plt.train.runs.scoring import Label, score_pairs

COMMAND = "python -m tests.train.methods.pref_ablations > tests/golden/pref_ablations.json"
N_SEEDS = 10
ARMS = {
    "full": Config(),
    "no SVD": Config(init="random"),
    "no penalty": Config(l2=0.0),
    "neither": Config(init="random", l2=0.0),
}


def accuracy(method: Pref, rows: Preferences) -> float:
    """Mean over users of the strict accuracy on rows that are no ties."""
    frame = score_pairs(method, rows, Label("run", "pref", 0)).frame
    right = (pl.col("margin") > 0) == (pl.col("label") > 0.5)
    by_user = frame.filter(pl.col("label") != 0.5).group_by("user_id").agg(right.mean().alias("a"))
    return float(by_user["a"].to_numpy().mean())


def ablations(n_seeds: int = N_SEEDS) -> list[dict[str, Any]]:
    """Accuracy of seen users on new pairs and of newcomers after their train rows, by arm."""
    plan = SplitPlan(by="pair", fractions=(70, 10, 20), unseen_users=0.2)
    prefs = split(attributes.simulate(attributes.Config()), plan)
    seen = pl.col("user_split") == "seen"
    test = pl.col("split") == "test"
    known, shots = prefs.filter(seen & test), prefs.filter(~seen & (pl.col("split") == "train"))
    newcomers = prefs.filter(~seen & test)
    table = []
    with tempfile.TemporaryDirectory() as folder:
        compute = Compute(device="cpu", cache_dir=Path(folder))
        for name, config in ARMS.items():
            found = []
            for seed in range(n_seeds):
                ctx = TrainContext(seed, Path(folder), compute)
                fitted = Pref(config).fit(training_view(prefs), ctx)
                adapted = fitted.adapt(support_view(shots), ctx)
                found.append((accuracy(fitted, known), accuracy(adapted, newcomers)))
            for people, values in zip(("seen", "new"), np.transpose(found), strict=True):
                mean, deviation = round(float(values.mean()), 4), round(float(values.std()), 4)
                table.append({"arm": name, "users": people, "mean": mean, "deviation": deviation})
    return table


if __name__ == "__main__":
    print(json.dumps({"command": COMMAND, "n_seeds": N_SEEDS, "table": ablations()}, indent=1))
