"""Labels of raw files as probabilities that the first response is preferred.

A label that could mean two things is refused: silently flipped labels are the first accident of
every conversion.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plt.data.reading.field_map import text
from plt.data.reading.json_rows import MAX_PROBLEMS
from plt.data.reading.labels.words import HINT, Meanings, graded, usual
from plt.data.reading.raw_files import RawTable
from plt.errors import DataError, UsageError

OF_TRUTH = (
    "--label-values a=true,b=false (true prefers the first), or --label-values a=false,b=true"
)
MAX_CODES_NAMED = 5
PROBABILITY_NAMES = ("label", "labels")
FIRST_NAMES, SECOND_NAMES = {"a", "first", "left"}, {"b", "second", "right"}
NAME_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
TURNED_MARKS = {("b", "a"), ("2", "1"), ("1", "0"), ("second", "first"), ("right", "left")}

Side = tuple[Sequence[Any], Sequence[Any]]
Reading = tuple[float | None, float | None]
"""Probability of the first, and strength; both None where nobody judged."""


@dataclass(frozen=True)
class Labels:
    """Labels that were read.

    Attributes:
        probabilities: That the first response is preferred; None where nobody judged.
        strengths: How strongly, in (0, 1], where the label has grades.
    """

    probabilities: list[float | None]
    strengths: list[float | None]


def read_labels(
    table: RawTable,
    rows: Sequence[int],
    values: Sequence[Any],
    *,
    source: str,
    words: Mapping[str, str],
    responses: tuple[str, str],
    names: Side | None = None,
    texts: Side | None = None,
) -> Labels:
    """Labels as probabilities that the first response is preferred.

    Args:
        table: The raw file, for the names of rows in errors.
        rows: The row of each label.
        values: Words, numbers in [0, 1], or what stands for no judgement.
        source: The name of the source, for errors; bare numbers are probabilities only where it is
            called `label`, `labels` or `prob..`.
        words: Word of the file to `a`, `b`, `tie` or `none`; whatever it names counts before all
            else. ``-3..-1`` names a range of numbers, whose distance from the middle is a strength.
        responses: The columns of the two responses; their names are labels too, and win over the
            usual words. Where they are the other way round than their names say (``model_b``
            first), the usual words and bare 0 and 1 are refused: either reading may be meant.
        names: Who wrote the two responses of each row: a label that names one of them prefers it.
        texts: The two responses of each row, which may stand as the label too.

    Returns:
        One probability and one strength, or None, for each value.

    Raises:
        DataError: A label is unknown, outside [0, 1], a number whose meaning is not said, or a
            usual word that contradicts the order of the responses; every row is named.
        UsageError: A word of `words` is the name of a response that stands on both sides.
    """
    meanings = Meanings.of(words)
    _refuse_names(words, names)
    known = _known(words, responses)
    spelled = _spelled(values)
    readings = {
        word: _read_word(word, known, meanings, _turned(responses))
        for word in dict.fromkeys(spelled)
    }
    found = [readings[word] for word in spelled]
    for side, by_text in ((names, False), (texts, True)):
        if side is not None and (not by_text or any(isinstance(r, str) for r in found)):
            found = [
                _by_side(word, reading, row, side, by_text)
                if word and word not in words
                else reading
                for word, reading, row in zip(spelled, found, rows, strict=True)
            ]
    problems = [
        f"{table.where(row)}: {source} is {reading}"
        for row, reading in zip(rows, found, strict=True)
        if isinstance(reading, str)
    ][:MAX_PROBLEMS]
    numbers = {
        number
        for word, reading in zip(spelled, found, strict=True)
        if word not in known
        and (number := _number(word)) is not None
        and meanings.of_number(number) is None
        and not isinstance(reading, _Named)
    }
    _refuse_codes(table, source, numbers, problems)
    _refuse_positions(table, source, numbers, responses)
    if problems:
        what = f"{table.name} has labels that cannot be read"
        raise DataError(what, problems=problems, hint=_words_hint(spelled))
    read = [reading for reading in found if not isinstance(reading, str)]
    return Labels([reading[0] for reading in read], [reading[1] for reading in read])


class _Named(tuple[float, None]):
    """A reading by the name of a response."""


def _spelled(values: Sequence[Any]) -> list[str]:
    """Labels as the texts that `--label-values` names them by: 1, 1.0 and "1" are all ``1``."""
    plain = (str, int, float, bool)
    known: dict[tuple[type, Any], str] = {}
    found = []
    for cell in values:
        if type(cell) not in plain:
            found.append(_canonical(cell))
            continue
        key = (type(cell), cell)
        if key not in known:
            known[key] = _canonical(cell)
        found.append(known[key])
    return found


def _canonical(cell: Any) -> str:
    if isinstance(cell, list) and len(cell) <= 1:
        return _canonical(cell[0]) if cell else ""
    if isinstance(cell, Mapping):
        inner = [cell[name] for name in ("selected", "choices", "value", "label") if name in cell]
        return _canonical(inner[0]) if inner else "an object"
    if isinstance(cell, list):
        return "a list"
    word = (text(cell) or "").strip()
    try:
        number = float(word)
    except ValueError:
        return word
    if math.isnan(number):
        return ""
    return str(int(number)) if number.is_integer() else word


def _known(words: Mapping[str, str], responses: tuple[str, str]) -> dict[str, Reading | str]:
    """What each word means, or why a usual word cannot be read here, as text."""
    known: dict[str, Reading | str] = {}
    turned = _turned(responses)
    for spelling, meaning, probability in usual(words.values()):
        known[spelling] = (probability, None)
        if turned and meaning in ("a", "b"):
            known[spelling] = f"{spelling!r}, which may not mean {_order(responses)}"
    known |= {responses[0]: (1.0, None), responses[1]: (0.0, None)}
    return known | dict(Meanings.of(words).exact)


def _order(responses: tuple[str, str]) -> str:
    return f"the order response_1={responses[0]}, response_2={responses[1]}"


def _turned(responses: tuple[str, str]) -> bool:
    """Whether the columns' own names put the second response first (``model_b``, ``model_a``).

    Marks that both names share say nothing; a number counts only against that of the other name.
    """
    if any(name.startswith("=") for name in responses):
        return False
    one, two = ([part.lower() for part in NAME_PARTS.findall(name)] for name in responses)
    apart = [pair for pair in zip(one, two, strict=False) if pair[0] != pair[1]]
    if len(one) == len(two) and len(apart) == 1:
        x, y = apart[0]
        if (x, y) in TURNED_MARKS or (x[:-1] == y[:-1] and (x[-1], y[-1]) == ("b", "a")):
            return True
    marks = [
        {part.lower() for step in name.split(".") for part in NAME_PARTS.findall(step)[-1:]}
        for name in responses
    ]
    return bool((marks[0] - marks[1]) & SECOND_NAMES or (marks[1] - marks[0]) & FIRST_NAMES)


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _read_word(
    word: str, known: Mapping[str, Reading | str], meanings: Meanings, turned: bool
) -> Reading | str:
    """Probability and strength, Nones for no judgement, or what is wrong as text."""
    if word == "":
        return None, None
    if word in known:
        return known[word]
    number = _number(word)
    if number is None:
        grade = graded(word)
        if grade is not None and turned and grade[0] != 0.5:
            return f"{word!r}, which may not mean the order in which the responses are mapped"
        return grade or f"{word!r}, a word whose meaning is not said"
    if (reading := meanings.of_number(number)) is not None:
        return reading
    if 0 <= number <= 1:
        return number, None
    return f"{number:g}, which is not in [0, 1]"


def _by_side(
    word: str, reading: Reading | str, row: int, side: Side, by_text: bool
) -> Reading | str:
    """The reading of a word that is the name, or the text, of a response of its row."""
    if by_text and not isinstance(reading, str):
        return reading
    first, second = side[0][row] == word, side[1][row] == word
    if first and second:
        return f"{word!r}, the name of both responses"
    if not first and not second:
        return reading
    named = _Named((1.0 if first else 0.0, None))
    if isinstance(reading, tuple) and reading[0] not in (named[0], None):
        return f"{word!r}, which may be a position or the name of the other response"
    return named


def _words_hint(words: Sequence[str]) -> str:
    """The flag that says what words mean: of true and false, both ways round."""
    truth = {word.lower() for word in words if word} <= {"true", "false"}
    return OF_TRUTH if truth else HINT


def _refuse_names(words: Mapping[str, str], names: Side | None) -> None:
    """A word that names a response cannot mean a side when that response changes sides."""
    both = [
        word for word, meaning in words.items()
        if names is not None and meaning in ("a", "b") and word in names[0] and word in names[1]
    ]  # fmt: skip
    if both:
        raise UsageError(
            f"--label-values: {', '.join(map(repr, both))} stands on both sides, so it means"
            " neither the first nor the second response",
            hint="leave --label-values out: names are looked up row by row",
        )


def _refuse_codes(
    table: RawTable, source: str, numbers: set[float], problems: Sequence[str]
) -> None:
    """Integers beyond 0 and 1 are codes."""
    if all(number.is_integer() for number in numbers) and not numbers <= {0.0, 1.0}:
        shown = ", ".join(f"{number:g}" for number in sorted(numbers)[:8])
        low, high = (int(end(numbers)) for end in (min, max))
        hint = HINT
        if low < 0 < high:
            first = "-1" if low == -1 else f"{low}..-1"
            second = "1" if high == 1 else f"1..{high}"
            hint = f"--label-values a={first},tie=0,b={second} (negative prefers the first)"
        elif low == 1 and high in (5, 7, 9):
            half = high // 2
            one, other = f"1..{half}", f"{half + 2}..{high}"
            hint = (
                f"--label-values a={one},tie={half + 1},b={other} (1 prefers the first), or"
                f" --label-values b={one},tie={half + 1},a={other} ({high} does)"
            )
        raise DataError(
            f"{table.name}: the integers {shown} of {source} are codes, and which response each"
            " prefers is not said",
            problems=problems[:MAX_CODES_NAMED],
            hint=hint,
        )


def _refuse_positions(
    table: RawTable, source: str, numbers: set[float], responses: tuple[str, str]
) -> None:
    """Numbers mean P(first) only where their column is called so and no order contradicts it."""
    if not numbers or source.startswith("="):
        return
    shown = ", ".join(f"{number:g}" for number in sorted(numbers)[:5])
    named = source.rsplit(".", 1)[-1].lower()
    counted = all(name.rsplit("_", 1)[-1] in ("0", "1") for name in responses)
    if not (named in PROBABILITY_NAMES or named.startswith("prob")) or (
        counted and numbers <= {0.0, 1.0}
    ):
        raise DataError(
            f"{table.name}: {shown} of {source!r} may be the position of the preferred response or"
            " the probability of the first",
            hint="--label-values a=0,b=1 (positions) or --label-values a=1,b=0 (probabilities)",
        )
    # Bare 0 and 1 (and one half) may still follow the names; other probabilities were chosen.
    if _turned(responses) and numbers <= {0.0, 0.5, 1.0} and numbers != {0.5}:
        raise DataError(
            f"{table.name}: {source} may follow the names of the columns or"
            f" {_order(responses)}; what its numbers mean is not said",
            hint="--label-values a=1,b=0,tie=0.5 (a is response_1), or map the columns in order",
        )
