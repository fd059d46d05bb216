"""The object that ``plt dataset-stats --json`` prints.

Its keys: `dataset`; the counts `n_users`, `n_pairs`, `n_judgments`, `n_ties`, `n_multi_pairs`;
`divergent` and `highly_divergent` with `noise_expected` (null without repeats) and `noise_if_flip`
(assumed flip rate to share); `mv_acc` by user in both forms; `minority_users` (`user_id`,
`accuracy`, `n`, `q`); `krippendorff_alpha`; `agreement`; `consistency` (null without repeats), with
`on_shared_pairs` what the verdict rests on (`p`, the share that could be exchanged, `remembered`)
and `conditions` what is known of order and memory; `room`, always an upper bound, with
`votes_alone` beside it; `effective_rank`; `split_halves` (null unless there is one prompt and no
repeat); `coverage`; `dropped`; `finding` and `verdict`. A figure is `value`, `ci`, `target`,
`kind`, `reason`; what the data cannot give is null with a reason.
"""

from dataclasses import asdict
from typing import Any

from plt.analyze.dataset.figures import NO_REPEATS, all_figures
from plt.analyze.dataset.measured import Measured
from plt.analyze.intervals.figures import interval_json
from plt.analyze.intervals.uncertainty import Interval
from plt.analyze.repeats.self_and_others import SelfAndOthers
from plt.analyze.taste.split_halves import SplitHalves


def document(measured: Measured) -> dict[str, Any]:
    """The object of the module's text."""
    votes = measured.votes
    found: dict[str, Any] = {
        "dataset": measured.dataset,
        "n_users": votes.n_users,
        "n_pairs": votes.pair_ids.size,
        "n_judgments": votes.n_judgments,
        "n_ties": votes.n_ties,
        "n_multi_pairs": votes.shared.size,
        "divergent": _divergence(measured, "divergent"),
        "highly_divergent": _divergence(measured, "highly_divergent"),
        "mv_acc": _majority(measured),
        "minority_users": _minority(measured),
        "krippendorff_alpha": {},
        "agreement": {},
        "consistency": _consistency(measured),
        "room": _room(measured),
        "effective_rank": _rank(measured),
        "split_halves": _split_halves(measured),
        "coverage": _coverage(measured),
        "dropped": dict(measured.dropped),
        "finding": measured.verdict.finding,
        "verdict": measured.verdict_sentence,
    }
    for figure in all_figures(measured):
        _place(found, figure.path, _figure(measured, figure.found))
    for name in ("heterogeneity", "near_duplicates"):
        if (more := getattr(measured, name)) is not None:
            found[name] = dict(more)
    return found


def _figure(measured: Measured, found: Interval) -> dict[str, Any]:
    """An interval whose dominant users have names; groups have none here, and no code either."""
    names = measured.votes.user_names
    dominant = [
        {
            "kind": each.kind,
            "share": each.share,
            "name": names[each.code] if each.kind == "user" else None,
        }
        for each in found.dominant
    ]
    return interval_json(found) | {"dominant": dominant}


def _place(found: dict[str, Any], path: tuple[str, ...], figure: dict[str, Any]) -> None:
    """Puts a figure where it belongs; what is null there stays null."""
    at: Any = found
    for name in path:
        if at is not None:
            at = at.setdefault(name, {})
    if at is not None:
        at.update({key: value for key, value in figure.items() if key not in at})


def _divergence(measured: Measured, name: str) -> dict[str, Any]:
    table = {f"{rate:g}": getattr(each, name) for rate, each in measured.noise_if_flip.items()}
    return _figure(measured, getattr(measured.divergence, name)) | {
        "noise_expected": measured.noise_expected and getattr(measured.noise_expected, name),
        "noise_if_flip": table or None,
    }


def _majority(measured: Measured) -> dict[str, Any]:
    majority = measured.majority
    names = measured.votes.user_names.gather(majority.users).to_list()
    forms = {
        "ceiling": majority.ceiling.tolist(),
        "leave_one_out": majority.leave_one_out.tolist(),
    }
    users = {form: dict(zip(names, each, strict=True)) for form, each in forms.items()}
    spans = {form: [min(each), max(each)] if each else None for form, each in forms.items()}
    return {**users, "range": spans, "n_tied_pairs": majority.n_tied_pairs}


def _minority(measured: Measured) -> list[dict[str, Any]]:
    tests = measured.minority
    return [
        {
            "user_id": measured.votes.user_names[int(tests.users[i])],
            "accuracy": float(tests.accuracy[i]),
            "n": int(tests.n_votes[i]),
            "q": float(tests.q_value[i]),
        }
        for i in tests.found
    ]


def _consistency(measured: Measured) -> dict[str, Any] | None:
    if measured.consistency is None:
        return None
    found, pairs = measured.consistency, measured.self_and_others
    conditions = {
        each.condition: _figure(measured, each.contrast)
        | {"fails": each.fails, "n": each.n_trusted}
        for each in measured.checks
    }
    return {
        "n_repeated": found.n_repeated,
        "n_users": found.n_users,
        "conditions": conditions,
        "on_shared_pairs": None if pairs is None else _on_shared_pairs(pairs),
    }


def _on_shared_pairs(found: SelfAndOthers) -> dict[str, Any]:
    test = found.exchanged
    these = found.difference.these_users
    return {
        "p": test.p_value,
        "p_reason": test.reason,
        "exchanged": test.unit,
        "share_moved": test.share_moved,
        "remembered": found.remembered,
        "these_users": None if these is None else list(these),
        "n_repeated": found.n_cells,
        "n_users": found.n_users,
        "effective_users": found.difference.effective_users,
        "effective_groups": found.difference.effective_groups,
    }


def _room(measured: Measured) -> dict[str, Any]:
    found = measured.room
    low, high = found.low, found.high
    assumed = {f"{a:.1f}": list(each) for a, each in found.if_consistency.items()}
    return {
        "value": None if low.value is None else [low.value, high.value],
        "ci": None if low.low is None else [low.low, high.high],
        "target": low.target,
        "kind": low.kind,
        "reason": low.reason,
        "bound": "upper",
        "positive": measured.room_is_positive,
        "n_judgments": found.n_judgments,
        "room_if_consistency": assumed or None,
    }


def _rank(measured: Measured) -> dict[str, Any] | None:
    rank = measured.effective_rank
    if isinstance(rank, str):
        return None
    exchanged = rank.permuted_mean is not None
    return {
        "value": rank.value,
        "permuted": rank.permuted_mean,
        "permuted_range": [rank.permuted_low, rank.permuted_high] if exchanged else None,
        "p": rank.p_value,
        "p_across_groups": rank.p_across_groups,
        "share_moved": rank.share_moved,
        "n_users": rank.users.size,
        "n_candidates": rank.n_candidates,
        "n_pairs": rank.n_pairs,
    }


def _split_halves(measured: Measured) -> dict[str, Any] | None:
    found = measured.split_halves
    if isinstance(found, SplitHalves):
        return asdict(found)
    return None


def _coverage(measured: Measured) -> dict[str, Any]:
    missing = {}
    if measured.consistency is None:
        missing["consistency"] = NO_REPEATS
    if isinstance(measured.effective_rank, str):
        missing["effective_rank"] = measured.effective_rank
    elif measured.effective_rank.reason is not None:
        missing["effective_rank.p"] = measured.effective_rank.reason
    if isinstance(measured.split_halves, str):
        missing["split_halves"] = measured.split_halves
    tested = {"n_minority_tested": measured.minority.n_tested}
    return asdict(measured.coverage) | tested | {"missing": missing}
