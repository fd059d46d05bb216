"""MV-ACC: how often each person votes with the majority."""

from dataclasses import dataclass

import numpy as np

from plt.analyze.intervals.significance import benjamini_hochberg, binomial_below_half
from plt.analyze.votes.votes import FloatArray, IntArray, Votes


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


FALSE_DISCOVERY_RATE = 0.025
"""Half of the 5 % that all ways to "tastes differ" share."""
MIN_TRIALS = 6
"""Fewer coin tosses cannot be significant: 0.5 ** 5 is 0.031."""


@dataclass(frozen=True)
class Minority:
    """The test of everybody who can be tested.

    Attributes:
        users: Codes of the testable persons, ascending, [tested].
        accuracy: Share of their votes that are with the majority, on pairs whose majority their
            own vote cannot change, [tested].
        n_votes: Their votes on such pairs, [tested].
        n_trials: Independent trials among these: one a group, [tested].
        p_value: Exact one-sided p value of "the accuracy is at least one half", [tested].
        q_value: Benjamini-Hochberg over all tested, [tested].
    """

    users: IntArray
    accuracy: FloatArray
    n_votes: IntArray
    n_trials: IntArray
    p_value: FloatArray
    q_value: FloatArray

    @property
    def n_tested(self) -> int:
        """How many persons have enough votes to be tested."""
        return self.users.size

    @property
    def found(self) -> IntArray:
        """Places of the minority users, lowest q first, then lowest accuracy."""
        called = np.flatnonzero(self.q_value <= FALSE_DISCOVERY_RATE)
        return called[np.lexsort((self.accuracy[called], self.q_value[called]))]


def minority_users(votes: Votes) -> Minority:
    """Who votes against a majority that their own vote cannot change, and more than by chance.

    Only pairs count on which the others lead by at least two votes. Each is a trial of an exact
    binomial test against one half. The pairs of one group are not independent (the turns of a
    conversation, the pairs made of one list of ratings), so a person's votes within a group are one
    trial, decided by most of them; a draw is none. A person is tested from six trials on: whether
    somebody is tested depends on what was asked, never on the answers.

    Args:
        votes: The judgements.

    Returns:
        The tests; empty arrays when nobody is testable.
    """
    counts = votes.lead_counts
    against, with_majority = counts[:, 0], counts[:, 4]
    n_votes = against + with_majority
    won, n_trials = _trials(votes, with_majority, n_votes)
    users = np.flatnonzero(n_trials >= MIN_TRIALS)
    p_value = binomial_below_half(won[users], n_trials[users])
    return Minority(
        users=users,
        accuracy=with_majority[users] / n_votes[users],
        n_votes=n_votes[users],
        n_trials=n_trials[users],
        p_value=p_value,
        q_value=benjamini_hochberg(p_value),
    )


def _trials(votes: Votes, with_majority: IntArray, n_votes: IntArray) -> tuple[IntArray, IntArray]:
    """Trials won and held by each person, one a group, [U] each."""
    if np.bincount(votes.groups[votes.shared]).max(initial=0) <= 1:
        return with_majority, n_votes
    rows = np.flatnonzero((votes.lead == 2) | (votes.lead == -2))
    width = int(votes.groups.max()) + 1
    key = votes.users[rows].astype(np.int64) * width + votes.groups[votes.pairs[rows]]
    cells, cell = np.unique(key, return_inverse=True)
    balance = np.bincount(cell, votes.lead[rows], minlength=cells.size)
    users = cells // width
    won = np.bincount(users[balance > 0], minlength=votes.n_users)
    return won, np.bincount(users[balance != 0], minlength=votes.n_users)
