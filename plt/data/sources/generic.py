"""Anybody's preference file: pair form, chosen/rejected form or rating form.

Source: a JSONL, JSON, CSV, TSV or Parquet file, gzipped or not. Which form it has is decided by
`--map` and else by its column names. Dropped and counted: rows without a judgement, equal scores
(unless `--tie-below` makes them ties), ratings without a score, rows with invalid unicode, exact
copies of earlier rows (only when that is asked for: a copy and a second judgement that agrees look
alike, and dropping agreements alone would make people seem less consistent), and what
`plt.data.tables.preferences.build` drops (identical, empty and missing responses).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from plt.data.reading import field_map
from plt.data.reading.chosen_rows import read_chosen
from plt.data.reading.conversation import Message, prompt_series, to_messages
from plt.data.reading.field_map import STAR, Cells, judgements, positions, texts
from plt.data.reading.forms import ROW_FIELDS, FilePlan, plan_of
from plt.data.reading.labels import parse_label_values, read_labels
from plt.data.reading.ratings import PairRule, pairs_of_ratings
from plt.data.reading.raw_files import RawTable, no_collection, read
from plt.data.remarks import Say, warn
from plt.data.tables.preferences import Preferences, build, prompt_json
from plt.data.tables.schema import SPLITS, USER_SPLITS
from plt.data.tables.table import Meta
from plt.errors import DataError, UsageError

SPLIT_NAMES = {**{name: name for name in SPLITS}, "validation": "val", "valid": "val", "dev": "val"}
USER_SPLIT_NAMES = {name: name for name in USER_SPLITS}
_Rows = tuple[pl.DataFrame, dict[str, int]]
JOIN_PROMPT = "\n\n"
NO_LABEL = "no label"
KEEP, DROP = DUPLICATES = ("keep", "drop")


@dataclass(frozen=True)
class GenericOptions:
    """How to read a file of unknown origin.

    Attributes:
        mapping: Field to source, see `plt.data.reading.field_map`. Several sources of `prompt` are
            joined by an empty line; several of `label` or `score` are several users, named by
            their columns.
        label_values: Word of the file to `a`, `b` or `tie`.
        rule: How rated responses become pairs.
        dataset: The name of the data in every table made from it.
        license: The licence that travels with it.
        duplicates: `keep` or `drop` rows that equal an earlier row in every raw column.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    label_values: Mapping[str, str] = field(default_factory=dict)
    rule: PairRule = field(default_factory=PairRule)
    dataset: str = "generic"
    license: str | None = None
    duplicates: str = KEEP

    @classmethod
    def parse(
        cls,
        maps: Sequence[str] = (),
        label_values: str | None = None,
        tie_below: float | None = None,
        pairs: str = "all",
        seed: int = 0,
        duplicates: str = KEEP,
        **names: str,
    ) -> "GenericOptions":
        """The options as the flags of `dataset-convert` give them.

        Raises:
            UsageError: A flag cannot be read.
        """
        rule = PairRule.parse(pairs, tie_below, seed)
        if duplicates not in DUPLICATES:
            raise UsageError(f"--duplicates is keep or drop, not {duplicates!r}")
        words = parse_label_values(label_values)
        return cls(field_map.parse_map(maps), words, rule, duplicates=duplicates, **names)


@no_collection()
def convert(raw: Path | bytes | RawTable, options: GenericOptions, say: Say = warn) -> Preferences:
    """Converts a file of unknown origin.

    Args:
        raw: A file, the bytes that came through a pipe, or rows that were read already.
        options: What is what.
        say: Takes one sentence about everything that was not asked for but recognised.

    Returns:
        The table, with the counts of what was dropped in its metadata.

    Raises:
        DataError: The file cannot be read, columns are missing, or values have no meaning; all
            problems of a kind are named with their rows.
        UsageError: The options contradict each other.
    """
    rows = raw if isinstance(raw, RawTable) else read(raw)
    table = _without_copies(rows, options, say)
    plan = plan_of(table, options.mapping, say)
    frame, dropped = _FORMS[plan.form](table, plan, options, say)
    meta = Meta(
        dataset=options.dataset,
        license=options.license,
        source_hash=table.source_hash,
    )
    prefs = build(frame, meta.with_dropped(table.dropped).with_dropped(dropped))
    if prefs.votes.height == 0:
        counts = [f"{count} dropped: {why}" for why, count in prefs.meta.dropped.items()]
        raise DataError(f"{table.name} leaves no pair", problems=counts)
    return prefs


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


