"""A reward drawn from the seed, the user and the text: what no information looks like."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
from scipy.special import logit

from plt.data.tables.preferences import Preferences
from plt.train.artifact import load_artifact, save_artifact
from plt.train.judgements import read_judgements, text_digests
from plt.train.method import Compute, FloatArray, IntArray, Support, Texts, TrainContext

NAME = "random"


@dataclass(frozen=True)
class Config:
    """It has no settings."""


@dataclass(frozen=True)
class Random:
    """Independent standard logistic rewards, one for each (seed, user, text).

    The same in any order of rows and on any machine. Whoever it was not fitted with shares the
    rewards of the population.

    Attributes:
        config: No settings.
        seed: The seed of the run, taken over by `fit`.
        users: Whom it knows.
        notes: Always empty.
    """

    config: Config = field(default_factory=Config)
    seed: int = 0
    users: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),)."""
        prefixes = {user: _prefix(self.seed, user) for user in (None, *self.users)}
        digests = [digest.tobytes() for digest in text_digests(texts)]
        drawn = bytearray()
        for row, user in zip(rows, users, strict=True):
            content = prefixes.get(user, prefixes[None]) + digests[row]
            drawn += hashlib.blake2b(content, digest_size=8).digest()
        # 52 bits and a half: exact in float64, and neither 0 nor 1.
        bits = np.frombuffer(bytes(drawn), dtype="<u8") >> np.uint64(12)
        return np.asarray(logit((bits + 0.5) / 2.0**52), dtype=np.float64)

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Takes over the seed and the users; learns nothing."""
        return replace(self, seed=ctx.seed, users=read_judgements(prefs).users)

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Gives the users in `support` rewards of their own."""
        users = dict.fromkeys([*self.users, *support.judgements.users])
        return replace(self, users=tuple(users))

    def save(self, path: Path) -> None:
        """Writes the seed and the users."""
        save_artifact(path, NAME, {}, {"seed": self.seed, "users": self.users})

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        _, record = load_artifact(path, NAME)
        return cls(Config(), record["seed"], tuple(record["users"]))


def _prefix(seed: int, user: str | None) -> bytes:
    content = json.dumps([seed, user], ensure_ascii=True).encode()
    return hashlib.blake2b(content, digest_size=16).digest()
