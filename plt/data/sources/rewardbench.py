"""RewardBench: 2,985 checked pairs in 23 subsets and four sections, without users.

Source: hub dataset `allenai/reward-bench`, split `filtered`. Paper: Lambert et al. 2024,
"RewardBench: Evaluating Reward Models for Language Modeling" (arXiv 2403.13787). Licence: ODC-BY.

Columns: `prompt` (a text or messages), `chosen`, `chosen_model`, `rejected`, `rejected_model`,
`subset`, `id`. Older files say `mt-bench-medium` where the current ones say `mt-bench-med`; both
are read. Rows of other subsets are dropped, counted and named: they have no section. A file that
lacks subsets, or holds other numbers of rows than the published ones, is converted, and that is
said, because its sections are then not comparable with the leaderboard.

The variant ``s0`` is the split `raw`, which Dong et al. 2025 measured on; what they left out of it
(two subsets that their names did not find) is `S0_SECTIONS`.
"""

from collections import Counter
from pathlib import Path

import polars as pl

from plt.data.reading.conversation import prompt_series
from plt.data.reading.field_map import require, text, texts
from plt.data.reading.judged.pair_form import read_chosen
from plt.data.reading.raw_files import RawTable, matching_files, nearest, read
from plt.data.remarks import Say, warn
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta
from plt.errors import DataError

HUB_REPO = "allenai/reward-bench"
REVISION: str | None = None
FILES = ("data/filtered-*.parquet", "data/raw-*.parquet")
LICENSE = "ODC-BY-1.0"
SIZE = "a few MB"
CONVERTER_VERSION = 1
VARIANTS = (None, "s0")

SECTIONS = {
    "Chat": (
        "alpacaeval-easy", "alpacaeval-length", "alpacaeval-hard", "mt-bench-easy", "mt-bench-med",
    ),
    "Chat Hard": (
        "mt-bench-hard", "llmbar-natural", "llmbar-adver-neighbor", "llmbar-adver-GPTInst",
        "llmbar-adver-GPTOut", "llmbar-adver-manual",
    ),
    "Safety": (
        "refusals-dangerous", "refusals-offensive", "xstest-should-refuse",
        "xstest-should-respond", "donotanswer",
    ),
    "Reasoning": (
        "math-prm", "hep-cpp", "hep-go", "hep-java", "hep-js", "hep-python", "hep-rust",
    ),
}  # fmt: skip
COUNTS = {
    "alpacaeval-easy": 100, "alpacaeval-length": 95, "alpacaeval-hard": 95, "mt-bench-easy": 28,
    "mt-bench-med": 40, "mt-bench-hard": 37, "llmbar-natural": 100, "llmbar-adver-neighbor": 134,
    "llmbar-adver-GPTInst": 92, "llmbar-adver-GPTOut": 47, "llmbar-adver-manual": 46,
    "refusals-dangerous": 100, "refusals-offensive": 100, "xstest-should-refuse": 154,
    "xstest-should-respond": 250, "donotanswer": 136, "math-prm": 447, "hep-cpp": 164,
    "hep-go": 164, "hep-java": 164, "hep-js": 164, "hep-python": 164, "hep-rust": 164,
}  # fmt: skip
# The weight of a subset in its section is its number of rows, but for math-prm: it counts as much
# as the six code subsets together.
WEIGHTS = {**COUNTS, "math-prm": 984}
S0_SECTIONS = {
    section: tuple(name for name in names if name not in ("mt-bench-med", "donotanswer"))
    for section, names in SECTIONS.items()
}
"""The sections of Dong et al. 2025, whose code asks for two subsets by names that do not occur."""
SPELLINGS = {"mt-bench-medium": "mt-bench-med"}
UNKNOWN_SUBSET = "unknown subset"


def load(raw: Path, variant: str | None = None, say: Say = warn) -> Preferences:
    """Converts RewardBench's own file, or any file in its columns.

    Args:
        raw: The file, or a folder that holds ``filtered-*.parquet``.
        variant: ``s0`` reads the split `raw` of a folder.
        say: Takes remarks on subsets that are unknown, missing or of another size.

    Returns:
        User-less pairs, labelled by `chosen`, with `subset` one of `COUNTS`.

    Raises:
        DataError: No file, missing columns, or no known subset.
    """
    split = "filtered" if variant is None else "raw"
    (path,) = matching_files(raw, *(f"{split}*.{end}" for end in ("parquet", "jsonl", "json")))[:1]
    table = read(path)
    require(table, ("prompt", "chosen", "rejected", "subset"))
    pairs = read_chosen(table, "chosen", "rejected", "prompt", say)
    subsets = [SPELLINGS.get(str(name), name) for name in texts(table, "subset", "subset")]
    frame = pl.DataFrame(
        {
            "subset": subsets,
            "source_1": _column(table, "chosen_model"),
            "source_2": _column(table, "rejected_model"),
        },
        schema=dict.fromkeys(("subset", "source_1", "source_2"), pl.String),
    )[pairs.rows].with_columns(
        prompt_series(pairs.prompts),
        pl.Series("response_1", pairs.ones, dtype=pl.String),
        pl.Series("response_2", pairs.twos, dtype=pl.String),
        label=pl.lit(1.0),
    )
    known = frame.filter(pl.col("subset").is_in(list(COUNTS)))
    _report(table, subsets, say, published=variant is None)
    if known.height == 0:
        raise DataError(
            f"{table.name} has no subset of RewardBench",
            problems=[f"{name}: {n} rows" for name, n in Counter(map(str, subsets)).items()],
            hint=f"plt dataset-convert generic {path}",
        )
    dropped = {UNKNOWN_SUBSET: frame.height - known.height, **pairs.dropped, **table.dropped}
    name = "rewardbench" if variant is None else f"rewardbench:{variant}"
    meta = Meta(dataset=name, license=LICENSE, source_hash=table.source_hash)
    return build(known, meta.with_dropped(dropped))


def section_of(subset: str) -> str | None:
    """The section that a subset counts in, or None for a name that RewardBench does not have."""
    return next((section for section, names in SECTIONS.items() if subset in names), None)


def _column(table: RawTable, name: str) -> list[str | None]:
    if name not in table.columns:
        return [None] * table.height
    return [text(cell) for cell in table.columns[name]]


def _report(table: RawTable, subsets: list[str | None], say: Say, *, published: bool) -> None:
    found = Counter(map(str, subsets))
    for name, rows in found.items():
        if name not in COUNTS:
            say(f"{table.name}: subset {name!r} is not RewardBench's{nearest(name, COUNTS)};"
                f" {rows} rows left out")  # fmt: skip
    missing = [name for name in COUNTS if name not in found]
    other = [f"{name} {found[name]} of {n}" for name, n in COUNTS.items() if 0 < found[name] != n]
    if missing:
        say(f"{table.name} lacks {len(missing)} of 23 subsets: {', '.join(missing)}")
    if other and published:
        say(f"{table.name} has other numbers of rows than published: {', '.join(other)}")
