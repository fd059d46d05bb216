"""Coverage: how much of the data there is to compare."""

from dataclasses import dataclass

import numpy as np

from plt.analyze.votes.votes import IntArray, Votes


@dataclass(frozen=True)
class Spread:
    """Smallest, median and largest of some counts; None without any."""

    smallest: int | None
    median: float | None
    largest: int | None


@dataclass(frozen=True)
class Coverage:
    """Counts of what there is to compare.

    Attributes:
        n_groups: Clusters (conversations, prompts) with votes.
        votes_per_user: Of the users with a vote.
        votes_per_pair: Of the pairs with a vote.
        shared_share: Share of the pairs with votes that have at least two.
        n_users_on_shared: Users with a vote on a shared pair.
        n_repeated: Cells (user, pair) judged at least twice.
        n_repeated_on_shared: Those on pairs that somebody else judged too.
    """

    n_groups: int
    votes_per_user: Spread
    votes_per_pair: Spread
    shared_share: float | None
    n_users_on_shared: int
    n_repeated: int
    n_repeated_on_shared: int


def coverage(votes: Votes) -> Coverage:
    """Counts of what there is to compare.

    Args:
        votes: The judgements.

    Returns:
        The counts; all 0 or None in a table without votes.
    """
    voted = votes.n_votes > 0
    per_pair = votes.n_votes if voted.all() else votes.n_votes[voted]
    groups = votes.groups if voted.all() else votes.groups[voted]
    per_user = votes.lead_counts.sum(axis=1)
    repeats = votes.repeats
    return Coverage(
        n_groups=int(np.count_nonzero(np.bincount(groups))),
        votes_per_user=spread(votes.votes_per_user[votes.votes_per_user > 0]),
        votes_per_pair=spread(per_pair),
        shared_share=votes.shared.size / per_pair.size if per_pair.size else None,
        n_users_on_shared=int(np.count_nonzero(per_user)),
        n_repeated=repeats.n_cells,
        n_repeated_on_shared=int(np.count_nonzero(votes.n_votes[repeats.pairs] >= 2)),
    )


def spread(counts: IntArray) -> Spread:
    """Smallest, median and largest."""
    if counts.size == 0:
        return Spread(None, None, None)
    return Spread(int(counts.min()), float(np.median(counts)), int(counts.max()))
