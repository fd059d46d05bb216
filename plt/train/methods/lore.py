"""LoRe: a basis of rewards, and every user a mixture of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np

from plt.data.preferences import Preferences
from plt.train.artifact import load_artifact, save_artifact
from plt.train.judgements import named_users, read_judgements
from plt.train.low_rank import HeadSettings, LowRank, feature_differences, root_mean_square
from plt.train.method import Compute, FloatArray, IntArray, Texts, TrainContext
from plt.train.shared_basis import SharedBasis, choose_l2, scaled_rows

NAME = "lore"


@dataclass(frozen=True)
class Config(HeadSettings):
    """What is fitted, on what.

    Attributes:
        basis: B, how many rewards are mixed (2 to 6 for TL;DR, 5 to 50 for PRISM in the reference
            code of Bose et al. 2025); 1 is Bradley-Terry.
    """

    basis: int = 5

    def __post_init__(self) -> None:
        wrong = [] if self.basis >= 1 else [f"'basis' is {self.basis}, expected 1 or more"]
        self.check(NAME, wrong)


@dataclass(frozen=True)
class Lore:
    """P(u prefers a to b) = s(w_u' (V h(a) - V h(b))), w_u on the simplex.

    Basis and weights are fitted together to all judgements with an L2 penalty on V and on the
    logits of w (`plt.train.shared_basis`). Weights are shares, so nobody can turn a basis reward
    round: two people of opposite taste need a basis that spans both signs. Newcomers get weights
    only, starting at equal shares; the population has the mean of the users' weights.

    Attributes:
        config: What is fitted, on what.
        fitted: Basis and weights; None before `fit`.
        compute: How to compute features when scoring.
        notes: How the fit came about, and who has no weights.
    """

    config: Config = field(default_factory=Config)
    fitted: LowRank | None = None
    compute: Compute = field(default_factory=Compute)
    notes: tuple[str, ...] = ()

    @property
    def users(self) -> tuple[str, ...]:
        """Whom it knows, sorted."""
        return self.fitted.table.users if self.fitted else ()

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),)."""
        table = self._fitted().table
        return table.reward(self.config.vectors(texts, self.compute), rows, users)

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Learns basis and weights from the training rows of named users."""
        judgements = read_judgements(prefs)
        users, notes = named_users(judgements.select(~judgements.validation), judgements)
        vectors = self.config.vectors(judgements.texts, ctx.compute)
        differences = feature_differences(judgements, vectors)
        scale = root_mean_square(differences[~judgements.validation])
        rows, held = (
            scaled_rows(judgements.select(part), differences[part], users, scale)
            for part in (~judgements.validation, judgements.validation)
        )
        start = random_start(self.config.basis, rows.x.shape[1], rows.n_rows, ctx.seed)
        factors, l2, how = choose_l2(rows, held, start, self.config.l2)
        fitted = LowRank.of(factors, users, factors.mixture.mean(axis=0), scale, l2)
        note = f"basis of {self.config.basis}, penalty l2 = {l2:g}, {how}"
        return replace(self, fitted=fitted, compute=ctx.compute, notes=(note, *notes))

    def adapt(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Gives every user in `prefs` weights of their own; the basis stays."""
        judgements = read_judgements(prefs)
        fitted = self._fitted()
        vectors = self.config.vectors(judgements.texts, ctx.compute)
        equal = np.zeros(self.config.basis)
        adapted = fitted.adapted_simplex(judgements, vectors, equal)
        return replace(self, fitted=adapted, compute=ctx.compute)

    def save(self, path: Path) -> None:
        """Writes basis, weights, users and config."""
        record = {"config": asdict(self.config), "users": self.users, "notes": self.notes}
        save_artifact(path, NAME, self._fitted().arrays(), record)

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        arrays, record = load_artifact(path, NAME)
        fitted = LowRank.from_arrays(arrays, record["users"])
        return cls(Config(**record["config"]), fitted, compute, tuple(record["notes"]))

    def _fitted(self) -> LowRank:
        if self.fitted is None:
            raise ValueError("score after fit or load")
        return self.fitted


def random_start(size: int, d: int, n_rows: int, seed: int) -> SharedBasis:
    """A basis around 0 and logits that differ a little, so that no two users start alike."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, size, n_rows]))
    basis = rng.normal(scale=0.3, size=(size, d)) / np.sqrt(d)
    return SharedBasis(basis, rng.normal(scale=0.5, size=(n_rows, size)), simplex=True)
