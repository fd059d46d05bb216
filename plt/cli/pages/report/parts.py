"""Parts of a report that are of other things than the comparison: each from one typed object.

A part is a function from what was found to a `Part`; the forms of a report show every part alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plt.analyze.adaptation.answers import ALL_ANSWERS
from plt.analyze.adaptation.claims import claims
from plt.analyze.intervals.claims import side
from plt.analyze.intervals.figures import points
from plt.cli.pages.adaptation import adaptation_blocks, adaptation_json
from plt.cli.pages.dose import dose_blocks
from plt.cli.pages.dose import verdict as dose_verdict
from plt.cli.pages.tax import tax_blocks, tax_json
from plt.cli.pages.tax import verdict as tax_verdict
from plt.cli.shell.pictures import Axis, Mark, Picture, Series
from plt.cli.shell.streams import Block, Heading, Line

if TYPE_CHECKING:
    from plt.analyze.adaptation.curves import Adaptation, Curve
    from plt.study.costs.dose import DosedRun
    from plt.study.costs.tax import Taxed


@dataclass(frozen=True)
class Part:
    """One part.

    Attributes:
        name: Its key under ``--json`` and its anchor on a page: lower-case letters and hyphens.
        title: Its heading.
        claims: What may be said of it, in sentences: on a page these stand first.
        blocks: Its tables and sentences for a text, claims included.
        pictures: Its drawings, for a page.
        data: The documented object.
    """

    name: str
    title: str
    claims: tuple[str, ...]
    blocks: tuple[Block, ...]
    pictures: tuple[Picture, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def on_page(self) -> tuple[Block, ...]:
        """Claims first, then drawings, then the tables."""
        said = {Line(claim) for claim in self.claims}
        rest = (block for block in self.blocks if not (isinstance(block, Line) and block in said))
        drawn = (picture for picture in self.pictures if not picture.empty)
        return (*map(Line, self.claims), *drawn, *rest)


def adaptation_part(found: Adaptation) -> Part:
    """How runs do for new people, by the number of their answers."""
    return Part(
        "adaptation",
        "New people, by the number of their answers",
        tuple(claims(found)),
        adaptation_blocks(found),
        (_curves(found),),
        adaptation_json(found),
    )


def tax_part(found: Sequence[Taxed]) -> Part:
    """What runs cost on benchmarks, each against its base."""
    return Part(
        "tax",
        "What personalization costs elsewhere: chat, reasoning, safety",
        tuple(f"{_taxed_name(each)}: {tax_verdict(each)}" for each in found),
        tuple(block for each in found for block in (Heading(_taxed_name(each)), *tax_blocks(each))),
        tuple(_changes(each, number) for number, each in enumerate(found, 1)),
        {"runs": [tax_json(each) for each in found]},
    )


def dose_part(found: Sequence[DosedRun]) -> Part:
    """How much of each person's taste stays within a budget of tax."""
    return Part(
        "dose",
        "How much of it stays in a budget",
        tuple(f"{each.method}: {dose_verdict(each)}" for each in found),
        tuple(block for each in found for block in (Heading(each.method), *dose_blocks(each))),
        tuple(_frontier(each, number) for number, each in enumerate(found, 1)),
        {"runs": [each.to_json() for each in found]},
    )


def _frontier(found: DosedRun, number: int) -> Picture:
    """Accuracy for the people against the largest loss of a section, a mark a share."""
    marks = []
    for point in found.document["points"]:
        accuracy, half = point["accuracy"], point["other_half"]
        losses = [-each["value"] for each in half.values() if each["value"] is not None]
        if accuracy is not None and losses:
            low, high = accuracy["ci"] or (None, None)
            at = 100 * max(losses)
            marks.append(Mark(f"share {point['share']:g}", accuracy["value"], low, high, at))
    said = "; ".join(f"{m.label} costs {m.at:.1f}" for m in marks[:: max(1, len(marks) // 5)])
    return Picture(
        f"dose-{number}",
        f"What {found.method} keeps of its accuracy as its tax is cut",
        f"Largest loss of a section in points, on the half that chose nothing: {said}.",
        Axis("accuracy for the people, 95 % intervals"),
        (Series(found.method, tuple(marks), True),),
        Axis("largest loss of a section, points (half that chose nothing)"),
    )


def _taxed_name(found: Taxed) -> str:
    return f"{found.method} on {found.benchmark['file']}"


def _changes(found: Taxed, number: int) -> Picture:
    """The change of each section from the base, with intervals that hold together."""
    known = [(each.section.name, each.change) for each in found.tax.sections if each.change]
    marks = tuple(
        Mark(
            name,
            None if change.interval.value is None else 100 * change.interval.value,
            None if change.low is None else 100 * change.low,
            None if change.high is None else 100 * change.high,
            strong=side(change.together) in ("above", "below"),
            said=points(change),
        )
        for name, change in known
    )
    said = "; ".join(f"{mark.label} {mark.said}" for mark in marks)
    return Picture(
        f"tax-{number}",
        f"Change of {_taxed_name(found)} from its base, by section",
        f"In percentage points, with intervals that hold together: {said}.",
        Axis("change from the base (percentage points)"),
        (Series("change", marks),),
        reference=(0.0, "no change"),
    )


def _curves(found: Adaptation) -> Picture:
    """Accuracy by the number of answers; no answers stand at one half of the smallest number."""
    sizes = [int(size) for size in found.sizes if size not in (0, ALL_ANSWERS)]
    nothing = min(sizes, default=2) / 2
    series = tuple(Series(curve.name, _marks(curve, nothing), True) for curve in found.curves)
    said = [
        f"{curve.name} from {mark.value:.3f} to {marks[-1].value:.3f}"
        for curve in found.curves
        if (marks := [m for m in _marks(curve, nothing) if m.value is not None])
        for mark in marks[:1]
    ]
    return Picture(
        "adaptation",
        "Accuracy for new people by the number of their answers",
        f"From no answers (at the left end) to {max(sizes, default=0)}: {'; '.join(said[:8])}.",
        Axis("accuracy by user, 95 % intervals"),
        series,
        Axis("answers of each person (left end: none)", log=True),
        reference=(0.5, "a coin"),
    )


def _marks(curve: Curve, nothing: float) -> tuple[Mark, ...]:
    marks = []
    for point in curve.points:
        if point.size != ALL_ANSWERS:
            figure = point.figures.accuracy
            at = float(int(point.size)) or nothing
            marks.append(Mark(curve.name, figure.value, figure.low, figure.high, at))
    return tuple(marks)
