"""How reliable each person is beside the others: what unequal care alone would look like.

Persons who want the same but differ in care answer a pair with x_up = c_u y_p, where x = 2 P(a) - 1
and 0 <= c_u. A person then agrees with the others by a multiple kappa_u = c_u / (mean c of the
others) of the agreement among these, and with themselves by kappa_u times their agreement with the
others. kappa is estimated for each judgement from the person's votes in *other* groups, so that the
noise of an answer cannot explain itself away.
"""

from dataclasses import dataclass

import numpy as np

from plt.analyze.repeats.repeated_cells import CellVotes
from plt.analyze.votes.votes import BoolArray, FloatArray, IntArray

MAX_KAPPA = 10.0
MIN_VOTES = 10
"""From fewer votes elsewhere a person's kappa is noise: where everybody had four, weights that
follow it called unequal care taste in 21 to 35 % of simulated tables, from ten on in 4 %."""


@dataclass(frozen=True)
class Reliability:
    """kappa for each vote, from the person's votes in other groups.

    Attributes:
        kappa: The multiple, 0..MAX_KAPPA, [rows]; 1 where the others do not agree with one another,
            so that there is no reliability to speak of.
        bottom: Its denominator, [rows].
        free: Whether kappa moves with the votes: it was not cut, [rows].
        own: t of each vote, its mean product with the others' votes, [rows].
        others: o of each vote, the mean product among these, [rows].
        cells: The cell (person, left-out unit) of each vote, without gaps, [rows].
        known: Whether the person has `MIN_VOTES` votes in other units, [rows].
    """

    kappa: FloatArray
    bottom: FloatArray
    free: BoolArray
    own: FloatArray
    others: FloatArray
    cells: IntArray
    known: BoolArray


def relative_reliability(rows: CellVotes, held: IntArray) -> Reliability:
    """kappa_u of each vote without the votes of the same person in the same unit.

    It is the ratio of sums over the other units of t = v L / m and o = (L^2 - m) / (m (m - 1)),
    where m others voted on the pair, v is the vote and L the sum of their signed votes.

    Args:
        rows: Votes on pairs that each have at least three.
        held: What is left out together with a vote: its group, [rows].

    Returns:
        The reliabilities.
    """
    m = np.bincount(rows.place)[rows.place] - 1
    v = np.where(rows.prefers_a, 1.0, -1.0)
    lean = rows.of_others(v)
    own = v * lean / m
    others = (lean**2 - m) / (m * (m - 1))
    cells = np.unique(np.stack((rows.users, held)), axis=1, return_inverse=True)[1]
    top, bottom = (_elsewhere(part, rows.users, cells) for part in (own, others))
    positive = bottom > 1e-12
    raw = np.divide(top, bottom, out=np.ones_like(top), where=positive)
    kappa = np.clip(raw, 0.0, MAX_KAPPA)
    known = _elsewhere(np.ones(own.size), rows.users, cells) >= MIN_VOTES
    return Reliability(kappa, bottom, positive & (kappa == raw), own, others, cells, known)


def reliability_influence(rows: CellVotes, found: Reliability, weights: FloatArray) -> FloatArray:
    """How each vote moves the sum of `weights` times the kappas, [rows].

    Args:
        rows: The votes.
        found: Their reliabilities.
        weights: What each kappa is multiplied with, [rows].
    """
    m = np.bincount(rows.place)[rows.place] - 1
    v = np.where(rows.prefers_a, 1.0, -1.0)
    lean = rows.of_others(v)
    part = np.divide(weights, found.bottom, out=np.zeros_like(weights), where=found.free)
    slope = _elsewhere(part, rows.users, found.cells)
    k = _elsewhere(part * found.kappa, rows.users, found.cells)
    t, o = found.own, found.others
    own = slope * t - k * o
    # As one of the others of u, a vote changes t_u by (v_u v - t_u) / m and o_u by
    # 2 (v (lean_u - v) / (m - 1) - o_u) / m, where lean_u is the sum of all but u's.
    in_t = v * rows.of_others(slope * v) - rows.of_others(slope * t)
    in_o = v * ((lean + v) * rows.of_others(k) - rows.of_others(k * v)) - rows.of_others(k)
    moved: FloatArray = own + (in_t - 2 * (in_o / (m - 1) - rows.of_others(k * o))) / m
    return moved


def _elsewhere(values: FloatArray, users: IntArray, cells: IntArray) -> FloatArray:
    """For each row the sum of its person's values in all other units, [rows]."""
    of_person = np.bincount(users, values)[users]
    return np.asarray(of_person - np.bincount(cells, values)[cells], dtype=np.float64)
