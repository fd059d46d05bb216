"""Longer (or shorter) is better: one feature, the characters of the response."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from plt.data.tables.preferences import Preferences
from plt.train.artifact import load_artifact, save_artifact
from plt.train.heads.head_table import fit_shared_head
from plt.train.judgements import read_judgements
from plt.train.method import Compute, FloatArray, IntArray, Support, Texts, TrainContext

NAME = "length"


@dataclass(frozen=True)
class Config:
    """It has no settings."""


@dataclass(frozen=True)
class Length:
    """reward = slope * characters, the same for everybody.

    Sign and size of the slope are a Bradley-Terry fit on everybody's training rows (soft labels
    and ties as in `bradley-terry`), the penalty chosen on validation rows or by evidence. What any
    method gains over this one is more than a taste for length.

    Attributes:
        config: No settings.
        slope: Log-odds a character.
        users: Always empty.
        notes: How the penalty was chosen.
    """

    config: Config = field(default_factory=Config)
    slope: float = 0.0
    users: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),)."""
        return np.asarray(self.slope * _characters(texts)[:, 0].astype(np.float64)[rows])

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Learns the slope."""
        judgements = read_judgements(prefs)
        fit = fit_shared_head(judgements, _characters(judgements.texts), l2=None)
        return replace(self, slope=float(fit.weights[0, 0]), notes=(fit.describe(),))

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Nothing depends on the user."""
        return self

    def save(self, path: Path) -> None:
        """Writes the slope."""
        save_artifact(path, NAME, {}, {"slope": self.slope, "notes": self.notes})

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        _, record = load_artifact(path, NAME)
        return cls(Config(), record["slope"], notes=tuple(record["notes"]))


def _characters(texts: Texts) -> NDArray[np.float32]:
    """Code points of each response, shape (n, 1)."""
    return np.array([[len(response)] for response in texts.responses], dtype=np.float32)
