"""Dataset statistics as blocks: figures, contested pairs, minority users, and the verdict last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plt.analyze.intervals.figures import MISSING, number, with_interval
from plt.cli.shell.streams import Block, Line, Table

if TYPE_CHECKING:
    from plt.analyze.dataset.statistics import DatasetStatistics
    from plt.analyze.intervals.uncertainty import Interval

MAX_MINORITY_ROWS = 20
BAR_WIDTH = 40
TARGETS = {
    "population": "other users, other pairs",
    "these-users": "these users, other pairs",
    "these-prompts": "other users, these prompts",
    "these-judgements": "these judgements alone",
    "groups": "other pairs",
}

Row = tuple[str, str, str, str]


def statistics_blocks(statistics: DatasetStatistics) -> tuple[Block, ...]:
    """Everything that a person reads; names of users are shown as they are, the renderer escapes.

    Args:
        statistics: What was computed.

    Returns:
        Counts, the table of figures, the histogram of minority shares, minority users, figures
        that need no shared pairs where there are any, and the verdict.
    """
    blocks: list[Block] = [Line(_counts(statistics)), _figures(statistics)]
    if statistics.votes.shared.size:
        blocks.append(_histogram(statistics))
    if statistics.noise_if_flip:
        blocks.append(_noise(statistics))
    blocks += _minority(statistics)
    for more in (statistics.heterogeneity, statistics.near_duplicates):
        if more is not None:
            blocks.append(Line(f"{more['conclusion']} {more.get('assumption', '')}".strip()))
    blocks.append(Line(f"Verdict: {statistics.verdict_sentence}"))
    return tuple(blocks)


def _counts(statistics: DatasetStatistics) -> str:
    votes, coverage = statistics.votes, statistics.coverage
    parts = [
        f"{statistics.dataset or 'unnamed'}: {_count(votes.n_users, 'user')},"
        f" {_count(votes.pair_ids.size, 'pair')}, {_count(votes.n_judgments, 'judgement')},"
        f" {votes.n_ties:,} of them ties (left out of every figure)",
        f"{_count(votes.shared.size, 'pair')} shared by two users or more",
        f"{_count(coverage.n_repeated, 'judgement')} repeated,"
        f" {coverage.n_repeated_on_shared:,} on shared pairs",
    ]
    if tied := statistics.majority.n_tied_pairs:
        parts.append(f"on {tied:,} of the shared pairs the votes are tied")
    if statistics.dropped:
        left = ", ".join(f"{reason} {n:,}" for reason, n in statistics.dropped.items())
        parts.append(f"left out: {left}")
    return "; ".join(parts) + "."


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _figures(statistics: DatasetStatistics) -> Table:
    rows = [
        *_divergence_rows(statistics),
        *_majority_rows(statistics),
        _row("Krippendorff's alpha", statistics.alpha),
        _row("agreement, pairs of judgements", statistics.agreement.pairwise),
        _row("agreement, mean over pairs", statistics.agreement.item_mean),
        *_consistency_rows(statistics),
        *_room_rows(statistics),
        _rank_row(statistics),
    ]
    columns = ("figure", "value [95 %]", "interval holds for", "beside it")
    return Table(columns, tuple(rows))


def _row(name: str, found: Interval, note: str = "") -> Row:
    target = TARGETS.get(found.target, found.target) if found.low is not None else ""
    reason = found.reason or ""
    return name, with_interval(found), target, "; ".join(part for part in (note, reason) if part)


def _divergence_rows(statistics: DatasetStatistics) -> list[Row]:
    expected = statistics.noise_expected
    notes = ["", ""]
    if expected is not None:
        shares = (expected.divergent, expected.highly_divergent)
        notes = [f"noise alone: {number(share)}" for share in shares]
    found = statistics.divergence
    return [
        _row("divergent pairs", found.divergent, notes[0]),
        _row("highly divergent pairs", found.highly_divergent, notes[1]),
    ]


def _majority_rows(statistics: DatasetStatistics) -> list[Row]:
    found, room = statistics.majority, statistics.room
    forms = {
        "MV-ACC by user, own vote counted": (found.ceiling, room.own_vote_majority),
        "MV-ACC by user, own vote left out": (found.leave_one_out, room.leave_one_out_majority),
    }
    rows = []
    for name, (values, mean) in forms.items():
        span = f"{values.min():.3f} to {values.max():.3f}" if values.size else MISSING
        what = "judgements repeated on shared pairs" if mean.low is not None else "shared pairs"
        note = f"mean over {what}: {number(mean.value)}" if values.size else ""
        rows.append((name, span, "", note))
    return rows


def _consistency_rows(statistics: DatasetStatistics) -> list[Row]:
    found = statistics.consistency
    if found is None:
        return [("self-agreement on repeats", MISSING, "", "nobody judged a pair twice")]
    rows = [
        _row("self-agreement on repeats", found.self_agreement, f"{found.n_repeated:,} repeats"),
        _row("Cronbach's alpha of two answers", found.cronbach_alpha),
        _row("flip rate it implies", found.flip_rate),
        _row(
            "ceiling, upper bound",
            found.ceiling_upper_bound,
            "exact if all pairs are equally noisy",
        ),
    ]
    pairs = statistics.self_and_others
    if pairs is None:
        return rows
    p = "" if pairs.p_value is None else f", p = {pairs.p_value:.3f} by exchange"
    return [
        *rows,
        _row("agreement with self, shared pairs", pairs.self_agreement),
        _row("agreement with others, same pairs", pairs.between_persons),
        _row("self minus others", pairs.difference, f"above 0 only if tastes differ{p}"),
        _row("... beyond unequal care", pairs.beyond_reliability),
    ]


def _room_rows(statistics: DatasetStatistics) -> list[Row]:
    room = statistics.room
    if not room.if_consistency:
        return [
            _row("room, over the majority with own vote", room.low),
            _row("room, over the majority of the others", room.high),
        ]
    return [
        (
            f"room, if self-agreement is {assumed:.1f}",
            f"{low:.3f} to {high:.3f}",
            "",
            "an assumption: there are no repeats to measure it",
        )
        for assumed, (low, high) in room.if_consistency.items()
    ]


def _rank_row(statistics: DatasetStatistics) -> Row:
    rank = statistics.effective_rank
    if isinstance(rank, str):
        return "effective rank", MISSING, "", rank
    note = f"{rank.users.size:,} of {rank.n_candidates:,} users, {rank.n_pairs:,} pairs"
    if rank.permuted_mean is not None:
        permuted = f"permuted labels: {rank.permuted_mean:.2f}"
        ends = f"[{number(rank.permuted_low, 2)}, {number(rank.permuted_high, 2)}]"
        note = f"{permuted} {ends}, p = {number(rank.p_value, 2)}; {note}"
    return "effective rank", f"{rank.value:.2f}", "", note


def _histogram(statistics: DatasetStatistics) -> Table:
    """Shared pairs by the share of votes against their majority, as bars of text."""
    n, s = statistics.votes.shared_counts
    against = (n - abs(2 * s - n)) // 2
    # In integers, so that 3 of 10 are 30 % and highly divergent.
    tenths = (10 * against // n).clip(max=4) + 1
    names = ["all agree", "under 10 % against"]
    names += [f"{k}0 to {k + 1}0 % against" for k in range(1, 5)]
    counts = [int((against == 0).sum())]
    counts += [int(((tenths == k) & (against > 0)).sum()) for k in range(1, 6)]
    scale = max(counts) / BAR_WIDTH
    rows = tuple(
        (name, f"{count:,}", "█" * round(count / scale))
        for name, count in zip(names, counts, strict=True)
    )
    return Table(("shared pairs", "number", ""), rows, numeric=frozenset({"number"}))


def _noise(statistics: DatasetStatistics) -> Table:
    rows = tuple(
        (f"{100 * rate:g} %", number(each.divergent), number(each.highly_divergent))
        for rate, each in statistics.noise_if_flip.items()
    )
    columns = ("if answers flip at", "divergent", "highly divergent")
    return Table(columns, rows, "What noise alone would make", frozenset(columns))


def _minority(statistics: DatasetStatistics) -> list[Block]:
    tests = statistics.minority
    if statistics.votes.shared.size == 0:
        return []
    if tests.n_tested == 0:
        return [
            Line(
                "Minority users: nobody is testable (it takes votes in five groups, on pairs where"
                " the others lead by two or more)."
            )
        ]
    if tests.found.size == 0:
        return [Line(f"Minority users: none of {_count(tests.n_tested, 'user')} tested (FDR 5 %).")]
    names = statistics.votes.user_names
    rows = tuple(
        (
            str(names[int(tests.users[i])]),
            number(float(tests.accuracy[i])),
            f"{int(tests.n_votes[i]):,}",
            f"{tests.q_value[i]:.2g}",
        )
        for i in tests.found[:MAX_MINORITY_ROWS]
    )
    title = f"Minority users: {tests.found.size:,} of {tests.n_tested:,} tested (FDR 5 %)"
    columns = ("user", "votes with the majority", "pairs", "q")
    return [Table(columns, rows, title, frozenset(columns[1:]))]
