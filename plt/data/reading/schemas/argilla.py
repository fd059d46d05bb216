"""Argilla's exports, versions 1 and 2: the answers of each question stand in lists, by user."""

from collections.abc import Iterator, Mapping
from typing import Any

from plt.data.reading.field_map import values
from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles import find
from plt.data.reading.roles.names import is_judgement, marked, parts
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, entry, seen, with_columns

RESPONSES = ".responses"
RANKS = {"rank", "ranking"}
Question = tuple[str, dict[str, str]]
"""Name, and the sources of its answers, users and statuses."""


def _questions(table: RawTable) -> Iterator[Question]:
    for name in table.columns:
        if name.endswith(RESPONSES) and f"{name}.users" in table.columns:
            yield (
                name.removesuffix(RESPONSES),
                {"label": name, "user_id": f"{name}.users", "discarded": f"{name}.status"},
            )
        elif {"user_id", "value"} <= set(entry(table, name)):
            yield name, _in_list(name, "value")
    answers = seen(table, "responses")
    if isinstance(answers, Mapping):
        for name, given in answers.items():
            if isinstance(given, list) and given and "value" in given[0]:
                yield name, _in_list(f"responses.{name}", "value")
    elif "values" in entry(table, "responses"):
        for name in entry(table, "responses")["values"] or ():
            yield name, _in_list("responses", f"values.{name}.value")


def _in_list(column: str, value: str) -> dict[str, str]:
    fields = {"label": value, "user_id": "user_id", "discarded": "status"}
    return {field: f"{column}.*.{key}" for field, key in fields.items()}


def _question(table: RawTable) -> Question | None:
    """The question of who is better: by its name, else the first that is no free text."""
    found = list(_questions(table))
    named = [q for q in found if is_judgement(q[0]) or set(parts(q[0])) & RANKS]
    return next(iter(named or found), None)


def _rebuilt(table: RawTable) -> RawTable:
    """The fields of the record as columns."""
    cells = table.columns.get("fields")
    if cells is None or not isinstance(seen(table, "fields"), Mapping):
        return table
    fields = [cell if isinstance(cell, Mapping) else {} for cell in cells]
    names = dict.fromkeys(name for cell in fields for name in cell if name not in table.columns)
    return with_columns(table, {name: [cell.get(name) for cell in fields] for name in names})


def _known(table: RawTable) -> Known:
    question = _question(table)
    assert question is not None, "the schema fits"
    answers = {
        field: source
        for field, source in question[1].items()
        if "*" in source or source in table.columns
    }
    stem = find.family(table)
    pair = find.response_pair(table)
    sources: dict[str, str] = {}
    form = "pair"
    if stem is not None or _is_ranking(table, answers["label"]):
        form, answers["ranking"] = "rating", answers.pop("label")
        stems = [shared for one, two, shared in marked(table.columns) if (one, two) == pair]
        sources["response"] = stem or next(iter(stems), "response_*")
    elif pair is not None:
        sources = dict(zip(("response_1", "response_2"), pair, strict=True))
    used = [*question[1].values(), *(pair or ())]
    prompt = find.prompt(table, form, list(pair or ()), used)
    if prompt is not None:
        sources = {"prompt": prompt, **sources}
    if system := find.system(table, form, used):
        sources["system"] = system
    return Known(form, sources | answers)


def _is_ranking(table: RawTable, source: str) -> bool:
    before, star, after = source.partition(".*.")
    for cell in values(table, before if star else source):
        for item in cell if isinstance(cell, list) else ():
            value: Any = item
            for step in after.split(".") if star else ():
                value = value.get(step) if isinstance(value, Mapping) else None
            if isinstance(value, list) and value:
                return len(value) > 1
    return False


SCHEMA = Schema(
    "Argilla",
    "lists of responses to a question, by user",
    lambda table: _question(table) is not None,
    _known,
    _rebuilt,
)