def _prompts(table: RawTable, plan: FilePlan) -> list[list[Message] | None]:
    parts = field_map.split_sources(table, plan.sources["prompt"])
    if len(parts) == 1:
        cells = field_map.values(table, parts[0])
        return list(field_map.each(table, "prompt", cells, to_messages))
    joined = zip(*(texts(table, part, "prompt") for part in parts), strict=True)
    return [to_messages(JOIN_PROMPT.join(filter(None, row)) or None) for row in joined]


def _answers(table: RawTable, source: str) -> list[str | None]:
    """Responses as texts; a list of one assistant message is its content."""

    def read_answer(cell: Any) -> str | None:
        if isinstance(cell, list) and len(cell) == 1 and isinstance(cell[0], dict):
            return to_messages(cell)[0]["content"]  # type: ignore[index]  # the None and the wrong shapes are caught
        return field_map.text(cell)

    return list(field_map.each(table, source, field_map.values(table, source), read_answer))


def _row_fields(table: RawTable, plan: FilePlan, options: GenericOptions, say: Say) -> pl.DataFrame:
    """User, group, splits, subset and profile of every row, as texts."""
    found: dict[str, Sequence[str | None]] = {}
    for name in ROW_FIELDS:
        if name not in plan.sources:
            continue
        source = plan.sources[name]
        if len(field_map.split_sources(table, source)) > 1:
            raise UsageError(
                f"{name} is one source, not {source!r}",
                hint=f"--map label={source} (each column is one user)",
            )
        cells = texts(table, source, name)
        if name in ("split", "user_split"):
            known = SPLIT_NAMES if name == "split" else USER_SPLIT_NAMES
            strangers = sorted({cell for cell in cells if cell and cell.lower() not in known})
            if strangers:
                shown = f"{source} holds {', '.join(map(repr, strangers[:5]))}, no {name}"
                if name in options.mapping:
                    raise DataError(f"{table.name}: {shown}: {', '.join(known)} are known")
                say(f"{shown}: left out")
                continue
            cells = [known[cell.lower()] if cell else None for cell in cells]
        found[name] = cells
    schema = dict.fromkeys(found, pl.String)
    frame = pl.DataFrame(found, schema=schema)
    return frame.with_row_index("row") if found else pl.DataFrame({"row": range(table.height)})


def _side_fields(table: RawTable, plan: FilePlan) -> dict[str, list[Any]]:
    """Scores and source names of the two responses, where the file has both."""
    found: dict[str, list[Any]] = {}
    for name in ("score", "source"):
        one, two = f"{name}_1", f"{name}_2"
        if one in plan.sources and two in plan.sources:
            for side in (one, two):
                source = plan.sources[side]
                if name == "source":
                    found[side] = list(texts(table, source, side))
                else:
                    cells = field_map.values(table, source)
                    found[side] = list(field_map.each(table, side, cells, number))
    return found


