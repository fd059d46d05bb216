"""The one sentence that a person takes home, and what it may rest on.

All ways to "tastes differ" share one error budget of 5 %: 2.5 % for minority users
(Benjamini-Hochberg), and 2.5 % for one other: with repeats the exchange test, which the interval
must confirm; without repeats effective rank, which both of its tests must confirm; with one prompt
and no repeats, split halves.
"""

from typing import Literal, TypeAlias

from plt.analyze.intervals.uncertainty import Interval
from plt.analyze.permutation.exchange import UNANIMOUS
from plt.analyze.repeats.conditions import MIN_CELLS, Check
from plt.analyze.repeats.consistency import copies_caveat
from plt.analyze.repeats.reliability import MIN_VOTES
from plt.analyze.repeats.self_and_others import NO_THIRD_VOTER, SelfAndOthers
from plt.analyze.verdict.evidence import P_VALUE, Evidence, Verdict, minority_clause
from plt.analyze.verdict.without_repeats import without_repeats
from plt.analyze.verdict.wording import (
    dominance,
    effective,
    per_cent,
    points,
    target_words,
    votes_alone,
)
from plt.analyze.votes.votes import Votes

Whose: TypeAlias = Literal["all", "these users", "nobody"]
SAME_ORDER = (
    "all repeats had the order of the first time, where habits of choosing what is seen first look"
    " the same and may be too weak to be seen by themselves"
)
UNTOLD = "taste cannot be told from unequal care"


def verdict(evidence: Evidence) -> Verdict:
    """Whether it matters who votes, and whether personalization can gain from it.

    With repeats it rests on self-agreement minus agreement with others on the same pairs. Taste is
    claimed only if the interval lies above 0, the exchange test agrees, and unequal care is
    excluded: by the difference beyond reliability, or by agreement with the others on less than
    half of the pairs. Where the claim about these users holds and that about others does not, both
    are said. "None found" is said only if neither interval nor test finds anything. Minority users
    are evidence of taste by themselves. Without repeats a low effective rank shows that it matters
    who votes, not why. Where the table tells how repeats were asked, those decide that memory and
    order touch least; repeats that never differ may be copies of rows, and are as good as none.

    Args:
        evidence: The statistics, with intervals.

    Returns:
        The verdict.
    """
    lacking = _lacking(evidence.votes)
    if lacking is not None:
        return Verdict("cannot tell", f"Cannot tell whether tastes differ: {lacking}.")
    failed = [check for check in evidence.checks if check.fails]
    repeats = evidence.self_and_others
    if failed and (repeats is None or repeats.n_cells < MIN_CELLS):
        return _spoilt(evidence, failed)
    if repeats is None:
        return without_repeats(evidence)
    copied = copies_caveat(repeats.self_agreement.value, repeats.n_cells)
    if copied is not None and repeats.exchanged.reason != UNANIMOUS:
        found = without_repeats(evidence, never_differ=True)
        caveats = [copied]
    else:
        found = _from_repeats(evidence, repeats)
        caveats = [_left(check, repeats) for check in evidence.checks]
        if evidence.same_order and found.finding in ("taste", "differences"):
            caveats.append(SAME_ORDER)
    return Verdict(found.finding, "; ".join([found.sentence.removesuffix("."), *caveats]) + ".")


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
    whose = _whose(found)
    facts = _facts(evidence, found)
    if evidence.minority.found.size:
        return _minority_and_repeats(evidence, found, whose, facts)
    if whose == "nobody":
        return _nothing_or_contradiction(evidence, found, facts)
    beside = _beside(found, whose)
    if found.beyond_reliability.value is None and not _against_others(found):
        few = f"with few votes of each person, {UNTOLD}, {MIN_VOTES} on other pairs would help"
        if found.beyond_reliability.reason == NO_THIRD_VOTER:
            few = f"with two voters a pair, {UNTOLD}, three would settle it"
        return Verdict(
            "differences",
            f"{_users(whose)} differ beyond noise{_unless(found)}: {facts}{beside}; {few}.",
        )
    if not (_beyond_care(found, whose) or _against_others(found)):
        return Verdict("differences", _care_or_camps(found, whose, facts, beside))
    tastes = "Tastes differ" if whose == "all" else "Tastes differ among these users"
    gain = _gain(evidence)
    return Verdict("taste", f"{tastes}{_unless(found)}: {facts}{beside}; {gain}.")


