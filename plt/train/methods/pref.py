"""PReF: a few shared reward factors, and how much each user cares for each of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds

from plt.data.preferences import Preferences
from plt.train.artifact import load_artifact, save_artifact
from plt.train.judgements import named_users, read_judgements
from plt.train.low_rank import HeadSettings, LowRank, feature_differences, root_mean_square
from plt.train.method import Compute, FloatArray, IntArray, Texts, TrainContext
from plt.train.prior import Prior
from plt.train.shared_basis import Rows, SharedBasis, choose_l2, scaled_rows

NAME = "pref"
INIT_RIDGE = 1.0
"""Of the regression of the SVD's pair factors on features of mean square 1: one pseudo-pair."""


@dataclass(frozen=True)
class Config(HeadSettings):
    """What is fitted, on what.

    Attributes:
        factors: J, how many reward factors (8 for Attributes in Shenfeld et al. 2025, table 3).
        init: ``svd`` begins at the singular vectors of the centred votes; ``random`` is the No-SVD
            ablation of figure 3A.
    """

    factors: int = 8
    init: Literal["svd", "random"] = "svd"

    def __post_init__(self) -> None:
        wrong = [] if self.factors >= 1 else [f"'factors' is {self.factors}, expected 1 or more"]
        self.check(NAME, wrong)


@dataclass(frozen=True)
class Pref:
    """P(u prefers a to b) = s(lambda_u' (phi(a) - phi(b))), phi linear in frozen features.

    Votes are centred by one half before the SVD (uncentred, the first singular vector is the
    constant), its pair factors are regressed on the features, and both factors are then fitted to
    the judgements together with an L2 penalty (`plt.train.shared_basis`). Newcomers get the most
    probable lambda under the Gaussian of the training users' lambdas; the population has their
    mean.

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

    @property
    def lambdas(self) -> FloatArray:
        """Weights of the known users, shape (U, J), in the order of `users`."""
        return self._fitted().weights

    def phi(self, texts: Texts) -> FloatArray:
        """Reward factors of texts, shape (n, J)."""
        vectors = self.config.vectors(texts, self.compute)
        return vectors.astype(np.float64) @ self._fitted().basis.T

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),)."""
        table = self._fitted().table
        return table.reward(self.config.vectors(texts, self.compute), rows, users)

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Learns factors and weights from the training rows of named users."""
        judgements = read_judgements(prefs)
        train = judgements.select(~judgements.validation)
        users, notes = named_users(train, judgements)
        vectors = self.config.vectors(judgements.texts, ctx.compute)
        differences = feature_differences(judgements, vectors)
        scale = root_mean_square(differences[~judgements.validation])
        rows, held = (
            scaled_rows(judgements.select(part), differences[part], users, scale)
            for part in (~judgements.validation, judgements.validation)
        )
        start = self._start(rows, ctx.seed)
        factors, l2, how = choose_l2(rows, held, start, self.config.l2)
        fitted = LowRank.of(factors, users, factors.weights.mean(axis=0), scale, l2)
        note = f"{len(factors.basis)} factors, penalty l2 = {l2:g}, {how}"
        return replace(self, fitted=fitted, compute=ctx.compute, notes=(note, *notes))

    def adapt(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Gives every user in `prefs` weights of their own; the factors stay."""
        judgements = read_judgements(prefs)
        fitted = self._fitted()
        vectors = self.config.vectors(judgements.texts, ctx.compute)
        prior = weight_prior(fitted.weights)
        adapted = fitted.adapted_gaussian(judgements, vectors, prior)
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

    def _start(self, rows: Rows, seed: int) -> SharedBasis:
        d = rows.x.shape[1]
        rng = np.random.default_rng(np.random.SeedSequence([seed, len(NAME)]))
        shapes = (self.config.factors, d), (rows.n_rows, self.config.factors)
        basis, weights = (rng.normal(scale=0.1, size=shape) for shape in shapes)
        if self.config.init == "random":
            return SharedBasis(basis, weights)
        found_basis, found_weights = svd_start(rows, self.config.factors, rng)
        # A table of few users or pairs has fewer singular vectors: the rest starts at random.
        basis[: len(found_basis)] = found_basis
        weights[:, : len(found_basis)] = found_weights
        return SharedBasis(basis, weights)


def svd_start(rows: Rows, rank: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Basis (k, d) and weights (R, k), k <= rank, from the SVD of the centred votes.

    With A of shape (R, P) holding label - 1/2 and 0 where nobody voted, A = Q S R': the weights are
    Q S^1/2, and the pair factors S^1/2 R' are regressed on the pairs' features by ridge.
    """
    shape = (rows.n_rows, len(rows.x))
    total = csr_array((rows.label - 0.5, (rows.row, rows.pair)), shape=shape)
    k = min(rank, min(shape) - 1)
    if k < 1:
        return np.zeros((0, rows.x.shape[1])), np.zeros((rows.n_rows, 0))
    left, sizes, right = svds(total, k=k, v0=rng.normal(size=min(shape)))
    order = np.argsort(-sizes)
    root = np.sqrt(sizes[order])
    pair_factors = (right[order] * root[:, None]).T
    gram = rows.x.T @ rows.x + INIT_RIDGE * np.eye(rows.x.shape[1])
    basis = np.linalg.solve(gram, rows.x.T @ pair_factors).T
    return np.asarray(basis), np.asarray(left[:, order] * root)


def weight_prior(weights: FloatArray) -> Prior:
    """The Gaussian of users' weights, shape (U, J): their mean and covariance.

    Few users leave directions without any variance, in which a newcomer could not differ: a
    hundredth of the mean variance is added to each.
    """
    mean = weights.mean(axis=0)
    spread = weights - mean
    covariance = spread.T @ spread / len(weights)
    floor = 0.01 * float(np.trace(covariance)) / len(mean) + 1e-12
    return Prior(mean, np.linalg.cholesky(covariance + floor * np.eye(len(mean))))
