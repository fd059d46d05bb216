"""Preference tables in memory: `votes`, one row a judgement, and `pairs`, one row a pair.

The wide form of `preferences/1` exists on disk and in pipes only. Whoever makes a table calls
`build`, which alone computes pair ids, decides which response is `a`, counts occurrences and drops
what cannot be a pair.
"""

import hashlib
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from json.encoder import encode_basestring_ascii as _ascii
from pathlib import Path

import polars as pl

from plt.data.tables.schema import MESSAGES, PREFERENCES, Column, conform, validate
from plt.data.tables.table import (
    Meta,
    Source,
    check,
    content_hash,
    open_source,
    read_meta,
    read_table,
    source_name,
    write_table,
)
from plt.errors import DataError, FailedError

TEXT_COLUMNS = ("prompt", "response_a", "response_b")
VOTE_COLUMNS = tuple(name for name in PREFERENCES.names if name not in TEXT_COLUMNS)
DICTIONARY_COLUMNS = (
    "user_id", "group", "dataset", "subset", "source_a", "source_b", "profile",
)  # fmt: skip
SIDED = (("score_a", "score_b"), ("source_a", "source_b"))

Message = Mapping[str, str]


@dataclass(frozen=True)
class Preferences:
    """A preference table: who preferred what, and the texts, each pair once.

    Attributes:
        votes: One row a judgement: every column of `preferences/1` but the texts. Names are
            Categorical. Sorted by (group, pair_id).
        pairs: One row a pair: `pair_id`, `prompt`, `response_a`, `response_b`. Sorted by pair_id.
        meta: The metadata of the table.
    """

    votes: pl.DataFrame
    pairs: pl.DataFrame
    meta: Meta

    def __repr__(self) -> str:
        """One line; the frames show themselves."""
        return f"Preferences({self._summary()})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the line, and how many judgements each part holds."""
        parts = self.votes.group_by("split", "user_split").len("judgements")
        rows = "".join(
            f"<tr><td>{part or 'no split'}</td><td>{users or '-'}</td><td>{count:,}</td></tr>"
            for part, users, count in parts.sort("split", "user_split").iter_rows()
        )
        head = "<tr><th>split</th><th>users</th><th>judgements</th></tr>"
        return f"<p>{html.escape(self._summary())}</p><table>{head}{rows}</table>"

    def _summary(self) -> str:
        users = self.votes["user_id"].drop_nulls().n_unique()
        unit = (self.meta.split or {}).get("unit")
        name = "unnamed" if self.meta.dataset is None else repr(self.meta.dataset)
        undivided = self.votes["split"].null_count() == self.votes.height
        split = f"split by {unit}" if unit else "no split" if undivided else "split"
        parts = [name, f"{self.n_judgements:,} judgements", f"{self.pairs.height:,} pairs",
                 f"{users:,} users", split]  # fmt: skip
        return ", ".join(parts)

    @property
    def n_judgements(self) -> int:
        """How many rows have a label; the others are pairs that are only to be scored."""
        return self.votes.height - self.votes["label"].null_count()

    def filter(self, predicate: pl.Expr) -> "Preferences":
        """The judgements for which `predicate` holds, and the pairs that are still judged."""
        votes = self.votes.filter(predicate)
        pairs = self.pairs.join(votes.select("pair_id").unique(), on="pair_id", how="semi")
        return replace(self, votes=votes, pairs=pairs.sort("pair_id"))

    def wide(self) -> pl.DataFrame:
        """The table as it stands on disk, one row a judgement, texts repeated."""
        wide = self.votes.join(self.pairs, on="pair_id", how="left", maintain_order="left")
        extra = [name for name in wide.columns if name not in PREFERENCES.names]
        return wide.select(*PREFERENCES.names, *extra)


def prompt_json(prompt: Sequence[Message]) -> str:
    """The canonical text of a conversation: roles and contents as a compact ASCII JSON list."""
    turns = (f"[{_ascii(turn['role'])},{_ascii(turn['content'])}]" for turn in prompt)
    return f"[{','.join(turns)}]"


