"""Ridge heads of many groups, with the penalty given, or chosen without looking at any test row."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit

from plt.errors import UsageError
from plt.train.heads.newton import Batch, Problems, form_of, maximise
from plt.train.method import FloatArray, IntArray

L2_GRID = tuple(10.0 ** (exponent / 2) for exponent in range(4, -7, -1))
"""From strong to weak, half a decade apart. At scaled features (mean |x|^2 of a difference is 1)
l2 is one over the variance of a margin before anything is seen, and variances of 1 to 3 were best
for 20 to 100 judgements a user in simulation; the grid goes a hundredfold beyond both ends."""
MIN_VALIDATION_ROWS = 50
"""Below, the standard error of a validation accuracy exceeds 7 points, and evidence decides."""


def refuse_penalty(l2: float | None) -> None:
    """Raises `UsageError` for a penalty that leaves a head undefined."""
    if l2 is not None and not 0 < l2 < float("inf"):
        raise UsageError(
            f"'l2' is {l2}, expected a number above 0: without a penalty a head that tells all"
            " wins from losses has no finite optimum",
            hint="--set l2=0.001",
        )


@dataclass(frozen=True)
class RidgeHeads:
    """Fitted heads of U groups, in the units of the unscaled features.

    Attributes:
        weights: Shape (U, d); a reward is the inner product with a text's features.
        l2: Penalty of each group on scaled features, shape (U,).
        by_validation: Whether validation rows chose it, shape (U,); else the evidence did.
        given: Whether nothing was chosen.
    """

    weights: FloatArray
    l2: FloatArray
    by_validation: NDArray[np.bool_]
    given: bool

    def describe(self) -> str:
        """How the penalties came about, in one line for the notes of a run."""
        if self.given:
            return f"penalty l2 = {self.l2[0]:g}, as set" if len(self.l2) else "no heads"
        low, high = self.l2.min(initial=np.inf), self.l2.max(initial=0.0)
        span = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        n_validated = int(self.by_validation.sum())
        if len(self.l2) == 1:
            return f"penalty l2 = {span}, chosen by {'validation' if n_validated else 'evidence'}"
        n_evidence = len(self.l2) - n_validated
        return (
            f"penalty l2 = {span}, chosen by validation for {n_validated} users"
            f" and by evidence for {n_evidence}"
        )


def fit_ridge(
    problems: Problems, l2: float | None = None, validation: Problems | None = None
) -> RidgeHeads:
    """One head a group, each from its own rows alone.

    Args:
        problems: The training rows of U groups.
        l2: The penalty; None chooses it for each group from `L2_GRID`: by the cross-entropy of its
            validation rows where it has at least `MIN_VALIDATION_ROWS`, else by Laplace's evidence
            (MacKay 1992). Equal criteria keep the stronger penalty.
        validation: The validation rows of the same U groups, or None.

    Returns:
        The heads. A group whose differences are all 0 gets the head 0.
    """
    n_groups = len(problems.sizes)
    scales = problems.scales()
    weights = np.zeros((n_groups, problems.features.shape[1]))
    chosen = np.full(n_groups, np.nan)
    by_validation = np.zeros(n_groups, dtype=bool)
    if l2 is None and validation is not None:
        by_validation = validation.totals >= MIN_VALIDATION_ROWS
    for groups in problems.batches():
        batch = problems.padded(groups, scales)
        judged = _validation_batch(validation, groups[by_validation[groups]], scales)
        grid = L2_GRID if l2 is None else (l2,)
        found, penalty = _best_of_grid(batch, grid, judged, by_validation[groups])
        weights[groups] = found / scales[groups, None]
        chosen[groups] = penalty
    return RidgeHeads(weights, chosen, by_validation, given=l2 is not None)


def _validation_batch(
    validation: Problems | None, groups: IntArray, scales: FloatArray
) -> Batch | None:
    if validation is None or len(groups) == 0:
        return None
    return validation.padded(groups, scales)


def _best_of_grid(
    batch: Batch, grid: tuple[float, ...], judged: Batch | None, by_validation: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """The head and penalty of the best criterion for each group: shapes (U, d) and (U,)."""
    form = form_of(batch.x)
    n_groups = len(batch.x)
    best = np.full(n_groups, -np.inf)
    weights = np.zeros((n_groups, batch.x.shape[2]))
    chosen = np.full(n_groups, grid[0])
    coordinates = None
    for l2 in grid:
        fit = maximise(form, batch, np.full(n_groups, l2), start=coordinates)
        coordinates = fit.coordinates
        found = form.weights(coordinates)
        criterion = fit.value
        if len(grid) > 1 and not by_validation.all():
            criterion = fit.log_evidence(form, np.full(n_groups, l2))
        if judged is not None:
            criterion[by_validation] = _validation_score(judged, found[by_validation])
        better = criterion > best
        best[better] = criterion[better]
        weights[better] = found[better]
        chosen[better] = l2
    return weights, chosen


def _validation_score(judged: Batch, weights: FloatArray) -> FloatArray:
    margin = (judged.x @ weights[:, :, None])[:, :, 0]
    parts = judged.label * log_expit(margin) + (1 - judged.label) * log_expit(-margin)
    return np.asarray((judged.weight * parts).sum(axis=1))
