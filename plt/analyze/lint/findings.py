"""What a check says: findings and notes, each with its figure, its rows and an example."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from plt.analyze.intervals.figures import interval_json
from plt.analyze.intervals.uncertainty import Interval

Check: TypeAlias = Literal[
    "format",
    "markers",
    "context",
    "taste",
    "scores",
    "splits",
    "users",
    "repeats",
    "labels",
    "control-tokens",
]
CHECKS: tuple[Check, ...] = get_args(Check)

EDGE = 24


@dataclass(frozen=True)
class Example:
    """One place where a finding can be seen.

    Attributes:
        pair_id: The pair; null where a finding is not about one pair.
        text: What to look at, printable: control characters are escaped.
    """

    pair_id: int | None
    text: str


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        check: Which check found it.
        what: One sentence for a person.
        failed: Whether it is a finding (exit 1) or a note.
        rows: Judgements that it touches.
        share: `rows` as a share of the judgements that the check looked at; null for no rows.
        figures: Named figures with their intervals, the one that decides first.
        details: Whatever else belongs to it, as JSON values.
        examples: Where to look.
        hint: What to do about it; null for most notes.
    """

    check: Check
    what: str
    failed: bool
    rows: int = 0
    share: float | None = None
    figures: Mapping[str, Interval] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()
    hint: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON values; a figure without an interval says why."""
        return {
            "check": self.check,
            "what": self.what,
            "rows": self.rows,
            "share": self.share,
            "figures": {name: interval_json(figure) for name, figure in self.figures.items()},
            "details": dict(self.details),
            "examples": [{"pair_id": one.pair_id, "text": one.text} for one in self.examples],
            "hint": self.hint,
        }


@dataclass(frozen=True)
class LintReport:
    """The answer of `plt dataset-lint`.

    Attributes:
        dataset: Name of the table.
        n_judgments: Rows of the table that have a label.
        n_decisions: Rows whose label takes a side: what rules can predict.
        findings: Defects; any makes the command exit 1.
        notes: Facts that are no defect.
    """

    dataset: str | None
    n_judgments: int
    n_decisions: int
    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """Whether there is no finding."""
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        """The object that ``plt dataset-lint --json`` prints."""
        return {
            "dataset": self.dataset,
            "clean": self.clean,
            "n_judgments": self.n_judgments,
            "n_decisions": self.n_decisions,
            "findings": [one.as_dict() for one in self.findings],
            "notes": [one.as_dict() for one in self.notes],
        }


def shown(text: str) -> str:
    """`text` in quotes, with everything that is not printable escaped."""
    return repr(text)


def edges(text: str) -> str:
    """Both ends of a text, in quotes: where formatting gives labels away."""
    if len(text) <= 2 * EDGE:
        return shown(text)
    return f"{shown(text[:EDGE])} ... {shown(text[-EDGE:])}"


def counted(n: int, noun: str) -> str:
    """A number and what it counts, in the plural where it must be."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def share_text(share: float) -> str:
    """A share in per cent, never rounded to 0 or 100 when it is neither."""
    if 0 < share < 0.001:
        return "under 0.1 %"
    if 0.999 < share < 1:
        return "over 99.9 %"
    return f"{100 * share:.1f} %"


def figure_text(figure: Interval) -> str:
    """A figure and its interval, or why there is none."""
    if figure.value is None:
        return f"no figure ({figure.reason})"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.3f} (no interval: {figure.reason})"
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
