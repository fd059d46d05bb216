"""The tax of a run as tables and as the object of ``--json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from plt.analyze.intervals.claims import about, side
from plt.analyze.intervals.figures import (
    MISSING,
    difference_json,
    interval_json,
    number,
    p_value,
    points,
    with_interval,
)
from plt.analyze.tax.sections import AVERAGE
from plt.cli.shell.streams import Block, Line, Table
from plt.data.benches import BENCHES

if TYPE_CHECKING:
    from plt.analyze.tax.change import SectionTax, Tax
    from plt.study.costs.tax import Taxed, TaxOutcome

PAPER_ORDER = ("Safety", "Reasoning", "Chat", "Chat Hard")
THIRDS = ("nearest the majority", "between", "farthest from it")
MIN_PEOPLE = 6
"""Fewer make no thirds."""


def tax_blocks(found: Taxed) -> tuple[Block, ...]:
    """Scores and changes by section, in the layout of Dong et al. 2025 too, for a person."""
    blocks: list[Block] = [_sections(found)]
    blocks.append(_paper_table(found))
    thirds = _thirds(found)
    blocks += [] if thirds is None else [thirds]
    blocks += [Line(sentence) for sentence in notes(found)]
    return (*blocks, Line(verdict(found)))


def title(found: Taxed) -> str:
    """What was scored: name, file, hash and number of missing subsets."""
    bench = found.benchmark
    missing = len(bench["missing"])
    total = bench["n_subsets"]
    whole = "no subset missing" if not missing else f"{missing} of {total} subsets missing"
    official = bench["file"] == bench["name"] == bench["layout"] and not missing
    of_its_own = bench["layout"] not in BENCHES
    plain = official or of_its_own
    name = bench["file"] if plain else f"{bench['file']} in the layout of {bench['layout']}"
    return f"{name}, content {bench['content'][:12]}, {whole}"


def _who(tax: Tax) -> str:
    n = len(tax.users)
    if None in tax.users:
        return "the same for everybody"
    return f"mean of {n} users" if n > 1 else "one user"


def _sections(found: Taxed) -> Table:
    columns = ("section", "base", "run", "change (points)", "p (adjusted)", "worst user",
               "... noise taken out", "spread", "missing subsets")  # fmt: skip
    rows = tuple(_section_row(each) for each in found.tax.sections)
    name = f"tax of {found.method}-{found.trained.name.rpartition('-')[2][:6]} on {title(found)}"
    return Table(columns, rows, name, frozenset(columns[1:8]))


def _section_row(each: SectionTax) -> tuple[str, ...]:
    worst = each.worst
    return (
        each.section.name,
        MISSING if each.base is None else with_interval(each.base),
        with_interval(each.score),
        points(each.change),
        MISSING if each.change is None else p_value(each.change.p),
        MISSING if worst is None else _points(worst.change),
        MISSING if worst is None else _points(worst.without_noise),
        MISSING if each.spread is None else f"{100 * each.spread:.1f}",
        ", ".join(each.section.missing) or "none",
    )


def _points(value: float | None) -> str:
    return MISSING if value is None else f"{100 * value:+.1f}"


def _paper_table(found: Taxed) -> Table:
    """Table 3 of Dong et al. 2025: accuracy and sections, a row a model."""
    sections = {each.section.name: each for each in found.tax.sections}
    names = [name for name in PAPER_ORDER if name in sections]
    names += [name for name in sections if name not in names]
    columns = ("model", "accuracy", *names)
    rows = []
    if found.base["kind"] != "none":
        base = found.base_accuracy
        figures = [sections[name].base for name in names]
        rows.append(
            (
                f"base: {found.base['name']}",
                number(None if base is None else base.value),
                *(MISSING if each is None else number(each.value) for each in figures),
            )
        )
    own = found.accuracy
    rows.append(
        (
            f"{found.method}, {_who(found.tax)}",
            number(None if own is None else own.value),
            *(number(sections[name].score.value) for name in names),
        )
    )
    if None not in found.tax.users and len(found.tax.users) > 1:
        lowest = [sections[name].own for name in names]
        rows.append(
            (
                f"{found.method}, lowest of any user",
                MISSING,
                *(MISSING if each is None else number(float(each.min())) for each in lowest),
            )
        )
    heading = "as in table 3 of Dong et al. 2025 (accuracy: the run's own test rows, over users)"
    return Table(columns, tuple(rows), heading, frozenset(columns[1:]))


def _thirds(found: Taxed) -> Table | None:
    """The change of those near the majority and far from it: a description."""
    tax = found.tax
    known = [i for i, name in enumerate(tax.users) if name in tax.distance]
    shown = [each for each in tax.sections if each.by_user is not None]
    if len(known) < MIN_PEOPLE or not shown:
        return None
    far = np.array([tax.distance[str(tax.users[i])] for i in known])
    parts = np.array_split(np.argsort(far, kind="stable"), 3)
    columns = ("users", "number", "distance", *(each.section.name for each in shown))
    rows = []
    for name, part in zip(THIRDS, parts, strict=True):
        places = np.array(known)[part]
        cells = [_points(float(each.by_user[places].mean())) for each in shown
                 if each.by_user is not None]  # fmt: skip
        rows.append((name, str(part.size), f"{far[part].mean():.3f}", *cells))
    heading = "change (points) by distance from the majority, the share of judgements against most"
    heading += " others on the run's own rows; a description"
    return Table(columns, tuple(rows), heading, frozenset(columns[1:]))


def notes(found: Taxed) -> list[str]:
    """What a reader must know of the figures."""
    tax, bench = found.tax, found.benchmark
    said = [f"Base: {found.base['why']}."]
    if None not in tax.users and len(tax.users) < found.users_known:
        said.append(f"Scored as {len(tax.users)} of the {found.users_known} users of the run.")
    shown = next((each for each in tax.sections if each.change is not None), None)
    if shown is not None and shown.change is not None and shown.change.interval.low is not None:
        target, n = shown.change.interval.target, shown.change.interval.n_users
        said.append(
            f"{bench['n_pairs']:,} pairs; changes are run minus base on the same items, about"
            f" {about(target, n)}; their intervals and p hold for all rows together; other"
            " intervals 95 %. The worst user is the smallest of many changes, which the noise of"
            " these items makes smaller; spread is the standard deviation between users."
        )
    if None not in tax.users and not tax.distance:
        said.append(
            "Distance from the majority is not known: no pair of the run's own rows was judged by"
            " two users."
        )
    chances = _chances(tax)
    said += [] if not chances else [f"Guessing scores {chances}."]
    said += [f"{note[0].upper()}{note[1:]}." for note in found.notes]
    return said


def _chances(tax: Tax) -> str:
    chance = tax.bench.chance
    if chance is None:
        return ""
    known = sorted({value for value in chance.values() if value is not None})
    open_ = [name for name, value in chance.items() if value is None]
    text = " or ".join(f"{value:g}" for value in known)
    return f"{text} (1 of 4)" + (f", but for {', '.join(open_)}, a composite" if open_ else "")


def verdict(found: Taxed) -> str:
    """What may be claimed, in words."""
    tax = found.tax
    shown = [each for each in tax.sections if each.section.name != AVERAGE]
    if all(each.change is None for each in shown):
        return "No base, so nothing can be said of a tax: only scores."
    if all(each.change is None or each.change.interval.value is None for each in shown):
        return "No section of the benchmark is there."
    known = [each for each in shown if each.change and each.change.interval.value is not None]
    same = [each for each in known if each.change and each.change.same_answers]
    if len(same) == len(known):
        return "No tax: the run gives the same answers as its base on every item."
    lost = [each for each in known if each.change and side(each.change.together) == "below"]
    won = [each for each in known if each.change and side(each.change.together) == "above"]
    unsure = [each for each in known if each.change and side(each.change.together) == "open"]
    silent = [each for each in known if each.change and side(each.change.together) == "unknown"
              and not each.change.same_answers]  # fmt: skip
    parts = []
    if lost:
        parts.append(f"Personalization costs {_named(lost)}.")
    if won:
        parts.append(f"It gains {_named(won)}.")
    if unsure:
        limits = ", ".join(f"{each.section.name} {_down_to(each)}" for each in unsure)
        parts.append(
            f"No detectable change in {_names(unsure)}; a loss of so many points is not excluded:"
            f" {limits}."
        )
    if silent:
        parts.append(f"No interval in {_names(silent)}.")
    return " ".join(parts)


def _names(parts: Sequence[SectionTax]) -> str:
    return ", ".join(each.section.name for each in parts)


def _named(parts: Sequence[SectionTax]) -> str:
    return ", ".join(f"{each.section.name} {points(each.change)} points" for each in parts)


def _down_to(each: SectionTax) -> str:
    low = None if each.change is None else each.change.low
    return MISSING if low is None else f"{100 * max(-low, 0.0):.1f}"


def outcome_json(found: TaxOutcome) -> dict[str, Any]:
    """The object that ``plt tax --json`` prints."""
    return {
        "runs": [tax_json(each) for each in found.made],
        "failed": [{"run": each.label, "reason": each.reason} for each in found.failed],
    }


def tax_json(found: Taxed) -> dict[str, Any]:
    """One run as ``--json`` prints it."""
    tax = found.tax
    return {
        "run": str(found.path),
        "run_id": found.run_id,
        "method": found.method,
        "trained": str(found.trained),
        "base": dict(found.base),
        "bench": dict(found.benchmark),
        "n_users": 0 if None in tax.users else len(tax.users),
        "n_users_known": found.users_known,
        "accuracy": None if found.accuracy is None else asdict(found.accuracy),
        "base_accuracy": None if found.base_accuracy is None else asdict(found.base_accuracy),
        "sections": [_section_json(each, tax) for each in tax.sections],
        "users": _users_json(tax),
        "notes": notes(found),
        "verdict": verdict(found),
    }


def _section_json(each: SectionTax, tax: Tax) -> dict[str, Any]:
    chance = 0.5 if tax.bench.chance is None else tax.bench.chance.get(each.section.name)
    return {
        "section": each.section.name,
        "score": interval_json(each.score),
        "base": None if each.base is None else interval_json(each.base),
        "change": difference_json(each.change),
        "worst_user": None if each.worst is None else asdict(each.worst),
        "spread": each.spread,
        "chance": chance,
        "n_items": each.n_items,
        "missing": list(each.section.missing),
    }


def _users_json(tax: Tax) -> list[dict[str, Any]]:
    return [
        {
            "user": name,
            "distance": tax.distance.get(name),
            "changes": {
                each.section.name: {
                    "value": each.each[i].value,
                    "ci": None
                    if each.each[i].low is None
                    else [each.each[i].low, each.each[i].high],
                }
                for each in tax.sections
                if each.each
            },
        }
        for i, name in enumerate(tax.users)
        if name is not None
    ]