def _whose(found: SelfAndOthers) -> Whose:
    """Whose differences interval and exchange test agree on."""
    p, difference = found.exchanged.p_value, found.difference
    if p is None or p > P_VALUE or difference.low is None:
        return "nobody"
    if difference.low > 0:
        return "these users" if difference.target == "these-users" else "all"
    these = difference.these_users
    return "these users" if these is not None and these[0] > 0 else "nobody"


def _users(whose: Whose) -> str:
    return "Users" if whose == "all" else "These users"


def _unless(found: SelfAndOthers) -> str:
    """The assumption of all verdicts from repeats, and how much would have to be wrong with it."""
    return (
        ", if a person's two answers are independent"
        f" ({per_cent(found.remembered)} remembered ones would explain all of it)"
    )


def _facts(evidence: Evidence, found: SelfAndOthers) -> str:
    difference = found.difference
    names = evidence.votes.user_names.to_list() if difference.dominant else []
    if difference.low is None:
        between = f"a difference of {100 * (difference.value or 0):.1f} points without an interval"
    else:
        between = (
            f"a difference of {points(difference)} points in the mean of"
            f" {target_words(difference)}{effective(difference)}"
        )
    return (
        f"users agree with themselves on {per_cent(found.self_agreement.value)} of repeated"
        f" judgements and with others on {per_cent(found.between_persons.value)} of the same"
        f" pairs, {between}{dominance(difference, names)}"
    )


def _beside(found: SelfAndOthers, whose: Whose) -> str:
    """What holds of these users where it does not of others."""
    these = found.difference.these_users
    if whose != "these users" or these is None or found.difference.target == "these-users":
        return ""
    low, high = (100 * end for end in these)
    return (
        f"; for these users on other pairs it is [{low:.1f}, {high:.1f}] points, so about other"
        " users it cannot be told"
    )


def _beyond_care(found: SelfAndOthers, whose: Whose) -> bool:
    beyond = found.beyond_reliability
    if beyond.low is not None and beyond.low > 0:
        return True
    return whose == "these users" and beyond.these_users is not None and beyond.these_users[0] > 0


def _against_others(found: SelfAndOthers) -> bool:
    """Whether persons choose against the others, which no lack of care can make them do."""
    between = found.between_persons.high
    return between is not None and between < 0.5


def _care_or_camps(found: SelfAndOthers, whose: Whose, facts: str, beside: str) -> str:
    beyond = (
        f"beyond care that scales everybody's answers alike, {points(found.beyond_reliability)}"
        " points"
    )
    cause = "that some users are less careful than others can explain it"
    if found.above_one is not None and found.above_one > 0.5:
        cause += ", and so can camps of unequal size"
    return (
        f"{_users(whose)} differ beyond noise{_unless(found)}: {facts}{beside}; {cause} ({beyond})."
    )


def _nothing_or_contradiction(evidence: Evidence, found: SelfAndOthers, facts: str) -> Verdict:
    difference, test = found.difference, found.exchanged
    if test.reason == UNANIMOUS and found.n_cells >= MIN_CELLS:
        return Verdict(
            "none found",
            f"No taste beyond noise is detectable: on the pairs of all {found.n_cells} repeated"
            " judgements everybody always agrees.",
        )
    rejects = test.p_value is not None and test.p_value <= P_VALUE
    by_test = f"exchanging {test.unit} between users gives p = {test.p_value or 0:.3f}"
    if test.p_value is None:
        by_test = f"there is no exchange test ({test.reason})"
    if difference.low is None or difference.high is None:
        also = f"; {by_test}" if rejects else ""
        return Verdict(
            "cannot tell",
            f"Cannot tell whether tastes differ: the {found.n_cells} repeated judgements on shared"
            f" pairs give no interval ({difference.reason}){also}; repeat more pairs with more"
            " users.",
        )
    these = difference.these_users or (difference.low, difference.high)
    if not (rejects or difference.low > 0 or these[0] > 0):
        spoilt = _understated(evidence, difference)
        if spoilt is not None:
            sentence = f"Cannot tell whether tastes differ: {facts}; {spoilt}."
            return Verdict("cannot tell", sentence)
    if difference.low > 0 or these[0] > 0:
        return Verdict(
            "cannot tell",
            f"Cannot tell whether tastes differ: {facts}; the interval speaks for it, but"
            f" {by_test}: where few answers ever change the interval alone is too"
            " sure. Repeat more pairs.",
        )
    if rejects:
        return Verdict(
            "cannot tell",
            f"Cannot tell whether tastes differ: {facts}; {by_test}, which speaks for it, but the"
            f" interval of the mean over {target_words(difference)} reaches 0: too few users or"
            " groups for so many judgements of each. Ask more of them.",
        )
    most = f"a mean difference above {100 * max(difference.high, 0.0):.1f} points is unlikely"
    return Verdict(
        "none found",
        f"No taste beyond noise is detectable: {facts}; {most}, though single users may differ"
        " more.",
    )


