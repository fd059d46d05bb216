"""Subsets to sections: a weighted mean of subset accuracies, and what is missing for one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from plt.analyze.intervals.clusters import FloatArray
from plt.analyze.tax.items import TIES_WEIGHTS, Items
from plt.data.benches import Bench
from plt.data.sources.rewardbench2 import TIES

AVERAGE = "average"


@dataclass(frozen=True)
class Section:
    """One section of a benchmark, as far as a table has it.

    Attributes:
        name: What it is called.
        weights: Weight of each item, summing to 1, [items]; None where nothing is there.
        missing: Its subsets of which no item is there.
        subsets: All of its subsets.
    """

    name: str
    weights: FloatArray | None
    missing: tuple[str, ...]
    subsets: tuple[str, ...]


def section_scores(
    accuracy: Mapping[str, float], bench: Bench, counts: Mapping[str, int] | None = None
) -> dict[str, float | None]:
    """The score of each section from the accuracy of each subset.

    Args:
        accuracy: Subset to accuracy; subsets that are absent are missing, not wrong.
        bench: Sections and weights.
        counts: Subset to number of rows, which a pooled benchmark weighs by; by default its
            weights are the numbers that were published.

    Returns:
        Section to the weighted mean over its subsets that are there; None where none is.
    """
    found: dict[str, float | None] = {}
    for section, weights in bench.sections.items():
        own = {name: _weight(bench, name, w, counts) for name, w in weights.items()}
        here = {name: w for name, w in own.items() if name in accuracy and w > 0}
        total = sum(here.values())
        mean = sum(accuracy[name] * w for name, w in here.items()) / total if total else None
        found[section] = mean
    return found


def _weight(bench: Bench, name: str, weight: float, counts: Mapping[str, int] | None) -> float:
    if not bench.pooled or counts is None:
        return weight
    return float(counts.get(name, 0))


def sections_of(items: Items, bench: Bench) -> list[Section]:
    """The sections of a benchmark with the weight of each item, in its order.

    With more than one averaged section a last one, `AVERAGE`, is their mean; its weights are None
    unless all of them are there.
    """
    counts = np.bincount(items.strata, minlength=len(items.names))
    size = {name: int(n) for name, n in zip(items.names, counts, strict=True)}
    found = []
    for name, subsets in bench.sections.items():
        parts = {
            stratum: share
            for subset, weight in subsets.items()
            for stratum, share in _strata(subset, weight).items()
        }
        missing = tuple(
            subset for subset in subsets if not all(size.get(s) for s in _strata(subset, 1.0))
        )
        gone = {stratum for subset in missing for stratum in _strata(subset, 1.0)}
        here = {
            stratum: _weight(bench, stratum, share, size)
            for stratum, share in parts.items()
            if stratum not in gone
        }
        weights = _item_weights(items, here, size) if here else None
        found.append(Section(name, weights, missing, tuple(subsets)))
    if len(bench.averaged) > 1:
        found.append(_average([s for s in found if s.name in bench.averaged]))
    return found


def _strata(subset: str, weight: float) -> dict[str, float]:
    """The strata that a subset is made of: the parts of `Ties`, else itself."""
    if subset != TIES:
        return {subset: weight}
    return {part: weight * share for part, share in TIES_WEIGHTS.items()}


def _item_weights(
    items: Items, weights: Mapping[str, float], size: Mapping[str, int]
) -> FloatArray:
    each = np.array([weights.get(name, 0.0) / max(size[name], 1) for name in items.names])
    found = each[items.strata]
    return np.asarray(found / found.sum())


def _average(parts: Sequence[Section]) -> Section:
    missing = tuple(name for part in parts for name in part.missing)
    subsets = tuple(name for part in parts for name in part.subsets)
    known = [part.weights for part in parts if part.weights is not None]
    whole = len(known) == len(parts)
    weights = np.mean(known, axis=0) if whole else None
    return Section(AVERAGE, weights, missing, subsets)
