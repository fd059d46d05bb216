"""Distributional preference learning: what a text is worth is a distribution, not a number."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray

from plt.data.tables.preferences import Preferences
from plt.errors import UsageError
from plt.train.artifact import load_artifact, save_artifact
from plt.train.features.frozen import features
from plt.train.heads.head_table import fit_shared_head
from plt.train.heads.ridge import refuse_penalty
from plt.train.judgements import label_pairs, read_judgements
from plt.train.method import (
    Compute,
    FloatArray,
    IntArray,
    Judgements,
    Support,
    Texts,
    TrainContext,
    Tune,
)

if TYPE_CHECKING:
    from plt.train.heads.small_networks import Rows, Scaling
    from plt.train.methods.population.dpl_network import Distribution

NAME = "dpl"


@dataclass(frozen=True)
class Config:
    """Which distribution, on what.

    Attributes:
        model: The backbone: ``builtin:minilm`` runs offline on any CPU.
        max_length: Tokens of a text at most; None is the model's own, at most 1,024.
        tune: Only ``head``: linear maps on frozen features.
        l2: Penalty of the maps on scaled features; None chooses it on validation rows, and takes
            that of the head of `bradley-terry` where there are fewer than 50.
        kind: ``mean-variance`` is a normal distribution, ``categorical`` one over equally spaced
            values from 0 to 1 (Siththaranjan et al. 2024).
        spread: Of ``mean-variance``: ``text`` has one variance a text; ``global`` one for all,
            which is Bradley-Terry with a temperature but for the shape of the curve.
        atoms: Values of ``categorical`` (10 there).
        entropy: Reward for the entropy of the values that the training texts have on average
            (0.1 there): without it a few values may do for all.
        compat: ``hidden-context`` puts the logistic function with slope sqrt(2 pi) in the place of
            the normal distribution, as the reference code does. The slope that fits is
            sqrt(8 / pi), so learnt spreads are about 1.57 times too wide there.
    """

    model: str = "builtin:minilm"
    max_length: int | None = None
    tune: Tune = "head"
    l2: float | None = None
    kind: Literal["mean-variance", "categorical"] = "mean-variance"
    spread: Literal["text", "global"] = "text"
    atoms: int = 10
    entropy: float = 0.1
    compat: Literal["none", "hidden-context"] = "none"

    def __post_init__(self) -> None:
        if self.tune != "head":
            raise UsageError(
                f"'{NAME}' has no '--tune {self.tune}' yet: its maps are fitted on frozen features",
                hint=f"plt train --method {NAME} --tune head",
            )
        refuse_penalty(self.l2)
        problems = []
        if self.atoms < 1:
            problems.append(f"'atoms' is {self.atoms}, expected 1 or more")
        if not 0 <= self.entropy < np.inf:
            problems.append(f"'entropy' is {self.entropy}, expected 0 or more")
        if self.kind == "categorical" and self.compat != "none":
            problems.append(f"compat={self.compat} is of kind=mean-variance alone")
        if self.kind == "categorical" and self.spread != "text":
            problems.append(f"spread={self.spread} is of kind=mean-variance alone")
        if problems:
            raise UsageError(
                f"method '{NAME}' does not take these settings",
                problems=problems,
                hint="plt ls methods dpl",
            )


@dataclass(frozen=True)
class Dpl:
    """P(a over b) = P(U_a > U_b), with U_a and U_b independent draws of two texts' utilities.

    Nobody's name is read: people who disagree about a text widen its distribution instead of
    cancelling out. The margin is the log-odds of that probability. Votes on one pair enter as their
    share with their number as weight, as in `bradley-terry`.

    Attributes:
        config: Which distribution, on what.
        network: The fitted maps; None before `fit`.
        scaling: The units of the features that they read.
        compute: How to compute features when scoring.
        users: Always empty.
        notes: How the fit came about, and how much of the variance lies between texts.
    """

    config: Config = field(default_factory=Config)
    network: "Distribution | None" = None
    scaling: "Scaling | None" = None
    compute: Compute = field(default_factory=Compute)
    users: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def margin(
        self, texts: Texts, a: IntArray, b: IntArray, users: Sequence[str | None]
    ) -> FloatArray:
        """Log-odds of shape (len(a),); `users` changes nothing."""
        import torch

        if self.network is None or self.scaling is None:
            raise ValueError("score after fit or load")
        phi = self.scaling(self._features(texts, self.compute))
        with torch.no_grad():
            rows = (torch.from_numpy(np.asarray(side, dtype=np.int64)) for side in (a, b))
            won, lost = self.network.log_chances(phi, *rows)
            margins: FloatArray = (won - lost).numpy()
        return margins

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Learns one distribution a text from everybody's training rows."""
        from plt.train.heads.small_networks import DEFAULT_PENALTY, Scaling, fit_network

        judgements = read_judgements(prefs)
        train = judgements.select(~judgements.validation)
        vectors = self._features(judgements.texts, ctx.compute)
        scaling = Scaling.of(train, vectors)
        default = (DEFAULT_PENALTY, "")
        if self.config.l2 is None:
            shared = fit_shared_head(train, vectors, None)
            default = (float(shared.l2[0]), "that of the head of bradley-terry")
        chosen = fit_network(
            lambda: _network(self.config, vectors.shape[1]),
            _rows(train, vectors, scaling),
            _rows(judgements.select(judgements.validation), vectors, scaling),
            self.config.l2,
            default=default,
        )
        notes = (chosen.how, _share_between_texts(chosen.network, train, vectors, scaling))
        return replace(
            self, network=chosen.network, scaling=scaling, compute=ctx.compute, notes=notes
        )

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Nothing depends on the user."""
        return self

    def save(self, path: Path) -> None:
        """Writes maps, units and config."""
        if self.network is None or self.scaling is None:
            raise ValueError("save after fit or load")
        arrays = {name: value.numpy() for name, value in self.network.state_dict().items()}
        record = {"config": asdict(self.config), "notes": self.notes}
        save_artifact(path, NAME, arrays | self.scaling.arrays(), record)

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        import torch

        from plt.train.heads.small_networks import Scaling

        arrays, record = load_artifact(path, NAME)
        config = Config(**record["config"])
        scaling = Scaling.from_arrays(arrays)
        network = _network(config, len(scaling.centre))
        network.load_state_dict({n: torch.from_numpy(arrays[n]) for n in network.state_dict()})
        return cls(config, network, scaling, compute, notes=tuple(record["notes"]))

    def _features(self, texts: Texts, compute: Compute) -> NDArray[np.float32]:
        return features(texts, self.config.model, compute, max_length=self.config.max_length)


def _network(config: Config, dim: int) -> "Distribution":
    from plt.train.methods.population.dpl_network import Categorical, MeanVariance

    if config.kind == "categorical":
        return Categorical(dim, config.atoms, config.entropy)
    return MeanVariance(dim, config.compat, one_spread=config.spread == "global")


def _rows(judgements: Judgements, vectors: NDArray[np.float32], scaling: "Scaling") -> "Rows":
    """One weighted row a pair: equal texts cost equally much, whoever judged them."""
    from plt.train.heads.small_networks import Rows

    rows, share, weight = label_pairs(judgements, "votes")
    return Rows.of(scaling(vectors), judgements.a[rows], judgements.b[rows], share, weight=weight)


def _share_between_texts(
    network: "Distribution",
    train: Judgements,
    vectors: NDArray[np.float32],
    scaling: "Scaling",
) -> str:
    """The r^2 of Siththaranjan et al. 2024: var(mean) / (var(mean) + mean(variance))."""
    import torch

    texts = np.unique(np.concatenate([train.a, train.b]))
    with torch.no_grad():
        mean, spread = network.moments(scaling(vectors[texts]))
    between, within = float(mean.var(correction=0)), float(spread.square().mean())
    share = between / (between + within) if between + within > 0 else 0.0
    return (
        f"r^2 = {share:.2f}: the share of the utilities' variance that lies between texts; the rest"
        " is people who differ, or noise, which this model does not tell apart"
    )
