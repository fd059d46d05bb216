"""How figures are written: one text, one JSON form and one row of `metrics/1`, everywhere."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import polars as pl

from plt.analyze.intervals.simultaneous import Difference
from plt.analyze.intervals.uncertainty import KIND_NONE, Interval, Target

NOT_ASKED = "intervals were not asked for"
MISSING = "-"


def without_interval(
    value: float | None, reason: str = NOT_ASKED, target: Target = "groups"
) -> Interval:
    """A figure that has no interval, or no value either, and why."""
    return Interval(value, None, None, target, KIND_NONE, 0.95, reason=reason)


def interval_json(found: Interval) -> dict[str, Any]:
    """A figure in a documented JSON object: what it generalises to, and why anything is null."""
    return {
        "value": found.value,
        "ci": None if found.low is None else [found.low, found.high],
        "target": found.target,
        "kind": found.kind,
        "n_users": found.n_users,
        "n_groups": found.n_groups,
        "n": found.n_rows,
        "df": found.df,
        "effective_users": found.effective_users,
        "effective_groups": found.effective_groups,
        "these_users": None if found.these_users is None else list(found.these_users),
        "dominant": [
            {"kind": each.kind, "name": each.name, "share": each.share} for each in found.dominant
        ],
        "reason": found.reason,
    }


def metrics_columns(found: Interval) -> dict[str, Any]:
    """What a row of `metrics/1` says of a figure: the interval, or why there is none."""
    return {
        "value": found.value,
        "ci_low": found.low,
        "ci_high": found.high,
        "interval": found.label if found.low is not None else found.reason,
        "n_users": found.n_users or 0,
        "n_groups": found.n_groups,
        "n_pairs": found.n_rows,
        "df": found.df,
        "effective_users": found.effective_users,
        "effective_groups": found.effective_groups,
    }


Names: TypeAlias = Sequence[str] | pl.Series | None


def with_names(found: Interval, users: Names, groups: Names) -> Interval:
    """The same, its dominant clusters named.

    Args:
        found: A figure.
        users: Name of each user code; None where they have none.
        groups: Name of each group code; None where they have none.
    """
    names = {"user": users, "group": groups}
    named = []
    for each in found.dominant:
        known = names[each.kind]
        named.append(each if known is None else replace(each, name=str(known[each.code])))
    return replace(found, dominant=tuple(named))


def difference_json(found: Difference | None) -> dict[str, Any] | None:
    """A paired difference in a documented JSON object; null for the baseline itself.

    ``ci`` and ``p`` are its own, ``adjusted_ci`` and ``p_adjusted`` those that hold together with
    the others of its table.
    """
    if found is None:
        return None
    return interval_json(found.interval) | {
        "p": found.p_value,
        "adjusted_ci": None if found.low is None else [found.low, found.high],
        "p_adjusted": found.p,
        "n_compared": found.n_family,
        "same_answers": found.same_answers,
    }


def number(value: float | None, digits: int = 3) -> str:
    """A figure, or a dash for what is missing (never 0)."""
    return MISSING if value is None else f"{value:.{digits}f}"


def with_interval(found: Interval, digits: int = 3) -> str:
    """``0.712 [0.671, 0.753]``; the bounds are dashes where they are null."""
    if found.value is None:
        return MISSING
    return f"{found.value:.{digits}f} [{number(found.low, digits)}, {number(found.high, digits)}]"


def points(found: Difference | None, digits: int = 1) -> str:
    """A difference of accuracies in percentage points: ``+4.2 [+1.0, +7.4]``.

    The interval is the one that holds together with the others of its table.
    """
    if found is None or found.interval.value is None:
        return MISSING
    if found.same_answers:
        return "same answers"
    ends = [
        MISSING if end is None else f"{100 * end:+.{digits}f}" for end in (found.low, found.high)
    ]
    return f"{100 * found.interval.value:+.{digits}f} [{ends[0]}, {ends[1]}]"


def p_value(p: float | None) -> str:
    """``0.013``, or ``<0.001``."""
    if p is None:
        return MISSING
    return "<0.001" if p < 0.001 else f"{p:.3f}"
