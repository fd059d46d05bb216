"""What is measured of a table of judgements, before anybody words, draws or writes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plt.analyze.intervals.uncertainty import Interval
from plt.analyze.repeats.conditions import Check
from plt.analyze.repeats.consistency import Consistency
from plt.analyze.repeats.room import Room
from plt.analyze.repeats.self_and_others import SelfAndOthers
from plt.analyze.taste.split_halves import SplitHalves
from plt.analyze.verdict.evidence import Verdict
from plt.analyze.votes.agreement import Agreement
from plt.analyze.votes.coverage import Coverage
from plt.analyze.votes.divergence import Divergence, DivergenceFromFlips
from plt.analyze.votes.effective_rank import EffectiveRank
from plt.analyze.votes.majority import MajorityVote, Minority
from plt.analyze.votes.votes import Votes
from plt.analyze.votes.weighted_votes import WeightedVotes

LITTLE_OVERLAP = 0.05
"""Share of pairs that are shared, below which figures that need none are computed too."""


@dataclass(frozen=True)
class Measured:
    """Every figure of a table of judgements, each null with a reason where the data cannot give it.

    Attributes:
        dataset: Name of the source.
        votes: The judgements as arrays, for plots.
        divergence: Divergent and highly divergent shared pairs.
        noise_expected: The divergence that the flip rate of the repeats alone would make.
        noise_if_flip: Assumed flip rate to the divergence that it alone would make: in place of
            the former, or when rates were asked for.
        majority: MV-ACC of each person.
        minority: Tests of each person against the majority.
        alpha: Krippendorff's alpha.
        agreement: Agreement between persons.
        consistency: Figures of repeats, or None.
        self_and_others: What the verdict rests on, or None without repeats on shared pairs.
        checks: Whether a person's two answers are independent, where the table tells.
        room: The room for personalization.
        weighted_votes: What votes alone reach of it, or why that is not known.
        effective_rank: Of the agreement between persons, or why there is none.
        coverage: Counts of what there is to compare.
        dropped: Reason to rows left out, from conversion on; ties are not among them.
        verdict: What all of it says.
        split_halves: Of one prompt without repeats: whether a person's answers tell their others.
        heterogeneity: The object of `plt.analyze.taste.heterogeneity`, where it was asked for.
        near_duplicates: The object of `plt.analyze.dataset.near_duplicates`, where it was asked
            for.
    """

    dataset: str | None
    votes: Votes
    divergence: Divergence
    noise_expected: DivergenceFromFlips | None
    noise_if_flip: Mapping[float, DivergenceFromFlips]
    majority: MajorityVote
    minority: Minority
    alpha: Interval
    agreement: Agreement
    consistency: Consistency | None
    self_and_others: SelfAndOthers | None
    checks: tuple[Check, ...]
    room: Room
    weighted_votes: WeightedVotes | str
    effective_rank: EffectiveRank | str
    coverage: Coverage
    dropped: Mapping[str, int]
    verdict: Verdict
    split_halves: SplitHalves | str | None = None
    heterogeneity: Mapping[str, Any] | None = None
    near_duplicates: Mapping[str, Any] | None = None

    @property
    def verdict_sentence(self) -> str:
        """The verdict, and where votes cannot be compared what needs no shared pairs."""
        if self.verdict.finding != "cannot tell" or self.heterogeneity is None:
            return self.verdict.sentence
        return f"{self.verdict.sentence} Without shared pairs: {self.heterogeneity['conclusion']}"

    @property
    def has_little_overlap(self) -> bool:
        """Whether so few pairs are shared that figures which need none are worth computing."""
        share = self.coverage.shared_share
        return self.votes.n_users > 1 and share is not None and share < LITTLE_OVERLAP

    @property
    def room_is_positive(self) -> bool | None:
        """Whether the bracket lies above 0 and tastes differ; pairs of unequal noise widen it."""
        if self.room.is_positive is None or self.verdict.finding == "not asked":
            return None
        return self.room.is_positive and self.verdict.finding == "taste"
