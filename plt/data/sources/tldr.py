"""Reddit TL;DR comparisons: which of two summaries a named worker prefers.

Source: `comparisons` of OpenAI's summarize_from_feedback (hub dataset
`openai/summarize_from_feedback`, here in the hub's own Parquet conversion; or the batch files,
which are JSON Lines although they are called .json). Paper: Stiennon et al. 2020, "Learning to
summarize from human feedback" (arXiv 2009.01325). Licence: modified MIT; posts CC-BY-4.0.

Row: `info` {id, post, title, subreddit; site, article in CNN/DM rows}, `summaries` of two {text,
policy, note}, `choice` (the position of the preferred one), `worker`, `split` (train, valid1,
valid2), `extra`. Rows of CNN/DM have no post; they are dropped and counted. Texts begin with a
blank, which is stripped. Posts repeat across workers, so agreement can be computed; `group` is the
post. Source rows `train` are the train split, all others test.

Variants:
    top5: the five workers with most train rows, prompt in the words of paper 000's code.
    length-top10, length-top40: paper 002's simulated users. Rows whose two summaries come from
        supervised policies; the workers with most such train rows are the seen users, all others
        are unseen and have test rows only. The real choice is replaced: a worker prefers the longer
        text with probability 0.7, else the shorter (numpy RandomState 3456, in rank order). Lengths
        are those of the texts as stored, without the blank in front that most but not all raw texts
        have, so that labels and texts agree. Equal lengths, for which the published code takes the
        first summary, are dropped and counted. Which rows are too long is decided on the raw texts,
        as published; no published count of rows depends on the lengths compared.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from plt.data.reading.conversation import prompt_series, to_messages
from plt.data.reading.field_map import require
from plt.data.reading.json_rows import MAX_PROBLEMS
from plt.data.reading.raw_files import RawTable, joined_hash, matching_files, read
from plt.data.remarks import Say, warn
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta
from plt.errors import DataError, UsageError

HUB_REPO = "openai/summarize_from_feedback"
REVISION = "refs/convert/parquet"
FILES = ("comparisons/train/*.parquet", "comparisons/validation/*.parquet")
LICENSE = "modified MIT (comparisons), CC-BY-4.0 (posts)"
SIZE = "about 150 MB"
CONVERTER_VERSION = 2

LENGTH_SEED = 3456
SHORTER = 0.3
MAX_CHARS = 4800
CNN_DM = "CNN/DM row"
VARIANTS = (None, "top5", "length-top10", "length-top40")


@dataclass(frozen=True)
class Comparison:
    """One row: a worker chose between two summaries of a post."""

    post_id: str
    subreddit: str
    title: str
    post: str | None
    texts: tuple[str, str]
    policies: tuple[str, str]
    choice: int
    worker: str
    split: str


def load(raw: Path, variant: str | None = None, say: Say = warn) -> Preferences:
    """Converts the comparisons.

    Args:
        raw: One file, or a folder that holds the batch files or the Parquet conversion.
        variant: None, `top5`, `length-top10` or `length-top40`.
        say: Takes a remark on the source's splits.

    Returns:
        Judgements of workers, split as the source is; `meta.split` says that the source's own
        split is by batch and not by post where posts straddle it.

    Raises:
        DataError: Files or columns are missing, or rows have another form; all are named.
        UsageError: No such variant.
    """
    if variant not in VARIANTS:
        raise UsageError(f"tldr has no variant {variant!r}", hint="plt ls datasets")
    found = matching_files(raw, "*.json", "*.jsonl", "*.parquet")
    # The release has a second table beside the comparisons: ratings of single summaries.
    tables = [read(path) for path in found if not path.name.startswith("axis")]
    comparisons = [row for table in tables for row in _comparisons(table)]
    meta = Meta(
        dataset=f"tldr:{variant}" if variant else "tldr",
        license=LICENSE,
        source_hash=joined_hash(tables),
    )
    for table in tables:
        meta = meta.with_dropped(table.dropped)
    if variant is not None and variant.startswith("length-top"):
        return _length_users(comparisons, int(variant.removeprefix("length-top")), meta)
    kept = [row for row in comparisons if row.post is not None]
    dropped = {CNN_DM: len(comparisons) - len(kept)}
    prompt = full_prompt
    if variant == "top5":
        best = set(rank_workers(comparisons)[:5])
        chosen = [row for row in kept if row.worker in best]
        dropped["worker outside the top 5"] = len(kept) - len(chosen)
        kept, prompt = chosen, short_prompt
    labels = [1.0 - row.choice for row in kept]
    return _build(kept, labels, prompt, meta.with_dropped(dropped))


def full_prompt(row: Comparison) -> str:
    """The prompt with subreddit and title, as paper 002 uses it."""
    return f"SUBREDDIT: r/{row.subreddit}\nTITLE: {row.title}\nPOST: {row.post}\nTL;DR:"


def short_prompt(row: Comparison) -> str:
    """The prompt of paper 000: an instruction and the post."""
    return f"Summarize the following text: {row.post}"


def rank_workers(rows: Sequence[Comparison]) -> list[str]:
    """All workers, those with most train rows first; equals by name."""
    train = Counter(row.worker for row in rows if row.split == "train")
    return sorted({row.worker for row in rows}, key=lambda name: (-train[name], name))


def prefers_shorter(n_workers: int) -> list[bool]:
    """Which ranks prefer the shorter summary: paper 002's draw, in rank order."""
    draw = np.random.RandomState(LENGTH_SEED)
    return [bool(draw.choice([0, 1], p=[1 - SHORTER, SHORTER])) for _ in range(n_workers)]


