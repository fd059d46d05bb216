"""All statistics of a table of judgements: what `plt dataset-stats` prints."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from plt.analyze.dataset.document import document
from plt.analyze.dataset.figures import Figure, all_figures
from plt.analyze.dataset.measured import Measured
from plt.analyze.intervals.figures import NOT_ASKED
from plt.analyze.repeats.conditions import Check, check_conditions, trusted_votes
from plt.analyze.repeats.consistency import consistency
from plt.analyze.repeats.room import room
from plt.analyze.repeats.self_and_others import SelfAndOthers, self_and_others
from plt.analyze.taste.split_halves import SplitHalves
from plt.analyze.verdict.evidence import Evidence, Verdict
from plt.analyze.verdict.verdict import verdict
from plt.analyze.votes.agreement import agreement, krippendorff_alpha
from plt.analyze.votes.coverage import coverage
from plt.analyze.votes.divergence import divergence, divergence_from_flips
from plt.analyze.votes.effective_rank import N_PERMUTATIONS, effective_rank
from plt.analyze.votes.majority import majority_vote, minority_users
from plt.analyze.votes.votes import Votes, read_rows
from plt.analyze.votes.weighted_votes import weighted_votes
from plt.data.tables.table import Meta

ASSUMED_FLIP_RATES = (0.05, 0.1, 0.2)
NO_VERDICT = "No verdict: it rests on an interval, and intervals were not asked for."


class DatasetStatistics(Measured):
    """Every figure of a table of judgements, each null with a reason where the data cannot give it.

    The attributes are those of `Measured`.
    """

    def figures(self) -> tuple[Figure, ...]:
        """The table of figures, in the order in which people read them."""
        return all_figures(self)

    def figure(self, key: str) -> Figure:
        """One figure of the table; KeyError for an unknown one."""
        return {figure.key: figure for figure in self.figures()}[key]

    def to_json(self) -> dict[str, Any]:
        """What ``plt dataset-stats --json`` prints; see `plt.analyze.dataset.document`."""
        return document(self)


def dataset_statistics(
    frame: pl.DataFrame,
    meta: Meta,
    *,
    assume_flip: Sequence[float] | None = None,
    seed: int = 0,
    intervals: bool = True,
    split_halves: SplitHalves | str | None = None,
) -> DatasetStatistics:
    """Computes every vote statistic of a table of judgements.

    Args:
        frame: Votes: `user_id`, `pair_id`, `label`, `occurrence` and, where there is one, `group`,
            in any order of rows (`plt.data.tables.preferences.read_votes`).
        meta: The metadata of the table: its name and what was dropped so far.
        assume_flip: Flip rates to show the divergence of; by default 5, 10 and 20 % where no
            repeats say what the flip rate is.
        seed: Of permutations and samples.
        split_halves: Of the same table with its texts, where it has one prompt and no repeats.
        intervals: False gives the figures alone: no intervals, tests, permutations or verdict.

    Returns:
        The statistics.
    """
    votes = read_rows(frame)
    evidence, pairs, checks = _evidence(votes, seed, intervals, split_halves)
    again = consistency(votes, intervals=intervals)
    flip_rate = None if again is None else again.flip_rate.value
    if assume_flip is None:
        assume_flip = ASSUMED_FLIP_RATES if flip_rate is None else ()
    table = {rate: divergence_from_flips(votes, rate) for rate in assume_flip}
    return DatasetStatistics(
        dataset=meta.dataset,
        votes=votes,
        divergence=evidence.divergence,
        noise_expected=None if flip_rate is None else divergence_from_flips(votes, flip_rate),
        noise_if_flip={rate: each for rate, each in table.items() if each is not None},
        majority=majority_vote(votes),
        minority=evidence.minority,
        alpha=krippendorff_alpha(votes, intervals=intervals),
        agreement=agreement(votes, intervals=intervals),
        consistency=again,
        self_and_others=pairs,
        checks=checks,
        room=evidence.room,
        weighted_votes=evidence.weighted_votes,
        effective_rank=evidence.effective_rank,
        coverage=coverage(votes),
        dropped=meta.with_dropped(votes.left_out).dropped,
        verdict=verdict(evidence) if intervals else Verdict("not asked", NO_VERDICT),
        split_halves=split_halves,
    )


def _evidence(
    votes: Votes, seed: int, intervals: bool, split_halves: SplitHalves | str | None
) -> tuple[Evidence, SelfAndOthers | None, tuple[Check, ...]]:
    """What the verdict looks at; and of all repeats, trusted or not, self-agreement and checks."""
    checks = check_conditions(votes) if intervals else ()
    pairs = self_and_others(votes, intervals=intervals, seed=seed)
    trusted, (left, used) = pairs, trusted_votes(votes, checks)
    if used:
        trusted = self_and_others(left, seed=seed)
    n_permutations = N_PERMUTATIONS if intervals else 0
    evidence = Evidence(
        votes=votes,
        divergence=divergence(votes, intervals=intervals),
        minority=minority_users(votes),
        self_and_others=trusted,
        checks=used,
        room=room(votes, intervals=intervals),
        weighted_votes=weighted_votes(votes) if intervals else NOT_ASKED,
        effective_rank=effective_rank(votes, permutations=n_permutations, seed=seed),
        split_halves=split_halves,
        same_order=any(check.is_untested for check in checks),
    )
    return evidence, pairs, checks
