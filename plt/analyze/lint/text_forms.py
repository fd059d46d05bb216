"""What can be seen of the form of a text without reading it: one truth value per text and feature.

No feature depends on the words, nor (but by chance) on the length: those are matters of taste. Of
the words only what an unfinished conversion leaves behind counts, such as ``Assistant:`` in front.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from plt.analyze.intervals.clusters import BoolArray
from plt.analyze.lint.findings import shown

CHAT_TOKENS = (
    r"<\|[A-Za-z0-9_ .:/-]{1,40}\|>",  # <|im_start|>, <|endoftext|>, <|eot_id|>, <|user|>
    r"<｜[^｜<>]{1,40}｜>",
    r"</?s>",
    r"\[/?(?:INST|SYS)\]",
    r"<</?SYS>>",
    r"<(?:start|end)_of_(?:turn|text)>",
    r"<(?:bos|eos|pad|unk)>",
    r"\[(?:CLS|SEP|PAD|MASK|UNK|BOS|EOS)\]",
)
FORGED_TURNS = (
    r"\n\n(?:Human|Assistant):",
    r"(?m:^)### ?(?:Human|Assistant|Instruction|Response|System|User):",
)
CONTROL_CHARACTERS = (
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]",  # also the escape that starts ANSI sequences
    r"[\x{0080}-\x{009f}]",
    r"[\x{202a}-\x{202e}\x{2066}-\x{2069}]",  # bidirectional overrides
)
CONTROL_TOKEN = "|".join((*CHAT_TOKENS, *FORGED_TURNS, *CONTROL_CHARACTERS))
"""What chat templates, tokenizers and terminals obey instead of showing: one pattern, in the syntax
that polars (Rust) reads. In a text that a person or a model wrote it forges turns, ends a sequence
early, or paints the terminal of whoever looks at the data."""

FAMILIES = ("wrapping", "turn markers", "whitespace", "encoding", "first and last characters")

WRAPPINGS = (
    ("['", "']"), ('["', '"]'), ("[", "]"), ("(", ")"), ("{", "}"), ("<", ">"), ('"', '"'),
    ("'", "'"), ("“", "”"), ("‘", "’"), ("`", "`"), ("```", "```"), ("«", "»"), ("**", "**"),
)  # fmt: skip
TEXT_TESTS = (
    ("whitespace", "a space in front", r"^ "),
    ("whitespace", "a line break in front", r"^\s*[\r\n]"),
    ("whitespace", "a space at the end", r" $"),
    ("whitespace", "a line break at the end", r"[\r\n]\s*$"),
    ("whitespace", "a tab", r"\t"),
    ("whitespace", "carriage returns", r"\r"),
    ("whitespace", "two spaces between sentences", r"[.!?]  \S"),
    ("whitespace", "unusual spaces", r"[\x{00a0}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}]"),
    ("encoding", "invisible characters", r"[\x{200b}-\x{200d}\x{2060}\x{feff}]"),
    ("encoding", "mojibake", r"[\x{00c3}\x{00c2}][\x{0080}-\x{00bf}]|â[€\x{0080}]|\x{fffd}"),
    ("encoding", "escapes such as \\n in letters", r"\\[nrt]|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}"),
    ("encoding", "HTML entities", r"&(amp|lt|gt|quot|apos|nbsp|#\d+|#x[0-9a-fA-F]+);"),
    ("encoding", "HTML tags", r"</?(br|p|div|span|b|i|em|strong|ul|ol|li)\s*/?>"),
    ("encoding", "accents as characters of their own", r"[\x{0300}-\x{036f}]"),
    ("encoding", "curly quotes", r"[‘’“”]"),
    ("encoding", "straight quotes", r"['\x22]"),
    ("turn markers", "a control token", CONTROL_TOKEN),
    (
        "turn markers",
        "a speaker's name in front",
        r"^\s*(?i:human|user|assistant|ai|bot|system)\s*:",
    ),
    ("turn markers", "a speaker's name at the end", r"\n\s*(Human|User|Assistant|System)\s*:?\s*$"),
)
CORE_TESTS = (
    ("first and last characters", "a lower-case letter in front", r"^\p{Ll}"),
    ("first and last characters", "a digit in front", r"^\p{N}"),
    ("first and last characters", "no letter and no digit in front", r"^[^\p{L}\p{N}]"),
    ("first and last characters", "a letter or digit at the end", r"[\p{L}\p{N}]$"),
    ("first and last characters", "a digit at the end", r"\p{N}$"),
)
ODD_TOKEN = r"\S*[^\p{L}\p{N}\s.,!?;:'’\x22“”()*#-]\S*"
_CORE = pl.col("core")
LABELS = (
    (
        "turn markers",
        "with {} in front",
        _CORE.str.extract(r"^([\p{L}#*]{1,16}(?: [\p{L}\p{N}]{1,12})?:)"),
    ),
)
"""Family, name and value of what stands in front of a text as a label does."""

ENDS = (
    ("first and last characters", "with {} in front", _CORE.str.extract(r"^([^\p{L}])")),
    ("first and last characters", "with {} at the end", _CORE.str.extract(r"([^\p{L}.!?])$")),
    ("turn markers", "with {} in front", _CORE.str.extract(f"^({ODD_TOKEN})")),
    ("turn markers", "with {} at the end", _CORE.str.extract(f"({ODD_TOKEN})$")),
)
"""The same of characters that are no letters (nor end a sentence), and of odd tokens."""

MIN_TEXTS = 5
MIN_SHARE = 0.001
MAX_VALUES = 40
MAX_TOKEN = 32


@dataclass(frozen=True)
class Feature:
    """One truth value per text.

    Attributes:
        family: Which of `FAMILIES` it belongs to.
        name: What a response is that has it, such as ``wrapped in [ ... ]``.
    """

    family: str
    name: str


def features_of(texts: pl.Series) -> tuple[tuple[Feature, ...], BoolArray]:
    """Every feature that at least a few texts have, and which texts have it.

    Which characters and tokens become features is decided by how many texts begin or end with
    them, never by labels.

    Args:
        texts: Distinct texts.

    Returns:
        The features, and their values, [texts, features].
    """
    frame = pl.DataFrame({"text": texts}).with_columns(core=pl.col("text").str.strip_chars())
    # Where two rules are equally right the first speaks, so what says more stands before the rest.
    asked = [*_recurring(frame, LABELS), *_fixed(), *_recurring(frame, ENDS)]
    values = frame.select(test.alias(str(place)) for place, (_, test) in enumerate(asked))
    table = values.fill_null(False).to_numpy().astype(bool, copy=False)
    count = table.sum(0)
    few = _min_texts(texts.len())
    kept = np.flatnonzero((count >= few) & (count < texts.len()))
    return tuple(asked[place][0] for place in kept), table[:, kept]


def _min_texts(n_texts: int) -> int:
    return max(MIN_TEXTS, int(MIN_SHARE * n_texts))


def _fixed() -> Iterator[tuple[Feature, pl.Expr]]:
    text, core = pl.col("text"), pl.col("core")
    for opening, closing in WRAPPINGS:
        inside = core.str.len_chars() > len(opening) + len(closing)
        test = core.str.starts_with(opening) & core.str.ends_with(closing) & inside
        yield Feature("wrapping", f"wrapped in {opening} ... {closing}"), test
    for family, name, pattern in TEXT_TESTS:
        yield Feature(family, f"with {name}"), text.str.contains(pattern)
    for family, name, pattern in CORE_TESTS:
        yield Feature(family, f"with {name}"), core.str.contains(pattern)


def _recurring(
    frame: pl.DataFrame, ends: Sequence[tuple[str, str, pl.Expr]]
) -> Iterator[tuple[Feature, pl.Expr]]:
    """A test for each value that an end of the texts has often enough."""
    few = _min_texts(frame.height)
    for family, name, end in ends:
        found = frame.select(end=end)["end"].drop_nulls()
        found = found.filter(found.str.len_chars() <= MAX_TOKEN)
        values = found.value_counts(name="count").filter(pl.col("count") >= few)
        values = values.sort("count", "end", descending=[True, False]).head(MAX_VALUES)
        for value in values["end"].to_list():
            yield Feature(family, name.format(shown(value))), end == value
