"""MV-ACC: how often each person votes with the majority."""

from dataclasses import dataclass

import numpy as np

from plt.analyze.metrics.votes import FloatArray, IntArray, Votes


@dataclass(frozen=True)
class MajorityVote:
    """The accuracy of the majority's vote for each person who has votes on shared pairs.

    Attributes:
        users: Codes of these persons, ascending, [users].
        ceiling: The own vote is part of the majority, [users]. It is what the paper reports, and
            what nobody can beat who must treat all alike; random votes reach 0.69 among five.
        leave_one_out: The majority of the others, [users]; random votes reach 0.5.
        n_votes: Votes of each person on shared pairs, [users].
        n_tied_pairs: Shared pairs without a majority.
    """

    users: IntArray
    ceiling: FloatArray
    leave_one_out: FloatArray
    n_votes: IntArray
    n_tied_pairs: int


def majority_vote(votes: Votes) -> MajorityVote:
    """How often each person votes with the majority; a tied majority earns one half.

    Of the votes (a, a, b), with the own vote counted the two a's earn 1 and b 0; leaving one out
    the a's face a tie, 1/2 each, and b 0. Dong et al. 2025, section 3 (the first form).

    Args:
        votes: The judgements.

    Returns:
        One entry a person; a person without a vote on a shared pair is absent.
    """
    counts = votes.lead_counts
    total = counts.sum(axis=1)
    users = np.flatnonzero(total)
    counts, total = counts[users], total[users]
    _, against_one, level, for_one, for_two = counts.T
    n, s, pairs = votes.outcomes
    return MajorityVote(
        users=users,
        ceiling=(level + for_one + for_two + against_one / 2) / total,
        leave_one_out=(for_one + for_two + level / 2) / total,
        n_votes=total,
        n_tied_pairs=int(pairs[2 * s == n].sum()),
    )
