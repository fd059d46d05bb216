"""Whether a split keeps what it promised, and what prompts of one part give away of another.

A unit is whole when all that shares its key stands in one part. Two things pass that: a response of
one part that is quoted in a prompt of another, as where a conversation goes on from it; and one
choice under two prompts that are nearly the same.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from plt.analyze.lint.findings import Example, Finding, counted, share_text, shown
from plt.data.splitting.splits import unit_names
from plt.data.tables.normal_form import normal
from plt.data.tables.preferences import Preferences

PROMISED: Mapping[str, tuple[str, ...]] = {
    "pair": ("pair",),
    "response": ("pair", "response"),
    "prompt": ("pair", "prompt"),
    "group": ("pair", "group"),
}
"""What stays whole when this unit is declared. `dataset-split` links groups that share a prompt, so
by group it promises prompts too; a paper's protocol (`meta.split["protocol"]`) does not."""

UNITS = ("pair", "response", "prompt", "group")
UNDECLARED = "prompt"
EXAMPLES = 3
EXCERPT = 60
MIN_ROWS, MIN_SHARE = 5, 0.01
"""Below so many judgements, or this share of them, it is chance and no finding."""
QUOTED_SHARE = 0.02
"""The same of quotations: real conversations repeat turns such as apologies (1 % of hh-rlhf)."""
MIN_QUOTE = 25
"""Characters of a response that is a quotation where it stands in a prompt."""
MAX_PROMPTS = 3
"""Prompts that may hold a response of one conversation: a phrase stands in more."""
MAX_RESPONSES = 20_000
ALIKE = 0.5
"""Share of the words of the shorter of two prompts that the other must have in common."""
MIN_WORDS = 3
MIN_EDGE = 8
"""Characters at the beginning or the end that make two short prompts nearly the same."""
RESPLIT = "plt dataset-split DATA -o OUT"


@dataclass(frozen=True)
class Straddling:
    """Units of one kind that stand in several splits.

    Attributes:
        n_units: How many.
        rows: Judgements outside the first split of their unit: those of val or test that train
            gives away, and those of test that val does.
        examples: The first pairs among them.
    """

    n_units: int
    rows: int
    examples: tuple[Example, ...]


def split_findings(prefs: Preferences) -> list[Finding]:
    """What is wrong with `split` and `user_split`, held to the unit that `meta.split` declares.

    Args:
        prefs: Any table. One with a split but no declaration is held to prompts.

    Returns:
        Findings; notes for what straddles although nothing promised that it would not, for
        judgements without a split, and for a table that is not split at all.
    """
    found = list(_user_findings(prefs.votes))
    divided = prefs.votes.filter(pl.col("split").is_not_null())
    if divided.height == 0:
        return [*found, Finding("splits", "the table is not split", failed=False)]
    declared = prefs.meta.split or {}
    unit = str(declared.get("unit", UNDECLARED))
    if unit not in PROMISED:
        what = f"the split declares the unit {shown(unit)}; known are {', '.join(UNITS)}"
        return [*found, Finding("splits", what, failed=True, hint=RESPLIT)]
    places = _places(prefs, divided)
    straddling = {kind: _straddling(places, kind) for kind in UNITS}
    if declared.get("leaks"):
        found.append(_leaking_protocol(declared, straddling, places.height))
    promised = PROMISED[unit]
    if unit == "group" and not declared.get("protocol"):
        promised = (*promised, "prompt")
    promise = f"the split is declared to be by {unit}"
    if "unit" not in declared:
        promise = f"the split declares no unit, so it is held to {unit}s"
    for kind in promised:
        if straddling[kind].n_units:
            found.append(_broken_promise(kind, straddling[kind], promise, places.height))
    others = {k: v for k, v in straddling.items() if v.n_units and k not in promised}
    if others:
        found.append(_not_promised(others, promise, places.height))
    missing = prefs.votes.height - divided.height
    if missing:
        what = f"{counted(missing, 'judgement')} without a split, the others have one"
        share = missing / prefs.votes.height
        found.append(Finding("splits", what, failed=False, rows=missing, share=share))
    return found


def _places(prefs: Preferences, divided: pl.DataFrame) -> pl.DataFrame:
    """The units and the split (0, 1, 2) of each judgement that has one.

    Units that differ only in case, blanks or Unicode form are one, but for the pairs of a paper's
    protocol, which knows no more than their ids.
    """
    n = prefs.pairs.height
    responses = unit_names(prefs, "response")
    protocol = (prefs.meta.split or {}).get("protocol")
    ids = prefs.pairs["pair_id"].cast(pl.String)
    texts = prefs.pairs.select(
        "pair_id",
        response_a=responses[:n],
        response_b=responses[n:],
        pair=ids if protocol else unit_names(prefs, "pair"),
        prompt=unit_names(prefs, "prompt"),
    )
    return divided.select("pair_id", "group", split=pl.col("split").to_physical()).join(
        texts, on="pair_id", how="left", maintain_order="left"
    )


