"""Two systems' texts side by side: the same person, the same prompt, the same sample."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from plt.errors import DataError, UsageError

KEYS = ("user_id", "prompt_id", "sample")


@dataclass(frozen=True)
class Contests:
    """Pairs of texts to judge.

    Attributes:
        frame: One row a contest: `user_id` (null is nobody), `prompt_id`, `group`, `sample`,
            `prompt`, `response_1`, `response_2`.
        system_1: Who wrote `response_1`.
        system_2: Who wrote `response_2`.
        dropped: Reason to number of texts that met no opponent.
    """

    frame: pl.DataFrame
    system_1: str
    system_2: str
    dropped: Mapping[str, int]


@dataclass(frozen=True)
class Side:
    """One system's texts.

    Attributes:
        texts: `generations/1` rows of one system, one a user, prompt and sample.
        name: How it is called.
    """

    texts: pl.DataFrame
    name: str


def one_side(texts: pl.DataFrame, source: str, control: str | None, flag: str) -> Side:
    """The texts of the one system that a table, or the asked-for part of it, holds.

    Args:
        texts: A `generations/1` table.
        source: How the table is called.
        control: one of `plt.data.tables.schema.WRITERS`, or None for all.
        flag: The option that chooses the control.

    Raises:
        UsageError: The table holds several controls and none was chosen, or not the chosen one.
        DataError: It holds several systems, or nothing.
    """
    found = texts["control"].cast(pl.String).unique(maintain_order=True).to_list()
    if control is None and len(found) > 1:
        raise UsageError(
            f"{source} holds texts written in several ways",
            problems=[str(name) for name in found],
            hint=f"{flag} {next(name for name in found if name)}",
        )
    if control is not None:
        texts = texts.filter(pl.col("control") == control)
        if not texts.height:
            held = ", ".join(str(name) for name in found)
            raise UsageError(f"{source} holds no {control} texts; it holds {held}")
    if not texts.height:
        raise DataError(f"{source} holds no texts", hint="plt generate RUN --prompts DATA")
    systems = texts["system"].cast(pl.String).unique().sort().to_list()
    if len(systems) > 1:
        raise DataError(f"{source} holds texts of several systems", problems=systems)
    kind = texts["control"][0]
    return Side(texts, systems[0] if kind is None else f"{systems[0]} ({kind})")


def pair_contests(one: Side, two: Side) -> Contests:
    """Pairs the texts of two systems.

    Texts meet when they have the person, the prompt and the number of the sample in common. A text
    that was written for nobody (generic, reference) stands against everybody's on its prompt where
    the other system wrote for persons.

    Raises:
        DataError: No text meets another, or a side has two texts for one person, prompt and sample.
    """
    for side in (one, two):
        _refuse_repeated(side)
    if one.name == two.name:
        one, two = replace(one, name=f"{one.name}, first"), replace(two, name=f"{two.name}, second")
    first, second = _numbered(one.texts), _numbered(two.texts)
    found = pl.concat(
        [
            _meet(first, second, KEYS),
            _meet(_of_persons(first), _of_nobody(second), KEYS[1:], whose="first"),
            _meet(_of_nobody(first), _of_persons(second), KEYS[1:], whose="second"),
        ]
    )
    # A person's own opponent stands before one that was written for nobody.
    found = found.unique(KEYS, keep="first", maintain_order=True)
    if not found.height:
        raise DataError(
            f"{one.name} and {two.name} have no person, prompt and sample in common",
            problems=[_extent(one), _extent(two)],
            hint="plt generate RUN --prompts DATA, with the same DATA for both",
        )
    dropped = {}
    for side, column in ((one, "_row"), (two, "_row_2")):
        lonely = side.texts.height - found[column].n_unique()
        if lonely:
            dropped[f"{side.name}: no opponent"] = lonely
    found = found.drop("_row", "_row_2").sort(*KEYS, nulls_last=True)
    return Contests(found, one.name, two.name, dropped)


def _numbered(texts: pl.DataFrame) -> pl.DataFrame:
    return texts.with_columns(pl.col("user_id").cast(pl.String), _row=pl.int_range(pl.len()))


def _of_persons(texts: pl.DataFrame) -> pl.DataFrame:
    return texts.filter(pl.col("user_id").is_not_null())


def _of_nobody(texts: pl.DataFrame) -> pl.DataFrame:
    return texts.filter(pl.col("user_id").is_null())


def _meet(
    first: pl.DataFrame, second: pl.DataFrame, on: tuple[str, ...], whose: str = "first"
) -> pl.DataFrame:
    joined = first.join(second, on=list(on), how="inner", suffix="_2", nulls_equal=True,
                        maintain_order="left")  # fmt: skip
    user = "user_id_2" if whose == "second" else "user_id"
    return joined.select(
        pl.col(user).alias("user_id"),
        "prompt_id",
        pl.coalesce("group", "group_2", pl.format("prompt:{}", "prompt_id")).alias("group"),
        "sample",
        "prompt",
        response_1="response",
        response_2="response_2",
        _row="_row",
        _row_2="_row_2",
    )


def _refuse_repeated(side: Side) -> None:
    keys = side.texts.select(pl.col("user_id").cast(pl.String), "prompt_id", "sample")
    repeated = keys.filter(keys.is_duplicated()).unique(maintain_order=True)
    if repeated.height:
        raise DataError(
            f"{side.name} has several texts for one person, prompt and sample",
            problems=[f"user {u!r}, prompt {p}, sample {s}" for u, p, s in repeated.iter_rows()],
        )


def _extent(side: Side) -> str:
    texts = side.texts
    return (
        f"{side.name}: {texts.height} texts, {texts['user_id'].drop_nulls().n_unique()} persons,"
        f" {texts['prompt_id'].n_unique()} prompts"
    )
