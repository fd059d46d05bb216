"""The sources that names and kinds of values give to the fields that nobody mapped."""

from collections.abc import Mapping, Sequence
from typing import Any

from plt.data.reading.field_map import STAR, exists, split_sources, values
from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles import kinds
from plt.data.reading.roles.names import (
    ALIASES,
    ANSWER_STEMS,
    CHOSEN_PAIRS,
    is_about,
    is_judgement,
    is_person,
    is_prompt,
    marked,
    parts,
)

FIRST_STEMS = ("response", "answer", "completion", "output")
LISTS = ("responses", "completions", "answers", "outputs", "generations", "candidates")
SCORE_WORDS, MODEL_WORDS = {"score", "rating", "reward"}, {"source", "model", "generator"}
NO_LABELS = frozenset(
    {"reason", "rationale", "explanation", "confidence", "time", "timestamp", "comment", "feedback",
     "statement", "elaboration", "strength", "score", "model", "responses", "comments", "why"}
)  # fmt: skip
TIE_WORDS = {"tie", "tied", "ties", "draw", "equal", "bothbad"}
FLAG_WORDS = frozenset(
    {"0", "1", "0.0", "1.0", "true", "false", "True", "False", "TRUE", "FALSE"}
)  # fmt: skip
NOT_COUNTED = frozenset({"discarded", "skipped", "cancelled", "canceled"})
MEANT_AS_SOURCE = (kinds.IDS, kinds.FEW_VALUES, kinds.NUMBERS)


def first(table: RawTable, name: str) -> str | None:
    """The first known name of a field that is a column."""
    return next((alias for alias in ALIASES[name] if alias in table.columns), None)


def written(table: RawTable, column: str) -> bool:
    """Whether a column may hold prompts or answers."""
    return column in table.columns and kinds.is_written(table.columns[column])


def chosen_pair(table: RawTable) -> tuple[str, str] | None:
    """The columns of the preferred and the other answer."""
    for place, pair in enumerate(CHOSEN_PAIRS):
        if not set(pair) <= set(table.columns):
            continue
        shown = [kinds.kind_of(table.columns[name]) for name in pair]
        if place == 0 and not {kinds.NUMBERS, kinds.FLAGS} & set(shown):
            return pair
        fits = (kinds.TEXT, kinds.MESSAGES, kinds.IDS, kinds.LIST, kinds.FEW_VALUES)
        if all(written(table, name) for name in pair) and set(shown) <= set(fits):
            return pair
    return None


def response_pair(table: RawTable) -> tuple[str, str] | None:
    """The columns of two responses that differ in one mark, or the two places of a list."""
    names = [name for name in table.columns if written(table, name)]
    pairs = [
        (_rank_of(stem), one, two)
        for one, two, stem in marked(names)
        if not is_about(stem) or set(parts(stem)) <= ANSWER_STEMS - {"model", "choice"}
    ]
    known = sorted((p for p in pairs if p[0] < len(FIRST_STEMS) + 1), key=lambda pair: pair[0])
    if known:
        return known[0][1:]
    long = [p for p in pairs if _is_long(table, p[1]) and _is_long(table, p[2])]
    if len(long) == 1:
        return long[0][1:]
    for name in LISTS:
        cells = kinds.sample(table.columns.get(name, []))
        if cells and all(isinstance(cell, list) and len(cell) == 2 for cell in cells):
            return f"{name}.0", f"{name}.1"
    return None


def _rank_of(stem: str) -> int:
    words = parts(stem)
    for place, name in enumerate(FIRST_STEMS):
        if words == (name,):
            return place
    known = ANSWER_STEMS | {"model", "human", "assistant", "first", "data"}
    if set(words) <= known and set(words) & (ANSWER_STEMS - {"model", "choice"}):
        return len(FIRST_STEMS)
    return len(FIRST_STEMS) + 1


def _is_long(table: RawTable, column: str) -> bool:
    return kinds.kind_of(table.columns[column]) in (kinds.TEXT, kinds.MESSAGES)


def family(table: RawTable) -> str | None:
    """``response_*`` where three columns or more are numbered or lettered responses."""
    found: dict[str, set[str]] = {}
    for one, two, stem in marked(name for name in table.columns if written(table, name)):
        if _rank_of(stem) <= len(FIRST_STEMS):
            found.setdefault(stem, set()).update((one, two))
    for stem in sorted(found, key=_rank_of):
        if len(found[stem]) > 2:
            return stem
        before, _, after = stem.partition(STAR)
        numbered = [n for n in table.columns if n.startswith(before) and n.endswith(after)]
        marks = [n[len(before) : len(n) - len(after)] for n in numbered]
        if sum(mark.isdigit() or (len(mark) == 1 and mark.isalpha()) for mark in marks) > 2:
            return stem
    return None


