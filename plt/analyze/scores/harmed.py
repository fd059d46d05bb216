"""Who is served worse than by the baseline: named users, how many at least, and never a share.

A share of users harmed needs the shape of a distribution that nobody sees: with 20 % harmed and
80 % untouched, a normal prior called two thirds harmed. What can be had without a shape is a test
of each user, and what many tests at once allow to say.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plt.analyze.intervals.clusters import (
    FloatArray,
    cluster_sums,
    read_cells,
    read_clusters,
    without_gaps,
)
from plt.analyze.intervals.significance import benjamini_hochberg, holm
from plt.analyze.scores.evaluation import EvaluationRows

HARM = 0.02
"""A loss of accuracy that counts as harm: 2 points."""
FALSE_DISCOVERY_RATE = 0.1
ERROR = 0.05
DRAWS = 16
SEED = 97
NO_SHARE = "no way to a share held its level in every world: whom the tests name is said instead"


@dataclass(frozen=True)
class Harmed:
    """Users whose accuracy is more than 2 points below the baseline's, as far as tests can tell.

    Attributes:
        users: Their names at a false discovery rate of 10 %, the surest first: about one in ten of
            them wrongly, so an estimate.
        loss: By how much each one's accuracy is lower on these judgements, [users].
        at_least: How many there are at least, with 95 % confidence: rejections of Holm's method.
        n_tested: Users with enough prompts to be named at all.
        n_users: Users in all.
        median_prompts: Prompts of the middle user.
        named_from: How many of so many prompts must be lost, and none won, for that user to be
            named if nobody else were harmed; None where even all would not do.
        reason: Why nobody could be tested; null otherwise.
    """

    users: tuple[str, ...]
    loss: tuple[float, ...]
    at_least: int | None
    n_tested: int
    n_users: int
    median_prompts: int = 0
    named_from: int | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The documented object of ``--json``."""
        named = zip(self.users, self.loss, strict=True)
        return {
            "users": [{"user_id": user, "loss": loss} for user, loss in named],
            "false_discovery_rate": FALSE_DISCOVERY_RATE,
            "at_least": self.at_least,
            "n_tested": self.n_tested,
            "n_users": self.n_users,
            "median_prompts": self.median_prompts,
            "named_from": self.named_from,
            "share": None,
            "reason": self.reason or NO_SHARE,
        }


def harmed_users(rows: EvaluationRows, baseline: EvaluationRows) -> Harmed | None:
    """Tests each user: is the accuracy more than 2 points below the baseline's? See `harmed_by`.

    Args:
        rows: Of the model.
        baseline: The same judgements in the same order under the baseline.

    Returns:
        Who is found; None for data without users.
    """
    return harmed_by(rows.correct - baseline.correct, rows)


def harmed_by(difference: FloatArray, rows: EvaluationRows) -> Harmed | None:
    """Tests each user: is the accuracy, over prompts, more than 2 points below the baseline's?

    A prompt (group) is one draw. Of n prompts of a user let m be those on which exactly one of the
    two models is right, k of them the baseline. If the loss is at most 2 points and r is the
    user's rate of such prompts, k is at most binomial(m, 1/2 + 0.01 / r) given m. r is not known,
    so its lower Clopper-Pearson bound at a tenth of the strictest level stands for it and that
    level is added to p (Berger and Boos 1994): the test is exact, whatever the rate. With several
    pairs a prompt one of them is drawn, 16 times, and p is twice the mean over the draws, which is
    a p value whatever their dependence (Ruschendorf 1982). 9 of 10 for the baseline in 20 prompts
    of one of 84 users: r >= 0.13 at level 0.00006, p = P(binomial(10, 0.58) >= 9) = 0.035.

    Whom the smallest p that their number of prompts allows would not name is not tested.

    Args:
        difference: Right answers of the model minus those of the baseline, in [-1, 1], [rows]; a
            fraction, as of a mean over draws, is a coin that falls for either with that chance.
        rows: The judgements.

    Returns:
        Who is found; None for data without users.

    References:
        Benjamini & Hochberg (1995); Holm (1979); Berger & Boos (1994, Journal of the American
        Statistical Association 89).
    """
    if rows.users is None:
        return None
    names = rows.user_names.to_list()
    level = ERROR / (10 * len(names))
    wins, losses, prompts, one_each = _tosses(difference, rows)
    testable = _smallest_p(prompts, level) <= FALSE_DISCOVERY_RATE
    if not testable.any():
        why = "no user has prompts enough to be called harmed by any answers"
        return Harmed((), (), None, 0, len(names), reason=why)
    each = _p_values(wins[:, testable], losses[:, testable], prompts[testable], level)
    doubled = np.where(one_each[testable], each[0], np.minimum(2 * each.mean(axis=0), 1.0))
    q = np.ones(len(names))
    q[testable] = benjamini_hochberg(doubled)
    p = np.ones(len(names))
    p[testable] = doubled
    found = np.flatnonzero(q <= FALSE_DISCOVERY_RATE)
    found = found[np.argsort(p[found], kind="stable")]
    count = np.bincount(rows.users)
    loss = -np.bincount(rows.users, difference) / count
    return Harmed(
        users=tuple(str(names[u]) for u in found),
        loss=tuple(float(loss[u]) for u in found),
        at_least=int((holm(doubled) <= ERROR).sum()),
        n_tested=int(testable.sum()),
        n_users=len(names),
        median_prompts=(median := int(np.median(prompts))),
        named_from=_named_from(median, len(doubled), level),
    )


