"""Each person's accuracy under each run: a description, without claims."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plt.analyze.comparison.compare import Comparison
from plt.analyze.intervals.clusters import FloatArray
from plt.analyze.intervals.proportions import user_intervals


@dataclass(frozen=True)
class People:
    """The people of a comparison, in the order of their names.

    Attributes:
        names: One a person.
        n_judgements: Judgements with a side of each, [people].
        value: Accuracy, [runs, people].
        low: Lower end of Wilson's interval on the effective number of groups, [runs, people].
        high: Upper end, [runs, people].
    """

    names: tuple[str, ...]
    n_judgements: NDArray[np.intp]
    value: FloatArray
    low: FloatArray
    high: FloatArray


def people(found: Comparison) -> People | None:
    """Each person of a comparison under each of its runs; None for data without users."""
    if not found.answers or found.answers[0].users is None:
        return None
    first = found.answers[0]
    assert first.users is not None
    each = [user_intervals(rows.correct, first.users, first.groups) for rows in found.answers]
    names = [str(first.user_names[int(code)]) for code in each[0].users]
    return People(
        names=tuple(names),
        n_judgements=each[0].n_rows,
        value=np.stack([one.value for one in each]),
        low=np.stack([one.low for one in each]),
        high=np.stack([one.high for one in each]),
    )
