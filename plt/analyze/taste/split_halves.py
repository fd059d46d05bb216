"""One prompt, no repeats: do a person's answers tell their other answers?

Nobody was asked twice and no second prompt shows whether a habit returns, but people compared many
pairs of the same responses. The responses are divided in two halves; only pairs within a half
count, so that no response (nor a single rating of it) stands on both sides. Let e be a vote (+1 for
`a`, -1 for `b`) minus the mean of the others' votes on the pair, and R_ur the sum of e over the
pairs of person u that hold response r, with the sign of its side. Without taste the tables R of the
two halves are independent within a person; with taste, what somebody likes in one half goes with
what they like in the other, and the cross-products R_ur R_us of responses r and s in different
halves return in other persons. The test is that of random signs (`plt.analyze.permutation.signs`)
over bins of persons: whatever the persons' spread, it needs no assumption about it.

Persons who are merely more or less careful choose with or against everybody's lean y in both
halves. `p_beyond_care` therefore takes the part of e along y out, for each person and half.

The target is other users on this prompt and these responses.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from plt.analyze.permutation.signs import cross_product_p_value
from plt.analyze.votes.votes import FloatArray, IntArray, Votes, read_rows
from plt.data.tables.preferences import Preferences

MIN_USERS = 20
MIN_RESPONSES = 8
N_SIGNS = 999
N_BINS = 40


@dataclass(frozen=True)
class SplitHalves:
    """The test of the module's text.

    Attributes:
        p_value: Of "one half tells nothing of the other".
        p_beyond_care: The same when persons may differ in care.
        n_users: Users with pairs in both halves.
        n_responses: Responses that stand in some pair within a half.
    """

    p_value: float
    p_beyond_care: float
    n_users: int
    n_responses: int


def wants_split_halves(frame: pl.DataFrame) -> bool:
    """Whether a table of judgements has one prompt and no repeats."""
    if frame.height == 0 or frame["occurrence"].max():
        return False
    group = frame.get_column("group", default=None)
    return group is not None and group.null_count() == 0 and group.n_unique() == 1


def split_halves(prefs: Preferences, *, seed: int = 0) -> SplitHalves | str:
    """Tests whether a person's answers on half of the responses tell those on the other half.

    Args:
        prefs: Judgements of one prompt, with their texts.
        seed: Of the halves and signs.

    Returns:
        The test, or why there is none.
    """
    votes = read_rows(prefs.votes)
    of_pair, n_responses = _responses(votes, prefs.pairs)
    generator = np.random.default_rng(seed)
    half = generator.permutation(n_responses) % 2
    rows = np.flatnonzero(votes.n_votes[votes.pairs] >= 2)
    pairs = votes.pairs[rows]
    within = half[of_pair[pairs, 0]] == half[of_pair[pairs, 1]]
    rows, pairs = rows[within], pairs[within]
    users, side = votes.users[rows].astype(np.int64), half[of_pair[pairs, 0]]
    both = np.bincount(users[side == 0], minlength=votes.n_users) > 0
    both &= np.bincount(users[side == 1], minlength=votes.n_users) > 0
    kept = both[users]
    rows, pairs, users, side = rows[kept], pairs[kept], users[kept], side[kept]
    n_used = int(np.unique(of_pair[pairs]).size)
    if np.count_nonzero(both) < MIN_USERS or n_used < MIN_RESPONSES:
        return (
            f"fewer than {MIN_USERS} users compared shared pairs among both halves of at least"
            f" {MIN_RESPONSES} responses"
        )
    sides = np.where(votes.prefers_a[rows], 1.0, -1.0)
    lean = (2.0 * votes.for_a - votes.n_votes)[pairs]
    others = (lean - sides) / (votes.n_votes[pairs] - 1)
    excess = sides - others
    beyond = excess - others * _along(excess, others, 2 * users + side)
    bins = (generator.permutation(votes.n_users) % N_BINS)[users]
    p_values = []
    for each in (excess, beyond):
        scores = _scores(each, users, of_pair[pairs], bins, half)
        found = cross_product_p_value(scores, N_SIGNS, generator)
        if isinstance(found, str):
            return found
        p_values.append(found)
    overall, beyond_care = p_values
    return SplitHalves(overall, beyond_care, int(np.count_nonzero(both)), n_used)


def _responses(votes: Votes, pairs: pl.DataFrame) -> tuple[IntArray, int]:
    """Codes of the two responses of each pair, [P, 2], in the order of their texts."""
    asked = pl.DataFrame({"pair_id": votes.pair_ids}).join(
        pairs.select("pair_id", "response_a", "response_b"), on="pair_id", how="left",
        maintain_order="left",
    )  # fmt: skip
    texts = pl.concat([asked["response_a"], asked["response_b"].alias("response_a")])
    codes = texts.rank("dense").to_numpy().astype(np.int64) - 1
    return codes.reshape(2, -1).T, int(codes.max(initial=-1)) + 1


def _along(values: FloatArray, direction: FloatArray, cells: IntArray) -> FloatArray:
    """The slope of the values on the direction in each cell (person, half), for each row."""
    top = np.bincount(cells, values * direction)
    bottom = np.bincount(cells, direction**2)
    slope = np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)
    return np.asarray(slope[cells])


def _scores(
    values: FloatArray, users: IntArray, responses: IntArray, bins: IntArray, half: IntArray
) -> FloatArray:
    """Cross-products of the two halves' responses, summed over the persons of a bin."""
    n_responses = half.size
    person, place = np.unique(users, return_inverse=True)
    table = np.zeros((person.size, n_responses))
    np.add.at(table, (place, responses[:, 0]), values)
    np.subtract.at(table, (place, responses[:, 1]), values)
    of_person = np.zeros(person.size, dtype=np.int64)
    of_person[place] = bins
    left, right = table[:, half == 0], table[:, half == 1]
    return np.stack(
        [(left[of_person == b].T @ right[of_person == b]).ravel() for b in range(N_BINS)]
    )
