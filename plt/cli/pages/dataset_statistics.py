"""Dataset statistics as blocks: figures, contested pairs, minority users, and the verdict last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plt.analyze.intervals.figures import number, with_interval
from plt.cli.shell.streams import Block, Line, Table

if TYPE_CHECKING:
    from plt.analyze.dataset.figures import Figure
    from plt.analyze.dataset.statistics import DatasetStatistics

MAX_MINORITY_ROWS = 20
BAR_WIDTH = 40
TARGETS = {
    "population": "other users, other pairs",
    "these-users": "these users, other pairs",
    "these-prompts": "other users, these prompts",
    "these-judgements": "these judgements alone",
    "groups": "other pairs",
}


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
    columns = ("figure", "value [95 %]", "interval holds for", "beside it")
    return Table(columns, tuple(_row(figure) for figure in statistics.figures()))


def _row(figure: Figure) -> tuple[str, ...]:
    found = figure.found
    if figure.shown is not None:
        return figure.name, figure.shown, "", figure.note
    target = TARGETS.get(found.target, found.target) if found.low is not None else ""
    beside = "; ".join(part for part in (figure.note, found.reason or "") if part)
    return figure.name, with_interval(found), target, beside


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
                "Minority users: nobody is testable (it takes votes in six groups, on pairs where"
                " the others lead by two or more)."
            )
        ]
    if tests.found.size == 0:
        return [
            Line(f"Minority users: none of {_count(tests.n_tested, 'user')} tested (FDR 2.5 %).")
        ]
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
    title = f"Minority users: {tests.found.size:,} of {tests.n_tested:,} tested (FDR 2.5 %)"
    columns = ("user", "votes with the majority", "pairs", "q")
    return [Table(columns, rows, title, frozenset(columns[1:]))]
