"""Small torch networks on frozen features, fitted to all judgements at once.

L-BFGS in float64 on the whole objective: no batches, no learning rate, nothing drawn but the start,
so that neither the order of the rows nor their number needs a setting. A network says in
`row_losses` what each row costs, a pure function of the texts' features, so that the same network
can also be trained together with the backbone that makes them.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plt.errors import FailedError
from plt.train.heads.head_table import pair_problem
from plt.train.heads.ridge import MIN_VALIDATION_ROWS
from plt.train.method import FloatArray, IntArray, Judgements

QUICK_STEPS, PATH_STEPS, MAX_STEPS = 20, 100, 1000
"""Of L-BFGS: at each penalty on the way to one that is given, at each that validation rows judge,
and at the one that was chosen."""
FOLD_STEPS, MOST_FOLDS = 50, 3
"""Steps at each penalty where folds choose, and how many folds: three fits take a second."""
HISTORY = 20
GRADIENT_BELOW, CHANGE_BELOW, CHANGE_ON_PATH = 1e-7, 1e-12, 1e-5
"""Where the fit of a network ends, and where a stronger penalty is next; of the objective a row."""
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""From weak to strong, half a decade apart: those that validation chose for features scaled as by
`Scaling` lie inside."""
DEFAULT_PENALTY = 1.0
FOLD_PENALTIES = PENALTIES[::2]
"""By decades: where few rows can be held out they tell no more."""
WORSE = 1e-3
"""Validation loss that the minimum of a fit must lose for an earlier place to be kept."""
NOTHING_HELD_OUT = PENALTIES[-1], "the strongest: no row can be held out to choose it"


