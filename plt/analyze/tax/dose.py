"""How much of a person's taste stays within a budget of tax: chosen on one half, told of the other.

Each share of what sets people apart from a base has an accuracy for them and a tax on a benchmark.
The largest share whose tax is within the budget is a choice among many, and its own figures look
better than they are; so half of the items of each subset choose, and the other half says what the
choice is worth.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plt.analyze.intervals.figures import difference_json, interval_json
from plt.analyze.intervals.uncertainty import Interval
from plt.analyze.tax.change import SectionTax, Tax
from plt.analyze.tax.items import Items
from plt.analyze.tax.sections import AVERAGE


@dataclass(frozen=True)
class DosePoint:
    """One share of what sets people apart.

    Attributes:
        share: 0 is the base, 1 the person.
        chosen: The tax on the half that chooses.
        other: The tax on the other half.
        accuracy: For the people themselves, on the run's own test rows; None where these are not
            at hand.
    """

    share: float
    chosen: Tax
    other: Tax
    accuracy: Interval | None

    @property
    def upper(self) -> float | None:
        """The upper bound of the largest tax on the half that chooses; None where one has none."""
        return upper_tax(self.chosen)

    def within(self, budget: float) -> bool:
        """Whether no section of the half that chooses may cost more than the budget."""
        return self.upper is not None and self.upper <= budget


@dataclass(frozen=True)
class Dose:
    """The frontier, and the share that was chosen.

    Attributes:
        points: By share, ascending; the first is 0.
        budget: The most that any section may lose.
        place: Of the chosen share among the points.
    """

    points: tuple[DosePoint, ...]
    budget: float
    place: int

    @property
    def chosen(self) -> DosePoint:
        """The largest share within the budget."""
        return self.points[self.place]

    def to_json(self) -> dict[str, Any]:
        """The frontier in a documented JSON object; taxes are losses, as shares."""
        return {
            "max_tax": self.budget,
            "share": self.chosen.share,
            "points": [
                {
                    "share": point.share,
                    "accuracy": None if point.accuracy is None else interval_json(point.accuracy),
                    "upper_tax": point.upper,
                    "within": point.within(self.budget),
                    "chosen_half": _sections(point.chosen),
                    "other_half": _sections(point.other),
                }
                for point in self.points
            ],
        }


def _sections(found: Tax) -> dict[str, Any]:
    return {each.section.name: difference_json(each.change) for each in costed(found)}


def halves(items: Items) -> NDArray[np.bool_]:
    """Which items choose, [items]: every second one of each subset, by a hash of its prompt.

    All items of one prompt are on one side: a prompt counts with the subset that it first stands
    in. Who appends items moves others, and the same items always fall the same way.
    """
    first: dict[int, int] = {}
    for place, cluster in enumerate(items.clusters.tolist()):
        first.setdefault(cluster, int(items.strata[place]))
    names = items.cluster_names.to_list()
    marks = {c: hashlib.blake2b(str(names[c]).encode("utf-8", "surrogatepass")).digest()
             for c in first}  # fmt: skip
    side = np.zeros(len(names), dtype=bool)
    for stratum in sorted(set(first.values())):
        own = sorted((c for c, s in first.items() if s == stratum), key=lambda c: marks[c])
        side[own[::2]] = True
    return np.asarray(side[items.clusters])


def upper_tax(found: Tax) -> float | None:
    """The largest loss, over sections, that the joint intervals do not exclude.

    A section with the answers of the base costs nothing; one of which nothing is there says
    nothing.

    Returns:
        None where a section that is there has no interval.
    """
    bounds = [_upper(each) for each in costed(found)]
    if not bounds or None in bounds:
        return None
    return max(bound for bound in bounds if bound is not None)


def costed(found: Tax) -> list[SectionTax]:
    """The sections that have a change; their average is none."""
    return [
        each
        for each in found.sections
        if each.section.name != AVERAGE
        and each.change is not None
        and each.change.interval.value is not None
    ]


def _upper(each: SectionTax) -> float | None:
    change = each.change
    if change is None:
        return None
    if change.same_answers:
        return 0.0
    return None if change.low is None else -change.low


def choose(points: Sequence[DosePoint], budget: float) -> Dose:
    """The largest share within the budget; 0 is always one, since the base costs nothing.

    Args:
        points: By share, ascending; the first is 0.
        budget: The most that any section may lose, as a share: 0.02 is two points.
    """
    places = [place for place, point in enumerate(points) if point.within(budget)]
    return Dose(tuple(points), budget, max(places, default=0))
