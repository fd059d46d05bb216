"""What may be claimed: every sentence about a figure passes here before it is said.

Pure functions of an interval's ends, of what it is about and of who is behind it. A claim names its
target; a claim about these users that does not hold for the population is said as such, and so is
the reverse; a gain is called personal only where every control that is known loses it; and one
cluster that holds more than a quarter of the judgements is named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from plt.analyze.intervals.clusters import Dominant
from plt.analyze.intervals.uncertainty import Interval, Target

Side: TypeAlias = Literal["above", "below", "open", "unknown"]
"""Where an interval lies: above the reference, below it, holding it, or there is no interval."""
Whose: TypeAlias = Literal["personal", "not shown", "user-blind", "unknown"]
"""Whether a gain is the user's, not shown to be, of a model that does not know users, or unknown
for want of a control."""

OTHER_USERS: Mapping[str, str] = {
    "population": "other users and prompts of this kind",
    "these-prompts": "other users, on these prompts",
    "groups": "other prompts of this kind",
}


@dataclass(frozen=True)
class Ground:
    """What stands behind a figure, and so behind every sentence about it.

    Attributes:
        target: What its interval is about.
        n_users: Distinct users; None for data without users.
        n_groups: Distinct groups.
        effective_users: Kish's number by their weights; None for data without users.
        effective_groups: The same of groups.
        dominant: Users and groups that hold more than a quarter of the judgements.
    """

    target: Target
    n_users: int | None
    n_groups: int
    effective_users: float | None
    effective_groups: float | None
    dominant: tuple[Dominant, ...]

    @property
    def about(self) -> str:
        """What claims on this ground are about, in words."""
        return about(self.target, self.n_users)

    @property
    def caveats(self) -> tuple[str, ...]:
        """Sentences that a reader of any figure on this ground must see."""
        found = []
        for each in self.dominant:
            n = self.n_users if each.kind == "user" else self.n_groups
            if n is not None and n > 1:
                who = f"One {each.kind}" if each.name is None else f"The {each.kind} {each.name}"
                found.append(f"{who} holds {100 * each.share:.0f} % of the judgements.")
        return tuple(found)


def ground(found: Interval) -> Ground:
    """The ground that a figure stands on."""
    return Ground(
        found.target,
        found.n_users,
        found.n_groups,
        found.effective_users,
        found.effective_groups,
        found.dominant,
    )


def about(target: str, n_users: int | None = None) -> str:
    """What an interval of this target is about, in words."""
    if target == "these-users":
        whom = "these users" if n_users is None else f"these {n_users} users"
        return f"{whom.replace('these 1 users', 'this user')}, on other prompts"
    return OTHER_USERS.get(target, "these judgements only")


def side(interval: Interval | None, reference: float = 0.0) -> Side:
    """Where an interval lies."""
    if interval is None or interval.low is None or interval.high is None:
        return "unknown"
    if interval.low > reference:
        return "above"
    return "below" if interval.high < reference else "open"


def whose_gain(controls: Sequence[Interval | None], blind: bool = False) -> Whose:
    """Whether a gain is the user's.

    Args:
        controls: What the model has over itself under each control (scored as another user, fitted
            on shuffled ids); None for a control that nobody ran. All that are known must lie above
            0: a further condition, so it costs no correction.
        blind: Whether the model gives the same answers whoever is asked for.
    """
    if blind:
        return "user-blind"
    known = [side(control) for control in controls if control is not None]
    if not known or "unknown" in known:
        return "unknown"
    return "personal" if all(each == "above" for each in known) else "not shown"


def disagree(own: Side, these: Side) -> bool:
    """Whether the claim about a figure's own target and that about these users differ."""
    return "unknown" not in (own, these) and own != these