def _length_users(rows: Sequence[Comparison], top: int, meta: Meta) -> Preferences:
    supervised = [row for row in rows if all(_is_supervised(policy) for policy in row.policies)]
    ranked = rank_workers(supervised)
    shorter = dict(zip(ranked, prefers_shorter(len(ranked)), strict=True))
    seen = set(ranked[:top])
    dropped: Counter[str] = Counter({"policy not supervised": len(rows) - len(supervised)})
    kept, labels = [], []
    for row in supervised:
        first, second = (len(text.strip()) for text in row.texts)
        if row.post is None:
            dropped[CNN_DM] += 1
        elif row.split == "train" and row.worker not in seen:
            dropped[f"train row of a worker outside the top {top}"] += 1
        elif first == second:
            dropped["equal length"] += 1
        elif len(full_prompt(row)) + max(map(len, row.texts)) > MAX_CHARS:
            dropped[f"longer than {MAX_CHARS} characters"] += 1
        else:
            kept.append(row)
            labels.append(float((first < second) == shorter[row.worker]))
    truth = {
        "simulator": "tldr-length",
        "seed": LENGTH_SEED,
        "shorter_probability": SHORTER,
        "reward": "number of characters; its negative for the users in `shorter`",
        "shorter": sorted(name for name, yes in shorter.items() if yes),
    }
    meta = replace(meta.with_dropped(dropped), truth=truth)
    return _build(kept, labels, full_prompt, meta, seen)


def _is_supervised(policy: str) -> bool:
    return "sup" in policy and "ppo" not in policy and "cnn" not in policy


def _build(
    rows: Sequence[Comparison],
    labels: Sequence[float],
    prompt: Callable[[Comparison], str],
    meta: Meta,
    seen: set[str] | None = None,
) -> Preferences:
    if not rows:
        raise DataError(
            "no comparison is left",
            problems=[f"{count} dropped: {why}" for why, count in meta.dropped.items()],
        )
    texts = dict.fromkeys(
        ("user_id", "group", "subset", "split", "source_1", "source_2"), pl.String
    )
    frame = pl.DataFrame(
        {
            "user_id": [row.worker for row in rows],
            "group": [row.post_id for row in rows],
            "subset": [row.subreddit for row in rows],
            "split": ["train" if row.split == "train" else "test" for row in rows],
            "response_1": [row.texts[0].strip() for row in rows],
            "response_2": [row.texts[1].strip() for row in rows],
            "source_1": [row.policies[0] for row in rows],
            "source_2": [row.policies[1] for row in rows],
            "label": labels,
        },
        schema_overrides={**texts, "label": pl.Float64},
    ).with_columns(prompt_series([to_messages(prompt(row)) for row in rows]))
    if seen is not None:
        user_split = ["seen" if row.worker in seen else "unseen" for row in rows]
        frame = frame.with_columns(pl.Series("user_split", user_split))
    parts = frame.group_by("group").agg(pl.col("split").n_unique())
    straddling = parts.filter(pl.col("split") > 1).height
    split = {
        "unit": "pair" if straddling else "group",
        "protocol": "tldr",
        "leaks": straddling > 0,
        "why": f"the source's own split; {straddling} posts stand in both of its parts",
    }
    prefs = build(frame, meta)
    return replace(prefs, meta=replace(prefs.meta, split=split))


def _comparisons(table: RawTable) -> list[Comparison]:
    require(table, ("info", "summaries", "choice", "worker"))
    rows, problems = [], []
    for i, row in enumerate(table.rows()):
        try:
            rows.append(_comparison(row, table.name))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            problems.append(f"{table.where(i)}: {type(error).__name__} {error}")
    if problems:
        raise DataError(
            f"{table.name} has rows that are no comparisons", problems=problems[:MAX_PROBLEMS]
        )
    return rows


def _comparison(row: Mapping[str, Any], name: str) -> Comparison:
    info, (one, two) = row["info"], row["summaries"]
    if row["choice"] not in (0, 1):
        raise ValueError(f"choice is {row['choice']!r}, not 0 or 1")
    split = row.get("split") or ("train" if "train" in Path(name).parts else "valid1")
    return Comparison(
        post_id=str(info["id"]),
        subreddit=str(info.get("subreddit")),
        title=str(info.get("title")),
        post=info.get("post"),
        texts=(one["text"], two["text"]),
        policies=(str(one["policy"]), str(two["policy"])),
        choice=row["choice"],
        worker=str(row["worker"]),
        split=split,
    )
