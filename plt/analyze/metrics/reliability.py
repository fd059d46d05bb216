"""How reliable each person is beside the others, from votes alone (Spearman's communality).

Let persons differ in nothing but care: x_u = c_u y with c_u >= 0 and one y a pair (x = 2 P(a) - 1).
Then on each pair E[v_u v_w] = c_u c_w y^2 for the signed votes v = +-1 of two persons. So the
agreement of u with the others over that of the others with one another estimates
kappa_u = c_u / (mean c of the others), and c_u^2 y^2, what u's own repeated answers show, is
kappa_u times the agreement with the others, whatever the y. Anything that u's repeats have in
common beyond that is u's own. Where the others are few and unlike in care, the estimate of kappa is
somewhat too large (the mean product of two of them is below the square of their mean), which errs
on the side of calling a difference one of care.
"""

import numpy as np

from plt.analyze.metrics.repeated_cells import CellVotes
from plt.analyze.metrics.votes import FloatArray

MAX_KAPPA = 3.0


def relative_reliability(rows: CellVotes, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Kappa of each person, and how the votes move a weighted sum of them.

    kappa_u is the ratio of sums over the votes of u of t = v L / m and o = (L^2 - m) / (m (m - 1)),
    where m others voted on the pair and L is the sum of their signed votes: t is the mean product
    with the others, o the mean product among these. It is cut to 0..MAX_KAPPA, and 1 where the
    others do not agree with one another, so that there is no reliability to speak of.

    Args:
        rows: Votes on pairs that each have at least three.
        weights: w of each person, [U].

    Returns:
        kappa, [U]; and the influence of each vote on sum of w_u kappa_u, [rows], 0 where kappa is
        cut.
    """
    m = np.bincount(rows.place)[rows.place] - 1
    v = np.where(rows.prefers_a, 1.0, -1.0)
    lean = rows.of_others(v)
    t = v * lean / m
    o = (lean**2 - m) / (m * (m - 1))
    top, bottom = (np.bincount(rows.users, part, minlength=weights.size) for part in (t, o))
    positive = bottom > 0
    raw = np.divide(top, bottom, out=np.ones_like(top), where=positive)
    kappa = np.clip(raw, 0.0, MAX_KAPPA)
    free = positive & (kappa == raw)
    slope = np.divide(weights, bottom, out=np.zeros_like(top), where=free)[rows.users]
    k = slope * kappa[rows.users]
    own = slope * t - k * o
    # As one of the others of u, a vote changes t_u by (v_u v - t_u) / m and o_u by
    # 2 (v (lean_u - v) / (m - 1) - o_u) / m, where lean_u is the sum of all but u's.
    in_t = v * rows.of_others(slope * v) - rows.of_others(slope * t)
    in_o = v * ((lean + v) * rows.of_others(k) - rows.of_others(k * v)) - rows.of_others(k)
    moved: FloatArray = own + (in_t - 2 * (in_o / (m - 1) - rows.of_others(k * o))) / m
    return kappa, moved
