"""What stands around the responses and tells who wins: prompts, names of people and groups.

Which response is `a` is decided by a hash, so no prompt, person or group can tell the side, unless
somebody wrote the answer into it. And a prompt that quotes one of its own responses tells which one
is preferred.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import polars as pl

from plt.analyze.intervals.interval import Interval
from plt.analyze.intervals.proportions import exact_lower_end
from plt.analyze.lint.decisions import Decisions, IntArray, cautious_interval
from plt.analyze.lint.findings import Example, Finding, counted, figure_text, share_text, shown
from plt.analyze.lint.folds import N_FOLDS
from plt.data.tables.codes import dense_codes
from plt.data.tables.normal_form import normal
from plt.data.tables.preferences import Preferences

SIDE_AUC = 0.60
"""Lower bound above which something tells the side."""
MIN_PAIRS = 20
MIN_TOUCHED = 0.01
MARKS = 0.98
SURE = 0.90
MIN_QUOTE = 12
"""Characters of a response that is a quotation when it stands in a prompt."""
PHRASE = 3
"""Words in a row that only one response shares with the prompt are a quotation as well."""
MAX_CHARACTERS = 4_000
MAX_ROWS = 20_000
MAX_WORDS = 60
"""Words read of each end of a prompt: hints stand in front or behind."""
ENDS = 3
EXAMPLES = 3
SIDES = ("response_a", "response_b")
CONTEXTS = ("prompt", "user_id", "group", "profile", "subset")


def context_findings(prefs: Preferences, decisions: Decisions, seed: int) -> list[Finding]:
    """Findings for what tells the side by itself, and for prompts that quote the winner.

    Args:
        prefs: The table.
        decisions: Its rows that take a side.
        seed: Of the folds in which words are learned and tried.

    Returns:
        Nothing where nothing is certain. Of more than 20,000 judgements the first are read.
    """
    votes = prefs.votes.filter(pl.col("label").is_not_null() & (pl.col("label") != 0.5))
    pairs = prefs.pairs.select(
        "pair_id",
        "response_a",
        "response_b",
        prompt=pl.col("prompt").list.eval(pl.element().struct.field("content")).list.join("\n"),
    )
    rows = (
        votes.with_row_index("row")
        .head(MAX_ROWS)
        .join(pairs, on="pair_id", how="left", maintain_order="left")
    )
    if rows.height < MIN_PAIRS:
        return []
    return [*_side_findings(rows, decisions, seed), *_quotations(rows)]


def _side_findings(rows: pl.DataFrame, decisions: Decisions, seed: int) -> Iterator[Finding]:
    for name in CONTEXTS:
        texts = rows[name].cast(pl.String)
        if texts.null_count() == rows.height or (name == "group" and _hashed(texts)):
            continue
        margins = _margins(texts.fill_null(""), rows, seed, words=name in ("prompt", "profile"))
        prefers_a = (rows["label"] > 0.5).to_numpy()
        right = np.where(margins == 0, 0.5, (margins > 0) == prefers_a)
        places = np.arange(rows.height)
        found = cautious_interval(right, places, _own_texts(texts), decisions)
        if found.low is None or found.low <= SIDE_AUC:
            continue
        what = {"prompt": "the prompt", "user_id": "the user id"}.get(name, f"the {name}")
        yield Finding(
            check="context",
            what=f"{what} alone tells the side of the winner: AUC {figure_text(found)}, although"
            " which response is a is decided by a hash",
            failed=True,
            rows=rows.height,
            share=rows.height / decisions.n_rows,
            figures={"auc": found},
            details={"column": name},
            examples=tuple(
                Example(pair, f"{name} {shown(str(text)[:30])} ... {shown(str(text)[-30:])}")
                for pair, text in rows.select("pair_id", name).head(EXAMPLES).iter_rows()
            ),
            hint="take what tells the answer out of the raw data, then convert again",
        )


def _hashed(groups: pl.Series) -> bool:
    return bool(groups.str.starts_with("prompt:").all())


def _own_texts(texts: pl.Series) -> IntArray:
    codes, levels = dense_codes(texts)
    return np.where(codes < 0, levels.len(), codes).astype(np.intp)


def _margins(texts: pl.Series, rows: pl.DataFrame, seed: int, *, words: bool) -> np.ndarray:
    """Log-odds of a by naive Bayes over the parts of a text, learned in other folds of groups."""
    groups, levels = dense_codes(rows["group"].cast(pl.String))
    deal = np.random.default_rng(seed).permutation(levels.len() + 1) % N_FOLDS
    fold = deal[groups]
    distinct = texts.unique().sort()
    parts = pl.DataFrame({"text": distinct, "part": [_parts(t, words=words) for t in distinct]})
    frame = pl.DataFrame(
        {"text": texts, "fold": fold, "a": (rows["label"] > 0.5).cast(pl.Float64)}
    ).with_row_index("row")
    long = frame.join(parts, on="text").explode("part").drop_nulls("part")
    total = long.group_by("part").agg(all_a=pl.col("a").sum(), all_n=pl.len())
    own = long.group_by("part", "fold").agg(own_a=pl.col("a").sum(), own_n=pl.len())
    known = long.join(total, on="part").join(own, on=["part", "fold"])
    n_a = pl.col("all_a") - pl.col("own_a")
    n_b = (pl.col("all_n") - pl.col("own_n")) - n_a
    # Parts whose two counts do not differ by more than chance say nothing: noise would add up.
    sure = (n_a - n_b).abs() > 3 * (n_a + n_b + 1).sqrt()
    odds = ((n_a + 1) / (n_b + 1)).log()
    said = known.select("row", odds=pl.when(sure).then(odds).otherwise(0.0))
    said = said.group_by("row").agg(pl.col("odds").sum())
    margins = np.zeros(rows.height)
    margins[said["row"].to_numpy()] = said["odds"].to_numpy()
    return margins


def _parts(text: str, *, words: bool) -> list[str]:
    """What of a text may tell something: itself, its words or pieces, and both its ends."""
    found = {f"all {text}"}
    if words:
        split = text.split()
        near = split if len(split) <= 2 * MAX_WORDS else split[:MAX_WORDS] + split[-MAX_WORDS:]
        found |= {f"word {word}" for word in near}
        found |= {f"two {one} {two}" for one, two in pairwise(near)}
    else:
        found |= {f"word {piece}" for piece in re.split(r"[\W_]+", text) if piece}
    for size in range(1, ENDS + 1):
        found |= {f"front {text[:size]}", f"back {text[-size:]}"}
    return sorted(found)


def _quotations(rows: pl.DataFrame) -> Iterator[Finding]:
    """A finding where prompts hold one of their own responses and that one wins."""
    pairs = rows.group_by("pair_id", maintain_order=True).agg(
        pl.col("prompt", "response_a", "response_b").first(),
        rows=pl.len(),
        won=(pl.col("label") > 0.5).sum(),
    )
    texts = pairs.select(
        "pair_id", "rows", "won", *(normal(pl.col(c)).alias(c) for c in ("prompt", *SIDES))
    )
    for how, holds in (("a response", _whole), ("words of one response", _phrases)):
        held = [holds(*row) for row in texts.select("prompt", *SIDES).iter_rows()]
        both = pl.DataFrame(held, schema={"a": pl.Boolean, "b": pl.Boolean}, orient="row")
        alone = texts.hstack(both).filter(pl.col("a") != pl.col("b"))
        n, n_rows = alone.height, int(alone["rows"].sum())
        if n < MIN_PAIRS or n_rows < MIN_TOUCHED * rows.height:
            continue
        right = alone.select(
            pl.when("a").then("won").otherwise(pl.col("rows") - pl.col("won"))
        ).to_series()
        by_pair = (np.sign(2 * right.to_numpy() - alone["rows"].to_numpy()) + 1) / 2
        low = float(exact_lower_end(np.array([by_pair.sum()]), np.array([n]))[0])
        share = float(right.sum()) / n_rows
        if share < MARKS or low <= SURE:
            continue
        figure = Interval(
            share, low, 1.0, "groups", "exact binomial, one-sided", 0.95, n_rows=n_rows, n_groups=n
        )
        yield Finding(
            check="context",
            what=f"the prompt holds {how} of its own pair, which then wins in {share_text(share)}"
            f" of {counted(n_rows, 'judgement')}",
            failed=True,
            rows=n_rows,
            share=n_rows / rows.height,
            figures={"right": figure},
            examples=tuple(
                Example(pair, f"prompt ends {shown(text[-60:])}")
                for pair, text in alone.select("pair_id", "prompt").head(EXAMPLES).iter_rows()
            ),
            hint="take the responses out of the prompts, then convert the raw data again",
        )
        return


def _whole(prompt: str, a: str, b: str) -> tuple[bool, bool]:
    """Whether a prompt holds each of two responses."""
    return (len(a) >= MIN_QUOTE and a in prompt, len(b) >= MIN_QUOTE and b in prompt)


def _phrases(prompt: str, a: str, b: str) -> tuple[bool, bool]:
    """Whether a prompt shares words in a row with one response that the other does not have."""
    asked, one, other = _in_a_row(prompt), _in_a_row(a), _in_a_row(b)
    return bool((one - other) & asked), bool((other - one) & asked)


def _in_a_row(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text[:MAX_CHARACTERS])
    return set(zip(*(words[place:] for place in range(PHRASE)), strict=False))
