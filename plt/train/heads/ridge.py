"""Ridge heads of many groups, with the penalty given, or chosen without looking at any test row."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plt.errors import UsageError
from plt.train.heads.newton import Block, Problems, maximise
from plt.train.method import FloatArray

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
    # A penalty on features divided by their scale.
    unit = problems.scales() ** 2
    weights = np.zeros((n_groups, problems.features.shape[1]))
    chosen = np.full(n_groups, np.nan)
    by_validation = np.zeros(n_groups, dtype=bool)
    if l2 is None and validation is not None:
        by_validation = validation.totals >= MIN_VALIDATION_ROWS
    search = _Search(problems, validation, unit, by_validation)
    for block in problems.blocks():
        grid = L2_GRID if l2 is None else (l2,)
        weights[block.groups], chosen[block.groups] = search.best(block, grid)
    return RidgeHeads(weights, chosen, by_validation, given=l2 is not None)


@dataclass(frozen=True)
class _Search:
    problems: Problems
    validation: Problems | None
    unit: FloatArray
    by_validation: NDArray[np.bool_]

    def best(self, block: Block, grid: tuple[float, ...]) -> tuple[FloatArray, FloatArray]:
        """The head and penalty of the best criterion for each group: shapes (U, d) and (U,)."""
        form, unit = self.problems.form(block), self.unit[block.groups]
        judged = self.by_validation[block.groups]
        best = np.full(len(block), -np.inf)
        weights = np.zeros((len(block), self.problems.features.shape[1]))
        chosen = np.full(len(block), grid[0])
        coordinates = None
        for l2 in grid:
            fit = maximise(form, block, l2 * unit, start=coordinates)
            coordinates = fit.coordinates
            found = form.weights(coordinates)
            criterion = fit.value
            if len(grid) > 1 and not judged.all():
                criterion = fit.log_evidence(form, l2 * unit)
            if judged.any() and self.validation is not None:
                held_out = self.validation.some(block.groups[judged])
                criterion[judged] = -held_out.losses(held_out.margins(found[judged]))
            better = criterion > best
            best[better] = criterion[better]
            weights[better] = found[better]
            chosen[better] = l2
        return weights, chosen
