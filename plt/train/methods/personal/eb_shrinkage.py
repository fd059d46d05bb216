"""Empirical Bayes: one head a user, shrunk towards a population that is learnt from all users."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from plt.data.tables.preferences import Preferences
from plt.errors import UsageError
from plt.train.artifact import load_artifact, save_artifact
from plt.train.features.frozen import features
from plt.train.heads.empirical_bayes import (
    Prior,
    fit_prior,
    leading_directions,
    shrunken_heads,
)
from plt.train.heads.head_table import HeadTable, fit_shared_head, user_problems
from plt.train.heads.newton import Problems
from plt.train.heads.offsets import offset_evidence
from plt.train.heads.posterior import head_posterior
from plt.train.heads.ridge import MIN_VALIDATION_ROWS
from plt.train.judgements import named_users, read_judgements
from plt.train.method import (
    Compute,
    FloatArray,
    IntArray,
    Judgements,
    LinearHeads,
    Placement,
    Support,
    Texts,
    TrainContext,
    Tune,
)

NAME = "eb-shrinkage"
VARIANCES = (0.1, 0.5, 3.0)
MOST_DIRECTIONS, LEADING = 384, 256
"""Longer features than the first differ between users in the leading ones of their directions."""
SEED_STAGE = 14


@dataclass(frozen=True)
class Config:
    """What is fitted, on what.

    Attributes:
        model: The backbone: ``builtin:minilm`` runs offline on any CPU.
        max_length: Tokens of a text at most; None is the model's own, at most 1,024.
        tune: Only ``head``: the prior is one over heads.
        iterations: EM steps; 0 keeps the start, equal variance in all directions. Of 84 simulated
            users with 50 answers the held-out accuracy changed by at most half a point after 10;
            with 20 answers, 20 steps gained up to 1.6 points more.
        variance: Of a user's deviation in margin from the shared head (log-odds squared) when EM
            starts; 0 gives everybody the shared head. None starts from that of `VARIANCES` under
            which the training rows are most probable (Laplace's evidence); then the validation
            rows say whether what was learnt is better than 0, or, where they are fewer than 50, the
            same evidence does.
    """

    model: str = "builtin:minilm"
    max_length: int | None = None
    tune: Tune = "head"
    iterations: int = 10
    variance: float | None = None

    def __post_init__(self) -> None:
        if self.tune != "head":
            raise UsageError(
                f"'{NAME}' has no '--tune {self.tune}': its prior is one over linear heads",
                hint=f"plt train --method {NAME} --tune head",
            )
        problems = []
        if self.iterations < 0:
            problems.append(f"'iterations' is {self.iterations}, expected 0 or more")
        if self.variance is not None and not 0 <= self.variance < np.inf:
            problems.append(f"'variance' is {self.variance}, expected 0 or more")
        if problems:
            raise UsageError(
                f"method '{NAME}' does not take these settings",
                problems=problems,
                hint="plt ls methods eb-shrinkage",
            )


@dataclass(frozen=True)
class EbShrinkage:
    """P(u prefers a to b) = s(r_u(a) - r_u(b)), r_u linear with head w_u ~ N(mean, covariance).

    Mean and full covariance are learnt by EM from all users' training rows, starting from the
    vanilla head and equal variance in all directions; each head is the most probable one given the
    user's rows and that prior (`plt.train.heads.empirical_bayes`). Validation rows choose the
    penalty of the vanilla head, and whether people differ from it at all. The population (unknown
    users and None) is the mean head.

    Attributes:
        config: What is fitted, on what.
        table: The heads; None before `fit`.
        factor: Root of the prior covariance, shape (d, k).
        compute: How to compute features when scoring.
        notes: What was chosen how, and who has no head.
    """

    config: Config = field(default_factory=Config)
    table: HeadTable | None = None
    factor: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
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
        return self.table.reward(self._features(texts, self.compute), rows, users)

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Learns the prior from all users and the head of every user with a training row."""
        judgements = read_judgements(prefs)
        train = judgements.select(~judgements.validation)
        users, notes = named_users(train, judgements)
        vectors = self._features(judgements.texts, ctx.compute)
        shared = fit_shared_head(judgements, vectors, l2=None)
        problems = user_problems(train, vectors, users)
        mean = shared.weights[0]
        variance, how = self._start(problems, judgements, mean)
        prior, said = self._learnt(problems, mean, variance, ctx.seed)
        heads = shrunken_heads(problems, prior)
        held_out = user_problems(judgements.select(judgements.validation), vectors, users)
        n_rows = int(held_out.weight.sum())
        if self.config.variance is None and variance and n_rows >= MIN_VALIDATION_ROWS:
            how = f"{how} and better than none on {n_rows} validation rows"
            losses = [held_out.losses(held_out.margins(each)).sum() for each in (heads, mean)]
            if losses[1] <= losses[0]:
                variance, how = 0.0, f"better than {variance:g} on {n_rows} validation rows"
                prior = Prior(mean, np.zeros_like(prior.factor))
                heads = np.tile(mean, (len(users), 1))
        table = HeadTable(users, heads, prior.mean)
        said = (f"shared head: {shared.describe()}", f"prior variance {variance:g}, {how}", *said)
        return replace(
            self, table=table, factor=prior.factor, compute=ctx.compute, notes=(*said, *notes)
        )

    def _start(
        self, problems: Problems, judgements: Judgements, shared: FloatArray
    ) -> tuple[float, str]:
        """The variance in which EM starts, and who says so."""
        if self.config.variance is not None:
            return self.config.variance, "as set"
        deviations = np.sqrt(VARIANCES) / problems.pooled_scale()
        evidence = offset_evidence(problems, shared, deviations.tolist())
        best = int(np.argmax(evidence))
        enough = int(judgements.validation.sum()) >= MIN_VALIDATION_ROWS
        if not enough and -problems.losses(problems.margins(shared)).sum() >= evidence[best]:
            return 0.0, "chosen by evidence"
        return VARIANCES[best], "chosen by evidence"

    def _learnt(
        self, problems: Problems, shared: FloatArray, variance: float, seed: int
    ) -> tuple[Prior, tuple[str, ...]]:
        """The prior after EM, and what to say of its directions."""
        directions, said, d = np.eye(len(shared)), tuple[str, ...](), len(shared)
        if variance and d > MOST_DIRECTIONS:
            directions, share = leading_directions(problems, LEADING, seed + SEED_STAGE)
            said = (
                f"users differ along the leading {LEADING} of {d} directions, which have"
                f" {share:.0%} of the mean square of a difference",
            )
        spread = np.sqrt(variance) / problems.pooled_scale() * directions
        # Without variance there is nothing for EM to learn, and everybody has the shared head.
        steps = self.config.iterations if variance else 0
        return fit_prior(problems, Prior(shared, spread), steps), said

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """Gives every user in `support` the most probable head given these rows and the prior."""
        if self.table is None:
            raise ValueError("adapt after fit or load")
        judgements = support.judgements
        vectors = self._features(judgements.texts, ctx.compute)
        problems = user_problems(judgements, vectors, judgements.users)
        heads = shrunken_heads(problems, Prior(self.table.population, self.factor))
        table = self.table.with_heads(judgements.users, heads)
        return replace(self, table=table, compute=ctx.compute)

    def phi(self, texts: Texts) -> FloatArray:
        """The features of texts, shape (n, d)."""
        return self._features(texts, self.compute).astype(np.float64)

    def posterior(self, phi: FloatArray, answers: Judgements) -> Placement:
        """The heads that `adapt` gives, and how sure they are under the learnt population."""
        if self.table is None:
            raise ValueError("posterior after fit or load")
        return head_posterior(Prior(self.table.population, self.factor), phi, answers)

    def linear(self) -> LinearHeads | None:
        """The heads on frozen features; None after fine-tuning."""
        if self.table is None:
            return None
        return LinearHeads(
            self.users, self.table.weights, (self.config.model, self.config.max_length)
        )

    def with_linear(self, weights: FloatArray) -> Self:
        """A copy with other heads of the same users, the population last."""
        if self.table is None:
            raise ValueError("with_linear after fit or load")
        return replace(self, table=self.table.with_weights(weights))

    def save(self, path: Path) -> None:
        """Writes heads, prior, users and config."""
        if self.table is None:
            raise ValueError("save after fit or load")
        record = {"config": asdict(self.config), "users": self.users, "notes": self.notes}
        save_artifact(path, NAME, {**self.table.arrays(), "factor": self.factor}, record)

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        arrays, record = load_artifact(path, NAME)
        table = HeadTable.from_arrays(arrays, record["users"])
        config = Config(**record["config"])
        return cls(config, table, arrays["factor"], compute, tuple(record["notes"]))

    def _features(self, texts: Texts, compute: Compute) -> NDArray[np.float32]:
        return features(texts, self.config.model, compute, max_length=self.config.max_length)