def _understated(evidence: Evidence, difference: Interval) -> str | None:
    """Why self-agreement may be lower than two independent answers would have it."""
    if any(check.condition == "order" and check.fails for check in evidence.checks):
        return (
            "where the order sways answers, repeats shown the other way round hide agreement with"
            " oneself, and the others feign it; ask again in a way in which order matters less"
        )
    if difference.high is not None and difference.high < 0:
        return (
            "unless it is chance, people who agree less with themselves than with others were not"
            " asked the same thing twice: look at how the repeats were made"
        )
    return None


def _minority_and_repeats(
    evidence: Evidence, found: SelfAndOthers, whose: Whose, facts: str
) -> Verdict:
    who = minority_clause(evidence.minority)
    if whose == "nobody":
        test = found.exchanged
        p = "" if test.p_value is None else f" (p = {test.p_value:.3f} by exchange)"
        return Verdict(
            "taste",
            f"Tastes differ: {who}; in the mean of all users repeats do not show it: {facts}{p}.",
        )
    facts = f"{facts}{_unless(found)}{_beside(found, whose)}"
    return Verdict("taste", f"Tastes differ: {who}; {facts}; {_gain(evidence)}.")


def _gain(evidence: Evidence) -> str:
    room, alone = evidence.room, votes_alone(evidence.weighted_votes)
    if room.high.value is None:
        return f"what a model could gain is unknown ({room.high.reason}){alone}"
    at_most = f"{100 * room.high.value:.1f}"
    if room.high.low is not None:
        at_most = points(room.high)
    bound = f"at most {at_most} points over the majority of the others"
    if room.is_positive:
        return f"knowing each user can gain {bound}{alone}"
    return f"that a model can gain from it is not certain ({bound}){alone}"


def _spoilt(evidence: Evidence, failed: list[Check]) -> Verdict:
    """The repeats are no second answers, and too few are left that are."""
    why = " and ".join(_why(check) for check in failed)
    if evidence.minority.found.size:
        return Verdict(
            "taste",
            f"Tastes differ: {minority_clause(evidence.minority)}; the repeats say nothing: {why}.",
        )
    return Verdict(
        "cannot tell",
        f"Cannot tell whether tastes differ: the repeats are no independent answers ({why}), and"
        " too few others are left; ask again later and with the responses the other way round.",
    )


def _why(check: Check) -> str:
    contrast = f"{points(check.contrast)} points"
    if check.condition == "memory":
        return f"after a short while they agree more often, by {contrast}: they are remembered"
    if check.n_trusted < MIN_CELLS:
        if not check.contrast.excludes(0.0):
            return (
                "all had the same order, and some people mostly choose what is seen first, or last"
            )
        return f"all had the same order, and what is seen first is chosen {contrast} off one half"
    return f"in the same order they agree more often, by {contrast}"


def _left(check: Check, repeats: SelfAndOthers) -> str:
    kept = "asked after long" if check.condition == "memory" else "shown the other way round"
    because = f", because {_why(check)}" if check.fails else ""
    return f"this rests on the {repeats.n_cells} repeats {kept}{because}"
