"""Clauses of which verdicts are made: figures in points, whom they are about, what they rest on."""

from collections.abc import Sequence

from plt.analyze.intervals.interval import Interval, Target
from plt.analyze.votes.weighted_votes import WeightedVotes

MORE_THAN_EQUAL = 1.5
OTHERS: dict[Target, str] = {
    "population": "other users and pairs of this kind",
    "these-users": "these users on other pairs",
    "these-prompts": "other users on these prompts",
    "these-judgements": "these judgements alone",
    "one-user": "this user on other pairs",
    "groups": "other pairs of this kind",
}


def per_cent(share: float | None) -> str:
    """``84.8 %``, or a dash for what is missing."""
    return "-" if share is None else f"{100 * share:.1f} %"


def points(found: Interval) -> str:
    """A difference in percentage points with its interval."""
    if found.value is None or found.low is None or found.high is None:
        return "-"
    return f"{100 * found.value:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def target_words(found: Interval) -> str:
    """Whom a figure is about."""
    return OTHERS[found.target]


def effective(found: Interval) -> str:
    """How many users and groups a figure rests on: what Kish's weights make of their numbers."""
    if found.effective_users is None or found.effective_groups is None:
        return ""
    return f" ({found.effective_users:.1f} users and {found.effective_groups:.1f} groups in effect)"


def dominance(found: Interval, users: Sequence[object]) -> str:
    """Users and groups that hold more than a quarter of a figure, named where they have names.

    Where there are only a few, each holds its part: those with hardly more than that are not named.
    """
    parts = []
    for each in found.dominant:
        n = found.n_users if each.kind == "user" else found.n_groups
        if each.share <= MORE_THAN_EQUAL / max(n or 1, 1):
            continue
        name = f" {users[each.code]}" if each.kind == "user" else ""
        parts.append(f"one {each.kind}{name} holds {100 * each.share:.0f} % of them")
    return "".join(f"; {part}" for part in parts)


def votes_alone(found: WeightedVotes | str) -> str:
    """What others' votes gain by themselves, as a clause."""
    if isinstance(found, str) or found.gain.low is None:
        return ""
    return f" (the votes of like-minded others alone gain {points(found.gain)})"
