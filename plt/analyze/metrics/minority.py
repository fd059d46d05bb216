"""Minority users: persons who vote against the majority more often than a coin would.

Noise can bring a person down to one half, never below, so a minority user wants something else
than the others (or has read the question the other way round).
"""

from dataclasses import dataclass

import numpy as np

from plt.analyze.metrics.votes import FloatArray, IntArray, Votes
from plt.analyze.significance import benjamini_hochberg, binomial_below_half

FALSE_DISCOVERY_RATE = 0.05
MIN_TRIALS = 5
"""Fewer coin tosses cannot be significant: 0.5 ** 4 is 0.0625."""


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
    trial, decided by most of them; a draw is none. A person is tested from five trials on: whether
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
