"""PAL: what a person wants is a point, a mixture of a few prototypes; closer texts are better."""

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
from plt.train.heads.empirical_bayes import Prior
from plt.train.heads.head_table import HeadTable, user_problems
from plt.train.heads.held_out import folds_of
from plt.train.heads.ridge import refuse_penalty
from plt.train.judgements import named_users, read_judgements
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
from plt.train.methods.personal.placing import placed, population_of_mixtures

if TYPE_CHECKING:
    from torch import Tensor

    from plt.train.heads.small_networks import Rows, Scaling
    from plt.train.methods.personal.pal_network import IdealPoints

NAME = "pal"
NO_PRIOR = Prior(np.zeros(0), np.zeros((0, 0)))
"""Before `fit`."""


@dataclass(frozen=True)
class Config:
    """The geometry and the loss; sources are Chen et al. 2024 and their reference code.

    Attributes:
        model: The backbone: ``builtin:minilm`` runs offline on any CPU.
        max_length: Tokens of a text at most; None is the model's own, at most 1,024.
        tune: Only ``head``: maps of frozen features.
        l2: Penalty of maps and prototypes on scaled features; None chooses it on validation rows,
            or by folds of training rows where there are fewer than 50.
        variant: ``a``: the ideal point is the same whatever is asked. ``b``: it depends on the last
            question of the prompt.
        prototypes: How many points people's ideals are mixed from (1 or 2 there).
        dim: Coordinates of a point (8 in Shenfeld et al. 2025; as many as features in the code).
        hidden: Width of the maps' hidden layer.
        distance: ``squared`` (the paper's derivations), ``unsquared`` (the code) or ``angle`` (the
            cosine with a learnt temperature, the code's for variant b). None is ``squared`` for a
            and ``angle`` for b.
        loss: ``logistic``, or ``hinge`` with margin 1 (the code's for distances).
        norm_bound: Length beyond which prototypes are pulled back; the code computes this (4 or 23)
            and never adds it to the loss. None bounds nothing.
        compat: ``pal`` takes distances for preferences in the logistic loss, as the reference code
            does: it learns what people dislike. A deliberate error, to be compared with.
    """

    model: str = "builtin:minilm"
    max_length: int | None = None
    tune: Tune = "head"
    l2: float | None = None
    variant: Literal["a", "b"] = "a"
    prototypes: int = 8
    dim: int = 8
    hidden: int = 0
    distance: Literal["squared", "unsquared", "angle"] | None = None
    loss: Literal["logistic", "hinge"] = "logistic"
    norm_bound: float | None = None
    compat: Literal["none", "pal"] = "none"

    def __post_init__(self) -> None:
        if self.tune != "head":
            raise UsageError(
                f"'{NAME}' has no '--tune {self.tune}' yet: its maps are fitted on frozen features",
                hint=f"plt train --method {NAME} --tune head",
            )
        refuse_penalty(self.l2)
        problems = [
            f"'{name}' is {getattr(self, name)}, expected 1 or more"
            for name in ("prototypes", "dim")
            if getattr(self, name) < 1
        ]
        if self.hidden < 0:
            problems.append(f"'hidden' is {self.hidden}, expected 0 or more")
        if self.norm_bound is not None and not 0 < self.norm_bound < np.inf:
            problems.append(f"'norm_bound' is {self.norm_bound}, expected a number above 0")
        if self.norm_bound is not None and self.variant == "b":
            problems.append("'norm_bound' is of variant=a alone: b has maps in place of points")
        if self.compat == "pal" and self.loss != "logistic":
            problems.append("compat=pal is of loss=logistic alone")
        if problems:
            raise UsageError(
                f"method '{NAME}' does not take these settings",
                problems=problems,
                hint="plt ls methods pal",
            )


