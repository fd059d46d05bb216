"""What a verdict looks at, what it is, and what its ways share."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from plt.analyze.repeats.conditions import Check
from plt.analyze.repeats.room import Room
from plt.analyze.repeats.self_and_others import SelfAndOthers
from plt.analyze.taste.split_halves import SplitHalves
from plt.analyze.votes.divergence import Divergence
from plt.analyze.votes.effective_rank import EffectiveRank
from plt.analyze.votes.majority import Minority
from plt.analyze.votes.votes import Votes
from plt.analyze.votes.weighted_votes import WeightedVotes

Finding: TypeAlias = Literal["taste", "differences", "none found", "cannot tell", "not asked"]

P_VALUE = 0.025
"""One-sided, like a 95 % interval whose lower end is above 0: half of the error budget."""


@dataclass(frozen=True)
class Evidence:
    """What the verdict looks at.

    `self_and_others` is of those repeats alone that `checks` leave. `same_order` is whether all
    repeats had the order of the first time, without a habit that can be seen.
    """

    votes: Votes
    divergence: Divergence
    minority: Minority
    self_and_others: SelfAndOthers | None
    checks: tuple[Check, ...]
    room: Room
    weighted_votes: WeightedVotes | str
    effective_rank: EffectiveRank | str
    split_halves: SplitHalves | str | None = None
    same_order: bool = False


@dataclass(frozen=True)
class Verdict:
    """What the data say about taste.

    Attributes:
        finding: `taste`: persons want different things; `differences`: persons differ, but unequal
            care may be all there is; `none found`: no difference beyond noise is detectable;
            `cannot tell`: the data do not hold what the question needs, or contradict themselves.
        sentence: The same for a person, with figures, target, and what data would settle it.
    """

    finding: Finding
    sentence: str


def minority_clause(minority: Minority) -> str:
    """How many vote against the majority, and what that can mean."""
    n = minority.found.size
    return (
        f"{n} of {minority.n_tested} testable users vote{'s' if n == 1 else ''} against the"
        " majority more often than a coin would (FDR 2.5 %), which noise cannot explain (reading"
        " the question the other way round can)"
    )
