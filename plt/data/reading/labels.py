"""Labels of raw files as probabilities that the first response is preferred.

A label that could mean two things is refused: silently flipped labels are the first accident of
every conversion.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from plt.data.reading.field_map import Cells, text
from plt.data.reading.json_rows import MAX_PROBLEMS
from plt.data.reading.raw_files import RawTable
from plt.errors import DataError, UsageError

MAX_CODES_NAMED = 5
MEANINGS = {"a": 1.0, "b": 0.0, "tie": 0.5}
KNOWN_WORDS = {"a": ("a", "model_a"), "b": ("b", "model_b"), "tie": ("tie",)}
INDEX_NAMES = frozenset(
    {"choice", "chosen", "winner", "preference", "preferred", "index", "answer", "better", "best"}
)
FIRST_NAMES, SECOND_NAMES = {"a", "first", "left"}, {"b", "second", "right"}
NAME_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
TURNED_MARKS = {("b", "a"), ("2", "1"), ("1", "0"), ("second", "first"), ("right", "left")}
HINT = "--label-values a=1,b=2,tie=0 (what stands in the file for: first better, second, equal)"


def parse_label_values(spec: str | None) -> dict[str, str]:
    """Reads ``a=left,b=right,tie=equal`` as word of the file to meaning.

    Raises:
        UsageError: Something is not MEANING=WORD, a meaning is unknown, or a word has two.
    """
    found: dict[str, str] = {}
    problems = []
    for item in (spec or "").split(",") if spec else ():
        meaning, equals, word = (part.strip() for part in item.partition("="))
        if not equals or not word or meaning not in MEANINGS:
            problems.append(f"{item!r} is not a=WORD, b=WORD or tie=WORD")
        elif found.get(word, meaning) != meaning:
            problems.append(f"{word!r} cannot mean both {found[word]} and {meaning}")
        else:
            found[word] = meaning
    if problems:
        raise UsageError("--label-values cannot be read", problems=problems, hint=HINT)
    return found


def read_labels(
    table: RawTable,
    cells: Cells,
    *,
    source: str,
    words: Mapping[str, str],
    responses: tuple[str, str],
) -> list[float | None]:
    """Labels as probabilities that the first response is preferred.

    Args:
        table: The raw file, for the names of rows in errors.
        cells: Words, numbers in [0, 1], or None and empty texts where nobody judged.
        source: The name of the source, for errors; a name such as `choice` holds an index.
        words: Word of the file to `a`, `b` or `tie`; whatever it names counts before all else.
        responses: The columns of the two responses; their names are labels too, and win over the
            usual words. Where they are the other way round than their names say (``model_b``
            first), the usual words and bare 0 and 1 are refused: either reading may be meant.

    Returns:
        One probability or None for each cell.

    Raises:
        DataError: A label is unknown, outside [0, 1], NaN, a code whose meaning is not said, or
            a usual word that contradicts the order of the responses; every row is named.
    """
    known = _known(words, responses)
    words_of = {cell: _canonical(cell) for cell in {c for c in cells.values if type(c) is str}}
    spelled = [words_of[c] if type(c) is str else _canonical(c) for c in cells.values]
    readings = {word: _read_word(word, known) for word in dict.fromkeys(spelled)}
    names = cells.users or [source] * len(spelled)
    problems = [
        f"{table.where(row)}: {name} is {readings[word]}"
        for row, name, word in zip(cells.rows, names, spelled, strict=True)
        if isinstance(readings[word], str)
    ][:MAX_PROBLEMS]
    numbers = {number for word in readings if (number := _number(word, known)) is not None}
    _refuse_codes(table, source, numbers, problems)
    if _turned(responses):
        _refuse_turned_numbers(table, source, numbers, responses)
    if problems:
        raise DataError(
            f"{table.name} has labels that cannot be read", problems=problems, hint=HINT
        )
    labels = {word: reading for word, reading in readings.items() if not isinstance(reading, str)}
    return [labels[word] for word in spelled]


def _known(words: Mapping[str, str], responses: tuple[str, str]) -> dict[str, float | str]:
    """What each word means, or why a usual word cannot be read here, as text."""
    known: dict[str, float | str] = {}
    turned = _turned(responses)
    for meaning, usual in KNOWN_WORDS.items():
        if meaning in words.values():
            continue
        for spelling in (spelling for word in usual for spelling in _cases(word)):
            known[spelling] = MEANINGS[meaning]
            if turned and meaning != "tie":
                known[spelling] = f"{spelling!r}, which may not mean {_order(responses)}"
    known |= {responses[0]: 1.0, responses[1]: 0.0}
    return known | {word: MEANINGS[meaning] for word, meaning in words.items()}


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


def _cases(word: str) -> tuple[str, str, str]:
    return word, word.upper(), word.capitalize()


def _canonical(cell: Any) -> str:
    """A label as the text that `--label-values` names it by: 1, 1.0 and "1" are all ``1``."""
    if isinstance(cell, (list, Mapping)):
        return f"a {type(cell).__name__}"
    word = (text(cell) or "").strip()
    try:
        number = float(word)
    except ValueError:
        return word
    return str(int(number)) if number.is_integer() else word


def _number(word: str, known: Mapping[str, float | str]) -> float | None:
    if word in known:
        return None
    try:
        return float(word)
    except ValueError:
        return None


def _read_word(word: str, known: Mapping[str, float | str]) -> float | str | None:
    """The probability, None for no judgement, or what is wrong as text."""
    if word == "":
        return None
    if word in known:
        return known[word]
    number = _number(word, known)
    if number is None:
        return f"{word!r}, a word whose meaning is not said"
    if math.isnan(number):
        return "NaN"
    return number if 0 <= number <= 1 else f"{number:g}, which is not in [0, 1]"


def _refuse_codes(
    table: RawTable, source: str, numbers: set[float], problems: Sequence[str]
) -> None:
    """Integers beyond 0 and 1 are codes; 0 and 1 may be, in a column that is named like one."""
    shown = ", ".join(f"{number:g}" for number in sorted(numbers)[:8])
    if all(number.is_integer() for number in numbers) and not numbers <= {0.0, 1.0}:
        raise DataError(
            f"{table.name}: the integers {shown} of {source} are codes, and which response each"
            " prefers is not said",
            problems=problems[:MAX_CODES_NAMED],
            hint=HINT,
        )
    if numbers and numbers <= {0.0, 1.0} and source.rsplit(".", 1)[-1].lower() in INDEX_NAMES:
        raise DataError(
            f"{table.name}: {shown} of {source!r} may be the position of the preferred response or"
            " the probability of the first",
            hint="--label-values a=0,b=1 (positions) or --label-values a=1,b=0 (probabilities)",
        )


def _refuse_turned_numbers(
    table: RawTable, source: str, numbers: set[float], responses: tuple[str, str]
) -> None:
    """Bare 0 and 1 (and one half) may still follow the names; other probabilities were chosen."""
    if numbers and numbers <= {0.0, 0.5, 1.0} and numbers != {0.5}:
        raise DataError(
            f"{table.name}: {source} may follow the names of the columns or"
            f" {_order(responses)}; what its numbers mean is not said",
            hint="--label-values a=1,b=0,tie=0.5 (a is response_1), or map the columns in order",
        )
