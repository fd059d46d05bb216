"""`individual --tune lora` for 84 users against one vanilla run over the same rows.

Run with `make bench`. The alternatives, a loop over users in one process and one process a user,
are extrapolated from a few users and one start, in the same run.
"""

import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from plt.data.simulate import attributes
from plt.data.splitting.splits import SplitPlan, split
from plt.data.tables.preferences import Preferences
from plt.train.judgements import training_view
from plt.train.method import Compute, TrainContext
from plt.train.registry import make_method

PAIRS_A_USER = 4
LOOPED = 3
TUNING = {"model": "builtin:minilm", "tune": "lora", "max_length": 64}
START = """
from plt.train.tuning.options import Tuning; from plt.train.tuning.network import network
from plt.train.tuning.trl import RewardTrainer
from plt.train.models.source import resolve_model
network(resolve_model("builtin:minilm"), Tuning(), "float32")
"""


def seconds(method: str, prefs: Preferences, work: Path) -> float:
    """Of CPU, which other work on the machine does not change."""
    start = time.process_time()
    make_method(method, TUNING).fit(prefs, TrainContext(0, work, Compute("cpu")))
    return time.process_time() - start


def peak() -> float:
    """GiB that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@pytest.mark.bench
def test_individuals(tmp_path: Path) -> None:
    table = attributes.simulate(attributes.Config(pairs_per_user=PAIRS_A_USER))
    prefs = training_view(split(table, SplitPlan(by="pair", unseen_users=0.0)))
    users = prefs.votes["user_id"].unique().sort().to_list()
    # Imports and the first read of the weights belong to nobody.
    seconds("bradley-terry", prefs.filter(pl.col("user_id") == users[0]), tmp_path / "first")
    vanilla = seconds("bradley-terry", prefs, tmp_path / "vanilla")
    before = peak()
    together = seconds("individual", prefs, tmp_path / "together")
    alone = [
        seconds("bradley-terry", prefs.filter(pl.col("user_id") == user), tmp_path / str(number))
        for number, user in enumerate(users[:LOOPED])
    ]
    subprocess.run([sys.executable, "-c", START], check=True)
    process = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    loop = len(users) * float(np.mean(alone))
    print(
        f"\nindividual --tune lora, {len(users)} users, {prefs.votes.height} rows:"
        f" {together:.0f} s of CPU, {together / vanilla:.2f} x one vanilla run ({vanilla:.0f} s);"
        f" a loop over users about {loop:.0f} s, one process a user about"
        f" {loop + len(users) * process:.0f} s (both extrapolated from {LOOPED} users);"
        f" peak memory {before:.1f} GiB before, {peak():.1f} after"
    )
    assert together <= 1.3 * vanilla
