"""Learning curves of several runs on the same people, questions and draws."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from plt.analyze.adaptation.answers import (
    ALL_ANSWERS,
    Answers,
    Figures,
    Learner,
    Size,
    area_interval,
    figures,
    loss,
    mean_auc,
    one_sided,
    read_learner,
    right,
    shared_rows,
)
from plt.analyze.comparison.entries import Entry
from plt.analyze.comparison.power import Power, power
from plt.analyze.intervals.claims import Ground, ground
from plt.analyze.intervals.clusters import FloatArray
from plt.analyze.intervals.simultaneous import Difference, Judged, simultaneous
from plt.analyze.intervals.uncertainty import Interval
from plt.analyze.scores.calibration import AucInfluence
from plt.analyze.scores.evaluation import EvaluationRows
from plt.analyze.scores.harmed import Harmed, harmed_by

Measure: TypeAlias = Callable[[FloatArray, EvaluationRows], FloatArray]

VANILLA = ("bradley-terry", "dpo")


@dataclass(frozen=True)
class Point:
    """One run after one number of answers.

    Every difference is on the same judgements, over users. Those of one kind hold together over
    all runs and numbers of answers whose figures are about the same.

    Attributes:
        size: Answers of each person, or `ALL_ANSWERS`.
        draws: How often they were drawn.
        ground: What stands behind the figures.
        figures: On people with so many answers.
        generic: The same of the run before any answer, on the same people.
        own: Accuracy minus that of its own generic user; None without answers, and for a run that
            learns nothing.
        loss: Log loss minus that of its own generic user; None likewise.
        auc: Area under the curve minus that of its own generic user, with its own interval.
        over_vanilla: Accuracy minus vanilla's; None where there is no vanilla.
        part: Accuracy minus accuracy as another person; None without such scores.
        harmed: Who is served worse than by its own generic user.
        power: What could have been seen where `own` is not beyond chance.
    """

    size: Size
    draws: int
    ground: Ground
    figures: Figures
    generic: Figures
    own: Difference | None = None
    loss: Difference | None = None
    auc: Interval | None = None
    over_vanilla: Difference | None = None
    part: Difference | None = None
    harmed: Harmed | None = None
    power: Power | None = None

    @property
    def n_users(self) -> int:
        """People with so many answers and a question."""
        return self.figures.accuracy.n_users or 0


@dataclass(frozen=True)
class Curve:
    """One run by the number of answers.

    Attributes:
        name: What it is called.
        method: Registry name.
        flat: Whether no answer changes anything: it says the same at every size.
        points: In the order of the sizes.
    """

    name: str
    method: str
    flat: bool
    points: tuple[Point, ...]

    def at(self, size: Size) -> Point | None:
        """The point of a size."""
        return next((point for point in self.points if point.size == size), None)


@dataclass(frozen=True)
class Adaptation:
    """Several runs on the same new people.

    Attributes:
        curves: One a run, in the order given; those that learn nothing first.
        sizes: Numbers of answers that any run has, ascending; `ALL_ANSWERS` last.
        vanilla: Name of the run that gains are over; None where there is none.
        n_users: People who are asked anything.
        n_judgements: Questions with a side.
        n_ties: Ties left out.
        seeds: Of the shots; more than one means that runs were not shown the same answers.
        footnotes: What a reader must know of the split, and of what was shown, with whose runs.
    """

    curves: tuple[Curve, ...]
    sizes: tuple[Size, ...]
    vanilla: str | None
    n_users: int
    n_judgements: int
    n_ties: int
    seeds: tuple[int, ...]
    footnotes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Cell:
    """One point before its differences: the rows that count, and what is compared on them."""

    learner: Learner
    size: Size
    known: NDArray[np.bool_]
    rows: EvaluationRows
    figures: Figures
    generic: Figures
    ground: Ground


def adaptation(entries: Sequence[Entry]) -> Adaptation:
    """Compares runs of `plt adapt` on the questions that all of them were asked.

    At each number of answers only people with so many of them count, the same for every run.

    Args:
        entries: At least one; each a scores table of `plt adapt`.

    Raises:
        DataError: They share no question, or disagree about a label.
    """
    keys, rows = shared_rows(entries)
    learners = [read_learner(entry, keys) for entry in entries]
    learners.sort(key=lambda one: not one.flat)
    sizes = _sizes(learners)
    known = {size: _known(learners, size) for size in sizes}
    learners = [_everywhere(one, known) for one in learners]
    cells = [
        _cell(one, size, known[size], rows)
        for one in learners
        for size in sizes
        if size in one.after and known[size].any()
    ]
    vanilla = next((one for one in learners if one.method in VANILLA), None)
    points = _compared(cells, rows, vanilla)
    curves = tuple(
        Curve(one.name, one.method, one.flat, tuple(p for cell, p in points if cell.learner is one))
        for one in learners
    )
    return Adaptation(
        curves=curves,
        sizes=sizes,
        vanilla=None if vanilla is None else vanilla.name,
        n_users=rows.user_names.len(),
        n_judgements=rows.margin.size,
        n_ties=rows.n_ties,
        seeds=tuple(sorted({seed for one in learners for seed in one.seeds})),
        footnotes=_footnotes(entries),
    )


def _footnotes(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Each footnote once, with the runs that it is of where others have another or none."""
    notes = dict.fromkeys(entry.footnote for entry in entries if entry.footnote)
    if all(entry.footnote in notes for entry in entries) and len(notes) == 1:
        return tuple(note for note in notes if note)
    return tuple(
        f"{', '.join(entry.name for entry in entries if entry.footnote == note)}: {note}"
        for note in notes
    )