def _straddling(places: pl.DataFrame, kind: str) -> Straddling:
    columns = ["response_a", "response_b"] if kind == "response" else [kind]
    units = pl.concat(
        [places.select("split", unit=pl.col(c).cast(pl.String)) for c in columns]
    ).drop_nulls()
    bounds = units.group_by("unit").agg(first=pl.col("split").min(), last=pl.col("split").max())
    bounds = bounds.filter(pl.col("first") < pl.col("last"))
    if bounds.height == 0:
        return Straddling(0, 0, ())
    late = pl.Series([False]).new_from_index(0, places.height)
    for column in columns:
        asked = places.select(unit=pl.col(column).cast(pl.String))
        first = asked.join(bounds, on="unit", how="left", maintain_order="left")["first"]
        late = late | (places["split"] > first).fill_null(False)
    shared = set(bounds["unit"])
    rows = places.filter(late).unique("pair_id", keep="first").sort("pair_id").head(EXAMPLES)
    examples = [
        Example(row["pair_id"], f"{kind} {shown(unit[:EXCERPT])}")
        for row in rows.iter_rows(named=True)
        for unit in [str(row[column]) for column in columns if str(row[column]) in shared][:1]
    ]
    return Straddling(bounds.height, int(late.sum()), tuple(examples))


def _broken_promise(kind: str, straddling: Straddling, promise: str, n_rows: int) -> Finding:
    share = straddling.rows / n_rows
    return Finding(
        check="splits",
        what=f"{counted(straddling.n_units, kind)} in several splits give away"
        f" {counted(straddling.rows, 'judgement')} ({share_text(share)}); {promise}",
        failed=True,
        rows=straddling.rows,
        share=share,
        details={"unit": kind, "n_units": straddling.n_units},
        examples=straddling.examples,
        hint=f"plt dataset-split DATA --by {kind} -o OUT",
    )


def _not_promised(others: Mapping[str, Straddling], promise: str, n_rows: int) -> Finding:
    rows = max(straddling.rows for straddling in others.values())
    named = ", ".join(
        f"{counted(one.n_units, kind)} ({counted(one.rows, 'judgement')})"
        for kind, one in others.items()
    )
    return Finding(
        check="splits",
        what=f"{promise}, which lets straddle: {named}",
        failed=False,
        rows=rows,
        share=rows / n_rows,
        details={kind: straddling.n_units for kind, straddling in others.items()},
    )


def _leaking_protocol(
    declared: Mapping[str, Any], straddling: Mapping[str, Straddling], n_rows: int
) -> Finding:
    why = declared.get("why") or "what the model learns from stands in its test data"
    rows = max(one.rows for one in straddling.values())
    return Finding(
        check="splits",
        what=f"the protocol {shown(str(declared.get('protocol')))} leaks: {why}",
        failed=True,
        rows=rows,
        share=rows / n_rows,
        details={"protocol": declared.get("protocol")},
        hint=RESPLIT,
    )


def _user_findings(votes: pl.DataFrame) -> Iterator[Finding]:
    """A finding for people who are seen in some rows and unseen in others."""
    torn = (
        votes.filter(pl.col("user_id").is_not_null())
        .group_by("user_id")
        .agg(kinds=pl.col("user_split").drop_nulls().n_unique(), rows=pl.len())
        .filter(pl.col("kinds") > 1)
        .sort(pl.col("user_id").cast(pl.String))
    )
    if torn.height:
        rows = int(torn["rows"].sum())
        yield Finding(
            check="splits",
            what=f"{counted(torn.height, 'user')} both seen and unseen: training learns about"
            " people whom it should not know",
            failed=True,
            rows=rows,
            share=rows / votes.height,
            details={"n_users": torn.height},
            hint=RESPLIT,
        )


def across_findings(prefs: Preferences) -> list[Finding]:
    """Findings of both kinds; none for a table that is not divided.

    Responses shorter than 25 characters are no quotations. Of more than 20,000 distinct responses
    of val and test the first by name are looked for.
    """
    divided = prefs.votes.filter(pl.col("split").is_not_null())
    if not divided.height:
        return []
    part = pl.col("split").to_physical()
    parts = divided.group_by("pair_id").agg(part=part.min(), rows=pl.len())
    texts = prefs.pairs.select(
        "pair_id",
        prompt=normal(_joined(pl.col("prompt"))),
        a=normal(pl.col("response_a")),
        b=normal(pl.col("response_b")),
    ).join(parts, on="pair_id")
    return [
        *_quoted(texts.sort("pair_id"), divided.height),
        *_one_choice_twice(texts.sort("pair_id"), divided.height),
    ]


def _joined(prompt: pl.Expr) -> pl.Expr:
    return prompt.list.eval(pl.element().struct.field("content")).list.join("\n")


