"""Answers chosen by how much they tell: each person's pool in the order of an active session."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from plt.data.tables.preferences import Preferences
from plt.train.heads.head_table import user_problems
from plt.train.heads.selection import Criterion, Keys, answered, next_own
from plt.train.judgements import in_order, read_judgements
from plt.train.method import IntArray, Judgements, Placed

BATCH_SHARE = 10
"""From twice as many answers on, a tenth as many are chosen at once: the posterior hardly moves."""


def active_order(
    method: Placed, pool: Judgements, n_shots: int, criterion: Criterion, seed: int
) -> IntArray:
    """The place of each judgement of a pool among those that its person is asked.

    Everybody is asked at once, one pair after the other: the pair that `criterion` wants, given
    what was answered before. Only labels of pairs that were asked are read, so the first n places
    are what a session of n questions would have given, and the first of more.

    Args:
        method: Where people are placed; it does not change.
        pool: What can be asked, with the answers.
        n_shots: Questions a person at most.
        criterion: See `plt.train.heads.selection`.
        seed: Of ``random``; with the name of a person it decides their order.

    Returns:
        0 for what is asked first, -1 for what is not asked or names nobody, shape (N,).
    """
    phi = method.phi(pool.texts)
    rows = np.flatnonzero(pool.user >= 0)
    questions = user_problems(pool, phi, pool.users)
    keys = person_keys(pool.users, seed)
    place = np.full(len(rows), -1)
    done = 0
    while done < n_shots and (place < 0).any():
        known = np.zeros(len(pool), dtype=bool)
        known[rows[place >= 0]] = True
        placement = method.posterior(phi, pool.select(known))
        for _ in range(min(max(1, done // BATCH_SHARE), n_shots - done)):
            chosen = next_own(placement, questions, criterion, place < 0, keys)
            asked = chosen >= 0
            place[chosen[asked]] = done
            done += 1
            x = np.zeros(placement.mean.shape)
            x[asked] = phi[questions.a[chosen[asked]]] - phi[questions.b[chosen[asked]]]
            placement = answered(placement, x, asked)
    order = np.full(len(pool), -1)
    order[rows] = place
    return order


def active_places(
    method: Placed, answers: Preferences, n_shots: int, criterion: Criterion, seed: int
) -> IntArray:
    """As `active_order`, of the rows of a table, shape (rows,)."""
    rows = in_order(answers.votes.with_row_index("row"))["row"].to_numpy()
    places = np.full(answers.votes.height, -1)
    places[rows] = active_order(method, read_judgements(answers), n_shots, criterion, seed)
    return places


def person_keys(users: Sequence[str], seed: int) -> Keys:
    """A number a person, of the seed and the name alone."""
    digests = [
        blake2b(f"{seed} {user}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for user in users
    ]
    return np.array([int.from_bytes(digest, "little") for digest in digests], dtype=np.uint64)
