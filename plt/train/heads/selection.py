"""Which pair to ask next, for every person at once, from how sure one is of where each stands.

All criteria but chance are functions of the margin m of a pair at the mode of a person's posterior
and of the variance s of that margin, x'Sx:

    uncertainty  s                                 Shenfeld et al. 2025, equation 8
    weighted     s'(m) s                           the same, by how much an answer can tell
    d-optimal    E log(1 + s'(M) s), M ~ N(m, s)   Bayesian D-optimality (Chaloner, Verdinelli 1995)
    information  H(E s(M)) - E H(s(M))             what the answer says of the person (BALD, Houlsby
                                                   et al. 2011), in nats

where s'(m) = s(m) s(-m), s the logistic function. At the mode alone, without the mean over the
posterior, D-optimality's log(1 + s'(m) s) puts the pairs in the order of `weighted`.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, expit, ndtr

from plt.errors import UsageError
from plt.train.heads.newton import Problems
from plt.train.method import FloatArray, IntArray, Placement

Criterion = Literal["random", "uncertainty", "weighted", "d-optimal", "information"]
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)
DEFAULT: Criterion = "weighted"
Keys: TypeAlias = NDArray[np.uint64]
"""A number a person, from which their random order of the pool follows; shape (U,)."""
BLOCK_ELEMENTS = 1 << 20
"""Most (person, pair) cells that are looked at together: 8 MiB an array."""
BLOCK_PAIRS = 1 << 13
NODES = np.arange(-48, 49) / 8
NODE_SHARES = np.exp(-(NODES**2) / 2) / np.exp(-(NODES**2) / 2).sum()
"""The trapezoid rule for a mean over a standard normal. The logistic function is analytic within pi
of the real line, so the error falls as exp(-2 pi^2 / h), h the step in margins: below 4e-4 up to a
standard deviation of 20 in margins, and far below for less."""
TABLE_MARGIN, TABLE_DEVIATION, TICKS = 32, 16, 16
"""Margins and deviations up to which means are read off a table, and its ticks a unit."""
SMALL_DEVIATION = 1e-3
"""In the place of 0 in that table, whose entries are as good as constant below."""
EQUAL = 1e-9
"""Values that differ by less, relatively, are equal, and the first pair wins: matrix products round
by the shape of the block."""


def check_criterion(name: str) -> Criterion:
    """The criterion of that name.

    Raises:
        UsageError: There is none.
    """
    for criterion in CRITERIA:
        if name == criterion:
            return criterion
    raise UsageError(
        f"--select is '{name}'; known are {', '.join(CRITERIA)}", hint=f"--select {DEFAULT}"
    )


def value(criterion: Criterion, margin: FloatArray, variance: FloatArray) -> FloatArray:
    """How much asking a pair is worth, elementwise; chance has no such value.

    Args:
        criterion: Which one; see the module.
        margin: At the mode of the posterior.
        variance: Of the margin, 0 or more; what is certain is worth 0.
    """
    if criterion == "uncertainty":
        return variance
    if criterion == "weighted":
        share = np.exp(-np.abs(margin))
        return np.asarray(variance * share / (1 + share) ** 2)
    size, deviation = np.abs(margin).ravel(), np.sqrt(variance).ravel()
    inside = (size < TABLE_MARGIN) & (deviation < TABLE_DEVIATION)
    found = np.empty(len(size))
    found[inside] = _tabulated(criterion, size[inside], deviation[inside])
    outside = ~inside
    found[outside] = averaged(criterion, size[outside], deviation[outside])
    return found.reshape(margin.shape)


def averaged(criterion: Criterion, margin: FloatArray, deviation: FloatArray) -> FloatArray:
    """`value` of the criteria that are means over N(margin, deviation^2), by summation.

    Raises:
        ValueError: The criterion is no such mean.
    """
    if criterion not in ("d-optimal", "information"):
        raise ValueError(f"{criterion!r} is no mean over margins")
    # Both sides are worth the same, and small probabilities keep their digits.
    margin = -np.abs(margin)
    mean, spent = np.zeros_like(margin), np.zeros_like(margin)
    for node, share in zip(NODES, NODE_SHARES, strict=True):
        probability = expit(margin + node * deviation)
        if criterion == "d-optimal":
            mean += share * np.log1p(probability * (1 - probability) * deviation**2)
        else:
            mean += share * probability
            spent += share * _entropy(probability)
    return mean if criterion == "d-optimal" else np.maximum(_entropy(mean) - spent, 0.0)


@cache
def _table(criterion: Criterion) -> FloatArray:
    """`averaged` over the variance, which is smooth where the variance is small."""
    size = np.arange(TABLE_MARGIN * TICKS + 1)[:, None] / TICKS
    deviation = np.arange(TABLE_DEVIATION * TICKS + 1)[None] / TICKS
    size, deviation = np.broadcast_arrays(size, np.maximum(deviation, SMALL_DEVIATION))
    return averaged(criterion, size, deviation) / deviation**2


def _tabulated(criterion: Criterion, size: FloatArray, deviation: FloatArray) -> FloatArray:
    """`averaged` by linear interpolation in both, within a part in a thousand."""
    table = _table(criterion)
    rest, part = size * TICKS, deviation * TICKS
    row, column = rest.astype(np.int64), part.astype(np.int64)
    rest -= row
    part -= column
    flat, width = table.ravel(), table.shape[1]
    corner = row * width + column
    near = flat[corner]
    near += (flat[corner + 1] - near) * part
    far = flat[corner + width]
    far += (flat[corner + width + 1] - far) * part
    return np.asarray((near + (far - near) * rest) * deviation**2)


def _entropy(probability: FloatArray) -> FloatArray:
    return np.asarray(entr(probability) + entr(np.maximum(1 - probability, 0.0)))


def next_pairs(
    placement: Placement,
    pool: FloatArray,
    criterion: Criterion,
    asked: IntArray,
    keys: Keys,
) -> IntArray:
    """The pair of a common pool that each person is asked next, shape (U,).

    Blocks of people by blocks of the pool are looked at; nothing of shape people x pool x J is
    made, nor all of people x pool. Of pairs that are worth the same, the first is asked.

    Args:
        placement: Of U people.
        pool: Differences of phi of P pairs, shape (P, J).
        criterion: See the module.
        asked: What each was asked already, shape (U, n); -1 is nothing.
        keys: Of the people; read by ``random`` alone.

    Returns:
        Rows of the pool; -1 for whoever was asked all of it.
    """
    best = np.full(len(placement.mean), -np.inf)
    chosen = np.full(len(placement.mean), -1)
    for people, pairs, margin, variance in _blocks(placement, pool, criterion == "random"):
        if criterion == "random":
            worth = _chances(keys[people], np.arange(pairs.start, pairs.stop))
        else:
            worth = value(criterion, margin, variance)
        # What lies outside this block of the pool goes to a column that is not looked at.
        column = asked[people] - pairs.start
        outside = (column < 0) | (column >= worth.shape[1])
        worth = np.pad(worth, ((0, 0), (0, 1)))
        np.put_along_axis(worth, np.where(outside, worth.shape[1] - 1, column), -np.inf, axis=1)
        index, top = _first_best(worth[:, :-1])
        better = top > best[people] + EQUAL * np.abs(np.where(top > -np.inf, top, 0.0))
        chosen[people] = np.where(better, pairs.start + index, chosen[people])
        best[people] = np.where(better, top, best[people])
    return chosen


def next_batch(
    placement: Placement,
    pool: FloatArray,
    criterion: Criterion,
    asked: IntArray,
    keys: Keys,
    size: int,
) -> IntArray:
    """As `next_pairs`, but several pairs each that say different things, shape (U, size).

    After each choice the covariance is what it would be with an answer to it, whichever that is,
    at an unmoved mean (`plt.train.method.Spread.after`), so that a pair like one that was
    just chosen is worth little.
    """
    found = np.full((len(placement.mean), size), -1)
    for i in range(size):
        everything = np.concatenate([asked, found[:, :i]], axis=1)
        found[:, i] = next_pairs(placement, pool, criterion, everything, keys)
        if i + 1 < size and criterion != "random":
            placement = answered(placement, pool[found[:, i]], found[:, i] >= 0)
    return found


def next_own(
    placement: Placement,
    pool: Problems,
    criterion: Criterion,
    open_rows: NDArray[np.bool_],
    keys: Keys,
) -> IntArray:
    """The row that each person is asked next out of a pool of their own, shape (U,).

    Args:
        placement: Of U people.
        pool: The rows of each on phi; labels and weights are not looked at.
        criterion: See the module.
        open_rows: Which of the N rows of the pool may be asked, shape (N,).
        keys: Of the people; read by ``random`` alone.

    Returns:
        Rows of the pool; -1 for whoever has none left.
    """
    chosen = np.full(len(pool.sizes), -1)
    unlabelled = replace(pool, label=np.zeros(len(pool.a)), weight=open_rows.astype(np.float64))
    for block in unlabelled.blocks():
        groups, x = block.groups, unlabelled.padded(block)
        if x.shape[1] == 0:
            continue
        if criterion == "random":
            worth = _chances(keys[groups], np.arange(x.shape[1]))
        else:
            margin = np.einsum("unj,uj->un", x, placement.mean[groups])
            worth = value(criterion, margin, placement.spread.of(groups).own_variances(x))
        index, top = _first_best(np.where(block.weight > 0, worth, -np.inf))
        chosen[groups] = np.where(top > -np.inf, pool.starts[:-1][groups] + index, -1)
    return chosen


def answered(placement: Placement, x: FloatArray, asked: NDArray[np.bool_]) -> Placement:
    """How sure one would be after an answer each, whichever it is, at an unmoved mean.

    Args:
        placement: Of U people.
        x: The pair of each, shape (U, J).
        asked: Whether there is one, shape (U,).
    """
    margin = np.einsum("uj,uj->u", x, placement.mean)
    curvature = np.where(asked, expit(margin) * expit(-margin), 0.0)
    return replace(placement, spread=placement.spread.after(x, curvature))


def other_side(margin: FloatArray, variance: FloatArray) -> FloatArray:
    """P(M has the other sign than m) = Phi(-|m| / sqrt(s)), elementwise; one half where m is 0."""
    size = np.abs(margin)
    certain = np.where(size > 0, np.inf, 0.0)
    deviation = np.sqrt(variance)
    return np.asarray(ndtr(-np.divide(size, deviation, out=certain, where=deviation > 0)))


def doubt(placement: Placement, pool: FloatArray) -> FloatArray:
    """The share of a pool on which each person is expected to take the other side, shape (U,).

    The mean of `other_side` over the pairs. Asking may stop when it is small enough, which takes
    no answers that are kept back. It is as good as the model. With weighted questions and the
    population as prior, simulated people who were asked until it was .10 were misjudged on .09 to
    .10 of the pairs, of heavy-tailed coordinates on .11. It is far too low where rewards are not
    linear in phi (squared distances: .31 at .15) or the prior is much wider than people are (.15
    at .10 where three times as wide).

    Args:
        placement: Of U people.
        pool: Differences of phi of P pairs, shape (P, J), like those of interest; at least one.
    """
    total = np.zeros(len(placement.mean))
    for people, _, margin, variance in _blocks(placement, pool):
        total[people] += other_side(margin, variance).sum(axis=1)
    return total / len(pool)


def _blocks(
    placement: Placement, pool: FloatArray, empty: bool = False
) -> Iterator[tuple[slice, slice, FloatArray, FloatArray]]:
    """People, pairs, and margins and variances of their cells; those are left 0 where `empty`."""
    width = max(1, min(len(pool), BLOCK_PAIRS))
    height = BLOCK_ELEMENTS // width
    for first in range(0, len(placement.mean), height):
        people = slice(first, first + height)
        mean = placement.mean[people]
        spread = placement.spread.of(np.arange(first, first + len(mean)))
        for start in range(0, len(pool), width):
            pairs = slice(start, min(start + width, len(pool)))
            if empty:
                blank = np.zeros((len(mean), pairs.stop - pairs.start))
                yield people, pairs, blank, blank
            else:
                yield people, pairs, mean @ pool[pairs].T, spread.variances(pool[pairs])


def _first_best(worth: FloatArray) -> tuple[IntArray, FloatArray]:
    """Of each row the first column whose value is the largest up to rounding, and that value."""
    top = worth.max(axis=1)
    low = top - EQUAL * np.abs(np.where(top > -np.inf, top, 0.0))
    return np.argmax(worth >= low[:, None], axis=1), top


def _chances(keys: Keys, pairs: IntArray) -> FloatArray:
    """A number in [0, 1) of every person and pair: of the two alone, whoever and whatever else.

    SplitMix64 (Steele et al. 2014) on the person's key and the number of the pair.
    """
    with np.errstate(over="ignore"):
        state = keys[:, None] + (pairs.astype(np.uint64)[None] + np.uint64(1)) * np.uint64(
            0x9E3779B97F4A7C15
        )
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return np.asarray((state >> np.uint64(11)) * 2.0**-53, dtype=np.float64)
