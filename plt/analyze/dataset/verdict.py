"""The one sentence that a person takes home, and what it may rest on."""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from plt.analyze.intervals.uncertainty import Interval, Target
from plt.analyze.votes.consistency import copies_caveat
from plt.analyze.votes.divergence import Divergence, divergence_from_flips
from plt.analyze.votes.effective_rank import EffectiveRank
from plt.analyze.votes.majority import Minority
from plt.analyze.votes.room import Room
from plt.analyze.votes.self_and_others import SelfAndOthers
from plt.analyze.votes.votes import Votes

Finding: TypeAlias = Literal["taste", "differences", "none found", "cannot tell", "not asked"]

P_VALUE = 0.025
"""One-sided, like a 95 % interval whose lower end is above 0."""

TARGET_WORDS: dict[Target, str] = {
    "population": "other users and pairs of this kind",
    "these-users": "these users on other pairs",
    "these-prompts": "other users on these prompts",
    "these-judgements": "these judgements alone",
    "one-user": "this user on other pairs",
    "groups": "other pairs of this kind",
}


@dataclass(frozen=True)
class Evidence:
    """What the verdict looks at."""

    votes: Votes
    divergence: Divergence
    minority: Minority
    self_and_others: SelfAndOthers | None
    room: Room
    effective_rank: EffectiveRank | str


@dataclass(frozen=True)
class Verdict:
    """What the data say about taste.

    Attributes:
        finding: `taste`: persons want different things; `differences`: persons differ, but unequal
            care may be all there is; `none found`: no difference beyond noise is detectable;
            `cannot tell`: the data do not hold what the question needs.
        sentence: The same for a person, with figures, target, and what data would settle it.
    """

    finding: Finding
    sentence: str


def verdict(evidence: Evidence) -> Verdict:
    """Whether it matters who votes, and whether personalization can gain from it.

    With repeats it rests on self-agreement minus agreement with others on the same pairs. Taste is
    claimed only if the interval lies above 0, the exact test agrees where it is made, and unequal
    care is excluded: by the difference beyond reliability, by minority users, or by persons who
    agree with the others on less than half of the pairs. Without repeats only a minority user is
    evidence of taste; a low effective rank shows that it matters who votes, not why. Repeats that
    all say the same may be copies of rows, which the sentence then says.

    Args:
        evidence: The statistics, with intervals.

    Returns:
        The verdict.
    """
    votes = evidence.votes
    lacking = _lacking(votes)
    if lacking is not None:
        return Verdict("cannot tell", f"Cannot tell whether tastes differ: {lacking}.")
    if evidence.self_and_others is None:
        return _without_repeats(evidence)
    repeats = evidence.self_and_others
    found = _from_repeats(evidence, repeats)
    caveat = copies_caveat(repeats.self_agreement.value, repeats.n_cells)
    if caveat is None:
        return found
    return replace(found, sentence=f"{found.sentence.removesuffix('.')}; {caveat}.")


def _lacking(votes: Votes) -> str | None:
    """Why nothing can be compared, and what would help."""
    if votes.n_users == 0:
        return "no judgement says whose it is; add user ids"
    if votes.n_users == 1:
        return "all judgements are one user's; let others judge the same pairs"
    if votes.users.size == 0:
        return "no judgement takes a side (all are ties or have no label)"
    if votes.shared.size == 0:
        return (
            "no pair has votes of two users; let at least two users judge the same pairs, some of"
            " them twice"
        )
    return None


