"""What stands for a run's model, or anything else, in the identity of what is made of it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plt.data.run import Run


def digest(facts: Any) -> str:
    """SHA-256 of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def model_digest(run: Run) -> str:
    """What a finished run's model is, by its id and the files of the model."""
    outputs = run.record.get("outputs", {})
    model = {name: value for name, value in outputs.items() if name.startswith("model/")}
    return digest({"run": run.run_id, "model": model})