def marks_of(one: str, two: str) -> tuple[str, str]:
    """The parts in which two names differ."""
    start = 0
    while start < min(len(one), len(two)) and one[start] == two[start]:
        start += 1
    end = 0
    while end < min(len(one), len(two)) - start and one[-1 - end] == two[-1 - end]:
        end += 1
    return one[start : len(one) - end], two[start : len(two) - end]


def beside(table: RawTable, sides: tuple[str, str]) -> dict[str, str]:
    """Scores and models of two responses, whose names have the same marks."""
    found: dict[str, str] = {}
    marks = marks_of(*sides)
    for name in table.columns:
        other = _other_side(name, marks)
        if other is None or other not in table.columns or name in sides:
            continue
        words = set(parts(name))
        fields = (("score", SCORE_WORDS), ("source", MODEL_WORDS))
        for field, known in fields:
            if words & known and f"{field}_1" not in found:
                if field == "source" or _numeric(table, name):
                    found |= {f"{field}_1": name, f"{field}_2": other}
                break
    return found


def _other_side(name: str, marks: tuple[str, str]) -> str | None:
    if len(marks[0]) > 2:
        other = name.replace(marks[0], marks[1], 1)
        return other if other != name else None
    for one, two, _ in marked([name, *_swapped(name, marks)]):
        if one == name and marks_of(one, two) == marks:
            return two
    return None


def _swapped(name: str, marks: tuple[str, str]) -> list[str]:
    return [
        name[:i] + marks[1] + name[i + len(marks[0]) :]
        for i in range(len(name))
        if name.startswith(marks[0], i)
    ]


def _numeric(table: RawTable, column: str) -> bool:
    return kinds.kind_of(table.columns[column]) in (kinds.NUMBERS, kinds.FLAGS, kinds.EMPTY)


def labels(table: RawTable, used: Sequence[str]) -> list[str]:
    """The columns that may be the label, the likeliest first; a known name stands alone."""
    known = [name for name in ALIASES["label"] if name in table.columns and name not in used]
    if known:
        return known[:1]
    return [
        name
        for name, cells in table.columns.items()
        if name not in used
        and is_judgement(name)
        and (not set(parts(name)) & NO_LABELS or parts(name)[-2:] == ("model", "name"))
        and kinds.kind_of(cells) not in (kinds.MESSAGES, kinds.LIST, kinds.OBJECT, kinds.EMPTY)
    ]


def one_hot(table: RawTable) -> dict[str, str]:
    """Columns that say 1 for the winner: ``winner_model_a, winner_model_b, winner_tie``."""
    flags = [name for name, cells in table.columns.items() if _are_flags(cells)]
    for one, two, _ in marked(flags):
        if is_judgement(one):
            ties = [name for name in flags if set(parts(name)) & TIE_WORDS]
            found = {"won_1": one, "won_2": two}
            return found | ({"tied": ",".join(ties)} if ties else {})
    return {}


def ties(table: RawTable, used: Sequence[str]) -> str | None:
    """A column of flags that says which choices are ties: ``is_tie``."""
    named = [name for name in table.columns if name not in used and set(parts(name)) & TIE_WORDS]
    return next((name for name in named if _are_flags(table.columns[name])), None)


def status(table: RawTable, used: Sequence[str]) -> str | None:
    """A column of words that says which judgements count: ``submitted`` and ``discarded``."""
    for name, cells in table.columns.items():
        words = {str(cell).strip().lower() for cell in kinds.sample(cells)}
        if name not in used and parts(name)[-1:] == ("status",) and words & NOT_COUNTED:
            return name
    return None


def _are_flags(cells: Sequence[Any]) -> bool:
    seen = kinds.sample(cells)
    return bool(seen) and all(isinstance(cell, bool) or str(cell) in FLAG_WORDS for cell in seen)


def prompt(table: RawTable, form: str, answers: Sequence[str], used: Sequence[str]) -> str | None:
    """The source of the prompt: a column, or two that are read one behind the other."""
    free = [n for n in table.columns if n not in used and written(table, n)]
    talk = [n for n in free if kinds.kind_of(table.columns[n]) == kinds.MESSAGES]
    known = [n for n in ALIASES["prompt"] if n in free and (n != "user" or _is_long(table, n))]
    known += [n for n in free if is_prompt(n) and n not in known]
    texts = [n for n in known if n not in talk]
    whole = any(_whole(table, name) for name in answers)
    turns = [n for n in known if n in talk and not _ends_with_answer(table, n)]
    if turns and not (texts and whole):
        return turns[0]
    if not texts:
        return known[0] if known else None
    base = texts[0]
    if base in ("instruction", "prompt", "question") and "input" in texts:
        return f"{base},input"
    if base in ("instruction", "prompt", "question", "query") and "context" in texts:
        return f"context,{base}"
    return base


