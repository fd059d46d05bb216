"""Several responses with scores as pairs: the one way from ratings to preferences.

What one person rated for one prompt is a *list*. Its pairs share its ratings, so no two of them are
two acts of judging: two systems that wrote the same text are one response of the list, with the
mean of its scores. Only another list can repeat a pair.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from plt.errors import DataError, UsageError

MAX_PAIRS = 5_000_000
SCORE_TIE = "score tie"
NO_SCORE = "no score"
NO_RESPONSE = "score without a response"
SAME_TEXT = "same text again in one list, scores averaged"
SCORE_DIGITS = 12
"""Of a mean: one of .1, .2 and .3 is the score .2, and not .2 and a rounding error above it."""
ROUNDING = 4e-16
"""Relative error of a difference of two decimal numbers."""


@dataclass(frozen=True)
class PairRule:
    """Which pairs are made of the responses that one person rated for one prompt, and their label.

    Attributes:
        kind: `all` pairs, `best-worst` (the highest against the lowest score) or `random`.
        per_list: How many pairs `random` draws from each list, without replacement.
        tie_below: Score differences below this are ties (label 0.5). None: equal scores are
            dropped and counted, and any difference decides.
        seed: Of `random`; the draw of a list depends on its user and prompt, never on row order.
    """

    kind: str = "all"
    per_list: int = 0
    tie_below: float | None = None
    seed: int = 0

    @classmethod
    def parse(cls, pairs: str, tie_below: float | None = None, seed: int = 0) -> "PairRule":
        """Reads ``all``, ``best-worst`` or ``random:K``.

        Raises:
            UsageError: Anything else, or a tie threshold that is not above 0.
        """
        kind, _, count = pairs.partition(":")
        known = kind in ("all", "best-worst") and not count
        if not known and not (kind == "random" and count.isdigit() and int(count) > 0):
            raise UsageError(
                f"--pairs {pairs!r} is not all, best-worst or random:K", hint="--pairs random:40"
            )
        if tie_below is not None and not 0 < tie_below < float("inf"):
            raise UsageError(
                f"--tie-below {tie_below} must be above 0",
                hint="leave --tie-below out to drop equal scores",
            )
        return cls(kind, int(count or 0), tie_below, seed)


def pairs_of_ratings(
    ratings: pl.DataFrame, rule: PairRule, name: str, *, equal_ties: bool = False
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Makes labelled pairs out of scored responses.

    Args:
        ratings: One row a scored response: `list` (any integer: what one person rated for one
            prompt), `seed_text` (what names that list in the draw of random pairs), `response`,
            `score` (higher is better; null is not rated) and `source` (null where unknown). Equal
            texts of a list become one response, whose source is unknown where they differ in it.
        rule: Which pairs.
        name: How the data is called in messages.
        equal_ties: Whether equal scores are ties even without `tie_below`, as equal ranks are.

    Returns:
        One row a pair: `list`, `response_1`, `response_2`, `label`, `score_1`, `score_2`,
        `source_1`, `source_2`, no two responses twice in a list; and how many were dropped, by
        reason (`score tie` counts pairs, the others count ratings).

    Raises:
        DataError: More than 5 million pairs would come out.
    """
    has_response, has_score = pl.col("response").is_not_null(), pl.col("score").is_not_null()
    dropped = {
        NO_SCORE: ratings.filter(has_response & ~has_score).height,
        NO_RESPONSE: ratings.filter(~has_response & has_score).height,
    }
    every = ratings.filter(has_response & has_score)
    rated = _distinct_responses(every)
    dropped[SAME_TEXT] = every.height - rated.height
    lists = rated.group_by("list", maintain_order=True).agg(
        pl.len().alias("n"), pl.col("seed_text").first()
    )
    sizes = lists["n"].to_numpy().astype(np.int64)
    _refuse_too_many(sizes, rule, name)
    starts = np.cumsum(sizes) - sizes
    one, two = _indices(rated["score"].to_numpy(), lists["seed_text"], sizes, starts, rule)
    pairs = pl.concat(
        [
            rated[one].select("list", response_1="response", score_1="score", source_1="source"),
            rated[two].select(response_2="response", score_2="score", source_2="source"),
        ],
        how="horizontal",
    )
    gap = pl.col("score_1") - pl.col("score_2")
    higher = pl.when(gap > 0).then(1.0).otherwise(0.0)
    if rule.tie_below is None and equal_ties:
        return pairs.with_columns(label=pl.when(gap == 0).then(0.5).otherwise(higher)), dropped
    if rule.tie_below is None:
        kept = pairs.filter(gap != 0).with_columns(label=higher)
        dropped[SCORE_TIE] = pairs.height - kept.height
        return kept, dropped
    # Decimals are rounded as they are read: .3 - .25 falls short of .05 by less than this.
    rounding = ROUNDING * (pl.col("score_1").abs() + pl.col("score_2").abs())
    tied = (gap == 0) | (gap.abs() < rule.tie_below - rounding)
    return pairs.with_columns(label=pl.when(tied).then(0.5).otherwise(higher)), dropped


def _distinct_responses(rated: pl.DataFrame) -> pl.DataFrame:
    """One row a text of a list, sorted by both."""
    score, source = pl.col("score"), pl.col("source")
    low, mean = score.min(), score.mean().round_sig_figs(SCORE_DIGITS)
    rated = rated.sort("list", "response", "score")  # So that a mean has one order of adding.
    return rated.group_by("list", "response", maintain_order=True).agg(
        pl.col("seed_text").first(),
        score=pl.when(low == score.max()).then(low).otherwise(mean),
        source=pl.when(source.n_unique() == 1).then(source.first()),
    )


def _refuse_too_many(sizes: np.ndarray, rule: PairRule, name: str) -> None:
    every = sizes * (sizes - 1) // 2
    total = int(_pairs_per_list(every, rule).sum())
    if total > MAX_PAIRS:
        affordable = max(1, MAX_PAIRS // max(1, len(sizes)) // 2)
        raise DataError(
            f"{name} would become {total:,} pairs; the limit is {MAX_PAIRS:,}",
            hint=f"--pairs random:{min(40, affordable)}",
        )


def _pairs_per_list(every: np.ndarray, rule: PairRule) -> np.ndarray:
    limits: Mapping[str, int] = {"random": rule.per_list, "best-worst": 1}
    return np.minimum(every, limits[rule.kind]) if rule.kind in limits else every


def _indices(
    scores: np.ndarray, names: pl.Series, sizes: np.ndarray, starts: np.ndarray, rule: PairRule
) -> tuple[np.ndarray, np.ndarray]:
    """The positions of the first and the second response of every pair."""
    ones, twos = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    grids = {int(n): np.triu_indices(int(n), 1) for n in np.unique(sizes)}
    for start, size, name in zip(starts, sizes, names, strict=True):
        one, two = grids[int(size)]
        if rule.kind == "best-worst":
            if size < 2:
                continue
            part = scores[start : start + size]
            # The last of the worst, so that a list of equal scores still is a pair: a tie.
            best, worst = int(part.argmax()), int(size - 1 - part[::-1].argmin())
            one, two = np.array([min(best, worst)]), np.array([max(best, worst)])
        elif rule.kind == "random" and len(one) > rule.per_list:
            drawn = np.sort(_generator(rule.seed, name).permutation(len(one))[: rule.per_list])
            one, two = one[drawn], two[drawn]
        ones.append(start + one)
        twos.append(start + two)
    return np.concatenate(ones), np.concatenate(twos)


def _generator(seed: int, name: str) -> np.random.Generator:
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return np.random.default_rng([seed, int.from_bytes(digest, "little")])
