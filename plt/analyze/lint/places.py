"""Whether a split keeps what it promised."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plt.analyze.dataset.near_duplicates import character_vectors
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
RESPLIT = "plt dataset-split DATA -o OUT"
ANCHOR = 32
"""Characters of a response by which it is sought in prompts; shorter ones are common phrases."""
SHIFT = np.uint64(40)
"""Leaves the 24 leading bits of a hash, by which most places are ruled out."""
CHUNK = 4_000_000
"""Characters of prompts read at a time."""
MIN_QUOTED = 0.10
"""Share of the judgements of one part from which quotations elsewhere are more than stock phrases
and turns that two conversations share."""
NEAR = 0.7
"""Cosine of two prompts that ask nearly the same."""
MIN_TAIL = 12
"""Characters in which two prompts end alike, and half of the shorter one: a name in front."""
SIDES = ("response_a", "response_b")
MAX_PROMPTS = 6
"""Prompts of one pair of responses that are compared."""
PROMPTS_AT_A_TIME = 20_000


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
    found += [*_same_responses(places), *_quoted_elsewhere(prefs, divided)]
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
        asked=_asked(prefs.pairs),
    )
    return divided.select("pair_id", "group", split=pl.col("split").to_physical()).join(
        texts, on="pair_id", how="left", maintain_order="left"
    )


def _asked(pairs: pl.DataFrame) -> pl.Series:
    """What each prompt says, in normal form, without roles."""
    contents = pl.element().struct.field("content")
    said = pl.col("prompt").list.eval(contents).list.join("\n")
    return pairs.select(normal(said)).to_series()


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


def _same_responses(places: pl.DataFrame) -> Iterator[Finding]:
    """A finding for two responses that stand in two parts under prompts that are nearly one."""
    one, other = pl.min_horizontal(SIDES), pl.max_horizontal(SIDES)
    keys = places.select(
        "split", "asked", "pair_id", texts=pl.concat_str(one, other, separator="\x1d")
    ).filter(pl.col("texts").str.len_chars() > ANCHOR)
    asked = keys.unique(["split", "asked", "texts"], keep="first", maintain_order=True)
    torn = pl.col("split").n_unique().over("texts") > 1
    asked = asked.filter(torn, pl.col("asked").n_unique().over("texts") > 1)
    asked = asked.filter(pl.int_range(pl.len()).over("texts") < MAX_PROMPTS)
    met = asked.join(asked, on="texts", suffix="_late").filter(
        pl.col("split") < pl.col("split_late"), pl.col("asked") != pl.col("asked_late")
    )
    if met.height == 0:
        return
    alike = [
        _alike(some["asked"], some["asked_late"]) for some in met.iter_slices(PROMPTS_AT_A_TIME)
    ]
    near = met.filter(pl.Series(np.concatenate(alike)))
    if near.height == 0:
        return
    given = keys.join(near.select("texts", split="split_late").unique(), on=["texts", "split"])
    share = given.height / places.height
    yield Finding(
        check="splits",
        what="the same two responses stand in several splits under prompts that are nearly one,"
        f" such as a question with a name in front: {counted(given.height, 'judgement')}"
        f" ({share_text(share)})",
        failed=True,
        rows=given.height,
        share=share,
        details={"unit": "near-duplicate prompt", "n_units": near["texts"].n_unique()},
        examples=tuple(
            Example(pair, f"prompts end {shown(one[-EXCERPT:])} and {shown(other[-EXCERPT:])}")
            for pair, one, other in near.select("pair_id_late", "asked", "asked_late")
            .unique("pair_id_late", keep="first", maintain_order=True)
            .sort("pair_id_late")
            .head(EXAMPLES)
            .iter_rows()
        ),
        hint="plt dataset-split DATA --by response -o OUT",
    )


def _alike(early: pl.Series, late: pl.Series) -> NDArray[np.bool_]:
    """Whether prompts in normal form are nearly one, by their characters or their end, [n]."""
    cosine = np.einsum("nd,nd->n", character_vectors(early), character_vectors(late))
    tails = [_one_tail(*both) for both in zip(early, late, strict=True)]
    return np.asarray((cosine >= NEAR) | np.array(tails))


def _one_tail(one: str, other: str) -> bool:
    """Whether two prompts end alike, by `MIN_TAIL` characters and half of the shorter one."""
    shorter = min(len(one), len(other))
    needed = max(MIN_TAIL, (shorter + 1) // 2)
    return shorter >= needed and one[-needed:] == other[-needed:]


def _quoted_elsewhere(prefs: Preferences, divided: pl.DataFrame) -> Iterator[Finding]:
    """What is judged in one part and quoted in prompts of another: a finding from 10 % of it on."""
    texts = prefs.pairs.select(
        "pair_id",
        prompt=_asked(prefs.pairs),
        response_a=normal(pl.col("response_a")),
        response_b=normal(pl.col("response_b")),
    )
    parts = divided.select("pair_id", split=pl.col("split").to_physical())
    rows = parts.join(texts, on="pair_id", how="left", maintain_order="left")
    prompts = rows.group_by("prompt", maintain_order=True).agg(parts=pl.col("split").unique())
    judged = rows.unpivot(SIDES, index="split", value_name="text").group_by("text")
    responses = judged.agg(parts=pl.col("split").unique()).filter(
        pl.col("text").str.len_chars() >= ANCHOR
    )
    held = _held(prompts, responses)
    if not held:
        return
    quoted = pl.any_horizontal(pl.col(SIDES).is_in(list(held)))
    given = rows.filter(quoted)
    share = given.height / rows.height
    most = rows.group_by("split").agg(quoted.mean().alias("share"))["share"].to_numpy().max()
    yield Finding(
        check="splits",
        what=f"prompts of another split hold a response of {counted(given.height, 'judgement')}"
        f" ({share_text(share)}; in one split {share_text(float(most))})",
        failed=bool(most >= MIN_QUOTED),
        rows=given.height,
        share=share,
        details={"n_responses": len(held)},
        examples=tuple(
            Example(pair, f"prompt elsewhere holds {shown(text[:EXCERPT])}")
            for pair, *both in given.unique("pair_id", keep="first", maintain_order=True)
            .select("pair_id", *SIDES)
            .sort("pair_id")
            .head(EXAMPLES)
            .iter_rows()
            for text in [text for text in both if text in held][:1]
        ),
        hint="plt dataset-split DATA --by group -o OUT, where a group is a conversation",
    )


def _held(prompts: pl.DataFrame, responses: pl.DataFrame) -> set[str]:
    """The responses that stand in a prompt of a part in which they are not only judged.

    Args:
        prompts: `prompt`, `parts` (those it stands in).
        responses: `text` of at least `ANCHOR` characters, `parts` (those it is judged in).
    """
    if responses.height == 0:
        return set()
    sought = dict(responses.select("text", "parts").iter_rows())
    heads: dict[int, list[str]] = {}
    for text, code in zip(sought, _windows("".join(t[:ANCHOR] for t in sought))[::ANCHOR],
                          strict=True):  # fmt: skip
        heads.setdefault(int(code), []).append(text)
    known = np.array(sorted(heads), dtype=np.uint64)
    likely = np.zeros(2**24, dtype=np.bool_)
    likely[known >> SHIFT] = True
    found: set[str] = set()
    longest = int(prompts["prompt"].str.len_chars().to_numpy().max())
    size = max(1, CHUNK // max(1, longest))
    for first in range(0, prompts.height, size):
        some = prompts.slice(first, size)
        codes = _windows("".join(some["prompt"]))
        at = np.flatnonzero(likely[codes >> SHIFT])
        at = at[np.isin(codes[at], known)]
        ends = np.cumsum(some["prompt"].str.len_chars().to_numpy())
        for place, row in zip(at, np.searchsorted(ends, at, side="right"), strict=True):
            text, parts = some.row(int(row))
            for response in heads[int(codes[place])]:
                if response in text and set(sought[response]) != set(parts):
                    found.add(response)
    return found


def _windows(text: str) -> NDArray[np.uint64]:
    """A hash of each `ANCHOR` characters in a row, [len(text) - ANCHOR + 1]."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    hashes = codes.astype(np.uint64)
    factor, width = 0x9E3779B97F4A7C15, 1
    while width < ANCHOR:
        hashes = hashes[:-width] * np.uint64(factor) + hashes[width:]
        factor, width = factor * factor % 2**64, 2 * width
    return hashes
