"""How the head of `icl` is fitted: to people as newcomers are met, after few choices and many.

Of every person several occasions are drawn: some choices are told, others are foretold that share
no response with them. So the head has one context an occasion, not one a judgement, and features
stand in one table, one row a text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit

from plt.train.heads.held_out import people_folds
from plt.train.heads.ridge import MIN_VALIDATION_ROWS
from plt.train.heads.small_networks import PENALTIES, Scaling
from plt.train.in_context.chosen import SHRINKAGES, trust
from plt.train.in_context.episodes import mixed_size, parted
from plt.train.method import FloatArray, IntArray, Judgements
from plt.train.methods.in_context.icl_head import ContextHead, Vectors

OCCASIONS = 6
"""Of every person: one without a choice, one with as many as possible, the others between."""
MAX_TARGETS = 32
MAX_STEPS = 500
GRADIENT_BELOW, ROUGHLY = 1e-6, 1e-4
"""Where a fit ends, and where that of a candidate does; gradients of the objective a judgement."""
PAIRS_AT_ONCE = 4096
START = 8.0
"""The k with which penalties are tried."""
CANDIDATES = SHRINKAGES[::2]
"""For k, each four times the next; equal losses keep the first."""


@dataclass(frozen=True)
class Occasions:
    """E times somebody is told of choices, and R pairs that are foretold then.

    Attributes:
        context: The mean of what was preferred minus what was not, by text: (E, T), sparse.
        n: How many choices that are, shape (E,).
        person: Whose, shape (E,).
        which: Occasion of each pair, sorted, shape (R,).
        a: Text of response a, shape (R,).
        b: Text of response b, shape (R,).
        label: Probability that a is preferred, shape (R,).
        weight: How often the pair counts, shape (R,): each person's add up to their judgements.
    """

    context: sparse.csr_array
    n: FloatArray
    person: IntArray
    which: IntArray
    a: IntArray
    b: IntArray
    label: FloatArray
    weight: FloatArray

    def of(self, people: NDArray[np.bool_]) -> "Occasions":
        """The occasions of some people, marked by `person`."""
        kept = people[self.person]
        place = np.cumsum(kept) - 1
        rows = kept[self.which]
        return Occasions(
            self.context[np.flatnonzero(kept)],
            self.n[kept],
            self.person[kept],
            place[self.which[rows]],
            self.a[rows],
            self.b[rows],
            self.label[rows],
            self.weight[rows],
        )


def draw_occasions(
    judgements: Judgements, responses: IntArray, limit: int | None, seed: int
) -> Occasions:
    """Occasions of everybody among N judgements; person u is `users[u]`, the last one nobody.

    Args:
        judgements: Sorted by user; rows that name nobody are foretold without a choice.
        responses: A code of the response of each text, shape (T,): choices and pairs of an occasion
            share none.
        limit: Choices that are told, at most.
        seed: Of the draws, which depend on the person's name beside it alone.
    """
    told: list[tuple[IntArray, IntArray]] = []
    nobody = np.flatnonzero(judgements.user < 0)
    people, weights = [], []
    if len(nobody):
        told.append((nobody[:0], nobody))
        people.append(len(judgements.users))
        weights.append(1.0)
    for code, name in enumerate(judgements.users):
        rows = np.flatnonzero(judgements.user == code)
        if not len(rows):
            continue
        rng = np.random.default_rng(
            np.random.SeedSequence([seed, 3, *name.encode("utf-8", "surrogatepass")])
        )
        mine = _of_person(judgements, responses, rows, limit, rng)
        told += mine
        people += [code] * len(mine)
        weights += [len(rows) / len(mine) / len(foretold) for _, foretold in mine]
    return _occasions(judgements, told, np.array(people, dtype=np.int64), weights)


def _of_person(
    judgements: Judgements,
    responses: IntArray,
    rows: IntArray,
    limit: int | None,
    rng: np.random.Generator,
) -> list[tuple[IntArray, IntArray]]:
    """(choices, pairs) of each occasion of one person."""
    shows = responses[np.stack([judgements.a[rows], judgements.b[rows]], axis=1)]
    most = len(rows) - 1 if limit is None else min(limit, len(rows) - 1)
    sizes = [0, most, *(mixed_size(rng, most) for _ in range(OCCASIONS - 2))] if most else [0]
    found = []
    for size in sizes:
        read, foretold = parted(rng, shows, size, MAX_TARGETS if size else len(rows))
        choices = rows[read]
        found.append((choices[judgements.label[choices] != 0.5], rows[foretold]))
    return found


def _occasions(
    judgements: Judgements,
    told: Sequence[tuple[IntArray, IntArray]],
    people: IntArray,
    weights: Sequence[float],
) -> Occasions:
    n = np.array([len(choices) for choices, _ in told], dtype=np.float64)
    sizes = [len(foretold) for _, foretold in told]
    choices = np.concatenate([choices for choices, _ in told])
    pairs = np.concatenate([foretold for _, foretold in told])
    occasion = np.repeat(np.arange(len(told)), n.astype(np.int64))
    share = (2 * judgements.label[choices] - 1) / n[occasion]
    context = sparse.csr_array(
        (
            np.concatenate([share, -share]),
            (
                np.concatenate([occasion, occasion]),
                np.concatenate([judgements.a[choices], judgements.b[choices]]),
            ),
        ),
        shape=(len(told), len(judgements.texts)),
    )
    which = np.repeat(np.arange(len(told)), sizes)
    return Occasions(
        context,
        n,
        people,
        which,
        judgements.a[pairs],
        judgements.b[pairs],
        judgements.label[pairs],
        np.asarray(weights)[which],
    )


@dataclass(frozen=True)
class Problem:
    """The regression: w on z, and gains on (c - t) * z by coordinate and together.

    Each of the three blocks has mean square 1 over the pairs, so that one penalty serves all.

    Attributes:
        phi: Scaled features, shape (T, d).
        typical: t, scaled, shape (d,).
        by_coordinate: Unit of the second block.
        together: Unit of the third.
    """

    phi: FloatArray
    typical: FloatArray
    by_coordinate: float = 1.0
    together: float = 1.0

    @classmethod
    def of(cls, phi: FloatArray, occasions: Occasions, shrinkage: float) -> "Problem":
        """The problem with t the average context, and the units that the pairs have at a k."""
        has = np.flatnonzero(occasions.n > 0)
        typical = np.zeros(phi.shape[1])
        if len(has):
            typical = np.asarray(occasions.context[has].mean(axis=0) @ phi)
        plain = cls(phi, typical)
        squares = np.zeros(2)
        for rows, z, leaning in plain.blocks(occasions, shrinkage):
            product = z * leaning
            weight = occasions.weight[rows]
            squares += weight @ (product**2).sum(axis=1), weight @ product.sum(axis=1) ** 2
        total = float(occasions.weight.sum())
        units = [(total / square) ** 0.5 if square > 0 else 0.0 for square in squares.tolist()]
        return cls(phi, typical, *units)

    def blocks(
        self, occasions: Occasions, shrinkage: float
    ) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
        """Pairs, some at a time, with z and n / (n + k) (c - t) of each, both (r, d)."""
        believed = trust(occasions.n, shrinkage)
        for start in range(0, len(occasions.which), PAIRS_AT_ONCE):
            rows = slice(start, start + PAIRS_AT_ONCE)
            which = occasions.which[rows]
            told = slice(int(which[0]), int(which[-1]) + 1)
            leaning = occasions.context[told] @ self.phi - self.typical
            leaning *= believed[told, None]
            z = self.phi[occasions.a[rows]] - self.phi[occasions.b[rows]]
            yield rows, z, leaning[which - which[0]]

    def start(self) -> FloatArray:
        """Weights of the columns, all 0: shape (2 d + 1,)."""
        return np.zeros(2 * self.phi.shape[1] + 1)

    def gains(self, weights: FloatArray) -> FloatArray:
        """The gains of all coordinates, shape (d,)."""
        d = self.phi.shape[1]
        return np.asarray(self.by_coordinate * weights[d:-1] + self.together * weights[-1])

    def losses(self, occasions: Occasions, shrinkage: float, weights: FloatArray) -> float:
        """Cross-entropy, the mean of each occasion, summed over occasions."""
        d = self.phi.shape[1]
        found = np.zeros(len(occasions.n))
        for rows, z, leaning in self.blocks(occasions, shrinkage):
            margin = z @ weights[:d] + (z * leaning) @ self.gains(weights)
            loss = np.logaddexp(0, margin) - occasions.label[rows] * margin
            np.add.at(found, occasions.which[rows], loss)
        return float((found / np.bincount(occasions.which, minlength=len(found))).sum())

    def fit(
        self,
        occasions: Occasions,
        shrinkage: float,
        l2: float,
        start: FloatArray,
        gradient_below: float = GRADIENT_BELOW,
    ) -> tuple[FloatArray, bool]:
        """The weights of the least penalised loss, and whether the fit came to its end."""
        d = self.phi.shape[1]
        total = max(float(occasions.weight.sum()), 1.0)

        def objective(weights: FloatArray) -> tuple[float, FloatArray]:
            value = l2 / 2 * float(weights @ weights)
            slope = l2 * weights
            for rows, z, leaning in self.blocks(occasions, shrinkage):
                product = z * leaning
                margin = z @ weights[:d] + product @ self.gains(weights)
                weight, label = occasions.weight[rows], occasions.label[rows]
                value += float(weight @ (np.logaddexp(0, margin) - label * margin))
                apart = weight * (expit(margin) - label)
                slope[:d] += apart @ z
                gained = apart @ product
                slope[d:-1] += self.by_coordinate * gained
                slope[-1] += self.together * gained.sum()
            return value / total, slope / total

        found = minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            options={
                "maxiter": MAX_STEPS,
                "maxfun": 2 * MAX_STEPS,
                "gtol": gradient_below,
                "ftol": 1e-12,
            },
        )
        return np.asarray(found.x), bool(found.success)


@dataclass(frozen=True)
class Choice:
    """The penalty and k, and in words how they came about."""

    l2: float
    shrinkage: float
    how: str


def fit_context_head(
    train: Judgements,
    asked: Judgements,
    vectors: Vectors,
    *,
    limit: int | None,
    l2: float | None,
    seed: int,
) -> tuple[ContextHead, tuple[str, ...]]:
    """Fits the head on occasions of all people; people who are held out choose penalty and k.

    Args:
        train: Training rows; at least two people.
        asked: Training and validation rows: what people who are held out are asked.
        vectors: Features of their texts, shape (T, d).
        limit: Choices that are told, at most.
        l2: The penalty, or None.
        seed: Of the occasions.

    Returns:
        The head, and how it came about.
    """
    scale = Scaling.of(train, vectors).scale
    phi = vectors.astype(np.float64) / scale
    codes: dict[str, int] = {}
    named = [codes.setdefault(text, len(codes)) for text in train.texts.responses]
    responses = np.array(named, dtype=np.int64)
    learnt, questions = (draw_occasions(part, responses, limit, seed) for part in (train, asked))
    choice = _choose(phi, learnt, questions, people_folds(train.users), l2)
    problem = Problem.of(phi, learnt, choice.shrinkage)
    weights, ended = problem.fit(learnt, choice.shrinkage, choice.l2, problem.start())
    notes = [choice.how]
    if not ended:
        notes.append(f"the fit stopped at its limit of {MAX_STEPS} steps, short of its optimum")
    d = phi.shape[1]
    head = ContextHead(
        weights[:d] / scale,
        problem.gains(weights) / scale**2,
        problem.typical * scale,
        choice.shrinkage,
    )
    return head, tuple(notes)


def _choose(
    phi: FloatArray, learnt: Occasions, questions: Occasions, fold: IntArray, l2: float | None
) -> Choice:
    """The penalty at k = `START`, then k, by the loss of people who are held out.

    A fifth of the people is, or each fifth in turn where that fifth judged too little.
    """
    # Nobody, the person behind the last, is learnt from always and asked never.
    fold = np.append(fold, -1)
    people = [(fold != each, fold == each) for each in range(int(fold.max()) + 1)]
    parts = [(learnt.of(one), questions.of(other)) for one, other in people]
    if len(parts[0][1].label) >= MIN_VALIDATION_ROWS * OCCASIONS:
        parts = parts[:1]
    problems = [(Problem.of(phi, one, START), one, other) for one, other in parts]
    penalties = PENALTIES if l2 is None else (l2,)
    losses, starts = np.zeros(len(penalties)), [problem.start() for problem, _, _ in problems]
    best = list(starts)
    for place, penalty in enumerate(penalties[::-1]):
        for i, (problem, one, other) in enumerate(problems):
            starts[i], _ = problem.fit(one, START, penalty, starts[i], ROUGHLY)
            losses[place] += problem.losses(other, START, starts[i])
        if place == int(np.argmin(losses[: place + 1])):
            best = list(starts)
    chosen = penalties[::-1][int(np.argmin(losses))]
    by_k = np.zeros(len(CANDIDATES))
    for place, shrinkage in enumerate(CANDIDATES):
        for i, (_, one, other) in enumerate(problems):
            problem = Problem.of(phi, one, shrinkage)
            best[i], _ = problem.fit(one, shrinkage, chosen, best[i], ROUGHLY)
            by_k[place] += problem.losses(other, shrinkage, best[i])
    shrinkage = CANDIDATES[int(np.argmin(by_k))]
    n_people = sum(int(other.sum()) for _, other in people[: len(parts)])
    whence = "as set" if l2 is not None else f"chosen by {n_people} people who were held out"
    how = (
        f"penalty l2 = {chosen:g}, {whence}; n choices count n / (n + {shrinkage:g}): chosen by"
        f" {n_people} people who were held out"
    )
    return Choice(chosen, shrinkage, how)
