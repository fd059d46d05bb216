"""Features of a response that a person can read: length, formatting, hedging, refusal, tone.

They are counts, so that a difference of taste has a name. All of them are taken from the text of
the response alone and are matched by patterns, hence exact and fast, and hence blind to meaning.

Length, formatting, exclamations and questions work in any language. Hedging and refusal know
English phrases only: in other languages they count 0 for every response, which removes them from
the comparison and never invents a difference. `PairFeatures.share_english` says how many responses
hold common English words at all.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from plt.analyze.intervals.clusters import FloatArray

ENGLISH_ONLY = ("hedging", "refusal")

_HEDGES = (
    r"(?i)\b(?:may|might|could|perhaps|maybe|possibly|probably|presumably|likely|unlikely"
    r"|it seems|it appears|seems to|appears to|tends? to|in general|generally|typically|usually"
    r"|often|sometimes|it depends|depends on|not (?:sure|certain)|uncertain|unclear"
    r"|I (?:think|believe|guess|suspect)|in my opinion|to some extent|arguably|roughly)\b"
)
_REFUSALS = (
    r"(?i)\b(?:I(?:['’]m| am)(?: very| so| really)? sorry"
    r"|I (?:must|have to) (?:decline|refuse)"
    r"|I(?:['’]m| am) (?:not able|unable|not comfortable|not allowed|not programmed)"
    r"|I (?:can(?:no|['’])t|cannot|can not|won['’]t|will not|do(?:n['’]t| not) feel comfortable)"
    r"(?: \w+){0,3} (?:help|assist|provide|answer|discuss|comply|offer|give|write|create|generate"
    r"|engage|fulfill|support|express|have|share)"
    r"|as an? (?:AI|artificial intelligence|(?:large )?language model)"
    r"|I(?:['’]m| am) (?:just |only )?an? (?:AI|artificial intelligence|(?:large )?language model)"
    r"|I (?:do(?:n['’]t| not)) have (?:personal )?(?:opinions|beliefs|feelings|preferences))\b"
)
_ENGLISH = r"(?i)\b(?:the|and|of|to|is|are|you|that|it)\b"

REFUSAL_REACH = 400
"""Characters from the start in which a refusal is looked for: later it is a remark."""


@dataclass(frozen=True)
class TextFeature:
    """One number per response.

    Attributes:
        name: What tables call it.
        doc: What is counted.
        pattern: Rust regular expression whose matches are counted; None counts characters.
        reach: Only the first so many characters are read; None reads all.
        presence: Whether any number of matches counts as one.
    """

    name: str
    doc: str
    pattern: str | None
    reach: int | None = None
    presence: bool = False

    @property
    def expression(self) -> pl.Expr:
        """log(1 + count) of the column `text`, or 0 and 1."""
        text = pl.col("text") if self.reach is None else pl.col("text").str.head(self.reach)
        if self.pattern is None:
            count = text.str.len_chars()
        elif self.presence:
            return text.str.contains(self.pattern).cast(pl.Float64).alias(self.name)
        else:
            count = text.str.count_matches(self.pattern)
        return count.cast(pl.Float64).log1p().alias(self.name)


FEATURES = (
    TextFeature("length", "log of the characters", None),
    TextFeature(
        "lists", "log of 1 + lines that are bullets or numbered",
        r"(?m)^[ \t]*(?:[-*+•–]|\(?\d{1,2}[.)])[ \t]+\S",
    ),
    TextFeature(
        "emphasis", "log of 1 + bold passages and headings",
        r"(?m)\*\*[^*\n]+\*\*|__[^_\n]+__|^#{1,6} \S",
    ),
    TextFeature(
        "code", "log of 1 + code fences and passages in backquotes", r"```|`[^`\n]+`"
    ),
    TextFeature("exclamation", "log of 1 + exclamation marks", r"[!！¡]"),
    TextFeature("questions", "log of 1 + question marks", r"[?？¿؟]"),
    TextFeature("hedging", "log of 1 + English words and phrases of doubt", _HEDGES),
    TextFeature(
        "refusal", "1 for an English refusal or 'as an AI' near the start, else 0",
        _REFUSALS, REFUSAL_REACH, presence=True,
    ),
)  # fmt: skip

CONTEXT = ("prompt length", "turn")
"""What is known of the choice itself, equal for both responses."""


@dataclass(frozen=True)
class PairFeatures:
    """Features of both responses of each pair.

    Attributes:
        names: Names of the k features.
        a: Of response_a, [pairs, k].
        b: Of response_b, [pairs, k].
        context: log of 1 + characters of the last message, and log of the number of messages of
            the prompt, [pairs, 2]; see `CONTEXT`.
        share_english: Share of the distinct responses that hold a common English word; null
            without responses.
    """

    names: tuple[str, ...]
    a: FloatArray
    b: FloatArray
    context: FloatArray
    share_english: float | None


def response_features(texts: pl.Series) -> FloatArray:
    """The features of each text, in the order of `FEATURES`.

    Args:
        texts: Responses, no null, [n].

    Returns:
        Finite numbers >= 0, [n, k].
    """
    frame = texts.alias("text").to_frame()
    return frame.select(feature.expression for feature in FEATURES).to_numpy()


def pair_features(pairs: pl.DataFrame) -> PairFeatures:
    """The features of every pair; each distinct response is read once.

    Args:
        pairs: `prompt`, `response_a`, `response_b`, as in `Preferences.pairs`.

    Returns:
        One row a pair, in the order given. Swapping the responses of a pair swaps its rows of `a`
        and `b` and changes nothing else.
    """
    both = pl.concat([pairs["response_a"], pairs["response_b"].alias("response_a")])
    texts = both.unique(maintain_order=True)
    place = pl.DataFrame({"text": texts}).with_row_index("place")
    rows = both.alias("text").to_frame().join(place, on="text", how="left", maintain_order="left")
    where = rows["place"].to_numpy()
    features = response_features(texts)
    return PairFeatures(
        names=tuple(feature.name for feature in FEATURES),
        a=features[where[: pairs.height]],
        b=features[where[pairs.height :]],
        context=_context(pairs["prompt"]),
        share_english=None if texts.is_empty() else float(texts.str.contains(_ENGLISH).mean()),  # type: ignore[arg-type] # of booleans the mean is a number
    )


def _context(prompts: pl.Series) -> FloatArray:
    if prompts.is_empty():
        return np.zeros((0, len(CONTEXT)))
    frame = prompts.alias("prompt").to_frame()
    last = pl.col("prompt").list.last().struct.field("content").str.len_chars()
    return frame.select(
        last.fill_null(0).cast(pl.Float64).log1p().alias("prompt length"),
        pl.col("prompt").list.len().cast(pl.Float64).log1p().alias("turn"),
    ).to_numpy()
