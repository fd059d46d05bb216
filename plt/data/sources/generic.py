"""Anybody's preference file: a public schema, pair form, chosen/rejected form or rating form.

Source: a JSONL, JSON, CSV, TSV or Parquet file, gzipped or not, a folder or a pattern of such
files. Which form it has is decided by `--map`, by the columns of public schemas, and else by the
names of its columns. Dropped and counted: rows without a judgement, equal scores (unless
`--tie-below` makes them ties), ratings without a score, rows that cannot be read (up to 5 %), rows
with invalid unicode, exact copies of earlier rows (only when that is asked for: a copy and a second
judgement that agrees look alike, and dropping agreements alone would make people seem less
consistent), and what `plt.data.tables.preferences.build` drops (identical, empty and missing
responses).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from plt.data.reading import field_map
from plt.data.reading.bad_rows import BadRows
from plt.data.reading.field_map import exists, split_sources
from plt.data.reading.judged.encoded import decoded
from plt.data.reading.judged.list_form import rating_form
from plt.data.reading.judged.pair_form import chosen_form, pair_form
from plt.data.reading.judged.rows import Asked
from plt.data.reading.labels.words import parse_label_values
from plt.data.reading.ratings import PairRule
from plt.data.reading.raw_files import RawTable, no_collection
from plt.data.reading.roles import kinds
from plt.data.reading.roles.left_out import in_words
from plt.data.reading.roles.plan import FilePlan, plan_of
from plt.data.reading.schemas.registry import recognise
from plt.data.reading.shards import read_all
from plt.data.remarks import Say, warn
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta
from plt.errors import DataError, UsageError

_Rows = tuple[pl.DataFrame, dict[str, int]]
KEEP, DROP = DUPLICATES = ("keep", "drop")
UNTOLD = "left out"


MIN_SIDED, ALWAYS = 20, 0.98
"""From so many judgements on, this share of one side is said."""


@dataclass(frozen=True)
class GenericOptions:
    """How to read a file of unknown origin.

    Attributes:
        mapping: Field to source, see `plt.data.reading.field_map`. Several sources of `prompt` are
            joined by an empty line; several of `label` or `score` are several users, named by
            their columns.
        label_values: Word of the file to `a`, `b`, `tie` or `none`.
        rule: How rated responses become pairs.
        dataset: The name of the data in every table made from it.
        license: The licence that travels with it.
        duplicates: `keep` or `drop` rows that equal an earlier row in every raw column.
        unlabelled: Whether pairs without any label are meant.
        strict: Whether one row that cannot be read is too many.
        rule_said: Whether `rule` was asked for.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    label_values: Mapping[str, str] = field(default_factory=dict)
    rule: PairRule = field(default_factory=PairRule)
    dataset: str = "generic"
    license: str | None = None
    duplicates: str = KEEP
    unlabelled: bool = False
    strict: bool = False
    rule_said: tuple[str, ...] = ()

    @classmethod
    def parse(
        cls,
        maps: Sequence[str] = (),
        label_values: str | None = None,
        tie_below: float | None = None,
        pairs: str | None = None,
        seed: int = 0,
        duplicates: str = KEEP,
        **others: Any,
    ) -> "GenericOptions":
        """The options as the flags of `dataset-convert` give them; `others` are the same in both.

        Raises:
            UsageError: A flag cannot be read.
        """
        rule = PairRule.parse(pairs or "all", tie_below, seed)
        if duplicates not in DUPLICATES:
            raise UsageError(f"--duplicates is keep or drop, not {duplicates!r}")
        words = parse_label_values(label_values)
        said = [("--pairs", pairs not in (None, "all")), ("--tie-below", tie_below is not None)]
        flags = tuple(flag for flag, given in said if given)
        mapping = field_map.parse_map(maps)
        return cls(mapping, words, rule, duplicates=duplicates, rule_said=flags, **others)