def _sizes(learners: Sequence[Learner]) -> tuple[Size, ...]:
    found = {size for one in learners for size in one.after}
    numbers = sorted(size for size in found if isinstance(size, int))
    return (*numbers, *([ALL_ANSWERS] if ALL_ANSWERS in found else []))


def _everywhere(learner: Learner, known: Mapping[Size, NDArray[np.bool_]]) -> Learner:
    """A run that learns nothing, with what it says in the place of every number of answers."""
    if not learner.flat:
        return learner
    generic = learner.after[0].margins
    after = {
        size: Answers(np.where(rows, generic, np.nan))
        for size, rows in known.items()
        if size != ALL_ANSWERS
    }
    return replace(learner, after=after, flat=True)


def _known(learners: Sequence[Learner], size: Size) -> NDArray[np.bool_]:
    """The rows that every run with this size has scores of."""
    parts = [one.after[size].known for one in learners if size in one.after]
    return np.asarray(np.logical_and.reduce(parts))


def _cell(learner: Learner, size: Size, known: NDArray[np.bool_], rows: EvaluationRows) -> _Cell:
    kept = rows.where(known)
    after = figures(learner.after[size].margins[:, known], kept)
    before = after if size == 0 else figures(learner.after[0].margins[:, known], kept)
    return _Cell(learner, size, known, kept, after, before, ground(after.accuracy))


def _compared(
    cells: Sequence[_Cell], rows: EvaluationRows, vanilla: Learner | None
) -> list[tuple[_Cell, Point]]:
    """The points, whose differences hold together over all cells about the same."""
    targets = sorted({cell.ground.target for cell in cells})
    level = 1 - 0.05 / len(targets)
    found: dict[int, Point] = {}
    for target in targets:
        places = [i for i, cell in enumerate(cells) if cell.ground.target == target]
        family = [cells[i] for i in places]
        judged = Judged(rows.users, rows.groups, target, "user")
        for i, point in zip(places, _family(family, rows, judged, level, vanilla), strict=True):
            found[i] = point
    return [(cell, found[i]) for i, cell in enumerate(cells)]


def _family(
    cells: Sequence[_Cell],
    rows: EvaluationRows,
    judged: Judged,
    level: float,
    vanilla: Learner | None,
) -> list[Point]:
    own = [_own(cell, rows, right) for cell in cells]
    worse = [_own(cell, rows, loss) for cell in cells]
    over = [_over(cell, rows, vanilla) for cell in cells]
    part = [_part(cell, rows) for cell in cells]
    unbounded = replace(judged, bounds=None)
    kinds = [
        simultaneous(own, judged, level=level),
        simultaneous(worse, unbounded, level=level),
        simultaneous(over, judged, level=level),
        simultaneous(part, judged, level=level),
    ]
    return [
        Point(
            size=cell.size,
            draws=len(cell.learner.after[cell.size].margins),
            ground=cell.ground,
            figures=cell.figures,
            generic=cell.generic,
            own=kinds[0][i],
            loss=kinds[1][i],
            auc=None if cell.size == 0 or cell.learner.flat else _auc_gain(cell),
            over_vanilla=kinds[2][i],
            part=kinds[3][i],
            harmed=_harmed(cell, own[i]),
            power=_power(kinds[0][i], own[i], judged),
        )
        for i, cell in enumerate(cells)
    ]


def _own(cell: _Cell, rows: EvaluationRows, measure: Measure) -> FloatArray | None:
    """What is gained over the run's own generic user, NaN where nobody counts."""
    if cell.size == 0 or cell.learner.flat:
        return None
    after, before = cell.learner.after[cell.size], cell.learner.after[0]
    return _where(cell, measure(after.margins, rows) - measure(before.margins, rows))


def _over(cell: _Cell, rows: EvaluationRows, vanilla: Learner | None) -> FloatArray | None:
    if vanilla is None or cell.learner is vanilla:
        return None
    here, there = cell.learner.after[cell.size], vanilla.after[0]
    return _where(cell, right(here.margins, rows) - right(there.margins, rows))


def _part(cell: _Cell, rows: EvaluationRows) -> FloatArray | None:
    here: Answers = cell.learner.after[cell.size]
    if here.wrong_user is None:
        return None
    return _where(cell, right(here.margins, rows) - right(here.wrong_user, rows))


def _where(cell: _Cell, values: FloatArray) -> FloatArray:
    return np.where(cell.known, values, np.nan)


def _auc_gain(cell: _Cell) -> Interval:
    after = mean_auc(cell.learner.after[cell.size].margins[:, cell.known], cell.rows)
    before = mean_auc(cell.learner.after[0].margins[:, cell.known], cell.rows)
    if after is None or before is None:
        return one_sided(cell.rows)
    gain = AucInfluence(
        after.value - before.value, after.influence - before.influence, after.weights
    )
    return area_interval(gain, cell.rows, (-1.0, 1.0))


def _harmed(cell: _Cell, own: FloatArray | None) -> Harmed | None:
    return None if own is None else harmed_by(own[cell.known], cell.rows)


def _power(found: Difference | None, values: FloatArray | None, judged: Judged) -> Power | None:
    if values is None or judged.target == "these-judgements":
        return None
    return power(found, values, judged)
