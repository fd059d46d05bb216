"""Ridge logistic regression by Newton's method, for designs that are differences of two sides."""

import numpy as np
from scipy import special

from plt.analyze.intervals.clusters import FloatArray

RIDGE = 1.0
"""Prior precision of a coefficient of a standardised column: next to nothing beside 1,000 rows."""

NEWTON_STEPS = 50
NEWTON_TOLERANCE = 1e-8


def logistic(
    design: FloatArray, outcomes: FloatArray, weights: FloatArray | None = None
) -> FloatArray:
    """Coefficients of a logistic regression without intercept.

    Args:
        design: Antisymmetric columns (of a minus of b), [rows, columns].
        outcomes: Shares of successes in [0, 1], [rows].
        weights: Trials behind each row, [rows]; 1 each by default.

    Returns:
        The minimum of the log loss plus half the squared norm, [columns]; zeros for no rows.
    """
    found = np.zeros(design.shape[1])
    trials = np.ones(design.shape[0]) if weights is None else weights
    for _ in range(NEWTON_STEPS):
        chance = special.expit(design @ found)
        gradient = design.T @ (trials * (chance - outcomes)) + RIDGE * found
        curvature = (design * (trials * chance * (1 - chance))[:, None]).T @ design
        curvature[np.diag_indices_from(curvature)] += RIDGE
        step = np.linalg.solve(curvature, gradient)
        found -= step
        if np.abs(step).max(initial=0.0) < NEWTON_TOLERANCE:
            break
    return found
