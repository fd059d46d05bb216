"""Do people weigh a response's features differently? A test that needs no shared pairs.

Statistic. Under a pooled model of everybody (`plt.analyze.taste.pooled`), let r be the residual of
an answer, x the differences of the features, and g = sum of x r over a *cell*: the judgements of
one person in one `group` (conversation). A person whose taste differs has cells that err in the
same direction, so

    T_k = sum over users of the cross-products g_k g'_k of their different cells

is above 0. T_k is divided by its null standard deviation, sqrt(2 sum over users of the squared
cross-products), and summed over features. Everything that the cells of a conversation share (the
pairs of a turn share the chosen response, a taste may vary by conversation) stays inside a cell and
never enters: rows, or turns, are no valid unit.

Null. A random sign for each group turns all of its cells round; cells of one person then agree by
chance only, whatever their spread. As a second line, users are permuted over the cells, which
assumes besides that users have the same spread; where the two differ, the first is the one to
believe. Features are tested one by one from the same signs, with Benjamini-Hochberg.

Strength. People who choose carelessly have all slopes smaller than others; that is a difference of
how firmly, not of what. `beyond_strength` therefore tests x without its part along the pooled
margin m, x - m (sum of w x m) / (sum of w m^2) with w the variance of an answer. To first order, a
person with the margin s m for any s then has no expected score.

The test assumes that the pooled model fits, and that a person's conversations are independent but
for taste. What people ask about is part of the first: if everybody likes short answers to some
questions and people differ in what they ask, that looks like taste, unless the pooled model knows
the kind of question (it knows the length of the prompt and the turn). So is quality: if good
answers are long in some people's material and short in that of others, that looks like taste unless
the pooled model knows who wrote them.

`tests/golden/heterogeneity.json` holds measured rates and the command that makes them again. With
300 users of 27 judgements in 5.7 conversations, random signs reject at 5 % in 3.3 to 6.3 % of 300
data sets in each of 14 worlds without differences of taste (permutations in up to 13 %), and always
where slopes of everybody change with a topic that half belongs to the person and is not known.
Where good models write longer for half of the people and briefer for the others, they reject in 4
to 6.7 % when the models are known (and find slopes that differ by .2 in 95 % of data sets of 200
users), and in 95 % when they are not.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from plt.analyze.intervals.clusters import FloatArray
from plt.analyze.taste.conversations import (
    Cells,
    cross_products,
    find_cells,
    flipped_cross_products,
    permuted_cross_products,
)
from plt.analyze.taste.pooled import Choices, fit_pooled
from plt.analyze.taste.random_slopes import slope_variances


@dataclass(frozen=True)
class TasteTest:
    """The figures of the test.

    Attributes:
        p_value: Of "everybody weighs the features alike", by random signs; NaN where no cells of a
            user say anything.
        p_permutation: The same by permuting users; NaN also where users share groups, because
            permuted users would meet themselves there.
        p_beyond_strength: Of "people differ at most in how firmly they choose", by random signs;
            NaN also with one feature, where the two are the same.
        p_features: Of "nobody's slope differs" for each feature, [k]; NaN as `p_value`.
        slope_sd: Moment estimate of the standard deviation between people of each slope, in
            log-odds per typical (root mean square) difference; 0 for negative variances, [k].
        pooled_slope: Everybody's slopes: the pooled margins regressed on the differences, [k].
    """

    p_value: float
    p_permutation: float
    p_beyond_strength: float
    p_features: FloatArray
    slope_sd: FloatArray
    pooled_slope: FloatArray


def heterogeneity_of_taste(choices: Choices, *, n_resamples: int = 999, seed: int = 0) -> TasteTest:
    """The test of the module's text.

    Args:
        choices: At least one judgement, and features that differ in some of them. Users with one
            group inform the pooled model only.
        n_resamples: Random signs, and permutations, to draw: p values are multiples of
            1 / (1 + n_resamples).
        seed: Of both.

    Returns:
        The figures; turning rows round, or their order, changes none of them but by rounding.
    """
    model = fit_pooled(choices)
    margin = model.learned
    x = model.basis.slopes(choices)
    chance = special.expit(margin)
    variance, residual = chance * (1 - chance), choices.prefers_a - chance
    cells = find_cells(choices.users, choices.groups)
    tau2, _ = slope_variances(x, residual, variance, cells)
    weighted = variance * margin
    firm = float(weighted @ margin)
    aside = x - np.outer(margin, weighted @ x / firm) if firm > 0 else x
    compared, rows = cells.of_several()
    scores = compared.sums((x * residual[:, None])[rows])
    signs, permutations, strength_signs = np.random.SeedSequence(seed).spawn(3)
    overall, single = _by_signs(scores, compared, n_resamples, signs)
    beyond = np.nan
    if x.shape[1] > 1:
        scores_aside = compared.sums((aside * residual[:, None])[rows])
        beyond, _ = _by_signs(scores_aside, compared, n_resamples, strength_signs)
    return TasteTest(
        p_value=overall,
        p_permutation=_by_permutations(scores, compared, n_resamples, permutations),
        p_beyond_strength=beyond,
        p_features=single,
        slope_sd=np.sqrt(tau2),
        pooled_slope=_pooled_slope(x, margin, variance),
    )


def _by_signs(
    scores: FloatArray, cells: Cells, n_resamples: int, seed: np.random.SeedSequence
) -> tuple[float, FloatArray]:
    """The p value of the standardised sum, and of each feature."""
    seen, scale = _standardised(scores, cells)
    if np.isnan(seen).all():
        return np.nan, seen
    rng = np.random.default_rng(seed)
    null = flipped_cross_products(scores, cells, n_resamples, rng) / scale
    p_features = np.array([_p_value(seen[j], null[:, j]) for j in range(seen.size)])
    return _p_value(np.nansum(seen), np.nansum(null, axis=1)), p_features


def _by_permutations(
    scores: FloatArray, cells: Cells, n_resamples: int, seed: np.random.SeedSequence
) -> float:
    seen, scale = _standardised(scores, cells)
    if cells.shared_groups or np.isnan(seen).all():
        return np.nan
    rng = np.random.default_rng(seed)
    null = permuted_cross_products(scores, cells, n_resamples, rng) / scale
    return _p_value(np.nansum(seen), np.nansum(null, axis=1))


def _standardised(scores: FloatArray, cells: Cells) -> tuple[FloatArray, FloatArray]:
    """T over its null standard deviation, and the latter; NaN where it is 0, [k] each.

    The standard deviation is exact for cells with signs of their own. It is made of squares, which
    no sign changes, so as a weight of the sum it is right in any case.
    """
    if scores.shape[0] == 0:
        nothing = np.full(scores.shape[1], np.nan)
        return nothing, nothing
    spread = np.sqrt(np.maximum(2 * cross_products(scores**2, cells.starts), 0.0))
    scale = np.where(spread > 0, spread, np.nan)
    return cross_products(scores, cells.starts) / scale, scale


def _p_value(seen: float, null: FloatArray) -> float:
    """Share of the null at least as large, the figure seen counted among them."""
    if np.isnan(seen):
        return np.nan
    # The same products summed in another order differ by rounding.
    at_least = np.count_nonzero(null >= seen - 1e-9 * abs(seen))
    return float((1 + at_least) / (1 + null.size))


def _pooled_slope(x: FloatArray, margin: FloatArray, variance: FloatArray) -> FloatArray:
    root = np.sqrt(variance)
    return np.asarray(np.linalg.lstsq(x * root[:, None], margin * root)[0])
