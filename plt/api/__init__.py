"""The Python API: what the commands do, from paths, names and frames, without printing.

Each function is documented by its command too: ``plt train --help``. What is given is never
changed, and only `train`, `adapt`, `tax` and `dose` write: their runs. The names below are those of
the package `plt`.
"""

from plt.api.answer import Answer
from plt.api.dose import dose
from plt.api.newcomers import AdaptedRuns, adapt
from plt.api.runs import Run, Runs, compare, load, train
from plt.api.tables import Data, concat, convert, lint, read, split, stats
from plt.api.tax import tax

__all__ = [
    "AdaptedRuns", "Answer", "Data", "Run", "Runs", "adapt", "compare", "concat", "convert", "dose",
    "lint", "load", "read", "split", "stats", "tax", "train",
]  # fmt: skip
