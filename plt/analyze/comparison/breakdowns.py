"""A comparison taken apart: by what was new to the models, and P-RLHF's accuracies of each run."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import polars as pl

from plt.analyze.comparison.compare import Comparison, compare
from plt.analyze.comparison.entries import Entry
from plt.analyze.scores.implicit_accuracy import ImplicitAccuracy, implicit_accuracy
from plt.errors import UsageError


def by_novelty(
    entries: Sequence[Entry],
    found: Comparison,
    *,
    baseline: str | None,
    split: str,
    user_split: str | None,
) -> dict[str, Comparison]:
    """The comparison on the judgements of each kind of novelty alone.

    Args:
        entries: As `compare` had them.
        found: The whole comparison; its `novelty` says which kinds there are.
        baseline: As `compare`.
        split: As `compare`.
        user_split: As `compare`.

    Returns:
        Kind of novelty to the comparison; empty where nothing says what was new.
    """
    apart = {}
    for novelty in found.novelty:
        is_kind = pl.col("novelty").cast(pl.String) == novelty
        parts = [replace(entry, scores=entry.scores.filter(is_kind)) for entry in entries]
        apart[novelty] = compare(parts, baseline=baseline, splits=(split,), user_split=user_split)
    return apart


def implicit_accuracies(
    entries: Sequence[Entry], split: str, minority: Collection[str]
) -> dict[str, ImplicitAccuracy]:
    """The accuracies of Li et al. 2024 (C.3), by name of the entry.

    Args:
        entries: Of one run each.
        split: Which rows; rows without a split count too.
        minority: The seen users whose taste is the rarer one.

    Raises:
        UsageError: Somebody of the minority is not among the seen users, or nobody is named.
        DataError: As `implicit_accuracy`.
    """
    found = {}
    for entry in entries:
        part = entry.scores.filter(pl.col("split").is_null() | (pl.col("split") == split))
        seen = part.filter(pl.col("user_split") == "seen")["user_id"].cast(pl.String)
        strangers = sorted(set(minority) - set(seen.drop_nulls()))
        if strangers or not minority:
            raise UsageError(
                f"--minority names users who are not among the seen users of {entry.name}",
                problems=[repr(name) for name in strangers],
                hint="plt report RUN --by-user",
            )
        found[entry.name] = implicit_accuracy(part, minority)
    return found
