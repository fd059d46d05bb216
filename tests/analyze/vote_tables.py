"""Small tables of votes for tests, written as letters, and a slow reader of them."""

import itertools
from collections import defaultdict

import numpy as np
import polars as pl
from hypothesis import strategies as st

LABELS = {"a": 1.0, "b": 0.0, "-": 0.5, ".": None}

Row = tuple[str | None, int, float | None, int, str | None]


def frame(rows: list[Row]) -> pl.DataFrame:
    """Rows (user, pair, label, occurrence, group) as a votes frame."""
    schema = {
        "user_id": pl.String,
        "pair_id": pl.UInt64,
        "label": pl.Float32,
        "occurrence": pl.UInt16,
        "group": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def table(columns: dict[str, str], groups: str | None = None) -> pl.DataFrame:
    """Users' answers, one place a pair: a, b, - for a tie, blank for none, `ab` judged twice.

    Pairs are separated by blanks: ``{"u": "a ab -"}`` is a on pair 1, a then b on pair 2, a tie on
    pair 3; a dot is a row without a label and ``_`` no row. `groups` names the group of each pair.
    """
    rows: list[Row] = []
    for user, answers in columns.items():
        for pair, answer in enumerate(answers.split()):
            for occurrence, letter in enumerate(answer.replace("_", "")):
                group = None if groups is None else groups[pair]
                rows.append((user, pair + 1, LABELS[letter], occurrence, group))
    return frame(rows)


def matrix(votes: np.ndarray, groups: list[str] | None = None) -> pl.DataFrame:
    """Votes 1 or 0 of users (rows) on pairs (columns); negative entries are missing."""
    rows: list[Row] = []
    for user, pair in itertools.product(*map(range, votes.shape)):
        if votes[user, pair] >= 0:
            group = None if groups is None else groups[pair]
            rows.append((f"u{user:04d}", pair + 1, float(votes[user, pair]), 0, group))
    return frame(rows)


def sides(votes: pl.DataFrame) -> dict[int, dict[str, list[int]]]:
    """Pair to user to non-tie sides in order of occurrence, read row by row."""
    found: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for user, pair, label, _, _ in votes.sort("occurrence").iter_rows():
        if user is not None and label is not None and label != 0.5:
            found[pair][user].append(int(label > 0.5))
    return found


def first_votes(votes: pl.DataFrame) -> dict[int, dict[str, int]]:
    """Pair to user to vote, of the pairs with votes of two users."""
    firsts = {p: {u: given[0] for u, given in by.items()} for p, by in sides(votes).items()}
    return {pair: by for pair, by in firsts.items() if len(by) >= 2}


@st.composite
def vote_frames(draw: st.DrawFn) -> pl.DataFrame:
    """Frames of a few users, pairs and groups, with ties, soft labels, nulls and repeats."""
    n_pairs = draw(st.integers(1, 6))
    group_of = [draw(st.sampled_from(["g", "h", "i", None])) for _ in range(n_pairs)]
    label = st.sampled_from([0.0, 1.0, 1.0, 0.0, 0.5, 0.3, 0.9, None])
    rows: list[Row] = []
    for user in draw(st.lists(st.sampled_from(["u", "v", "w", "x", None]), unique=True)):
        for pair in range(n_pairs):
            answers = draw(st.lists(label, max_size=3))
            rows += [(user, pair + 7, a, i, group_of[pair]) for i, a in enumerate(answers)]
    return frame(rows)
