"""Rows with several rated, ranked or chosen responses as judgements: wide, in lists, or long."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from plt.data.reading.bad_rows import Unreadable
from plt.data.reading.conversation import prompt_series
from plt.data.reading.field_map import STAR, positions, split_sources, text, values
from plt.data.reading.judged.answers import Answer, choice, one_answer
from plt.data.reading.judged.contexts import contexts, prompt_cells
from plt.data.reading.judged.judges import Cells, judgements, ratings_at
from plt.data.reading.judged.numbers import reader
from plt.data.reading.judged.people import is_nothing, label_texts, times
from plt.data.reading.judged.rankings import is_best_alone, ranks
from plt.data.reading.judged.rows import ROW_FIELDS, Asked, row_fields
from plt.data.reading.ratings import pairs_of_ratings
from plt.data.tables.preferences import prompt_json
from plt.errors import UsageError

Rows = tuple[pl.DataFrame, dict[str, int]]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def rating_form(asked: Asked) -> Rows:
    """Rated responses; the ratings of one person for one prompt are a list, which makes pairs."""
    wide = _is_wide(asked)
    texts, prompts = _responses(asked)
    fields = row_fields(asked).with_columns(
        prompt_series(prompts),
        pl.Series("_prompt", [prompt_json(p) if p else None for p in prompts], dtype=pl.String),
    )
    if {"ranking", "label"} & set(asked.sources) and not {"score", "rank"} & set(asked.sources):
        ratings, dropped = _ranked(asked, texts)
        by_cell = "user_id" in ratings.columns
    else:
        ratings, by_cell = _rated(asked, texts)
        dropped = {}
    if by_cell:
        if "user_id" in asked.mapped and STAR not in asked.sources["user_id"]:
            raise UsageError(
                "the users are named twice: by --map user_id and by several label or score columns",
                hint="leave --map user_id out",
            )
        fields = fields.drop("user_id", strict=False)
    ratings = ratings.filter(
        ~pl.col("row").is_in([row for row in range(asked.table.height) if row in asked.bad])
    )
    ratings = ratings.join(fields, on="row", how="left", maintain_order="left")
    for key in ("user_id", "group"):
        if key not in ratings.columns:
            ratings = ratings.with_columns(pl.lit(None, dtype=pl.String).alias(key))
    pairs, more = _pairs(asked, ratings, wide)
    return pairs, {**dropped, **more}


def _is_wide(asked: Asked) -> bool:
    return STAR in starred(asked, asked.sources["response"])


def _pairs(asked: Asked, ratings: pl.DataFrame, wide: bool) -> Rows:
    keys = ["row", "user_id"] if wide else ["_prompt", "user_id", "group"]
    if "act" in ratings.columns:
        keys = ["row", "act"]
    lists = ratings.select(keys).unique(maintain_order=True).with_row_index("list")
    ratings = ratings.join(lists, on=keys, how="left", nulls_equal=True, maintain_order="left")
    name = pl.concat_str("_prompt", "user_id", separator=" ", ignore_nulls=True)
    ratings = ratings.with_columns(seed_text=name)
    alone = ratings.filter(pl.col("score").is_not_null() & pl.col("response").is_not_null())
    alone = (
        alone.group_by("list").agg(pl.col("response").n_unique()).filter(pl.col("response") == 1)
    )
    if alone.height:
        asked.say(
            f"{alone.height} of {lists.height} lists hold one rated response, and make no pair"
        )
    ties = "rank" in asked.sources or "act" in ratings.columns
    pairs, dropped = pairs_of_ratings(ratings, asked.rule, asked.table.name, equal_ties=ties)
    attributes = ["prompt", *(field for field in ROW_FIELDS if field in ratings.columns)]
    attributes += [name for name in ("judged_at", "best_alone") if name in ratings.columns]
    of_list = ratings.select("list", *attributes).unique("list", keep="first", maintain_order=True)
    pairs = pairs.join(of_list, on="list", how="left", maintain_order="left")
    if "best_alone" in pairs.columns:
        # Nothing was said of two responses of which neither is the best.
        pairs = pairs.filter(~(pl.col("best_alone") & (pl.col("label") == 0.5))).drop("best_alone")
    if ties:
        pairs = pairs.drop("score_1", "score_2")
    return pairs, dropped


def starred(asked: Asked, source: str) -> str:
    """A source of lists, with the star for the positions in them that was left out."""
    if STAR in source or source.startswith("="):
        return source
    cells = values(asked.table, split_sources(asked.table, source)[0])
    inner = any(isinstance(cell, list) and not _is_talk(cell) for cell in cells)
    return f"{source}.{STAR}" if inner else source


def _is_talk(cell: list[Any]) -> bool:
    return all(isinstance(e, Mapping) and ("role" in e or "from" in e) for e in cell)


def _marks(asked: Asked) -> Sequence[str | None]:
    return positions(asked.table, starred(asked, asked.sources["response"])) or [None]


def _responses(asked: Asked) -> tuple[list[list[str | None]], list[Any]]:
    """The texts of the responses, a column for each place, and the prompt of every row."""
    table, bad = asked.table, asked.bad
    source = starred(asked, asked.sources["response"])
    prompts = contexts(table, asked.sources, prompt_cells(table, asked.sources, bad), bad)
    columns: list[list[str | None]] = []
    for mark in _marks(asked):
        name = source if mark is None else source.replace(STAR, mark)
        cells = values(table, name)
        if set(map(type, cells)) <= {str, type(None)}:
            columns.append(cells)
            continue
        answers: list[Answer] = bad.each(name, cells, one_answer)
        texts: list[str | None] = []
        for row, answer in enumerate(answers):
            found: str | None = answer if isinstance(answer, str) else None
            if isinstance(answer, list) and row not in bad:
                try:
                    prompts[row], found, _ = choice(prompts[row], answer, answer)
                except ValueError as error:
                    bad.add(row, error, name)
            texts.append(found)
        columns.append(texts)
    return columns, prompts


def _rated(asked: Asked, texts: Sequence[Sequence[str | None]]) -> tuple[pl.DataFrame, bool]:
    """One row a scored response: row, user_id (where a cell says it), response, source, score."""
    table = asked.table
    field = "score" if "score" in asked.sources else "rank"
    score = starred(asked, asked.sources[field])
    sign = 1.0 if field == "score" else -1.0
    source = asked.sources.get("source")
    source = None if source is None else starred(asked, source)
    parts = []
    every = [ratings_at(table, score, mark) for mark in _marks(asked)]
    read = reader(cell for cells in every for cell in cells.values)
    for mark, column, cells in zip(_marks(asked), texts, every, strict=True):
        models = None if source is None else source.replace(STAR, mark or STAR)
        part = pl.DataFrame(
            {
                "response": column,
                "source": None if models is None else label_texts(table, models, asked.bad),
            },
            schema={"response": pl.String, "source": pl.String},
        )[cells.rows]
        found = asked.bad.each(score, cells.values, read, cells.rows)
        numbers = [None if value is None else sign * value for value in found]
        part = part.with_columns(
            pl.Series("row", cells.rows, dtype=pl.UInt32),
            pl.Series("score", numbers, dtype=pl.Float64),
        )
        if cells.users is not None:
            part = part.with_columns(pl.Series("user_id", cells.users, dtype=pl.String))
        parts.append(part)
    ratings = pl.concat(parts, how="diagonal")
    if "judged_at" in asked.sources and STAR not in asked.sources["judged_at"]:
        when = times(
            asked.sources["judged_at"], values(table, asked.sources["judged_at"]), asked.say
        )
        ratings = ratings.with_columns(when[ratings["row"]].alias("judged_at"))
    return ratings, "user_id" in ratings.columns


def _ranked(
    asked: Asked, texts: Sequence[Sequence[str | None]]
) -> tuple[pl.DataFrame, dict[str, int]]:
    """One row a response and act of ranking, with minus its rank as the score."""
    source = asked.sources.get("ranking", asked.sources.get("label", ""))
    cells, dropped = judgements(asked.table, asked.sources, source, asked.say, asked.bad)
    marks, names = _marks(asked), _names(asked, texts)
    models = _models(asked)
    found: dict[str, list[Any]] = {
        name: [] for name in ("row", "act", "response", "source", "score", "best_alone", "user_id")
    }
    silent = 0
    for act, (row, cell) in enumerate(zip(cells.rows, cells.values, strict=True)):
        there = [place for place in range(len(marks)) if texts[place][row] is not None]
        try:
            ranked = ranks(cell, [names[place][row] for place in there])
        except Unreadable as error:
            asked.bad.add(row, error, source)
            continue
        if ranked is None:
            silent += 1
            continue
        alone = is_best_alone(cell)
        for place, rank in zip(there, ranked, strict=True):
            line = (row, act, texts[place][row], models[place][row],
                    None if rank is None else -rank, alone,
                    None if cells.users is None else cells.users[act])  # fmt: skip
            for column, value in zip(found.values(), line, strict=True):
                column.append(value)
    if silent:
        dropped = {**dropped, "no label": silent}
    schema = {"row": pl.UInt32, "act": pl.UInt32, "response": pl.String, "source": pl.String,
              "score": pl.Float64, "best_alone": pl.Boolean, "user_id": pl.String}  # fmt: skip
    frame = pl.DataFrame(found, schema=schema)
    frame = _with_times(asked, frame, cells)
    return (frame.drop("user_id") if cells.users is None else frame), dropped


def _with_times(asked: Asked, frame: pl.DataFrame, cells: Cells) -> pl.DataFrame:
    if "judged_at" not in cells.beside:
        return frame
    when = times(asked.sources["judged_at"], cells.beside["judged_at"], asked.say)
    return frame.with_columns(when[frame["act"]].alias("judged_at"))


def _models(asked: Asked) -> list[list[str | None]]:
    source = asked.sources.get("source")
    if source is None:
        return [[None] * asked.table.height for _ in _marks(asked)]
    source = starred(asked, source)
    return [
        label_texts(asked.table, source.replace(STAR, mark or STAR), asked.bad)
        for mark in _marks(asked)
    ]


def _names(asked: Asked, texts: Sequence[Sequence[str | None]]) -> list[list[list[str]]]:
    """What each response of each row is called: its own name, its column, its letter, its text."""
    source = starred(asked, asked.sources["response"])
    before = source.partition(STAR)[0]
    in_list = before.endswith(".")
    names: list[list[list[str]]] = []
    own_source = asked.sources.get("response_name")
    models = _models(asked)
    for place, mark in enumerate(_marks(asked)):
        own = None
        if own_source is not None:
            own = values(asked.table, own_source.replace(STAR, mark or STAR))
        general = [] if in_list else [source.replace(STAR, mark or STAR)]
        letters = LETTERS[place] if in_list and place < len(LETTERS) else ""
        column = []
        for row in range(asked.table.height):
            known = [] if own is None or is_nothing(own[row]) else [str(text(own[row]))]
            if not known:
                known = [*general, *([letters] if letters else [])]
            if models[place][row]:
                known.append(str(models[place][row]))
            if texts[place][row]:
                known.append(str(texts[place][row]))
            column.append(known)
        names.append(column)
    return names
