"""Figures without an interval, and how a figure is written into a documented JSON object."""

from typing import Any

from plt.analyze.intervals.uncertainty import KIND_NONE, Interval, Target

NOT_ASKED = "intervals were not asked for"


def without_interval(
    value: float | None, reason: str = NOT_ASKED, target: Target = "groups"
) -> Interval:
    """A figure that has no interval, or no value either, and why."""
    return Interval(value, None, None, target, KIND_NONE, 0.95, reason=reason)


def figure_json(found: Interval) -> dict[str, Any]:
    """Value, interval, what the interval generalises to, and why anything is null."""
    return {
        "value": found.value,
        "ci": None if found.low is None else [found.low, found.high],
        "target": found.target,
        "kind": found.kind,
        "reason": found.reason,
    }
