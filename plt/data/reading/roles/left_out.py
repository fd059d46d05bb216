"""The columns that a plan does not read, by kind, and those of them that a field may lack."""

from collections.abc import Iterable, Mapping

from plt.data.reading.field_map import STAR, split_sources
from plt.data.reading.raw_files import RawTable
from plt.data.reading.roles import kinds
from plt.data.reading.roles.names import (
    ITEMS,
    JUDGING,
    OPINIONS,
    RATING,
    is_about,
    is_judgement,
    is_person,
    is_prompt,
    parts,
)

MAX_NAMED = 8
IDENTIFYING = frozenset({"id", "uid", "uuid", "guid", "pseudonym", "handle"})


def columns_of(table: RawTable, sources: Iterable[str]) -> set[str]:
    """The columns that sources read, also those of which they read a part or a family."""
    used: set[str] = set()
    for source in sources:
        for part in split_sources(table, source):
            if part.startswith("="):
                continue
            steps = part.split(".")
            for end in range(len(steps), 0, -1):
                name = ".".join(steps[:end])
                if name in table.columns:
                    used.add(name)
                    break
            if STAR in part:
                before, _, after = part.partition(STAR)
                ending = after.partition(".")[0]
                used |= {
                    name
                    for name in table.columns
                    if name.startswith(before)
                    and name.endswith(ending)
                    and name[len(before) : len(name) - len(ending) or None].isalnum()
                } | ({before.rstrip(".")} & set(table.columns))
    return used


def left_out(table: RawTable, sources: Iterable[str]) -> dict[str, list[str]]:
    """Kind of values to the columns that no source reads; empty columns are not named."""
    used = columns_of(table, sources)
    found: dict[str, list[str]] = {}
    for name, cells in table.columns.items():
        if name not in used and (kind := kinds.kind_of(cells)) != kinds.EMPTY:
            found.setdefault(kind, []).append(name)
    order = (kinds.TEXT, kinds.MESSAGES, kinds.LIST, kinds.OBJECT, kinds.FEW_VALUES, kinds.IDS,
             kinds.FLAGS, kinds.NUMBERS)  # fmt: skip
    return {kind: found[kind] for kind in order if kind in found}


def in_words(found: Mapping[str, list[str]]) -> str:
    """Left-out columns as one line: ``text: rationale; few values: language``."""
    shown = []
    for kind, names in found.items():
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        shown.append(f"{kind}: {', '.join(names[:MAX_NAMED])}{more}")
    return "; ".join(shown)


def may_be_prompt(found: Mapping[str, list[str]]) -> list[str]:
    """Left-out columns that may hold the prompt, the likeliest first."""
    names = [
        name
        for kind in (kinds.MESSAGES, kinds.TEXT, kinds.IDS)
        for name in found.get(kind, [])
        if not _is_beside(name, kind) and not is_person(name) and not is_judgement(name)
    ]
    return sorted(names, key=lambda name: not is_prompt(name))


def _is_beside(name: str, kind: str) -> bool:
    """Whether a column tells of a choice; long texts do so only where they are opinions of it."""
    if "text" in parts(name) or kind == kinds.TEXT:
        return bool(set(parts(name)) & OPINIONS)
    return is_about(name)


def may_be_people(table: RawTable, found: Mapping[str, list[str]]) -> list[str]:
    """Left-out columns that may name who judged: ids that come again, and are of no known thing."""
    names = []
    for kind in (kinds.IDS, kinds.NUMBERS, kinds.FEW_VALUES):
        for name in found.get(kind, []):
            words = parts(name)
            of_people = is_person(name) or (
                words[-1:]
                and words[-1] in IDENTIFYING
                and len(words) > 1
                and not set(words) & ITEMS
            )
            seen = kinds.sample(table.columns[name])
            if of_people and 1 < len(set(map(str, seen))) < len(seen):
                names.append(name)
    return names


def may_be_label(found: Mapping[str, list[str]]) -> list[str]:
    """Left-out columns that are called like judgements."""
    return [
        name
        for kind, names in found.items()
        if kind not in (kinds.TEXT,)
        for name in names
        if set(parts(name)) & (JUDGING | RATING)
    ]
