"""What a method is: the protocols that it keeps, and the facts on its card. No torch here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plt.data.tables.preferences import Preferences

IntArray: TypeAlias = NDArray[np.int64]
FloatArray: TypeAlias = NDArray[np.float64]
Tune = Literal["head", "lora", "full"]
Quantize = Literal["4bit"]
Progress: TypeAlias = Callable[[str, int, int], None]
"""Called as progress(what, done, total); total 0 means unknown."""


def silent(what: str, done: int, total: int) -> None:
    """The progress callback that says nothing."""


def unhindered() -> None:
    """The check before a checkpoint that forbids nothing."""


def unheard(sentence: str) -> None:
    """Takes what nobody asked to be told."""


@dataclass(frozen=True)
class Texts:
    """Distinct (prompt, response) texts; rows of a scoring call index them.

    Attributes:
        prompts: n conversations up to the answer, each a list of {role, content}.
        responses: n answers; (prompts[i], responses[i]) is distinct from every other.
    """

    prompts: Sequence[Sequence[Mapping[str, str]]]
    responses: Sequence[str]

    def __len__(self) -> int:
        return len(self.responses)


@dataclass(frozen=True)
class Judgements:
    """N labelled judgements over distinct texts, sorted by (user, pair_id, occurrence).

    Rows without a user come first.

    Attributes:
        texts: The distinct texts that the judgements are about.
        a: Text of response a, shape (N,).
        b: Text of response b, shape (N,).
        pair: Code of the pair, shape (N,); the same for everybody who judged it.
        user: Index into `users`, shape (N,); -1 where nobody is named.
        users: The people, sorted by name.
        label: Probability that the user prefers response a, shape (N,); 0.5 is a tie.
        validation: Whether the row only chooses settings and never moves a weight, shape (N,).
    """

    texts: Texts
    a: IntArray
    b: IntArray
    pair: IntArray
    user: IntArray
    users: tuple[str, ...]
    label: FloatArray
    validation: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.label)

    def names(self) -> list[str | None]:
        """Who judged, one name a row; None where nobody is named."""
        return [self.users[code] if code >= 0 else None for code in self.user]

    def select(self, rows: NDArray[np.bool_]) -> "Judgements":
        """The judgements that `rows` marks; texts and users stay as they are."""
        return Judgements(
            self.texts,
            self.a[rows],
            self.b[rows],
            self.pair[rows],
            self.user[rows],
            self.users,
            self.label[rows],
            self.validation[rows],
        )


@dataclass(frozen=True)
class Support:
    """All that `adapt` is told of people: who they are, their answers and their own words.

    Only `plt.train.judgements.support_view` makes one, so that nothing of what is asked of these
    people later can be in it.

    Attributes:
        users: Everybody who is to be known, sorted; those of whom nothing else is known included.
        judgements: The answers; its `users` are those who gave one.
        profiles: What some of them say of themselves.
    """

    users: tuple[str, ...]
    judgements: Judgements
    profiles: Mapping[str, str]


@dataclass(frozen=True)
class Compute:
    """How to compute, never what: no field may change a score beyond rounding.

    Attributes:
        device: ``auto`` is an accelerator where there is one, else the CPU.
        dtype: Of the backbone; heads are float64 on the CPU always.
        batch_size: Texts a forward pass.
        cache_dir: Where distinct texts' features are kept; None keeps nothing.
        progress: Called during long work.
        made_by: The processors that made the features in use, in this run or before; whoever takes
            some adds to it, and copies share it.
    """

    device: str = "auto"
    dtype: str = "float32"
    batch_size: int = 32
    cache_dir: Path | None = None
    progress: Progress = silent
    made_by: set[str] = field(default_factory=set, compare=False)


@dataclass(frozen=True)
class TrainContext:
    """Everything a method may know about its surroundings.

    Attributes:
        seed: The run's seed; stages derive theirs from it.
        work_dir: The only place that a method may write to.
        compute: Device, dtype, batch size, cache, progress.
        users: A `users/1` table, when the data came with one.
        truth: `Meta.truth` of a simulated table, for methods whose card says `reads_truth`; every
            other method is given None.
        before_checkpoint: Called before a checkpoint is written, where `compute.progress` is not;
            both raise when another process makes the run by now.
        report: Takes a sentence that a person should hear before the work begins; what is said of
            its end goes into the notes.
    """

    seed: int
    work_dir: Path
    compute: Compute = field(default_factory=Compute)
    users: pl.DataFrame | None = None
    truth: Mapping[str, Any] | None = None
    before_checkpoint: Callable[[], None] = unhindered
    report: Callable[[str], None] = unheard


@runtime_checkable
class RewardScorer(Protocol):
    """Says how much a person would like one response. User None is the population."""

    def reward(self, texts: Texts, rows: IntArray, users: Sequence[str | None]) -> FloatArray:
        """Rewards of shape (len(rows),): of text rows[i] for users[i]."""
        ...


@runtime_checkable
class MarginScorer(Protocol):
    """Says how much a person prefers one response to another. User None is the population."""

    def margin(
        self, texts: Texts, a: IntArray, b: IntArray, users: Sequence[str | None]
    ) -> FloatArray:
        """Log-odds of shape (len(a),) that users[i] prefers text a[i] to text b[i]."""
        ...


class Spread(Protocol):
    """Posterior covariances of U people in J coordinates, in a form that suits their size."""

    def covariance(self) -> FloatArray:
        """All of them, shape (U, J, J): as much memory as that says."""
        ...

    def variances(self, x: FloatArray) -> FloatArray:
        """Of the margins of P pairs x of shape (P, J), the same for everybody: (U, P)."""
        ...

    def own_variances(self, x: FloatArray) -> FloatArray:
        """Of the margins of n pairs a person, x of shape (U, n, J): (U, n)."""
        ...

    def after(self, x: FloatArray, curvature: FloatArray) -> Self:
        """What is left after one more answer each: a rank-one update at an unmoved mean.

        Args:
            x: The pair that each is asked, shape (U, J).
            curvature: s(m) s(-m) of its margin m, shape (U,); 0 where nothing is asked.
        """
        ...

    def of(self, people: IntArray) -> Self:
        """Those of some of the U people."""
        ...


@dataclass(frozen=True)
class Placement:
    """Where U people stand among J coordinates in which their margins are linear, as Gaussians.

    The margin of person u on a pair with phi(a) - phi(b) = x has mean `mean[u] @ x` and the
    variance that `spread` says. Someone without an answer has the population's.

    Attributes:
        users: Their names.
        mean: Shape (U, J): the most probable coordinates.
        spread: Covariances around it.
    """

    users: tuple[str, ...]
    mean: FloatArray
    spread: Spread


@runtime_checkable
class Placed(Protocol):
    """A method that can say how sure it is of where a person stands: what active questions need."""

    def phi(self, texts: Texts) -> FloatArray:
        """The texts in the coordinates of people, shape (n, J)."""
        ...

    def posterior(self, phi: FloatArray, answers: Judgements) -> Placement:
        """Everybody in `answers.users` given the answers there; the method is unchanged.

        Args:
            phi: Of `answers.texts`.
            answers: Ties and soft labels count as they do in `fit`; whoever has no row is placed
                where the population is.

        Raises:
            UsageError: The settings of this run give people no coordinates.
        """
        ...


@dataclass(frozen=True)
class LinearHeads:
    """Rewards <w_u, h(x)> of users on shared frozen features h.

    Attributes:
        users: Whom they are of.
        weights: Shape (U + 1, d), the last row that of everybody else.
        features: What h is: the model and its window; heads of equal features can be added.
    """

    users: tuple[str, ...]
    weights: FloatArray
    features: tuple[str, int | None]


@runtime_checkable
class LinearReward(Protocol):
    """A method whose fitted reward may be a head a user on frozen features."""

    def linear(self) -> LinearHeads | None:
        """The heads; None where what was fitted is no head on frozen features."""
        ...

    def with_linear(self, weights: FloatArray) -> Self:
        """A copy with other heads of the same users, shape (U + 1, d), the population last.

        Raises:
            UsageError: The method cannot hold them, such as heads outside its basis.
        """
        ...


@runtime_checkable
class Dosed(Protocol):
    """A method whose users can be moved towards its generic user in its own parameters."""

    def at(self, share: float) -> Self | None:
        """A copy in which everybody has a share of what sets them apart.

        0 is the generic user, 1 the person; None where what was fitted has no such path.
        """
        ...


class Method(Protocol):
    """A scorer that can learn. The constructor takes one frozen config and does no work.

    A method also has `reward` or `margin`, as its card says in `scores`. `fit` and `adapt` return
    a new object; no method changes itself.
    """

    @property
    def config(self) -> Any:
        """The frozen dataclass that the card names; `registry.config_dict` writes it down."""
        ...

    @property
    def users(self) -> Sequence[str]:
        """Whom it knows: sorted after `fit`, newcomers behind them in the order of `adapt`.

        Empty when the reward does not depend on the user.
        Everybody else, None included, is scored as the population.
        """
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What a reader must know about the fit: what was chosen how, who was left out."""
        ...

    def fit(self, prefs: Preferences, ctx: TrainContext) -> Self:
        """Learns from train and val rows of seen users; the caller removed everything else."""
        ...

    def adapt(self, support: Support, ctx: TrainContext) -> Self:
        """A light copy that shares weights and knows the people in `support`; self is unchanged.

        Who gave no answer is the generic user, with their own words where the method reads those.
        """
        ...

    def save(self, path: Path) -> None:
        """Writes safetensors and JSON under `path`; never a pickle."""
        ...

    @classmethod
    def load(cls, path: Path, compute: Compute) -> Self:
        """The inverse of `save`."""
        ...


