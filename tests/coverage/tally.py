"""What a replication finds, and the sums over replications that stand on file."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from plt.analyze.intervals.uncertainty import Interval

Kind: TypeAlias = Literal["null", "planted", "discoveries"]
"""What may happen rarely, what should happen, and shares of false ones among the named."""


@dataclass(frozen=True)
class Held:
    """An interval and the truth that it is about.

    Attributes:
        figure: Which kind of figure.
        value: The figure.
        ends: Both ends; None where the program refused one.
        target: What it is about.
        truth: What it should hold; of several at once see `all_of`.
        hit: Whether it holds it, where that is no question of two ends.
    """

    figure: str
    value: float | None
    ends: tuple[float, float] | None
    target: str
    truth: float
    hit: bool | None = None

    @property
    def holds(self) -> bool:
        """Whether the truth lies between the ends; a figure without a value has no ends."""
        if self.hit is not None:
            return self.hit
        assert self.ends is not None
        return self.ends[0] <= self.truth <= self.ends[1]


@dataclass(frozen=True)
class Claim:
    """Whether something was claimed, or for `discoveries` the share of false ones."""

    figure: str
    kind: Kind
    happened: float


Outcome: TypeAlias = Held | Claim


def held(figure: str, found: Interval, truth: float) -> Held:
    """An interval of the program beside the truth of its own target."""
    ends = None
    if found.low is not None and found.high is not None:
        ends = (found.low, found.high)
    return Held(figure, found.value, ends, found.target, truth)


@dataclass
class Coverage:
    """Sums of one kind of interval in one cell."""

    n: int = 0
    held: int = 0
    refused: int = 0
    width: float = 0.0
    errors: list[float] = field(default_factory=lambda: [0.0, 0.0])
    targets: Counter[str] = field(default_factory=Counter)

    def add(self, one: Held) -> None:
        """One more replication."""
        if one.ends is None:
            self.refused += 1
            return
        self.n += 1
        self.targets[one.target] += 1
        self.held += bool(one.holds)
        self.width += one.ends[1] - one.ends[0]
        if one.value is not None:
            error = one.value - one.truth
            self.errors = [self.errors[0] + error, self.errors[1] + error**2]

    def to_json(self) -> dict[str, Any]:
        """The line on file."""
        sums = [float(f"{value:.6g}") for value in (self.width, *self.errors)]
        return {
            "n": self.n,
            "held": self.held,
            "refused": self.refused,
            "sums": sums,
            "targets": dict(sorted(self.targets.items())),
        }

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> "Coverage":
        """The sums that `to_json` wrote."""
        width, *errors = line["sums"]
        targets = Counter(line["targets"])
        return cls(line["n"], line["held"], line["refused"], width, errors, targets)

    @property
    def share(self) -> float:
        """How many of the intervals hold the truth."""
        return self.held / self.n

    @property
    def error(self) -> float:
        """The Monte-Carlo error of a coverage of .93, the promise."""
        return float(np.sqrt(0.93 * 0.07 / self.n))

    @property
    def ratio(self) -> float | None:
        """Mean width over that of an oracle that knows the spread of the error; None if it is 0."""
        mean = self.errors[0] / self.n
        spread = self.errors[1] / self.n - mean**2
        return None if spread <= 1e-18 else self.width / self.n / (2 * 1.96 * float(spread**0.5))


@dataclass
class Claims:
    """How often something was claimed in one cell."""

    kind: Kind
    n: int = 0
    happened: float = 0.0

    def add(self, one: Claim) -> None:
        """One more replication."""
        self.n += 1
        self.happened += float(one.happened)

    def to_json(self) -> dict[str, Any]:
        """The line on file."""
        return {"kind": self.kind, "n": self.n, "happened": round(self.happened, 4)}

    @property
    def share(self) -> float:
        """Claims by replication."""
        return self.happened / self.n


@dataclass
class Tally:
    """Everything counted in one cell."""

    replications: int = 0
    coverage: dict[str, Coverage] = field(default_factory=dict)
    claims: dict[str, Claims] = field(default_factory=dict)

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """One more replication."""
        self.replications += 1
        for one in outcomes:
            if isinstance(one, Held):
                self.coverage.setdefault(one.figure, Coverage()).add(one)
            else:
                self.claims.setdefault(one.figure, Claims(one.kind)).add(one)

    def to_json(self) -> dict[str, Any]:
        """What stands on file of a cell."""
        return {
            "replications": self.replications,
            "coverage": {name: each.to_json() for name, each in self.coverage.items()},
            "claims": {name: each.to_json() for name, each in self.claims.items()},
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "Tally":
        """The counts that `to_json` wrote."""
        coverage = {name: Coverage.from_json(each) for name, each in found["coverage"].items()}
        claims = {name: Claims(**each) for name, each in found["claims"].items()}
        return cls(found["replications"], coverage, claims)
