"""Pairs judged by a language model in each person's role, as labels. No torch.

Both orders are asked, after the protocol of PERSONA's judged pairs: where they contradict each
other, what was said is about the place of a text and not about the text, and the label is a tie.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from plt.data.tables.contests import Contests
from plt.data.tables.preferences import Preferences, from_wide
from plt.data.tables.schema import PREFERENCES, conform
from plt.data.tables.table import Meta
from plt.errors import DataError, UsageError
from plt.train.judges.judge import Reading

MOST = 1_000_000
LABELS = {"1": 1.0, "2": 0.0, "tie": 0.5}
OF_PAIR = ("group", "subset", "source_a", "source_b")
NO_VERDICT = "no verdict"


@dataclass(frozen=True)
class RoleLabels:
    """What a judge said in people's roles.

    Attributes:
        prefs: The judgements with an answer in both orders.
        n_judged: How many there are.
        n_always_first: Of them, those in which the text that stood first won in both orders.
        n_always_second: Those in which the second did.
        n_inconsistent: Those in which the orders differ, one of them a tie included.
        n_ties: Those in which both orders said tie.
        unanswered: Why a judgement is left out, to how many; one order without a verdict is
            enough.
    """

    prefs: Preferences
    n_judged: int
    n_always_first: int
    n_always_second: int
    n_inconsistent: int
    n_ties: int
    unanswered: Mapping[str, int]


def role_contests(
    prefs: Preferences, profiles: Mapping[str, str], limit: int | None, seed: int
) -> Contests:
    """Every pair before every person, or `limit` of them at random.

    Args:
        prefs: The pairs; who judged them before, and how, is not looked at.
        profiles: What persons say of themselves, by name.
        limit: How many judgements at most; None is all.
        seed: Of the draw.

    Returns:
        Contests of `response_a` (system 1) against `response_b`, with a `pair_id`.

    Raises:
        UsageError: There is nobody, or there are more than `MOST` judgements and no limit.
        DataError: There is no pair of two different responses.
    """
    if not profiles:
        raise UsageError(
            "nobody says anything of themselves, so there is no role to judge in",
            hint="--users people.parquet, with the columns user_id and profile",
        )
    pairs = prefs.pairs.filter(pl.col("response_a") != pl.col("response_b"))
    if not pairs.height:
        raise DataError("there is no pair of two different responses to judge")
    total = pairs.height * len(profiles)
    if total > MOST and (limit is None or limit > MOST):
        raise UsageError(
            f"{pairs.height:,} pairs before {len(profiles):,} people are {total:,} judgements;"
            f" at most {MOST:,} are made in one table",
            hint="--limit 100000 judges that many, drawn at random",
        )
    cells = np.arange(total)
    if limit is not None and limit < total:
        cells = np.sort(np.random.default_rng(seed).choice(total, limit, replace=False))
    pair, person = np.divmod(cells, len(profiles))
    about = prefs.votes.select("pair_id", "group").unique("pair_id", keep="first")
    known = pairs.join(about, on="pair_id", how="left", maintain_order="left")
    frame = known[pair].select(
        pl.Series("user_id", np.array(sorted(profiles), dtype=object)[person], dtype=pl.String),
        pl.col("pair_id"),
        pl.col("pair_id").cast(pl.String).alias("prompt_id"),
        pl.col("group").cast(pl.String),
        pl.lit(0).alias("sample"),
        pl.col("prompt"),
        pl.col("response_a").alias("response_1"),
        pl.col("response_b").alias("response_2"),
    )
    dropped = {"identical responses": prefs.pairs.height - pairs.height}
    return Contests(frame, "response_a", "response_b", {k: n for k, n in dropped.items() if n})


def role_labels(
    prefs: Preferences,
    contests: Contests,
    readings: Sequence[Sequence[Reading]],
    profiles: Mapping[str, str],
    judge: str,
) -> RoleLabels:
    """The labels that readings in both orders give.

    Args:
        prefs: Where the pairs are from.
        contests: As `role_contests`.
        readings: Two a contest, system 1 first and system 2 first.
        profiles: What persons say of themselves, by name.
        judge: Its name, for the name of the dataset.

    Raises:
        DataError: No judgement has a verdict in both orders.
    """
    said = [tuple(reading.verdict for reading in both) for both in readings]
    why = [next((r.reason or NO_VERDICT for r in both if r.verdict is None), None)
           for both in readings]  # fmt: skip
    unanswered = Counter(reason for reason in why if reason is not None)
    answered = [both for both, reason in zip(said, why, strict=True) if reason is None]
    if not answered:
        raise DataError(
            f"{judge} gave no verdict at all",
            problems=[f"{reason}: {n} judgements" for reason, n in unanswered.most_common()],
            hint="another --judge, or --judge-option max_tokens=64 for one that thinks aloud",
        )
    count = Counter(answered)
    labels = [LABELS[str(one)] if one == other else 0.5 for one, other in answered]
    name = f"{prefs.meta.dataset or 'unnamed'} judged by {judge}"
    about = prefs.votes.select("pair_id", *OF_PAIR).unique("pair_id", keep="first")
    wide = (
        contests.frame.filter(pl.Series([reason is None for reason in why]))
        .select("user_id", "pair_id", "prompt", pl.col("response_1").alias("response_a"),
                pl.col("response_2").alias("response_b"))
        .with_columns(
            pl.Series("label", labels, dtype=pl.Float32),
            pl.lit(0, dtype=pl.UInt16).alias("occurrence"),
            pl.lit(name).alias("dataset"),
            pl.col("user_id").replace_strict(profiles, return_dtype=pl.String).alias("profile"),
        )
        .join(about, on="pair_id", how="left", maintain_order="left")
    )  # fmt: skip
    dropped = Counter(contests.dropped) + unanswered
    meta = Meta(dataset=name, license=prefs.meta.license, dropped=dropped, oriented=True)
    return RoleLabels(
        from_wide(conform(wide, PREFERENCES), meta),
        len(answered),
        count[("1", "2")],
        count[("2", "1")],
        sum(one != other for one, other in answered),
        count[("tie", "tie")],
        dict(unanswered),
    )
