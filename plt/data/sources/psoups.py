"""P-SOUPS: six GPT-4 annotated personas that disagree by instruction.

Source: the `rm_training` files of Personalized Soups (repository joeljang/RLPHF): P1A.json to
P3B.json. They are not on the hub. Paper: Jang et al. 2023, "Personalized Soups: Personalized
Large Language Model Alignment via Post-hoc Parameter Merging" (arXiv 2310.11564). The files carry
no licence of their own.

Columns: `user_input`, `completion_a`, `completion_b`; `completion_a` is always preferred. The
preference sentence of the persona stands at the end of `user_input`; it would give the user away,
so it is stripped, tolerant of wording (releases differ in a comma, in Generate or Choose, in white
space), and kept as the user's profile. Each file repeats its rows about five times: exact
duplicates within a persona are dropped and counted. The opposite preference of one persona on one
pair is kept, as a repeat. The papers name users 1 to 6; here they have their file's name.
"""

import re
from pathlib import Path

import polars as pl

from plt.data.reading.conversation import prompt_series, to_messages
from plt.data.reading.field_map import require, texts
from plt.data.reading.raw_files import RawTable, find_files, joined_hash, read
from plt.data.remarks import Say, warn
from plt.data.tables.preferences import Preferences, build
from plt.data.tables.table import Meta

HUB_REPO: str | None = None
REVISION: str | None = None
FILES = ("P1A.json", "P1B.json", "P2A.json", "P2B.json", "P3A.json", "P3B.json")
LICENSE = "unknown (research release of joeljang/RLPHF)"
SIZE = "about 600 MB"
HOMEPAGE = "https://github.com/joeljang/RLPHF"
CONVERTER_VERSION = 1

SENTENCES = {
    "P1A": "Generate a response that can be easily understood by an elementary school student.",
    "P1B": "Generate a response that only a PhD Student in that specific field could understand.",
    "P2A": "Generate a response that is concise and to the point, without being verbose.",
    "P2B": "Generate a response that is very informative, without missing any background"
    " information.",
    "P3A": "Generate a response that is friendly, witty, funny, and humorous, like a close friend.",
    "P3B": "Generate a response in an unfriendly manner.",
}
VERB = "(?:Generate|Choose|Generate/Choose|Give)"
DUPLICATE = "duplicate"


def load(raw: Path, variant: str | None = None, say: Say = warn) -> Preferences:
    """Converts the six files.

    Args:
        raw: A folder that holds them at any depth.
        variant: There are none.
        say: Takes a remark where preference sentences were not found.

    Returns:
        Pairs of six users, named P1A to P3B, with the sentence as profile.

    Raises:
        DataError: Files or columns are missing.
    """
    del variant
    tables = [read(path) for path in find_files(raw, FILES)]
    parts = [_persona(t, user, say) for t, user in zip(tables, SENTENCES, strict=True)]
    frame = pl.concat(parts)
    distinct = frame.unique(
        ["user_id", "question", "response_1", "response_2"], keep="first", maintain_order=True
    )
    meta = Meta(dataset="psoups", license=LICENSE, source_hash=joined_hash(tables))
    meta = meta.with_dropped({DUPLICATE: frame.height - distinct.height})
    for table in tables:
        meta = meta.with_dropped(table.dropped)
    prompts = [to_messages(question) for question in distinct["question"]]
    return build(distinct.drop("question").with_columns(prompt_series(prompts)), meta)


def sentence_pattern(sentence: str) -> re.Pattern[str]:
    """What finds a preference sentence in any of its published wordings."""
    words = re.findall(r"\w+", sentence)[1:]
    return re.compile(rf"\s*{VERB}[\s,]+" + r"[\s,]+".join(words) + r"\s*\.?\s*$", re.IGNORECASE)


def _persona(table: RawTable, user: str, say: Say) -> pl.DataFrame:
    require(table, ("user_input", "completion_a", "completion_b"))
    pattern = sentence_pattern(SENTENCES[user])
    questions = texts(table, "user_input", "user_input")
    stripped = [None if q is None else pattern.sub("", q).strip() for q in questions]
    kept = sum(q is not None and q.strip() == s for q, s in zip(questions, stripped, strict=True))
    if kept:
        say(
            f"{table.name}: {kept} of {table.height} prompts hold no preference sentence of {user};"
            " prompts that still hold one in other words would give the user away"
        )
    return pl.DataFrame(
        {
            "question": stripped,
            "response_1": texts(table, "completion_a", "completion_a"),
            "response_2": texts(table, "completion_b", "completion_b"),
        },
        schema=dict.fromkeys(("question", "response_1", "response_2"), pl.String),
    ).with_columns(
        user_id=pl.lit(user), profile=pl.lit(SENTENCES[user]), label=pl.lit(1.0, dtype=pl.Float64)
    )
