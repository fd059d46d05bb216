"""Whether a split keeps what it promised."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from plt.analyze.lint.findings import Example, Finding, counted, share_text, shown
from plt.data.splitting.splits import unit_names
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
