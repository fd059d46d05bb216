"""How much slopes of one's own gain: random slopes, cross-validated by conversation.

A test may find differences of taste too small to be of use. Here each person gets slopes of their
own around the pooled model, shrunk by what the other conversations say about the spread of slopes,
and is judged on conversations that nothing was learned from.

With w the variance of each answer under the pooled model, r its residual and x the differences of
features, a conversation c has the score g_c = sum of x r and the information H_c = sum of w x x^T.
If a person's slopes deviate by b from everybody's, E g_c = H_c b. Hence, over different
conversations c, c' of one person,

    E g_ck g_c'k = sum over l of H_ckl H_c'kl tau_l^2,

k equations for the variances tau^2 in which whatever varies by conversation (or is shared by the
pairs of a turn) cancels. That part is noise, and its size is phi = (variance of g_c) / H_c >= 1:
the quasi-likelihood of a person's answers is the likelihood to the power 1 / phi, and the slopes
are its mode under a normal prior with mean 0 and variances tau^2.

Estimated variances are seldom exactly 0, so where taste does not differ the gain is a little below
0, by 0.0006 nats with 300 users (`tests/golden/heterogeneity.json`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from plt.analyze.intervals.clusters import BoolArray, CodeArray, FloatArray, kish_size
from plt.analyze.intervals.figures import interval_json, without_interval
from plt.analyze.intervals.significance import paired_difference
from plt.analyze.intervals.uncertainty import Interval, default_target
from plt.analyze.taste.conversations import Cells, cross_products, find_cells
from plt.analyze.taste.pooled import Choices, fit_pooled
from plt.data.tables.schema import UNDECIDED

N_FOLDS = 5
NEWTON_STEPS = 25
NEWTON_TOLERANCE = 1e-6

NO_SLOPES = "no fold finds slopes that vary between users, so the two models are the same"


@dataclass(frozen=True)
class SlopeGain:
    """What slopes of one's own gain on conversations that nothing was learned from.

    Attributes:
        log_loss: Log loss (nats a judgement) of the pooled model minus that with slopes.
        accuracy: Accuracy with slopes minus that of the pooled model.
        pooled_log_loss: Held-out log loss of the pooled model, for scale.
        pooled_accuracy: Held-out accuracy of the pooled model, for scale.
        n_folds: Folds of conversations.
    """

    log_loss: Interval
    accuracy: Interval
    pooled_log_loss: float
    pooled_accuracy: float
    n_folds: int

    def to_json(self) -> dict[str, Any]:
        """The `gain` object of `--json`."""
        return {
            "log_loss": interval_json(self.log_loss),
            "accuracy": interval_json(self.accuracy),
            "pooled_log_loss": self.pooled_log_loss,
            "pooled_accuracy": self.pooled_accuracy,
            "n_folds": self.n_folds,
        }


def slope_variances(
    x: FloatArray, residual: FloatArray, variance: FloatArray, cells: Cells
) -> tuple[FloatArray, float]:
    """Moment estimates of the variance of a person's slopes, and of the dispersion.

    Args:
        x: Differences of features, [n, k].
        residual: Answer minus chance of it, [n].
        variance: Chance times one minus chance, [n].
        cells: The cells of the rows.

    Returns:
        tau^2 >= 0, [k], and phi >= 1 (see the module's text).
    """
    weighted = x * variance[:, None]
    information = np.stack([cells.sums(weighted * column[:, None]) for column in x.T], axis=1)
    scores = cells.sums(x * residual[:, None])
    moments = cross_products(information, cells.starts)
    tau2 = _non_negative(moments, cross_products(scores, cells.starts))
    by_users = ((information**2).sum(axis=0) @ tau2).sum()
    expected = np.einsum("ckk->", information)
    phi = ((scores**2).sum() - by_users) / expected if expected > 0 else 1.0
    return tau2, max(1.0, float(phi))


def _non_negative(moments: FloatArray, products: FloatArray) -> FloatArray:
    """Solves moments @ tau2 = products, leaving out in turn the lowest negative variance."""
    found = np.zeros(products.size)
    kept = np.flatnonzero(np.diag(moments) > 0)
    while kept.size:
        solved = np.linalg.lstsq(moments[np.ix_(kept, kept)], products[kept])[0]
        if solved.min() >= 0:
            found[kept] = solved
            break
        kept = np.delete(kept, solved.argmin())
    return found


def random_slope_gain(choices: Choices, seed: int) -> SlopeGain:
    """Pooled model against pooled model with slopes of one's own, on held-out conversations.

    Args:
        choices: At least `N_FOLDS` groups, and a user with at least two. Users with one inform the
            pooled model and are not scored: no slope could be learned for them.
        seed: Of the order in which groups are dealt out to folds.

    Returns:
        Differences with intervals; positive is a gain. The mean prediction is learned without the
        held-out groups, and so are scales, knots, spread of slopes and dispersion.
    """
    folds = _folds(choices, seed)
    pooled = np.zeros(choices.users.size)
    own = np.zeros(choices.users.size)
    varied = False
    for fold in range(N_FOLDS):
        held_out = folds == fold
        margins, slopes, any_slope = _predict(choices.where(~held_out), choices.where(held_out))
        pooled[held_out] = margins
        own[held_out] = margins + slopes
        varied |= any_slope
    _, scored = find_cells(choices.users, choices.groups).of_several()
    return _compare(choices.where(scored), pooled[scored], own[scored], varied)


def _folds(choices: Choices, seed: int) -> CodeArray:
    """The fold of each row, by group; the groups of one user are spread over the folds."""
    _, first, group = np.unique(choices.groups, return_index=True, return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(first.size)
    order = shuffled[np.argsort(choices.users[first[shuffled]], kind="stable")]
    fold = np.empty(first.size, dtype=np.intp)
    fold[order] = np.arange(first.size) % N_FOLDS
    return fold[group]


def _predict(learned: Choices, held_out: Choices) -> tuple[FloatArray, FloatArray, bool]:
    """Pooled margins of the held-out rows, what slopes of one's own add, and whether any vary."""
    model = fit_pooled(learned)
    margin = model.learned
    x = model.basis.slopes(learned)
    chance = special.expit(margin)
    cells = find_cells(learned.users, learned.groups)
    tau2, phi = slope_variances(x, learned.prefers_a - chance, chance * (1 - chance), cells)
    slopes = _modes(x * np.sqrt(tau2), margin, learned, phi, int(held_out.users.max(initial=0)) + 1)
    added = model.basis.slopes(held_out) * np.sqrt(tau2)
    return model.margin(held_out), (added * slopes[held_out.users]).sum(axis=1), bool(tau2.any())


def _modes(
    x: FloatArray, margin: FloatArray, learned: Choices, phi: float, n_users: int
) -> FloatArray:
    """Each person's slopes in units of their standard deviation, [users, k], by Newton's method."""
    n, k = max(n_users, int(learned.users.max()) + 1), x.shape[1]
    found = np.zeros((n, k))
    for _ in range(NEWTON_STEPS):
        chance = special.expit(margin + (x * found[learned.users]).sum(axis=1))
        gradient = _by_user(x * (learned.prefers_a - chance)[:, None], learned.users, n) / phi
        weighted = x * (chance * (1 - chance))[:, None]
        curvature = np.stack(
            [_by_user(weighted * x[:, [j]], learned.users, n) for j in range(k)], axis=1
        )
        step = np.linalg.solve(curvature / phi + np.eye(k), (gradient - found)[:, :, None])[:, :, 0]
        found += step
        if np.abs(step).max(initial=0.0) < NEWTON_TOLERANCE:
            break
    return found


def _by_user(columns: FloatArray, users: CodeArray, n: int) -> FloatArray:
    return np.stack([np.bincount(users, x, minlength=n) for x in columns.T], axis=1)


def _compare(choices: Choices, pooled: FloatArray, own: FloatArray, varied: bool) -> SlopeGain:
    losses = [_log_loss(margin, choices.prefers_a) for margin in (pooled, own)]
    right = [_right(margin, choices.prefers_a) for margin in (pooled, own)]
    codes = (choices.users, choices.groups)
    if varied:
        log_loss = paired_difference(losses[0], losses[1], *codes).interval
        accuracy = paired_difference(right[1], right[0], *codes, bounds=(-1.0, 1.0)).interval
    else:
        target = default_target(*(kish_size(np.bincount(each)) for each in codes))
        log_loss = accuracy = without_interval(0.0, NO_SLOPES, target)
    return SlopeGain(log_loss, accuracy, float(losses[0].mean()), float(right[0].mean()), N_FOLDS)


def _log_loss(margin: FloatArray, prefers_a: FloatArray) -> FloatArray:
    return np.asarray(-special.log_expit(np.where(prefers_a > 0, margin, -margin)))


def _right(margin: FloatArray, prefers_a: FloatArray) -> FloatArray:
    """1 for the right side, 0 for the wrong one, one half for no side at all."""
    side: BoolArray = (margin > 0) == (prefers_a > 0)
    return np.where(np.abs(margin) < UNDECIDED, 0.5, side)