def pair_id(prompt: Sequence[Message], response: str, other: str) -> int:
    """The order-free name of a choice between two responses to a prompt.

    The eight bytes of BLAKE2b, read little-endian, over the JSON of the prompt and the two
    responses in code-point order.

    Args:
        prompt: Messages with `role` and `content`.
        response: One response, exactly as stored.
        other: The other; swapping the two changes nothing.

    Returns:
        An unsigned 64-bit integer.
    """
    return _pair_id(prompt_json(prompt), *sorted((response, other)))


def _pair_id(prompt: str, smaller: str, larger: str) -> int:
    text = f"[{prompt},[{_ascii(smaller)},{_ascii(larger)}]]"
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def prompt_group(prompt: str) -> str:
    """The name of the group of all judgements on one prompt, from its canonical JSON."""
    digest = hashlib.blake2b(prompt.encode("utf-8", "surrogatepass"), digest_size=8)
    return f"prompt:{digest.hexdigest()}"


def build(raw: pl.DataFrame, meta: Meta) -> Preferences:
    """Makes a preference table out of judgements on two responses in any order.

    Args:
        raw: One row a judgement: `prompt` (messages), `response_1`, `response_2`, `label`
            (probability that the user prefers response_1, or null); and, where the source has them,
            `user_id`, `group`, `score_1`, `score_2`, `source_1`, `source_2`, `subset`, `profile`,
            `split`, `user_split`, `strength`, `judged_at` and `shown_first` (`1` or `2`). A missing
            group becomes the hash of the prompt. The order of the rows of one user on one pair
            decides `occurrence`.
        meta: Must name the dataset.

    Returns:
        The table, oriented, with the rows that are no pair (identical, empty or missing responses)
        dropped and counted in `meta.dropped`.

    Raises:
        DataError: A column is missing or mistyped, or a label is no probability.
        FailedError: Two different pairs have one pair id.
    """
    if meta.dataset is None:
        raise ValueError("build needs meta.dataset")
    raw, dropped = _drop_impossible(raw)
    distinct = raw.select("prompt").unique()
    texts = [prompt_json(prompt) for prompt in distinct["prompt"].to_list()]
    names = pl.DataFrame({"_prompt_json": texts, "_prompt_group": map(prompt_group, texts)})
    raw = raw.join(distinct.hstack(names), on="prompt", how="left", maintain_order="left")
    first_is_smaller = pl.col("response_1") <= pl.col("response_2")
    raw = raw.with_columns(
        _smaller=pl.when(first_is_smaller).then("response_1").otherwise("response_2"),
        _larger=pl.when(first_is_smaller).then("response_2").otherwise("response_1"),
    )
    keys = ["_prompt_json", "_smaller", "_larger"]
    choices = raw.select(keys).unique()
    ids = [_pair_id(*row) for row in choices.iter_rows()]
    choices = choices.with_columns(pair_id=pl.Series(ids, dtype=pl.UInt64))
    _refuse_collisions(choices)
    raw = raw.join(choices, on=keys, how="left", maintain_order="left")
    wide = _orient(raw).with_columns(dataset=pl.lit(meta.dataset))
    wide = wide.select(name for name in PREFERENCES.names if name in wide.columns)
    prefs = from_wide(wide, replace(meta.with_dropped(dropped), oriented=True))
    check(prefs.votes, replace(PREFERENCES, columns=_vote_schema()), meta.dataset)
    return prefs


def _vote_schema() -> tuple[Column, ...]:
    return tuple(column for column in PREFERENCES.columns if column.name in VOTE_COLUMNS)


