"""Pictures as plain facts: what is drawn, not how. Formats draw them; text formats leave them out.

Every figure in a picture stands in a table beside it too, so nothing is lost without eyes.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mark:
    """One figure with its interval.

    Attributes:
        label: Whose it is; may be hostile, formats escape it.
        value: The figure; null figures are not drawn, and are named below the picture.
        low: Lower end of its interval; null together with `high`.
        high: Upper end.
        at: Where it stands along the other axis; None where figures stand one below the other.
        strong: Whether the interval excludes what the reference line marks.
        said: The figure with its interval, in words; stands beside it where there is room.
    """

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    at: float | None = None
    strong: bool = False
    said: str = ""


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        title: What it measures, with its unit.
        log: Whether equal steps are equal ratios.
    """

    title: str
    log: bool = False


@dataclass(frozen=True)
class Series:
    """Marks that belong together.

    Attributes:
        name: What they are of.
        marks: In the order in which a line joins them.
        joined: Whether a line does.
    """

    name: str
    marks: tuple[Mark, ...]
    joined: bool = False


@dataclass(frozen=True)
class Picture:
    """Figures with their intervals, drawn.

    Attributes:
        name: Its file name, without an ending.
        title: What it shows.
        description: The same for who cannot see it: one or two sentences with the figures.
        value: The axis of the figures.
        series: What is drawn.
        along: The other axis; None where the figures stand one below the other, as a forest.
        reference: A value that a line marks, and what it stands for.
    """

    name: str
    title: str
    description: str
    value: Axis
    series: tuple[Series, ...]
    along: Axis | None = None
    reference: tuple[float, str] | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(drawn(self, mark) for each in self.series for mark in each.marks)


def drawn(picture: Picture, mark: Mark) -> bool:
    """Whether a mark has a place in the picture."""
    return mark.value is not None and (picture.along is None or mark.at is not None)
