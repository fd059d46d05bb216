"""Label Studio's JSON export: tasks with a list of annotations, each by somebody."""

from collections.abc import Mapping
from typing import Any

from plt.data.reading.field_map import walk
from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles import find
from plt.data.reading.roles.plan import Known
from plt.data.reading.schemas.schema import Schema, entry, has, seen, with_columns

JUDGED = "judged"
WORDS = {"left": "a", "right": "b"}


def _rebuilt(table: RawTable) -> RawTable:
    """The fields of the task as columns, and one list of who selected what."""
    data = [cell if isinstance(cell, Mapping) else {} for cell in table.columns["data"]]
    names = dict.fromkeys(name for cell in data for name in cell if name not in table.columns)
    columns: dict[str, list[Any]] = {name: [cell.get(name) for cell in data] for name in names}
    columns[JUDGED] = [
        [_judged(given, cell) for given in annotations or [] if isinstance(given, Mapping)]
        for annotations, cell in zip(table.columns["annotations"], data, strict=True)
    ]
    return with_columns(table, columns)


def _judged(annotation: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    by = annotation.get("completed_by")
    return {
        "user": by.get("id", by.get("email")) if isinstance(by, Mapping) else by,
        "selected": _selected(annotation.get("result") or [], data),
        "cancelled": annotation.get("was_cancelled"),
        "at": annotation.get("created_at"),
    }


def _selected(results: list[Any], data: Mapping[str, Any]) -> Any:
    """What was selected: the field's own name where the tag names the two that it compares."""
    for kind in ("pairwise", "choices"):
        for result in results:
            if not isinstance(result, Mapping) or result.get("type") != kind:
                continue
            chosen = walk(result, "value.selected") or walk(result, "value.choices")
            if isinstance(chosen, list):
                chosen = chosen[0] if len(chosen) == 1 else None
            compared = [name.strip() for name in str(result.get("to_name", "")).split(",")]
            if chosen in WORDS and len(compared) == 2 and set(compared) <= set(data):
                return compared[list(WORDS).index(chosen)]
            return chosen
    return None


def _known(table: RawTable) -> Known:
    sources: dict[str, str] = {}
    if pair := find.response_pair(table):
        sources = dict(zip(("response_1", "response_2"), pair, strict=True))
        sources |= find.beside(table, pair)
    if prompt := find.prompt(table, "pair", list(sources.values()), list(sources.values())):
        sources = {"prompt": prompt, **sources}
    sources |= {
        "label": f"{JUDGED}.*.selected", "user_id": f"{JUDGED}.*.user",
        "discarded": f"{JUDGED}.*.cancelled", "judged_at": f"{JUDGED}.*.at",
    }  # fmt: skip
    if system := find.system(table, "pair", list(sources.values())):
        sources["system"] = system
    return Known("pair", sources, WORDS)


SCHEMA = Schema(
    "Label Studio JSON",
    "tasks with data and annotations that have a result",
    lambda table: (
        has(table, "data", "annotations")
        and isinstance(seen(table, "data"), Mapping)
        and "result" in entry(table, "annotations")
    ),
    _known,
    _rebuilt,
)
