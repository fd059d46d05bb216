"""The tax: how each section of a benchmark changes from a base to each person's model.

Both score the same items, so the change is taken item by item and what makes an item hard for both
leaves it. A section is a weighted mean over subsets, which are part of the benchmark: items vary
within subsets only. A change is about other users and items of the kind where there are ten users
or more, else about these users on other items (`plt.analyze.intervals`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from plt.analyze.intervals.clusters import CodeArray, FloatArray
from plt.analyze.intervals.figures import without_interval
from plt.analyze.intervals.significance import two_sided_p
from plt.analyze.intervals.simultaneous import SAME, Difference
from plt.analyze.intervals.uncertainty import (
    Bounds,
    Interval,
    influence_interval,
    mean_interval,
)
from plt.analyze.scores.worst_decile import shrunken
from plt.analyze.tax.items import Items
from plt.analyze.tax.sections import Section, sections_of
from plt.data.benches import Bench
from plt.data.sources.rewardbench2 import TIES
from plt.errors import DataError

LEVEL = 0.95
TINY = 1e-12
MIN_USERS = 3
"""Fewer have no spread from which noise could be taken out."""


@dataclass(frozen=True)
class Worst:
    """The person who loses most in a section.

    Attributes:
        user: Who.
        change: Their change: the smallest of many, so lower than it would be on other items.
        without_noise: The smallest change once the noise of these items is taken out of the spread
            between users; null with a reason below three users.
        reason: Why.
    """

    user: str
    change: float
    without_noise: float | None
    reason: str | None


@dataclass(frozen=True)
class SectionTax:
    """One section.

    Attributes:
        section: Name, subsets and what is missing.
        score: Of the run, mean over users; null where nothing of the section is there.
        base: Of the base; None without one.
        change: Score minus base, mean over users, alone and together with the other sections; None
            without a base.
        own: The score of each user, [users]; None where nothing of the section is there.
        by_user: The change of each user, [users]; None likewise, and without a base.
        each: The same with intervals about that user on other items; empty where not asked for.
        spread: Standard deviation of `by_user`; None below two users.
        worst: Who loses most; None without users or a base, or where not asked for.
        n_items: Items behind the section.
    """

    section: Section
    score: Interval
    base: Interval | None
    change: Difference | None
    own: FloatArray | None = None
    by_user: FloatArray | None = None
    each: tuple[Interval, ...] = ()
    spread: float | None = None
    worst: Worst | None = None
    n_items: int = 0


@dataclass(frozen=True)
class Tax:
    """What a run costs on a benchmark.

    Attributes:
        bench: The layout.
        users: Whose scores; None alone is the population.
        sections: In the order of the benchmark, the average last.
        distance: User to distance from the majority: the share of their judgements on which most
            others judged otherwise. Users without a shared judgement are absent.
        missing: Subsets of which no item is there.
    """

    bench: Bench
    users: tuple[str | None, ...]
    sections: tuple[SectionTax, ...]
    distance: Mapping[str, float] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[str, ...]:
        """Subsets of the benchmark of which no item is there."""
        return tuple(dict.fromkeys(n for each in self.sections for n in each.section.missing))


def tax(
    run: Items,
    base: Items | None,
    bench: Bench,
    distance: Mapping[str, float] | None = None,
    *,
    by_user: bool = True,
) -> Tax:
    """The change from a base to a run, section by section.

    Args:
        run: Right answers of the run.
        base: Of the base on the same items: one row for all users, or the same users; None is no
            base, and then there are scores and no change.
        bench: Sections and weights.
        distance: User to distance from the majority.
        by_user: Whether to look at single users.

    Raises:
        DataError: Run and base are about other items or users.
    """
    if base is not None and not run.like(base):
        raise DataError("run and base did not score the same items of the benchmark")
    if base is not None and len(base.users) not in (1, len(run.users)):
        raise DataError("run and base were not scored as the same users")
    sections = sections_of(run, bench)
    parts = [_Part(each, run, base) for each in sections if each.weights is not None]
    n = sum(part.change is not None and part.change.low is not None for part in parts)
    measured = {part.section.name: _measured(part, n, by_user) for part in parts}
    found = tuple(measured.get(each.name) or _absent(each, base) for each in sections)
    return Tax(bench, run.users, found, distance or {})


def _absent(section: Section, base: Items | None) -> SectionTax:
    """A section of which nothing, or not enough, is there."""
    nothing = without_interval(None, f"no item of {', '.join(section.missing)}")
    if base is None:
        return SectionTax(section, nothing, None, None)
    return SectionTax(section, nothing, nothing, Difference(nothing))


def _measured(part: "_Part", n: int, by_user: bool) -> SectionTax:
    moved = part.moved
    own = part.run.values[:, part.here] @ part.weights
    if moved is None or part.base is None:
        return SectionTax(part.section, part.score, None, None, own, n_items=part.here.size)
    changes = moved @ part.weights
    return SectionTax(
        part.section,
        part.score,
        part.interval(part.base.values[:, part.here], part.base.users, part.bounds),
        part.together(n),
        own,
        changes,
        part.each_user() if by_user else (),
        float(np.std(changes - changes[0], ddof=1)) if changes.size > 1 else None,
        part.worst() if by_user else None,
        part.here.size,
    )


class _Part:
    """The items of one section as rows of figures: one a user and item.

    Args:
        section: With weights.
        run: Right answers.
        base: The same of the base, or None.
    """

    def __init__(self, section: Section, run: Items, base: Items | None) -> None:
        weights = np.zeros(0) if section.weights is None else section.weights
        self.section, self.run, self.base = section, run, base
        self.here: CodeArray = np.flatnonzero(weights)
        self.weights: FloatArray = weights[self.here]
        self.strata = np.unique(run.strata[self.here], return_inverse=True)[1]
        self.clusters = np.unique(run.clusters[self.here], return_inverse=True)[1]
        cells = np.unique(np.stack([self.strata, self.clusters]), axis=1)[0]
        self.draws = np.bincount(cells)
        self.bounds = None if TIES in section.subsets else (0.0, 1.0)
        # The score of `Ties` lies between -0.01 and 1.01.
        self.change_bounds = None if TIES in section.subsets else (-1.0, 1.0)

    @cached_property
    def score(self) -> Interval:
        """Of the run."""
        return self.interval(self.run.values[:, self.here], self.run.users, self.bounds)

    @cached_property
    def moved(self) -> FloatArray | None:
        """Run minus base, [users, items]."""
        if self.base is None:
            return None
        return np.asarray(self.run.values[:, self.here] - self.base.values[:, self.here])

    @cached_property
    def change(self) -> Interval | None:
        """The mean change with the interval that it has alone."""
        if self.moved is None:
            return None
        if not self.moved.any():
            found = self.interval(self.moved, self.run.users, None)
            return replace(found, value=0.0, low=None, high=None, reason=SAME)
        return self.interval(self.moved, self.run.users, self.change_bounds)

    def together(self, n: int) -> Difference | None:
        """The change with the interval that it has among `n`.

        By Bonferroni: sections have other items, so a sharper correction would gain next to
        nothing.
        """
        if self.change is None or self.moved is None:
            return None
        if self.change.low is None:
            return Difference(self.change)
        level = 1 - (1 - LEVEL) / n
        wide = self.interval(self.moved, self.run.users, self.change_bounds, level)
        p = two_sided_p(self.change, self.change_bounds)
        return Difference(
            self.change, p, wide.low, wide.high, None if p is None else min(n * p, 1.0), None, n
        )

    def interval(
        self,
        values: FloatArray,
        users: Sequence[str | None],
        bounds: Bounds | None,
        level: float = LEVEL,
    ) -> Interval:
        """The weighted mean over items, and over users, with its interval.

        Args:
            values: [users, items].
            users: Who they are; None alone is nobody in particular.
            bounds: Smallest and largest value.
            level: Nominal coverage.
        """
        n_users, n_items = values.shape
        codes = None if None in users else np.repeat(np.arange(n_users), n_items)
        groups = np.tile(self.clusters, n_users)
        if values.min() == values.max():  # and with bounds that says how rare others are
            return mean_interval(values.ravel(), codes, groups, bounds=bounds, level=level)
        centred = values - self._means(values.mean(axis=0))[self.strata]
        # A stratum of g draws shows (g - 1) / g of its variance around its own mean.
        grown = np.sqrt(self.draws / np.maximum(self.draws - 1, 1))[self.strata]
        found = influence_interval(
            float((values @ self.weights).mean()),
            (centred * (self.weights * grown) / n_users).ravel(),
            codes,
            groups,
            bounds=bounds,
            level=level,
            weights=np.tile(self.weights, n_users),
        )
        if self.draws.min() > 1:
            return found
        why = "a subset with one item only does not say how its items vary"
        return replace(found, low=None, high=None, se=None, df=None, reason=why)

    def each_user(self) -> tuple[Interval, ...]:
        """The change of each user with its interval about other items."""
        if self.moved is None or None in self.run.users:
            return ()
        found = [self.interval(row[None], (None,), self.change_bounds) for row in self.moved]
        return tuple(replace(each, target="one-user") for each in found)

    def worst(self) -> Worst | None:
        """Who loses most, and how much of that is the noise of these items.

        All users meet the same items, so an item that moves everybody is no difference between
        them: the noise is that of a user's change around the mean change on each item. Shrinking is
        that of the worst tenth (`plt.analyze.scores.worst_decile`).
        """
        if self.moved is None:
            return None
        by_user = self.moved @ self.weights
        place = int(np.argmin(by_user))
        user = self.run.users[place]
        if user is None:
            return None
        if by_user.size < MIN_USERS:
            return Worst(user, float(by_user[place]), None, f"fewer than {MIN_USERS} users")
        noise = np.maximum(self._noise(self.moved - self.moved.mean(axis=0)), TINY)
        return Worst(user, float(by_user[place]), float(shrunken(by_user, noise).min()), None)

    def _means(self, values: FloatArray) -> FloatArray:
        """Of each stratum, [strata]."""
        return np.asarray(np.bincount(self.strata, values) / np.bincount(self.strata))

    def _noise(self, values: FloatArray) -> FloatArray:
        """The variance of each user's weighted mean by its items, [users]."""
        width = int(self.clusters.max()) + 1
        cell = self.strata * width + self.clusters
        grown = self.draws / np.maximum(self.draws - 1, 1)
        found = np.zeros(len(values))
        for row, each in enumerate(values):
            sums = np.bincount(cell, (each - self._means(each)[self.strata]) * self.weights)
            squares = np.bincount(np.arange(sums.size) // width, sums**2, self.draws.size)
            found[row] = float((squares * grown).sum())
        return found
