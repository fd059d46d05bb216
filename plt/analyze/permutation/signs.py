"""Random signs of independent units: does what one unit shows return in the others?"""

import numpy as np

from plt.analyze.intervals.clusters import FloatArray

MIN_UNITS = 8
"""Fewer units have fewer than 128 signs, so that no p value can be small."""
FEW_UNITS = f"fewer than {MIN_UNITS} groups, so few that nothing could be significant"


def cross_product_p_value(
    scores: FloatArray, n_resamples: int, generator: np.random.Generator
) -> float | str:
    """P(cross-products of different units as large) if no score were other than 0 in the mean.

    The sum over pairs of different units of the products of their scores has mean 0 whatever holds
    together within a unit; turning the scores of whole units round gives its null.

    Args:
        scores: Of mean 0 under the null, one row a unit, [units, scores].
        n_resamples: Random signs to draw.
        generator: Of them.

    Returns:
        The one-sided p value, what was seen counted among the draws; or why there is none.
    """
    if np.count_nonzero(scores.any(axis=1)) < MIN_UNITS:
        return FEW_UNITS
    products = scores @ scores.T
    np.fill_diagonal(products, 0.0)
    signs = generator.integers(0, 2, (n_resamples, scores.shape[0])) * 2.0 - 1.0
    null = ((signs @ products) * signs).sum(axis=1)
    seen = float(products.sum())
    # The same products summed in another order differ by rounding.
    at_least = np.count_nonzero(null >= seen - 1e-9 * abs(seen))
    return float((1 + at_least) / (1 + n_resamples))
