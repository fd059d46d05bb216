"""What `pref` and `lore` share: a basis, everybody's weights, newcomers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from plt.errors import UsageError
from plt.train.features import features
from plt.train.judgements import Judgements
from plt.train.linear import HeadTable, user_problems
from plt.train.method import Compute, FloatArray, Texts, Tune
from plt.train.prior import Prior, shrunken_heads
from plt.train.shared_basis import Rows, SharedBasis, fit_shared_basis, scaled_rows


@dataclass(frozen=True)
class HeadSettings:
    """What every factorised head is told of its backbone.

    Attributes:
        model: The backbone: ``builtin:minilm`` runs offline on any CPU.
        max_length: Tokens of a text at most; None is the model's own, at most 1,024.
        tune: Only ``head`` here.
        l2: Penalty of weights and basis at scaled features; None chooses it on validation rows, or
            takes `plt.train.shared_basis.DEFAULT_L2` where there are fewer than 50.
    """

    model: str = "builtin:minilm"
    max_length: int | None = None
    tune: Tune = "head"
    l2: float | None = None

    def check(self, method: str, problems: Sequence[str] = ()) -> None:
        """Raises `UsageError` with everything that is wrong with the settings of `method`."""
        found = list(problems)
        if self.tune != "head":
            found.append(f"'--tune {self.tune}' is not there for it: use --tune head")
        if self.l2 is not None and not 0 <= self.l2 < np.inf:
            found.append(f"'l2' is {self.l2}, expected 0 or more")
        if found:
            raise UsageError(
                f"method '{method}' does not take these settings",
                problems=found,
                hint=f"plt ls methods {method}",
            )

    def vectors(self, texts: Texts, compute: Compute) -> NDArray[np.float32]:
        """The frozen features of texts, (n, d)."""
        return features(texts, self.model, compute, max_length=self.max_length)


@dataclass(frozen=True)
class LowRank:
    """A fitted basis with the weights of the users it knows.

    Attributes:
        table: The heads that basis and weights multiply to, in units of the features.
        basis: V, shape (K, d), in units of the features.
        weights: Of each user, shape (U, K), in the order of the table; logits on the simplex.
        population: Weights of everybody else, shape (K,), already mixed.
        simplex: Whether weights are softmaxes.
        l2: The penalty of the fit.
    """

    table: HeadTable
    basis: FloatArray
    weights: FloatArray
    population: FloatArray
    simplex: bool
    l2: float

    @classmethod
    def of(
        cls,
        factors: SharedBasis,
        users: Sequence[str],
        population: FloatArray,
        scale: float,
        l2: float,
    ) -> Self:
        """From a fit on features divided by `scale`; row u of its weights is users[u]."""
        basis = factors.basis / scale
        table = HeadTable(tuple(users), factors.mixture @ basis, population @ basis)
        return cls(table, basis, factors.weights, population, factors.simplex, l2)

    def adapted_simplex(
        self, judgements: Judgements, vectors: NDArray[np.float32], start: FloatArray
    ) -> Self:
        """A copy that knows the judges, each with weights on the simplex from these rows alone.

        Args:
            judgements: Labelled rows of the newcomers.
            vectors: Features of the texts.
            start: Logits that the search begins at and is pulled to, shape (K,).
        """
        users = judgements.users
        rows = scaled_rows(judgements, feature_differences(judgements, vectors), users, 1.0)
        # In the coordinates of the basis a step costs K numbers a pair.
        small = replace(rows, x=rows.x @ self.basis.T)
        weights = np.stack([_newcomer(small, row, start, self.l2) for row in range(len(users))])
        return self.joined(users, weights)

    def adapted_gaussian(
        self, judgements: Judgements, vectors: NDArray[np.float32], prior: Prior
    ) -> Self:
        """A copy that knows the judges, each with the most probable weights under a prior.

        The problem is convex in the weights and has one optimum, found by Newton's method.
        """
        problems = user_problems(judgements, vectors, judgements.users)
        seen = (vectors.astype(np.float64) @ self.basis.T).astype(np.float32)
        weights = shrunken_heads(replace(problems, features=seen), prior)
        return self.joined(judgements.users, weights)

    def joined(self, users: Sequence[str], weights: FloatArray) -> Self:
        """A copy in which `users` have these weights, in place of any they had."""
        mixed = SharedBasis(self.basis, weights, self.simplex).mixture
        table = self.table.with_heads(users, mixed @ self.basis)
        known = dict(zip(self.table.users, self.weights, strict=True))
        known.update(zip(users, weights, strict=True))
        return replace(self, table=table, weights=np.stack([known[name] for name in table.users]))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `plt.train.artifact` writes."""
        return {
            **{f"table.{name}": value for name, value in self.table.arrays().items()},
            "basis": self.basis,
            "weights": self.weights,
            "mix": self.population,
            "about": np.array([float(self.simplex), self.l2]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], users: Sequence[str]) -> Self:
        """The inverse of `arrays`."""
        own = {n.removeprefix("table."): v for n, v in arrays.items() if n.startswith("table.")}
        simplex, l2 = arrays["about"].tolist()
        table = HeadTable.from_arrays(own, users)
        return cls(
            table, arrays["basis"], arrays["weights"], arrays["mix"], bool(simplex), float(l2)
        )


def feature_differences(judgements: Judgements, vectors: NDArray[np.float32]) -> FloatArray:
    """Feature of a minus feature of b of every judgement, shape (N, d)."""
    return vectors[judgements.a].astype(np.float64) - vectors[judgements.b]


def root_mean_square(differences: FloatArray) -> float:
    """Root of the mean |x|^2, shape (N, d) to a number; 1 where it would be 0."""
    size = float(np.sqrt(np.mean(np.einsum("nd,nd->n", differences, differences))))
    return size or 1.0


def _newcomer(rows: Rows, row: int, start: FloatArray, l2: float) -> FloatArray:
    mine = rows.row == row
    one = replace(
        rows, pair=rows.pair[mine], row=rows.row[mine] * 0, label=rows.label[mine],
        weight=rows.weight[mine], n_rows=1,
    )  # fmt: skip
    basis = np.eye(rows.x.shape[1])
    found = fit_shared_basis(
        one, SharedBasis(basis, start[None], simplex=True), l2, basis_fixed=True
    )
    return np.asarray(found.weights[0])