def _drop_impossible(raw: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    dropped = {}
    missing = pl.any_horizontal(pl.col("prompt", "response_1", "response_2").is_null())
    empty = pl.any_horizontal(pl.col("response_1", "response_2").str.strip_chars() == "")
    identical = pl.col("response_1") == pl.col("response_2")
    for reason, bad in (
        ("missing text", missing),
        ("empty response", empty),
        ("identical responses", identical),
    ):
        kept = raw.filter(~bad)
        dropped[reason] = raw.height - kept.height
        raw = kept
    return raw, dropped


def _refuse_collisions(choices: pl.DataFrame) -> None:
    twice = choices.filter(choices["pair_id"].is_duplicated()).sort("pair_id")
    if twice.height:
        raise FailedError(
            "two different pairs have the same pair_id",
            problems=[
                f"{row['pair_id']}: {row['_prompt_json'][:80]} {row['_smaller'][:40]!r}"
                f" against {row['_larger'][:40]!r}"
                for row in twice.head(4).iter_rows(named=True)
            ],
        )


def _orient(raw: pl.DataFrame) -> pl.DataFrame:
    """Turns response_1/2 into response_a/b by the lowest bit of the pair id."""
    smaller_first = pl.col("pair_id") % 2 == 0
    keep = (pl.col("response_1") == pl.col("_smaller")) == smaller_first
    columns = [
        pl.when(keep).then("response_1").otherwise("response_2").alias("response_a"),
        pl.when(keep).then("response_2").otherwise("response_1").alias("response_b"),
        pl.when(keep).then(pl.col("label")).otherwise(1 - pl.col("label")).alias("label"),
    ]
    for name, dtype in (("score", pl.Float32), ("source", pl.String)):
        if f"{name}_1" in raw.columns:
            one, two = pl.col(f"{name}_1").cast(dtype), pl.col(f"{name}_2").cast(dtype)
            columns.append(pl.when(keep).then(one).otherwise(two).alias(f"{name}_a"))
            columns.append(pl.when(keep).then(two).otherwise(one).alias(f"{name}_b"))
    if "shown_first" in raw.columns:
        first = pl.col("shown_first").cast(pl.String)
        is_a = (first == "1") == keep
        side = (
            pl.when(first.is_null()).then(None).when(is_a).then(pl.lit("a")).otherwise(pl.lit("b"))
        )
        columns.append(side.alias("shown_first"))
    if "user_id" not in raw.columns:
        raw = raw.with_columns(user_id=pl.lit(None, dtype=pl.String))
    if "group" not in raw.columns:
        raw = raw.with_columns(group=pl.lit(None, dtype=pl.String))
    columns.append(pl.coalesce("group", "_prompt_group").alias("group"))
    occurrence = pl.int_range(pl.len()).over("user_id", "pair_id").cast(pl.UInt16)
    return raw.with_columns(*columns, occurrence=occurrence)


def from_wide(wide: pl.DataFrame, meta: Meta) -> Preferences:
    """Splits a wide table into votes and pairs; texts of a pair are those of its first row."""
    wide = conform(wide, PREFERENCES)
    votes = wide.drop(TEXT_COLUMNS)
    pairs = wide.select("pair_id", *TEXT_COLUMNS).unique("pair_id", keep="first")
    return Preferences(_sorted_votes(votes), pairs.cast({"prompt": MESSAGES}).sort("pair_id"), meta)


def _sorted_votes(votes: pl.DataFrame) -> pl.DataFrame:
    votes = votes.with_columns(
        pl.col(name).cast(pl.Categorical) for name in DICTIONARY_COLUMNS if name in votes.columns
    )
    order = [pl.col("group").cast(pl.String), pl.col("pair_id"), pl.col("user_id").cast(pl.String)]
    return votes.sort([*order, pl.col("occurrence")], nulls_last=True)


def read_votes(source: Source, columns: Sequence[str] = VOTE_COLUMNS) -> tuple[pl.DataFrame, Meta]:
    """Reads the narrow half of a table without touching any text.

    Args:
        source: A path or the bytes of a Parquet file.
        columns: The vote columns that are needed.

    Returns:
        The votes in file order, names as Categorical, and the metadata.

    Raises:
        DataError: As `plt.data.tables.table.read_table`.
    """
    meta, _ = read_meta(source)
    if not meta.oriented:
        prefs = read_preferences(source)
        return prefs.votes.select(columns), prefs.meta
    votes, meta = read_table(source, PREFERENCES, columns)
    names = [name for name in DICTIONARY_COLUMNS if name in votes.columns]
    return votes.with_columns(pl.col(names).cast(pl.Categorical)), meta


def read_preferences(source: Source, *, unique_keys: bool = True) -> Preferences:
    """Reads a whole table, oriented.

    Tables that plt wrote are trusted to be oriented. In others each pair id must always name the
    same two texts, `group` is filled where it is missing, and rows whose `response_a` is not the
    one that the hash chooses are turned round; that is counted in ``meta.dropped`` nowhere, since
    nothing is lost, and said by the caller through `Preferences.meta.oriented`.

    Args:
        source: A path or the bytes of a Parquet file.
        unique_keys: Whether repeated keys are refused; `dataset-lint` reads them to count them.

    Returns:
        The table.

    Raises:
        DataError: As `read_table`; or one pair id names different texts.
    """
    name = source_name(source)
    wide, meta = read_table(source, PREFERENCES, unique_keys=unique_keys)
    if wide.height == 0:
        raise DataError(f"{name} has no rows", hint="plt ls datasets")
    if meta.oriented:
        return from_wide(wide, meta)
    return orient_foreign(wide, meta, name)


def orient_foreign(wide: pl.DataFrame, meta: Meta, name: str) -> Preferences:
    """Checks and orients a table that plt did not write; see `read_preferences`."""
    smaller = pl.min_horizontal("response_a", "response_b")
    larger = pl.max_horizontal("response_a", "response_b")
    texts = wide.select("pair_id", "prompt", smaller=smaller, larger=larger).unique()
    inconsistent = texts.filter(texts["pair_id"].is_duplicated())["pair_id"].unique().sort()
    if inconsistent.len():
        raise DataError(
            f"{name}: a pair_id must always name the same prompt and responses",
            problems=[f"pair_id {value} names different texts" for value in inconsistent],
            hint=f"plt dataset-convert generic {name} -o fixed.parquet",
        )
    turned = (pl.col("response_a") == smaller) != (pl.col("pair_id") % 2 == 0)
    swaps = [
        pl.when(turned).then("response_b").otherwise("response_a").alias("response_a"),
        pl.when(turned).then("response_a").otherwise("response_b").alias("response_b"),
        pl.when(turned).then(1 - pl.col("label")).otherwise("label").alias("label"),
    ]
    for one, two in SIDED:
        swaps.append(pl.when(turned).then(two).otherwise(one).alias(one))
        swaps.append(pl.when(turned).then(one).otherwise(two).alias(two))
    first = pl.col("shown_first").cast(pl.String)
    swapped = pl.when(first == "a").then(pl.lit("b")).when(first == "b").then(pl.lit("a"))
    side = pl.when(turned).then(swapped).otherwise(first)
    swaps.append(side.cast(PREFERENCES.column("shown_first").dtype).alias("shown_first"))
    wide = wide.with_columns(swaps)
    if wide["group"].null_count():
        prompts = wide.select("prompt").unique()
        groups = [prompt_group(prompt_json(prompt)) for prompt in prompts["prompt"].to_list()]
        prompts = prompts.with_columns(_group=pl.Series(groups, dtype=pl.String))
        wide = wide.join(prompts, on="prompt", how="left", maintain_order="left")
        wide = wide.with_columns(pl.coalesce("group", "_group").alias("group")).drop("_group")
    return from_wide(wide, replace(meta, oriented=True))


def count_turned(source: Source) -> int:
    """How many rows of a foreign table have the two responses the other way round.

    0 for tables that are no preferences at all: their reader says what they are.
    """
    columns = ["pair_id", "response_a", "response_b"]
    if not set(columns) <= set(pl.read_parquet_schema(open_source(source))):
        return 0
    part = replace(PREFERENCES, columns=tuple(PREFERENCES.column(name) for name in columns))
    wide = conform(pl.read_parquet(open_source(source), columns=columns), part)
    if validate(wide, part):
        return 0
    smaller_first = pl.col("response_a") <= pl.col("response_b")
    return wide.filter(smaller_first != (pl.col("pair_id") % 2 == 0)).height


def write_preferences(prefs: Preferences, target: Path | None) -> bytes:
    """Writes the wide form, sorted by (group, pair_id), with its content hash.

    Args:
        prefs: The table.
        target: A file, or None to get the bytes for a pipe.

    Returns:
        The bytes when `target` is None, else nothing.
    """
    meta = replace(prefs.meta, content=content_hash(prefs.votes))
    return write_table(prefs.wide(), PREFERENCES, target, meta)
