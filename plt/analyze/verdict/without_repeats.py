"""The verdict where nobody was asked twice: minority users, split halves, effective rank."""

from plt.analyze.repeats.conditions import MIN_CELLS
from plt.analyze.taste.split_halves import SplitHalves
from plt.analyze.verdict.evidence import P_VALUE, Evidence, Verdict, minority_clause
from plt.analyze.verdict.wording import OTHERS, per_cent, votes_alone
from plt.analyze.votes.divergence import divergence_from_flips
from plt.analyze.votes.effective_rank import EffectiveRank


def without_repeats(evidence: Evidence, *, never_differ: bool = False) -> Verdict:
    """What can be said of taste when no self-agreement tells noise from it.

    Only minority users are evidence of taste, and with one prompt split halves; a low effective
    rank shows that it matters who votes, be it for taste or for care.

    Args:
        evidence: The statistics.
        never_differ: There are repeats, but all say the same, as copies of rows do.
    """
    rank, halves = evidence.effective_rank, evidence.split_halves
    lacking, repeat = "without repeated judgements", "let users judge some shared pairs twice"
    if never_differ:
        lacking, repeat = "where no repeat ever differs", "let users judge them again another day"
    alone = votes_alone(evidence.weighted_votes)
    if evidence.minority.found.size:
        return Verdict(
            "taste",
            f"Tastes differ: {minority_clause(evidence.minority)}; {lacking} the room for"
            f" personalization is unknown{alone}, so {repeat}.",
        )
    if isinstance(halves, SplitHalves) and halves.p_value <= P_VALUE:
        return _from_split_halves(halves, repeat)
    if isinstance(rank, EffectiveRank) and _rank_matters(rank, halves):
        return Verdict(
            "differences",
            "It matters who votes among these users on these pairs (effective rank"
            f" {rank.value:.3f} against {rank.permuted_mean:.3f} when votes are exchanged,"
            f" p = {rank.p_value:.2g}){alone}, but {lacking} taste cannot be told from unequal"
            f" care: {repeat}.",
        )
    n_shared = int(evidence.votes.shared.size)
    if evidence.divergence.divergent.value == 0 and n_shared >= MIN_CELLS:
        return Verdict(
            "none found",
            f"No taste beyond noise is detectable: on all {n_shared:,} shared pairs everybody"
            " agrees.",
        )
    noise = divergence_from_flips(evidence.votes, 0.1)
    expected = "" if noise is None else f" (flips of 10 % make {per_cent(noise.divergent)})"
    divergent = per_cent(evidence.divergence.divergent.value)
    return Verdict(
        "cannot tell",
        f"Cannot tell whether tastes differ: users disagree on {divergent} of the shared"
        f" pairs{expected}, but {lacking} that may all be noise: {repeat}.",
    )


def _rank_matters(rank: EffectiveRank, halves: SplitHalves | str | None) -> bool:
    """Whether both tests of effective rank agree; where split halves were made they took its share.

    The second asks whether agreement returns in other groups, so it needs some.
    """
    if isinstance(halves, SplitHalves) or rank.p_value is None or rank.p_across_groups is None:
        return False
    return max(rank.p_value, rank.p_across_groups) <= P_VALUE


def _from_split_halves(halves: SplitHalves, repeat: str) -> Verdict:
    facts = (
        "what a person chose among one half of the responses tells of their choices among the"
        f" other (p = {halves.p_value:.3f}; {OTHERS['these-prompts']}, {halves.n_users:,} users,"
        f" {halves.n_responses:,} responses)"
    )
    if halves.p_beyond_care <= P_VALUE:
        return Verdict(
            "taste",
            f"Tastes differ: {facts}, beyond what unequal care explains; the room for"
            f" personalization is unknown, so {repeat}.",
        )
    return Verdict(
        "differences", f"It matters who votes: {facts}, but unequal care can explain it: {repeat}."
    )