@dataclass(frozen=True)
class Planned:
    """A raw file, read, and what it was taken for.

    Attributes:
        table: Its rows.
        plan: Which column is what.
        schema: The title of its public schema, where it has one.
        marks: What that was recognised by.
    """

    table: RawTable
    plan: FilePlan
    schema: str | None = None
    marks: str | None = None


@no_collection()
def convert(raw: Path | bytes | RawTable, options: GenericOptions, say: Say = warn) -> Preferences:
    """Converts a file of unknown origin.

    Args:
        raw: A file, a folder or a pattern of files, the bytes that came through a pipe, or rows
            that were read already.
        options: What is what.
        say: Takes one sentence about everything that was not asked for but recognised.

    Returns:
        The table, with the counts of what was dropped in its metadata.

    Raises:
        DataError: The file cannot be read, columns are missing, or values have no meaning; all
            problems of a kind are named with their rows.
        UsageError: The options contradict each other, or a flag has no use for this file.
    """
    return converted(planned(raw, options, say), options, say)


def planned(raw: Path | bytes | RawTable, options: GenericOptions, say: Say = warn) -> Planned:
    """Reads a file and decides what its columns are; says so in one line.

    Args:
        raw: As `convert`.
        options: As `convert`.
        say: As `convert`.

    Raises:
        DataError: As `convert`.
        UsageError: As `convert`.
    """
    rows = raw if isinstance(raw, RawTable) else read_all(raw)
    table = decoded(_without_copies(rows, options, say), say)
    known = recognise(table)
    if known is not None and not _mapped_there(known.table, options.mapping):
        known = None
    if known is not None:
        table = known.table
    plan = plan_of(
        table,
        options.mapping,
        options.label_values,
        known=None if known is None else known.known,
        unlabelled=options.unlabelled,
    )
    by_schema = known is not None and plan.form == known.known.form
    if by_schema and known is not None:
        say(f"recognised as {known.schema.title} by {known.schema.marks}")
        for note in known.known.notes:
            say(note)
    guessed = [name for name in plan.sources if name not in options.mapping]
    if guessed:
        say(f"read as the {plan.form} form: {plan.map_line()}")
    if plan.left_out:
        say(f"{UNTOLD}: {in_words(plan.left_out)}")
    if not by_schema or known is None:
        return Planned(table, plan)
    return Planned(table, plan, known.schema.title, known.schema.marks)


def converted(found: Planned, options: GenericOptions, say: Say = warn) -> Preferences:
    """The table of a planned file.

    Args:
        found: The file and its plan.
        options: As `convert`.
        say: As `convert`.

    Raises:
        DataError: As `convert`.
        UsageError: As `convert`.
    """
    table, plan = found.table, found.plan
    _refuse_useless(plan, options)
    bad = BadRows(table)
    asked = Asked(
        table, plan.sources, frozenset(options.mapping), plan.words, options.rule, bad, say,
        options.unlabelled, plan.by_score, plan.equal_ties, plan.scored_by,
    )  # fmt: skip
    frame, dropped = _FORMS[plan.form](asked)
    unread = bad.settle(strict=options.strict or (len(bad) > 0 and frame.height == 0))
    if len(bad) and "row" in frame.columns:
        frame = frame.filter(~pl.col("row").is_in([r for r in range(table.height) if r in bad]))
    if "label" in frame.columns and options.unlabelled and frame["label"].is_not_null().any():
        say("--unlabelled was not needed: there are labels")
    _say_merged(frame, found, say)
    if plan.form == "pair":
        _say_first(frame, say)
    meta = Meta(dataset=options.dataset, license=options.license, source_hash=table.source_hash)
    meta = meta.with_dropped(table.dropped).with_dropped(unread).with_dropped(dropped)
    prefs = build(frame, meta)
    if prefs.votes.height == 0:
        counts = [f"{count} dropped: {why}" for why, count in prefs.meta.dropped.items()]
        raise DataError(f"{table.name} leaves no pair", problems=counts)
    nobody = prefs.votes["user_id"].null_count()
    if "user_id" in plan.sources and nobody:
        say(f"{nobody} of {prefs.votes.height} judgements are of nobody: no name stands there")
    return prefs


