"""Gates: limits that a comparison must keep, judged at the worse end of each interval.

A figure without an interval keeps no limit: what cannot be decided is not passed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from plt.analyze.comparison.compare import Compared, Comparison
from plt.analyze.intervals.uncertainty import Interval
from plt.analyze.report.figures_table import differences, row_figures
from plt.analyze.tax.change import Tax
from plt.errors import UsageError

Sense: TypeAlias = Literal["min", "max"]


@dataclass(frozen=True)
class Limit:
    """What a figure must reach or must not exceed.

    Attributes:
        metric: Name of the figure.
        sense: ``min`` or ``max``.
        value: The limit.
    """

    metric: str
    sense: Sense
    value: float


@dataclass(frozen=True)
class Checked:
    """A limit held against one run.

    Attributes:
        run: What the run is called.
        passed: Whether the worse end of the interval keeps the limit.
        sentence: What was found.
    """

    run: str
    passed: bool
    sentence: str

    def to_json(self) -> dict[str, object]:
        """As ``--json`` prints it."""
        return {"run": self.run, "passed": self.passed, "says": self.sentence}


def read_limits(texts: Sequence[str], sense: Sense) -> list[Limit]:
    """Limits as they are typed, such as ``accuracy=0.7``.

    Raises:
        UsageError: Not of that form, or no figure of a report is called so.
    """
    limits = []
    for text in texts:
        name, _, number = text.partition("=")
        try:
            value = float(number)
        except ValueError:
            raise UsageError(
                f"--{sense} is '{text}'; a figure and a number are wanted",
                hint=f"--{sense} accuracy=0.6",
            ) from None
        if name.strip() not in NAMES:
            raise UsageError(
                f"--{sense}: a report has no figure '{name}'",
                problems=[f"it has {', '.join(NAMES)}"],
                hint=f"--{sense} accuracy=0.6",
            )
        limits.append(Limit(name.strip(), sense, value))
    return limits


NAMES = (
    "accuracy", "worst_user_accuracy", "worst_decile_accuracy", "minority_accuracy", "log_loss",
    "auc", "gain", "own_minus_wrong_user", "own_minus_shuffled_ids",
)  # fmt: skip


def check_limits(found: Comparison, limits: Sequence[Limit]) -> list[Checked]:
    """Holds every limit against every run but the baseline, or against the only run."""
    rows = [row for row in found.rows if row.gain is not None] or list(found.rows)
    return [_check(row, limit) for limit in limits for row in rows]


def _check(row: Compared, limit: Limit) -> Checked:
    figure = next((f for name, f in _figures(row) if name == limit.metric and f is not None), None)
    name = f"{row.entry.name}: {limit.metric}"
    if figure is None or figure.value is None:
        why = "there is none" if figure is None else figure.reason
        return Checked(row.entry.name, False, f"{name} is not known: {why}")
    end = figure.low if limit.sense == "min" else figure.high
    if end is None:
        said = f"{name} {figure.value:.4g} has no interval: {figure.reason}"
        return Checked(row.entry.name, False, said)
    passed = end >= limit.value if limit.sense == "min" else end <= limit.value
    which = "lower" if limit.sense == "min" else "upper"
    relation = {"min": ("at least", "below"), "max": ("at most", "above")}[limit.sense]
    said = f"the {which} end {end:.4g} of {figure.value:.4g} is {relation[not passed]}"
    return Checked(row.entry.name, passed, f"{name}: {said} {limit.value:g}")


def _figures(row: Compared) -> Iterator[tuple[str, Interval | None]]:
    """Every figure of a run, that over users first; differences with ends that hold together."""
    for name, _, figure in row_figures(row):
        if figure.value is not None:
            yield name, figure
    for name, _, figure in row_figures(row):
        yield name, figure
    if row.gain is not None:
        for name, control, difference in differences(row.gain):
            if control is None and difference is not None:
                yield name, difference.together


def check_no_worse(found: Comparison, margin: float) -> list[Checked]:
    """Whether each run is shown to lose less than a margin against the baseline.

    Args:
        found: A comparison whose baseline is the run that none may be worse than.
        margin: Difference of accuracies, a share above 0.
    """
    checked = []
    for row in found.rows:
        if row.gain is None:
            continue
        own = row.gain.own
        name = row.entry.name
        if own.same_answers:
            checked.append(Checked(name, True, f"{name} gives the answers of {found.baseline}"))
        elif own.low is None:
            why = own.interval.reason or "there is no interval"
            checked.append(Checked(name, False, f"{name} against {found.baseline}: {why}"))
        else:
            passed = own.low > -margin
            shown = "is shown to lose" if passed else "is not shown to lose"
            said = (
                f"{name} {shown} less than {100 * margin:g} points against {found.baseline}:"
                f" lower end {100 * own.low:+.1f}"
            )
            checked.append(Checked(name, passed, said))
    return checked


def check_tax(found: Tax, run: str, budget: float) -> list[Checked]:
    """Whether no section of a benchmark is shown to lose more than a budget, at the worse end.

    Args:
        found: The tax of a run.
        run: What the run is called.
        budget: Loss that is allowed, a share of 0 or more.
    """
    checked = []
    for each in found.sections:
        name = f"{run}: {each.section.name}"
        change = each.change
        if change is not None and change.same_answers:
            checked.append(Checked(run, True, f"{name} gives the answers of its base"))
        elif change is None or change.low is None:
            why = "no base" if change is None else change.interval.reason or "no interval"
            checked.append(Checked(run, False, f"{name} is not known: {why}"))
        else:
            passed = -change.low <= budget
            within = "within" if passed else "beyond"
            said = f"may lose {100 * max(-change.low, 0.0):.1f} points, {within}"
            checked.append(Checked(run, passed, f"{name} {said} {100 * budget:g}"))
    return checked
