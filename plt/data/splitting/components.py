"""Connected components between two kinds of things: groups and prompts, pairs and groups, ..."""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def linked(left: NDArray[np.integer], right: NDArray[np.integer], n_right: int) -> IntArray:
    """Which things of the second kind are connected by edges to things of the first.

    Args:
        left: One end of each edge, codes >= 0, [edges].
        right: The other end, codes in [0, n_right), [edges].
        n_right: Things of the second kind.

    Returns:
        A label for each of the second kind, [n_right], equal for those of one component: the
        smallest left code in it, or a label of its own, beyond all left codes, without any edge.
    """
    of_left = np.arange(int(left.max(initial=-1)) + 1)
    of_right = of_left.size + np.arange(n_right, dtype=np.int64)
    while True:
        np.minimum.at(of_right, right, of_left[left])
        before = of_left.copy()
        np.minimum.at(of_left, left, of_right[right])
        of_left = of_left[of_left]  # a label's own label: halves the remaining chains
        if np.array_equal(before, of_left):
            return of_right
