"""Several rated, ranked or chosen responses to a prompt: where files have them, by names."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from plt.data.reading.field_map import STAR, exists
from plt.data.reading.judged.people import is_nothing
from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles import kinds
from plt.data.reading.roles.find import LISTS, family, first, labels, system
from plt.data.reading.roles.names import ALIASES


def rated(table: RawTable, mapped: Mapping[str, str]) -> dict[str, str]:
    """Response and score (or rank, or ranking), and source, in wide, list or long form."""
    found = _in_lists(table) or _in_columns(table) or _in_rows(table)
    found = {name: source for name, source in found.items() if exists(table, source)}
    return found if mapped or is_judged(found) or family(table) else {}


def score_families(table: RawTable, responses: str | None) -> list[str]:
    """``response_*_gemma`` for columns of numbers that belong to a family of responses."""
    before, star, after = (responses or "").partition(STAR)
    found: dict[str, None] = {}
    for name, cells in table.columns.items():
        match = re.fullmatch(rf"{re.escape(before)}(\d+|[A-Za-z])(.+)", name)
        if star and match and match[2] != after and kinds.kind_of(cells) == kinds.NUMBERS:
            found[f"{before}{STAR}{match[2]}"] = None
    return list(found)


def is_judged(found: Mapping[str, str]) -> bool:
    """Whether found sources say which response is better."""
    return "response" in found and bool({"score", "rank", "ranking"} & set(found))


def _in_lists(table: RawTable) -> dict[str, str]:
    for name in LISTS:
        entries = next((c for c in kinds.sample(table.columns.get(name, []))), None)
        if not isinstance(entries, list) or not entries:
            continue
        if isinstance(entries[0], Mapping) and not kinds.is_talk(entries[0]):
            fields = ("response", "score", "rank", "source")
            keys = {field: _key_of(entries[0], field) for field in fields}
            found = {field: f"{name}.*.{key}" for field, key in keys.items() if key}
            if "score" in found:
                found.pop("rank", None)
            return found
        found = {"response": f"{name}.*"}
        for field, columns in (
            ("score", ("scores", "ratings", "rewards")),
            ("rank", ("ranks", "rank")),
            ("source", ("models", "generation_models", "model_names")),
        ):
            column = next((c for c in columns if c in table.columns), None)
            if column is not None:
                found[field] = f"{column}.*"
        if "score" not in found and "rank" not in found:
            ranking = first(table, "ranking") or next(iter(labels(table, [name])), None)
            found |= {"ranking": ranking} if ranking else {}
        return found
    return {}


def _in_columns(table: RawTable) -> dict[str, str]:
    stem = family(table) or ("response_*" if exists(table, "response_*") else None)
    if stem is None:
        return {}
    before, _, after = stem.partition(STAR)
    found = {"response": stem}
    options = {
        "score": (f"score_{STAR}", f"{stem}_score", f"rating_{STAR}", f"{stem}_rating"),
        "rank": (f"rank_{STAR}", f"{stem}_rank"),
        "source": (f"model_{STAR}", f"{stem}_model", f"source_{STAR}"),
    }
    for field, sources in options.items():
        source = next((s for s in sources if exists(table, s) and s != stem), None)
        if source is not None:
            found[field] = source
    if "score" not in found and "rank" not in found:
        ranking = first(table, "ranking") or next(iter(labels(table, [before + after])), None)
        found |= {"ranking": ranking} if ranking else {}
    return found


def _in_rows(table: RawTable) -> dict[str, str]:
    found = {n: c for n in ("response", "score", "rank", "source") if (c := first(table, n))}
    if found.get("source") == "system" and system(table, "rating", []) == "system":
        del found["source"]
    if "score" in found:
        found.pop("rank", None)
    elif "rank" not in found and "response" in found:
        thumbs = first(table, "label")
        if thumbs is not None and _are_thumbs(table.columns[thumbs]):
            found["score"] = thumbs
    return found


def _are_thumbs(cells: Sequence[Any]) -> bool:
    seen = kinds.sample(cells)
    return bool(seen) and all(
        isinstance(cell, bool) or str(cell).strip().lower() in ("true", "false") for cell in seen
    )


def _key_of(entry: Mapping[str, Any], name: str) -> str | None:
    extra = {"response": ("text", "content", "completion", "messages"), "score": ("scores",)}
    keys = (*extra.get(name, ()), *ALIASES[name])
    return next((key for key in keys if key in entry and not is_nothing(entry[key])), None)
