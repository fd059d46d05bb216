"""GPO: a transformer that reads a person's judgements and answers for them, without a fit."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from plt.data.tables.preferences import Preferences
from plt.train.artifact import load_artifact, save_artifact
from plt.train.features.frozen import features
from plt.train.in_context.settings import ContextSettings
from plt.train.judgements import named_users, read_judgements
from plt.train.method import Compute, FloatArray, IntArray, Support, Texts, TrainContext

if TYPE_CHECKING:
    from plt.train.in_context.scorer import ContextModel
    from plt.train.methods.in_context.gpo_network import Reader

NAME = "gpo"


@dataclass(frozen=True)
class Config(ContextSettings):
    """The transformer and how it learns; sources are Zhao et al. 2024 and their reference code.

    Attributes:
        n_context: As in `ContextSettings` (10 to 100 questions there).
        n_targets: As in `ContextSettings` (10 to 100 there).
        people_per_step: As in `ContextSettings` (32 there).
        epochs: As in `ContextSettings` (200,000 steps there); None is 90, and 250 from 50 people
            on (68 simulated people: with 100, one seed of two learnt nothing).
        learning_rate: As in `ContextSettings` (3e-4 there).
        weight_decay: As in `ContextSettings` (0 there).
        width: Of everything inside (128 there).
        layers: Of the transformer (6 there).
        heads: Of its attention (4 there); they divide the width.
        depth: Layers of the embedder (4 there).
        loss: ``cross-entropy`` of the softmax over the two responses, or ``gaussian``: the
            likelihood of the answers 0 and 1 around it, as in the paper, its spread bounded.
    """

    name: ClassVar[str] = NAME
    default_epochs: ClassVar[tuple[int, int]] = (90, 250)
    width: int = 64
    layers: int = 2
    heads: int = 4
    depth: int = 2
    loss: Literal["cross-entropy", "gaussian"] = "cross-entropy"

    def problems(self) -> list[str]:
        """Every value that makes no sense, one sentence each."""
        found = super().problems() + self.below(1, "width", "layers", "heads", "depth")
        if self.heads >= 1 and self.width % self.heads:
            found.append(f"'width' is {self.width}, expected a multiple of heads={self.heads}")
        return found


@dataclass(frozen=True)
class Gpo:
    """Margin = what a transformer says of a pair after it has read the person's judgements.

    It is trained on parts of everybody's training judgements and then knows people by all of them;
    a newcomer's are read like everybody's, and no weight moves. The population (unknown users and
    None) is what it says when it has read nothing. A judgement that shows one of the two texts of
    a pair is not read for that pair.

    Attributes:
        config: The transformer and how it learns.
        model: The transformer and what people judged; None before `fit`.
        compute: How to compute features when scoring.
        notes: How the fit came about, and who was left out.
    """

    config: Config = field(default_factory=Config)
    model: "ContextModel[Reader] | None" = None
    compute: Compute = field(default_factory=Compute)
    notes: tuple[str, ...] = ()

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows, sorted."""
        return self.model.history.users if self.model else ()

    def margin(
        self, texts: Texts, a: IntArray, b: IntArray, users: Sequence[str | None]
    ) -> FloatArray:
        """Log-odds of shape (len(a),)."""
        if self.model is None:
            raise ValueError("score after fit or load")
        return self.model.margins(texts, self._features(texts, self.compute), a, b, users)

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Learns to read from all people with a training row."""
        from plt.train.in_context.scorer import fit_context_model

        judgements = read_judgements(prefs)
        _, notes = named_users(judgements.select(~judgements.validation), judgements)
        vectors = self._features(judgements.texts, ctx.compute)
        model, _, chosen = fit_context_model(
            judgements,
            vectors,
            lambda width: _network(self.config, width, ctx.seed),
            self.config,
            ctx.seed,
            ctx.compute.progress,
        )
        return replace(self, model=model, compute=ctx.compute, notes=(*chosen, *notes))

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Knows every user in `support` by their judgements there; no weight moves."""
        if self.model is None:
            raise ValueError("adapt after fit or load")
        judgements = support.judgements
        vectors = self._features(judgements.texts, ctx.compute)
        model, notes = self.model.knowing(judgements, vectors, self.notes)
        return replace(self, model=model, compute=ctx.compute, notes=notes)

    def save(self, path: Path) -> None:
        """Writes the transformer, units, config, and the judgements: features, never a text."""
        if self.model is None:
            raise ValueError("save after fit or load")
        record = {"config": asdict(self.config), "users": self.users, "notes": self.notes}
        save_artifact(path, NAME, self.model.arrays(), record)

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        from plt.train.in_context.scorer import ContextModel

        arrays, record = load_artifact(path, NAME)
        config = Config(**record["config"])
        model = ContextModel.from_arrays(
            arrays, record["users"], lambda width: _network(config, width, 0), config.n_read
        )
        return cls(config, model, compute, tuple(record["notes"]))

    def _features(self, texts: Texts, compute: Compute) -> NDArray[np.float32]:
        return features(texts, self.config.model, compute, max_length=self.config.max_length)


def _network(config: Config, features: int, seed: int) -> "Reader":
    from plt.train.methods.in_context.gpo_network import Reader, ReaderShape

    shape = ReaderShape(
        features=features,
        width=config.width,
        layers=config.layers,
        heads=config.heads,
        depth=config.depth,
        points=config.points,
        loss=config.loss,
    )
    return Reader(shape, seed)
