"""The one table of figures: what `dataset-stats` prints, writes, draws and gives as JSON.

Each figure stands here once, with its name for people, its key as a metric, its place in the JSON
object and what must be read beside it.
"""

from dataclasses import dataclass

from plt.analyze.dataset.measured import Measured
from plt.analyze.intervals.figures import without_interval
from plt.analyze.intervals.uncertainty import Interval
from plt.analyze.repeats.self_and_others import SelfAndOthers

NO_REPEATS = "nobody judged a pair twice"
NO_SHARED_REPEATS = "no repeated judgement is on a shared pair"
EQUALLY_NOISY = "exact only if all pairs are equally noisy, else too high"


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        key: Its name as a metric.
        path: Where it stands in the JSON object.
        name: What people read.
        found: Value and interval, or why there is none.
        note: What must be read beside it.
        higher_is_better: The direction, where there is one.
        shown: What stands for the value where it is no single number.
    """

    key: str
    path: tuple[str, ...]
    name: str
    found: Interval
    note: str = ""
    higher_is_better: bool | None = None
    shown: str | None = None


def all_figures(measured: Measured) -> tuple[Figure, ...]:
    """Every figure of a table of judgements, in the order in which people read them."""
    return (
        *_divergence(measured),
        *_majority(measured),
        *_agreement(measured),
        *_consistency(measured),
        *_self_and_others(measured),
        *_room(measured),
        *_votes_alone(measured),
        _rank(measured),
    )


def _divergence(measured: Measured) -> tuple[Figure, ...]:
    found, expected = measured.divergence, measured.noise_expected
    notes = ["", ""]
    if expected is not None:
        notes = [
            f"noise alone: at most {expected.divergent:.3f}",
            f"noise alone: {expected.highly_divergent:.3f} if all pairs are equally noisy",
        ]
    return (
        Figure("divergent", ("divergent",), "divergent pairs", found.divergent, notes[0]),
        Figure(
            "highly_divergent",
            ("highly_divergent",),
            "highly divergent pairs",
            found.highly_divergent,
            notes[1],
        ),
    )


def _majority(measured: Measured) -> tuple[Figure, ...]:
    found, room = measured.majority, measured.room
    forms = (
        ("mv_acc_ceiling", "own_vote_majority", "counted", found.ceiling, room.own_vote_majority),
        (
            "mv_acc_leave_one_out",
            "leave_one_out_majority",
            "left out",
            found.leave_one_out,
            room.leave_one_out_majority,
        ),
    )
    figures = []
    for key, place, form, values, mean in forms:
        note, shown = "", "-"
        if values.size and mean.value is not None:
            what = "judgements repeated on shared pairs" if mean.low is not None else "shared pairs"
            note = f"mean over {what}: {mean.value:.3f}"
            shown = f"{values.min():.3f} to {values.max():.3f}"
        name = f"MV-ACC by user, own vote {form}"
        figures.append(Figure(key, ("room", place), name, mean, note, None, shown))
    return tuple(figures)


def _agreement(measured: Measured) -> tuple[Figure, ...]:
    found = measured.agreement
    return (
        Figure(
            "krippendorff_alpha",
            ("krippendorff_alpha",),
            "Krippendorff's alpha",
            measured.alpha,
            "a program that takes columns as categories differs by chance",
            True,
        ),
        Figure(
            "agreement_pairwise",
            ("agreement", "pairwise"),
            "agreement, pairs of judgements",
            found.pairwise,
            "",
            True,
        ),
        Figure(
            "agreement_item_mean",
            ("agreement", "item_mean"),
            "agreement, mean over pairs",
            found.item_mean,
            "",
            True,
        ),
    )


def _consistency(measured: Measured) -> tuple[Figure, ...]:
    found = measured.consistency
    if found is None:
        nothing = without_interval(None, NO_REPEATS)
        path = ("consistency",)
        return (Figure("self_agreement", path, "self-agreement on repeats", nothing, "", True),)
    rows = (
        (
            "self_agreement",
            "self-agreement on repeats",
            found.self_agreement,
            f"{found.n_repeated:,} repeats",
            True,
        ),
        ("cronbach_alpha", "Cronbach's alpha of two answers", found.cronbach_alpha, "", True),
        ("flip_rate", "flip rate it implies", found.flip_rate, "", False),
        (
            "ceiling_upper_bound",
            "ceiling, upper bound",
            found.ceiling_upper_bound,
            EQUALLY_NOISY,
            True,
        ),
    )
    return tuple(
        Figure(key, ("consistency", key), name, interval, note, better)
        for key, name, interval, note, better in rows
    )


def _self_and_others(measured: Measured) -> tuple[Figure, ...]:
    found = measured.self_and_others
    if found is None:
        return ()
    rows = (
        ("self_agreement", "agreement with self, shared pairs", found.self_agreement, ""),
        ("between_persons", "agreement with others, same pairs", found.between_persons, ""),
        ("difference", "self minus others", found.difference, difference_note(found)),
        (
            "beyond_reliability",
            "... beyond unequal care",
            found.beyond_reliability,
            "if care scales everybody's answers alike",
        ),
    )
    metrics = {
        "difference": "self_minus_others",
        "beyond_reliability": "self_minus_others_beyond_reliability",
    }
    return tuple(
        Figure(
            metrics.get(key, f"{key}_on_shared_pairs"),
            ("consistency", "on_shared_pairs", key),
            name,
            interval,
            note,
        )
        for key, name, interval, note in rows
    )


def difference_note(found: SelfAndOthers) -> str:
    """What must be known of self minus others: its assumption, and the exchange test."""
    parts = []
    if found.remembered is not None:
        parts.append(
            "assumes that two answers of a person are independent:"
            f" {100 * found.remembered:.1f} % remembered ones would explain all of it"
        )
    test = found.exchanged
    if test.p_value is not None and test.share_moved is not None:
        what = "whole groups of answers" if test.unit == "blocks" else "single judgements"
        parts.append(
            f"p = {test.p_value:.3f} by exchange of {what}"
            f" ({100 * test.share_moved:.0f} % of the repeats can move)"
        )
    elif test.reason is not None:
        parts.append(f"no exchange test: {test.reason}")
    return "; ".join(parts)


def _room(measured: Measured) -> tuple[Figure, ...]:
    room = measured.room
    bound = "an upper bound, which no model need reach"
    figures = [
        Figure(
            "room_low",
            ("room", "over_own_vote_majority"),
            "room at most, over the majority with own vote",
            room.low,
            bound if room.low.value is not None else "",
        ),
        Figure(
            "room_high",
            ("room", "over_majority_of_others"),
            "room at most, over the majority of the others",
            room.high,
            bound if room.high.value is not None else "",
        ),
    ]
    for assumed, (low, high) in room.if_consistency.items():
        key = f"room_if_consistency_{assumed:.1f}"
        figures.append(
            Figure(
                key,
                ("room", key),
                f"room at most, if self-agreement is {assumed:.1f}",
                without_interval(high, "an assumption has no interval"),
                "an assumption: there are no repeats to measure it",
                shown=f"{low:.3f} to {high:.3f}",
            )
        )
    return tuple(figures)


def _votes_alone(measured: Measured) -> tuple[Figure, ...]:
    found = measured.weighted_votes
    names = {
        "weighted": "others' votes, weighted by agreement elsewhere",
        "majority": "their unweighted majority",
        "gain": "... what votes alone gain",
    }
    if isinstance(found, str):
        nothing = without_interval(None, found)
        path = ("room", "votes_alone", "gain")
        return (Figure("votes_alone_gain", path, "what votes alone gain", nothing, "", True),)
    note = f"cross-validated by group over {found.n_judgements:,} votes"
    return tuple(
        Figure(
            f"votes_alone_{key}",
            ("room", "votes_alone", key),
            name,
            getattr(found, key),
            note if key == "weighted" else "",
            True,
        )
        for key, name in names.items()
    )


def _rank(measured: Measured) -> Figure:
    rank, path = measured.effective_rank, ("effective_rank",)
    if isinstance(rank, str):
        nothing = without_interval(None, rank)
        return Figure("effective_rank", path, "effective rank", nothing)
    note = f"{rank.users.size:,} of {rank.n_candidates:,} users, {rank.n_pairs:,} pairs"
    if rank.p_value is not None:
        across = "" if rank.p_across_groups is None else f", {rank.p_across_groups:.3f} over groups"
        note = (
            f"votes exchanged: {rank.permuted_mean:.3f} [{rank.permuted_low:.3f},"
            f" {rank.permuted_high:.3f}], p = {rank.p_value:.3f}{across}; {note}"
        )
    found = without_interval(rank.value, rank.reason or "")
    return Figure("effective_rank", path, "effective rank", found, note, shown=f"{rank.value:.3f}")