def _say_first(frame: pl.DataFrame, say: Say) -> None:
    """Says where the preferred response always stands in one place as the data came.

    Which response is `a` is decided by a hash, so the table does not show it; but a label that is
    the same in every row may be a column that is no label, and people who always saw the better
    text first were not asked blindly.
    """
    if "label" not in frame.columns:
        return
    sided = frame.filter(pl.col("label").is_not_null() & (pl.col("label") != 0.5))["label"]
    share = float((sided > 0.5).sum() / sided.len()) if sided.len() >= MIN_SIDED else 0.5
    if max(share, 1 - share) >= ALWAYS:
        place = "first" if share > 0.5 else "second"
        say(
            f"in {100 * max(share, 1 - share):.0f} % of {sided.len()} judgements the response that"
            f" stands {place} as the data came is preferred: is this the label, and were people"
            " shown both orders?"
        )


def _mapped_there(table: RawTable, mapping: Mapping[str, str]) -> bool:
    return all(
        exists(table, part) for source in mapping.values() for part in split_sources(table, source)
    )


def _refuse_useless(plan: FilePlan, options: GenericOptions) -> None:
    """Flags that nothing in a file of this form uses."""
    useless = []
    if plan.form != "rating":
        useless += [flag for flag in options.rule_said if flag == "--pairs" or not plan.by_score]
    if options.label_values and not ({"label", "ranking"} & set(plan.sources)):
        useless.append("--label-values")
    if useless:
        kind = {"chosen": "chosen and rejected answers", "pair": "pairs", "rating": "ratings"}
        raise UsageError(
            f"{' and '.join(useless)} has no use: this file holds {kind[plan.form]}",
            hint=f"leave {' and '.join(useless)} out",
        )


def _without_copies(table: RawTable, options: GenericOptions, say: Say) -> RawTable:
    """Drops exact copies of rows where that is asked for, else says how many there are."""
    repeats = table.exact_repeats()
    if not repeats:
        return table
    if options.duplicates == DROP:
        return table.without(repeats, "exact duplicate row")
    rows = "1 row repeats" if len(repeats) == 1 else f"{len(repeats)} rows repeat"
    say(
        f"{rows} an earlier row exactly; if they are copies and not second judgements,"
        " add --duplicates drop"
    )
    return table


def _say_merged(frame: pl.DataFrame, found: Planned, say: Say) -> None:
    """Rows that are the same choice to the reader and differ in a text that nobody reads."""
    names = found.plan.left_out.get(kinds.TEXT, [])
    texts = ["prompt", "response_1", "response_2"]
    if not names or not {"row", *texts} <= set(frame.columns):
        return
    ends = [f("response_1", "response_2") for f in (pl.min_horizontal, pl.max_horizontal)]
    key = pl.struct("prompt", smaller=ends[0], larger=ends[1]).hash()
    ids = frame.select("row", key=key)
    again = ids.filter(pl.col("key").is_duplicated())
    for name in names:
        cells = pl.Series(name, found.table.columns[name], dtype=pl.String)
        told = again.with_columns(text=cells[again["row"]])
        pairs = told.group_by("key").agg(pl.col("text").n_unique()).filter(pl.col("text") > 1)
        if pairs.height:
            say(
                f"{pairs.height} pairs stand under several texts of {name}, which is left out; if"
                f" it belongs to the prompt: --map prompt={name},{found.plan.sources.get('prompt')}"
            )


_FORMS: Mapping[str, Callable[[Asked], _Rows]] = {
    "chosen": chosen_form,
    "pair": pair_form,
    "rating": rating_form,
}
