"""RewardBench 2: items of one correct answer among four, and items with several correct ones.

Source: hub dataset `allenai/reward-bench-2`, split `test`. Paper: Malik et al. 2025, "RewardBench
2: Advancing Reward Model Evaluation" (arXiv 2506.01937). Licence: ODC-BY.

Columns: `id`, `prompt` (a text or messages), `chosen` and `rejected` (lists of texts), `subset`; an
item of `Ties` has several correct answers, and its id is ``tied:n``, or ``ref:n`` for the prompt
with one correct answer that belongs to it. An item becomes one pair for each correct and each wrong
answer, and all of its pairs share `group`, so that an item can be judged as one: guessing finds the
best of four in one case of four.
"""

from collections import Counter
from pathlib import Path

import polars as pl

from plt.data.reading.conversation import prompt_series, to_messages
from plt.data.reading.field_map import each, require, text, texts, values
from plt.data.reading.raw_files import RawTable, matching_files, nearest, read
from plt.data.remarks import Say, warn
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta
from plt.errors import DataError

HUB_REPO = "allenai/reward-bench-2"
REVISION: str | None = None
FILES = ("data/test-*.parquet",)
LICENSE = "ODC-BY-1.0"
SIZE = "some 20 MB"
CONVERTER_VERSION = 1

COUNTS = {
    "Factuality": 475, "Precise IF": 160, "Math": 183, "Safety": 450, "Focus": 495, "Ties": 102,
}  # fmt: skip
"""Items of each subset as published; each subset is a section of its own."""
TIES = "Ties"
UNKNOWN_SUBSET = "unknown subset"


def load(raw: Path, variant: str | None = None, say: Say = warn) -> Preferences:
    """Converts RewardBench 2's own file, or any file in its columns.

    Args:
        raw: The file, or a folder that holds ``test-*.parquet``.
        variant: There are none.
        say: Takes remarks on subsets that are unknown, missing or of another size.

    Returns:
        User-less pairs, labelled by `chosen`; `subset` is one of `COUNTS`, `group` names the item.

    Raises:
        DataError: No file, missing columns, ids that are repeated, or no known subset.
    """
    del variant
    (path,) = matching_files(raw, "test*.parquet", "test*.jsonl", "test*.json")[:1]
    table = read(path)
    require(table, ("id", "prompt", "chosen", "rejected", "subset"))
    subsets = texts(table, "subset", "subset")
    _report(table, subsets, say)
    names = [f"{subset}/{text(name)}" for subset, name in zip(subsets, values(table, "id"),
                                                             strict=True)]  # fmt: skip
    repeated = [name for name, n in Counter(names).items() if n > 1]
    if repeated:
        raise DataError(f"{table.name} names several items alike", problems=repeated[:10])
    prompts = list(each(table, "prompt", values(table, "prompt"), to_messages))
    answers = [list(each(table, side, values(table, side), _texts)) for side in SIDES]
    rows = [
        (i, good, bad)
        for i in range(table.height)
        if subsets[i] in COUNTS
        for good in answers[0][i]
        for bad in answers[1][i]
    ]
    at = [row for row, _, _ in rows]
    frame = pl.DataFrame(
        {
            "subset": [subsets[i] for i in at],
            "group": [names[i] for i in at],
            "response_1": [good for _, good, _ in rows],
            "response_2": [bad for _, _, bad in rows],
        },
        schema=dict.fromkeys(("subset", "group", "response_1", "response_2"), pl.String),
    ).with_columns(prompt_series([prompts[i] for i in at]), label=pl.lit(1.0))
    unknown = sum(name not in COUNTS for name in subsets)
    meta = Meta(dataset="rewardbench2", license=LICENSE, source_hash=table.source_hash)
    return build(frame, meta.with_dropped({UNKNOWN_SUBSET: unknown, **table.dropped}))


SIDES = ("chosen", "rejected")


def _texts(cell: object) -> list[str]:
    if isinstance(cell, str):
        return [cell]
    if isinstance(cell, list) and cell and all(isinstance(entry, str) for entry in cell):
        return cell
    raise ValueError(f"neither a text nor a list of texts: {str(cell)[:60]}")


def _report(table: RawTable, subsets: list[str | None], say: Say) -> None:
    found = Counter(map(str, subsets))
    for name, rows in found.items():
        if name not in COUNTS:
            say(f"{table.name}: subset {name!r} is not RewardBench 2's{nearest(name, COUNTS)};"
                f" {rows} items left out")  # fmt: skip
    if not set(found) & set(COUNTS):
        raise DataError(
            f"{table.name} has no subset of RewardBench 2",
            problems=[f"{name}: {n} items" for name, n in found.items()],
            hint=f"plt dataset-convert generic {table.name}",
        )
    missing = [name for name in COUNTS if name not in found]
    other = [f"{name} {found[name]} of {n}" for name, n in COUNTS.items() if 0 < found[name] != n]
    if missing:
        say(f"{table.name} lacks {len(missing)} of {len(COUNTS)} subsets: {', '.join(missing)}")
    if other:
        say(f"{table.name} has other numbers of items than published: {', '.join(other)}")
