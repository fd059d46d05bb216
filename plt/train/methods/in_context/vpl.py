"""VPL: a person is a latent vector, read off their judgements by a variational encoder."""

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
    from plt.train.in_context.episodes import Moment
    from plt.train.in_context.scorer import ContextModel
    from plt.train.methods.in_context.vpl_network import EvalZ, Latent

NAME = "vpl"


@dataclass(frozen=True)
class Config(ContextSettings):
    """Latent, loss and how it learns; sources are Poddar et al. 2024 and their reference code.

    It stays weak: with these defaults 56 new people of `synthetic:attributes` go from .538 of
    judgements right without an answer to .629 after 40, and from .698 of log loss to .651.

    Attributes:
        n_context: As in `ContextSettings` (there fixed ones, chosen once).
        epochs: As in `ContextSettings` (2 passes over the pairs there, of a language model); None
            is 150, and 250 from 50 people on.
        learning_rate: As in `ContextSettings` (1e-4 to 3e-4 there).
        weight_decay: As in `ContextSettings` (1e-3 there).
        latent: Length of z (512 there).
        hidden: Width of the perceptrons (512 there).
        beta: Weight of the divergence from the prior, summed over dimensions (1e-4 for pets, 3e-6
            or 0 for UltraFeedback there).
        anneal: Share of the steps over which that weight rises from a tenth, as a half cosine.
        swap_weight: Weight of the swap-guided term (SPL, arXiv 2603.12595): turning round every
            judgement that is read should turn round z, so the squares of the sum of both means and
            of the difference of both log-variances cost something. 0 is VPL.
        eval_z: z in scoring: the posterior's ``mean``; that projected to the sphere on which z lies
            in training (``mean-projected``); or the mean margin of 32 fixed ``samples`` on the
            sphere. None is ``mean-projected``, and ``mean`` with compat=vpl.
        compat: ``vpl``: z is not projected in scoring, and the ramp of the divergence's weight has
            10,000 steps and then begins anew, whatever `anneal`: shorter fits never
            reach `beta`.
    """

    name: ClassVar[str] = NAME
    default_epochs: ClassVar[tuple[int, int]] = (150, 250)
    few_as_many: ClassVar[bool] = False
    components: int | None = 32
    points: Literal["centred", "raw"] = "raw"
    n_targets: int = 24
    weight_decay: float = 0.3
    latent: int = 32
    hidden: int = 64
    beta: float = 1e-4
    anneal: float = 0.5
    swap_weight: float = 0.0
    eval_z: Literal["mean", "mean-projected", "samples"] | None = None
    compat: Literal["none", "vpl"] = "none"

    def problems(self) -> list[str]:
        """Every value that makes no sense, one sentence each."""
        found = super().problems() + self.below(1, "latent", "hidden")
        found += self.below(0, "beta", "swap_weight")
        if not 0 <= self.anneal <= 1:
            found.append(f"'anneal' is {self.anneal}, expected 0 to 1")
        return found


@dataclass(frozen=True)
class Vpl:
    """Margin = r(a, z_u) - r(b, z_u), r a perceptron on a text's features and the person's z.

    z_u comes from an encoder of all training judgements of u; a newcomer's are encoded like
    everybody's, and no weight moves. The population (unknown users and None) has the prior's mean,
    z = 0, for which the reward is trained too. A judgement that shows one of the two texts of a
    pair is not read for that pair.

    Attributes:
        config: Latent, loss and how it learns.
        model: The networks and what people judged; None before `fit`.
        compute: How to compute features when scoring.
        notes: How the fit came about, what became of the latent, and who was left out.
    """

    config: Config = field(default_factory=Config)
    model: "ContextModel[Latent] | None" = None
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
        """Learns encoder and reward from all people with a training row."""
        from plt.train.in_context.scorer import fit_context_model

        judgements = read_judgements(prefs)
        _, notes = named_users(judgements.select(~judgements.validation), judgements)
        vectors = self._features(judgements.texts, ctx.compute)
        model, kept, chosen = fit_context_model(
            judgements,
            vectors,
            lambda width: _network(self.config, width, ctx.seed),
            self.config,
            ctx.seed,
            ctx.compute.progress,
        )
        found = (*chosen, _collapse(model, kept), *notes)
        return replace(self, model=model, compute=ctx.compute, notes=found)

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Knows every user in `support` by their judgements there; no weight moves."""
        if self.model is None:
            raise ValueError("adapt after fit or load")
        judgements = support.judgements
        vectors = self._features(judgements.texts, ctx.compute)
        model, notes = self.model.knowing(judgements, vectors, self.notes)
        return replace(self, model=model, compute=ctx.compute, notes=notes)

    def save(self, path: Path) -> None:
        """Writes networks, units, config, and the judgements: features, never a text."""
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


def _network(config: Config, features: int, seed: int) -> "Latent":
    from plt.train.methods.in_context.vpl_network import Latent, LatentShape

    default: EvalZ = "mean" if config.compat == "vpl" else "mean-projected"
    shape = LatentShape(
        features=features,
        latent=config.latent,
        hidden=config.hidden,
        beta=config.beta,
        anneal=config.anneal,
        swap_weight=config.swap_weight,
        eval_z=config.eval_z or default,
        points=config.points,
        cyclic=config.compat == "vpl",
    )
    return Latent(shape, seed)


def _collapse(model: "ContextModel[Latent]", kept: "Moment") -> str:
    """What became of the latent: active units, mean divergence, and the weight it had."""
    import torch

    from plt.train.methods.in_context.vpl_network import ACTIVE_ABOVE, divergence

    means, divergences = [], []
    with torch.no_grad():
        for context in model.contexts():
            mean, spread, _ = model.network.posterior(context)
            means.append(mean)
            divergences.append(divergence(mean, spread))
    active = int((torch.cat(means).var(dim=0, correction=0) > ACTIVE_ABOVE).sum())
    note = (
        f"{active} of {model.network.shape.latent} latent units are active (variance of the"
        f" posterior means over people above {ACTIVE_ABOVE}; Burda et al. 2016), mean divergence"
        f" {float(torch.cat(divergences).mean()):.3g} nats at weight"
        f" {model.network.kl_weight(kept):.2g}"
    )
    return note if active else f"{note}: the posterior collapsed, and everybody is scored alike"
