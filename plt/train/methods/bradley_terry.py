"""Bradley-Terry: one reward model for everybody, the vanilla reward model."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

from plt.data.preferences import Preferences
from plt.train.artifact import load_artifact, save_artifact
from plt.train.features import features
from plt.train.judgements import read_judgements
from plt.train.linear import HeadTable, Labels, blind_table, fit_shared_head
from plt.train.method import Compute, FloatArray, IntArray, Texts, TrainContext
from plt.train.ridge import refuse_penalty

NAME = "bradley-terry"


@dataclass(frozen=True)
class Config:
    """What is fitted, on what.

    Attributes:
        model: The backbone: ``builtin:minilm`` runs offline on any CPU.
        max_length: Tokens of a text at most; None is the model's own, at most 1,024.
        labels: ``votes`` fits every judgement (what the reference code of Dong et al. 2025 does by
            default); ``majority`` one label a pair (what their paper says).
        l2: Penalty of the head on scaled features; None chooses it on validation rows, or by
            evidence where there are fewer than 50.
    """

    model: str = "builtin:minilm"
    max_length: int | None = None
    labels: Labels = "votes"
    l2: float | None = None

    def __post_init__(self) -> None:
        refuse_penalty(self.l2)


@dataclass(frozen=True)
class BradleyTerry:
    """P(a over b) = s(r(a) - r(b)), s the logistic function, the same r for everybody.

    With `tune` = ``head``, r is linear in the frozen features of a text and the fit is convex:
    float64, no randomness. A soft label enters the cross-entropy as it is, a tie (0.5) as half a
    win for each side. Fitted on train rows; validation rows choose the penalty only.

    Attributes:
        config: What is fitted, on what.
        table: The head; None before `fit`.
        compute: How to compute features when scoring.
        users: Always empty.
        notes: How the penalty came about.
    """

    config: Config = field(default_factory=Config)
    table: HeadTable | None = None
    compute: Compute = field(default_factory=Compute)
    users: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),); `users` changes nothing."""
        if self.table is None:
            raise ValueError("score after fit or load")
        vectors = features(
            texts, self.config.model, self.compute, max_length=self.config.max_length
        )
        return self.table.reward(vectors, rows, users)

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Learns one head from everybody's training rows."""
        judgements = read_judgements(prefs)
        vectors = features(
            judgements.texts, self.config.model, ctx.compute, max_length=self.config.max_length
        )
        fit = fit_shared_head(judgements, vectors, self.config.l2, self.config.labels)
        table = blind_table(fit.weights[0])
        return replace(self, table=table, compute=ctx.compute, notes=(fit.describe(),))

    def adapt(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Nothing depends on the user."""
        return self

    def save(self, path: Path) -> None:
        """Writes the head and the config."""
        if self.table is None:
            raise ValueError("save after fit or load")
        record = {"config": asdict(self.config), "notes": self.notes}
        save_artifact(path, NAME, self.table.arrays(), record)

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        arrays, record = load_artifact(path, NAME)
        table = HeadTable.from_arrays(arrays, ())
        return cls(Config(**record["config"]), table, compute, notes=tuple(record["notes"]))
