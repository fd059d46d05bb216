"""Pictures as static SVG: no script, no style sheet, no link; readable in the dark and in print.

Colours are presentation attributes, so that a content-security policy without inline styles shows
them; text and axes take the colour of the page (``currentColor``).
"""

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from plt.cli.shell.pictures import Axis, Mark, Picture, drawn
from plt.cli.shell.streams import printable

Place: TypeAlias = tuple[float, float]

WIDTH = 760
MARGIN_TOP, MARGIN_BOTTOM, MARGIN_RIGHT = 30, 46, 24
ROW, PLANE_HEIGHT, LEGEND_WIDTH = 24, 300, 210
CHARACTER = 6.6
LONGEST_LABEL = 34
DODGE = 11
"""Points that would lie on each other stand so many pixels apart."""
COLOURS = (
    "#3b78b8", "#d1632d", "#2f8f63", "#b5498f", "#8a7a1f", "#5d62c9", "#c23b4b", "#3f8f96",
)  # fmt: skip
"""Of middling lightness: seen on white and on black alike."""
MUTED = "#808890"


@dataclass(frozen=True)
class _Scale:
    """Values to pixels."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    def __call__(self, value: float) -> float:
        value = math.log10(value) if self.log else value
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values inside."""
        if self.log:
            return self._round_ratios()
        step = _round_step((self.high - self.low) / 5)
        first = math.ceil(self.low / step - 1e-9)
        return [step * k for k in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def _round_ratios(self) -> list[float]:
        """Powers of ten, or with fewer than two of them inside 1, 2 and 5 times these."""
        first, last = math.floor(self.low), math.ceil(self.high)
        for factors in ((1,), (1, 2, 5), range(1, 10)):
            found = [k * 10.0**power for power in range(first, last + 1) for k in factors]
            inside = [v for v in found if self.low <= math.log10(v) <= self.high]
            if len(inside) > 1:
                return inside
        return [round(10 ** ((self.low + self.high) / 2))]


MARK = b'<svg xmlns="http://www.w3.org/2000/svg" role="img"'
"""How each picture begins, by which plt knows its own."""


def to_svg(picture: Picture) -> str:
    """A picture as one ``<svg>`` element with role, title and description.

    Args:
        picture: What to draw; labels may hold anything.

    Returns:
        Text that stands in an HTML page or in a file of its own.
    """
    body, height = _forest(picture) if picture.along is None else _plane(picture)
    name = _escaped(picture.name)
    return (
        f'{MARK.decode()} viewBox="0 0 {WIDTH} {height:.0f}"'
        f' aria-labelledby="{name}-title {name}-desc" font-family="sans-serif" font-size="12"'
        f' fill="currentColor"><title id="{name}-title">{_escaped(picture.title)}</title>'
        f'<desc id="{name}-desc">{_escaped(picture.description)}</desc>{"".join(body)}</svg>'
    )


def _forest(picture: Picture) -> tuple[list[str], float]:
    """Figures one below the other, each with its interval."""
    marks = [m for each in picture.series for m in each.marks if drawn(picture, m)]
    height = MARGIN_TOP + ROW * max(len(marks), 1) + MARGIN_BOTTOM
    longest = max((len(_short(mark.label)) for mark in marks), default=0)
    left = 16 + CHARACTER * longest
    scale = _scale(picture, marks, left, WIDTH - MARGIN_RIGHT - 150)
    bottom = height - MARGIN_BOTTOM
    parts = _value_axis(scale, picture.value, MARGIN_TOP - 8, bottom)
    parts += _reference(picture, scale, MARGIN_TOP - 8, bottom)
    for place, mark in enumerate(marks):
        y = MARGIN_TOP + ROW * (place + 0.5) - 4
        colour = COLOURS[0] if mark.strong else MUTED
        parts.append(_text(left - 10, y + 4, _short(mark.label), "end"))
        parts += _bar(mark, scale, y, colour)
        parts.append(_text(WIDTH - MARGIN_RIGHT, y + 4, _short(mark.said), "end"))
    return parts, height


def _bar(mark: Mark, scale: _Scale, y: float, colour: str) -> list[str]:
    assert mark.value is not None
    parts = []
    if mark.low is not None and mark.high is not None:
        parts.append(_line((scale(mark.low), y), (scale(mark.high), y), colour, 2))
        parts += [
            _line((scale(x), y - 4), (scale(x), y + 4), colour, 2) for x in (mark.low, mark.high)
        ]
    parts.append(f'<circle cx="{scale(mark.value):.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>')
    return parts


def _plane(picture: Picture) -> tuple[list[str], float]:
    """Figures against something else; series have colours and numbers, and a legend."""
    assert picture.along is not None
    marks = [m for each in picture.series for m in each.marks if drawn(picture, m)]
    height = max(PLANE_HEIGHT, MARGIN_TOP + 17 * len(picture.series) + 10) + MARGIN_BOTTOM
    left, right, bottom = 56, WIDTH - LEGEND_WIDTH, height - MARGIN_BOTTOM
    value = _scale(picture, marks, bottom, MARGIN_TOP)
    places = [float(m.at) for m in marks if m.at is not None]
    along = _span(places, picture.along.log, left + 20, right - 20)
    parts = [_line((left, bottom), (right, bottom), "currentColor", 1)]
    for tick in value.ticks():
        y = value(tick)
        parts.append(_line((left, y), (right, y), MUTED, 0.4))
        parts.append(_text(left - 8, y + 4, _number(tick), "end"))
    for tick in along.ticks():
        parts.append(_line((along(tick), bottom), (along(tick), bottom + 5), "currentColor", 1))
        parts.append(_text(along(tick), bottom + 18, _number(tick), "middle"))
    parts.append(_text((left + right) / 2, height - 8, picture.along.title, "middle"))
    parts.append(_text(4, 14, picture.value.title, "start"))
    if picture.reference is not None:
        y = value(picture.reference[0])
        parts.append(_line((left, y), (right, y), "currentColor", 1, dashed=True))
    shifts = iter(_dodged([along(place) for place in places]))
    for number, each in enumerate(picture.series):
        parts += _series_in_plane(picture, number, value, shifts)
        y = MARGIN_TOP + 17 * number
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<circle cx="{right + 18}" cy="{y - 4:.1f}" r="4.5" fill="{colour}"/>')
        parts.append(_text(right + 30, y, f"{number + 1}  {_short(each.name)}", "start"))
    return parts, height


def _series_in_plane(
    picture: Picture, number: int, value: _Scale, shifts: Iterator[float]
) -> list[str]:
    """One series; `shifts` is an iterator over the horizontal places of all drawn marks."""
    colour = COLOURS[number % len(COLOURS)]
    parts: list[str] = []
    before: tuple[float, float] | None = None
    each = picture.series[number]
    for mark in each.marks:
        if not drawn(picture, mark):
            continue
        assert mark.value is not None
        x, y = next(shifts), value(mark.value)
        if mark.low is not None and mark.high is not None:
            parts.append(_line((x, value(mark.low)), (x, value(mark.high)), colour, 1.5))
        if each.joined and before is not None:
            parts.append(_line(before, (x, y), colour, 1.5))
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>')
        parts.append(_text(x + 6, y - 5, str(number + 1), "start"))
        before = (x, y)
    return parts


def _dodged(places: Sequence[float]) -> list[float]:
    """Places along an axis, those that would lie on each other moved apart."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    found = list(places)
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and places[order[stop]] - places[order[start]] < DODGE / 2:
            stop += 1
        for k, i in enumerate(order[start:stop]):
            found[i] = places[i] + DODGE * (k - (stop - start - 1) / 2)
        start = stop
    return found


def _scale(picture: Picture, marks: Sequence[Mark], start: float, end: float) -> _Scale:
    """The scale of the figures: all ends of all intervals, and the reference line."""
    values = [x for m in marks for x in (m.value, m.low, m.high) if x is not None]
    if picture.reference is not None:
        values.append(picture.reference[0])
    return _span(values, picture.value.log, start, end)


def _span(values: Sequence[float], log: bool, start: float, end: float) -> _Scale:
    known = [math.log10(v) if log else v for v in values if not log or v > 0] or [0.0, 1.0]
    low, high = min(known), max(known)
    room = 0.06 * (high - low) if high > low else 0.05
    return _Scale(low - room, high + room, start, end, log)


def _value_axis(scale: _Scale, axis: Axis, top: float, bottom: float) -> list[str]:
    parts = [_line((scale.start, bottom), (scale.end, bottom), "currentColor", 1)]
    for tick in scale.ticks():
        parts.append(_line((scale(tick), top), (scale(tick), bottom), MUTED, 0.4))
        parts.append(_text(scale(tick), bottom + 17, _number(tick), "middle"))
    middle = (scale.start + scale.end) / 2
    return [*parts, _text(middle, bottom + 38, axis.title, "middle")]


def _reference(picture: Picture, scale: _Scale, top: float, bottom: float) -> list[str]:
    if picture.reference is None:
        return []
    x = scale(picture.reference[0])
    said = _text(x, top - 4, picture.reference[1], "middle")
    return [_line((x, top), (x, bottom), "currentColor", 1.2, dashed=True), said]


def _round_step(step: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(k * power for k in (1, 2, 5, 10) if k * power >= step * (1 - 1e-9))


def _number(value: float) -> str:
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.6g}"


def _line(start: Place, end: Place, colour: str, width: float, *, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"'
        f' stroke="{colour}" stroke-width="{width:g}"{dash}/>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{_escaped(text)}</text>'


def _short(label: str) -> str:
    safe = printable(label).replace("\n", " ").replace("\t", " ")
    return safe if len(safe) <= LONGEST_LABEL else f"{safe[: LONGEST_LABEL - 1]}…"


def _escaped(text: str) -> str:
    return html.escape(printable(text))