@dataclass(frozen=True)
class Pal:
    """P(u prefers a to b) = s(|f(b) - p_u|^2 - |f(a) - p_u|^2), p_u = sum_k w_uk p_k.

    f is a perceptron on the features of a text, w_u the softmax of the user's logits, which begin
    as standard normal draws by name and have that distribution as prior. Everything is fitted
    together. Everybody, newcomers too, then has the most probable logits under one prior that is
    learnt from all who were fitted (`placing.population_of_mixtures`): around the mean of
    their weights, which is the population (unknown users and None).

    Attributes:
        config: The geometry and the loss.
        network: Maps and prototypes; None before `fit`.
        logits: Each user's, and the population's.
        prior: Of the logits of a person, around the population's.
        scaling: The units of the features of texts.
        compute: How to compute features when scoring.
        notes: How the fit came about, and who was left out.
    """

    config: Config = field(default_factory=Config)
    network: "IdealPoints | None" = None
    logits: HeadTable | None = None
    prior: Prior = NO_PRIOR
    scaling: "Scaling | None" = None
    compute: Compute = field(default_factory=Compute)
    notes: tuple[str, ...] = ()

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows, sorted."""
        return self.logits.users if self.logits else ()

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),)."""
        import torch

        if self.network is None or self.logits is None or self.scaling is None:
            raise ValueError("score after fit or load")
        phi = self._phi(texts, self.scaling, self.compute)
        rewards = np.empty(len(rows))
        with torch.no_grad():
            for block, logits in self.logits.blocks(users):
                text = torch.from_numpy(np.ascontiguousarray(rows[block], dtype=np.int64))
                rewards[block] = self.network.rewards(phi, text, torch.from_numpy(logits)).numpy()
        return rewards

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Learns maps, prototypes and the weights of every user with a training row."""
        from plt.train.heads.small_networks import NOTHING_HELD_OUT, Scaling, fit_network
        from plt.train.methods.personal.pal_people import curve_of, loss_of

        judgements = read_judgements(prefs)
        train = judgements.select(~judgements.validation)
        users, notes = named_users(train, judgements)
        vectors = self._features(judgements.texts, ctx.compute)
        scaling = Scaling.of(train, vectors)
        phi = self._phi(judgements.texts, scaling, ctx.compute)
        first = np.stack([_first_logits(ctx.seed, user, self.config.prototypes) for user in users])
        chosen = fit_network(
            lambda: _network(self.config, vectors.shape[1], first.copy(), ctx.seed),
            _rows(train, users, phi),
            _rows(judgements.select(judgements.validation), users, phi),
            self.config.l2,
            default=NOTHING_HELD_OUT,
            folds=[
                (
                    _rows(judgements.select(trial.learn), users, phi),
                    _rows(judgements.select(trial.judge), users, phi),
                )
                for trial in folds_of(judgements)
            ],
        )
        network = chosen.network.requires_grad_(False)
        prior, placement = population_of_mixtures(
            user_problems(train, _no_features(train), users),
            curve_of(network, phi),
            network.weights(),
            loss_of(network),
        )
        return replace(
            self,
            network=network,
            logits=HeadTable(users, placement.coordinates, prior.mean),
            prior=prior,
            scaling=scaling,
            compute=ctx.compute,
            notes=(chosen.how, *placement.note(), *notes),
        )

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Gives every user in `support` the most probable weights; maps and prototypes stay."""
        from plt.train.methods.personal.pal_people import curve_of, loss_of

        if self.network is None or self.logits is None or self.scaling is None:
            raise ValueError("adapt after fit or load")
        judgements = support.judgements
        if not judgements.users:
            return replace(self, compute=ctx.compute)
        phi = self._phi(judgements.texts, self.scaling, ctx.compute)
        own = user_problems(judgements, _no_features(judgements), judgements.users)
        found = placed(own, curve_of(self.network, phi), self.prior, loss_of(self.network))
        logits = self.logits.with_heads(judgements.users, found.coordinates)
        notes = (*self.notes, *found.note())
        return replace(self, logits=logits, compute=ctx.compute, notes=notes)

    def save(self, path: Path) -> None:
        """Writes maps, prototypes, users' logits, units and config."""
        if self.network is None or self.logits is None or self.scaling is None:
            raise ValueError("save after fit or load")
        weights = {f"network.{n}": v.numpy() for n, v in self.network.state_dict().items()}
        arrays = weights | self.logits.arrays() | self.scaling.arrays()
        arrays |= {"prior.mean": self.prior.mean, "prior.factor": self.prior.factor}
        record = {"config": asdict(self.config), "users": self.users, "notes": self.notes}
        save_artifact(path, NAME, arrays, record)

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        import torch

        from plt.train.heads.small_networks import Scaling

        arrays, record = load_artifact(path, NAME)
        config = Config(**record["config"])
        scaling = Scaling.from_arrays(arrays)
        known = arrays["network.logits"]
        network = _network(config, len(scaling.centre), known, 0).requires_grad_(False)
        network.load_state_dict(
            {name: torch.from_numpy(arrays[f"network.{name}"]) for name in network.state_dict()}
        )
        logits = HeadTable.from_arrays(arrays, record["users"])
        prior = Prior(arrays["prior.mean"], arrays["prior.factor"])
        return cls(config, network, logits, prior, scaling, compute, tuple(record["notes"]))

    def _features(self, texts: Texts, compute: Compute) -> NDArray[np.float32]:
        return features(texts, self.config.model, compute, max_length=self.config.max_length)

    def _phi(self, texts: Texts, scaling: "Scaling", compute: Compute) -> "Tensor":
        """What the network reads of each text: its features, and in variant b its question's."""
        import torch

        from plt.train.features.statements import last_questions, statement_features

        vectors = scaling(self._features(texts, compute))
        if self.config.variant == "a":
            return vectors
        asked, which = np.unique(last_questions(texts), return_inverse=True)
        known = statement_features(
            asked.tolist(), self.config.model, compute, self.config.max_length
        )
        return torch.cat([vectors, scaling(known[which.reshape(-1)])], dim=1)


def _network(config: Config, features: int, logits: FloatArray, seed: int) -> "IdealPoints":
    from plt.train.methods.personal.pal_network import IdealPoints, IdealPointShape

    shape = IdealPointShape(
        features=features,
        dim=config.dim,
        hidden=config.hidden,
        prototypes=config.prototypes,
        variant=config.variant,
        distance=config.distance or ("squared" if config.variant == "a" else "angle"),
        loss=config.loss,
        inverted=config.compat == "pal",
        norm_bound=config.norm_bound,
    )
    return IdealPoints(shape, logits, np.random.default_rng(np.random.SeedSequence([seed, 0])))


def _first_logits(seed: int, user: str, prototypes: int) -> FloatArray:
    """Standard normal draws that depend on nobody else, shape (K,)."""
    name = user.encode("utf-8", "surrogatepass")
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1, *name]))
    return rng.standard_normal(prototypes)


def _no_features(judgements: Judgements) -> NDArray[np.float32]:
    """Problems whose texts are read elsewhere: shape (T, 0)."""
    return np.zeros((len(judgements.texts), 0), dtype=np.float32)


def _rows(judgements: Judgements, users: Sequence[str], phi: "Tensor") -> "Rows":
    """The judgements of `users`, others left out."""
    from plt.train.heads.small_networks import Rows, places

    user = places(judgements, users)
    kept = user >= 0
    return Rows.of(
        phi, judgements.a[kept], judgements.b[kept], judgements.label[kept], user=user[kept]
    )