@dataclass(frozen=True)
class MethodCard:
    """The facts about a method that need no import of it.

    Attributes:
        target: ``module:class``; the class takes one frozen dataclass, its `Config`.
        config: ``module:class`` of that dataclass.
        summary: One line for `plt ls methods`.
        paper: Who proposed it, with year; or "baseline".
        personal: Whether the reward depends on the user.
        trains: Whether `fit` learns anything.
        needs_profile: Whether it reads what users say of themselves.
        scores: ``reward`` or ``margin``: which of the two it implements.
        backbone: What it needs of a language model.
        kind: ``reward``, or ``policy``: also writes text, and has an attribute `policy`.
        aliases: Other names that it answers to.
        few_answers: None until measured; whether people whom it does not know gain from few
            answers: after 1, 5 and 20 the contract's newcomers lose at most .01 of log loss
            against the method's own generic user. `plt ls methods` says it.
        reads_truth: Whether it is told the truth of a simulated population, and so is no method
            but what methods are compared with.
        rounding_grows: Whether its fit is many steps of a network, which other threads or
            processors end elsewhere; a convex fit ends at the same place but for rounding.
    """

    target: str
    config: str
    summary: str
    paper: str
    personal: bool
    trains: bool = True
    needs_profile: bool = False
    scores: Literal["reward", "margin"] = "reward"
    backbone: Literal["none", "features", "forward"] = "features"
    kind: Literal["reward", "policy"] = "reward"
    aliases: tuple[str, ...] = ()
    few_answers: bool | None = None
    reads_truth: bool = False
    rounding_grows: bool = False