def _from_repeats(evidence: Evidence, found: SelfAndOthers) -> Verdict:
    difference = found.difference
    if difference.low is None or difference.high is None:
        return Verdict(
            "cannot tell",
            f"Cannot tell whether tastes differ: the {found.n_cells} repeated judgements on shared"
            f" pairs give no interval ({difference.reason}); repeat more pairs with more users.",
        )
    facts = (
        f"users agree with themselves on {_per_cent(found.self_agreement.value)} of repeated"
        f" judgements and with others on {_per_cent(found.between_persons.value)} of the same"
        f" pairs, a difference of {_points(difference)} points"
        f" ({TARGET_WORDS[difference.target]})"
    )
    above = difference.low > 0 and (found.p_value is None or found.p_value <= P_VALUE)
    if not above:
        most = f"differences above {100 * max(difference.high, 0.0):.1f} points are unlikely"
        return Verdict(
            "none found", f"No taste beyond noise is detectable: {facts}; {most}{_also(evidence)}."
        )
    if found.beyond_reliability.value is None and not _opposed(evidence, found):
        return Verdict(
            "differences",
            f"Users differ beyond noise: {facts}; with two voters a pair, taste cannot be told from"
            " unequal care, three would settle it.",
        )
    if not (_is_above(found.beyond_reliability) or _opposed(evidence, found)):
        return Verdict(
            "differences",
            f"Users differ beyond noise: {facts}; but that some users are less careful than others"
            f" can explain it (beyond that, {_points(found.beyond_reliability)} points).",
        )
    return Verdict("taste", f"Tastes differ: {facts}; {_gain(evidence.room)}{_also(evidence)}.")


def _opposed(evidence: Evidence, found: SelfAndOthers) -> bool:
    """Whether somebody votes against the others, which no lack of care can make them do."""
    between = found.between_persons.high
    return evidence.minority.found.size > 0 or (between is not None and between < 0.5)


def _is_above(interval: Interval) -> bool:
    return interval.low is not None and interval.low > 0


def _gain(room: Room) -> str:
    if room.low.value is None or room.high.value is None:
        return f"what a model could gain is unknown ({room.low.reason})"
    bracket = f"{100 * room.low.value:+.1f} to {100 * room.high.value:+.1f} points"
    if room.is_positive:
        return f"knowing each user can gain at most {bracket} over one answer for all"
    return f"that a model can gain from it is not certain (at most {bracket} over one for all)"


def _also(evidence: Evidence) -> str:
    """Minority users, as a clause behind a verdict that does not rest on them."""
    number = evidence.minority.found.size
    if number == 0:
        return ""
    tested = evidence.minority.n_tested
    return f"; {number} of {tested} testable users vote against the majority (FDR 5 %)"


def _without_repeats(evidence: Evidence) -> Verdict:
    minority, rank = evidence.minority, evidence.effective_rank
    repeat = "let users judge some shared pairs twice"
    if minority.found.size:
        return Verdict(
            "taste",
            f"Tastes differ: {minority.found.size} of {minority.n_tested} testable users vote"
            " against the majority more often than a coin would (FDR 5 %), which noise cannot"
            " explain (reading the question the other way round can); without repeated judgements"
            f" the room for personalization is unknown, so {repeat}.",
        )
    divergent = evidence.divergence.divergent.value
    if isinstance(rank, EffectiveRank) and rank.p_value is not None and rank.p_value <= 0.05:
        return Verdict(
            "differences",
            f"It matters who votes (effective rank {rank.value:.2f} against"
            f" {rank.permuted_mean:.2f} under permuted labels, p = {rank.p_value:.2g}), but without"
            f" repeated judgements taste cannot be told from unequal care: {repeat}.",
        )
    noise = divergence_from_flips(evidence.votes, 0.1)
    expected = "" if noise is None else f" (flips of 10 % make {_per_cent(noise.divergent)})"
    return Verdict(
        "cannot tell",
        f"Cannot tell whether tastes differ: users disagree on {_per_cent(divergent)} of the shared"
        f" pairs{expected}, but without repeated judgements that may all be noise: {repeat}.",
    )


def _per_cent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _points(found: Interval) -> str:
    """A difference in percentage points with its interval."""
    if found.value is None or found.low is None or found.high is None:
        return "-"
    return f"{100 * found.value:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"
