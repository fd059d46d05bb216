"""Active questions on real people: newcomers to Jester, and what their ratings say of them.

Factors of 100 jokes come from the ratings of people who are fitted; newcomers are asked about pairs
of 40 jokes, and must be known on pairs of 40 other jokes.
"""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import NMF, TruncatedSVD

from plt.train.heads.empirical_bayes import Prior, fit_prior
from plt.train.heads.newton import Problems
from plt.train.heads.posterior import gaussian_posterior
from plt.train.heads.selection import CRITERIA, next_own
from plt.train.method import FloatArray, IntArray

JOKES = Path(__file__).parents[3].parent / "shared" / "data" / "jester5k"
FACTORS = 8
N_NEWCOMERS = 400
N_SIDE = 40
N_PAIRS = 300
AT = (5, 10, 20, 40)
IMPUTATIONS = 20
FOLDS = 3


def ratings() -> FloatArray:
    """People by jokes, in [-10, 10]; NaN where nothing was said."""
    with gzip.open(JOKES / "ratings.jsonl.gz", "rt") as lines:
        people = [json.loads(line)["ratings"] for line in lines]
    table = np.full((len(people), 100), np.nan)
    for person, said in enumerate(people):
        for joke, rating in said.items():
            table[person, int(joke[1:]) - 1] = rating
    return table


@dataclass(frozen=True)
class Fold:
    """People who are fitted, newcomers, and jokes that those are asked about and known on.

    Attributes:
        fitted: Their ratings, shape (F, 100), with NaN.
        newcomers: Theirs, shape (U, 100), with NaN.
        asked: Pairs that each newcomer can be asked, no rating equal, shape (U, N_PAIRS, 2).
        known: Pairs that each is known on, alike.
    """

    fitted: FloatArray
    newcomers: FloatArray
    asked: IntArray
    known: IntArray


def fold(number: int) -> Fold:
    """A draw of people and jokes."""
    rng = np.random.default_rng([number, 9])
    table = ratings()
    enough = np.flatnonzero((~np.isnan(table)).sum(axis=1) >= 95)
    # One order for all folds, so that nobody is new in two of them.
    start = number * N_NEWCOMERS
    new = np.random.default_rng(9).permutation(enough)[start : start + N_NEWCOMERS]
    jokes = rng.permutation(100)
    asked, known = (
        _pairs(rng, table[new], side) for side in (jokes[:N_SIDE], jokes[N_SIDE : 2 * N_SIDE])
    )
    return Fold(np.delete(table, new, axis=0), table[new], asked, known)


def _pairs(rng: np.random.Generator, table: FloatArray, jokes: IntArray) -> IntArray:
    first, second = np.triu_indices(len(jokes), 1)
    every = np.stack([jokes[first], jokes[second]], axis=1)
    found = []
    for person in table:
        rated = person[every]
        usable = ~np.isnan(rated).any(axis=1) & (rated[:, 0] != rated[:, 1])
        found.append(every[rng.permutation(np.flatnonzero(usable))[:N_PAIRS]])
    return np.array(found)


def centred(table: FloatArray) -> FloatArray:
    """Without each person's mean."""
    return np.asarray(table - np.nanmean(table, axis=1, keepdims=True))


def joke_factors(table: FloatArray) -> FloatArray:
    """Phi of the jokes, shape (100, FACTORS): singular vectors of imputed ratings."""
    known = centred(table)
    missing = np.isnan(known)
    filled = np.where(missing, np.nanmean(known, axis=0), known)
    for _ in range(IMPUTATIONS):
        svd = TruncatedSVD(FACTORS, random_state=0)
        codes = svd.fit_transform(filled)
        filled[missing] = (codes @ svd.components_)[missing]
    return np.asarray(svd.components_.T * 10)


def population(table: FloatArray, phi: FloatArray, seed: int) -> Prior:
    """Mean and covariance of the weights of 1,000 fitted people, from 40 of their pairs each."""
    rng = np.random.default_rng([seed, 10])
    people = table[rng.permutation(len(table))[:1000]]
    a, b, label, sizes = [], [], [], []
    for person in people:
        rated = rng.permutation(np.flatnonzero(~np.isnan(person)))
        pairs = np.array([rng.choice(rated, 2, replace=False) for _ in range(40)])
        pairs = pairs[person[pairs[:, 0]] != person[pairs[:, 1]]]
        a.append(pairs[:, 0])
        b.append(pairs[:, 1])
        label.append(person[pairs[:, 0]] > person[pairs[:, 1]])
        sizes.append(len(pairs))
    starts = np.concatenate([[0], np.cumsum(sizes)])
    n = int(starts[-1])
    rows = Problems(
        phi,
        np.concatenate(a),
        np.concatenate(b),
        np.concatenate(label).astype(np.float64),
        np.ones(n),
        starts,
    )
    return fit_prior(rows, Prior(np.zeros(FACTORS), np.eye(FACTORS)), 20)


def won(people: Fold, pairs: IntArray) -> NDArray[np.bool_]:
    """Whether the first joke of each pair is rated higher."""
    rated = np.take_along_axis(people.newcomers[:, None], pairs, axis=2)
    return np.asarray(rated[..., 0] > rated[..., 1])


