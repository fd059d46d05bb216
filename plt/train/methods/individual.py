"""One reward model a user, each learnt from that user's answers alone."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

from plt.data.preferences import Preferences
from plt.train.artifact import load_artifact, save_artifact
from plt.train.features import features
from plt.train.judgements import named_users, read_judgements
from plt.train.linear import HeadTable, user_problems
from plt.train.method import Compute, FloatArray, IntArray, Texts, TrainContext
from plt.train.ridge import fit_ridge, refuse_penalty

NAME = "individual"


@dataclass(frozen=True)
class Config:
    """What is fitted, on what.

    Attributes:
        model: The backbone: ``builtin:minilm`` runs offline on any CPU.
        max_length: Tokens of a text at most; None is the model's own, at most 1,024.
        l2: Penalty of every head on scaled features; None chooses it for each user on their own
            validation rows, or by evidence where they have fewer than 50.
    """

    model: str = "builtin:minilm"
    max_length: int | None = None
    l2: float | None = None

    def __post_init__(self) -> None:
        refuse_penalty(self.l2)


@dataclass(frozen=True)
class Individual:
    """P(u prefers a to b) = s(r_u(a) - r_u(b)), every r_u fitted on the rows of u alone.

    Nothing is shared: scale and penalty too come from the user's own rows, so that a user's head is
    that of `bradley-terry` on the table of that user. All heads are solved at once. The population
    (unknown users and None) is the mean head, so its reward is everybody's average reward.

    Attributes:
        config: What is fitted, on what.
        table: The heads; None before `fit`.
        compute: How to compute features when scoring.
        notes: How the penalties came about, and who has no head.
    """

    config: Config = field(default_factory=Config)
    table: HeadTable | None = None
    compute: Compute = field(default_factory=Compute)
    notes: tuple[str, ...] = ()

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows, sorted."""
        return self.table.users if self.table else ()

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),)."""
        if self.table is None:
            raise ValueError("score after fit or load")
        vectors = features(
            texts, self.config.model, self.compute, max_length=self.config.max_length
        )
        return self.table.reward(vectors, rows, users)

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Learns a head for every user with a training row."""
        judgements = read_judgements(prefs)
        train = judgements.select(~judgements.validation)
        users, notes = named_users(train, judgements)
        vectors = features(
            judgements.texts, self.config.model, ctx.compute, max_length=self.config.max_length
        )
        validation = user_problems(judgements.select(judgements.validation), vectors, users)
        fit = fit_ridge(user_problems(train, vectors, users), self.config.l2, validation)
        table = HeadTable(users, fit.weights, fit.weights.mean(axis=0))
        return replace(self, table=table, compute=ctx.compute, notes=(fit.describe(), *notes))

    def adapt(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Gives every user in `prefs` a head from these rows alone; everybody else keeps theirs."""
        if self.table is None:
            raise ValueError("adapt after fit or load")
        judgements = read_judgements(prefs)
        users = judgements.users
        vectors = features(
            judgements.texts, self.config.model, ctx.compute, max_length=self.config.max_length
        )
        fit = fit_ridge(user_problems(judgements, vectors, users), self.config.l2)
        return replace(self, table=self.table.with_heads(users, fit.weights), compute=ctx.compute)

    def save(self, path: Path) -> None:
        """Writes the heads, the users and the config."""
        if self.table is None:
            raise ValueError("save after fit or load")
        record = {"config": asdict(self.config), "users": self.users, "notes": self.notes}
        save_artifact(path, NAME, self.table.arrays(), record)

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        arrays, record = load_artifact(path, NAME)
        table = HeadTable.from_arrays(arrays, record["users"])
        return cls(Config(**record["config"]), table, compute, tuple(record["notes"]))
