"""Marks in the texts that tell who wins, whatever they are.

No list of suspicious characters can be complete. A mark is any sequence of one to three symbols
(`plt.analyze.lint.alphabet`) that stands in only one of the two responses; it gives the label away
when that one all but always wins, or all but always loses. Words are no symbols, so what people
like to read is no mark.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plt.analyze.intervals.clusters import FloatArray
from plt.analyze.intervals.interval import Interval
from plt.analyze.intervals.proportions import exact_lower_end
from plt.analyze.lint.alphabet import Sequences, read_sequences, symbol
from plt.analyze.lint.decisions import Decisions
from plt.analyze.lint.findings import Example, Finding, counted, edges, share_text, shown

MIN_PAIRS = 20
MIN_TOUCHED = 0.01
"""A mark must stand in only one response of so many pairs, and in such a share of the rows."""
MARKS = 0.98
"""Share of the judgements in which the marked response must win (or lose)."""
SURE = 0.90
"""What the simultaneous lower 95 % bound of that share must exceed, distinct pairs counted."""
FAMILYWISE_ERROR = 0.05
MAX_CHARACTERS = 20_000_000
"""Beyond it a sample of the pairs is read, the first by pair_id, which is a hash."""
BLOCK = 512
SHOWN = 3
EXAMPLES = 3
CONTEXT = 24
SPELLED = {"\x02": "<beginning>", "\x03": "<end>", " ": "<blank>"}


@dataclass(frozen=True)
class Counts:
    """How often each sequence stands in one response only, and how that one does.

    Attributes:
        rows: Judgements, [sequences].
        won: Those of them that it wins, [sequences].
        pairs: Distinct pairs, [sequences].
        pairs_won: Those of them that it wins by most judgements, halves for ties, [sequences].
    """

    rows: FloatArray
    won: FloatArray
    pairs: FloatArray
    pairs_won: FloatArray


def marker_findings(decisions: Decisions) -> list[Finding]:
    """A finding for the marks that only winners have, and one for those that only losers have.

    Args:
        decisions: The rows.

    Returns:
        Nothing where no mark is certain: it takes 20 pairs and 1 % of the rows, the marked response
        on one side in at least 98 % of the judgements, and a lower bound above .90 that holds for
        all sequences tried at once (Clopper and Pearson's, by Bonferroni).
    """
    pairs, first, n_read = _pairs(decisions)
    if pairs.shape[0] < MIN_PAIRS:
        return []
    used, local = np.unique(pairs[:, :2], return_inverse=True)
    pairs = np.column_stack([local.reshape(-1, 2), pairs[:, 2:]])
    texts = decisions.texts.gather(used)
    sequences = read_sequences(texts)
    counts = _count(sequences, pairs)
    asked = (counts.pairs >= MIN_PAIRS) & (counts.rows >= MIN_TOUCHED * n_read)
    n_asked = int(asked.sum())
    if n_asked == 0:
        return []
    level = 1 - FAMILYWISE_ERROR / (2 * n_asked)
    found = []
    for outcome in ("wins", "loses"):
        right = counts.won if outcome == "wins" else counts.rows - counts.won
        by_pair = counts.pairs_won if outcome == "wins" else counts.pairs - counts.pairs_won
        low = exact_lower_end(by_pair, counts.pairs, level=level)
        marks = asked & (right >= MARKS * counts.rows) & (low > SURE)
        if marks.any():
            # The mark of most judgements speaks; of equals the shortest.
            length = np.array([len(name) for name in sequences.names])
            best = [int(place) for place in np.lexsort((length, -counts.rows)) if marks[place]]
            figure = _figure(right, counts, low, best[0])
            names = [sequences.names[place] for place in best]
            examples = _examples(sequences, best[0], pairs, first, texts)
            found.append(_finding(names, figure, outcome, n_read, examples))
    return found


def _pairs(decisions: Decisions) -> tuple[NDArray[np.int64], NDArray[np.uint64], int]:
    """(text a, text b, wins of a, wins of b) of each pair that is read, its id, all judgements."""
    names, first, inverse = np.unique(decisions.pair_ids, return_index=True, return_inverse=True)
    wins = np.bincount(inverse, weights=decisions.prefers_a, minlength=first.size).astype(np.int64)
    total = np.bincount(inverse, minlength=first.size)
    a, b = decisions.a[first], decisions.b[first]
    sizes = decisions.texts.str.len_chars().to_numpy().astype(np.int64)
    n = int(np.searchsorted(np.cumsum(sizes[a] + sizes[b]), MAX_CHARACTERS, side="right"))
    table = np.column_stack([a, b, wins, total - wins])[: max(n, 1)]
    return table, names[: len(table)], int(table[:, 2:].sum())


def _count(sequences: Sequences, pairs: NDArray[np.int64]) -> Counts:
    total = np.zeros((4, len(sequences.names)))
    for start in range(0, pairs.shape[0], BLOCK):
        a, b, won_a, won_b = pairs[start : start + BLOCK].T
        in_a, in_b = sequences.table(a), sequences.table(b)
        only_a = (in_a & ~in_b).astype(np.float32)
        only_b = (in_b & ~in_a).astype(np.float32)
        wins = np.stack([won_a, won_b]).astype(np.float32)
        judged = wins.sum(0)
        majority = (0.5 * (np.sign(wins[0] - wins[1]) + 1)).astype(np.float32)
        total[0] += judged @ only_a + judged @ only_b
        total[1] += wins[0] @ only_a + wins[1] @ only_b
        total[2] += only_a.sum(0) + only_b.sum(0)
        total[3] += majority @ only_a + (1 - majority) @ only_b
    return Counts(*total)


def _figure(right: FloatArray, counts: Counts, low: FloatArray, best: int) -> Interval:
    return Interval(
        value=float(right[best] / counts.rows[best]),
        low=float(low[best]),
        high=1.0,
        target="groups",
        kind="exact binomial, one-sided, for all marks at once",
        level=0.95,
        n_rows=int(counts.rows[best]),
        n_groups=int(counts.pairs[best]),
    )


def _finding(
    names: Sequence[tuple[str, ...]],
    figure: Interval,
    outcome: str,
    n_read: int,
    examples: tuple[Example, ...],
) -> Finding:
    marks = [spell(name) for name in names]
    more = f" (and {len(marks) - SHOWN} more)" if len(marks) > SHOWN else ""
    others = f"; so tell {', '.join(marks[1:SHOWN])}{more}" if marks[1:] else ""
    return Finding(
        check="markers",
        what=f"a mark gives the label away: where only one response has {marks[0]}, it {outcome}"
        f" in {share_text(figure.value or 0.0)} of {counted(figure.n_rows, 'judgement')}, and of"
        f" all marks at once beyond {figure.low:.3f}{others}",
        failed=True,
        rows=figure.n_rows,
        share=figure.n_rows / n_read,
        figures={"right": figure},
        details={"outcome": outcome, "marks": marks, "n_judgements_read": n_read},
        examples=examples,
        hint="write both responses in the same way, then convert the raw data again",
    )


def spell(name: Sequence[str]) -> str:
    """A sequence of symbols for a person, such as ``<blank><blank>`` or ``<letter>'?'``."""
    return "".join(
        SPELLED.get(part, shown(part) if len(part) == 1 else f"<{part}>") for part in name
    )


def _examples(
    sequences: Sequences,
    best: int,
    pairs: NDArray[np.int64],
    names: NDArray[np.uint64],
    texts: pl.Series,
) -> tuple[Example, ...]:
    """The first pairs that have the mark in one response, and what stands around it."""
    found: list[Example] = []
    for start in range(0, pairs.shape[0], BLOCK):
        a, b = pairs[start : start + BLOCK, :2].T
        in_a, in_b = sequences.table(a)[:, best], sequences.table(b)[:, best]
        for place in np.flatnonzero(in_a != in_b)[: EXAMPLES - len(found)]:
            text = str(texts[int(a[place] if in_a[place] else b[place])])
            around = _around(text, sequences.names[best])
            found.append(Example(int(names[start + place]), around))
        if len(found) == EXAMPLES:
            break
    return tuple(found)


def _around(text: str, name: Sequence[str]) -> str:
    spelled = [symbol(character) for character in f"\x02{text}\x03"]
    for place in range(len(spelled) - len(name) + 1):
        if tuple(spelled[place : place + len(name)]) == tuple(name):
            return shown(text[max(0, place - 1 - CONTEXT) : place + len(name) + CONTEXT])
    return edges(text)
