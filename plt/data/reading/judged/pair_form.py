"""Rows with two responses as judgements: the pair form and the chosen form."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from plt.data.reading.bad_rows import BadRows, Unreadable
from plt.data.reading.conversation import is_transcript, prompt_series
from plt.data.reading.field_map import split_sources, text, values
from plt.data.reading.judged.answers import (
    Answer,
    Choices,
    NoChoice,
    answers_of,
    are_transcripts,
    choice,
    first_turns,
    implicit_choices,
    interleaved,
    one_answer,
    plain_texts,
    products,
    transcript_choices,
)
from plt.data.reading.judged.contexts import contexts, prompt_cells, under
from plt.data.reading.judged.judges import DISCARDED, Cells, judgements
from plt.data.reading.judged.numbers import number
from plt.data.reading.judged.people import flags, is_nothing, seen_first, times
from plt.data.reading.judged.rows import Asked, row_fields, side_fields
from plt.data.reading.labels.reading import read_labels
from plt.data.reading.ratings import PairRule
from plt.data.reading.raw_files import RawTable
from plt.data.remarks import Say

NO_LABEL = "no label"
NO_WINNER = "no winner, and no tie said"
TRUE, FALSE = frozenset({"1", "true", "yes", "1.0"}), frozenset({"0", "false", "no", "0.0", ""})

Rows = tuple[pl.DataFrame, dict[str, int]]


def chosen_form(asked: Asked) -> Rows:
    """Rows whose first response is preferred to the second."""
    names = asked.sources["chosen"], asked.sources["rejected"]
    found = choices(asked, names, many=True)
    fields = row_fields(asked).with_columns(
        pl.Series(name, cells) for name, cells in side_fields(asked).items()
    )
    fields = _beside(fields, _every_row(asked), asked, names)
    frame = fields[found.rows].with_columns(
        prompt_series(found.prompts),
        pl.Series("response_1", found.ones, dtype=pl.String),
        pl.Series("response_2", found.twos, dtype=pl.String),
        label=pl.lit(1.0),
    )
    if "tied" in asked.sources:
        ties = _flags(asked, "tied")
        frame = frame.with_columns(label=pl.Series([0.5 if ties[r] else 1.0 for r in found.rows]))
    if "discarded" not in asked.sources:
        return frame, found.dropped
    source = asked.sources["discarded"]
    cells = values(asked.table, source)
    out = flags(source, cells, range(asked.table.height), asked.bad)
    kept = [place for place, row in enumerate(found.rows) if not out[row]]
    return frame[kept], {**found.dropped, DISCARDED: frame.height - len(kept)}


def pair_form(asked: Asked) -> Rows:
    """Rows with two responses and what people said of them."""
    names = asked.sources["response_1"], asked.sources["response_2"]
    found = choices(asked, names, many=False)
    sides = side_fields(asked)
    place = {row: i for i, row in enumerate(found.rows)}
    texts = pl.DataFrame(
        {"one": found.ones, "two": found.twos}, schema={"one": pl.String, "two": pl.String}
    ).with_columns(prompt_series(found.prompts))
    cells, dropped = _verdicts(asked)
    kept = [i for i, row in enumerate(cells.rows) if row in place]
    cells = _take(cells, kept)
    label, strength, no_label = _labels(asked, cells, names, sides, found, place)
    frame = row_fields(asked).with_columns(pl.Series(n, c) for n, c in sides.items())[cells.rows]
    chosen = texts[[place[row] for row in cells.rows]]
    frame = frame.with_columns(
        chosen["prompt"],
        chosen["one"].alias("response_1"),
        chosen["two"].alias("response_2"),
        pl.Series("label", label, dtype=pl.Float64),
        pl.Series("strength", strength, dtype=pl.Float64),
    )
    if cells.users is not None:
        frame = frame.with_columns(pl.Series("user_id", cells.users, dtype=pl.String))
    frame = _beside(frame, cells, asked, names)
    dropped = {**found.dropped, **dropped}
    if not asked.unlabelled:
        judged = frame.filter(pl.col("label").is_not_null())
        dropped[no_label] = frame.height - judged.height
        frame = judged
    return frame, dropped


def choices(asked: Asked, names: tuple[str, str], *, many: bool) -> Choices:
    """The choices of all rows that can be read.

    Args:
        asked: The table and its plan.
        names: The sources of the two responses.
        many: Whether a list of texts is several answers, each a choice with each of the other's.
    """
    table, bad = asked.table, asked.bad
    ones, twos = values(table, names[0]), values(table, names[1])
    plain = plain_texts(ones) and plain_texts(twos)
    if plain and are_transcripts(ones) and are_transcripts(twos):
        needless = "; the column of the prompt is not needed" if "prompt" in asked.sources else ""
        asked.say(
            f"{names[0]} and {names[1]} are transcripts, split at the last 'Assistant:'{needless}"
        )
        found = transcript_choices(ones, twos, bad)
        found.prompts = _systems(asked, found)
        return found
    if plain and "prompt" not in asked.sources and many:
        asked.say("no prompt column: the words that both answers begin with are the prompt")
        found = implicit_choices(ones, twos, bad)
        found.prompts = _systems(asked, found)
        return found
    prompts = prompt_cells(table, asked.sources, bad)
    in_lists = not many and any(type(cell) is list for cell in prompts)
    if in_lists and any(_in_turns(*row) for row in zip(prompts, ones, twos, strict=True)):
        return _in_step(asked, prompts, ones, twos)
    before = contexts(table, asked.sources, prompts, bad)
    if plain:
        rows = [row for row in range(table.height) if row not in bad]
        picked = [before[row] for row in rows]
        return Choices(rows, picked, [ones[row] for row in rows], [twos[row] for row in rows])
    return _read(asked, before, ones, twos, many)


def _systems(asked: Asked, found: Choices) -> list[Any]:
    """The prompts behind the system message of their row, where they were read out of answers."""
    if "system" not in asked.sources:
        return found.prompts
    system = asked.bad.each("system", values(asked.table, asked.sources["system"]), text)
    return [
        under(system[row], prompt) for row, prompt in zip(found.rows, found.prompts, strict=True)
    ]


def _read(
    asked: Asked, before: Sequence[Any], ones: Sequence[Any], twos: Sequence[Any], many: bool
) -> Choices:
    found = Choices()
    read: Callable[[Any], list[Answer]] = answers_of if many else _alone
    turns = _turns(asked)
    for row, (one, two) in enumerate(zip(ones, twos, strict=True)):
        if row in asked.bad:
            continue
        try:
            for first, second in list(products(read(one), read(two))):
                if turns is not None:
                    first, second = (first_turns(a, turns[row]) for a in (first, second))
                found.add(row, *choice(before[row], first, second))
        except NoChoice as error:
            found.drop(str(error))
        except ValueError as error:
            asked.bad.add(row, error)
    if many and len(found.rows) > len(set(found.rows)):
        asked.say("lists of answers: each of one is paired with each of the other")
    if "system" in asked.sources and "prompt" not in asked.sources:
        found.prompts = _systems(asked, found)
    return found


def _alone(cell: Any) -> list[Any]:
    return [one_answer(cell)]


def _turns(asked: Asked) -> list[int | None] | None:
    """How many questions of each conversation were judged, where the file says so."""
    if "turn" not in asked.sources:
        return None

    def read(cell: Any) -> int | None:
        return None if is_nothing(cell) else int(float(cell))

    return asked.bad.each("turn", values(asked.table, asked.sources["turn"]), read)


def _in_turns(prompt: Any, one: Any, two: Any) -> bool:
    """Whether a row holds lists of questions and of answers, one for each turn."""
    return all(
        isinstance(cell, list)
        and bool(cell)
        and all(isinstance(e, (str, type(None))) for e in cell)
        for cell in (prompt, one, two)
    )


def _in_step(
    asked: Asked, prompts: Sequence[Any], ones: Sequence[Any], twos: Sequence[Any]
) -> Choices:
    found = Choices()
    for row, (prompt, one, two) in enumerate(zip(prompts, ones, twos, strict=True)):
        try:
            found.add(row, *choice(None, interleaved(prompt, one), interleaved(prompt, two)))
        except NoChoice as error:
            found.drop(str(error))
        except ValueError as error:
            asked.bad.add(row, error)
    return found


def _every_row(asked: Asked) -> Cells:
    beside = {
        name: values(asked.table, asked.sources[name])
        for name in ("strength", "judged_at", "shown_first")
        if name in asked.sources
    }
    rows = list(range(asked.table.height))
    return Cells(rows, None, rows, beside)


def _verdicts(asked: Asked) -> tuple[Cells, dict[str, int]]:
    """The cells that say who won."""
    if "label" in asked.sources:
        return judgements(asked.table, asked.sources, asked.sources["label"], asked.say, asked.bad)
    cells = _every_row(asked)
    if asked.scored_by:
        parts = asked.scored_by
        rows = [row for row in cells.rows for _ in parts]
        users: list[str | None] = [user for _ in cells.rows for user in parts]
        return Cells(rows, users, rows), {}
    return cells, {}


def _take(cells: Cells, kept: Sequence[int]) -> Cells:
    if len(kept) == len(cells.rows):
        return cells

    def take(column: Sequence[Any]) -> list[Any]:
        return [column[i] for i in kept]

    users = None if cells.users is None else take(cells.users)
    beside = {name: take(column) for name, column in cells.beside.items()}
    return Cells(take(cells.rows), users, take(cells.values), beside)


def _labels(
    asked: Asked,
    cells: Cells,
    names: tuple[str, str],
    sides: Mapping[str, list[Any]],
    found: Choices,
    place: Mapping[int, int],
) -> tuple[list[float | None], list[float | None], str]:
    """Probabilities, strengths, and what a judgement without a label is counted as."""
    nothing: list[float | None] = [None] * len(cells.rows)
    sources = asked.sources
    if "won_1" in sources:
        won = one_hot(asked)
        if "label" not in sources:
            return [won[row] for row in cells.rows], nothing, NO_WINNER
    if "label" in sources:
        by_text: tuple[list[Any], list[Any]] = (
            [None] * asked.table.height,
            [None] * asked.table.height,
        )
        for row, i in place.items():
            by_text[0][row], by_text[1][row] = found.ones[i], found.twos[i]
        by_name = (sides["source_1"], sides["source_2"]) if "source_1" in sides else None
        read = read_labels(
            asked.table, cells.rows, cells.values, source=sources["label"], words=asked.words,
            responses=names, names=by_name, texts=(by_text[0], by_text[1]),
        )  # fmt: skip
        if "tied" in sources:
            ties = _flags(asked, "tied")
            read.probabilities[:] = [
                0.5 if ties[row] else label
                for row, label in zip(cells.rows, read.probabilities, strict=True)
            ]
        return read.probabilities, read.strengths, NO_LABEL
    if asked.by_score:
        return _by_score(asked, cells), nothing, "score tie or no score"
    return nothing, nothing, NO_LABEL


def one_hot(asked: Asked) -> list[float | None]:
    """Labels of columns that say 1 for the winner and 0 else, and of one or more for ties."""
    one, two = _flags(asked, "won_1"), _flags(asked, "won_2")
    tied = _flags(asked, "tied") if "tied" in asked.sources else [False] * len(one)
    found: list[float | None] = []
    for row, marks in enumerate(zip(one, two, tied, strict=True)):
        if marks[2] and (marks[0] or marks[1]):
            asked.bad.add(row, Unreadable("a winner and a tie at once"))
        both = marks[0] and marks[1]
        found.append(0.5 if marks[2] or both else 1.0 if marks[0] else 0.0 if marks[1] else None)
    return found


def _flags(asked: Asked, name: str) -> list[bool]:
    found = [False] * asked.table.height
    for part in split_sources(asked.table, asked.sources[name]):
        marks = asked.bad.each(part, values(asked.table, part), _flag)
        found = [old or bool(mark) for old, mark in zip(found, marks, strict=True)]
    return found


def _flag(cell: Any) -> bool:
    if is_nothing(cell):
        return False
    word = str(text(cell)).strip().lower()
    if word in TRUE or word in FALSE:
        return word in TRUE
    raise Unreadable("a winner that is neither 0 nor 1", f"{word[:40]!r} is neither 0 nor 1")


def _by_score(asked: Asked, cells: Cells) -> list[float | None]:
    """Labels by which of two scores is higher; equal ones are ties where that is said."""
    found: list[float | None] = []
    ones, twos = asked.score_columns()
    below = asked.rule.tie_below
    for i, row in enumerate(cells.rows):
        one, two = ones[i % len(ones)][row], twos[i % len(twos)][row]
        if one is None or two is None:
            found.append(None)
        elif one == two or (below is not None and abs(one - two) < below):
            found.append(0.5 if below is not None or asked.equal_ties else None)
        else:
            found.append(1.0 if one > two else 0.0)
    return found


def _beside(
    frame: pl.DataFrame, cells: Cells, asked: Asked, names: tuple[str, str]
) -> pl.DataFrame:
    """Strength, time and what was seen first, where the file has them."""
    columns = []
    if "strength" in cells.beside:
        found = asked.bad.each("strength", cells.beside["strength"], number, cells.rows)
        largest = max((abs(x) for x in found if x is not None), default=1.0) or 1.0
        scale = 1.0 if largest <= 1 else largest
        graded = [None if x is None else abs(x) / scale for x in found]
        columns.append(pl.Series("strength", graded, dtype=pl.Float64))
    if "judged_at" in cells.beside:
        columns.append(times(asked.sources["judged_at"], cells.beside["judged_at"], asked.say))
    if "shown_first" in cells.beside:
        one, two = (
            values(asked.table, asked.sources[name]) if name in asked.sources else None
            for name in ("source_1", "source_2")
        )
        models = [(one[row] if one else None, two[row] if two else None) for row in cells.rows]
        seen = seen_first(cells.beside["shown_first"], names, models)
        columns.append(pl.Series("shown_first", seen, dtype=pl.String))
    return frame.with_columns(columns)


def transcripts_stand_in(cells: Sequence[Any]) -> bool:
    """Whether the answers hold their own prompt: transcripts, or conversations of several turns."""
    sample = [cell for cell in cells if not is_nothing(cell)][:50]
    return bool(sample) and all(
        is_transcript(cell) or (isinstance(cell, list) and len(cell) > 1) for cell in sample
    )


def read_chosen(
    table: RawTable, chosen: str, rejected: str, prompt: str | None, say: Say
) -> Choices:
    """Reads chosen/rejected columns in any of the forms that TRL and HH-RLHF use.

    Args:
        table: The raw file.
        chosen: The source of the preferred answer: texts, message lists or transcripts.
        rejected: The source of the other; a list of texts is one choice for each.
        prompt: The source of the prompt, or None where it is a part of both answers.
        say: Takes remarks about how the columns were read.

    Returns:
        The choices. Rows whose two conversations differ before the last answer are dropped, and so
        are rows that cannot be read.

    Raises:
        DataError: More than 5 % of the rows cannot be read; each is named.
    """
    sources = {"chosen": chosen, "rejected": rejected} | ({"prompt": prompt} if prompt else {})
    bad = BadRows(table)
    asked = Asked(table, sources, frozenset(sources), {}, PairRule(), bad, say)
    found = choices(asked, (chosen, rejected), many=True)
    found.dropped |= bad.settle(strict=len(bad) == table.height)
    return found
