"""By which rows a setting is chosen: validation rows where there are enough, else folds.

Every choice that needs validation rows has one rule: at least `MIN_VALIDATION_ROWS` of them, else
Laplace's evidence where the model has one, else folds of the training rows; never a constant. Too
few validation rows join nothing: they move no weight and judge no fit.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plt.train.heads.ridge import MIN_VALIDATION_ROWS
from plt.train.method import IntArray, Judgements

N_FOLDS = 5


@dataclass(frozen=True)
class Trial:
    """One division of N judgements: what candidates learn from and what judges them.

    Attributes:
        learn: Rows to fit each candidate to, shape (N,).
        judge: Rows to measure it on, shape (N,); no row is in both.
    """

    learn: NDArray[np.bool_]
    judge: NDArray[np.bool_]


def trials(judgements: Judgements) -> tuple[Trial, ...]:
    """The divisions by which a setting is chosen; losses on `judge` are summed over them.

    With at least `MIN_VALIDATION_ROWS` validation rows there is one: they judge what all training
    rows taught, and the fit of the best candidate is the last one. Else the training rows are dealt
    out over `row_folds`, each fold judges what the others taught, and the best candidate is to be
    fitted once more, to all training rows.

    Args:
        judgements: Training and validation rows.

    Returns:
        One trial, or as many as there are folds; none where the training rows show fewer than two
        pairs, so that nothing can be held out: then the strongest penalty is the choice.
    """
    train = ~judgements.validation
    if int(judgements.validation.sum()) >= MIN_VALIDATION_ROWS:
        return (Trial(train, judgements.validation),)
    rows = np.flatnonzero(train)
    fold = row_folds(judgements.user[rows], judgements.pair[rows])
    found = []
    for each in range(int(fold.max(initial=-1)) + 1):
        judge = np.zeros(len(judgements), dtype=bool)
        judge[rows[fold == each]] = True
        found.append(Trial(train & ~judge, judge))
    return tuple(found) if len(found) > 1 else ()


def folds_of(judgements: Judgements) -> tuple[Trial, ...]:
    """The folds of `trials`; none where validation rows are enough."""
    found = trials(judgements)
    return found if len(found) > 1 else ()


def row_folds(user: IntArray, pair: IntArray, n_folds: int = N_FOLDS) -> IntArray:
    """Deals rows out over folds, so that everybody has rows in each.

    All rows of a pair lie in one fold, whoever judged it, as the pairs of a test are new to all:
    else whoever remembers pairs would look good. The pairs are dealt in turn, first those of the
    first person, then those that the second adds, and so on.

    Args:
        user: Who judged, shape (N,); -1 where nobody is named.
        pair: What was judged, shape (N,).
        n_folds: Folds at most; there are never more than pairs.

    Returns:
        The fold of each row from 0, shape (N,).
    """
    codes, place = np.unique(pair, return_inverse=True)
    place = place.reshape(-1)
    first = np.full(len(codes), np.iinfo(np.int64).max)
    np.minimum.at(first, place, user)
    turn = np.empty(len(codes), dtype=np.int64)
    turn[np.lexsort([codes, first])] = np.arange(len(codes))
    return np.asarray((turn % n_folds)[place])


def people_folds(users: Sequence[str], n_folds: int = N_FOLDS) -> IntArray:
    """Deals whole people out over folds, for choices about newcomers.

    Args:
        users: U names.
        n_folds: Folds at most; there are never more than people.

    Returns:
        The fold of each person, shape (U,): by a hash of the names, sizes differing by at most 1.
    """
    digests = [
        hashlib.blake2b(user.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        for user in users
    ]
    turn = np.empty(len(users), dtype=np.int64)
    turn[sorted(range(len(users)), key=digests.__getitem__)] = np.arange(len(users))
    return turn % n_folds
