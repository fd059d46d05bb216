"""All statistics of a table of judgements: what `plt dataset-stats` prints."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from plt.analyze.dataset.verdict import Evidence, Verdict, verdict
from plt.analyze.intervals.figures import interval_json
from plt.analyze.intervals.uncertainty import Interval
from plt.analyze.votes.agreement import Agreement, agreement, krippendorff_alpha
from plt.analyze.votes.consistency import Consistency, consistency
from plt.analyze.votes.coverage import Coverage, coverage
from plt.analyze.votes.divergence import (
    Divergence,
    DivergenceFromFlips,
    divergence,
    divergence_from_flips,
)
from plt.analyze.votes.effective_rank import N_PERMUTATIONS, EffectiveRank, effective_rank
from plt.analyze.votes.majority import MajorityVote, Minority, majority_vote, minority_users
from plt.analyze.votes.room import Room, room
from plt.analyze.votes.self_and_others import SelfAndOthers, self_and_others
from plt.analyze.votes.votes import Votes, read_rows
from plt.data.tables.table import Meta

ASSUMED_FLIP_RATES = (0.05, 0.1, 0.2)
LITTLE_OVERLAP = 0.05
"""Share of pairs that are shared, below which figures that need none are computed too."""
NO_REPEATS = "nobody judged a pair twice"
NOT_ASKED = "No verdict: it rests on an interval, and intervals were not asked for."


@dataclass(frozen=True)
class DatasetStatistics:
    """Every figure of a table of judgements, each null with a reason where the data cannot give it.

    Attributes:
        dataset: Name of the source.
        votes: The judgements as arrays, for plots.
        divergence: Divergent and highly divergent shared pairs.
        noise_expected: The divergence that the flip rate of the repeats alone would make.
        noise_if_flip: Assumed flip rate to the divergence that it alone would make: in place of
            the former, or when rates were asked for.
        majority: MV-ACC of each person.
        minority: Tests of each person against the majority.
        alpha: Krippendorff's alpha.
        agreement: Agreement between persons.
        consistency: Figures of repeats, or None.
        self_and_others: What the verdict rests on, or None without repeats on shared pairs.
        room: The room for personalization.
        effective_rank: Of the agreement between persons, or why there is none.
        coverage: Counts of what there is to compare.
        dropped: Reason to rows left out, from conversion on; ties are not among them.
        verdict: What all of it says.
        heterogeneity: The object of `plt.analyze.taste.heterogeneity`, where it was asked for.
        near_duplicates: The object of `plt.analyze.dataset.near_duplicates`, where it was asked
            for.
    """

    dataset: str | None
    votes: Votes
    divergence: Divergence
    noise_expected: DivergenceFromFlips | None
    noise_if_flip: Mapping[float, DivergenceFromFlips]
    majority: MajorityVote
    minority: Minority
    alpha: Interval
    agreement: Agreement
    consistency: Consistency | None
    self_and_others: SelfAndOthers | None
    room: Room
    effective_rank: EffectiveRank | str
    coverage: Coverage
    dropped: Mapping[str, int]
    verdict: Verdict
    heterogeneity: Mapping[str, Any] | None = None
    near_duplicates: Mapping[str, Any] | None = None

    @property
    def verdict_sentence(self) -> str:
        """The verdict, and where votes cannot be compared what needs no shared pairs."""
        if self.verdict.finding != "cannot tell" or self.heterogeneity is None:
            return self.verdict.sentence
        return f"{self.verdict.sentence} Without shared pairs: {self.heterogeneity['conclusion']}"

    def to_json(self) -> dict[str, Any]:
        """The object that ``plt dataset-stats --json`` prints; keys and nulls are documented."""
        votes = self.votes
        document = {
            "dataset": self.dataset,
            "n_users": votes.n_users,
            "n_pairs": votes.pair_ids.size,
            "n_judgments": votes.n_judgments,
            "n_ties": votes.n_ties,
            "n_multi_pairs": votes.shared.size,
            "divergent": self._divergence_json("divergent"),
            "highly_divergent": self._divergence_json("highly_divergent"),
            "mv_acc": self._majority_json(),
            "minority_users": self._minority_json(),
            "krippendorff_alpha": interval_json(self.alpha),
            "agreement": {
                "pairwise": interval_json(self.agreement.pairwise),
                "item_mean": interval_json(self.agreement.item_mean),
            },
            "consistency": self._consistency_json(),
            "room": self._room_json(),
            "effective_rank": self._rank_json(),
            "coverage": self._coverage_json(),
            "dropped": dict(self.dropped),
            "verdict": self.verdict_sentence,
        }
        for name in ("heterogeneity", "near_duplicates"):
            if (more := getattr(self, name)) is not None:
                document[name] = dict(more)
        return document

    @property
    def has_little_overlap(self) -> bool:
        """Whether so few pairs are shared that figures which need none are worth computing."""
        share = self.coverage.shared_share
        return self.votes.n_users > 1 and share is not None and share < LITTLE_OVERLAP

    def _divergence_json(self, name: str) -> dict[str, Any]:
        table = {f"{rate:g}": getattr(each, name) for rate, each in self.noise_if_flip.items()}
        return interval_json(getattr(self.divergence, name)) | {
            "noise_expected": self.noise_expected and getattr(self.noise_expected, name),
            "noise_if_flip": table or None,
        }

    def _majority_json(self) -> dict[str, Any]:
        names = self.votes.user_names.gather(self.majority.users).to_list()
        forms = {
            "ceiling": self.majority.ceiling.tolist(),
            "leave_one_out": self.majority.leave_one_out.tolist(),
        }
        users = {form: dict(zip(names, each, strict=True)) for form, each in forms.items()}
        spans = {form: [min(each), max(each)] if each else None for form, each in forms.items()}
        return {**users, "range": spans, "n_tied_pairs": self.majority.n_tied_pairs}

    def _minority_json(self) -> list[dict[str, Any]]:
        tests = self.minority
        return [
            {
                "user_id": self.votes.user_names[int(tests.users[i])],
                "accuracy": float(tests.accuracy[i]),
                "n": int(tests.n_votes[i]),
                "q": float(tests.q_value[i]),
            }
            for i in tests.found
        ]

    def _consistency_json(self) -> dict[str, Any] | None:
        if self.consistency is None:
            return None
        found, pairs = self.consistency, self.self_and_others
        document: dict[str, Any] = {
            name: interval_json(getattr(found, name))
            for name in ("self_agreement", "cronbach_alpha", "flip_rate", "ceiling_upper_bound")
        }
        document |= {"n_repeated": found.n_repeated, "n_users": found.n_users}
        if pairs is None:
            return document | {"on_shared_pairs": None}
        names = ("self_agreement", "between_persons", "difference", "beyond_reliability")
        on_shared: dict[str, Any] = {name: interval_json(getattr(pairs, name)) for name in names}
        on_shared |= {"p": pairs.p_value, "n_repeated": pairs.n_cells, "n_users": pairs.n_users}
        return document | {"on_shared_pairs": on_shared}

    def _room_json(self) -> dict[str, Any]:
        found = self.room
        low, high = found.low, found.high
        bracket = None if low.value is None else [low.value, high.value]
        return {
            "value": bracket,
            "ci": None if low.low is None else [low.low, high.high],
            "target": low.target,
            "kind": low.kind,
            "reason": low.reason,
            "positive": self._room_is_positive(),
            "own_vote_majority": interval_json(found.own_vote_majority),
            "leave_one_out_majority": interval_json(found.leave_one_out_majority),
            "n_judgments": found.n_judgments,
            "room_if_consistency": {
                f"{assumed:.1f}": list(each) for assumed, each in found.if_consistency.items()
            }
            or None,
        }

    def _room_is_positive(self) -> bool | None:
        """Whether the bracket lies above 0 and tastes differ; pairs of unequal noise widen it."""
        if self.room.is_positive is None or self.verdict.finding == "not asked":
            return None
        return self.room.is_positive and self.verdict.finding == "taste"

    def _rank_json(self) -> dict[str, Any] | None:
        rank = self.effective_rank
        if isinstance(rank, str):
            return None
        return {
            "value": rank.value,
            "permuted": rank.permuted_mean,
            "permuted_range": rank.permuted_mean and [rank.permuted_low, rank.permuted_high],
            "p": rank.p_value,
            "n_users": rank.users.size,
            "n_candidates": rank.n_candidates,
            "n_pairs": rank.n_pairs,
        }

    def _coverage_json(self) -> dict[str, Any]:
        missing = {}
        if self.consistency is None:
            missing["consistency"] = NO_REPEATS
        if isinstance(self.effective_rank, str):
            missing["effective_rank"] = self.effective_rank
        tested = {"n_minority_tested": self.minority.n_tested}
        return asdict(self.coverage) | tested | {"missing": missing}


def dataset_statistics(
    frame: pl.DataFrame,
    meta: Meta,
    *,
    assume_flip: Sequence[float] | None = None,
    seed: int = 0,
    intervals: bool = True,
) -> DatasetStatistics:
    """Computes every vote statistic of a table of judgements.

    Args:
        frame: Votes: `user_id`, `pair_id`, `label`, `occurrence` and, where there is one, `group`,
            in any order of rows (`plt.data.tables.preferences.read_votes`).
        meta: The metadata of the table: its name and what was dropped so far.
        assume_flip: Flip rates to show the divergence of; by default 5, 10 and 20 % where no
            repeats say what the flip rate is.
        seed: Of permutations and samples.
        intervals: False gives the figures alone: no intervals, tests, permutations or verdict.

    Returns:
        The statistics.
    """
    votes = read_rows(frame)
    again = consistency(votes, intervals=intervals)
    flip_rate = None if again is None else again.flip_rate.value
    if assume_flip is None:
        assume_flip = ASSUMED_FLIP_RATES if flip_rate is None else ()
    table = {rate: divergence_from_flips(votes, rate) for rate in assume_flip}
    evidence = Evidence(
        votes=votes,
        divergence=divergence(votes, intervals=intervals),
        minority=minority_users(votes),
        self_and_others=self_and_others(votes, intervals=intervals, seed=seed),
        room=room(votes, intervals=intervals),
        effective_rank=effective_rank(
            votes, permutations=N_PERMUTATIONS if intervals else 0, seed=seed
        ),
    )
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
        self_and_others=evidence.self_and_others,
        room=evidence.room,
        effective_rank=evidence.effective_rank,
        coverage=coverage(votes),
        dropped=meta.with_dropped(votes.left_out).dropped,
        verdict=verdict(evidence) if intervals else Verdict("not asked", NOT_ASKED),
    )
