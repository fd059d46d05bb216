"""RM-Bench: a correct and a wrong answer, each written in three styles, plain to showy.

Source: hub dataset `THU-KEG/RM-Bench`. Paper: Liu et al. 2025, "RM-Bench: Benchmarking Reward
Models of Language Models with Subtlety and Style" (arXiv 2410.16184). Licence: ODC-BY.

Columns: `id`, `prompt`, `chosen` and `rejected` (lists of three texts: concise, detailed, detailed
with markup), `domain`. An item becomes nine pairs. They are *easy* where the correct answer has the
showier style, *normal* where both have the same and *hard* where the wrong one has the showier;
`subset` is ``domain: difficulty``, and all pairs of one item share `group`.
"""

from collections import Counter
from pathlib import Path

import polars as pl

from plt.data.reading.conversation import prompt_series, to_messages
from plt.data.reading.field_map import each, require, text, texts, values
from plt.data.reading.raw_files import matching_files, nearest, read
from plt.data.remarks import Say, warn
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta
from plt.errors import DataError

HUB_REPO = "THU-KEG/RM-Bench"
REVISION: str | None = None
FILES = ("total_dataset.json",)
LICENSE = "ODC-BY-1.0"
SIZE = "some 20 MB"
CONVERTER_VERSION = 1

STYLES = 3
DIFFICULTIES = ("easy", "normal", "hard")
DOMAINS = ("chat", "math", "code", "safety-refuse", "safety-response")
SUBSETS = tuple(f"{domain}: {how}" for domain in DOMAINS for how in DIFFICULTIES)
UNKNOWN_DOMAIN = "unknown domain"


def load(raw: Path, variant: str | None = None, say: Say = warn) -> Preferences:
    """Converts RM-Bench's own file, or any file in its columns.

    Args:
        raw: The file, or a folder that holds ``total_dataset.json``.
        variant: There are none.
        say: Takes remarks on domains that are unknown or missing.

    Returns:
        User-less pairs, nine an item, labelled by `chosen`; `subset` is one of `SUBSETS`.

    Raises:
        DataError: No file, missing columns, other numbers of styles, or no known domain.
    """
    del variant
    (path,) = matching_files(raw, "total_dataset*.json*", "*.parquet")[:1]
    table = read(path)
    require(table, ("prompt", "chosen", "rejected", "domain"))
    domains = [_domain(name) for name in texts(table, "domain", "domain")]
    found = Counter(domains)
    for name, rows in found.items():
        if name not in DOMAINS:
            say(f"{table.name}: domain {name!r} is not RM-Bench's{nearest(name, DOMAINS)};"
                f" {rows} items left out")  # fmt: skip
    missing = [name for name in DOMAINS if name not in found]
    if len(missing) == len(DOMAINS):
        raise DataError(
            f"{table.name} has no domain of RM-Bench",
            problems=[f"{name}: {n} items" for name, n in found.items()],
            hint=f"plt dataset-convert generic {path}",
        )
    if missing:
        say(f"{table.name} lacks {len(missing)} of {len(DOMAINS)} domains: {', '.join(missing)}")
    prompts = list(each(table, "prompt", values(table, "prompt"), to_messages))
    good, bad = (list(each(table, side, values(table, side), _styles))
                 for side in ("chosen", "rejected"))  # fmt: skip
    ids = values(table, "id") if "id" in table.columns else range(table.height)
    names = [f"{domain}/{text(name)}" for domain, name in zip(domains, ids, strict=True)]
    nine: list[tuple[int, int, int]] = [
        (i, one, two)
        for i in range(table.height)
        if domains[i] in DOMAINS
        for one in range(STYLES)
        for two in range(STYLES)
    ]
    frame = pl.DataFrame(
        {
            "subset": [f"{domains[i]}: {difficulty(one, two)}" for i, one, two in nine],
            "group": [names[i] for i, _, _ in nine],
            "response_1": [good[i][one] for i, one, _ in nine],
            "response_2": [bad[i][two] for i, _, two in nine],
        },
        schema=dict.fromkeys(("subset", "group", "response_1", "response_2"), pl.String),
    ).with_columns(prompt_series([prompts[i] for i, _, _ in nine]), label=pl.lit(1.0))
    unknown = sum(n for name, n in found.items() if name not in DOMAINS)
    meta = Meta(dataset="rm-bench", license=LICENSE, source_hash=table.source_hash)
    return build(frame, meta.with_dropped({UNKNOWN_DOMAIN: unknown, **table.dropped}))


def difficulty(chosen: int, rejected: int) -> str:
    """How hard a pair is by the styles of its answers, 0 plain to 2 showy."""
    return DIFFICULTIES[1 + (rejected > chosen) - (chosen > rejected)]


def _domain(name: str | None) -> str:
    """The name of a domain in the spelling of the paper: ``safety-refuse`` also as a folder."""
    return str(name).casefold().replace("_", "-").replace("/", "-")


def _styles(cell: object) -> list[str]:
    if isinstance(cell, list) and len(cell) == STYLES and all(isinstance(e, str) for e in cell):
        return cell
    raise ValueError(f"not {STYLES} texts, one a style: {str(cell)[:60]}")
