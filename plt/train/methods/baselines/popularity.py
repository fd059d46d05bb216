"""How often a response won: what can be known of a response without reading it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from plt.data.tables.preferences import Preferences
from plt.errors import UsageError
from plt.train.artifact import load_artifact, save_artifact
from plt.train.judgements import read_judgements, text_digests
from plt.train.method import Compute, FloatArray, IntArray, Support, Texts, TrainContext

NAME = "popularity"


@dataclass(frozen=True)
class Config:
    """How far few comparisons are pulled to one half.

    Attributes:
        smoothing: Comparisons added to each side, won and lost. 1 is Laplace's rule of succession.
    """

    smoothing: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.smoothing < np.inf:
            raise UsageError(
                f"'smoothing' is {self.smoothing}, expected a number above 0",
                hint="--set smoothing=1",
            )


@dataclass(frozen=True)
class Popularity:
    """reward = log-odds of the smoothed share of comparisons that a response won in training.

    The same for everybody. A tie is half a win, a soft label its part of one; a response that no
    training row shows has reward 0, so a split by prompt leaves it without any opinion.

    Attributes:
        config: The smoothing.
        digests: Content digests of the known texts, shape (n, 16).
        rewards: Their rewards, shape (n,).
        users: Always empty.
        notes: Always empty.
    """

    config: Config = field(default_factory=Config)
    digests: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 16), dtype=np.uint8))
    rewards: FloatArray = field(default_factory=lambda: np.zeros(0))
    users: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),)."""
        known = {
            digest.tobytes(): reward
            for digest, reward in zip(self.digests, self.rewards, strict=True)
        }
        of_text = [known.get(digest.tobytes(), 0.0) for digest in text_digests(texts)]
        return np.array(of_text, dtype=np.float64)[rows]

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Counts the wins of each text over the training rows; validation rows are not counted."""
        judgements = read_judgements(prefs)
        train = judgements.select(~judgements.validation)
        n_texts = len(train.texts)
        won = np.bincount(train.a, weights=train.label, minlength=n_texts)
        won += np.bincount(train.b, weights=1 - train.label, minlength=n_texts)
        compared = np.bincount(train.a, minlength=n_texts) + np.bincount(train.b, minlength=n_texts)
        share = (won + self.config.smoothing) / (compared + 2 * self.config.smoothing)
        return replace(self, digests=text_digests(train.texts), rewards=logit(share))

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Nothing depends on the user."""
        return self

    def save(self, path: Path) -> None:
        """Writes digests and rewards; no text."""
        arrays: dict[str, NDArray[Any]] = {"digests": self.digests, "rewards": self.rewards}
        save_artifact(path, NAME, arrays, {"config": asdict(self.config)})

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        arrays, record = load_artifact(path, NAME)
        return cls(Config(**record["config"]), arrays["digests"], arrays["rewards"])
