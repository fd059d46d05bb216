"""Populations whose votes are known: the probability of `a` of every user on every pair."""

import numpy as np
import polars as pl
from scipy.special import expit

from tests.analyze.vote_tables import Row, frame


def sampled_votes(
    q: np.ndarray, rng: np.random.Generator, *, voters: int | None = None, repeated: float = 0.0
) -> pl.DataFrame:
    """Judgements with P(a) = q [users, pairs]: some voters a pair, a share of them asked again."""
    n_users, n_pairs = q.shape
    voters = voters or n_users
    rows: list[Row] = []
    for pair in range(n_pairs):
        for user in np.sort(rng.permutation(n_users)[:voters]):
            for occurrence in range(1 + (rng.random() < repeated)):
                label = float(rng.random() < q[user, pair])
                rows.append((f"u{user:03d}", pair, label, occurrence, f"g{pair}"))
    return frame(rows)


def crowd(
    q: np.ndarray,
    rng: np.random.Generator,
    *,
    per_group: int,
    voters: int,
    repeated: float = 0.0,
    activity: np.ndarray | None = None,
) -> pl.DataFrame:
    """Crowd work: prompts of several pairs, each pair judged by some people drawn for it alone.

    So hardly two people judged the same pairs of a prompt. A share of the judgements is repeated.
    People are drawn alike, or by their `activity`, [users].
    """
    n_users, n_pairs = q.shape
    race = rng.random((n_pairs, n_users))
    if activity is not None:
        race = -np.log(race) / activity
    users = np.argsort(race, axis=1)[:, :voters].ravel()
    pairs = np.repeat(np.arange(n_pairs), voters)
    again = rng.random(pairs.size) < repeated
    users, pairs = (np.concatenate((each, each[again])) for each in (users, pairs))
    occurrence = np.repeat([0, 1], [again.size, np.count_nonzero(again)])
    order = np.lexsort((occurrence, users, pairs))
    users, pairs, occurrence = users[order], pairs[order], occurrence[order]
    return pl.DataFrame(
        {
            "user_id": pl.Series([f"u{user:03d}" for user in range(n_users)])[users],
            "pair_id": pairs.astype(np.uint64),
            "label": (rng.random(pairs.size) < q[users, pairs]).astype(np.float32),
            "occurrence": occurrence.astype(np.uint16),
            "group": pl.Series([f"g{group:04d}" for group in range(n_pairs)])[pairs // per_group],
        }
    )


def with_copies(q: np.ndarray, rng: np.random.Generator, share: float = 0.3) -> pl.DataFrame:
    """One judgement of every user on every pair, and a share of the rows appended once more.

    The copies look like second judgements that never differ from the first.
    """
    votes = sampled_votes(q, rng)
    copied = np.sort(rng.permutation(votes.height)[: round(share * votes.height)])
    again = votes[copied].with_columns(occurrence=pl.lit(1, dtype=pl.UInt16))
    return pl.concat([votes, again])


def flipped(wants: np.ndarray, rate: np.ndarray | float) -> np.ndarray:
    """P(a) of users who want `wants` (1: a) and answer against it at `rate`."""
    return np.asarray(wants * (1 - rate) + (1 - wants) * rate, dtype=float)


def one_truth(kind: str, n_users: int, n_pairs: int, rng: np.random.Generator) -> np.ndarray:
    """Users who all want the same.

    `coins`: nobody wants anything; `margins`: Bradley-Terry noise that differs by pair; `rare`: 2 %
    flips; `mixed`: a fifth of the
    pairs is a coin; `careless`: users flip between 0 and 40 %; `spammers`: a fifth of the users
    tosses coins, or half of them; `temperatures`: users are more or less sure of the same margins.
    """
    truth = rng.integers(0, 2, n_pairs)
    margin = rng.normal(0, 2, n_pairs)
    if kind == "coins":
        return np.full((n_users, n_pairs), 0.5)
    if kind == "margins":
        return np.tile(expit(margin), (n_users, 1))
    if kind == "temperatures":
        return expit(np.exp(rng.normal(0, 0.7, n_users))[:, None] * margin)
    rates = {
        "rare": np.full((1, 1), 0.02),
        "mixed": np.where(rng.random((1, n_pairs)) < 0.2, 0.5, 0.03),
        "careless": rng.uniform(0, 0.4, (n_users, 1)),
        "spammers": np.where(rng.random((n_users, 1)) < 0.2, 0.5, 0.05),
        "half spammers": np.where(rng.random((n_users, 1)) < 0.5, 0.5, 0.05),
    }
    return flipped(np.tile(truth, (n_users, 1)), rates[kind])


def camps(
    n_users: int,
    n_pairs: int,
    rng: np.random.Generator,
    *,
    every: int = 3,
    share: float | None = None,
    rate: float = 0.1,
) -> np.ndarray:
    """Every so-many-th user, or the first `share` of them, wants the opposite of the others."""
    truth = rng.integers(0, 2, n_pairs)
    users = np.arange(n_users)[:, None]
    against = users % every == 0 if share is None else users < round(share * n_users)
    return flipped(np.where(against, 1 - truth, truth), rate)


def topics(
    n_users: int, groups: np.ndarray, rng: np.random.Generator, taste: float = 1.0
) -> np.ndarray:
    """Prompts that all agree on more or less, and tastes of a person for a prompt and for a pair.

    People are more or less sure of all of it. `groups` are the prompts of the pairs, as codes.
    """
    n_groups = int(groups.max()) + 1
    common = rng.normal(0, 1.2, n_groups)[groups] + rng.normal(size=groups.size)
    own = rng.normal(size=(n_users, n_groups))[:, groups] + rng.normal(size=(n_users, groups.size))
    sure = np.exp(0.4 * rng.normal(size=n_users))[:, None]
    return np.asarray(expit(sure * (common + taste * own)))


def factors(n_users: int, n_pairs: int, rng: np.random.Generator, size: float) -> np.ndarray:
    """A common margin and four directions in which users differ."""
    own = rng.normal(size=(n_users, 4)) @ rng.normal(size=(4, n_pairs))
    return np.asarray(expit(rng.normal(0, 1.5, n_pairs) + size * own))
