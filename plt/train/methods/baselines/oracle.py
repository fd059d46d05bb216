"""The oracle: the true reward of everybody in a simulated population, which no method can beat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from plt.data.tables.preferences import Preferences
from plt.data.truth import people_of, true_rewards
from plt.errors import UsageError
from plt.train.artifact import load_artifact, save_artifact
from plt.train.judgements import read_judgements, used_texts
from plt.train.method import Compute, FloatArray, IntArray, Support, Texts, TrainContext

NAME = "oracle"
MAX_NAMED = 10


@dataclass(frozen=True)
class Config:
    """It has no settings."""


@dataclass(frozen=True)
class Oracle:
    """reward = what the simulator says that the person gives the response, in log-odds.

    It learns nothing and reads no label: what it misses is the noise of the labels themselves, so
    its accuracy is the most that can be expected of any method, and no more than that is left to
    gain. The population (unknown users and None) has the mean of the true rewards of those whom it
    was fitted with. The true reward of a person who is to be adapted to is known as well.

    Attributes:
        config: No settings.
        truth: The simulator, its parameters and its seed; None before `fit`.
        users: Whom it knows, sorted.
        population: Whose mean reward everybody else has, sorted.
        notes: Always empty.
    """

    config: Config = field(default_factory=Config)
    truth: Mapping[str, Any] | None = None
    users: tuple[str, ...] = ()
    population: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),)."""
        if self.truth is None:
            raise ValueError("score after fit or load")
        known: dict[str | None, int] = {user: code for code, user in enumerate(self.users)}
        codes = np.array([known.get(user, -1) for user in users], dtype=np.int64)
        rewards = np.zeros(len(rows))
        for code in np.unique(codes):
            mine = codes == code
            whose = self.population if code < 0 else (self.users[code],)
            kept, inverse = used_texts(texts, rows[mine])
            rewards[mine] = true_rewards(self.truth, kept.responses, whose).mean(axis=0)[inverse]
        return rewards

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Takes over the truth and the users; learns nothing.

        Raises:
            UsageError: The table has no truth, or it does not know somebody who judged.
        """
        users = _simulated(read_judgements(prefs).users, ctx.truth)
        return replace(self, truth=ctx.truth, users=users, population=users)

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Knows the users in `support` as well; the population stays.

        Raises:
            UsageError: They are of another population than the one it was fitted with.
        """
        if ctx.truth is not None and ctx.truth != self.truth:
            raise UsageError(
                "the oracle knows the truth of another population than that of this table",
                hint="plt train DATA --method oracle",
            )
        newcomers = _simulated(support.users, self.truth) if support.users else ()
        return replace(self, users=tuple(dict.fromkeys([*self.users, *newcomers])))

    def save(self, path: Path) -> None:
        """Writes the truth and the users."""
        if self.truth is None:
            raise ValueError("save after fit or load")
        record = {"truth": self.truth, "users": self.users, "population": self.population}
        save_artifact(path, NAME, {}, record)

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        _, record = load_artifact(path, NAME)
        users, population = tuple(record["users"]), tuple(record["population"])
        return cls(Config(), record["truth"], users, population)


def _simulated(users: tuple[str, ...], truth: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The users, all of whom the truth must know."""
    known = set(people_of(truth))
    strangers = [user for user in users if user not in known]
    if strangers or not users:
        raise UsageError(
            "the truth of this table does not know those who judged: were their names replaced?",
            problems=[f"no true reward of user {user!r}" for user in strangers[:MAX_NAMED]],
            hint="plt dataset-simulate attributes -o simulated.parquet",
        )
    return users