def _named_from(prompts: int, n_tests: int, level: float) -> int | None:
    lost = np.arange(prompts + 1, dtype=np.float64)
    p = _p_values(np.zeros_like(lost), lost, np.full(lost.size, prompts), level)
    enough = np.flatnonzero(p <= FALSE_DISCOVERY_RATE / n_tests)
    return int(enough[0]) if enough.size else None


def _tosses(
    difference: FloatArray, rows: EvaluationRows
) -> tuple[FloatArray, FloatArray, NDArray[np.intp], NDArray[np.bool_]]:
    """Prompts that only one model has right, by user, under each draw of a pair of each prompt.

    Returns:
        Won by the model and lost by it, [draws, U]; prompts of each user, [U]; and whether the
        draw changes nothing for a user, [U].
    """
    clusters = read_clusters(difference.size, rows.users, rows.groups)
    assert clusters.users is not None
    cells = without_gaps(read_cells(clusters.users, clusters.groups))
    size = np.bincount(cells.rows)
    first = np.argsort(cells.rows, kind="stable")
    starts = np.cumsum(size) - size
    cell_user = clusters.users.rows[first[starts]]
    mean = cluster_sums(difference, cells) / size
    spread = cluster_sums(difference**2, cells) / size - mean**2
    n_users = rows.user_names.len()
    # An undecided answer is half right: a difference of one half is a coin's toss.
    random = (spread > 1e-12) | (np.abs(difference[first[starts]]) % 1 != 0)
    uneven = np.bincount(cell_user, random, minlength=n_users) > 0
    draws = DRAWS if uneven.any() else 1
    generator = np.random.default_rng(SEED)
    wins, losses = np.empty((draws, n_users)), np.empty((draws, n_users))
    for draw in range(draws):
        chosen = starts + (generator.random(size.size) * size).astype(np.intp)
        drawn = difference[first[chosen]]
        drawn = np.sign(drawn) * (np.abs(drawn) > generator.random(drawn.size))
        wins[draw] = np.bincount(cell_user, drawn > 0, minlength=n_users)
        losses[draw] = np.bincount(cell_user, drawn < 0, minlength=n_users)
    return wins, losses, np.bincount(cell_user, minlength=n_users), ~uneven


def _smallest_p(prompts: NDArray[np.intp], level: float) -> FloatArray:
    """The p value of a user who loses every prompt, [U]."""
    n = prompts.astype(np.float64)
    return _p_values(np.zeros_like(n), n, n, level)


def _p_values(
    wins: FloatArray, losses: FloatArray, prompts: NDArray[np.generic], level: float
) -> FloatArray:
    """Exact p values of "the loss is at most 2 points"; 1 where the models never differ."""
    from scipy import special

    m, n = wins + losses, np.broadcast_to(np.asarray(prompts, dtype=np.float64), wins.shape)
    differ = np.maximum(m, 1.0)
    least = special.betaincinv(differ, n - differ + 1, level)
    against = np.minimum(0.5 + HARM / (2 * least), 1.0)
    tail = special.betainc(np.maximum(losses, 1.0), m - losses + 1, against)
    return np.where(losses > 0, np.minimum(tail + level, 1.0), 1.0)
