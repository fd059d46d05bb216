"""HH-RLHF: pairs of chat transcripts judged helpful or harmless, without user ids.

Source: hub dataset `Anthropic/hh-rlhf`. Paper: Bai et al. 2022, "Training a Helpful and Harmless
Assistant with RLHF" (arXiv 2204.05862). Licence: MIT.

Files `FOLDER/{train,test}.jsonl.gz` with `chosen` and `rejected`, each a whole transcript. The
transcripts of a row share everything up to the last "Assistant:"; rows where they do not (5 of the
2,312 of harmless-base's test file) are dropped and counted. `subset` is the folder, `split` the
file. Copies of the repository often hold git-LFS pointers in place of the files; they are named.
"""

from pathlib import Path

import polars as pl

from plt.data.reading.conversation import prompt_series
from plt.data.reading.field_map import require
from plt.data.reading.judged.pair_form import read_chosen
from plt.data.reading.raw_files import RawTable, joined_hash, matching_files, read
from plt.data.remarks import Say, warn
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta
from plt.errors import UsageError

HUB_REPO = "Anthropic/hh-rlhf"
REVISION: str | None = None
SUBSETS = ("harmless-base", "helpful-base", "helpful-online", "helpful-rejection-sampled")
FILES = tuple(f"{name}/{part}.jsonl.gz" for name in SUBSETS for part in ("train", "test"))
LICENSE = "MIT"
SIZE = "90 MB"
CONVERTER_VERSION = 1

VARIANTS = (None, "harmless", "helpful")


def load(raw: Path, variant: str | None = None, say: Say = warn) -> Preferences:
    """Converts one or several files of HH-RLHF.

    Args:
        raw: A file, or a folder that holds any of them.
        variant: None, `harmless` or `helpful`: the subsets whose name begins so.
        say: Takes a remark on how the transcripts were split.

    Returns:
        User-less pairs.

    Raises:
        DataError: No files, or files of another form.
        UsageError: No such variant.
    """
    if variant not in VARIANTS:
        raise UsageError(f"hh has no variant {variant!r}", hint="plt ls datasets")
    found = matching_files(raw, "*train.jsonl", "*test.jsonl")
    paths = [path for path in found if not variant or subset_of(path).startswith(variant)]
    tables = [read(path) for path in paths]
    meta = Meta(dataset="hh", license=LICENSE, source_hash=joined_hash(tables))
    frames = []
    for path, table in zip(paths, tables, strict=True):
        frame, dropped = _pairs(table, path, say)
        frames.append(frame)
        meta = meta.with_dropped(table.dropped).with_dropped(dropped)
    return build(pl.concat(frames), meta)


def subset_of(path: Path) -> str:
    """The subset of a file: its folder, or what stands before the part in its own name."""
    stem = path.name.removesuffix(".gz").removesuffix(".jsonl")
    name = stem.removesuffix("train").removesuffix("test").strip("_-")
    return name or path.parent.name


def _pairs(table: RawTable, path: Path, say: Say) -> tuple[pl.DataFrame, dict[str, int]]:
    require(table, ("chosen", "rejected"))
    pairs = read_chosen(table, "chosen", "rejected", None, say)
    stem = path.name.removesuffix(".gz").removesuffix(".jsonl")
    frame = pl.DataFrame(
        {"response_1": pairs.ones, "response_2": pairs.twos},
        schema={"response_1": pl.String, "response_2": pl.String},
    ).with_columns(
        prompt_series(pairs.prompts),
        label=pl.lit(1.0),
        subset=pl.lit(subset_of(path)),
        split=pl.lit("train" if stem.endswith("train") else "test"),
    )
    return frame, pairs.dropped
