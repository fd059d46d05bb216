"""How long the texts of a `generations/1` table are, by the person that they were written for."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from plt.analyze.intervals.uncertainty import Interval, mean_interval
from plt.data.tables.codes import dense_codes
from plt.data.tables.schema import WRITERS

NOBODY = "-"


@dataclass(frozen=True)
class WrittenLength:
    """Lengths of what one system wrote for one person, or for nobody.

    Attributes:
        system: Who wrote.
        control: As whom; `-` for text of no policy.
        user: For whom; null is nobody.
        words: Mean words, with its standard error over prompts (Li et al. 2024, P-RLHF, figure 3).
        tokens: Mean tokens; null where no row has them.
        ended: Share that the model ended itself; null where that is not known of any row.
        empty: Share of texts without a word.
        n: Texts.
    """

    system: str
    control: str
    user: str | None
    words: Interval
    tokens: Interval
    ended: float | None
    empty: float
    n: int


def written_lengths(texts: pl.DataFrame) -> list[WrittenLength]:
    """One row a (system, control, user): persons by name first, then generic and reference.

    Args:
        texts: A `generations/1` table. Rows of one group (prompt) are not independent.
    """
    rows = texts.with_columns(pl.col("control", "system", "user_id").cast(pl.String))
    place = {name: i for i, name in enumerate(("policy", "best-of-n", *WRITERS))}
    parts = rows.partition_by("system", "control", "user_id", maintain_order=True)
    found = [_length(part) for part in parts]
    return sorted(
        found,
        key=lambda row: (row.system, row.user is None, place.get(row.control, 9), row.user or ""),
    )


def _length(part: pl.DataFrame) -> WrittenLength:
    first = part.row(0, named=True)
    ended = part["ended"].drop_nulls()
    return WrittenLength(
        system=first["system"],
        control=first["control"] or NOBODY,
        user=first["user_id"],
        words=_mean(part, "n_words"),
        tokens=_mean(part, "n_tokens"),
        ended=int(ended.sum()) / ended.len() if ended.len() else None,
        empty=part.filter(pl.col("n_words") == 0).height / part.height,
        n=part.height,
    )


def _mean(part: pl.DataFrame, column: str) -> Interval:
    known = part.filter(pl.col(column).is_not_null())
    groups = pl.coalesce(pl.col("group").cast(pl.String), pl.format("prompt:{}", "prompt_id"))
    codes, _ = dense_codes(known.select(groups.alias("group"))["group"])
    values = known[column].to_numpy().astype(np.float64)
    # The standard error describes these texts, as in the paper; an interval needs more prompts.
    described = mean_interval(values, None, codes, target="groups")
    return replace(mean_interval(values, None, codes), se=described.se)
