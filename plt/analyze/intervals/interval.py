"""What an interval is, and what it generalises to when nobody asked for a target."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from plt.analyze.intervals.clusters import ROUNDING, Clusters, Dominant

Target: TypeAlias = Literal[
    "population", "these-users", "these-prompts", "these-judgements", "groups", "one-user"
]
Average: TypeAlias = Literal["pair", "user"]
Bounds: TypeAlias = tuple[float, float]

MIN_POPULATION_USERS = 10
"""Below this many effective users, intervals are about these users unless the caller insists."""
MIN_POPULATION_GROUPS = 4
"""Below this many effective groups, intervals say nothing of other groups."""

KIND_NONE = "none"
KIND_TWO_WAY = "two-way cluster t"
KIND_GROUPS = "group cluster t"
KIND_USERS = "user cluster t"
KIND_ROWS = "independent rows t"
KIND_NO_EXCEPTION = "exact binomial, effective clusters"


@dataclass(frozen=True)
class Interval:
    """A figure with its interval.

    Attributes:
        value: The figure; null when there are no rows.
        low: Lower end; null together with `high`.
        high: Upper end.
        target: What the interval generalises to.
        kind: How the interval was made.
        level: Nominal coverage, such as 0.95.
        se: Standard error, where the kind has one.
        df: Degrees of freedom of Student's t, where the kind has them.
        n_rows: Rows used.
        n_users: Distinct users among them; null for data without users.
        n_groups: Distinct groups among them.
        n_effective: Effective number of clusters, where the kind rests on it.
        n_undefined: Bootstrap replicates in which the statistic was not a number.
        reason: Why `value` or the bounds are null; null otherwise.
        effective_users: Kish's number of users by their weights in this figure.
        effective_groups: The same of groups.
        these_users: Where the target is the population: both ends for these users on other groups.
        dominant: Users and groups that hold more than a quarter of the judgements.
    """

    value: float | None
    low: float | None
    high: float | None
    target: Target
    kind: str
    level: float
    se: float | None = None
    df: float | None = None
    n_rows: int = 0
    n_users: int | None = None
    n_groups: int = 0
    n_effective: float | None = None
    n_undefined: int = 0
    reason: str | None = None
    effective_users: float | None = None
    effective_groups: float | None = None
    these_users: Bounds | None = None
    dominant: tuple[Dominant, ...] = ()

    @property
    def label(self) -> str:
        """Target and kind in one string, as the `interval` column of `metrics/1` holds it."""
        return f"{self.target}: {self.kind}"

    def excludes(self, reference: float = 0.0) -> bool:
        """Whether there is an interval, and the reference lies outside."""
        return self.low is not None and not _holds((self.low, self.high), reference)

    def only_these_users(self, reference: float = 0.0) -> bool:
        """Whether the claim holds for these users and is open for the population."""
        alternative = self.these_users
        return (
            alternative is not None
            and not self.excludes(reference)
            and not _holds(alternative, reference)
        )


def _holds(ends: tuple[float, float | None], reference: float) -> bool:
    low, high = ends
    return high is not None and low <= reference <= high


def default_target(effective_users: float | None, effective_groups: float | None = None) -> Target:
    """The target of an interval when nobody asked for one.

    Args:
        effective_users: Kish's number of users by their weights in the figure; None for data
            without users.
        effective_groups: The same of groups, where the caller cannot do with users alone.

    Returns:
        `these-users` below 10 users, where a variance between users is a guess; `these-prompts`
        below 4 groups, which are no population of groups; `these-judgements` where both hold;
        else `population`. Without users `groups`, or `these-judgements` below 4.
    """
    # The roots of Kish's sums are rounded: ten users who weigh the same are ten.
    few_groups = (
        effective_groups is not None and effective_groups < MIN_POPULATION_GROUPS - ROUNDING
    )
    if effective_users is None:
        return "these-judgements" if few_groups else "groups"
    if effective_users < MIN_POPULATION_USERS - ROUNDING:
        return "these-judgements" if few_groups else "these-users"
    return "these-prompts" if few_groups else "population"


def checked_target(target: Target | None, clusters: Clusters) -> Target | None:
    """The target to report: without users it is `groups`; ValueError for an unknown one."""
    if target in (None, "these-judgements"):
        return target
    if target not in ("population", "these-users", "these-prompts", "groups"):
        raise ValueError(f"unknown target {target!r}")
    return "groups" if clusters.users is None else target


def null_interval(
    value: float | None, reason: str, clusters: Clusters, target: Target | None, level: float
) -> Interval:
    """A figure whose bounds cannot be had, with the reason."""
    fallback: Target = "groups" if clusters.users is None else "population"
    return Interval(
        value, None, None, target or fallback, KIND_NONE, level, **clusters.counts, reason=reason
    )
