"""Every reward model on the simulated populations: what the README's table is made from.

``python -m tests.train.methods.reward_models > tests/golden/reward_models.json`` takes about ten
minutes; each row is what ``plt train synthetic:POPULATION --method METHODS --json`` says.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

COMMAND = "python -m tests.train.methods.reward_models > tests/golden/reward_models.json"
POPULATIONS = ("attributes", "dirichlet", "pets")
METHODS = (
    "bradley-terry", "dpl", "individual", "eb-shrinkage", "conditional", "p-rm", "pref", "lore",
    "pal", "vpl", "gpo", "icl", "oracle",
)  # fmt: skip


def percent(value: float | None) -> float | None:
    """In per cent, or null."""
    return None if value is None else round(100 * value, 1)


def rows_of(population: str, found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of one population from the object that ``plt train --json`` prints."""
    for run in found["runs"]:
        row = {
            "population": population,
            "method": run["method"],
            "accuracy": percent(run["accuracy"]["value"]),
            "low": percent(run["accuracy"]["ci_low"]),
            "high": percent(run["accuracy"]["ci_high"]),
        }
        gain = run["gain"] or {}
        for name in ("own", "wrong_user", "shuffled_ids"):
            interval = gain.get(name)
            if interval is not None:
                low, high = interval["ci"] or (None, None)
                row[name] = [percent(end) for end in (interval["value"], low, high)]
        yield row


def train(population: str, runs: Path) -> dict[str, Any]:
    """Runs the command of one population."""
    line = ["train", f"synthetic:{population}", "--method", ",".join(METHODS), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "plt", *line, "--runs", str(runs), "-q"],
        # More threads sum in another order, and float32 networks end a point or two elsewhere.
        env={**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Prints the golden file."""
    table = []
    with tempfile.TemporaryDirectory() as folder:
        for population in POPULATIONS:
            table += rows_of(population, train(population, Path(folder) / population))
    print(json.dumps({"command": COMMAND, "table": table}, indent=1))


if __name__ == "__main__":
    main()