@dataclass(frozen=True)
class Scaling:
    """Units of features in which one grid of penalties serves every backbone.

    Attributes:
        centre: Mean of the compared texts, shape (d,).
        scale: Root of the mean |x_a - x_b|^2 over the rows; 1 where it would be 0.
    """

    centre: FloatArray
    scale: float

    @classmethod
    def of(cls, judgements: Judgements, vectors: NDArray[np.float32]) -> Self:
        """The units for N judgements of texts with features (T, d)."""
        shown = np.bincount(
            np.concatenate([judgements.a, judgements.b]), minlength=len(vectors)
        ) / (2 * len(judgements))
        scale = pair_problem(judgements, vectors).pooled_scale()
        return cls(shown @ vectors.astype(np.float64), scale)

    def __call__(self, vectors: NDArray[np.float32]) -> Tensor:
        """Features (T, d) in these units, float64."""
        return torch.from_numpy((vectors.astype(np.float64) - self.centre) / self.scale)

    def arrays(self) -> dict[str, FloatArray]:
        """What `plt.train.artifact` writes."""
        return {"centre": self.centre, "scale": np.array([self.scale])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `arrays`."""
        return cls(arrays["centre"], float(arrays["scale"][0]))


@dataclass(frozen=True)
class Rows:
    """N judgements as tensors.

    Attributes:
        phi: Features of the texts, shape (T, d).
        a: Text of response a, shape (N,).
        b: Text of response b, shape (N,).
        user: Row of the user in the network's own table, shape (N,).
        label: Probability that a is preferred, shape (N,).
        weight: How often the row counts, shape (N,).
    """

    phi: Tensor
    a: Tensor
    b: Tensor
    user: Tensor
    label: Tensor
    weight: Tensor

    @classmethod
    def of(
        cls,
        phi: Tensor,
        a: IntArray,
        b: IntArray,
        label: FloatArray,
        *,
        user: IntArray | None = None,
        weight: FloatArray | None = None,
    ) -> Self:
        """Rows from arrays of shape (N,); without `user` all are 0, without `weight` all 1."""
        users = np.zeros(len(a), dtype=np.int64) if user is None else user
        weights = np.ones(len(a)) if weight is None else weight
        arrays: tuple[NDArray[Any], ...] = (a, b, users, label, weights)
        return cls(phi, *(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))


class RowNetwork(Protocol):
    """What can be fitted here: a torch module in float64 with two further methods."""

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """Every parameter; those that require a gradient are fitted."""
        ...

    def row_losses(self, phi: Tensor, a: Tensor, b: Tensor, user: Tensor, label: Tensor) -> Tensor:
        """What each judgement costs, shape (N,)."""
        ...

    def beyond_rows(self, rows: Rows, l2: float) -> Tensor:
        """Penalties and priors: a scalar in the units of the sum of the rows' losses."""
        ...


def drawn(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> torch.nn.Parameter:
    """A float64 parameter of normal draws times `scale`: no global state is used or changed."""
    return torch.nn.Parameter(torch.from_numpy(scale * rng.standard_normal(shape)))


def places(judgements: Judgements, users: Sequence[str]) -> IntArray:
    """The position of each row's user among `users`, shape (N,); -1 for everybody else."""
    place = {user: code for code, user in enumerate(users)}
    of_code = [place.get(name, -1) for name in judgements.users]
    # The last entry stands for code -1: a row that names nobody.
    return np.array([*of_code, -1], dtype=np.int64)[judgements.user]


Network = TypeVar("Network", bound=RowNetwork)


@dataclass(frozen=True)
class Chosen(Generic[Network]):
    """A fitted network and how its penalty came about, in one line for the notes of a run."""

    network: Network
    how: str


def minimise(
    network: RowNetwork,
    rows: Rows,
    l2: float,
    *,
    max_steps: int = MAX_STEPS,
    change_below: float = GRADIENT_BELOW**2,
) -> bool:
    """Moves the parameters of a network to a minimum of its objective near their start.

    The objective is the weighted sum of `row_losses` plus `beyond_rows`. Without rows only the
    latter counts.

    Args:
        network: Moved in place.
        rows: What it is fitted to.
        l2: The penalty.
        max_steps: Of L-BFGS.
        change_below: The decrease of the objective a row below which a step is the last.

    Returns:
        Whether it ended there, and not because there were no more steps.

    Raises:
        FailedError: The objective is no number.
    """
    wanted = [p for p in network.parameters() if p.requires_grad]
    total = max(float(rows.weight.sum()), 1.0)
    optimiser = torch.optim.LBFGS(
        wanted,
        max_iter=max_steps,
        max_eval=2 * max_steps,
        tolerance_grad=GRADIENT_BELOW,
        tolerance_change=change_below,
        history_size=HISTORY,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = (_sum_of_rows(network, rows) + network.beyond_rows(rows, l2)) / total
        value.backward()  # type: ignore[no-untyped-call] # of torch
        return value

    last = optimiser.step(closure)  # type: ignore[no-untyped-call] # of torch
    if not torch.isfinite(last) or not all(bool(torch.isfinite(p).all()) for p in wanted):
        raise FailedError(f"a fit with penalty {l2:g} left the numbers: its objective is {last}")
    state = optimiser.state[wanted[0]]
    return bool(state["n_iter"] < max_steps and state["func_evals"] < 2 * max_steps)


def mean_loss(network: RowNetwork, rows: Rows) -> float:
    """Weighted mean of the rows' losses."""
    with torch.no_grad():
        return float(_sum_of_rows(network, rows) / rows.weight.sum())


def fit_network(
    make: Callable[[], Network],
    train: Rows,
    validation: Rows,
    l2: float | None,
    *,
    default: tuple[float, str] = (DEFAULT_PENALTY, "the default"),
    folds: Sequence[tuple[Rows, Rows]] = (),
) -> Chosen[Network]:
    """Fits a network with the penalty given, or with that of the least validation loss.

    Penalties are tried from weak to strong, each for `PATH_STEPS` from the fit of the one before:
    layers that a strong penalty drove to 0 have slope 0 there and would never leave it. 84
    simulated users and eight prototypes (`pal`) were not told apart otherwise, nor from a start at
    a strong penalty; so one that is given is approached through the weaker ones too. At the end the
    fit goes on to its minimum, of which validation rows say whether it is the better one.

    Args:
        make: Gives the network at its start.
        train: Rows that move weights.
        validation: Rows that choose among `PENALTIES` where there are at least
            `MIN_VALIDATION_ROWS`; equal losses keep the weaker penalty.
        l2: The penalty, or None.
        default: The penalty where nothing can choose, and what it is.
        folds: Training rows and those held out, which choose where validation rows are too few
            (`held_out.trials`).
    """
    penalty, what = default if l2 is None else (l2, "as set")
    if l2 is None and folds:
        return _by_folds(make, train, folds[:MOST_FOLDS])
    if l2 is not None or float(validation.weight.sum()) < MIN_VALIDATION_ROWS:
        network = make()
        for weaker in PENALTIES:
            if weaker < penalty:
                minimise(network, train, weaker, max_steps=QUICK_STEPS, change_below=CHANGE_ON_PATH)
        ended = minimise(network, train, penalty, change_below=CHANGE_BELOW)
        return Chosen(network, f"penalty l2 = {penalty:g}, {what}{_stopped(ended)}")
    best, penalty, least = _best_of_path(make(), train, validation)
    network = copy.deepcopy(best)
    ended = minimise(network, train, penalty, change_below=CHANGE_BELOW)
    how = f"penalty l2 = {penalty:g}, chosen by validation"
    if mean_loss(network, validation) <= least + WORSE:
        return Chosen(network, how + _stopped(ended))
    early = f"; stopped after {PATH_STEPS} steps, where validation rows are told better than later"
    return Chosen(best, how + early)


def _best_of_path(network: Network, train: Rows, validation: Rows) -> tuple[Network, float, float]:
    """The fit, penalty and validation loss that are best on the way from weak to strong."""
    best, penalty, least = network, PENALTIES[0], np.inf
    for tried in PENALTIES:
        minimise(network, train, tried, max_steps=PATH_STEPS, change_below=CHANGE_ON_PATH)
        loss = mean_loss(network, validation)
        if loss < least:
            best, penalty, least = copy.deepcopy(network), tried, loss
    return best, penalty, least


def _by_folds(
    make: Callable[[], Network], train: Rows, folds: Sequence[tuple[Rows, Rows]]
) -> Chosen[Network]:
    """The fit with the penalty of the least loss on rows held out, summed over the folds.

    Nothing would tell whether the minimum is better than the place where the folds were judged (it
    can be far worse: .74 for .64 with `conditional`), so the fit stops where they did.
    """
    losses = np.zeros(len(FOLD_PENALTIES))
    for part, judges in folds:
        network = make()
        for place, tried in enumerate(FOLD_PENALTIES):
            minimise(network, part, tried, max_steps=FOLD_STEPS, change_below=CHANGE_ON_PATH)
            losses[place] += mean_loss(network, judges) * float(judges.weight.sum())
    chosen, network = int(losses.argmin()), make()
    for tried in FOLD_PENALTIES[: chosen + 1]:
        ended = minimise(network, train, tried, max_steps=FOLD_STEPS, change_below=CHANGE_ON_PATH)
    how = f"penalty l2 = {FOLD_PENALTIES[chosen]:g}, chosen by {len(folds)} folds of training rows"
    stopped = "" if ended else f"; stopped after {FOLD_STEPS} steps, as on the folds"
    return Chosen(network, how + stopped)


def _stopped(ended: bool) -> str:
    """What must be said of a fit that did not come to its end."""
    return "" if ended else f"; the fit stopped at its limit of {MAX_STEPS} steps"


def _sum_of_rows(network: RowNetwork, rows: Rows) -> Tensor:
    losses = network.row_losses(rows.phi, rows.a, rows.b, rows.user, rows.label)
    return (rows.weight * losses).sum()
