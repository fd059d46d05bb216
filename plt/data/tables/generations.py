"""Texts that systems wrote, as `generations/1`, and a person's chosen answers in the same form."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from plt.data.tables.preferences import Message, Preferences, prompt_json
from plt.data.tables.schema import GENERATIONS, SPLITS, conform
from plt.data.tables.trl import trl_view
from plt.errors import DataError, UsageError

CHOSEN = "chosen"


def prompt_id(prompt: Sequence[Message]) -> int:
    """The name of a conversation: eight bytes of BLAKE2b, little-endian, over its JSON."""
    text = prompt_json(prompt).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def count_words(response: str) -> int:
    """Runs of characters between blanks; 0 for an empty text."""
    return len(response.split())


def distinct_prompts(
    prefs: Preferences, split: str | None = None, n: int | None = None, seed: int = 0
) -> pl.DataFrame:
    """The prompts of a table, each once.

    Args:
        prefs: Any preference table.
        split: ``train``, ``val``, ``test`` or ``all``; None is ``test`` where the table has test
            rows, else all.
        n: This many at most, drawn by a hash of seed and prompt: those of a smaller n are among
            those of a larger one, and other prompts of the table change nothing.
        seed: Of the draw.

    Returns:
        `prompt_id`, `group` (of the first judgement on it) and `prompt`, sorted by id.

    Raises:
        UsageError: There is no such split.
        DataError: No prompt is left.
    """
    if split not in (None, "all", *SPLITS):
        raise UsageError(f"--split is {split!r}; known are all, {', '.join(SPLITS)}")
    votes = prefs.votes.select("pair_id", pl.col("group", "split").cast(pl.String))
    if split is None:
        split = "test" if (votes["split"] == "test").any() else "all"
    kept = votes if split == "all" else votes.filter(pl.col("split") == split)
    if not kept.height:
        raise DataError(f"the table has no {split} rows", hint="--split all")
    found = kept.unique("pair_id", keep="first", maintain_order=True).join(
        prefs.pairs.select("pair_id", "prompt"), on="pair_id", maintain_order="left"
    )
    found = found.select("group", "prompt").unique("prompt", keep="first", maintain_order=True)
    ids = [prompt_id(prompt) for prompt in found["prompt"].to_list()]
    found = found.with_columns(pl.Series("prompt_id", ids, dtype=pl.UInt64))
    if n is not None and n < found.height:
        draws = [hashlib.blake2b(f"{seed} {i}".encode(), digest_size=8).hexdigest() for i in ids]
        found = found.with_columns(draw=pl.Series(draws)).sort("draw").head(n)
    return found.select("prompt_id", "group", "prompt").sort("prompt_id")


def texts_table(prompts: pl.DataFrame, texts: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """A `generations/1` table.

    Args:
        prompts: As `distinct_prompts` gives them.
        texts: One mapping a text: `prompt` (row of `prompts`) and the table's other columns but
            `n_words`, which is counted here.
    """
    types = {column.name: column.dtype for column in GENERATIONS.columns}
    rows = [
        {name: value for name, value in text.items() if name in types and name != "prompt"}
        | {"n_words": count_words(text["response"])}
        for text in texts
    ]
    given = {name: types[name] for name in rows[0]}
    about = prompts[[text["prompt"] for text in texts]]
    found = pl.concat([pl.DataFrame(rows, schema=given), about], how="horizontal")
    return conform(found, GENERATIONS).select(GENERATIONS.names)


def chosen_texts(prefs: Preferences) -> pl.DataFrame:
    """What each person preferred, as if a system named `chosen` had written it for them.

    Ties and judgements without a label choose nothing. A person who judged several pairs on one
    prompt has several samples, each text once, in the order of the pair ids.

    Returns:
        A `generations/1` table.
    """
    view, _ = trl_view(prefs)
    rows = view.select(
        pl.col("user_id").cast(pl.String),
        pl.col("group").cast(pl.String),
        "prompt",
        "pair_id",
        response=pl.col("chosen").list.first().struct.field("content"),
    )
    prompts = rows.select("prompt").unique()
    ids = pl.Series("prompt_id", map(prompt_id, prompts["prompt"].to_list()), dtype=pl.UInt64)
    rows = rows.join(prompts.with_columns(ids), on="prompt", how="left", maintain_order="left")
    rows = rows.sort("user_id", "prompt_id", "pair_id", nulls_last=True)
    rows = rows.unique(["user_id", "prompt_id", "response"], keep="first", maintain_order=True)
    words = [count_words(text) for text in rows["response"].to_list()]
    rows = rows.drop("pair_id").with_columns(
        pl.Series("n_words", words, dtype=pl.UInt32),
        system=pl.lit(CHOSEN),
        sample=pl.int_range(pl.len()).over("user_id", "prompt_id").cast(pl.UInt16),
    )
    return conform(rows, GENERATIONS).select(GENERATIONS.names)
