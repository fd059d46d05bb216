"""Which pictures a report shows: gains, and accuracy against parameters and judgements."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from plt.analyze.intervals.claims import side
from plt.analyze.intervals.figures import points, with_interval
from plt.cli.shell.pictures import Axis, Mark, Picture, Series

if TYPE_CHECKING:
    from plt.analyze.comparison.compare import Compared, Comparison
    from plt.analyze.comparison.entries import Cost
    from plt.analyze.comparison.gains import Gain
    from plt.analyze.intervals.uncertainty import Interval

MOST_IN_WORDS = 6


def gain_picture(found: Comparison) -> Picture:
    """Each run's gain over the baseline, with intervals that hold together."""
    marks = []
    gains = [row.gain for row in found.rows if row.gain is not None]
    known = [each for each in gains if each.own.interval.value is not None]
    unknown = [each for each in gains if each.own.interval.value is None]
    for gain in [*sorted(known, key=_value, reverse=True), *unknown]:
        own = gain.own
        value = own.interval.value
        marks.append(
            Mark(
                gain.name,
                None if value is None else 100 * value,
                None if own.low is None else 100 * own.low,
                None if own.high is None else 100 * own.high,
                strong=side(own.together) in ("above", "below"),
                said=points(own),
            )
        )
    said = [f"{mark.label} {mark.said}" for mark in marks]
    return Picture(
        "gains",
        f"Gain of each run over {found.baseline}",
        f"In percentage points, with intervals that hold together: {_list(said)}.",
        Axis(f"gain over {found.baseline} (percentage points)"),
        (Series("gain", tuple(marks)),),
        reference=(0.0, "no difference"),
    )


def _value(gain: Gain) -> float:
    value = gain.own.interval.value
    assert value is not None
    return value


def _place(mark: Mark) -> float:
    assert mark.at is not None
    return mark.at


def accuracy_picture(found: Comparison) -> Picture:
    """Each run's accuracy, for when there is no baseline."""
    marks = tuple(
        Mark(
            row.entry.name,
            figure.value,
            figure.low,
            figure.high,
            strong=True,
            said=with_interval(figure),
        )
        for row in found.rows
        for figure in [_accuracy(row)]
    )
    said = [f"{row.entry.name} {with_interval(_accuracy(row))}" for row in found.rows]
    return Picture(
        "accuracy",
        "Accuracy of each run",
        f"A share of judgements, 0.5 is a coin: {_list(said)}.",
        Axis("accuracy"),
        (Series("accuracy", marks),),
        reference=(0.5, "a coin"),
    )


def against(
    found: Comparison, name: str, what: str, cost: Callable[[Cost], float | None]
) -> Picture:
    """Accuracy of each run against one of its costs, one series a method.

    Args:
        found: The comparison.
        name: Of the picture.
        what: What the cost is, in words.
        cost: The cost; None and 0 have no place on the axis, which is one of ratios.
    """
    series: dict[str, list[Mark]] = {}
    for row in found.rows:
        figure, place = _accuracy(row), cost(row.entry.cost)
        mark = Mark(row.entry.name, figure.value, figure.low, figure.high, place or None)
        series.setdefault(row.entry.method, []).append(mark)
    left_out = [row.entry.name for row in found.rows if not cost(row.entry.cost)]
    drawn = {
        key: sorted((m for m in marks if m.at is not None), key=_place)
        for key, marks in series.items()
    }
    said = [
        f"{m.label} {m.at:,.0f}: {m.value:.3f}"
        for marks in drawn.values() for m in marks if m.at is not None and m.value is not None
    ]  # fmt: skip
    return Picture(
        name,
        f"Accuracy against {what}" + (f" (no place for {_list(left_out)})" if left_out else ""),
        f"{what.capitalize()} and accuracy of each run: {_list(said)}.",
        Axis("accuracy by user, 95 % intervals"),
        tuple(
            Series(key, tuple(marks), joined=len({m.at for m in marks}) > 1)
            for key, marks in drawn.items()
            if marks
        ),
        Axis(what, log=True),
        reference=(0.5, "a coin"),
    )


def _accuracy(row: Compared) -> Interval:
    return row.macro if row.macro.value is not None else row.pooled


def _list(said: list[str]) -> str:
    shown = said[:MOST_IN_WORDS]
    rest = len(said) - len(shown)
    return "; ".join(shown) + (f"; and {rest} more, in the table" if rest else "")
