"""UltraFeedback-P: four users, each of whom cares for one rated attribute of an answer.

Source: the ratings of UltraFeedback (hub dataset `openbmb/UltraFeedback`, licence MIT; Cui et al.
2023, arXiv 2310.01377), turned into users as by Poddar et al. 2024, "Personalizing Reinforcement
Learning from Human Feedback with Variational Preference Learning" (arXiv 2408.10075); or a file of
the pairwise re-release with the columns `attributes`, `chosen`, `rejected`.

Row: `instruction`, `completions` of up to four {model, response, annotations {ATTRIBUTE {Rating}}};
a rating is 1 to 5 or "N/A". A user is an attribute and prefers the response with the higher rating;
all pairs of a prompt are made, and every user judges each. Ties are dropped and counted, where the
published generator decides them at random and so makes disagreement out of nothing. Completions of
one text are one response, so that no user judges a pair of a prompt twice, in the re-release
neither. The re-release
stores `chosen` as one text "Human: ... Assistant: ..."; it is split behind the prompt, not at the
first "Assistant:", which may stand in an answer.

Variants: `p2` (the users helpfulness and honesty), `p4` (all, the default); with `-controversial`
only the pairs on which the users of the variant who have a preference differ.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from plt.data.reading.conversation import prompt_series, shared_prefix, to_messages
from plt.data.reading.field_map import require, texts
from plt.data.reading.ratings import SCORE_TIE, PairRule, pairs_of_ratings
from plt.data.reading.raw_files import RawTable, joined_hash, matching_files, read
from plt.data.remarks import Say, warn
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta
from plt.errors import DataError, UsageError

HUB_REPO = "openbmb/UltraFeedback"
REVISION: str | None = None
FILES = (
    "evol_instruct.jsonl", "false_qa.jsonl", "flan.jsonl", "sharegpt.jsonl", "truthful_qa.jsonl",
    "ultrachat.jsonl",
)  # fmt: skip
LICENSE = "MIT"
SIZE = "800 MB"
CONVERTER_VERSION = 2

ATTRIBUTES = ("helpfulness", "honesty", "instruction_following", "truthfulness")
USERS = {"p2": ATTRIBUTES[:2], "p4": ATTRIBUTES}
CONTROVERSIAL = "-controversial"
VARIANTS = (None, *USERS, *(name + CONTROVERSIAL for name in USERS))
AGREED = "users agree"
SAME_PAIR = "same pair again under one prompt"


def load(raw: Path, variant: str | None = None, say: Say = warn) -> Preferences:
    """Converts UltraFeedback's ratings, or the re-release, into judgements of attribute users.

    Args:
        raw: A file, or a folder of files of one of the two forms.
        variant: None (= `p4`), `p2`, `p4`, or either with `-controversial`.
        say: Takes remarks; there are none.

    Returns:
        Judgements; `subset` is the source of the instruction where it is known.

    Raises:
        DataError: Files of another form.
        UsageError: No such variant.
    """
    del say
    if variant not in VARIANTS:
        raise UsageError(f"ultrafeedback-p has no variant {variant!r}", hint="plt ls datasets")
    users = USERS[(variant or "p4").removesuffix(CONTROVERSIAL)]
    tables = [read(path) for path in matching_files(raw, "*.jsonl", "*.json", "*.parquet")]
    name = f"ultrafeedback-p:{variant}" if variant else "ultrafeedback-p"
    meta = Meta(dataset=name, license=LICENSE, source_hash=joined_hash(tables))
    frames = []
    for table in tables:
        rated = "completions" in table.columns
        frame, dropped = _rated_pairs(table, users) if rated else _released_pairs(table, users)
        frames.append(frame)
        meta = meta.with_dropped(table.dropped).with_dropped(dropped)
    prefs = build(pl.concat(frames, how="diagonal"), meta)
    if variant is None or not variant.endswith(CONTROVERSIAL):
        return prefs
    return _only_controversial(prefs)


def _only_controversial(prefs: Preferences) -> Preferences:
    disputed = pl.col("label").n_unique().over("pair_id") > 1
    kept = prefs.votes.filter(disputed)
    if kept.height == 0:
        raise DataError("the users agree on every pair")
    meta = prefs.meta.with_dropped({AGREED: prefs.votes.height - kept.height})
    pairs = prefs.pairs.join(kept.select("pair_id").unique(), on="pair_id", how="semi")
    return Preferences(kept, pairs.sort("pair_id"), meta)


def rating(completion: Mapping[str, Any], attribute: str) -> float | None:
    """The rating of an attribute as a number; None where the annotator gave none."""
    annotation = (completion.get("annotations") or {}).get(attribute) or {}
    if isinstance(annotation, list):  # Several annotators: the source stores one each.
        annotation = annotation[0] if annotation else {}
    try:
        return float(annotation["Rating"])
    except (KeyError, TypeError, ValueError):
        return None


def _rated_pairs(table: RawTable, users: tuple[str, ...]) -> tuple[pl.DataFrame, dict[str, int]]:
    require(table, ("instruction", "completions"))
    cells = [
        (row * len(users) + u, answer.get("response"), answer.get("model"), rating(answer, user))
        for row, answers in enumerate(table.columns["completions"])
        for answer in answers or ()
        for u, user in enumerate(users)
    ]
    ratings = pl.DataFrame(
        cells,
        schema={"list": pl.Int64, "response": pl.String, "source": pl.String, "score": pl.Float64},
        orient="row",
    ).with_columns(seed_text=pl.lit(""))
    pairs, dropped = pairs_of_ratings(ratings, PairRule(), table.name)
    subsets = texts(table, "source", "source") if "source" in table.columns else None
    rows = pl.DataFrame(
        {"row": range(table.height), "subset": subsets},
        schema={"row": pl.Int64, "subset": pl.String},
    ).with_columns(
        prompt_series([to_messages(text) for text in texts(table, "instruction", "instruction")])
    )
    names = pl.Series("user_id", users)
    pairs = pairs.with_columns(
        row=pl.col("list") // len(users), user_id=names.gather(pairs["list"] % len(users))
    )
    return pairs.join(rows, on="row", how="left", maintain_order="left"), dropped


def _released_pairs(table: RawTable, users: tuple[str, ...]) -> tuple[pl.DataFrame, dict[str, int]]:
    require(table, ("attributes", "chosen", "rejected"))
    attributes = texts(table, "attributes", "attributes")
    unknown = sorted({str(name) for name in attributes} - set(ATTRIBUTES))
    if unknown:
        raise DataError(
            f"{table.name} has attributes that UltraFeedback does not rate", problems=unknown
        )
    known = texts(table, "prompt", "prompt") if "prompt" in table.columns else [None] * table.height
    rows = [
        (user, *split_release(prompt, chosen, rejected))
        for user, prompt, chosen, rejected in zip(
            attributes,
            known,
            texts(table, "chosen", "chosen"),
            texts(table, "rejected", "rejected"),
            strict=True,
        )
        if user in users
    ]
    frame = pl.DataFrame(
        {
            "user_id": [row[0] for row in rows],
            "response_1": [row[2] for row in rows],
            "response_2": [row[3] for row in rows],
        },
        schema=dict.fromkeys(("user_id", "response_1", "response_2"), pl.String),
    ).with_columns(prompt=pl.Series([row[1] for row in rows], dtype=pl.String))
    once, dropped = _judged_once(frame)
    once = once.with_columns(prompt_series([to_messages(text) for text in once["prompt"]]))
    return once, {"user outside the variant": table.height - frame.height, **dropped}


def _judged_once(pairs: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """One judgement a user and pair of a prompt, labelled.

    A pair stands in the release once for each copy of its texts among the completions, all from one
    rating of each copy. Where the copies contradict each other as often as not, nothing is known.
    """
    one, two = pl.col("response_1"), pl.col("response_2")
    in_order = pl.when(one <= two)
    sides = pairs.with_columns(
        response_1=in_order.then(one).otherwise(two),
        response_2=in_order.then(two).otherwise(one),
        label=in_order.then(1.0).otherwise(0.0),
    )
    key = ["user_id", "prompt", "response_1", "response_2"]
    once = sides.group_by(key, maintain_order=True).agg(pl.col("label").mean())
    kept = once.filter(pl.col("label") != 0.5)
    dropped = {SAME_PAIR: pairs.height - once.height, SCORE_TIE: once.height - kept.height}
    return kept.with_columns(pl.col("label").round()), dropped


def split_release(
    prompt: str | None, chosen: str | None, rejected: str | None
) -> tuple[str | None, str | None, str | None]:
    """Prompt and answers of one row of the re-release, whose answers may carry the prompt.

    Args:
        prompt: The row's prompt, if it has one.
        chosen: "Human: PROMPT Assistant: ANSWER", or the answer alone.
        rejected: Likewise.

    Returns:
        Prompt, chosen and rejected answer; None where a text is missing.
    """
    if chosen is None or rejected is None:
        return prompt, chosen, rejected
    shared = shared_prefix(chosen, rejected)
    bare = _bare(prompt)
    at = chosen.find(bare) if bare else -1
    if at >= 0 and chosen.lstrip().startswith("Human:"):
        cut = chosen.find("Assistant:", at + len(bare))
    else:
        cut = shared.rfind("Assistant:") if shared.lstrip().startswith("Human:") else -1
    if cut < 0:
        return bare or None, chosen, rejected
    end = cut + len("Assistant:")
    return bare or _bare(chosen[:cut]), chosen[end:].strip(), rejected[end:].strip()


def _bare(prompt: str | None) -> str:
    return (prompt or "").strip().removeprefix("Human:").removesuffix("Assistant:").strip()
