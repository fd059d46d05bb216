"""`plt report` over 50 runs of 1,000 users: under 20 s and 2 GB, its page under 5 MB."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from plt.data.tables.schema import SCORES, conform
from plt.data.tables.table import Meta, write_table

N_RUNS, N_USERS, N_PAIRS = 50, 1_000, 20
SECONDS, MEMORY_MIB, PAGE_BYTES = 20.0, 2_048, 5_000_000

REPORT = """
import json, resource, sys, time
from plt.cli import main
began = time.process_time()
code = main(["report", *sys.argv[2:], "-o", sys.argv[1], "--force", "-q"])
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([code, time.process_time() - began, used.ru_maxrss / 1024]), file=sys.stderr)
"""


def write_runs(folder: Path) -> list[str]:
    """Scores of 50 runs, each also as the wrong user, on one set of judgements."""
    rng = np.random.default_rng(0)
    users = np.repeat([f"user-{u:04d}" for u in range(N_USERS)], N_PAIRS)
    pairs = rng.integers(0, 4_000, users.size).astype(np.uint64)
    label = rng.integers(0, 2, users.size).astype(np.float32)
    frame = pl.DataFrame({"user_id": users, "pair_id": pairs, "label": label})
    frame = frame.unique(["user_id", "pair_id"], maintain_order=True).with_columns(
        group=pl.format("g{}", pl.col("pair_id") // 4),
        occurrence=pl.lit(0, pl.UInt16), dataset=pl.lit("bench"),
        seed=pl.lit(0, pl.UInt64), split=pl.lit("test"), user_split=pl.lit("seen"),
    )  # fmt: skip
    paths = []
    for run in range(N_RUNS):
        name = "bradley-terry" if run == 0 else f"method-{run:02d}"
        side = np.where(frame["label"].to_numpy() > 0.5, 1.0, -1.0)
        parts = []
        for control, shift in ((None, 0.2 + 0.01 * run), ("wrong-user", 0.2)):
            margin = rng.normal(size=frame.height) + shift * side
            parts.append(frame.with_columns(margin=pl.Series(margin), control=pl.lit(
                control, SCORES.column("control").dtype)))  # fmt: skip
        table = pl.concat(parts).with_columns(
            run_id=pl.lit(f"{run:010x}"), method=pl.lit(name), scored_as=pl.col("user_id")
        )
        path = folder / f"{name}.parquet"
        write_table(conform(table, SCORES), SCORES, path, Meta(dataset="bench"))
        paths.append(str(path))
    return paths


@pytest.mark.bench
def test_fifty_runs_of_a_thousand_users(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    line = [sys.executable, "-c", REPORT, str(page), *write_runs(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, check=True, env=dict(os.environ))
    code, seconds, memory = json.loads(done.stderr.splitlines()[-1])
    print(f"{seconds:.1f} s of CPU, {memory:.0f} MiB, page {page.stat().st_size / 1e6:.2f} MB")
    assert code == 0
    assert seconds < SECONDS
    assert memory < MEMORY_MIB
    assert page.stat().st_size < PAGE_BYTES
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024 < MEMORY_MIB