def _whole(table: RawTable, source: str) -> bool:
    cells = kinds.sample(values(table, source)) if exists(table, source) else []
    return bool(cells) and all(isinstance(cell, list) and len(cell) > 1 for cell in cells)


def _ends_with_answer(table: RawTable, column: str) -> bool:
    seen = kinds.sample(table.columns[column])
    last = [cell[-1] for cell in seen if isinstance(cell, list) and cell]
    roles = [entry.get("role", entry.get("from")) for entry in last if isinstance(entry, Mapping)]
    return bool(roles) and all(role in ("assistant", "gpt", "model") for role in roles)


def earlier(table: RawTable, answers: Sequence[str], used: Sequence[str]) -> str | None:
    """Messages beside a prompt that end with an answer which is none of those compared."""
    given = [values(table, name) for name in answers if exists(table, name)]
    for name in ("history", "messages", "conversations", "conversation", "context"):
        cells = table.columns.get(name, [])
        if name in used or kinds.kind_of(cells) != kinds.MESSAGES:
            continue
        if _ends_with_answer(table, name) and not any(
            _last_content(cell) in [_last_content(column[row]) for column in given]
            for row, cell in enumerate(cells[: kinds.SAMPLE])
        ):
            return name
    return None


def _last_content(cell: Any) -> Any:
    last = cell[-1] if isinstance(cell, list) and cell else cell
    return last.get("content", last.get("value")) if isinstance(last, Mapping) else last


def judges(table: RawTable) -> dict[str, str]:
    """A list of objects that each name a person and a judgement, as label and user."""
    for name, cells in table.columns.items():
        entries = [cell[0] for cell in kinds.sample(cells) if isinstance(cell, list) and cell]
        if not entries or not all(isinstance(entry, Mapping) for entry in entries):
            continue
        keys = list(dict.fromkeys(key for entry in entries for key in entry))
        people = [key for key in keys if key in ALIASES["user_id"] or is_person(key)]
        said = [key for key in ALIASES["label"] if key in keys] or [
            key for key in keys if is_judgement(key) and not set(parts(key)) & NO_LABELS
        ]
        if len(people) == 1 and said:
            found = {"label": f"{name}.*.{said[0]}", "user_id": f"{name}.*.{people[0]}"}
            status = next((key for key in keys if key in ALIASES["discarded"]), None)
            return found | ({"discarded": f"{name}.*.{status}"} if status else {})
    return {}


def person(table: RawTable, used: Sequence[str]) -> str | None:
    """The column of who judged."""
    for name in (*ALIASES["user_id"], *table.columns):
        if name not in table.columns or name in used:
            continue
        named = name in ALIASES["user_id"] or is_person(name)
        no_names = (kinds.TEXT, kinds.MESSAGES, kinds.EMPTY)
        if named and kinds.kind_of(table.columns[name]) not in no_names:
            return name
    return None


def system(table: RawTable, form: str, used: Sequence[str]) -> str | None:
    """The column of system messages; names of systems in rated lists are no messages."""
    for name in ALIASES["system"]:
        if name in table.columns and name not in used:
            kind = kinds.kind_of(table.columns[name])
            if kind in (kinds.NUMBERS, kinds.LIST, kinds.OBJECT, kinds.EMPTY):
                continue
            spaced = any(" " in str(cell).strip() for cell in kinds.sample(table.columns[name]))
            if form != "rating" or spaced:
                return name
    return None


def free(
    found: Mapping[str, str], mapped: Mapping[str, str], table: RawTable, needed: Sequence[str]
) -> dict[str, str]:
    """Found sources without those whose columns were mapped to something else.

    A label of rows (group, subset, profile) may be the same column as a text: a prompt is often
    its own group.
    """
    by_field = {field: set(split_sources(table, source)) for field, source in mapped.items()}
    used = set().union(*by_field.values())
    taken = set().union(
        *(part for field, part in by_field.items() if field not in ("group", "subset", "profile"))
    )
    return {
        name: source
        for name, source in found.items()
        if (taken if name in needed else used).isdisjoint(split_sources(table, source))
    }
