"""Several preference tables as one, without a judgement counted twice or a split broken."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import polars as pl

from plt.data.splitting.splits import UNITS, Unit, is_split, unit_names
from plt.data.tables.preferences import Message, Preferences, from_wide, pair_id
from plt.data.tables.schema import PREFERENCES
from plt.data.tables.table import Meta
from plt.errors import DataError, FailedError, UsageError

Again: TypeAlias = Literal["repeats", "copies"]
AGAIN: tuple[Again, ...] = get_args(Again)
KEY = ("user_id", "pair_id", "occurrence")
COPIES = "the same judgement in another table"
SHOWN = 4
TABLE = "_table"


@dataclass(frozen=True)
class Named:
    """A table and what it is called in messages."""

    name: str
    prefs: Preferences


@dataclass(frozen=True)
class Joined:
    """Several tables as one.

    Attributes:
        prefs: The table.
        says: What a reader must know of how they came together, in sentences.
    """

    prefs: Preferences
    says: tuple[str, ...]


@dataclass(frozen=True)
class JoinPlan:
    """What is meant where tables could come together in two ways.

    Attributes:
        again: Judgements with the key of one in an earlier table: ``repeats`` are further acts of
            judging, ``copies`` the same act, of which the first is kept. None refuses them.
        users_apart: Whether equal user ids of different tables are different people, so that each
            is written with the name of its dataset before it, or with the number of its table
            where two have one name.
        drop_split: Whether splits are forgotten.
    """

    again: Again | None = None
    users_apart: bool = False
    drop_split: bool = False

    def __post_init__(self) -> None:
        if self.again is not None and self.again not in AGAIN:
            raise UsageError(
                f"--again is {self.again!r}; known are {', '.join(AGAIN)}", hint="--again repeats"
            )


def join_tables(tables: Sequence[Named], plan: JoinPlan) -> Joined:
    """Joins preference tables, in the order given.

    Columns that only some have are null in the others. Parts of one table give that table back.

    Args:
        tables: At least two, oriented.
        plan: What is meant by equal people and judgements.

    Raises:
        UsageError: There are fewer than two.
        DataError: One table stands twice, columns of one name have different types, a `pair_id`
            names different texts, a judgement stands in two tables and nobody says what that
            means, or the splits contradict each other.
        FailedError: Two different choices have one hash.
    """
    if len(tables) < 2:
        raise UsageError(
            f"{len(tables)} table is given; two or more are joined",
            hint="plt dataset-concat A.parquet B.parquet -o both.parquet",
        )
    _refuse_other_texts(tables)
    _refuse_twice(tables)
    parts = _apart(tables) if plan.users_apart else list(tables)
    frames = [
        each.prefs.wide().with_columns(
            pl.col(pl.Categorical).cast(pl.String), pl.lit(i, dtype=pl.UInt32).alias(TABLE)
        )
        for i, each in enumerate(parts)
    ]
    _refuse_types(parts, frames)
    wide = pl.concat(frames, how="diagonal_relaxed")
    says = _people(parts)
    wide, copies = _acts(wide, parts, plan)
    wide, declared, told = _divided(wide, parts, plan)
    meta = _meta(parts, declared, copies)
    made = from_wide(wide.drop(TABLE), meta)
    if plan.drop_split is False:
        _refuse_straddling(made, parts)
    return Joined(made, (*says, *told, *_told(meta, parts, copies)))


def _refuse_twice(tables: Sequence[Named]) -> None:
    for i, one in enumerate(tables):
        for other in tables[:i]:
            if one.prefs.votes.drop("dataset").equals(other.prefs.votes.drop("dataset")):
                raise DataError(
                    f"{one.name} and {other.name} hold the same judgements",
                    hint="name each table once",
                )


def _refuse_other_texts(tables: Sequence[Named]) -> None:
    """One id for different texts, or two ids for the same: the tables cannot be put together."""
    columns = ["prompt", "response_a", "response_b"]
    frames = [
        each.prefs.pairs.select("pair_id", *columns).with_columns(pl.lit(i).alias(TABLE))
        for i, each in enumerate(tables)
    ]
    every = pl.concat(frames)
    texts = every.unique(["pair_id", *columns], keep="first", maintain_order=True)
    for key, what in ((["pair_id"], "names different texts"), (columns, "has other pair_ids")):
        bad = texts.filter(pl.struct(key).is_duplicated()).sort(key[0], TABLE)
        if not bad.height:
            continue
        rows = bad.head(2 * SHOWN).to_dicts()
        problems = [
            f"{tables[row[TABLE]].name}, pair_id {row['pair_id']}: {row['response_a'][:40]!r}"
            f" against {row['response_b'][:40]!r}"
            for row in rows
        ]
        if what.startswith("names") and all(map(_is_hash, rows)):
            raise FailedError("two different pairs have the same pair_id", problems=problems)
        first, last = tables[rows[0][TABLE]].name, tables[rows[-1][TABLE]].name
        raise DataError(
            f"the same {'choice' if what.startswith('has') else 'pair_id'} {what} in {first} and"
            f" {last}",
            problems=problems,
            hint=f"plt dataset-convert generic {last} -o converted.parquet",
        )


def _is_hash(row: dict[str, object]) -> bool:
    prompt = row["prompt"]
    assert isinstance(prompt, list)
    messages: list[Message] = prompt
    found = pair_id(messages, str(row["response_a"]), str(row["response_b"]))
    return found == row["pair_id"]


def _refuse_types(tables: Sequence[Named], frames: Sequence[pl.DataFrame]) -> None:
    """Extra columns of one name must be of one type."""
    seen: dict[str, tuple[str, pl.DataType]] = {}
    problems = []
    for table, frame in zip(tables, frames, strict=True):
        for name, dtype in frame.schema.items():
            before, known = seen.setdefault(name, (table.name, dtype))
            if known != dtype and name not in PREFERENCES.names:
                problems.append(f"{name}: {known} in {before}, {dtype} in {table.name}")
    if problems:
        raise DataError(
            "columns of the same name hold different things",
            problems=problems,
            hint="rename or drop them in one of the tables",
        )


def _apart(tables: Sequence[Named]) -> list[Named]:
    """The tables with a name of their own before each user."""
    datasets = [set(each.prefs.votes["dataset"].cast(pl.String)) for each in tables]
    same = sum(map(len, datasets)) > len(set().union(*datasets))
    found = []
    for number, each in enumerate(tables, start=1):
        votes = each.prefs.votes
        whose = pl.col("dataset").cast(pl.String)
        front = pl.format("{} {}", pl.lit(number), whose) if same else whose
        names = pl.when(pl.col("user_id").is_not_null()).then(
            pl.format("{}/{}", front, pl.col("user_id").cast(pl.String))
        )
        votes = votes.with_columns(user_id=names.cast(pl.Categorical))
        found.append(replace(each, prefs=replace(each.prefs, votes=votes)))
    return found


def _people(tables: Sequence[Named]) -> tuple[str, ...]:
    """Who stands in several tables."""
    seen: set[str] = set()
    both: set[str] = set()
    for each in tables:
        users = set(each.prefs.votes["user_id"].drop_nulls().cast(pl.String))
        both |= seen & users
        seen |= users
    if not both:
        return ()
    more = ", ..." if len(both) > SHOWN else ""
    shown = ", ".join(repr(user) for user in sorted(both)[:SHOWN]) + more
    return (
        f"{len(both)} of {len(seen)} users judged in several tables and are taken for one person"
        f" each (--users-apart takes them for different people): {shown}",
    )


def _acts(wide: pl.DataFrame, tables: Sequence[Named], plan: JoinPlan) -> tuple[pl.DataFrame, int]:
    """The rows with a key of their own each, and how many were left out as copies."""
    again = wide.select(pl.struct(KEY).is_duplicated()).to_series()
    if not again.any():
        return wide, 0
    n = int(wide.filter(again).select(pl.struct(KEY).n_unique()).item())
    if plan.again is None:
        rows = wide.filter(again).unique(KEY, keep="first", maintain_order=True).head(SHOWN)
        raise DataError(
            f"{n} judgements of one person on one pair stand in several tables: is each another"
            " act of judging, or the same one copied?",
            problems=[
                f"user {row['user_id']!r}, pair {row['pair_id']}, occurrence {row['occurrence']}"
                for row in rows.iter_rows(named=True)
            ],
            hint="--again repeats, or --again copies",
        )
    if plan.again == "repeats":
        order = pl.int_range(pl.len()).over("user_id", "pair_id").cast(pl.UInt16)
        key = [TABLE, "occurrence"]
        return wide.sort(key, maintain_order=True).with_columns(occurrence=order), 0
    labels = wide.filter(again).group_by(KEY, maintain_order=True).agg(pl.col("label").n_unique())
    differ = labels.filter(pl.col("label") > 1)
    if differ.height:
        raise DataError(
            f"{differ.height} judgements have one key and two labels, so they are no copies",
            problems=[
                f"user {user!r}, pair {pair}" for user, pair, *_ in differ.head(SHOWN).iter_rows()
            ],
            hint="--again repeats",
        )
    kept = wide.unique(KEY, keep="first", maintain_order=True)
    return kept, wide.height - kept.height


def _divided(
    wide: pl.DataFrame, tables: Sequence[Named], plan: JoinPlan
) -> tuple[pl.DataFrame, dict[str, object] | None, tuple[str, ...]]:
    """The rows with their parts, what is declared of them, and what must be said."""
    splits = [each.prefs.meta.split for each in tables]
    having = [is_split(each.prefs) for each in tables]
    if plan.drop_split or not any(having):
        empty = [
            pl.lit(None).cast(wide.schema[name]).alias(name) for name in ("split", "user_split")
        ]
        said = ("the splits are forgotten",) if any(having) else ()
        return wide.with_columns(empty), None, said
    if not all(having):
        without = [each.name for each, has in zip(tables, having, strict=True) if not has]
        raise DataError(
            "some of the tables are divided into train, val and test, and others are not",
            problems=[f"{name} is not divided" for name in without],
            hint="--drop-split, and then plt dataset-split",
        )
    declared = [dict(each or {}) for each in splits]
    if any(each != declared[0] for each in declared):
        raise DataError(
            "the tables are divided in different ways",
            problems=[f"{t.name}: {each}" for t, each in zip(tables, declared, strict=True)],
            hint="--drop-split, and then plt dataset-split",
        )
    return wide, declared[0] or None, ()


def _refuse_straddling(made: Preferences, tables: Sequence[Named]) -> None:
    """Refuses people or units that stand in two parts once the tables are together."""
    if not is_split(made):
        return
    votes = made.votes
    problems = []
    people = votes.drop_nulls("user_id").group_by("user_id").agg(pl.col("user_split").n_unique())
    if n := people.filter(pl.col("user_split") > 1).height:
        problems.append(f"{n} users are seen in one table and unseen in another")
    declared = (made.meta.split or {}).get("unit", "pair")
    unit: Unit = next((each for each in UNITS if each == declared), "pair")
    names = unit_names(made, unit)
    ids = pl.concat([made.pairs["pair_id"]] * (len(names) // made.pairs.height))
    units = pl.DataFrame({"pair_id": ids, "unit": names})
    parts = votes.select("pair_id", "split").unique().join(units, on="pair_id")
    both = parts.group_by("unit").agg(pl.col("split").n_unique()).filter(pl.col("split") > 1).height
    if both:
        problems.append(f"{both} {unit}s are in one part in a table and in another part in another")
    if problems:
        raise DataError(
            "the tables are divided in ways that contradict each other",
            problems=problems,
            hint="--drop-split, and then plt dataset-split",
        )


def _meta(tables: Sequence[Named], declared: dict[str, object] | None, copies: int) -> Meta:
    metas = [each.prefs.meta for each in tables]
    dropped: dict[str, int] = {}
    for meta in metas:
        for reason, count in meta.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
    if copies:
        dropped[COPIES] = dropped.get(COPIES, 0) + copies
    truths = [meta.truth for meta in metas]
    return Meta(
        dataset=" + ".join(dict.fromkeys(meta.dataset or "unnamed" for meta in metas)),
        license=" and ".join(dict.fromkeys(m.license for m in metas if m.license)) or None,
        dropped=dropped,
        split=declared,
        truth=truths[0] if all(truth == truths[0] for truth in truths) else None,
        oriented=True,
    )


def _told(meta: Meta, tables: Sequence[Named], copies: int) -> tuple[str, ...]:
    says = []
    if copies:
        says.append(f"{copies} judgements stood in an earlier table already and are kept once")
    if meta.truth is None and any(each.prefs.meta.truth for each in tables):
        says.append("the tables have different truths, so the joined one has none")
    return tuple(says)
