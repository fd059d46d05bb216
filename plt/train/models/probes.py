"""Fixed texts by whose rewards a loaded model proves that it is the one that was saved."""

from pathlib import Path

import numpy as np

from plt.errors import ArtifactError
from plt.train.method import FloatArray, Texts

# Scored when a model is saved and again when it is loaded.
PROBES = Texts(
    prompts=[
        [],
        [{"role": "user", "content": "How do I make tea?"}],
        [
            {"role": "system", "content": "Answer in one sentence."},
            {"role": "user", "content": "What is a heap?"},
        ],
        [{"role": "user", "content": "Tell me a joke."}],
    ],
    responses=[
        "Yes.",
        "Boil water, pour it over the leaves and wait for four minutes. Would you like milk?",
        "A heap is a tree in which every parent is at least as large as its children.",
        "I would rather not! " + "Haha, please ask me something else. " * 20,
    ],
)

TOLERANCES = {"float32": 1e-4, "bfloat16": 0.1, "float16": 0.02}
"""Share of the largest reward, or absolute where that is below 1."""


def check_probes(found: FloatArray, expected: FloatArray, dtype: str, path: Path) -> None:
    """Compares what a loaded model says of `PROBES` with what it said when it was saved.

    Raises:
        ArtifactError: They differ by more than `dtype` explains.
    """
    allowed = TOLERANCES[dtype] * max(1.0, float(np.abs(expected).max()))
    worst = float(np.abs(found - expected).max())
    if not worst <= allowed:
        raise ArtifactError(
            f"{path} does not score as when it was saved: a probe differs by {worst:.3g}"
            f" (allowed {allowed:.3g})",
            hint="plt verify RUN, then train again",
        )