def accuracy(people: Fold, rewards: FloatArray) -> FloatArray:
    """Of each newcomer, on the pairs that they are known on, from rewards (U, 100)."""
    scored = np.take_along_axis(rewards[:, None], people.known, axis=2)
    return np.asarray(((scored[..., 0] > scored[..., 1]) == won(people, people.known)).mean(axis=1))


def asked_by(
    people: Fold, phi: FloatArray, prior: Prior, criterion: str, seed: int
) -> dict[int, tuple[FloatArray, IntArray]]:
    """Rewards (U, 100) and the pairs asked (U, n), after each number of answers of `AT`."""
    n_people, n_pairs = people.asked.shape[:2]
    answer = won(people, people.asked).astype(np.float64).ravel()
    flat = people.asked.reshape(-1, 2)
    starts = np.arange(n_people + 1) * n_pairs
    pool = Problems(phi, flat[:, 0], flat[:, 1], answer, np.ones(len(flat)), starts)
    open_rows = np.ones(len(flat), dtype=bool)
    keys = np.random.default_rng([seed, 11]).integers(0, 2**63, n_people).astype(np.uint64)
    asked = np.zeros((n_people, 0), dtype=np.int64)
    found = {}
    for n in range(max(AT) + 1):
        rows = asked.ravel()
        told = replace(
            pool,
            a=pool.a[rows],
            b=pool.b[rows],
            label=answer[rows],
            weight=np.ones(len(rows)),
            starts=np.arange(n_people + 1) * n,
        )
        placement = gaussian_posterior(told, prior)
        if n in AT or n == 0:
            found[n] = placement.mean @ phi.T, asked - starts[:-1, None]
        chosen = next_own(placement, pool, criterion, open_rows, keys)  # type: ignore[arg-type]
        open_rows[chosen] = False
        asked = np.concatenate([asked, chosen[:, None]], axis=1)
    return found


def factorised(people: Fold, asked: IntArray) -> dict[str, FloatArray]:
    """Rewards (U, 100) by two factorisations of scikit-learn that know the answers to `asked`.

    A newcomer's row of the table of ratings has the mean of each joke, and at jokes of answered
    pairs half the usual difference of two ratings more for a win and less for a loss.
    """
    table = centred(people.fitted)
    means = np.nanmean(table, axis=0)
    filled = np.where(np.isnan(table), means, table)
    step = float(np.nanmean(np.abs(table[:, 0::2] - table[:, 1::2]))) / 2
    pairs = np.take_along_axis(people.asked, asked[:, :, None], axis=1)
    sign = np.where(np.take_along_axis(won(people, people.asked), asked, axis=1), 1.0, -1.0)
    scores, counts = np.zeros((2, len(pairs), 100))
    person = np.arange(len(pairs))[:, None]
    for side, direction in ((0, 1.0), (1, -1.0)):
        np.add.at(scores, (person, pairs[..., side]), direction * sign * step)
        np.add.at(counts, (person, pairs[..., side]), 1)
    rows = means + scores / np.maximum(counts, 1)
    svd = TruncatedSVD(FACTORS, random_state=0).fit(filled)
    lowest = min(filled.min(), rows.min())
    nmf = NMF(FACTORS, init="nndsvda", max_iter=300, random_state=0).fit(filled - lowest)
    return {
        "truncated SVD": np.asarray(svd.inverse_transform(svd.transform(rows))),
        "NMF": np.asarray(nmf.inverse_transform(nmf.transform(rows - lowest))),
    }


def joke_table(folds: Sequence[int] = tuple(range(FOLDS))) -> list[dict[str, Any]]:
    """Accuracy on the other jokes by way of asking, beside the generic person's, over all folds."""
    found: dict[tuple[str, int], list[FloatArray]] = {}
    generic: list[FloatArray] = []
    for number in folds:
        people = fold(number)
        phi = joke_factors(people.fitted)
        prior = population(people.fitted, phi, number)
        for criterion in CRITERIA:
            sessions = asked_by(people, phi, prior, criterion, number)
            if criterion == CRITERIA[0]:
                generic.append(accuracy(people, sessions[0][0]))
            for n in AT:
                rewards, asked = sessions[n]
                found.setdefault((criterion, n), []).append(accuracy(people, rewards))
                if criterion == "random":
                    for name, other in factorised(people, asked).items():
                        found.setdefault((name, n), []).append(accuracy(people, other))
    base = np.concatenate(generic)
    table = [{"by": "generic", "n": 0, "accuracy": round(float(base.mean()), 4)}]
    chance = {n: np.concatenate(found["random", n]) for n in AT}
    for (name, n), parts in found.items():
        mine = np.concatenate(parts)
        table.append(
            {
                "by": name,
                "n": n,
                "accuracy": round(float(mine.mean()), 4),
                "gain": round(float((mine - base).mean()), 4),
                "over random": round(float((mine - chance[n]).mean()), 4),
                "error over random": round(
                    float((mine - chance[n]).std(ddof=1) / np.sqrt(len(mine))), 4
                ),
                "worse than generic": round(float((mine < base).mean()), 3),
            }
        )
    return table