def _quoted(texts: pl.DataFrame, n_rows: int) -> Iterator[Finding]:
    """Responses of a later part that stand in a prompt of an earlier one."""
    responses = pl.concat(
        [texts.select("pair_id", "part", "rows", "prompt", text=side) for side in ("a", "b")]
    ).filter((pl.col("part") > 0) & (pl.col("text").str.len_chars() >= MIN_QUOTE))
    # Who repeats the question is quoted by everybody who asks it.
    responses = responses.filter(~pl.col("prompt").str.contains(pl.col("text"), literal=True))
    wanted = responses["text"].unique().sort().head(MAX_RESPONSES)
    if not wanted.len():
        return
    prompts = texts.select("prompt", "part").unique()
    held = prompts.with_columns(
        text=pl.col("prompt").str.extract_many(wanted.implode(), overlapping=True)
    )
    held = held.explode("text").drop_nulls("text")
    # What stands in many conversations is a phrase, such as an apology.
    held = held.filter(pl.col("prompt").n_unique().over("text") <= MAX_PROMPTS)
    held = held.select("text", from_part="part").unique()
    found = responses.join(held, on="text").filter(pl.col("from_part") < pl.col("part"))
    pairs = found.unique("pair_id", keep="first", maintain_order=True).sort("pair_id")
    rows = int(pairs["rows"].sum())
    if rows < MIN_ROWS or rows < QUOTED_SHARE * n_rows:
        return
    yield Finding(
        check="splits",
        what=f"responses of {counted(pairs.height, 'pair')} stand in prompts of an earlier part"
        f" ({counted(rows, 'judgement')}, {share_text(rows / n_rows)}): training reads what val or"
        " test asks about",
        failed=True,
        rows=rows,
        share=rows / n_rows,
        details={"n_pairs": pairs.height},
        examples=tuple(
            Example(pair, f"response {shown(text[:EXCERPT])}")
            for pair, text in pairs.select("pair_id", "text").head(EXAMPLES).iter_rows()
        ),
        hint="put the turns of a conversation into one group: --map group=CONVERSATION_ID",
    )


def _one_choice_twice(texts: pl.DataFrame, n_rows: int) -> Iterator[Finding]:
    """The same two responses in two parts, under prompts that are nearly the same."""
    sides = texts.with_columns(
        one=pl.min_horizontal("a", "b"), other=pl.max_horizontal("a", "b")
    ).select("pair_id", "prompt", "part", "rows", "one", "other")
    keys = ["one", "other"]
    torn = sides.group_by(keys).agg(first=pl.col("part").min(), last=pl.col("part").max())
    torn = torn.filter(pl.col("first") < pl.col("last")).select(keys)
    both = sides.join(torn, on=keys)
    early = both.filter(pl.col("part") == pl.col("part").min().over(keys))
    early = early.unique(keys, keep="first", maintain_order=True).select(*keys, before="prompt")
    late = both.join(early, on=keys).filter(
        (pl.col("part") > pl.col("part").min().over(keys)) & (pl.col("prompt") != pl.col("before"))
    )
    kept = [_alike(*row) for row in late.select("prompt", "before").iter_rows()]
    late = late.filter(pl.Series(kept, dtype=pl.Boolean)).sort("pair_id")
    rows = int(late["rows"].sum())
    if rows < MIN_ROWS or rows < MIN_SHARE * n_rows:
        return
    yield Finding(
        check="splits",
        what=f"{counted(late.height, 'pair')} have the responses of a pair in an earlier part,"
        f" under a prompt that is nearly the same ({counted(rows, 'judgement')},"
        f" {share_text(rows / n_rows)}): one choice stands in two parts",
        failed=True,
        rows=rows,
        share=rows / n_rows,
        details={"n_pairs": late.height},
        examples=tuple(
            Example(pair, f"{shown(prompt[:EXCERPT])} and {shown(before[:EXCERPT])}")
            for pair, prompt, before in late.select("pair_id", "prompt", "before")
            .head(EXAMPLES)
            .iter_rows()
        ),
        hint="plt dataset-split DATA --by response -o OUT, or take what differs out of the prompts",
    )


def _alike(prompt: str, other: str) -> bool:
    """Whether two prompts share most of the shorter one: its words, its beginning or its end."""
    one, two = set(re.findall(r"\w+", prompt)), set(re.findall(r"\w+", other))
    shared = len(one & two)
    if shared >= MIN_WORDS and shared >= ALIKE * min(len(one), len(two)):
        return True
    least = max(MIN_EDGE, ALIKE * min(len(prompt), len(other)))
    return max(_common(prompt, other), _common(prompt[::-1], other[::-1])) >= least


def _common(text: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    both = zip(text, other, strict=False)
    return next((i for i, (a, b) in enumerate(both) if a != b), min(len(text), len(other)))