def number(cell: Any) -> float | None:
    """A score as a finite number; None and empty text are None.

    Raises:
        ValueError: It is no number, NaN or infinite.
    """
    if cell is None or cell == "":
        return None
    try:
        value = float(cell)
    except (TypeError, ValueError):
        raise ValueError(f"{str(cell)[:40]!r} is not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    return value


def _judged(
    frame: pl.DataFrame, cells: Cells, label: Sequence[float | None], options: GenericOptions
) -> pl.DataFrame:
    """One row a cell, with its label and, where the cells say it, its user."""
    judged = frame[cells.rows].with_columns(pl.Series("label", label, dtype=pl.Float64))
    if cells.users is None:
        return judged
    _refuse_two_users(options)
    return judged.with_columns(pl.Series("user_id", cells.users, dtype=pl.String))


def _refuse_two_users(options: GenericOptions) -> None:
    if "user_id" in options.mapping:
        raise UsageError(
            "the users are named twice: by --map user_id and by several label or score columns",
            hint="leave --map user_id out",
        )


def _pair_form(table: RawTable, plan: FilePlan, options: GenericOptions, say: Say) -> _Rows:
    names = plan.sources["response_1"], plan.sources["response_2"]
    sides = _side_fields(table, plan)
    frame = _row_fields(table, plan, options, say).with_columns(
        prompt_series(_prompts(table, plan)),
        pl.Series("response_1", _answers(table, names[0]), dtype=pl.String),
        pl.Series("response_2", _answers(table, names[1]), dtype=pl.String),
        *(pl.Series(name, cells) for name, cells in sides.items()),
    )
    if "label" not in plan.sources:
        return frame.with_columns(label=pl.lit(None, dtype=pl.Float64)), {}
    source = plan.sources["label"]
    cells = judgements(table, source)
    labels = read_labels(table, cells, source=source, words=options.label_values, responses=names)
    judged = _judged(frame, cells, labels, options)
    kept = judged.filter(pl.col("label").is_not_null())
    return kept, {NO_LABEL: judged.height - kept.height}


def _chosen_form(table: RawTable, plan: FilePlan, options: GenericOptions, say: Say) -> _Rows:
    names = plan.sources["chosen"], plan.sources["rejected"]
    prompt = plan.sources.get("prompt")
    pairs = read_chosen(table, *names, prompt, say)
    fields = _row_fields(table, plan, options, say).with_columns(
        pl.Series(name, cells) for name, cells in _side_fields(table, plan).items()
    )
    frame = fields[pairs.rows].with_columns(
        prompt_series(pairs.prompts),
        pl.Series("response_1", pairs.chosen, dtype=pl.String),
        pl.Series("response_2", pairs.rejected, dtype=pl.String),
        label=pl.lit(1.0),
    )
    return frame, pairs.dropped


def _rating_form(table: RawTable, plan: FilePlan, options: GenericOptions, say: Say) -> _Rows:
    prompts = _prompts(table, plan)
    fields = _row_fields(table, plan, options, say).with_columns(
        prompt_series(prompts),
        pl.Series("_prompt", [prompt_json(p) if p else None for p in prompts], dtype=pl.String),
    )
    ratings, by_cell = _ratings(table, plan)
    if by_cell:
        _refuse_two_users(options)
        fields = fields.drop("user_id", strict=False)
    ratings = ratings.join(fields, on="row", how="left", maintain_order="left")
    for key in ("user_id", "group"):
        if key not in ratings.columns:
            ratings = ratings.with_columns(pl.lit(None, dtype=pl.String).alias(key))
    wide = STAR in _starred(table, plan.sources["response"])
    keys = ["row", "user_id"] if wide else ["_prompt", "user_id", "group"]
    lists = ratings.select(keys).unique(maintain_order=True).with_row_index("list")
    ratings = ratings.join(lists, on=keys, how="left", nulls_equal=True, maintain_order="left")
    name = pl.concat_str("_prompt", "user_id", separator=" ", ignore_nulls=True)
    ratings = ratings.with_columns(seed_text=name)
    pairs, dropped = pairs_of_ratings(ratings, options.rule, table.name)
    attributes = ["prompt", *(field for field in ROW_FIELDS if field in ratings.columns)]
    of_list = ratings.select("list", *attributes).unique("list", keep="first", maintain_order=True)
    return pairs.join(of_list, on="list", how="left", maintain_order="left"), dropped


def _starred(table: RawTable, source: str) -> str:
    """A source of lists, with the star for the positions in them that was left out."""
    if STAR in source or source.startswith("="):
        return source
    cells = field_map.values(table, field_map.split_sources(table, source)[0])
    return f"{source}.{STAR}" if any(isinstance(cell, list) for cell in cells) else source


def _ratings(table: RawTable, plan: FilePlan) -> tuple[pl.DataFrame, bool]:
    """One row a scored response: row, user_id (where a cell says it), response, source, score."""
    response = _starred(table, plan.sources["response"])
    score = _starred(table, plan.sources["score"])
    source = plan.sources.get("source")
    source = None if source is None else _starred(table, source)
    parts = []
    stars: Sequence[str | None] = positions(table, response) or [None]
    for star in stars:
        name = response.replace(STAR, star or STAR)
        cells = judgements(table, score, star)
        models = None if source is None else source.replace(STAR, star or STAR)
        part = pl.DataFrame(
            {
                "response": _answers(table, name),
                "source": None if models is None else texts(table, models, "source"),
            },
            schema={"response": pl.String, "source": pl.String},
        )[cells.rows]
        numbers = list(field_map.each(table, score, cells.values, number, cells.rows))
        part = part.with_columns(
            pl.Series("row", cells.rows, dtype=pl.UInt32),
            pl.Series("score", numbers, dtype=pl.Float64),
        )
        if cells.users is not None:
            part = part.with_columns(pl.Series("user_id", cells.users, dtype=pl.String))
        parts.append(part)
    ratings = pl.concat(parts, how="diagonal")
    return ratings, "user_id" in ratings.columns


_FORMS: Mapping[str, Callable[[RawTable, FilePlan, GenericOptions, Say], _Rows]] = {
    "chosen": _chosen_form,
    "pair": _pair_form,
    "rating": _rating_form,
}
