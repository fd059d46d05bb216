"""The papers' own divisions of their data, as they published them, flaws marked.

A protocol whose test data is not new to the model is not repaired here: `meta.split` says
``leaks: true`` and why, lint finds it, and every report carries the footnote.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from plt.data.splitting.splits import is_split
from plt.data.tables.preferences import Preferences
from plt.errors import DataError, UsageError

SEED = 123
PRISM_PROTOCOLS = ("prlhf", "lore", "plus")
PSOUPS_TEST = 0.1
PREF_TEST = 0.2


def apply_protocol(prefs: Preferences, name: str) -> Preferences:
    """Divides a table as a paper did.

    Args:
        prefs: Any table, for `psoups` and `pref`; for `source` one whose raw files name a split.
        name: `psoups` (rows, 90 to 10, seed 123), `pref` (80 to 20 by users and by pairs) or
            `source` (the split that the raw files name).

    Returns:
        The table with `split` and `user_split`, and `meta.split` with `unit`, `protocol`, `leaks`
        and `why`.

    Raises:
        UsageError: No such protocol; PRISM's need the survey and are variants of the dataset.
        DataError: The table has no split of its source.
    """
    if name in PRISM_PROTOCOLS:
        raise UsageError(
            f"the protocol {name!r} needs PRISM's survey, which a table does not hold",
            hint=f"plt dataset-convert prism:{name} RAW -o prism-{name}.parquet",
        )
    if name not in PROTOCOLS:
        known = ", ".join([*PROTOCOLS, *(f"prism:{p}" for p in PRISM_PROTOCOLS)])
        raise UsageError(f"there is no protocol {name!r}; known are {known}")
    return PROTOCOLS[name](prefs)


def psoups_rows(prefs: Preferences) -> Preferences:
    """Paper 002's division of P-SOUPS: single judgements, 90 % train, 10 % test.

    The pair that one user has in train another has in test, so it leaks. The published shuffle is
    over the order of a file that no release keeps; here the judgements are shuffled in the order of
    their keys, with the same seed and shares.
    """
    key = [pl.col("user_id").cast(pl.String), pl.col("pair_id"), pl.col("occurrence")]
    order = prefs.votes.with_row_index("_row").sort(key)["_row"].to_numpy()
    shuffled = np.random.default_rng(SEED).permutation(order)
    split = np.full(len(order), "train", dtype=object)
    split[shuffled[: round(len(order) * PSOUPS_TEST)]] = "test"
    votes = with_parts(prefs.votes, split=pl.Series(split.tolist()))
    why = f"judgements are divided one by one; {straddling(votes, 'pair_id')} pairs stand in both"
    return marked(prefs, votes, "psoups", "pair", why, leaks=straddling(votes, "pair_id") > 0)


def pref_four_way(prefs: Preferences) -> Preferences:
    """Paper 001's division: 80 % of users are seen and, independently, 80 % of pairs are train.

    Seen users on train pairs are train, seen users on other pairs validation, unseen users on train
    pairs calibration and on other pairs test; `split` and `user_split` hold the two halves.
    """
    draw = np.random.RandomState(SEED)
    users = sorted(prefs.votes["user_id"].cast(pl.String).drop_nulls().unique())
    pairs = prefs.pairs["pair_id"].to_numpy()
    unseen = set(draw.permutation(users)[: round(len(users) * PREF_TEST)])
    # Ids from 2^63 on are no numbers that polars would guess for a list.
    drawn = draw.permutation(pairs)[: round(len(pairs) * PREF_TEST)]
    test = pl.Series(drawn, dtype=pl.UInt64).implode()
    user = prefs.votes["user_id"].cast(pl.String)
    votes = with_parts(
        prefs.votes,
        split=pl.select(
            pl.when(prefs.votes["pair_id"].is_in(test)).then(pl.lit("test")).otherwise(
                pl.lit("train")
            )
        ).to_series(),
        user_split=pl.Series(
            [None if u is None else "unseen" if u in unseen else "seen" for u in user],
            dtype=pl.String,
        ),
    )  # fmt: skip
    shared = straddling(votes, "group")
    why = f"pairs are divided, not prompts; {shared} groups stand in both"
    return marked(prefs, votes, "pref", "pair", why, leaks=False)


def source_split(prefs: Preferences) -> Preferences:
    """Keeps the split that the raw files name, and says what stands in more than one part."""
    if not is_split(prefs):
        raise DataError(
            f"{prefs.meta.dataset}: the source names no split for every judgement",
            hint="plt dataset-split DATA",
        )
    pairs, groups = straddling(prefs.votes, "pair_id"), straddling(prefs.votes, "group")
    why = f"the source's own split; {pairs} pairs and {groups} groups stand in several parts"
    unit = "pair" if groups else "group"
    return marked(prefs, prefs.votes, "source", unit, why, leaks=groups > 0)


PROTOCOLS: Mapping[str, Callable[[Preferences], Preferences]] = {
    "psoups": psoups_rows,
    "pref": pref_four_way,
    "source": source_split,
}


def with_parts(votes: pl.DataFrame, **columns: pl.Series) -> pl.DataFrame:
    """`votes` with columns replaced, each in the type that it had."""
    types = {name: votes.schema[name] for name in columns}
    return votes.with_columns(
        column.alias(name).cast(types[name]) for name, column in columns.items()
    )


def straddling(votes: pl.DataFrame, unit: str) -> int:
    """How many units have judgements in more than one part."""
    return votes.group_by(unit).agg(pl.col("split").n_unique()).filter(pl.col("split") > 1).height


def marked(
    prefs: Preferences, votes: pl.DataFrame, protocol: str, unit: str, why: str, *, leaks: bool
) -> Preferences:
    """`prefs` with the judgements `votes`, and the protocol that divided them in its metadata."""
    split = {"unit": unit, "protocol": protocol, "leaks": leaks, "why": why, "seed": SEED}
    return replace(prefs, votes=votes, meta=replace(prefs.meta, split=split))
