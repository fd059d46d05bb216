"""Smaller training sets out of one table, for "how does it grow with the data".

Whether a row is in a sample is decided by a hash of (seed, user, pair, occurrence), so samples of
one seed are nested: 1,000 rows are among the 10,000. What is tested on never changes.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import polars as pl

from plt.data.tables.preferences import Preferences
from plt.errors import UsageError

SampleOf: TypeAlias = Literal["total", "user"]
SAMPLES_OF: tuple[SampleOf, ...] = get_args(SampleOf)


@dataclass(frozen=True)
class Sample:
    """How many training rows to keep.

    Attributes:
        size: Rows.
        of: ``total`` counts them over all users, as the sample sizes of Dong et al. (2025) do;
            ``user`` counts each user's own.
    """

    size: int
    of: SampleOf = "total"


@dataclass(frozen=True)
class TrainingSize:
    """What there is to learn from.

    Attributes:
        rows: Labelled train rows of seen users.
        users: Users with at least one.
        validation: Labelled validation rows of seen users.
        fewest: Train rows of the user with the fewest.
        most: Train rows of the user with the most.
    """

    rows: int
    users: int
    validation: int
    fewest: int
    most: int

    @property
    def rows_a_user(self) -> float | None:
        """Mean train rows of a user; None without users."""
        return self.rows / self.users if self.users else None


def training_size(prefs: Preferences) -> TrainingSize:
    """Counts the rows that a fit may learn from."""
    learnt = prefs.votes.filter(learnable())
    train = learnt.filter(pl.col("split") == "train")
    each = train.filter(pl.col("user_id").is_not_null()).group_by("user_id").len()["len"]
    return TrainingSize(
        rows=train.height,
        users=each.len(),
        validation=learnt.height - train.height,
        fewest=int(each.min() or 0),  # type: ignore[arg-type]  # polars types min of any series
        most=int(each.max() or 0),  # type: ignore[arg-type]
    )


def check_samples(prefs: Preferences, samples: list[Sample]) -> None:
    """Refuses samples that are larger than what there is.

    Raises:
        UsageError: All that are too large are listed.
    """
    found = training_size(prefs)
    problems = []
    for sample in samples:
        most = found.rows if sample.of == "total" else found.most
        if sample.size > most:
            unit = "in all" if sample.of == "total" else "of the user with the most"
            problems.append(f"{sample.size:,} asked for, {most:,} training rows {unit}")
    if problems:
        raise UsageError(
            "the table has fewer training rows", problems=problems, hint="--train-size all"
        )


def draw_sample(prefs: Preferences, sample: Sample, seed: int) -> Preferences:
    """The table with fewer rows to learn from; test rows and unseen users stay.

    Validation rows are labels too, so they are cut in the same proportion, rounded down (each
    user's own with `of` = ``user``). Then rows that name nobody are left out, and users who have
    fewer rows than asked for keep all of theirs.

    Args:
        prefs: A split table.
        sample: What to keep.
        seed: Of the order.

    Returns:
        The table; a larger sample of the same seed holds every row of a smaller one.
    """
    votes = prefs.votes.select(
        "user_id", "pair_id", "occurrence", "split", learnable=learnable()
    ).with_row_index("row")
    learnt = votes.filter("learnable")
    if sample.of == "user":
        learnt = learnt.filter(pl.col("user_id").is_not_null())
    identity = learnt.select(pl.col("user_id").cast(pl.String), "pair_id", "occurrence")
    keys = [_key(seed, *row) for row in identity.iter_rows()]
    learnt = learnt.with_columns(key=pl.Series(keys, dtype=pl.Binary)).sort("key")
    unit = ["user_id"] if sample.of == "user" else [pl.lit(0)]
    is_train = pl.col("split") == "train"
    n_train = is_train.cast(pl.Int64).sum().over(unit)
    n_val = (~is_train).cast(pl.Int64).sum().over(unit)
    kept = pl.min_horizontal(pl.lit(sample.size, dtype=pl.Int64), n_train)
    allowed = pl.when(is_train).then(kept).otherwise(n_val * kept // pl.max_horizontal(n_train, 1))
    place = pl.int_range(pl.len()).over([*unit, "split"])
    drawn = learnt.filter(place < allowed)["row"]
    wanted = votes.select(~pl.col("learnable") | pl.col("row").is_in(drawn.implode()))
    return prefs.filter(pl.lit(wanted.to_series()))


def learnable() -> pl.Expr:
    """Votes that a fit may see: labelled train and validation rows of seen users.

    Users without a `user_split` count as seen.
    """
    seen = pl.col("user_split").fill_null("seen") == "seen"
    return pl.col("split").is_in(["train", "val"]) & seen & pl.col("label").is_not_null()


def _key(seed: int, user: str | None, pair: int, occurrence: int) -> bytes:
    text = f"{seed}:sample:{pair}:{occurrence}:{'' if user is None else 'u' + user}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
